//! From bytes to [`Value`], by the writer's schema.
//!
//! Bytes may be anything. What they make is bounded by their own length: a collection of values that take no bytes is
//! cut off, and so is nesting.

use crate::encode::DEEPEST;
use crate::{Kind, NodeId, Schema, Value};

/// How many values may come of no bytes at all, in one whole value.
const MOST_EMPTY: usize = 65_536;

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
    let mut decoder = Decoder {
        schema,
        rest: bytes,
        allowance: bytes.len().saturating_add(MOST_EMPTY),
    };
    let value = decoder.value(schema.root(), 0)?;
    match decoder.rest.len() {
        0 => Ok(value),
        rest => Err(DecodeError::Rest(rest)),
    }
}

struct Decoder<'a> {
    schema: &'a Schema,
    rest: &'a [u8],
    /// How many values may still come.
    allowance: usize,
}

impl<'a> Decoder<'a> {
    fn value(&mut self, id: NodeId, depth: usize) -> Result<Value, DecodeError> {
        if depth > DEEPEST {
            return Err(DecodeError::TooDeep);
        }
        self.allowance = self.allowance.checked_sub(1).ok_or(DecodeError::TooMany)?;
        Ok(match self.schema.kind(id) {
            Kind::Null => Value::Null,
            Kind::Boolean => match self.take(1, "boolean")? {
                [0] => Value::Boolean(false),
                [1] => Value::Boolean(true),
                other => return Err(DecodeError::Boolean(other.first().copied().unwrap_or_default())),
            },
            Kind::Int => {
                let long = self.long("int")?;
                Value::Int(i32::try_from(long).map_err(|_| DecodeError::Number("int"))?)
            }
            Kind::Long => Value::Long(self.long("long")?),
            Kind::Float => Value::Float(f32::from_le_bytes(self.array("float")?)),
            Kind::Double => Value::Double(f64::from_le_bytes(self.array("double")?)),
            Kind::Bytes => Value::Bytes(self.bytes("bytes")?.to_vec()),
            Kind::String => Value::String(self.text()?.to_owned()),
            Kind::Fixed(fixed) => Value::Fixed(self.take(fixed.size, "fixed")?.to_vec()),
            Kind::Enum(enumeration) => {
                Value::Enum(self.place(enumeration.name.full(), enumeration.symbols.len())?)
            }
            Kind::Array(items) => {
                let mut values = Vec::new();
                while let Some(count) = self.block()? {
                    for _ in 0..count {
                        values.push(self.value(*items, depth + 1)?);
                    }
                }
                Value::Array(values)
            }
            Kind::Map(items) => {
                let mut entries = Vec::new();
                while let Some(count) = self.block()? {
                    for _ in 0..count {
                        let key = self.text()?.to_owned();
                        entries.push((key, self.value(*items, depth + 1)?));
                    }
                }
                Value::Map(entries)
            }
            Kind::Record(record) => {
                let mut values = Vec::with_capacity(record.fields.len());
                for field in &record.fields {
                    values.push(self.value(field.schema, depth + 1)?);
                }
                Value::Record(values)
            }
            Kind::Union(branches) => {
                let place = self.place("union", branches.len())?;
                // The place is one of the branches.
                let value = self.value(branches[place as usize], depth + 1)?;
                Value::Union(place, Box::new(value))
            }
        })
    }

    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(DecodeError::Truncated(what))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(DecodeError::Truncated(what))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn long(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        let mut value = 0u64;
        for (place, byte) in self.rest.iter().enumerate() {
            let bits = u64::from(byte & 0x7f);
            if place == 9 && *byte > 1 {
                return Err(DecodeError::Number(what));
            }
            value |= bits << (7 * place);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[place + 1..];
                return Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
            }
        }
        Err(DecodeError::Truncated(what))
    }

    fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.long(what)?;
        let left = self.rest.len();
        let count = usize::try_from(length).ok().filter(|count| *count <= left);
        self.take(count.ok_or(DecodeError::Length(length, left))?, what)
    }

    fn text(&mut self) -> Result<&'a str, DecodeError> {
        str::from_utf8(self.bytes("string")?).map_err(|_| DecodeError::Text)
    }

    fn place(&mut self, name: &str, count: usize) -> Result<u32, DecodeError> {
        let place = self.long("int")?;
        let valid = u32::try_from(place)
            .ok()
            .filter(|place| (*place as usize) < count);
        valid.ok_or_else(|| DecodeError::Place {
            name: name.to_owned(),
            place,
            count,
        })
    }

    /// How many items the next block has; nothing at the end of a collection.
    fn block(&mut self) -> Result<Option<u64>, DecodeError> {
        let count = self.long("a collection's length")?;
        if count < 0 {
            // The size in bytes, for readers that skip.
            self.long("a block's size")?;
        }
        Ok(Some(count.unsigned_abs()).filter(|count| *count > 0))
    }
}
