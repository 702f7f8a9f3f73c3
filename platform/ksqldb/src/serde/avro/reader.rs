//! From a record's bytes to values, by the writer's schema.
//!
//! What is to be done with each part is decided once a schema and source; a record is then read in one pass, and what
//! no column needs is passed over.

use std::sync::Arc;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use osqdemo_avro::{Cursor, DecodeError, NodeId, Schema};

use super::super::number::{double_text, fit_exactly};
use super::super::{DecoderColumn, Demand, SerdeError};
use super::shape::{Shape, branch_name};
use crate::types::{SqlType, StructField};
use crate::value::Value;

/// Reads the records that were written with one schema into the columns of one source.
#[derive(Debug)]
pub(in super::super) struct RecordReader {
    schema: Arc<Schema>,
    root: Root,
}

#[derive(Debug)]
enum Root {
    /// Each field of the record.
    Fields(Vec<Field>),
    /// The record may be null; `null` is the place of that.
    Nullable { null: u32, fields: Vec<Field> },
    /// The only column, by itself.
    Bare { place: Option<usize>, reader: Reader },
    /// None of its records can be read.
    Unreadable(String),
}

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

/// What reads one value of a schema.
struct Compiler<'a> {
    schema: &'a Schema,
}

impl RecordReader {
    pub(in super::super) fn new(schema: Arc<Schema>, columns: &[DecoderColumn], is_bare: bool) -> Self {
        let compiler = Compiler { schema: &schema };
        let root = match columns {
            [column] if is_bare => Root::Bare {
                place: column.target.as_ref().map(|(place, _)| *place),
                reader: compiler.column(schema.root(), column),
            },
            columns => compiler.root(columns),
        };
        Self { schema, root }
    }

    /// Reads a record's data; `false` where it is null as a whole.
    pub(in super::super) fn read(&self, bytes: &[u8], row: &mut [Value]) -> Result<bool, SerdeError> {
        let mut cursor = Cursor::new(bytes);
        let fields = match &self.root {
            Root::Unreadable(reason) => return Err(SerdeError::new(reason.clone())),
            Root::Bare { place, reader } => {
                let value = self.value(reader, &mut cursor)?;
                cursor.end().map_err(failed)?;
                let is_there = !value.is_null();
                if let Some(place) = place {
                    row[*place] = value;
                }
                return Ok(is_there);
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
            if let Some((place, value)) = self.field(field, &mut cursor)? {
                row[place] = value;
            }
        }
        cursor.end().map_err(failed)?;
        Ok(true)
    }

    fn field(&self, field: &Field, cursor: &mut Cursor<'_>) -> Result<Option<(usize, Value)>, SerdeError> {
        match field {
            Field::Skip(id) => {
                cursor.skip(&self.schema, *id).map_err(failed)?;
                Ok(None)
            }
            Field::Read { place, reader } => {
                let value = self.value(reader, cursor)?;
                Ok(place.map(|place| (place, value)))
            }
        }
    }

    fn value(&self, reader: &Reader, cursor: &mut Cursor<'_>) -> Result<Value, SerdeError> {
        self.read_value(reader, cursor).map_err(|error| match error {
            ReadError::Bytes(error) => failed(error),
            ReadError::Value(error) => error,
        })
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
                    if let Some((place, value)) = self.field(field, cursor)? {
                        values[place] = value;
                    }
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

impl Compiler<'_> {
    fn root(&self, columns: &[DecoderColumn]) -> Root {
        let root = self.schema.root();
        match Shape::of(self.schema, root) {
            Shape::Record(_) => Root::Fields(self.record(root, columns)),
            Shape::Nullable { null, inner } if matches!(Shape::of(self.schema, inner), Shape::Record(_)) => {
                Root::Nullable {
                    null: u32::try_from(null).unwrap_or_default(),
                    fields: self.record(inner, columns),
                }
            }
            other => Root::Unreadable(format!(
                "Cannot deserialize type {} as type struct for path: ",
                other.name()
            )),
        }
    }

    fn record(&self, id: NodeId, columns: &[DecoderColumn]) -> Vec<Field> {
        let Shape::Record(record) = Shape::of(self.schema, id) else {
            return Vec::new();
        };
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let places = owners(record.fields.iter().map(|field| field.name.as_str()), &names);
        let fields = record.fields.iter().zip(places);
        fields
            .map(|(field, column)| match column {
                None => Field::Skip(field.schema),
                Some(column) => {
                    let column = &columns[column];
                    let reader = self.column(field.schema, column);
                    match (&column.target, reader.can_mismatch()) {
                        (None, false) => Field::Skip(field.schema),
                        (target, _) => Field::Read {
                            place: target.as_ref().map(|(place, _)| *place),
                            reader,
                        },
                    }
                }
            })
            .collect()
    }

    fn column(&self, id: NodeId, column: &DecoderColumn) -> Reader {
        let path = format!("->{}", column.name);
        let mut reader = self.reader(id, &column.sql_type, &path);
        if let Some((_, Demand::Entries(keys))) = &column.target {
            reader.want(keys);
        }
        reader
    }

    fn reader(&self, id: NodeId, sql_type: &SqlType, path: &str) -> Reader {
        let shape = Shape::of(self.schema, id);
        let inner = |id| self.reader(id, sql_type, path);
        match (shape, sql_type) {
            (Shape::Null, _) => Reader::Null,
            (Shape::Nullable { null, inner: id }, _) => Reader::Union(if null == 0 {
                vec![Reader::Null, inner(id)]
            } else {
                vec![inner(id), Reader::Null]
            }),
            (Shape::Union(branches), SqlType::Struct(fields)) => {
                Reader::Union(self.branches(branches, fields, path))
            }
            (Shape::Boolean, SqlType::Boolean) => Reader::Boolean,
            (Shape::Int | Shape::Date | Shape::Time, SqlType::Integer) => Reader::Integer,
            (Shape::Int | Shape::Date | Shape::Time | Shape::Long | Shape::Timestamp, SqlType::Bigint) => {
                Reader::Bigint
            }
            (Shape::Float, SqlType::Double) => Reader::Float,
            (Shape::Double, SqlType::Double) => Reader::Double,
            (Shape::String, SqlType::String) => Reader::String,
            (Shape::Enum(enumeration), SqlType::String) => {
                let symbols = enumeration.symbols.iter();
                Reader::Symbol(symbols.map(|symbol| symbol.as_str().into()).collect())
            }
            (Shape::Boolean, SqlType::String) => Reader::Text(Printed::Boolean),
            (Shape::Int | Shape::Long, SqlType::String) => Reader::Text(Printed::Long),
            (Shape::Float, SqlType::String) => Reader::Text(Printed::Float),
            (Shape::Double, SqlType::String) => Reader::Text(Printed::Double),
            (Shape::Bytes(size), SqlType::Bytes) => Reader::Bytes(size),
            (
                Shape::Decimal {
                    fixed,
                    scale: written_scale,
                    ..
                },
                SqlType::Decimal { precision, scale },
            ) => Reader::Decimal {
                fixed,
                written_scale,
                precision: *precision,
                scale: *scale,
            },
            (Shape::Date, SqlType::Date) => Reader::Date,
            (Shape::Time, SqlType::Time) => Reader::Time,
            (Shape::Timestamp, SqlType::Timestamp) => Reader::Timestamp,
            (Shape::Array(items), SqlType::Array(element)) => {
                Reader::Array(Box::new(self.reader(items, element, path)))
            }
            (Shape::Map(values), SqlType::Map(_, value)) => Reader::Map {
                values: Box::new(self.reader(values, value, path)),
                node: values,
                wanted: None,
            },
            (
                Shape::Entries {
                    key,
                    value,
                    value_first,
                },
                SqlType::Map(key_type, value_type),
            ) => Reader::Entries {
                key: Box::new(self.reader(key, key_type, path)),
                value: Box::new(self.reader(value, value_type, path)),
                value_first,
                wanted: None,
            },
            (Shape::Record(record), SqlType::Struct(fields)) => {
                let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
                let places = owners(record.fields.iter().map(|field| field.name.as_str()), &names);
                let members = record.fields.iter().zip(places);
                let members = members.map(|(member, place)| match place {
                    None => Field::Skip(member.schema),
                    Some(place) => {
                        let path = format!("{path}->{}", fields[place].name);
                        Field::Read {
                            place: Some(place),
                            reader: self.reader(member.schema, &fields[place].sql_type, &path),
                        }
                    }
                });
                Reader::Struct {
                    width: fields.len(),
                    fields: members.collect(),
                }
            }
            (shape, sql_type) => Reader::Mismatch(format!(
                "Cannot deserialize type {} as type {} for path: {path}",
                shape.name(),
                connect_name(sql_type)
            )),
        }
    }

    fn branches(&self, branches: &[NodeId], fields: &[StructField], path: &str) -> Vec<Reader> {
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let written = branches.iter().map(|branch| branch_name(self.schema, *branch));
        let places = owners(written, &names);
        let branches = branches.iter().zip(places);
        branches
            .map(|(branch, place)| match (Shape::of(self.schema, *branch), place) {
                (Shape::Null, _) => Reader::Null,
                (_, None) => Reader::Branch {
                    width: fields.len().max(1),
                    place: 0,
                    reader: Box::new(Reader::Skip(*branch)),
                },
                (_, Some(place)) => {
                    let path = format!("{path}->{}", fields[place].name);
                    Reader::Branch {
                        width: fields.len(),
                        place,
                        reader: Box::new(self.reader(*branch, &fields[place].sql_type, &path)),
                    }
                }
            })
            .collect()
    }
}

impl Reader {
    /// Whether there are values that it refuses although their bytes are right.
    fn can_mismatch(&self) -> bool {
        match self {
            Self::Mismatch(_) | Self::Decimal { .. } => true,
            Self::Array(inner) | Self::Map { values: inner, .. } | Self::Branch { reader: inner, .. } => {
                inner.can_mismatch()
            }
            Self::Entries { key, value, .. } => key.can_mismatch() || value.can_mismatch(),
            Self::Union(branches) => branches.iter().any(Self::can_mismatch),
            Self::Struct { fields, .. } => fields
                .iter()
                .any(|field| matches!(field, Field::Read { reader, .. } if reader.can_mismatch())),
            _ => false,
        }
    }

    /// Of a map, only these entries are wanted.
    fn want(&mut self, keys: &[Arc<str>]) {
        match self {
            Self::Map { wanted, .. } | Self::Entries { wanted, .. } => *wanted = Some(keys.to_vec()),
            Self::Union(branches) => branches.iter_mut().for_each(|branch| branch.want(keys)),
            _ => {}
        }
    }
}

/// For each written name the column that it belongs to: the one of exactly that name, else of its upper-cased name.
/// Of several that belong to one column, the exact one does.
pub(in super::super) fn owners<'a>(
    written: impl Iterator<Item = &'a str>,
    columns: &[&str],
) -> Vec<Option<usize>> {
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
pub(in super::super) fn connect_name(sql_type: &SqlType) -> &'static str {
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

fn bytes<'a>(fixed: Option<usize>, cursor: &mut Cursor<'a>) -> Result<&'a [u8], DecodeError> {
    match fixed {
        Some(size) => cursor.take(size, "fixed"),
        None => cursor.bytes("bytes"),
    }
}

/// A float as Java prints it: the digits that tell it from others of its kind.
pub(in super::super) fn float_text(number: f32) -> String {
    number
        .to_string()
        .parse()
        .map_or_else(|_| number.to_string(), double_text)
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
