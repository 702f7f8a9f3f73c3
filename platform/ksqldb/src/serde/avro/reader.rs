//! From a record's bytes to values, by the writer's schema.
//!
//! What is to be done with each part is decided once a schema and source; a record is then read in one pass, and what
//! no column needs is passed over.

mod compiler;

use std::sync::Arc;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use osqdemo_avro::{Cursor, DecodeError, NodeId, Schema};

use super::super::number::{double_text, fit_exactly, float_text};
use super::super::{DecoderColumn, SerdeError};
use crate::value::Value;
use compiler::Compiler;

/// Reads the records that were written with one schema into the columns of one source.
#[derive(Debug)]
pub(in super::super) struct RecordReader {
    schema: Arc<Schema>,
    root: Root,
}

#[derive(Debug)]
enum Root {
    /// Each field of the record.
    Fields(Vec<Column>),
    /// The record may be null; `null` is the place of that.
    Nullable { null: u32, fields: Vec<Column> },
    /// The only column, by itself.
    Bare(Column),
    /// None of its records can be read.
    Unreadable(String),
}

/// What becomes of a field of the record.
#[derive(Debug)]
enum Column {
    /// It has one place at most.
    Whole(Field),
    /// Of a map these entries have each a place, one after the other from `place` on.
    Each {
        place: usize,
        keys: Vec<Arc<str>>,
        reader: Reader,
    },
}

/// A field of a record or of a struct.
#[derive(Debug)]
enum Field {
    Skip(NodeId),
    /// Read, and put at its place where it has one.
    Read {
        place: Option<usize>,
        reader: Reader,
    },
}

/// How a value is read.
#[derive(Debug)]
enum Reader {
    Null,
    Boolean,
    Integer,
    /// Of an `int` or a `long`.
    Bigint,
    Float,
    Double,
    String,
    Symbol(Arc<[Arc<str>]>),
    Bytes(Option<usize>),
    Decimal {
        fixed: Option<usize>,
        written_scale: u32,
        precision: u32,
        scale: u32,
    },
    Date,
    Time,
    Timestamp,
    /// A number or a truth as text.
    Text(Printed),
    Array(Box<Reader>),
    Map {
        values: Box<Reader>,
        node: NodeId,
        wanted: Option<Vec<Arc<str>>>,
    },
    Entries {
        key: Box<Reader>,
        value: Box<Reader>,
        value_first: bool,
        wanted: Option<Vec<Arc<str>>>,
    },
    Struct {
        width: usize,
        fields: Vec<Field>,
    },
    /// One reader a branch.
    Union(Vec<Reader>),
    /// A branch of a union that is a struct with a field a branch.
    Branch {
        width: usize,
        place: usize,
        reader: Box<Reader>,
    },
    /// A value that the column cannot have.
    Mismatch(String),
    /// A value that nobody wants.
    Skip(NodeId),
}

#[derive(Debug, Clone, Copy)]
enum Printed {
    Boolean,
    Long,
    Float,
    Double,
}

impl RecordReader {
    pub(in super::super) fn new(schema: Arc<Schema>, columns: &[DecoderColumn], is_bare: bool) -> Self {
        let compiler = Compiler { schema: &schema };
        let root = match columns {
            [column] if is_bare => Root::Bare(compiler.column(schema.root(), column)),
            columns => compiler.root(columns),
        };
        Self { schema, root }
    }

    /// Reads a record's data; `false` where it is null as a whole.
    pub(in super::super) fn read(&self, bytes: &[u8], row: &mut [Value]) -> Result<bool, SerdeError> {
        let mut cursor = Cursor::new(bytes);
        let fields = match &self.root {
            Root::Unreadable(reason) => return Err(SerdeError::new(reason.clone())),
            Root::Bare(column) => {
                self.column(column, &mut cursor, row)?;
                cursor.end().map_err(failed)?;
                return Ok(true);
            }
            Root::Nullable { null, fields } => {
                if cursor.place("union", 2).map_err(failed)? == *null {
                    cursor.end().map_err(failed)?;
                    return Ok(false);
                }
                fields
            }
            Root::Fields(fields) => fields,
        };
        for field in fields {
            self.column(field, &mut cursor, row)?;
        }
        cursor.end().map_err(failed)?;
        Ok(true)
    }

    /// Reads a column.
    fn column(&self, column: &Column, cursor: &mut Cursor<'_>, row: &mut [Value]) -> Result<(), SerdeError> {
        let read = match column {
            Column::Whole(field) => self.field(field, cursor, row),
            Column::Each { place, keys, reader } => {
                self.each(reader, keys, &mut row[*place..][..keys.len()], cursor)
            }
        };
        read.map_err(|error| match error {
            ReadError::Bytes(error) => failed(error),
            ReadError::Value(error) => error,
        })
    }

    /// Reads a field into its place.
    fn field(&self, field: &Field, cursor: &mut Cursor<'_>, row: &mut [Value]) -> Result<(), ReadError> {
        match field {
            Field::Skip(id) => {
                cursor.skip(&self.schema, *id)?;
            }
            Field::Read { place, reader } => {
                let value = self.read_value(reader, cursor)?;
                if let Some(place) = place {
                    row[*place] = value;
                }
            }
        }
        Ok(())
    }

    /// Reads the entries of a map with these keys into their places.
    fn each(
        &self,
        reader: &Reader,
        keys: &[Arc<str>],
        places: &mut [Value],
        cursor: &mut Cursor<'_>,
    ) -> Result<(), ReadError> {
        match reader {
            Reader::Union(branches) => {
                cursor.count_value()?;
                let branch = cursor.place("union", branches.len())?;
                // The place is one of the branches.
                self.each(&branches[branch as usize], keys, places, cursor)
            }
            Reader::Map { values, node, .. } => {
                cursor.count_value()?;
                while let Some(block) = cursor.block()? {
                    for _ in 0..block.count {
                        let key = cursor.bytes("string")?;
                        match keys.iter().position(|wanted| wanted.as_bytes() == key) {
                            Some(number) => places[number] = self.read_value(values, cursor)?,
                            None => cursor.skip(&self.schema, *node)?,
                        }
                    }
                }
                Ok(())
            }
            other => {
                let value = self.read_value(other, cursor)?;
                if let Value::Map(entries) = &value {
                    for (key, value) in entries.iter() {
                        if let Some(number) = keys.iter().position(|wanted| wanted == key) {
                            places[number] = value.clone();
                        }
                    }
                }
                Ok(())
            }
        }
    }

    fn read_value(&self, reader: &Reader, cursor: &mut Cursor<'_>) -> Result<Value, ReadError> {
        cursor.count_value()?;
        Ok(match reader {
            Reader::Null => Value::Null,
            Reader::Boolean => Value::Boolean(cursor.boolean()?),
            Reader::Integer => Value::Integer(cursor.int()?),
            Reader::Bigint => Value::Bigint(cursor.long("long")?),
            Reader::Float => Value::Double(f64::from(cursor.float()?)),
            Reader::Double => Value::Double(cursor.double()?),
            Reader::String => Value::String(Arc::from(cursor.text()?)),
            Reader::Symbol(symbols) => {
                let place = cursor.place("enum", symbols.len())?;
                Value::String(Arc::clone(&symbols[place as usize]))
            }
            Reader::Bytes(size) => Value::Bytes(bytes(*size, cursor)?.into()),
            Reader::Decimal {
                fixed,
                written_scale,
                precision,
                scale,
            } => {
                let digits = BigInt::from_signed_bytes_be(bytes(*fixed, cursor)?);
                let number = BigDecimal::new(digits, i64::from(*written_scale));
                let fitted = fit_exactly(&number, *precision, *scale).ok_or_else(|| {
                    SerdeError::new(format!(
                        "Cannot fit decimal '{}' into DECIMAL({precision}, {scale}) without rounding.",
                        number.to_plain_string()
                    ))
                })?;
                Value::Decimal(fitted)
            }
            Reader::Date => Value::Date(cursor.int()?),
            Reader::Time => Value::Time(cursor.int()?),
            Reader::Timestamp => Value::Timestamp(cursor.long("long")?),
            Reader::Text(printed) => Value::string(match printed {
                Printed::Boolean => cursor.boolean()?.to_string(),
                Printed::Long => cursor.long("long")?.to_string(),
                Printed::Float => float_text(cursor.float()?),
                Printed::Double => double_text(cursor.double()?),
            }),
            Reader::Array(element) => {
                let mut elements = Vec::new();
                while let Some(block) = cursor.block()? {
                    for _ in 0..block.count {
                        elements.push(self.read_value(element, cursor)?);
                    }
                }
                Value::Array(elements.into())
            }
            Reader::Map { values, node, wanted } => self.map(values, *node, wanted.as_deref(), cursor)?,
            Reader::Entries {
                key,
                value,
                value_first,
                wanted,
            } => {
                let mut entries = Vec::new();
                while let Some(block) = cursor.block()? {
                    for _ in 0..block.count {
                        let first = self.read_value(if *value_first { value } else { key }, cursor)?;
                        let second = self.read_value(if *value_first { key } else { value }, cursor)?;
                        let (key, value) = if *value_first {
                            (second, first)
                        } else {
                            (first, second)
                        };
                        // The engine's maps have no null key.
                        let Value::String(key) = key else { continue };
                        if wanted.as_ref().is_none_or(|wanted| wanted.contains(&key)) {
                            entries.push((key, value));
                        }
                    }
                }
                Value::map(entries)
            }
            Reader::Struct { width, fields } => {
                let mut values = vec![Value::Null; *width];
                for field in fields {
                    self.field(field, cursor, &mut values)?;
                }
                Value::Struct(values.into())
            }
            Reader::Union(branches) => {
                let place = cursor.place("union", branches.len())?;
                // The place is one of the branches.
                self.read_value(&branches[place as usize], cursor)?
            }
            Reader::Branch { width, place, reader } => {
                let mut values = vec![Value::Null; *width];
                values[*place] = self.read_value(reader, cursor)?;
                Value::Struct(values.into())
            }
            Reader::Mismatch(reason) => return Err(SerdeError::new(reason.clone()).into()),
            Reader::Skip(id) => {
                cursor.skip(&self.schema, *id)?;
                Value::Null
            }
        })
    }

    fn map(
        &self,
        values: &Reader,
        node: NodeId,
        wanted: Option<&[Arc<str>]>,
        cursor: &mut Cursor<'_>,
    ) -> Result<Value, ReadError> {
        let mut entries = Vec::with_capacity(wanted.map_or(0, <[_]>::len));
        while let Some(block) = cursor.block()? {
            for _ in 0..block.count {
                let key = match wanted {
                    None => Arc::from(cursor.text()?),
                    Some(keys) => {
                        let key = cursor.bytes("string")?;
                        match keys.iter().find(|wanted| wanted.as_bytes() == key) {
                            Some(wanted) => Arc::clone(wanted),
                            None => {
                                cursor.skip(&self.schema, node)?;
                                continue;
                            }
                        }
                    }
                };
                entries.push((key, self.read_value(values, cursor)?));
            }
        }
        Ok(Value::map(entries))
    }
}

fn bytes<'a>(fixed: Option<usize>, cursor: &mut Cursor<'a>) -> Result<&'a [u8], DecodeError> {
    match fixed {
        Some(size) => cursor.take(size, "fixed"),
        None => cursor.bytes("bytes"),
    }
}

enum ReadError {
    Bytes(DecodeError),
    Value(SerdeError),
}

impl From<DecodeError> for ReadError {
    fn from(error: DecodeError) -> Self {
        Self::Bytes(error)
    }
}

impl From<SerdeError> for ReadError {
    fn from(error: SerdeError) -> Self {
        Self::Value(error)
    }
}

fn failed(error: DecodeError) -> SerdeError {
    SerdeError::new(error.to_string())
}
