//! Rows to and from the bytes of records.
//!
//! Knows formats, types and values; knows nothing of queries or of where the bytes come from.

mod avro;
pub(crate) mod base64;
mod decoder;
mod delimited;
mod encoder;
pub(crate) mod json;
mod json_sr;
mod kafka;
pub(crate) mod number;
mod protobuf;
mod registered;
mod sink_schema;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub(crate) use decoder::{Decoder, DecoderColumn, Presence};
pub(crate) use encoder::{Encoder, check_columns};
use osqdemo_registry_client::SchemaType;
pub use protobuf::Nulls;
pub use registered::WriterSchema;
pub(crate) use registered::{InferredType, Learned, Names, Reading};
pub(crate) use sink_schema::SinkSchema;

/// How a record's key or value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `JSON`
    Json,
    /// `KAFKA`: Kafka's own serializers of one primitive value.
    Kafka,
    /// `DELIMITED`: comma-separated values.
    Delimited {
        /// What stands between two values.
        delimiter: char,
    },
    /// `JSON_SR`: JSON, with the id of its JSON Schema before it.
    JsonSr,
    /// `AVRO`: Avro, with the id of its schema before it.
    Avro,
    /// `PROTOBUF`: a Protobuf message, with the id of its schema before it.
    Protobuf {
        /// How values say that they are null.
        nulls: Nulls,
    },
    /// `PROTOBUF_NOSR`: a Protobuf message by itself.
    ProtobufNoSr {
        /// How values say that they are null.
        nulls: Nulls,
    },
    /// `NONE`: nothing is read or written.
    None,
}

impl Format {
    /// Whether what it reads can be [`Demand::Each`] of a map's entries.
    pub(crate) fn reads_each(self) -> bool {
        matches!(self, Self::Json | Self::JsonSr | Self::Avro)
    }

    /// Whether a single value may stand by itself or in a record, as a source chooses.
    pub(crate) fn unwraps(self) -> bool {
        matches!(
            self,
            Self::Json | Self::JsonSr | Self::Avro | Self::ProtobufNoSr { .. }
        )
    }

    /// How a single key stands in a record.
    pub(crate) fn key_wrapping(self) -> Wrapping {
        match self {
            Self::Protobuf { .. } => Wrapping::Wrapped,
            _ => Wrapping::Unwrapped,
        }
    }

    /// The format with another way to say null, where it has several.
    pub(crate) fn with_nulls(self, nulls: Nulls) -> Self {
        match self {
            Self::Protobuf { .. } => Self::Protobuf { nulls },
            Self::ProtobufNoSr { .. } => Self::ProtobufNoSr { nulls },
            other => other,
        }
    }

    fn nulls(self) -> Nulls {
        match self {
            Self::Protobuf { nulls } | Self::ProtobufNoSr { nulls } => nulls,
            _ => Nulls::default(),
        }
    }

    /// The language of its schemas, where they are in a registry.
    ///
    /// A record of [`JsonSr`](Self::JsonSr) is read without it.
    pub fn schema_type(self) -> Option<SchemaType> {
        match self {
            Self::Avro => Some(SchemaType::Avro),
            Self::JsonSr => Some(SchemaType::Json),
            Self::Protobuf { .. } => Some(SchemaType::Protobuf),
            Self::Json | Self::Kafka | Self::Delimited { .. } | Self::ProtobufNoSr { .. } | Self::None => {
                None
            }
        }
    }
}

impl fmt::Display for Format {
    /// ksqlDB's name of the format.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Json => "JSON",
            Self::Kafka => "KAFKA",
            Self::Delimited { .. } => "DELIMITED",
            Self::JsonSr => "JSON_SR",
            Self::Avro => "AVRO",
            Self::Protobuf { .. } => "PROTOBUF",
            Self::ProtobufNoSr { .. } => "PROTOBUF_NOSR",
            Self::None => "NONE",
        })
    }
}

/// Whether a single column stands by itself or as a member of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrapping {
    /// Always an object.
    Wrapped,
    /// A single column stands by itself.
    Unwrapped,
}

/// How much of a column a query looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Demand {
    /// All of it.
    Whole,
    /// Of a map, the entries of these keys.
    Entries(Vec<Arc<str>>),
    /// Of a map, the values of these keys, each in a place of its own: no map has to be made of them.
    Each(Vec<Arc<str>>),
}

impl Demand {
    /// How many places it fills.
    pub(crate) fn places(&self) -> usize {
        match self {
            Self::Whole | Self::Entries(_) => 1,
            Self::Each(keys) => keys.len(),
        }
    }
}

/// Why bytes are not a row, or a row cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct SerdeError {
    /// What was wrong.
    pub(crate) reason: String,
}

impl SerdeError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
        }
    }

    /// The same, of a field's value.
    pub(crate) fn inside(self, field: &str) -> Self {
        match self.reason.rsplit_once(", path: $") {
            Some((reason, path)) => Self::new(format!("{reason}, path: $.{field}{path}")),
            None => Self::new(format!("{}, path: $.{field}", self.reason)),
        }
    }
}
