//! Encoding straight from a program's own data, without a [`Value`](crate::Value) between. What is written is as right as the
//! order of the calls: nothing here knows the schema.

use crate::{write_bytes, write_long};

/// The most items of a block whose number is one byte.
const BLOCK: u8 = 63;

/// Appends a `string`.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    write_bytes(text.as_bytes(), out);
}

/// Appends the place of a branch of a union, before its value.
pub fn write_branch(place: u32, out: &mut Vec<u8>) {
    write_long(i64::from(place), out);
}

/// An array or a map while its number of items is not known: blocks of up to 63 items, each of whose numbers is filled in
/// as the items come.
#[derive(Debug, Default)]
pub struct Blocks {
    /// Where the number of the block stands.
    place: usize,
    items: u8,
}

impl Blocks {
    /// To be called before each item (of a map: before its key).
    pub fn item(&mut self, out: &mut Vec<u8>) {
        if self.items == 0 || self.items == BLOCK {
            self.place = out.len();
            self.items = 0;
            out.push(0);
        }
        self.items += 1;
        // Zig-zag.
        out[self.place] = self.items << 1;
    }

    /// To be called after the last item.
    pub fn end(self, out: &mut Vec<u8>) {
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Schema, Value, decode};

    proptest! {
        #[test]
        fn what_is_written_piece_by_piece_is_read(
            entries in proptest::collection::vec((".{0,8}", any::<i64>(), any::<bool>()), 0..200),
            bytes: Vec<u8>,
        ) {
            let schema = Schema::parse(
                r#"{"type":"record","name":"R","fields":[
                    {"name":"m","type":{"type":"map","values":["null","long"]}},{"name":"b","type":"bytes"}]}"#,
            )
            .unwrap();
            let mut out = Vec::new();
            let mut blocks = Blocks::default();
            for (name, number, is_null) in &entries {
                blocks.item(&mut out);
                write_string(name, &mut out);
                write_branch(u32::from(!is_null), &mut out);
                if !is_null {
                    write_long(*number, &mut out);
                }
            }
            blocks.end(&mut out);
            write_bytes(&bytes, &mut out);
            let entries = entries.into_iter().map(|(name, number, is_null)| {
                let value = if is_null { Value::Null } else { Value::Long(number) };
                (name, Value::Union(u32::from(!is_null), Box::new(value)))
            });
            let expected = Value::Record(vec![Value::Map(entries.collect()), Value::Bytes(bytes)]);
            prop_assert_eq!(decode(&schema, &out).unwrap(), expected);
        }
    }
}
