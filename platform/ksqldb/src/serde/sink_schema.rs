//! The schema that a query's records are written with.

use std::sync::OnceLock;

use osqdemo_avro::Schema as Avro;
use osqdemo_protobuf::File;
use osqdemo_registry_client::wire::write_id;
use osqdemo_registry_client::{Schema as RegistrySchema, SchemaType};
use serde_json::Value as Json;

use super::registered::WriterSchema;
use super::{Format, SerdeError, avro, json_sr, protobuf};
use crate::types::SqlType;
use crate::value::Value;

#[derive(Debug)]
enum PayloadWriter {
    Avro(avro::RecordWriter),
    Json(json_sr::RecordWriter),
    Protobuf(protobuf::RecordWriter),
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
    /// The name of its record, where it is to have one.
    pub(super) full_name: Option<String>,
    writer: OnceLock<(u32, PayloadWriter)>,
}

impl SinkSchema {
    pub(crate) fn new(
        subject: String,
        id: Option<u32>,
        format: Format,
        columns: Vec<(String, SqlType)>,
        is_bare: bool,
        full_name: Option<String>,
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
                let name = self.full_name.as_deref().unwrap_or(&self.subject);
                avro::declare(&self.columns, self.is_bare, name).map(RegistrySchema::avro)
            }
            Format::JsonSr => Ok(RegistrySchema {
                schema: json_sr::declare(&self.columns, self.is_bare, self.full_name.as_deref()),
                schema_type: SchemaType::Json,
                references: Vec::new(),
            }),
            Format::Protobuf { nulls } => Ok(RegistrySchema {
                schema: protobuf::declare(&self.columns, self.is_bare, nulls, self.full_name.as_deref())?,
                schema_type: SchemaType::Protobuf,
                references: Vec::new(),
            }),
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
        let (declared, registered) = (&declared.schema, &registered.schema);
        match self.format {
            Format::Avro => match (Avro::parse(declared), Avro::parse(registered)) {
                (Ok(declared), Ok(registered)) => declared.is_equivalent(&registered),
                _ => declared == registered,
            },
            Format::Protobuf { .. } => match (File::parse(declared), File::parse(registered)) {
                (Ok(declared), Ok(registered)) => declared.says_the_same(&registered),
                _ => declared == registered,
            },
            _ => {
                let parsed = |text: &str| serde_json::from_str::<Json>(text).ok();
                declared == registered || parsed(declared) == parsed(registered)
            }
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
            WriterSchema::Json(schema) => {
                PayloadWriter::Json(json_sr::RecordWriter::new(schema, &self.columns, self.is_bare))
            }
            WriterSchema::Protobuf(file) => PayloadWriter::Protobuf(protobuf::RecordWriter::of_file(
                file,
                self.full_name.as_deref(),
                &self.columns,
                self.format.nulls(),
            )?),
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
            PayloadWriter::Json(writer) => writer.write(values, &mut bytes),
            PayloadWriter::Protobuf(writer) => writer.write(values, &mut bytes)?,
        }
        Ok(bytes)
    }
}
