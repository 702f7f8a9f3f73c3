//! From bytes to [`Value`], by the writer's schema.
//!
//! Bytes may be anything. What they make is bounded by their own length: a collection of values that take no bytes is
//! cut off, and so is nesting.

use crate::cursor::{Cursor, MOST_EMPTY};
use crate::encode::DEEPEST;
use crate::{Kind, NodeId, Schema, Value};

/// Why bytes are no value of a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end within a value.
    #[error("the bytes end within a value of {0}")]
    Truncated(&'static str),
    /// There are more of them than the value takes.
    #[error("{0} bytes after the value")]
    Rest(usize),
    /// A number is longer than a number of its type can be.
    #[error("a number that is no {0}")]
    Number(&'static str),
    /// A length is negative, or longer than what is left.
    #[error("a length of {0} where {1} bytes are left")]
    Length(i64, usize),
    /// A boolean is neither 0 nor 1.
    #[error("a boolean of {0}")]
    Boolean(u8),
    /// A text is no UTF-8.
    #[error("a text that is not UTF-8")]
    Text,
    /// A place is none of an enumeration or a union.
    #[error("place {place} in `{name}`, which has {count}")]
    Place {
        /// The enumeration, or `union`.
        name: String,
        /// Which.
        place: i64,
        /// How many there are.
        count: usize,
    },
    /// Values are nested too deeply.
    #[error("values nested deeper than {DEEPEST}")]
    TooDeep,
    /// Too many values for so few bytes.
    #[error("more than {MOST_EMPTY} values that take no bytes")]
    TooMany,
}

/// Reads a value that takes all of the bytes.
///
/// # Errors
/// [`DecodeError`] says what is wrong with the bytes.
pub fn decode(schema: &Schema, bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut cursor = Cursor::new(bytes);
    let value = value(schema, schema.root(), &mut cursor, 0)?;
    cursor.end()?;
    Ok(value)
}

fn value(schema: &Schema, id: NodeId, cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, DecodeError> {
    if depth > DEEPEST {
        return Err(DecodeError::TooDeep);
    }
    cursor.count_value()?;
    Ok(match schema.kind(id) {
        Kind::Null => Value::Null,
        Kind::Boolean => Value::Boolean(cursor.boolean()?),
        Kind::Int => Value::Int(cursor.int()?),
        Kind::Long => Value::Long(cursor.long("long")?),
        Kind::Float => Value::Float(cursor.float()?),
        Kind::Double => Value::Double(cursor.double()?),
        Kind::Bytes => Value::Bytes(cursor.bytes("bytes")?.to_vec()),
        Kind::String => Value::String(cursor.text()?.to_owned()),
        Kind::Fixed(fixed) => Value::Fixed(cursor.take(fixed.size, "fixed")?.to_vec()),
        Kind::Enum(enumeration) => {
            Value::Enum(cursor.place(enumeration.name.full(), enumeration.symbols.len())?)
        }
        Kind::Array(items) => {
            let mut values = Vec::new();
            while let Some(block) = cursor.block()? {
                for _ in 0..block.count {
                    values.push(value(schema, *items, cursor, depth + 1)?);
                }
            }
            Value::Array(values)
        }
        Kind::Map(items) => {
            let mut entries = Vec::new();
            while let Some(block) = cursor.block()? {
                for _ in 0..block.count {
                    let key = cursor.text()?.to_owned();
                    entries.push((key, value(schema, *items, cursor, depth + 1)?));
                }
            }
            Value::Map(entries)
        }
        Kind::Record(record) => {
            let mut values = Vec::with_capacity(record.fields.len());
            for field in &record.fields {
                values.push(value(schema, field.schema, cursor, depth + 1)?);
            }
            Value::Record(values)
        }
        Kind::Union(branches) => {
            let place = cursor.place("union", branches.len())?;
            // The place is one of the branches.
            let value = value(schema, branches[place as usize], cursor, depth + 1)?;
            Value::Union(place, Box::new(value))
        }
    })
}
