//! SQL types and schemas, as ksqlDB has and prints them.

use std::collections::HashMap;
use std::fmt;

/// The type of a column or an expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SqlType {
    /// `BOOLEAN`
    Boolean,
    /// `INTEGER` (also `INT`), 32 bits.
    Integer,
    /// `BIGINT`, 64 bits.
    Bigint,
    /// `DOUBLE`, IEEE 754 binary64.
    Double,
    /// `DECIMAL(precision, scale)`
    Decimal {
        /// All digits.
        precision: u32,
        /// The digits after the point.
        scale: u32,
    },
    /// `STRING` (also `VARCHAR`), UTF-8 here, UTF-16 code units where a function counts.
    String,
    /// `BYTES`
    Bytes,
    /// `DATE`: days since 1970-01-01.
    Date,
    /// `TIME`: milliseconds since midnight.
    Time,
    /// `TIMESTAMP`: milliseconds since 1970-01-01T00:00:00Z.
    Timestamp,
    /// `ARRAY<element>`
    Array(Box<SqlType>),
    /// `MAP<key, value>`
    Map(Box<SqlType>, Box<SqlType>),
    /// `STRUCT<name type, …>`
    Struct(Vec<StructField>),
}

/// A field of a `STRUCT`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StructField {
    /// Its name, with the case it was declared with.
    pub name: String,
    /// Its type.
    pub sql_type: SqlType,
}

/// Two fields of a `STRUCT` have one name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Duplicate field names found in STRUCT: '{first}' and '{second}'")]
pub struct DuplicateField {
    first: StructField,
    second: StructField,
}

impl fmt::Display for StructField {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` {}", self.name, self.sql_type)
    }
}

impl SqlType {
    /// `STRUCT<…>` of fields that have names of their own.
    pub fn structure(fields: Vec<StructField>) -> Result<Self, DuplicateField> {
        let mut known: HashMap<&str, &StructField> = HashMap::with_capacity(fields.len());
        for field in &fields {
            if let Some(first) = known.insert(&field.name, field) {
                return Err(DuplicateField {
                    first: first.clone(),
                    second: field.clone(),
                });
            }
        }
        Ok(Self::Struct(fields))
    }

    /// How many types it is made of, itself among them, and how deep they stand in one another.
    pub fn extent(&self) -> (usize, usize) {
        let inner: Vec<&Self> = match self {
            Self::Array(element) => vec![element],
            Self::Map(key, value) => vec![key, value],
            Self::Struct(fields) => fields.iter().map(|field| &field.sql_type).collect(),
            _ => Vec::new(),
        };
        inner
            .into_iter()
            .map(Self::extent)
            .fold((1, 1), |(parts, depth), (inner_parts, inner_depth)| {
                (parts + inner_parts, depth.max(inner_depth + 1))
            })
    }
}

impl fmt::Display for SqlType {
    /// ksqlDB's own spelling, such as ``STRUCT<`A` STRING, `B` MAP<STRING, BIGINT>>``.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => formatter.write_str("BOOLEAN"),
            Self::Integer => formatter.write_str("INTEGER"),
            Self::Bigint => formatter.write_str("BIGINT"),
            Self::Double => formatter.write_str("DOUBLE"),
            Self::Decimal { precision, scale } => write!(formatter, "DECIMAL({precision}, {scale})"),
            Self::String => formatter.write_str("STRING"),
            Self::Bytes => formatter.write_str("BYTES"),
            Self::Date => formatter.write_str("DATE"),
            Self::Time => formatter.write_str("TIME"),
            Self::Timestamp => formatter.write_str("TIMESTAMP"),
            Self::Array(element) => write!(formatter, "ARRAY<{element}>"),
            Self::Map(key, value) => write!(formatter, "MAP<{key}, {value}>"),
            Self::Struct(fields) if fields.is_empty() => formatter.write_str("STRUCT< >"),
            Self::Struct(fields) => {
                formatter.write_str("STRUCT<")?;
                for (index, field) in fields.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(formatter, "{separator}{field}")?;
                }
                formatter.write_str(">")
            }
        }
    }
}

/// Which part of a record a column lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Namespace {
    /// The record's key.
    Key,
    /// The record's value.
    Value,
    /// The record's headers.
    Headers,
}

/// A column of a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Column {
    /// Its name; unquoted names are upper case.
    pub name: String,
    /// Its type.
    pub sql_type: SqlType,
    /// Where it lives.
    pub namespace: Namespace,
}

/// The columns of a source or a query, key columns first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Schema {
    /// The columns in order.
    pub columns: Vec<Column>,
}

impl Schema {
    /// The position of the column of that name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The key columns.
    pub fn key(&self) -> impl Iterator<Item = &Column> {
        self.columns
            .iter()
            .filter(|column| column.namespace == Namespace::Key)
    }

    /// The value columns.
    pub fn value(&self) -> impl Iterator<Item = &Column> {
        self.columns
            .iter()
            .filter(|column| column.namespace == Namespace::Value)
    }
}
