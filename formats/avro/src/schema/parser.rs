//! From text to [`Schema`], as leniently as Java's parser with its defaults: a field's default is not checked against
//! its type, an unknown attribute is kept, a name may hold letters of any script.
//!
//! JSON that is nested deeper than 128 is refused, which bounds the recursion of everything that reads a schema.
//!
//! Long because it is one grammar: each sort of type has a function, and may stand in every other.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json};

use super::text::json_text as shown;
use super::{Enumeration, Field, Fixed, Kind, Name, Node, NodeId, Order, Record, Schema};

/// Attributes of a type that have a meaning.
const RESERVED: [&str; 10] = [
    "doc",
    "fields",
    "items",
    "name",
    "namespace",
    "size",
    "symbols",
    "values",
    "type",
    "aliases",
];
/// Attributes of a field that have a meaning.
const FIELD_RESERVED: [&str; 6] = ["default", "doc", "name", "order", "type", "aliases"];

/// Why a text is no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It is no JSON.
    #[error("{0}")]
    Json(String),
    /// It is JSON, and no schema.
    #[error("{0}")]
    Schema(String),
}

pub(super) fn parse<T: AsRef<str>>(
    text: &str,
    references: impl IntoIterator<Item = T>,
) -> Result<Schema, ParseError> {
    let mut parser = Parser::default();
    let mut roots = Vec::new();
    for reference in references {
        roots.push(parser.parse_text(reference.as_ref())?);
    }
    let root = parser.parse_text(text)?;
    Ok(Schema {
        nodes: parser.nodes,
        root,
        references: roots,
    })
}

/// Whether it can be the name of a type, a field or a symbol.
pub(super) fn check_name(name: &str) -> Result<(), ParseError> {
    let mut characters = name.chars();
    match characters.next() {
        None => return wrong("Empty name"),
        Some(first) if !(first.is_alphabetic() || first == '_') => {
            return wrong(format!("Illegal initial character: {name}"));
        }
        Some(_) => {}
    }
    if characters.all(|character| character.is_alphanumeric() || character == '_') {
        Ok(())
    } else {
        wrong(format!("Illegal character in: {name}"))
    }
}

fn wrong<T>(message: impl Into<String>) -> Result<T, ParseError> {
    Err(ParseError::Schema(message.into()))
}

fn text_of<'a>(object: &'a Map<String, Json>, attribute: &str) -> Option<&'a str> {
    object.get(attribute).and_then(Json::as_str)
}

fn required<'a>(object: &'a Map<String, Json>, attribute: &str, error: &str) -> Result<&'a str, ParseError> {
    match text_of(object, attribute) {
        Some(text) => Ok(text),
        None => wrong(format!("{error}: {}", shown(&Json::Object(object.clone())))),
    }
}

#[derive(Default)]
struct Parser {
    nodes: Vec<Node>,
    names: HashMap<String, NodeId>,
    namespace: Option<String>,
}

impl Parser {
    fn parse_text(&mut self, text: &str) -> Result<NodeId, ParseError> {
        let json: Json = serde_json::from_str(text).map_err(|error| json_error(text, &error))?;
        self.namespace = None;
        self.parse_type(&json)
    }

    fn add(&mut self, kind: Kind) -> Result<NodeId, ParseError> {
        let Ok(id) = u32::try_from(self.nodes.len()) else {
            return wrong("Too many types");
        };
        self.nodes.push(Node {
            kind,
            attributes: Map::new(),
        });
        Ok(NodeId(id))
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    /// Adds a named type, under its name.
    fn define(&mut self, name: &Name, kind: Kind) -> Result<NodeId, ParseError> {
        if self.names.contains_key(name.full()) {
            return wrong(format!("Can't redefine: {}", name.full()));
        }
        let id = self.add(kind)?;
        self.names.insert(name.full().to_owned(), id);
        Ok(id)
    }

    /// A primitive type, or one that is defined already.
    fn lookup(&mut self, word: &str) -> Result<Option<NodeId>, ParseError> {
        if let Some(kind) = primitive(word) {
            return self.add(kind).map(Some);
        }
        let name = Name::new(word, self.namespace.as_deref())?;
        let found = self.names.get(name.full());
        Ok(found.or_else(|| self.names.get(name.last())).copied())
    }

    fn parse_type(&mut self, json: &Json) -> Result<NodeId, ParseError> {
        match json {
            Json::String(word) => match self.lookup(word)? {
                Some(id) => Ok(id),
                None => wrong(format!("Undefined name: {}", shown(json))),
            },
            Json::Object(object) => self.parse_object(json, object),
            Json::Array(branches) => self.parse_union(json, branches),
            _ => wrong(format!("Schema not yet supported: {}", shown(json))),
        }
    }

    fn parse_union(&mut self, json: &Json, branches: &[Json]) -> Result<NodeId, ParseError> {
        let mut ids = Vec::with_capacity(branches.len());
        for branch in branches {
            ids.push(self.parse_type(branch)?);
        }
        let mut names = HashSet::new();
        for id in &ids {
            let kind = &self.nodes[id.0 as usize].kind;
            if matches!(kind, Kind::Union(_)) {
                return wrong(format!("Nested union: {}", shown(json)));
            }
            if !names.insert(kind.branch_name()) {
                return wrong(format!("Duplicate in union:{}", kind.branch_name()));
            }
        }
        self.add(Kind::Union(ids))
    }

    fn parse_object(&mut self, json: &Json, object: &Map<String, Json>) -> Result<NodeId, ParseError> {
        let word = required(object, "type", "No type")?;
        let outer = self.namespace.clone();
        let id = match word {
            "record" | "error" => self.parse_record(json, object, word == "error")?,
            "enum" => self.parse_enumeration(json, object)?,
            "fixed" => self.parse_fixed(json, object)?,
            "array" => match object.get("items") {
                Some(items) => {
                    let items = self.parse_type(items)?;
                    self.add(Kind::Array(items))?
                }
                None => return wrong(format!("No items type: {}", shown(json))),
            },
            "map" => match object.get("values") {
                Some(values) => {
                    let values = self.parse_type(values)?;
                    self.add(Kind::Map(values))?
                }
                None => return wrong(format!("No values type: {}", shown(json))),
            },
            word => match primitive(word) {
                Some(kind) => self.add(kind)?,
                // A use of a named type: its attributes are those of the definition.
                None => {
                    return match self.lookup(word)? {
                        Some(id) => Ok(id),
                        None => wrong(format!("Type not supported: {word}")),
                    };
                }
            },
        };
        self.namespace = outer;
        let is_enumeration = word == "enum";
        let attributes = object
            .iter()
            .filter(|(name, _)| !RESERVED.contains(&name.as_str()))
            .filter(|(name, _)| !(is_enumeration && *name == "default"));
        let attributes: Map<String, Json> = attributes
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        self.node_mut(id).attributes = attributes;
        Ok(id)
    }

    /// The name of a type, which is the namespace of what stands in it.
    fn name_of(&mut self, object: &Map<String, Json>) -> Result<Name, ParseError> {
        let outer = self.namespace.take();
        let space = text_of(object, "namespace").or(outer.as_deref());
        let name = Name::new(required(object, "name", "No name in schema")?, space)?;
        self.namespace = name.namespace().map(str::to_owned);
        Ok(name)
    }

    fn parse_record(
        &mut self,
        json: &Json,
        object: &Map<String, Json>,
        is_error: bool,
    ) -> Result<NodeId, ParseError> {
        let name = self.name_of(object)?;
        let aliases = type_aliases(object, &name)?;
        let record = Record {
            name: name.clone(),
            is_error,
            doc: text_of(object, "doc").map(str::to_owned),
            aliases,
            fields: Vec::new(),
        };
        // Known before its fields are read, for they may use it.
        let id = self.define(&name, Kind::Record(record))?;
        let Some(Json::Array(list)) = object.get("fields") else {
            return wrong(format!("Record has no fields: {}", shown(json)));
        };
        let mut fields: Vec<Field> = Vec::with_capacity(list.len());
        let mut places = HashMap::new();
        for (place, field) in list.iter().enumerate() {
            let field = self.parse_field(field)?;
            if let Some(earlier) = places.insert(field.name.clone(), place) {
                let shown = |field: &Field, place: usize| {
                    let word = self.nodes[field.schema.0 as usize].kind.word().to_uppercase();
                    format!("{} type:{word} pos:{place}", field.name)
                };
                return wrong(format!(
                    "Duplicate field {} in record {}: {} and {}.",
                    field.name,
                    name.full(),
                    shown(&field, place),
                    shown(&fields[earlier], earlier),
                ));
            }
            fields.push(field);
        }
        if let Kind::Record(record) = &mut self.node_mut(id).kind {
            record.fields = fields;
        }
        Ok(id)
    }

    fn parse_field(&mut self, json: &Json) -> Result<Field, ParseError> {
        let Json::Object(object) = json else {
            return wrong(format!("No field name: {}", shown(json)));
        };
        let name = required(object, "name", "No field name")?.to_owned();
        let Some(type_json) = object.get("type") else {
            return wrong(format!("No field type: {}", shown(json)));
        };
        let schema = match type_json {
            Json::String(word) => match self.lookup(word)? {
                Some(id) => id,
                None => {
                    return wrong(format!(
                        "{} is not a defined name. The type of the \"{name}\" field must be a defined name or a \
                         {{\"type\": ...}} expression.",
                        shown(type_json)
                    ));
                }
            },
            other => self.parse_type(other)?,
        };
        check_name(&name)?;
        let order = match object.get("order") {
            None => Order::Ascending,
            Some(order) => match order.as_str().map(str::to_ascii_lowercase).as_deref() {
                Some("ascending") => Order::Ascending,
                Some("descending") => Order::Descending,
                Some("ignore") => Order::Ignore,
                _ => return wrong(format!("No such order: {}", shown(order))),
            },
        };
        let is_floating = matches!(self.nodes[schema.0 as usize].kind, Kind::Float | Kind::Double);
        let default = object.get("default").map(|default| match default {
            // Java reads a text as the number that it spells.
            Json::String(text) if is_floating => text
                .parse::<f64>()
                .ok()
                .and_then(serde_json::Number::from_f64)
                .map_or_else(|| default.clone(), Json::Number),
            other => other.clone(),
        });
        Ok(Field {
            schema,
            doc: text_of(object, "doc").map(str::to_owned),
            default,
            order,
            aliases: aliases(object)?,
            attributes: object
                .iter()
                .filter(|(name, _)| !FIELD_RESERVED.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            name,
        })
    }

    fn parse_enumeration(&mut self, json: &Json, object: &Map<String, Json>) -> Result<NodeId, ParseError> {
        let name = self.name_of(object)?;
        let Some(Json::Array(list)) = object.get("symbols") else {
            return wrong(format!("Enum has no symbols: {}", shown(json)));
        };
        let mut symbols = Vec::with_capacity(list.len());
        let mut known = HashSet::new();
        for symbol in list {
            let Some(symbol) = symbol.as_str() else {
                return wrong("Null name");
            };
            check_name(symbol)?;
            if !known.insert(symbol) {
                return wrong(format!("Duplicate enum symbol: {symbol}"));
            }
            symbols.push(symbol.to_owned());
        }
        let default = text_of(object, "default").map(str::to_owned);
        if let Some(default) = &default
            && !known.contains(default.as_str())
        {
            return wrong(format!(
                "The Enum Default: {default} is not in the enum symbol set: [{}]",
                symbols.join(", ")
            ));
        }
        let enumeration = Enumeration {
            name: name.clone(),
            doc: text_of(object, "doc").map(str::to_owned),
            aliases: type_aliases(object, &name)?,
            symbols,
            default,
        };
        self.define(&name, Kind::Enum(enumeration))
    }

    fn parse_fixed(&mut self, json: &Json, object: &Map<String, Json>) -> Result<NodeId, ParseError> {
        let name = self.name_of(object)?;
        let size = object.get("size").and_then(Json::as_i64);
        let Some(size) = size.and_then(|size| i32::try_from(size).ok()) else {
            return wrong(format!("Invalid or no size: {}", shown(json)));
        };
        let Ok(size) = usize::try_from(size) else {
            return wrong(format!("Invalid fixed size: {size}"));
        };
        let fixed = Fixed {
            name: name.clone(),
            doc: text_of(object, "doc").map(str::to_owned),
            aliases: type_aliases(object, &name)?,
            size,
        };
        self.define(&name, Kind::Fixed(fixed))
    }
}

fn primitive(word: &str) -> Option<Kind> {
    Some(match word {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "int" => Kind::Int,
        "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "bytes" => Kind::Bytes,
        "string" => Kind::String,
        _ => return None,
    })
}

fn aliases(object: &Map<String, Json>) -> Result<Vec<String>, ParseError> {
    let Some(list) = object.get("aliases") else {
        return Ok(Vec::new());
    };
    let Json::Array(list) = list else {
        return wrong(format!("aliases not an array: {}", shown(list)));
    };
    let mut aliases: Vec<String> = Vec::with_capacity(list.len());
    let mut known = HashSet::new();
    for alias in list {
        match alias.as_str() {
            Some(alias) if known.insert(alias) => aliases.push(alias.to_owned()),
            Some(_) => {}
            None => return wrong(format!("alias not a string: {}", shown(alias))),
        }
    }
    Ok(aliases)
}

fn type_aliases(object: &Map<String, Json>, name: &Name) -> Result<Vec<Name>, ParseError> {
    let aliases = aliases(object)?.into_iter();
    aliases.map(|alias| Name::new(&alias, name.namespace())).collect()
}

/// What Jackson would say, for the mistake that people make: a text that ends too early.
fn json_error(text: &str, error: &serde_json::Error) -> ParseError {
    const SOURCE: &str =
        "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: ";
    let position = |end: usize| {
        let before = &text[..end];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{SOURCE}{line}, column: {column}]")
    };
    if error.is_eof()
        && let Some((bracket, open)) = innermost_open(text)
    {
        let what = if bracket == '{' { "Object" } else { "Array" };
        return ParseError::Json(format!(
            "com.fasterxml.jackson.core.io.JsonEOFException: Unexpected end-of-input: expected close marker for {what} \
             (start marker at {})\n at {}",
            position(open),
            position(text.len()),
        ));
    }
    ParseError::Json(format!("com.fasterxml.jackson.core.JsonParseException: {error}"))
}

/// The bracket that is still open at the end, outside of texts.
fn innermost_open(text: &str) -> Option<(char, usize)> {
    let mut open = Vec::new();
    let (mut in_text, mut escaped) = (false, false);
    for (place, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            _ if in_text => {}
            '{' | '[' => open.push((character, place)),
            '}' | ']' => {
                open.pop();
            }
            _ => {}
        }
    }
    open.pop().filter(|_| !in_text)
}
