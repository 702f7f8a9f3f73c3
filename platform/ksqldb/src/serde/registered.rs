//! Formats whose records say which schema of a registry they were written with.
//!
//! Nothing here asks a registry. Who has records to read asks a decoder which schema it misses, fetches that and has it
//! [learned](Learned::learn); who has records to write fetches what a [`SinkSchema`](super::sink_schema::SinkSchema) needs, and has it prepared. So
//! reading and writing stay what they are for every format, from bytes to values and back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use osqdemo_avro::Schema as Avro;
use osqdemo_protobuf::Linked;
use osqdemo_registry_client::wire::{SchemaId, split};
use serde_json::Value as Json;

use super::{DecoderColumn, Format, SerdeError, avro, json_sr, protobuf};
use crate::types::{SqlType, StructField};
use crate::value::Value;

/// How many schemas a source's records may have been written with before the oldest are asked for again.
const MOST_LEARNED: usize = 1_000;

/// How long a schema that could not be had is not asked for again.
const REFUSED_FOR: Duration = Duration::from_secs(10);

/// A schema that records are written with, in the form that its format reads.
#[derive(Debug, Clone)]
pub enum WriterSchema {
    /// Avro.
    Avro(Arc<Avro>),
    /// JSON Schema.
    Json(Arc<Json>),
    /// Protocol Buffers: a file and what it imports.
    Protobuf(Linked),
}

/// How a statement wants a schema to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// What becomes of its names.
    pub(crate) names: Names,
    /// The format of the records.
    pub(crate) format: Format,
    /// Which one of its types, where it has several.
    pub(crate) full_name: Option<&'a str>,
}

/// What becomes of a schema's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// As those that nobody quotes.
    UpperCase,
    /// They stay as they are: those of a schema that a statement names by its id.
    AsWritten,
}

/// What a schema is in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InferredType {
    /// Columns.
    Columns(Vec<StructField>),
    /// One value that has no name.
    Anonymous(SqlType),
}

/// How many types a schema may be made of, once each name is replaced by what it means: a short text can mean very
/// many. A field's name counts as another one for each [`NAME`] of its bytes.
const MOST_TYPES: usize = 20_000;

/// How deep types may stand in one another: whatever looks into them calls itself for each.
const DEEPEST_TYPE: usize = 100;

/// The length of a usual name.
const NAME: usize = 100;

/// Counts the types of a schema while its columns are made.
#[derive(Debug, Default)]
pub(super) struct TypeCount(usize);

impl TypeCount {
    /// One more, that deep, or too many.
    pub(super) fn add_type(&mut self, depth: usize) -> Result<(), String> {
        if depth > DEEPEST_TYPE {
            return Err(format!(
                "the types of the schema stand more than {DEEPEST_TYPE} deep in one another"
            ));
        }
        self.add(1)
    }

    /// One that is put together from so many others.
    pub(super) fn add_parts(&mut self, parts: usize) -> Result<(), String> {
        self.add(parts.saturating_sub(1))
    }

    /// A field of that name.
    pub(super) fn add_name(&mut self, name: &str) -> Result<(), String> {
        self.add(name.len() / NAME)
    }

    fn add(&mut self, types: usize) -> Result<(), String> {
        self.0 += types;
        if self.0 > MOST_TYPES {
            return Err(format!("the schema is made of more than {MOST_TYPES} types"));
        }
        Ok(())
    }
}

/// What a decoder knows of the schemas that its records name.
#[derive(Debug)]
pub(crate) struct Learned {
    pub(super) subject: String,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    readers: HashMap<SchemaId, Knowledge>,
    order: VecDeque<SchemaId>,
}

#[derive(Debug, Clone)]
enum Knowledge {
    Reader(Arc<PayloadReader>),
    /// It cannot be had, as was found then.
    Refused(Arc<str>, Instant),
}

#[derive(Debug)]
enum PayloadReader {
    Avro(avro::RecordReader),
    Protobuf(protobuf::RecordReader),
}

impl Names {
    pub(super) fn of(self, name: &str) -> String {
        match self {
            Self::UpperCase => name.to_uppercase(),
            Self::AsWritten => name.to_owned(),
        }
    }
}

impl WriterSchema {
    /// What it is in SQL, or why it is nothing there.
    pub(crate) fn infer(&self, reading: Reading<'_>) -> Result<InferredType, String> {
        let names = reading.names;
        match self {
            Self::Avro(schema) => avro::infer(schema, names),
            Self::Json(schema) => json_sr::infer(schema, names),
            Self::Protobuf(file) => protobuf::infer(file, reading.full_name, names, reading.format.nulls()),
        }
    }

    /// The full name of its record.
    pub(crate) fn full_name(&self) -> Option<String> {
        match self {
            Self::Avro(schema) => schema
                .kind(schema.root())
                .name()
                .map(|name| name.full().to_owned()),
            // A title is a text for people.
            Self::Json(_) => None,
            Self::Protobuf(file) => file
                .message(None)
                .map(|(_, message)| message.full_name().to_owned()),
        }
    }

    /// The format of its records.
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Avro(_) => Format::Avro,
            Self::Json(_) => Format::JsonSr,
            Self::Protobuf(_) => Format::Protobuf {
                nulls: protobuf::Nulls::default(),
            },
        }
    }

    /// A record's data as a line of text; `None` where they are not those of the schema.
    pub(crate) fn text(&self, data: &[u8]) -> Option<String> {
        match self {
            Self::Avro(schema) => avro::text(schema, data),
            Self::Protobuf(file) => protobuf::text(file, data),
            Self::Json(_) => {
                let text = str::from_utf8(data).ok()?;
                serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
                Some(text.to_owned())
            }
        }
    }

    fn reader(
        &self,
        format: Format,
        columns: &[DecoderColumn],
        is_bare: bool,
    ) -> Result<PayloadReader, String> {
        match self {
            Self::Protobuf(file) => {
                let reader = protobuf::RecordReader::of_file(file.clone(), columns, format.nulls());
                Ok(PayloadReader::Protobuf(reader))
            }
            Self::Avro(schema) => {
                let reader = avro::RecordReader::new(Arc::clone(schema), columns, is_bare);
                Ok(PayloadReader::Avro(reader))
            }
            Self::Json(_) => Err("JSON is read without its schema".to_owned()),
        }
    }
}

impl Learned {
    pub(super) fn new(subject: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            known: RwLock::default(),
        }
    }

    /// The subject under which the schemas are expected.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// The schema that has to be learned before these bytes can be read. Bytes that name none need none.
    pub(super) fn missing(&self, bytes: &[u8]) -> Option<SchemaId> {
        let (id, _) = split(bytes).ok()?;
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match known.readers.get(&id) {
            Some(Knowledge::Reader(_)) => None,
            Some(Knowledge::Refused(_, since)) if since.elapsed() < REFUSED_FOR => None,
            Some(Knowledge::Refused(..)) | None => Some(id),
        }
    }

    /// Notes a schema, or why there is none to read records with.
    pub(super) fn learn(
        &self,
        id: SchemaId,
        schema: Result<&WriterSchema, String>,
        format: Format,
        columns: &[DecoderColumn],
        is_bare: bool,
    ) {
        let reader = schema.and_then(|schema| schema.reader(format, columns, is_bare));
        let knowledge = match reader {
            Ok(reader) => Knowledge::Reader(Arc::new(reader)),
            Err(reason) => Knowledge::Refused(reason.into(), Instant::now()),
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.readers.insert(id, knowledge).is_none() {
            known.order.push_back(id);
        }
        if known.order.len() > MOST_LEARNED
            && let Some(oldest) = known.order.pop_front()
        {
            known.readers.remove(&oldest);
        }
    }

    /// Reads a record; `false` where it is null as a whole.
    pub(super) fn read(&self, bytes: &[u8], row: &mut [Value]) -> Result<bool, SerdeError> {
        let (id, data) = split(bytes).map_err(|error| SerdeError::new(error.to_string()))?;
        let knowledge = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            known.readers.get(&id).cloned()
        };
        match knowledge {
            Some(Knowledge::Reader(reader)) => match &*reader {
                PayloadReader::Avro(reader) => reader.read(data, row),
                PayloadReader::Protobuf(reader) => reader.read(data, row),
            },
            Some(Knowledge::Refused(reason, _)) => Err(SerdeError::new(&*reason)),
            None => Err(SerdeError::new(format!("the schema {id} is not known yet"))),
        }
    }
}

/// For each written name the column that it belongs to: the one of exactly that name, else of its upper-cased name.
/// Of several that belong to one column, the exact one does.
pub(super) fn owners<'a>(written: impl Iterator<Item = &'a str>, columns: &[&str]) -> Vec<Option<usize>> {
    let exact = |name: &str| columns.iter().position(|column| *column == name);
    let written: Vec<&str> = written.collect();
    let taken: Vec<usize> = written.iter().filter_map(|name| exact(name)).collect();
    written
        .iter()
        .map(|name| {
            exact(name).or_else(|| exact(&name.to_uppercase()).filter(|column| !taken.contains(column)))
        })
        .collect()
}

/// A type's name in Connect's messages.
pub(super) fn connect_name(sql_type: &SqlType) -> &'static str {
    match sql_type {
        SqlType::Boolean => "boolean",
        SqlType::Integer | SqlType::Date | SqlType::Time => "int32",
        SqlType::Bigint | SqlType::Timestamp => "int64",
        SqlType::Double => "float64",
        SqlType::String => "string",
        SqlType::Bytes | SqlType::Decimal { .. } => "bytes",
        SqlType::Array(_) => "array",
        SqlType::Map(..) => "map",
        SqlType::Struct(_) => "struct",
    }
}
