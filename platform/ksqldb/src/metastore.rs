//! The declared sources, by name.
//!
//! It only remembers: it checks no statement, runs no query and knows no broker.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::serde::Format;
use crate::syntax::ast::SourceKind;
use crate::types::Schema;

/// A stream or table: a topic with a schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its name; unquoted names are upper case.
    pub name: String,
    /// Stream or table.
    pub kind: SourceKind,
    /// Its columns: key columns first, then value columns and headers in order of declaration.
    pub schema: Schema,
    /// The topic.
    pub topic: String,
    /// How the records' keys are written; [`Format::None`] only where there is no key column.
    pub key_format: Format,
    /// How the records' values are written.
    pub value_format: Format,
    /// What the statement says of the keys' schema.
    pub key_schema: SchemaOptions,
    /// What the statement says of the values' schema.
    pub value_schema: SchemaOptions,
    /// Whether a single value column is wrapped in an object (`WRAP_SINGLE_VALUE`).
    pub wrap_single_value: bool,
    /// The column whose value is a row's time; `None`: the record's own timestamp.
    pub timestamp: Option<TimestampColumn>,
    /// `PARTITIONS`: what the statement asks for, where the topic has to be made.
    pub partitions: Option<i32>,
    /// `REPLICAS`: what the statement asks for, where the topic has to be made.
    pub replicas: Option<i16>,
    /// `RETENTION_MS`: what the statement asks for, where the topic has to be made.
    pub retention_ms: Option<i64>,
    /// What each column of namespace `Headers` takes, in their order: one header, or (`None`) all of them.
    pub headers: Vec<Option<String>>,
    /// The windows that the records' keys end with.
    pub window: Option<SourceWindow>,
    /// `CREATE SOURCE …`: nothing may be inserted.
    pub read_only: bool,
    /// The sources that the query which fills this one reads; empty where no query does.
    pub derived_from: Vec<String>,
    /// The statement that made it.
    pub statement: String,
}

/// `KEY_SCHEMA_FULL_NAME`, `VALUE_SCHEMA_ID` and their like: what a statement says of a schema in a registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaOptions {
    /// The full name of the record.
    pub full_name: Option<String>,
    /// The id of the schema.
    pub id: Option<u32>,
}

/// The windows of a windowed source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceWindow {
    /// Windows that follow each other.
    Tumbling {
        /// How long each is.
        size_ms: i64,
    },
    /// Windows that overlap.
    Hopping {
        /// How long each is.
        size_ms: i64,
    },
    /// Sessions.
    Session,
}

impl SourceWindow {
    /// Its kind, as ksqlDB prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tumbling { .. } => "TUMBLING",
            Self::Hopping { .. } => "HOPPING",
            Self::Session => "SESSION",
        }
    }
}

/// `TIMESTAMP = 'column' [, TIMESTAMP_FORMAT = 'pattern']`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampColumn {
    /// The column's name.
    pub column: String,
    /// The pattern (of `java.time`'s `DateTimeFormatter`) of a `STRING` column.
    pub format: Option<String>,
}

/// The declared sources. A clone is cheap, shares the sources and changes on its own: the sandbox in which
/// a request's statements are tried before the first of them is executed.
#[derive(Debug, Clone, Default)]
pub struct Metastore {
    sources: BTreeMap<String, Arc<Source>>,
}

impl Metastore {
    /// The source of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Source>> {
        self.sources.get(name)
    }

    /// Remembers a source, in place of another of the same name, which it returns.
    pub fn insert(&mut self, source: Arc<Source>) -> Option<Arc<Source>> {
        self.sources.insert(source.name.clone(), source)
    }

    /// Forgets the source of that name.
    pub fn remove(&mut self, name: &str) -> Option<Arc<Source>> {
        self.sources.remove(name)
    }

    /// How many sources there are.
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Every source, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.sources.values()
    }

    /// The sources that are filled by a query over the source of that name.
    pub fn derived_from(&self, name: &str) -> impl Iterator<Item = &Arc<Source>> {
        self.sources
            .values()
            .filter(move |source| source.derived_from.iter().any(|origin| origin == name))
    }
}
