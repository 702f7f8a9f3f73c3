//! Which values there are, and how often: `COUNT_DISTINCT`, `HISTOGRAM`, `ATTR`.

use std::sync::Arc;

use super::hash_order::HashOrder;
use crate::task::packed;
use crate::value::Value;

/// HyperLogLog's registers: the error is below one in a hundred.
const REGISTERS: usize = 1 << 14;
/// Up to so many hashes are kept as they are, and counted exactly.
const MOST_HASHES: usize = 1024;
/// How many different texts a histogram counts; further ones are left out.
const MOST_KEYS: usize = 1000;
/// A `NULL` among a histogram's texts.
const NULL_KEY: &str = "null";

/// The state: sorted hashes of eight bytes each, or the registers.
pub(super) fn no_values() -> Value {
    Value::Bytes([].into())
}

pub(super) fn add(state: Value, value: &Value) -> Value {
    if value.is_null() {
        return state;
    }
    let hash = hash(&packed(std::slice::from_ref(value)));
    let Value::Bytes(bytes) = &state else {
        return state;
    };
    if bytes.len() == REGISTERS {
        let (register, rank) = register_of(hash);
        if bytes[register] >= rank {
            return state;
        }
        let mut registers = bytes.to_vec();
        registers[register] = rank;
        return Value::Bytes(registers.into());
    }
    let mut hashes = hashes(bytes);
    match hashes.binary_search(&hash) {
        Ok(_) => state,
        Err(place) => {
            hashes.insert(place, hash);
            of_hashes(&hashes)
        }
    }
}

pub(super) fn union(left: Value, right: Value) -> Value {
    let (Value::Bytes(left), Value::Bytes(right)) = (&left, &right) else {
        return left;
    };
    if left.len() < REGISTERS && right.len() < REGISTERS {
        let mut all = hashes(left);
        all.extend(hashes(right));
        all.sort_unstable();
        all.dedup();
        return of_hashes(&all);
    }
    let pairs = registers(left).into_iter().zip(registers(right));
    Value::Bytes(pairs.map(|(left, right)| left.max(right)).collect())
}

pub(super) fn estimate(state: &Value) -> Value {
    let Value::Bytes(bytes) = state else {
        return Value::Bigint(0);
    };
    if bytes.len() != REGISTERS {
        return Value::Bigint((bytes.len() / 8) as i64);
    }
    let size = REGISTERS as f64;
    let harmonic: f64 = bytes.iter().map(|rank| (-f64::from(*rank)).exp2()).sum();
    let estimate = 0.7213 / (1.0 + 1.079 / size) * size * size / harmonic;
    let empty = bytes.iter().filter(|rank| **rank == 0).count();
    let estimate = if estimate <= 2.5 * size && empty > 0 {
        size * (size / empty as f64).ln()
    } else {
        estimate
    };
    Value::Bigint(estimate.round() as i64)
}

fn hashes(bytes: &[u8]) -> Vec<u64> {
    let (chunks, _) = bytes.as_chunks();
    chunks.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect()
}

fn of_hashes(hashes: &[u64]) -> Value {
    if hashes.len() <= MOST_HASHES {
        return Value::Bytes(hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect());
    }
    Value::Bytes(of_all(hashes).into())
}

fn of_all(hashes: &[u64]) -> Vec<u8> {
    let mut registers = vec![0; REGISTERS];
    for hash in hashes {
        let (register, rank) = register_of(*hash);
        registers[register] = rank.max(registers[register]);
    }
    registers
}

fn registers(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() == REGISTERS {
        bytes.to_vec()
    } else {
        of_all(&hashes(bytes))
    }
}

/// The register a hash counts in, and one more than the zeros that its other bits begin with.
fn register_of(hash: u64) -> (usize, u8) {
    let bits = REGISTERS.trailing_zeros();
    let register = (hash >> (u64::BITS - bits)) as usize;
    let rank = (hash << bits).leading_zeros().min(u64::BITS - bits) + 1;
    (register, u8::try_from(rank).unwrap_or(u8::MAX))
}

/// A hash that is the same after a restart: FNV-1a, its bits mixed as MurmurHash3 does.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// A histogram in which a text is there so many times more. A text that is there no more goes. The entries are in the
/// order in which Java's hash table has them.
pub(super) fn count_key(state: Value, key: &Value, by: i64) -> Value {
    let text: Arc<str> = match key {
        Value::String(text) => Arc::clone(text),
        _ => NULL_KEY.into(),
    };
    let Value::Map(entries) = &state else {
        return state;
    };
    let found = entries.iter().position(|(other, _)| *other == text);
    if found.is_none() && (by <= 0 || entries.len() >= MOST_KEYS) {
        return state;
    }
    let mut table = HashOrder::of(entries.len());
    for entry in entries.iter() {
        table.put(entry.clone());
    }
    match found {
        None => table.merge((text, Value::Bigint(by)), key.is_null()),
        Some(_) => table.change(&text, |count| {
            let count = super::numeric::whole(count) + by;
            (count > 0).then_some(Value::Bigint(count))
        }),
    }
    Value::Map(table.into_entries().into())
}

pub(super) fn merge_keys(left: Value, right: &Value) -> Value {
    let Value::Map(entries) = right else {
        return left;
    };
    entries.iter().fold(left, |state, (key, count)| {
        count_key(
            state,
            &Value::String(Arc::clone(key)),
            super::numeric::whole(count),
        )
    })
}

/// Values with their counts, in which one is there so many times more.
pub(super) fn count_value(state: Value, value: &Value, by: i64) -> Value {
    let Value::Array(entries) = &state else {
        return state;
    };
    let mut entries = entries.to_vec();
    let is_it = |entry: &Value| matches!(entry, Value::Struct(parts) if parts.first() == Some(value));
    let count = |entry: &Value| match entry {
        Value::Struct(parts) => parts.get(1).map_or(0, super::numeric::whole),
        _ => 0,
    };
    let place = entries.iter().position(is_it);
    let counted = place.map_or(0, |place| count(&entries[place])) + by;
    let entry = Value::Struct([value.clone(), Value::Bigint(counted)].into());
    match place {
        Some(place) if counted > 0 => entries[place] = entry,
        Some(place) => {
            entries.remove(place);
        }
        None if counted > 0 => entries.push(entry),
        None => return state,
    }
    Value::Array(entries.into())
}

pub(super) fn merge_values(left: Value, right: &Value) -> Value {
    let Value::Array(entries) = right else {
        return left;
    };
    entries.iter().fold(left, |state, entry| match entry {
        Value::Struct(parts) if parts.len() == 2 => {
            count_value(state, &parts[0], super::numeric::whole(&parts[1]))
        }
        _ => state,
    })
}

/// The value, where there is only one.
pub(super) fn only_value(state: &Value) -> Value {
    match state {
        Value::Array(entries) if entries.len() == 1 => match &entries[0] {
            Value::Struct(parts) => parts.first().cloned().unwrap_or_default(),
            _ => Value::Null,
        },
        _ => Value::Null,
    }
}
