//! `LATEST_BY_OFFSET` and `EARLIEST_BY_OFFSET`: values with their place in the order of processing, so that merged
//! sessions know which came first.

use crate::value::Value;

fn entry(value: &Value, sequence: i64) -> Value {
    Value::Struct([Value::Bigint(sequence), value.clone()].into())
}

fn place(entry: &Value) -> i64 {
    match entry {
        Value::Struct(parts) => match parts.first() {
            Some(Value::Bigint(sequence)) => *sequence,
            _ => 0,
        },
        _ => 0,
    }
}

fn value(entry: &Value) -> Value {
    match entry {
        Value::Struct(parts) => parts.get(1).cloned().unwrap_or_default(),
        _ => Value::Null,
    }
}

pub(super) fn add(state: Value, argument: &Value, sequence: i64, latest: bool, n: Option<usize>) -> Value {
    let entry = entry(argument, sequence);
    match n {
        None => one(state, entry, latest),
        Some(n) => several(state, entry, latest, n),
    }
}

pub(super) fn merge(left: Value, right: &Value, latest: bool, n: Option<usize>) -> Value {
    match (n, right) {
        (None, Value::Null) => left,
        (None, entry) => one(left, entry.clone(), latest),
        (Some(n), Value::Array(entries)) => entries
            .iter()
            .fold(left, |state, entry| several(state, entry.clone(), latest, n)),
        (Some(_), _) => left,
    }
}

/// The later or the earlier of two entries.
fn one(state: Value, entry: Value, latest: bool) -> Value {
    if state.is_null() || (place(&entry) > place(&state)) == latest {
        entry
    } else {
        state
    }
}

/// The entries in their order, with one more; the `n` last or first of them.
fn several(state: Value, entry: Value, latest: bool, n: usize) -> Value {
    let Value::Array(entries) = &state else {
        return state;
    };
    let at = entries.partition_point(|other| place(other) <= place(&entry));
    let mut entries = entries.to_vec();
    entries.insert(at, entry);
    if entries.len() > n {
        let surplus = if latest { 0 } else { n };
        entries.remove(surplus);
    }
    Value::Array(entries.into())
}

pub(super) fn result(state: &Value, n: Option<usize>) -> Value {
    match (n, state) {
        (Some(_), Value::Array(entries)) => Value::Array(entries.iter().map(value).collect()),
        _ => value(state),
    }
}

pub(super) fn sequence(state: &Value) -> Option<i64> {
    match state {
        Value::Array(entries) => entries.iter().map(place).max(),
        Value::Null => None,
        entry => Some(place(entry)),
    }
}
