//! A schema: its types in one list, so that a named type has one identity however often it is used, also by itself.

mod equality;
mod parser;
mod text;

use serde_json::{Map, Value as Json};

pub use parser::ParseError;
pub use text::json_text;

/// A type of a schema, by its place in the schema's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

/// A parsed schema, with the definitions of the types that it refers to.
#[derive(Debug, Clone)]
pub struct Schema {
    nodes: Vec<Node>,
    root: NodeId,
    /// The types at the root of the texts that were given as references: a text names them and does not define them.
    references: Vec<NodeId>,
}

/// One type, with the attributes that Avro gives no meaning to.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Further attributes, `logicalType` among them, in their order.
    pub attributes: Map<String, Json>,
}

/// What a type is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// `null`
    Null,
    /// `boolean`
    Boolean,
    /// `int`
    Int,
    /// `long`
    Long,
    /// `float`
    Float,
    /// `double`
    Double,
    /// `bytes`
    Bytes,
    /// `string`
    String,
    /// `array`, of items.
    Array(NodeId),
    /// `map`, of values.
    Map(NodeId),
    /// A union, of branches.
    Union(Vec<NodeId>),
    /// `record`, or `error`.
    Record(Record),
    /// `enum`
    Enum(Enumeration),
    /// `fixed`
    Fixed(Fixed),
}

/// The name of a named type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    full: String,
    /// Where the last part begins.
    last: usize,
}

/// A record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its name.
    pub name: Name,
    /// Whether it was declared as `error`.
    pub is_error: bool,
    /// Its documentation.
    pub doc: Option<String>,
    /// Other names.
    pub aliases: Vec<Name>,
    /// Its fields, in the order of the encoding.
    pub fields: Vec<Field>,
}

/// A field of a record.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub schema: NodeId,
    /// Its documentation.
    pub doc: Option<String>,
    /// What a reader takes where the writer had no such field. Not checked against the type, as registries do not.
    pub default: Option<Json>,
    /// How it is sorted.
    pub order: Order,
    /// Other names.
    pub aliases: Vec<String>,
    /// Further attributes, in their order.
    pub attributes: Map<String, Json>,
}

/// How a field takes part in the order of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// `ascending`
    #[default]
    Ascending,
    /// `descending`
    Descending,
    /// `ignore`
    Ignore,
}

/// An enumeration.
#[derive(Debug, Clone)]
pub struct Enumeration {
    /// Its name.
    pub name: Name,
    /// Its documentation.
    pub doc: Option<String>,
    /// Other names.
    pub aliases: Vec<Name>,
    /// Its symbols, in the order of the encoding.
    pub symbols: Vec<String>,
    /// What a reader takes for a symbol that it does not know.
    pub default: Option<String>,
}

/// A fixed number of bytes.
#[derive(Debug, Clone)]
pub struct Fixed {
    /// Its name.
    pub name: Name,
    /// Its documentation.
    pub doc: Option<String>,
    /// Other names.
    pub aliases: Vec<Name>,
    /// How many.
    pub size: usize,
}

impl Schema {
    /// Parses a schema that refers to no other text.
    ///
    /// # Errors
    /// [`ParseError`] says what is wrong, in the words of Java's parser.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_with(text, std::iter::empty::<&str>())
    }

    /// Parses a schema that uses the types of other texts, each of which may use those before it.
    ///
    /// # Errors
    /// [`ParseError`] says what is wrong, in the words of Java's parser.
    pub fn parse_with<T: AsRef<str>>(
        text: &str,
        references: impl IntoIterator<Item = T>,
    ) -> Result<Self, ParseError> {
        parser::parse(text, references)
    }

    /// The type of a value.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// A type.
    pub fn node(&self, id: NodeId) -> &Node {
        // Identities are given out by the parser alone, and are places in this list.
        &self.nodes[id.0 as usize]
    }

    /// What a type is.
    pub fn kind(&self, id: NodeId) -> &Kind {
        &self.node(id).kind
    }

    /// How many types it has.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: a schema has a root.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The record at the root, where it is one.
    pub fn record(&self) -> Option<&Record> {
        match self.kind(self.root) {
            Kind::Record(record) => Some(record),
            _ => None,
        }
    }
}

impl Node {
    /// Its logical type, where it says one.
    pub fn logical_type(&self) -> Option<&str> {
        self.attributes.get("logicalType").and_then(Json::as_str)
    }
}

impl Kind {
    /// `int`, `record`: the word in a schema.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Record(_) => "record",
            Self::Enum(_) => "enum",
            Self::Fixed(_) => "fixed",
        }
    }

    /// The name of a named type.
    pub fn name(&self) -> Option<&Name> {
        match self {
            Self::Record(record) => Some(&record.name),
            Self::Enum(enumeration) => Some(&enumeration.name),
            Self::Fixed(fixed) => Some(&fixed.name),
            _ => None,
        }
    }

    /// The other names of a named type.
    pub fn aliases(&self) -> &[Name] {
        match self {
            Self::Record(record) => &record.aliases,
            Self::Enum(enumeration) => &enumeration.aliases,
            Self::Fixed(fixed) => &fixed.aliases,
            _ => &[],
        }
    }

    /// A branch of a union is known by this: its full name, else its word.
    pub fn branch_name(&self) -> &str {
        self.name().map_or(self.word(), Name::full)
    }
}

impl Name {
    /// A name as it stands in a schema: dotted, or within a namespace.
    ///
    /// # Errors
    /// When the last part is no name.
    pub fn new(name: &str, namespace: Option<&str>) -> Result<Self, ParseError> {
        let (space, last) = match name.rsplit_once('.') {
            Some((space, last)) => (Some(space), last),
            None => (namespace, name),
        };
        parser::check_name(last)?;
        Ok(match space.filter(|space| !space.is_empty()) {
            Some(space) => Self {
                full: format!("{space}.{last}"),
                last: space.len() + 1,
            },
            None => Self {
                full: last.to_owned(),
                last: 0,
            },
        })
    }

    /// `site.Door`
    pub fn full(&self) -> &str {
        &self.full
    }

    /// `Door`
    pub fn last(&self) -> &str {
        &self.full[self.last..]
    }

    /// `site`
    pub fn namespace(&self) -> Option<&str> {
        self.last.checked_sub(1).map(|end| &self.full[..end])
    }
}

impl Order {
    /// Its word in a schema.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ascending => "ascending",
            Self::Descending => "descending",
            Self::Ignore => "ignore",
        }
    }
}
