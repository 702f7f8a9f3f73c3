//! Formats whose records say which schema of a registry they were written with.
//!
//! Nothing here asks a registry. Who has records to read asks a decoder which schema it misses, fetches that and has it
//! [learned](Learned::learn); who has records to write fetches what a [`SinkSchema`] needs, and has it prepared. So
//! reading and writing stay what they are for every format, from bytes to values and back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use osqdemo_avro::Schema as Avro;
use osqdemo_registry_client::wire::{SchemaId, split, write_id};
use osqdemo_registry_client::{Schema as RegistrySchema, SchemaType};

use super::avro;
use super::{DecoderColumn, Format, SerdeError};
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

/// What a decoder knows of the schemas that its records name.
#[derive(Debug)]
pub(crate) struct Learned {
    subject: String,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    readers: HashMap<u32, Knowledge>,
    order: VecDeque<u32>,
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
}

#[derive(Debug)]
enum PayloadWriter {
    Avro(avro::RecordWriter),
}

/// The schema that the keys or values of a source are written with.
#[derive(Debug)]
pub(crate) struct SinkSchema {
    /// Where it is registered.
    pub(crate) subject: String,
    /// Its id, where the statement names one: then it is not made of the columns.
    pub(crate) id: Option<u32>,
    /// How its records are written.
    pub(crate) format: Format,
    columns: Vec<(String, SqlType)>,
    is_bare: bool,
    full_name: String,
    writer: OnceLock<(u32, PayloadWriter)>,
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
    pub(crate) fn infer(&self, names: Names) -> Result<InferredType, String> {
        match self {
            Self::Avro(schema) => avro::infer(schema, names),
        }
    }

    /// The full name of its record.
    pub(crate) fn full_name(&self) -> Option<String> {
        match self {
            Self::Avro(schema) => schema
                .kind(schema.root())
                .name()
                .map(|name| name.full().to_owned()),
        }
    }

    fn reader(&self, columns: &[DecoderColumn], is_bare: bool) -> PayloadReader {
        match self {
            Self::Avro(schema) => {
                PayloadReader::Avro(avro::RecordReader::new(Arc::clone(schema), columns, is_bare))
            }
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
    pub(super) fn missing(&self, bytes: &[u8]) -> Option<u32> {
        let Ok((SchemaId::Id(id), _)) = split(bytes) else {
            return None;
        };
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
        id: u32,
        schema: Result<&WriterSchema, String>,
        columns: &[DecoderColumn],
        is_bare: bool,
    ) {
        let knowledge = match schema {
            Ok(schema) => Knowledge::Reader(Arc::new(schema.reader(columns, is_bare))),
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
        let SchemaId::Id(id) = id else {
            return Err(SerdeError::new("Unknown magic byte!"));
        };
        let knowledge = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            known.readers.get(&id).cloned()
        };
        match knowledge {
            Some(Knowledge::Reader(reader)) => match &*reader {
                PayloadReader::Avro(reader) => reader.read(data, row),
            },
            Some(Knowledge::Refused(reason, _)) => Err(SerdeError::new(&*reason)),
            None => Err(SerdeError::new(format!("the schema {id} is not known yet"))),
        }
    }
}

impl SinkSchema {
    pub(crate) fn new(
        subject: String,
        id: Option<u32>,
        format: Format,
        columns: Vec<(String, SqlType)>,
        is_bare: bool,
        full_name: String,
    ) -> Self {
        Self {
            subject,
            id,
            format,
            columns,
            is_bare,
            full_name,
            writer: OnceLock::new(),
        }
    }

    /// The schema as it is registered, or why there is none of such columns.
    pub(crate) fn declare(&self) -> Result<RegistrySchema, String> {
        match self.format {
            Format::Avro => {
                avro::declare(&self.columns, self.is_bare, &self.full_name).map(RegistrySchema::avro)
            }
            other => Err(format!("the format {other} has no schemas in a registry")),
        }
    }

    /// Whether a schema of a registry is the one that is made of the columns.
    pub(crate) fn is_declared_as(&self, registered: &RegistrySchema) -> bool {
        let Ok(declared) = self.declare() else {
            return false;
        };
        if declared.schema_type != registered.schema_type {
            return false;
        }
        match (Avro::parse(&declared.schema), Avro::parse(&registered.schema)) {
            (Ok(declared), Ok(registered)) => declared.is_equivalent(&registered),
            _ => declared.schema == registered.schema,
        }
    }

    /// The language of its schemas.
    pub(crate) fn schema_type(&self) -> SchemaType {
        self.format.schema_type().unwrap_or_default()
    }

    /// Whether records can be written.
    pub(crate) fn is_prepared(&self) -> bool {
        self.writer.get().is_some()
    }

    /// Takes the schema with its id, or says why the columns cannot be written with it.
    pub(crate) fn prepare(&self, id: u32, schema: &WriterSchema) -> Result<(), String> {
        let writer = match schema {
            WriterSchema::Avro(schema) => {
                PayloadWriter::Avro(avro::RecordWriter::new(schema, &self.columns, self.is_bare)?)
            }
        };
        // Whoever was first has prepared the same.
        let _ = self.writer.set((id, writer));
        Ok(())
    }

    pub(super) fn write(&self, values: &[Value]) -> Result<Vec<u8>, SerdeError> {
        let Some((id, writer)) = self.writer.get() else {
            return Err(SerdeError::new(format!(
                "the schema of `{}` is not known yet",
                self.subject
            )));
        };
        let mut bytes = Vec::with_capacity(128);
        write_id(*id, &mut bytes);
        match writer {
            PayloadWriter::Avro(writer) => writer.write(values, &mut bytes)?,
        }
        Ok(bytes)
    }
}
