//! Bytes as the encoding lays them out, read part by part: for readers that make something else of them than a
//! [`Value`](crate::Value), and pass over what they do not need.

use crate::decode::DecodeError;
use crate::encode::DEEPEST;
use crate::{Kind, NodeId, Schema};

/// How many values may come of no bytes at all, in one whole value.
pub(crate) const MOST_EMPTY: usize = 65_536;

/// A place in the bytes of a value. What comes of them is bounded by their own length: see [`Cursor::count_value`].
#[derive(Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    /// How many values may still come.
    allowance: usize,
}

/// A block of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// How many items it has.
    pub count: u64,
    /// How many bytes it takes, where the writer says it.
    pub size: Option<usize>,
}

impl<'a> Cursor<'a> {
    /// At the beginning of a value's bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            allowance: bytes.len().saturating_add(MOST_EMPTY),
        }
    }

    /// Whether all of the bytes are read.
    ///
    /// # Errors
    /// When there are more of them.
    pub fn end(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            rest => Err(DecodeError::Rest(rest)),
        }
    }

    /// Called for each value, so that collections of values that take no bytes come to an end.
    ///
    /// # Errors
    /// When there are too many of them.
    pub fn count_value(&mut self) -> Result<(), DecodeError> {
        self.allowance = self.allowance.checked_sub(1).ok_or(DecodeError::TooMany)?;
        Ok(())
    }

    /// So many bytes. `what` says in the error what they belong to.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(DecodeError::Truncated(what))?;
        self.rest = rest;
        Ok(taken)
    }

    /// A `boolean`.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn boolean(&mut self) -> Result<bool, DecodeError> {
        match self.take(1, "boolean")? {
            [0] => Ok(false),
            [1] => Ok(true),
            other => Err(DecodeError::Boolean(other.first().copied().unwrap_or_default())),
        }
    }

    /// An `int`.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn int(&mut self) -> Result<i32, DecodeError> {
        i32::try_from(self.long("int")?).map_err(|_| DecodeError::Number("int"))
    }

    /// A `long`, or a number that is written as one. `what` says in the error what it is.
    ///
    /// # Errors
    /// [`DecodeError`].
    #[inline]
    pub fn long(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        // Most are lengths and places of one byte.
        if let [byte, rest @ ..] = self.rest
            && *byte < 0x80
        {
            self.rest = rest;
            return Ok(unzigzag(u64::from(*byte)));
        }
        self.longer(what)
    }

    fn longer(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        let mut value = 0u64;
        for (place, byte) in self.rest.iter().enumerate() {
            let bits = u64::from(byte & 0x7f);
            if place == 9 && *byte > 1 {
                return Err(DecodeError::Number(what));
            }
            value |= bits << (7 * place);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[place + 1..];
                return Ok(unzigzag(value));
            }
        }
        Err(DecodeError::Truncated(what))
    }

    /// A `float`.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn float(&mut self) -> Result<f32, DecodeError> {
        Ok(f32::from_le_bytes(self.array("float")?))
    }

    /// A `double`.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn double(&mut self) -> Result<f64, DecodeError> {
        Ok(f64::from_le_bytes(self.array("double")?))
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(DecodeError::Truncated(what))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A length and so many bytes. `what` says in the error what they are.
    ///
    /// # Errors
    /// [`DecodeError`].
    #[inline]
    pub fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.long(what)?;
        let left = self.rest.len();
        let count = usize::try_from(length).ok().filter(|count| *count <= left);
        self.take(count.ok_or(DecodeError::Length(length, left))?, what)
    }

    /// A `string`, or a key of a `map`.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        str::from_utf8(self.bytes("string")?).map_err(|_| DecodeError::Text)
    }

    /// The place of a symbol in an `enum` of that name, or of a branch in a union, out of `count`.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn place(&mut self, name: &str, count: usize) -> Result<u32, DecodeError> {
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

    /// The next block of an `array` or a `map`; nothing at its end.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn block(&mut self) -> Result<Option<Block>, DecodeError> {
        let count = self.long("a collection's length")?;
        let mut size = None;
        if count < 0 {
            let bytes = self.long("a block's size")?;
            let left = self.rest.len();
            let valid = usize::try_from(bytes).ok().filter(|bytes| *bytes <= left);
            size = Some(valid.ok_or(DecodeError::Length(bytes, left))?);
        }
        let count = count.unsigned_abs();
        Ok((count > 0).then_some(Block { count, size }))
    }

    /// Passes over a value. Texts are not looked at.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn skip(&mut self, schema: &Schema, id: NodeId) -> Result<(), DecodeError> {
        self.skip_nested(schema, id, 0)
    }

    fn skip_nested(&mut self, schema: &Schema, id: NodeId, depth: usize) -> Result<(), DecodeError> {
        if depth > DEEPEST {
            return Err(DecodeError::TooDeep);
        }
        self.count_value()?;
        match schema.kind(id) {
            Kind::Null => {}
            Kind::Boolean => {
                self.boolean()?;
            }
            Kind::Int | Kind::Enum(_) => {
                self.int()?;
            }
            Kind::Long => {
                self.long("long")?;
            }
            Kind::Float => {
                self.take(4, "float")?;
            }
            Kind::Double => {
                self.take(8, "double")?;
            }
            Kind::Bytes => {
                self.bytes("bytes")?;
            }
            Kind::String => {
                self.bytes("string")?;
            }
            Kind::Fixed(fixed) => {
                self.take(fixed.size, "fixed")?;
            }
            Kind::Array(items) | Kind::Map(items) => {
                let has_keys = matches!(schema.kind(id), Kind::Map(_));
                while let Some(block) = self.block()? {
                    if let Some(size) = block.size {
                        self.take(size, "a block")?;
                        continue;
                    }
                    for _ in 0..block.count {
                        if has_keys {
                            self.bytes("string")?;
                        }
                        self.skip_nested(schema, *items, depth + 1)?;
                    }
                }
            }
            Kind::Record(record) => {
                for field in &record.fields {
                    self.skip_nested(schema, field.schema, depth + 1)?;
                }
            }
            Kind::Union(branches) => {
                let place = self.place("union", branches.len())?;
                // The place is one of the branches.
                self.skip_nested(schema, branches[place as usize], depth + 1)?;
            }
        }
        Ok(())
    }
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}
