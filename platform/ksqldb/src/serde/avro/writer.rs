//! From values to a record's bytes, by the schema that is registered for them.
//!
//! Usually that is the one made of the columns; with `VALUE_SCHEMA_ID` it is anybody's, whose fields are looked for
//! among the columns.

use std::sync::Arc;

use bigdecimal::BigDecimal;
use osqdemo_avro::{NodeId, Schema, write_bytes, write_long};

use super::super::SerdeError;
use super::shape::{Shape, branch_name};
use crate::types::SqlType;
use crate::value::Value;

/// Writes the values of one source with one schema.
#[derive(Debug)]
pub(in super::super) struct RecordWriter {
    root: Root,
}

#[derive(Debug)]
enum Root {
    Bare(Writer),
    Fields(Vec<Member>),
}

/// A field, and the place of what it takes; without one it is null.
#[derive(Debug)]
struct Member {
    name: String,
    place: Option<usize>,
    writer: Writer,
}

#[derive(Debug)]
enum Writer {
    Null,
    Boolean,
    /// An `int` or a `long`, of whatever is a whole number in the engine.
    Whole,
    Float,
    Double,
    String,
    Symbol(Vec<String>),
    Bytes(Option<usize>),
    Decimal {
        fixed: Option<usize>,
        scale: u32,
    },
    Array(Box<Writer>),
    Map(Box<Writer>),
    Entries {
        value_first: bool,
        key: Box<Writer>,
        value: Box<Writer>,
    },
    Record(Vec<Member>),
    Nullable {
        null: i64,
        branch: i64,
        writer: Box<Writer>,
    },
    /// A struct whose one field that is not null says the branch.
    Branches {
        null: Option<i64>,
        branches: Vec<Option<(i64, Writer)>>,
    },
}

impl RecordWriter {
    /// The error says which part of the schema has no column.
    pub(in super::super) fn new(
        schema: &Schema,
        columns: &[(String, SqlType)],
        is_bare: bool,
    ) -> Result<Self, String> {
        let root = match columns {
            [(name, sql_type)] if is_bare => Root::Bare(writer(schema, schema.root(), sql_type, name)?),
            columns => {
                let record = match Shape::of(schema, schema.root()) {
                    Shape::Nullable { inner, .. } => Shape::of(schema, inner),
                    shape => shape,
                };
                let Shape::Record(record) = record else {
                    return Err(format!(
                        "the schema is of the type {}, not a record",
                        record.name()
                    ));
                };
                let fields = record
                    .fields
                    .iter()
                    .map(|field| (field.name.as_str(), field.schema));
                let columns = columns.iter().map(|(name, sql_type)| (name.as_str(), sql_type));
                Root::Fields(members(schema, fields, columns.collect())?)
            }
        };
        Ok(Self { root })
    }

    pub(in super::super) fn write(&self, values: &[Value], out: &mut Vec<u8>) -> Result<(), SerdeError> {
        match &self.root {
            Root::Bare(writer) => writer.write(&values[0], "", out),
            Root::Fields(members) => write_members(members, values, out),
        }
    }
}

fn write_members(members: &[Member], values: &[Value], out: &mut Vec<u8>) -> Result<(), SerdeError> {
    for member in members {
        let value = member.place.map_or(&Value::Null, |place| &values[place]);
        member.writer.write(value, &member.name, out)?;
    }
    Ok(())
}

fn members<'a>(
    schema: &Schema,
    fields: impl Iterator<Item = (&'a str, NodeId)>,
    columns: Vec<(&str, &SqlType)>,
) -> Result<Vec<Member>, String> {
    let find = |name: &str| {
        columns
            .iter()
            .position(|(column, _)| *column == name || column.replace('.', "_") == name)
            .or_else(|| {
                columns
                    .iter()
                    .position(|(column, _)| *column == name.to_uppercase())
            })
    };
    fields
        .map(|(name, id)| {
            let place = find(name);
            let writer = match (place, Shape::of(schema, id)) {
                (Some(place), _) => writer(schema, id, columns[place].1, name)?,
                (None, Shape::Nullable { null, .. }) => Writer::Nullable {
                    null: index(null),
                    branch: 0,
                    writer: Box::new(Writer::Null),
                },
                (None, Shape::Null) => Writer::Null,
                (None, _) => return Err(format!("the field `{name}` has no column, and cannot be null")),
            };
            Ok(Member {
                name: name.to_owned(),
                place,
                writer,
            })
        })
        .collect()
}

fn writer(schema: &Schema, id: NodeId, sql_type: &SqlType, path: &str) -> Result<Writer, String> {
    let of = |id, sql_type| writer(schema, id, sql_type, path).map(Box::new);
    Ok(match (Shape::of(schema, id), sql_type) {
        (Shape::Null, _) => Writer::Null,
        (Shape::Nullable { null, inner }, _) => Writer::Nullable {
            null: index(null),
            branch: index(1 - null),
            writer: of(inner, sql_type)?,
        },
        (Shape::Boolean, SqlType::Boolean) => Writer::Boolean,
        (Shape::Int, SqlType::Integer)
        | (Shape::Long, SqlType::Integer | SqlType::Bigint)
        | (Shape::Date, SqlType::Date)
        | (Shape::Time, SqlType::Time)
        | (Shape::Timestamp, SqlType::Timestamp) => Writer::Whole,
        (Shape::Float, SqlType::Double) => Writer::Float,
        (Shape::Double, SqlType::Double) => Writer::Double,
        (Shape::String, SqlType::String) => Writer::String,
        (Shape::Enum(enumeration), SqlType::String) => Writer::Symbol(enumeration.symbols.clone()),
        (Shape::Bytes(size), SqlType::Bytes) => Writer::Bytes(size),
        (Shape::Decimal { fixed, scale, .. }, SqlType::Decimal { .. }) => Writer::Decimal { fixed, scale },
        (Shape::Array(items), SqlType::Array(element)) => Writer::Array(of(items, element)?),
        (Shape::Map(values), SqlType::Map(_, value)) => Writer::Map(of(values, value)?),
        (
            Shape::Entries {
                key,
                value,
                value_first,
            },
            SqlType::Map(key_type, value_type),
        ) => Writer::Entries {
            value_first,
            key: of(key, key_type)?,
            value: of(value, value_type)?,
        },
        (Shape::Record(record), SqlType::Struct(fields)) => {
            let written = record
                .fields
                .iter()
                .map(|field| (field.name.as_str(), field.schema));
            let fields = fields.iter().map(|field| (field.name.as_str(), &field.sql_type));
            Writer::Record(members(schema, written, fields.collect())?)
        }
        (Shape::Union(branches), SqlType::Struct(fields)) => {
            let place = |wanted: &str| {
                branches.iter().position(|branch| {
                    let name = branch_name(schema, *branch);
                    name == wanted || name.to_uppercase() == wanted
                })
            };
            let null = branches
                .iter()
                .position(|branch| matches!(Shape::of(schema, *branch), Shape::Null));
            let branches = fields.iter().map(|field| match place(&field.name) {
                None => Ok(None),
                Some(place) => {
                    let writer = writer(schema, branches[place], &field.sql_type, path)?;
                    Ok(Some((index(place), writer)))
                }
            });
            Writer::Branches {
                null: null.map(index),
                branches: branches.collect::<Result<_, String>>()?,
            }
        }
        (shape, sql_type) => {
            return Err(format!(
                "the field `{path}` is of the type {}, its column of {sql_type}",
                shape.name()
            ));
        }
    })
}

impl Writer {
    fn write(&self, value: &Value, path: &str, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let unfit = || {
            let what = if value.is_null() {
                "null"
            } else {
                "a value of another kind"
            };
            SerdeError::new(format!(
                "Invalid value: {what} used for required field: \"{path}\""
            ))
        };
        match (self, value) {
            (Self::Nullable { null, .. }, Value::Null) => write_long(*null, out),
            (Self::Nullable { branch, writer, .. }, value) => {
                write_long(*branch, out);
                writer.write(value, path, out)?;
            }
            (Self::Null, _) => {}
            (Self::Branches { null: Some(null), .. }, Value::Null) => write_long(*null, out),
            (Self::Branches { branches, .. }, Value::Struct(values)) => {
                let mut chosen = branches.iter().zip(values.iter());
                let chosen = chosen.find_map(|(branch, value)| {
                    let (place, writer) = branch.as_ref()?;
                    (!value.is_null()).then_some((place, writer, value))
                });
                let (place, writer, value) = chosen.ok_or_else(unfit)?;
                write_long(*place, out);
                writer.write(value, path, out)?;
            }
            (Self::Boolean, Value::Boolean(truth)) => out.push(u8::from(*truth)),
            (Self::Whole, Value::Integer(number) | Value::Date(number) | Value::Time(number)) => {
                write_long(i64::from(*number), out);
            }
            (Self::Whole, Value::Bigint(number) | Value::Timestamp(number)) => write_long(*number, out),
            (Self::Float, Value::Double(number)) => out.extend_from_slice(&(*number as f32).to_le_bytes()),
            (Self::Double, Value::Double(number)) => out.extend_from_slice(&number.to_le_bytes()),
            (Self::String, Value::String(text)) => write_bytes(text.as_bytes(), out),
            (Self::Symbol(symbols), Value::String(text)) => {
                let place = symbols.iter().position(|symbol| **symbol == **text);
                let place = place.ok_or_else(|| {
                    SerdeError::new(format!(
                        "`{text}` is no symbol of the enum of the field \"{path}\""
                    ))
                })?;
                write_long(index(place), out);
            }
            (Self::Bytes(None), Value::Bytes(bytes)) => write_bytes(bytes, out),
            (Self::Bytes(Some(size)), Value::Bytes(bytes)) if bytes.len() == *size => {
                out.extend_from_slice(bytes);
            }
            (Self::Bytes(Some(size)), Value::Bytes(bytes)) => {
                return Err(SerdeError::new(format!(
                    "{} bytes for the field \"{path}\", which has {size}",
                    bytes.len()
                )));
            }
            (Self::Decimal { fixed, scale }, Value::Decimal(number)) => {
                write_decimal(number, *fixed, *scale, path, out)?;
            }
            (Self::Array(writer), Value::Array(elements)) => {
                write_length(elements.len(), out);
                for element in elements.iter() {
                    writer.write(element, path, out)?;
                }
                out.push(0);
            }
            (Self::Map(writer), Value::Map(entries)) => {
                write_length(entries.len(), out);
                for (key, value) in entries.iter() {
                    write_bytes(key.as_bytes(), out);
                    writer.write(value, path, out)?;
                }
                out.push(0);
            }
            (
                Self::Entries {
                    value_first,
                    key: key_writer,
                    value: value_writer,
                },
                Value::Map(entries),
            ) => {
                write_length(entries.len(), out);
                for (key, value) in entries.iter() {
                    let key = Value::String(Arc::clone(key));
                    if *value_first {
                        value_writer.write(value, path, out)?;
                        key_writer.write(&key, path, out)?;
                    } else {
                        key_writer.write(&key, path, out)?;
                        value_writer.write(value, path, out)?;
                    }
                }
                out.push(0);
            }
            (Self::Record(members), Value::Struct(values)) => write_members(members, values, out)?,
            _ => return Err(unfit()),
        }
        Ok(())
    }
}

/// The length of a collection's only block. An empty one has none.
fn write_length(length: usize, out: &mut Vec<u8>) {
    if length > 0 {
        write_long(index(length), out);
    }
}

fn write_decimal(
    number: &BigDecimal,
    fixed: Option<usize>,
    scale: u32,
    path: &str,
    out: &mut Vec<u8>,
) -> Result<(), SerdeError> {
    let (digits, _) = number.with_scale(i64::from(scale)).into_bigint_and_exponent();
    let bytes = digits.to_signed_bytes_be();
    match fixed {
        None => write_bytes(&bytes, out),
        Some(size) if bytes.len() <= size => {
            let sign = if digits.sign() == bigdecimal::num_bigint::Sign::Minus {
                0xff
            } else {
                0
            };
            out.resize(out.len() + size - bytes.len(), sign);
            out.extend_from_slice(&bytes);
        }
        Some(size) => {
            return Err(SerdeError::new(format!(
                "the decimal {number} does not fit into the {size} bytes of the field \"{path}\""
            )));
        }
    }
    Ok(())
}

/// A place or a length as Avro writes it.
fn index(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}
