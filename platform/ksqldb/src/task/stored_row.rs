//! A row at rest, in one piece of memory.
//!
//! A join keeps hundreds of thousands of rows and looks at few of them again: as one run of bytes a row takes
//! a third of the memory of its values, and one allocation instead of one a value.

use std::sync::Arc;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use crate::value::Value;

/// The bytes of a row's values, each a tag and what the tag needs. Only [`pack`] makes them, here or, where they come from a
/// changelog, earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredRow(Box<[u8]>);

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INTEGER: u8 = 3;
const BIGINT: u8 = 4;
const DOUBLE: u8 = 5;
const DECIMAL: u8 = 6;
const STRING: u8 = 7;
const BYTES: u8 = 8;
const DATE: u8 = 9;
const TIME: u8 = 10;
const TIMESTAMP: u8 = 11;
const ARRAY: u8 = 12;
const MAP: u8 = 13;
const STRUCT: u8 = 14;

impl StoredRow {
    /// Packs a row. `scratch` only saves an allocation.
    #[cfg(test)]
    pub(super) fn new(row: &[Value], scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        pack(row, scratch);
        Self(scratch.as_slice().into())
    }

    /// A row of bytes that another row was packed into before.
    pub(super) fn of_packed(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Its bytes.
    pub(super) fn packed(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.len()
    }

    /// Appends the row's values.
    pub(super) fn unpack(&self, row: &mut Vec<Value>) {
        PackedRow(&self.0).unpack(row);
    }

    /// Takes the bytes of another row, in the same memory where they are as many.
    pub(super) fn replace(&mut self, packed: &[u8]) {
        if self.0.len() == packed.len() {
            self.0.copy_from_slice(packed);
        } else {
            self.0 = packed.into();
        }
    }
}

/// The bytes of a row, wherever they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PackedRow<'a>(pub(super) &'a [u8]);

impl PackedRow<'_> {
    /// Appends the row's values.
    pub(super) fn unpack(self, row: &mut Vec<Value>) {
        self.unpack_after(0, row);
    }

    /// The same of the values after so many.
    pub(super) fn unpack_after(self, count: usize, row: &mut Vec<Value>) {
        let mut bytes = Bytes(self.0);
        if (0..count).any(|_| bytes.skip().is_none()) {
            return;
        }
        while let Some(value) = bytes.value() {
            row.push(value);
        }
    }
}

/// The bytes of values, the same for the same values.
pub(crate) fn packed(values: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    pack(values, &mut bytes);
    bytes
}

/// Appends these bytes.
pub(super) fn pack(values: &[Value], output: &mut Vec<u8>) {
    values.iter().for_each(|value| write(value, output));
}

/// Appends bytes with their length before them.
pub(super) fn run(bytes: &[u8], output: &mut Vec<u8>) {
    length(bytes.len(), output);
    output.extend_from_slice(bytes);
}

/// Such bytes, and what follows them.
pub(super) fn split_run(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut rest = Bytes(bytes);
    let run = rest.run().unwrap_or_default();
    (run, rest.0)
}

fn write(value: &Value, output: &mut Vec<u8>) {
    match value {
        Value::Null => output.push(NULL),
        Value::Boolean(false) => output.push(FALSE),
        Value::Boolean(true) => output.push(TRUE),
        Value::Integer(number) => fixed(INTEGER, &number.to_le_bytes(), output),
        Value::Date(number) => fixed(DATE, &number.to_le_bytes(), output),
        Value::Time(number) => fixed(TIME, &number.to_le_bytes(), output),
        Value::Bigint(number) => fixed(BIGINT, &number.to_le_bytes(), output),
        Value::Timestamp(number) => fixed(TIMESTAMP, &number.to_le_bytes(), output),
        Value::Double(number) => fixed(DOUBLE, &number.to_le_bytes(), output),
        Value::Decimal(number) => {
            let (digits, scale) = number.as_bigint_and_exponent();
            fixed(DECIMAL, &scale.to_le_bytes(), output);
            run(&digits.to_signed_bytes_le(), output);
        }
        Value::String(text) => {
            output.push(STRING);
            run(text.as_bytes(), output);
        }
        Value::Bytes(bytes) => {
            output.push(BYTES);
            run(bytes, output);
        }
        Value::Array(values) => {
            output.push(ARRAY);
            length(values.len(), output);
            values.iter().for_each(|value| write(value, output));
        }
        Value::Struct(values) => {
            output.push(STRUCT);
            length(values.len(), output);
            values.iter().for_each(|value| write(value, output));
        }
        Value::Map(entries) => {
            output.push(MAP);
            length(entries.len(), output);
            for (key, value) in entries.iter() {
                run(key.as_bytes(), output);
                write(value, output);
            }
        }
    }
}

fn fixed(tag: u8, bytes: &[u8], output: &mut Vec<u8>) {
    output.push(tag);
    output.extend_from_slice(bytes);
}

/// Seven bits a byte, the lowest first; the high bit says that more follow.
fn length(mut length: usize, output: &mut Vec<u8>) {
    while length >= 0x80 {
        output.push(length as u8 | 0x80);
        length >>= 7;
    }
    output.push(length as u8);
}

/// What is still to be read. `None` at the end; the bytes are our own, so nothing else can be wrong.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        self.take(LENGTH)?.try_into().ok()
    }

    fn length(&mut self) -> Option<usize> {
        let mut length = 0;
        let mut shift = 0;
        loop {
            let [byte] = self.array()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(length);
            }
            shift += 7;
        }
    }

    fn run(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Option<Arc<str>> {
        std::str::from_utf8(self.run()?).ok().map(Arc::from)
    }

    /// Leaves out a value.
    fn skip(&mut self) -> Option<()> {
        let [tag] = self.array()?;
        match tag {
            INTEGER | DATE | TIME => drop(self.take(size_of::<i32>())?),
            BIGINT | TIMESTAMP | DOUBLE => drop(self.take(size_of::<i64>())?),
            DECIMAL => {
                self.take(size_of::<i64>())?;
                self.run()?;
            }
            STRING | BYTES => drop(self.run()?),
            ARRAY | STRUCT => {
                for _ in 0..self.length()? {
                    self.skip()?;
                }
            }
            MAP => {
                for _ in 0..self.length()? {
                    self.run()?;
                    self.skip()?;
                }
            }
            // NULL and the Booleans are their tag.
            _ => {}
        }
        Some(())
    }

    fn values(&mut self) -> Option<Arc<[Value]>> {
        let length = self.length()?;
        (0..length).map(|_| self.value()).collect()
    }

    fn value(&mut self) -> Option<Value> {
        let [tag] = self.array()?;
        Some(match tag {
            FALSE => Value::Boolean(false),
            TRUE => Value::Boolean(true),
            INTEGER => Value::Integer(i32::from_le_bytes(self.array()?)),
            DATE => Value::Date(i32::from_le_bytes(self.array()?)),
            TIME => Value::Time(i32::from_le_bytes(self.array()?)),
            BIGINT => Value::Bigint(i64::from_le_bytes(self.array()?)),
            TIMESTAMP => Value::Timestamp(i64::from_le_bytes(self.array()?)),
            DOUBLE => Value::Double(f64::from_le_bytes(self.array()?)),
            DECIMAL => {
                let scale = i64::from_le_bytes(self.array()?);
                let digits = BigInt::from_signed_bytes_le(self.run()?);
                Value::Decimal(BigDecimal::from_bigint(digits, scale))
            }
            STRING => Value::String(self.text()?),
            BYTES => Value::Bytes(self.run()?.into()),
            ARRAY => Value::Array(self.values()?),
            STRUCT => Value::Struct(self.values()?),
            MAP => {
                let length = self.length()?;
                let mut entries = Vec::with_capacity(length);
                for _ in 0..length {
                    entries.push((self.text()?, self.value()?));
                }
                Value::Map(entries.into())
            }
            _ => Value::Null,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        let decimal = |(digits, scale): (i128, i64)| {
            Value::Decimal(BigDecimal::from_bigint(BigInt::from(digits), scale))
        };
        let simple = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            any::<i32>().prop_map(Value::Integer),
            any::<i64>().prop_map(Value::Bigint),
            (-1e300..1e300).prop_map(Value::Double),
            (any::<i128>(), 0..40_i64).prop_map(decimal),
            ".{0,200}".prop_map(Value::string),
            any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())),
            any::<i32>().prop_map(Value::Date),
            any::<i32>().prop_map(Value::Time),
            any::<i64>().prop_map(Value::Timestamp),
        ];
        simple.prop_recursive(3, 24, 4, |inner| {
            let several = proptest::collection::vec(inner.clone(), 0..4);
            let entries = proptest::collection::vec((".{0,3}", inner), 0..4);
            prop_oneof![
                several.clone().prop_map(|values| Value::Array(values.into())),
                several.prop_map(|values| Value::Struct(values.into())),
                entries.prop_map(|entries| Value::map(
                    entries.into_iter().map(|(key, value)| (Arc::from(key), value))
                )),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_packed_unpacks(row in proptest::collection::vec(value(), 0..6)) {
            let mut unpacked = Vec::new();
            let mut stored = StoredRow::new(&row, &mut Vec::new());
            stored.unpack(&mut unpacked);
            prop_assert_eq!(&unpacked, &row);
            for count in 0..=row.len() {
                unpacked.clear();
                PackedRow(stored.packed()).unpack_after(count, &mut unpacked);
                prop_assert_eq!(&unpacked, &row[count..]);
                stored.replace(&packed(&row[count..]));
                prop_assert_eq!(stored.packed(), packed(&row[count..]));
                stored.replace(&packed(&row));
            }
        }
    }
}
