//! Rows to and from the bytes of records.
//!
//! Knows formats, types and values; knows nothing of queries or of where the bytes come from.

use std::fmt;

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
    /// `NONE`: nothing is read or written.
    None,
}

impl fmt::Display for Format {
    /// ksqlDB's name of the format.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Json => "JSON",
            Self::Kafka => "KAFKA",
            Self::Delimited { .. } => "DELIMITED",
            Self::None => "NONE",
        })
    }
}
