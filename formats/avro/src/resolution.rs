//! Data of one schema read as another: fields by their names, promotions, defaults.
//!
//! What can be read is decided by [`compatibility`](crate::compatibility) alone; this carries it out.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::Value as Json;

use crate::compatibility::{Checker, is_promotion, writer_field};
use crate::{Field, Kind, NodeId, Schema, Value};

/// Why a value of the writer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// No type of the reader takes the value.
    #[error("the reader's {reader} cannot read the writer's {writer}")]
    Types {
        /// The reader's type.
        reader: String,
        /// The writer's.
        writer: String,
    },
    /// The reader does not know a symbol, and has no default.
    #[error("the reader's `{name}` has no symbol `{symbol}`")]
    Symbol {
        /// The enumeration.
        name: String,
        /// The symbol.
        symbol: String,
    },
    /// The reader's field is missing in the data, and has no default.
    #[error("the field `{0}` is missing, and has no default")]
    Missing(String),
    /// A default is no value of its type.
    #[error("the default of the field `{0}` is no value of its type")]
    Default(String),
    /// Bytes that are to be read as a text are none.
    #[error("bytes that are not UTF-8 where the reader has a string")]
    Text,
}

/// How values of a writer's schema are read with a reader's.
pub struct Resolution<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    checker: RefCell<Checker<'a>>,
}

impl<'a> Resolution<'a> {
    /// Reads values of `writer` as values of `reader`.
    pub fn new(reader: &'a Schema, writer: &'a Schema) -> Self {
        Self {
            reader,
            writer,
            checker: RefCell::new(Checker::new(reader, writer)),
        }
    }

    /// A value of the writer as a value of the reader.
    ///
    /// # Errors
    /// [`ResolveError`] says what of it the reader cannot take.
    pub fn resolve(&self, value: &Value) -> Result<Value, ResolveError> {
        self.node(self.reader.root(), self.writer.root(), value)
    }

    fn types(&self, reader: NodeId, writer: NodeId) -> ResolveError {
        ResolveError::Types {
            reader: self.reader.kind(reader).branch_name().to_owned(),
            writer: self.writer.kind(writer).branch_name().to_owned(),
        }
    }

    fn node(&self, reader: NodeId, writer: NodeId, value: &Value) -> Result<Value, ResolveError> {
        let (reader_kind, writer_kind) = (self.reader.kind(reader), self.writer.kind(writer));
        if let (Kind::Union(branches), Value::Union(place, value)) = (writer_kind, value) {
            let branch = branches
                .get(*place as usize)
                .ok_or_else(|| self.types(reader, writer))?;
            return self.node(reader, *branch, value);
        }
        if let Kind::Union(branches) = reader_kind {
            let place = self
                .branch(branches, writer)
                .ok_or_else(|| self.types(reader, writer))?;
            let value = self.node(branches[place], writer, value)?;
            // A union has no more branches than a schema has types.
            return Ok(Value::Union(place as u32, Box::new(value)));
        }
        let is_named_alike = || match (reader_kind.name(), writer_kind.name()) {
            (Some(one), Some(other)) => one.last() == other.last() || reader_kind.aliases().contains(other),
            _ => true,
        };
        match (reader_kind, writer_kind, value) {
            (Kind::Record(one), Kind::Record(other), Value::Record(values)) if is_named_alike() => {
                let places: HashMap<&str, usize> = other
                    .fields
                    .iter()
                    .enumerate()
                    .map(|(place, field)| (field.name.as_str(), place))
                    .collect();
                let writers: HashMap<&str, &Field> = other
                    .fields
                    .iter()
                    .map(|field| (field.name.as_str(), field))
                    .collect();
                let mut fields = Vec::with_capacity(one.fields.len());
                for field in &one.fields {
                    let written = writer_field(&writers, field).map_err(|()| self.types(reader, writer))?;
                    let found = written.and_then(|written| {
                        let place = places.get(written.name.as_str())?;
                        Some((written.schema, values.get(*place)?))
                    });
                    fields.push(match found {
                        Some((written, value)) => self.node(field.schema, written, value)?,
                        None => self.default(field)?,
                    });
                }
                Ok(Value::Record(fields))
            }
            (Kind::Enum(one), Kind::Enum(other), Value::Enum(place)) if is_named_alike() => {
                let symbol = other
                    .symbols
                    .get(*place as usize)
                    .ok_or_else(|| self.types(reader, writer))?;
                let known = |symbol: &String| one.symbols.iter().position(|known| known == symbol);
                let place = known(symbol).or_else(|| one.default.as_ref().and_then(known));
                let place = place.ok_or_else(|| ResolveError::Symbol {
                    name: one.name.full().to_owned(),
                    symbol: symbol.clone(),
                })?;
                Ok(Value::Enum(place as u32))
            }
            (Kind::Fixed(one), Kind::Fixed(other), Value::Fixed(bytes))
                if is_named_alike() && one.size == other.size =>
            {
                Ok(Value::Fixed(bytes.clone()))
            }
            (Kind::Array(one), Kind::Array(other), Value::Array(values)) => {
                let values = values.iter().map(|value| self.node(*one, *other, value));
                Ok(Value::Array(values.collect::<Result<_, _>>()?))
            }
            (Kind::Map(one), Kind::Map(other), Value::Map(entries)) => {
                let entries = entries.iter();
                let entries = entries.map(|(key, value)| Ok((key.clone(), self.node(*one, *other, value)?)));
                Ok(Value::Map(entries.collect::<Result<_, ResolveError>>()?))
            }
            (one, other, value) if is_promotion(other, one) => promoted(one, value),
            _ => Err(self.types(reader, writer)),
        }
    }

    /// The reader's branch for a type of the writer: the same type before one that it can be promoted to.
    fn branch(&self, branches: &[NodeId], writer: NodeId) -> Option<usize> {
        let mut checker = self.checker.borrow_mut();
        let readable: Vec<usize> = (0..branches.len())
            .filter(|place| checker.compare(branches[*place], writer).is_empty())
            .collect();
        let name = self.writer.kind(writer).branch_name();
        let same = |place: &usize| self.reader.kind(branches[*place]).branch_name() == name;
        readable.iter().copied().find(same).or(readable.first().copied())
    }

    fn default(&self, field: &Field) -> Result<Value, ResolveError> {
        let default = field
            .default
            .as_ref()
            .ok_or_else(|| ResolveError::Missing(field.name.clone()))?;
        self.spelled_by(field.schema, default, 0)
            .ok_or_else(|| ResolveError::Default(field.name.clone()))
    }

    /// The value that a default spells. Nesting is bounded by that of the schema's text.
    fn spelled_by(&self, id: NodeId, json: &Json, depth: usize) -> Option<Value> {
        if depth > crate::encode::DEEPEST {
            return None;
        }
        Some(match (self.reader.kind(id), json) {
            (Kind::Null, Json::Null) => Value::Null,
            (Kind::Boolean, Json::Bool(value)) => Value::Boolean(*value),
            (Kind::Int, json) => Value::Int(i32::try_from(json.as_i64()?).ok()?),
            (Kind::Long, json) => Value::Long(json.as_i64()?),
            // What a double holds beyond a float is not the schema's to say.
            (Kind::Float, json) => Value::Float(json.as_f64()? as f32),
            (Kind::Double, json) => Value::Double(json.as_f64()?),
            (Kind::String, Json::String(text)) => Value::String(text.clone()),
            (Kind::Bytes, Json::String(text)) => Value::Bytes(latin(text)?),
            (Kind::Fixed(fixed), Json::String(text)) => {
                Value::Fixed(latin(text).filter(|bytes| bytes.len() == fixed.size)?)
            }
            (Kind::Enum(enumeration), Json::String(symbol)) => {
                let place = enumeration.symbols.iter().position(|known| known == symbol)?;
                Value::Enum(u32::try_from(place).ok()?)
            }
            (Kind::Array(items), Json::Array(values)) => {
                let values = values.iter().map(|json| self.spelled_by(*items, json, depth + 1));
                Value::Array(values.collect::<Option<_>>()?)
            }
            (Kind::Map(items), Json::Object(entries)) => {
                let entries = entries.iter();
                let entries =
                    entries.map(|(key, json)| Some((key.clone(), self.spelled_by(*items, json, depth + 1)?)));
                Value::Map(entries.collect::<Option<_>>()?)
            }
            (Kind::Record(record), Json::Object(entries)) => {
                let fields = record.fields.iter().map(|field| {
                    let json = entries.get(&field.name).or(field.default.as_ref())?;
                    self.spelled_by(field.schema, json, depth + 1)
                });
                Value::Record(fields.collect::<Option<_>>()?)
            }
            // The first branch by the specification; what Java's lenient parser let in is found as well.
            (Kind::Union(branches), json) => {
                let found = branches.iter().enumerate().find_map(|(place, branch)| {
                    Some((
                        u32::try_from(place).ok()?,
                        self.spelled_by(*branch, json, depth + 1)?,
                    ))
                });
                let (place, value) = found?;
                Value::Union(place, Box::new(value))
            }
            _ => return None,
        })
    }
}

/// The bytes of a default: each character one byte.
fn latin(text: &str) -> Option<Vec<u8>> {
    text.chars()
        .map(|character| u8::try_from(character).ok())
        .collect()
}

fn promoted(reader: &Kind, value: &Value) -> Result<Value, ResolveError> {
    Ok(match (reader, value) {
        (Kind::Long, Value::Int(value)) => Value::Long(i64::from(*value)),
        // Avro's promotions lose precision where the types do.
        (Kind::Float, Value::Int(value)) => Value::Float(*value as f32),
        (Kind::Float, Value::Long(value)) => Value::Float(*value as f32),
        (Kind::Double, Value::Int(value)) => Value::Double(f64::from(*value)),
        (Kind::Double, Value::Long(value)) => Value::Double(*value as f64),
        (Kind::Double, Value::Float(value)) => Value::Double(f64::from(*value)),
        (Kind::Bytes, Value::String(text)) => Value::Bytes(text.clone().into_bytes()),
        (Kind::String, Value::Bytes(bytes)) => {
            Value::String(String::from_utf8(bytes.clone()).map_err(|_| ResolveError::Text)?)
        }
        (_, value) => value.clone(),
    })
}
