//! The key or value of a record, read into the places of a row.

use std::borrow::Cow;
use std::sync::Arc;

use osqdemo_registry_client::wire::{SchemaId, split, with_header};

use super::json::{Field, FieldNames, Maps, Members, decode_bare, decode_members};
use super::{Demand, Format, Learned, SerdeError, Wrapping, WriterSchema, delimited, kafka, protobuf};
use crate::types::SqlType;
use crate::value::Value;

/// A column of the key or the value.
#[derive(Debug, Clone)]
pub(crate) struct DecoderColumn {
    /// Its name.
    pub(crate) name: String,
    /// Its type.
    pub(crate) sql_type: SqlType,
    /// Where in the row it goes and how much of it; `None`: it is only checked.
    pub(crate) target: Option<(usize, Demand)>,
}

impl Field for DecoderColumn {
    fn name(&self) -> &str {
        &self.name
    }

    fn sql_type(&self) -> &SqlType {
        &self.sql_type
    }

    fn demand(&self) -> Option<&Demand> {
        self.target.as_ref().map(|(_, demand)| demand)
    }
}

/// Whether there was anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The columns were read.
    Present,
    /// The whole key or value is null.
    Null,
}

/// Reads the keys or the values of a source.
#[derive(Debug, Clone)]
pub(crate) struct Decoder {
    format: Format,
    columns: Vec<DecoderColumn>,
    bare: bool,
    names: FieldNames,
    /// Of a format whose schemas are in a registry.
    learned: Option<Arc<Learned>>,
    /// Of `PROTOBUF_NOSR`, whose columns are its schema.
    messages: Option<Result<Arc<protobuf::RecordReader>, String>>,
}

impl Decoder {
    /// `subject`: under which name a registry has the schemas of such records, where the format has any.
    pub(crate) fn new(
        format: Format,
        wrapping: Wrapping,
        columns: Vec<DecoderColumn>,
        subject: &str,
    ) -> Self {
        let bare = columns.len() == 1 && wrapping == Wrapping::Unwrapped;
        let is_learned = matches!(format, Format::Avro | Format::Protobuf { .. });
        let messages = match format {
            Format::ProtobufNoSr { nulls } if !columns.is_empty() => {
                Some(protobuf::RecordReader::of_columns(&columns, bare, nulls).map(Arc::new))
            }
            _ => None,
        };
        Self {
            format,
            bare,
            names: FieldNames::of(&columns),
            learned: is_learned.then(|| Arc::new(Learned::new(subject))),
            messages,
            columns,
        }
    }

    /// What has to be known of a registry's schemas, where the format has any.
    pub(crate) fn schemas(&self) -> Option<(&Learned, Format)> {
        Some((self.learned.as_deref()?, self.format))
    }

    /// The bytes with what says their schema before them, which may stand in the header of that name.
    pub(crate) fn framed<'a>(
        &self,
        bytes: &'a [u8],
        headers: &[(&str, Option<&[u8]>)],
        name: &str,
    ) -> Cow<'a, [u8]> {
        if self.format.schema_type().is_none() {
            return Cow::Borrowed(bytes);
        }
        let header = headers.iter().rfind(|(header, _)| *header == name);
        with_header(bytes, header.and_then(|(_, value)| *value))
    }

    /// The schema that has to be learned before these bytes can be read.
    pub(crate) fn missing_schema(&self, bytes: &[u8]) -> Option<SchemaId> {
        // Without columns nothing is looked at.
        self.learned
            .as_ref()
            .filter(|_| !self.columns.is_empty())?
            .missing(bytes)
    }

    /// Takes a schema that was missing, or why there is none.
    pub(crate) fn learn_schema(&self, id: SchemaId, schema: Result<&WriterSchema, String>) {
        if let Some(learned) = &self.learned {
            learned.learn(id, schema, self.format, &self.columns, self.bare);
        }
    }

    /// Whether it reads more than one column.
    pub(crate) fn has_several_columns(&self) -> bool {
        self.columns.len() > 1
    }

    /// The JSON of a record, and how it may have its maps.
    fn json<'a>(&self, bytes: &'a [u8]) -> Result<(&'a [u8], Maps), SerdeError> {
        if self.format == Format::Json {
            return Ok((bytes, Maps::Objects));
        }
        let (_, text) = split(bytes).map_err(|error| SerdeError::new(error.to_string()))?;
        Ok((text, Maps::ObjectsOrEntries))
    }

    /// Reads `bytes` into `row`; columns that are missing or null keep what is there.
    pub(crate) fn decode(&self, bytes: &[u8], row: &mut [Value]) -> Result<Presence, SerdeError> {
        if let Some(learned) = &self.learned {
            if self.columns.is_empty() {
                return Ok(Presence::Present);
            }
            return Ok(match learned.read(bytes, row)? {
                true => Presence::Present,
                false => Presence::Null,
            });
        }
        match self.format {
            Format::None | Format::Avro | Format::Protobuf { .. } => Ok(Presence::Present),
            Format::ProtobufNoSr { .. } => match &self.messages {
                None => Ok(Presence::Present),
                Some(Err(reason)) => Err(SerdeError::new(reason.as_str())),
                Some(Ok(reader)) => {
                    reader.read(bytes, row)?;
                    Ok(Presence::Present)
                }
            },
            Format::Json | Format::JsonSr => {
                let (text, maps) = self.json(bytes)?;
                let store = |index: usize, number: usize, value| {
                    if let Some((place, _)) = self.columns[index].target {
                        row[place + number] = value;
                    }
                };
                if self.bare {
                    decode_bare(text, maps, &self.columns[0], store)?;
                    return Ok(Presence::Present);
                }
                let members = decode_members(text, maps, self.names, &self.columns, store)?;
                Ok(match members {
                    Members::Read => Presence::Present,
                    Members::Null => Presence::Null,
                })
            }
            Format::Kafka => {
                for column in &self.columns {
                    put(row, column, kafka::decode(bytes, &column.sql_type)?);
                }
                Ok(Presence::Present)
            }
            Format::Delimited { delimiter } => self.decode_line(bytes, delimiter, row),
        }
    }

    fn decode_line(&self, bytes: &[u8], delimiter: char, row: &mut [Value]) -> Result<Presence, SerdeError> {
        let line =
            std::str::from_utf8(bytes).map_err(|error| SerdeError::new(format!("invalid UTF-8: {error}")))?;
        if line.is_empty() {
            return Err(SerdeError::new("No fields in record"));
        }
        let texts = delimited::split(line, delimiter)?;
        if texts.len() != self.columns.len() {
            return Err(SerdeError::new(format!(
                "Unexpected field count, csvFields:{} schemaFields:{}",
                texts.len(),
                self.columns.len()
            )));
        }
        for (column, text) in self.columns.iter().zip(texts) {
            if let Some(text) = text {
                let value = delimited::decode(&text, &column.sql_type)
                    .map_err(|error| SerdeError::new(format!("{error}, column: {}", column.name)))?;
                put(row, column, value);
            }
        }
        Ok(Presence::Present)
    }
}

fn put(row: &mut [Value], column: &DecoderColumn, value: Value) {
    if let Some((place, _)) = column.target {
        row[place] = value;
    }
}
