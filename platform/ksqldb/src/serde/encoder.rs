//! The key or value of a row, written as the bytes of a record.

use std::sync::Arc;

use super::{Format, SerdeError, SinkSchema, Wrapping, avro, delimited, json, kafka, protobuf};
use crate::types::{Column, Namespace, SqlType};
use crate::value::Value;

/// Writes the keys or the values of a source.
#[derive(Debug, Clone)]
pub(crate) struct Encoder {
    format: Format,
    columns: Vec<(String, SqlType)>,
    bare: bool,
    /// Of a format whose schemas are in a registry.
    schema: Option<Arc<SinkSchema>>,
    /// Of `PROTOBUF_NOSR`, whose columns are its schema.
    messages: Option<Result<Arc<protobuf::RecordWriter>, String>>,
}

impl Encoder {
    pub(crate) fn new<'a>(
        format: Format,
        wrapping: Wrapping,
        columns: impl Iterator<Item = &'a Column>,
    ) -> Self {
        let columns: Vec<_> = columns
            .map(|column| (column.name.clone(), column.sql_type.clone()))
            .collect();
        let bare = columns.len() == 1 && wrapping == Wrapping::Unwrapped;
        let messages = match format {
            Format::ProtobufNoSr { nulls } if !columns.is_empty() => {
                Some(protobuf::RecordWriter::of_columns(&columns, bare, nulls).map(Arc::new))
            }
            _ => None,
        };
        Self {
            format,
            bare,
            schema: None,
            messages,
            columns,
        }
    }

    /// The same, in a format whose schemas are in a registry: under that subject, with that id or else made of the
    /// columns, with that name for its record.
    pub(crate) fn registered<'a>(
        format: Format,
        wrapping: Wrapping,
        columns: impl Iterator<Item = &'a Column>,
        subject: String,
        id: Option<u32>,
        full_name: Option<String>,
    ) -> Self {
        let plain = Self::new(format, wrapping, columns);
        if format.schema_type().is_none() || plain.columns.is_empty() {
            return plain;
        }
        let columns = plain.columns.clone();
        let schema = SinkSchema::new(subject, id, format, columns, plain.bare, full_name);
        Self {
            schema: Some(Arc::new(schema)),
            ..plain
        }
    }

    /// The schema of what it writes, where the format has any.
    pub(crate) fn schema(&self) -> Option<&Arc<SinkSchema>> {
        self.schema.as_ref()
    }

    /// Writes one value a column. Without columns, or for a lone null, there is nothing to write.
    pub(crate) fn encode(&self, values: &[Value]) -> Result<Option<Vec<u8>>, SerdeError> {
        if self.columns.is_empty() {
            return Ok(None);
        }
        if self.bare && values[0].is_null() {
            return Ok(None);
        }
        if let Some(schema) = &self.schema {
            return schema.write(values).map(Some);
        }
        match self.format {
            Format::None | Format::Avro | Format::JsonSr | Format::Protobuf { .. } => Ok(None),
            Format::ProtobufNoSr { .. } => match &self.messages {
                None => Ok(None),
                Some(Err(reason)) => Err(SerdeError::new(reason.as_str())),
                Some(Ok(writer)) => {
                    let mut bytes = Vec::with_capacity(128);
                    writer.write(values, &mut bytes)?;
                    Ok(Some(bytes))
                }
            },
            Format::Json if self.bare => {
                let mut bytes = Vec::new();
                json::write_value(&values[0], &self.columns[0].1, &mut bytes);
                Ok(Some(bytes))
            }
            Format::Json => {
                let mut bytes = Vec::with_capacity(128);
                let members = self.columns.iter().zip(values);
                json::write_object(
                    members.map(|((name, sql_type), value)| (name.as_str(), sql_type, value)),
                    &mut bytes,
                );
                Ok(Some(bytes))
            }
            Format::Kafka => kafka::encode(&values[0]),
            Format::Delimited { delimiter } => {
                let mut line = String::new();
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        line.push(delimiter);
                    }
                    delimited::encode(value, delimiter, &mut line)?;
                }
                Ok(Some(line.into_bytes()))
            }
        }
    }
}

/// Why a format cannot have such columns, in ksqlDB's words.
pub(crate) fn check_columns(format: Format, columns: &[&Column]) -> Result<(), SerdeError> {
    let listed = || {
        let texts: Vec<String> = columns
            .iter()
            .map(|column| {
                let key = if column.namespace == Namespace::Key {
                    " KEY"
                } else {
                    ""
                };
                format!("`{}` {}{key}", column.name, column.sql_type)
            })
            .collect();
        format!("[{}]", texts.join(", "))
    };
    match format {
        Format::None if !columns.is_empty() => Err(SerdeError::new(format!(
            "The 'NONE' format can only be used when no columns are defined. Got: {}",
            listed()
        ))),
        Format::None => Ok(()),
        Format::Kafka if columns.len() > 1 => Err(SerdeError::new(format!(
            "The 'KAFKA' format only supports a single field. Got: {}",
            listed()
        ))),
        Format::Kafka => check_each(format, columns, kafka::supports),
        Format::Delimited { .. } => check_each(format, columns, delimited::supports),
        Format::Avro => check_each(format, columns, avro::supports)
            .map_err(|_| SerdeError::new("Avro only supports MAPs with STRING keys")),
        Format::Protobuf { nulls } | Format::ProtobufNoSr { nulls } => {
            let columns: Vec<_> = columns
                .iter()
                .map(|column| (column.name.clone(), column.sql_type.clone()))
                .collect();
            // Names that differ only in `_` are written well, and are one and the same for its readers.
            let linked = protobuf::linked(&columns, false, nulls);
            linked.map(|_| ()).map_err(SerdeError::new)
        }
        Format::Json | Format::JsonSr => check_each(format, columns, has_string_keys)
            .map_err(|_| SerdeError::new(format!("{format} only supports MAP types with STRING keys"))),
    }
}

fn check_each(format: Format, columns: &[&Column], supports: fn(&SqlType) -> bool) -> Result<(), SerdeError> {
    match columns.iter().find(|column| !supports(&column.sql_type)) {
        None => Ok(()),
        Some(column) => {
            let text = column.sql_type.to_string();
            let base = text.split(['<', '(']).next().unwrap_or(&text);
            // Of Kafka's own format there is one column at most.
            let place = match format {
                Format::Kafka => String::new(),
                _ => format!(", column: `{}`", column.name),
            };
            Err(SerdeError::new(format!(
                "The '{format}' format does not support type '{base}'{place}"
            )))
        }
    }
}

fn has_string_keys(sql_type: &SqlType) -> bool {
    match sql_type {
        SqlType::Map(key, value) => **key == SqlType::String && has_string_keys(value),
        SqlType::Array(element) => has_string_keys(element),
        SqlType::Struct(fields) => fields.iter().all(|field| has_string_keys(&field.sql_type)),
        _ => true,
    }
}
