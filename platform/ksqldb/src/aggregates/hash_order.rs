//! The order in which Java's `HashMap` has its entries, as far as ksqlDB lets it be seen.
//!
//! ksqlDB reads the map of an aggregate into a table made for as many entries, changes it, and writes the entries in the
//! table's order: by slot, and within one with those behind that `put` brought, and before that `merge` brought.

use std::sync::Arc;

use crate::value::Value;

type Entry = (Arc<str>, Value);

/// A table of entries.
#[derive(Debug)]
pub(super) struct HashOrder {
    /// As many as a power of two; none before the first entry.
    slots: Vec<Vec<(u32, Entry)>>,
    /// How many there are to be at first.
    capacity: usize,
    /// With more entries than so many, there are twice as many slots.
    threshold: usize,
    size: usize,
}

impl HashOrder {
    /// A table made for so many entries.
    pub(super) fn of(entries: usize) -> Self {
        Self {
            slots: Vec::new(),
            capacity: entries.max(1).next_power_of_two(),
            threshold: 0,
            size: 0,
        }
    }

    /// `HashMap.put` of a key that is not there.
    pub(super) fn put(&mut self, entry: Entry) {
        if self.slots.is_empty() {
            self.grow();
        }
        let hash = spread(hash_code(&entry.0));
        self.slot(hash).push((hash, entry));
        self.size += 1;
        if self.size > self.threshold {
            self.grow();
        }
    }

    /// `HashMap.merge` of a key that is not there; that of `null` hashes to 0 until it has been written and read.
    pub(super) fn merge(&mut self, entry: Entry, is_null: bool) {
        if self.slots.is_empty() || self.size > self.threshold {
            self.grow();
        }
        let hash = if is_null { 0 } else { spread(hash_code(&entry.0)) };
        self.slot(hash).insert(0, (hash, entry));
        self.size += 1;
    }

    /// Changes the value of a key that is there; `None` takes it away.
    pub(super) fn change(&mut self, key: &str, change: impl FnOnce(&Value) -> Option<Value>) {
        for slot in &mut self.slots {
            let Some(place) = slot.iter().position(|(_, (other, _))| **other == *key) else {
                continue;
            };
            match change(&slot[place].1.1) {
                Some(value) => slot[place].1.1 = value,
                None => {
                    slot.remove(place);
                    self.size -= 1;
                }
            }
            return;
        }
    }

    /// The entries in the table's order.
    pub(super) fn into_entries(self) -> Vec<Entry> {
        let entries = self.slots.into_iter().flatten();
        entries.map(|(_, entry)| entry).collect()
    }

    fn slot(&mut self, hash: u32) -> &mut Vec<(u32, Entry)> {
        let place = hash as usize & (self.slots.len() - 1);
        &mut self.slots[place]
    }

    /// Makes the first slots, or twice as many. Entries that stay together keep their order.
    fn grow(&mut self) {
        let count = match self.slots.len() {
            0 => self.capacity,
            count => count * 2,
        };
        self.threshold = count * 3 / 4;
        let old = std::mem::replace(&mut self.slots, vec![Vec::new(); count]);
        for (hash, entry) in old.into_iter().flatten() {
            self.slot(hash).push((hash, entry));
        }
    }
}

/// `String.hashCode`
fn hash_code(text: &str) -> u32 {
    let add = |hash: u32, unit: u16| hash.wrapping_mul(31).wrapping_add(u32::from(unit));
    text.encode_utf16().fold(0, add)
}

/// `HashMap.hash`
fn spread(hash: u32) -> u32 {
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(table: HashOrder) -> Vec<String> {
        let entries = table.into_entries().into_iter();
        entries.map(|(key, _)| key.to_string()).collect()
    }

    fn after(put: &[&str], merged: &str) -> Vec<String> {
        let mut table = HashOrder::of(put.len());
        for key in put {
            table.put(((*key).into(), Value::Null));
        }
        table.merge((merged.into(), Value::Null), merged == "null");
        keys(table)
    }

    /// As a real server wrote them.
    #[test]
    fn entries_are_where_java_has_them() {
        assert_eq!(after(&[], "a"), ["a"]);
        assert_eq!(after(&["a"], "c"), ["c", "a"]);
        assert_eq!(after(&["c", "a"], "e"), ["e", "a", "c"]);
        assert_eq!(after(&["b"], "f"), ["f", "b"]);
        assert_eq!(after(&["1"], "2"), ["2", "1"]);
        assert_eq!(after(&["1"], "null"), ["null", "1"]);
        assert_eq!(after(&["null", "1"], "3"), ["null", "1", "3"]);
    }

    #[test]
    fn a_key_hashes_as_in_java() {
        assert_eq!(hash_code("null"), 3_392_903);
        assert_eq!(hash_code("polygenelubricants") as i32, i32::MIN);
        assert_eq!(hash_code("\u{1f600}"), 0xd83d * 31 + 0xde00);
    }
}
