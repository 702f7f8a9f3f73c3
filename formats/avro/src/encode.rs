//! From [`Value`] to bytes.

use crate::{Kind, NodeId, Schema, Value};

/// How deep a value may be nested.
pub(crate) const DEEPEST: usize = 256;

/// Why a value cannot be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The value is of another type than the schema.
    #[error("a value of {value} where the schema has {schema}")]
    Mismatch {
        /// The schema's type.
        schema: String,
        /// The value's.
        value: &'static str,
    },
    /// Values are nested deeper than anything reads.
    #[error("values nested deeper than {DEEPEST}")]
    TooDeep,
}

/// Appends the encoding of a value to the bytes.
///
/// # Errors
/// When the value is none of the schema; the bytes are then as they were.
pub fn encode(schema: &Schema, value: &Value, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let before = out.len();
    let encoded = encode_node(schema, schema.root(), value, out, 0);
    if encoded.is_err() {
        out.truncate(before);
    }
    encoded
}

fn encode_node(
    schema: &Schema,
    id: NodeId,
    value: &Value,
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<(), EncodeError> {
    if depth > DEEPEST {
        return Err(EncodeError::TooDeep);
    }
    let kind = schema.kind(id);
    let mismatch = || EncodeError::Mismatch {
        schema: kind.branch_name().to_owned(),
        value: word(value),
    };
    match (kind, value) {
        (Kind::Null, Value::Null) => {}
        (Kind::Boolean, Value::Boolean(value)) => out.push(u8::from(*value)),
        (Kind::Int, Value::Int(value)) => write_long(i64::from(*value), out),
        (Kind::Long, Value::Long(value)) => write_long(*value, out),
        (Kind::Float, Value::Float(value)) => out.extend_from_slice(&value.to_le_bytes()),
        (Kind::Double, Value::Double(value)) => out.extend_from_slice(&value.to_le_bytes()),
        (Kind::Bytes, Value::Bytes(bytes)) => write_bytes(bytes, out),
        (Kind::String, Value::String(text)) => write_bytes(text.as_bytes(), out),
        (Kind::Fixed(fixed), Value::Fixed(bytes)) if fixed.size == bytes.len() => {
            out.extend_from_slice(bytes);
        }
        (Kind::Enum(enumeration), Value::Enum(place)) if (*place as usize) < enumeration.symbols.len() => {
            write_long(i64::from(*place), out);
        }
        (Kind::Array(items), Value::Array(values)) => {
            if !values.is_empty() {
                write_length(values.len(), out);
                for value in values {
                    encode_node(schema, *items, value, out, depth + 1)?;
                }
            }
            out.push(0);
        }
        (Kind::Map(items), Value::Map(entries)) => {
            if !entries.is_empty() {
                write_length(entries.len(), out);
                for (key, value) in entries {
                    write_bytes(key.as_bytes(), out);
                    encode_node(schema, *items, value, out, depth + 1)?;
                }
            }
            out.push(0);
        }
        (Kind::Record(record), Value::Record(values)) if record.fields.len() == values.len() => {
            for (field, value) in record.fields.iter().zip(values) {
                encode_node(schema, field.schema, value, out, depth + 1)?;
            }
        }
        (Kind::Union(branches), Value::Union(place, value)) => {
            let branch = branches.get(*place as usize).ok_or_else(mismatch)?;
            write_long(i64::from(*place), out);
            encode_node(schema, *branch, value, out, depth + 1)?;
        }
        _ => return Err(mismatch()),
    }
    Ok(())
}

/// Appends a number in zig-zag base 128: `int`, `long`, lengths and places.
pub fn write_long(value: i64, out: &mut Vec<u8>) {
    // Zig-zag: the sign in the last bit.
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn write_length(length: usize, out: &mut Vec<u8>) {
    // Nothing in memory is longer than an `i64` counts.
    write_long(i64::try_from(length).unwrap_or(i64::MAX), out);
}

/// Appends a length and the bytes: `bytes`, `string`, keys of a map.
pub fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Boolean(_) => "boolean",
        Value::Int(_) => "int",
        Value::Long(_) => "long",
        Value::Float(_) => "float",
        Value::Double(_) => "double",
        Value::Bytes(_) => "bytes",
        Value::String(_) => "string",
        Value::Fixed(_) => "fixed",
        Value::Enum(_) => "enum",
        Value::Array(_) => "array",
        Value::Map(_) => "map",
        Value::Record(_) => "record",
        Value::Union(..) => "union",
    }
}
