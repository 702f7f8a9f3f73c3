//! Lists of values: all, those that differ, the greatest.

use std::cmp::Ordering;

use super::order::compare;
use crate::value::Value;

fn items(state: &Value) -> &[Value] {
    match state {
        Value::Array(items) => items,
        _ => &[],
    }
}

/// Adds the items of one list to another, one after the other.
pub(super) fn each(list: Value, added: &Value, add: impl Fn(Value, &Value) -> Value) -> Value {
    items(added).iter().fold(list, add)
}

/// The list with a value at its end, unless it is full.
pub(super) fn append(state: Value, value: &Value, most: Option<usize>) -> Value {
    let items = items(&state);
    if most.is_some_and(|most| items.len() >= most) {
        return state;
    }
    Value::Array(items.iter().chain([value]).cloned().collect())
}

/// The list with a value at its end, unless it is full or has it.
pub(super) fn append_new(state: Value, value: &Value, most: Option<usize>) -> Value {
    if items(&state).contains(value) {
        return state;
    }
    append(state, value, most)
}

/// The list without the last of the values that are equal to this one.
pub(super) fn without_last(state: Value, value: &Value) -> Value {
    let items = items(&state);
    let Some(place) = items.iter().rposition(|item| item == value) else {
        return state;
    };
    let (before, after) = (&items[..place], &items[place + 1..]);
    Value::Array(before.iter().chain(after).cloned().collect())
}

/// The first of a ranked item: what it is ranked by.
fn rank_of(item: &Value, is_struct: bool) -> &Value {
    match item {
        Value::Struct(fields) if is_struct && !fields.is_empty() => &fields[0],
        item => item,
    }
}

/// The `n` greatest, the greatest first, with one more; of equal ones those that came first stay first.
pub(super) fn rank(state: Value, arguments: &[Value], n: usize, is_struct: bool) -> Value {
    let Some(by) = arguments.first().filter(|by| !by.is_null()) else {
        return state;
    };
    let item = if is_struct {
        Value::Struct(arguments.into())
    } else {
        by.clone()
    };
    insert(&state, by, item, n, is_struct)
}

/// The same without duplicates.
pub(super) fn rank_distinct(state: Value, value: &Value, n: usize) -> Value {
    let is_there = |item: &Value| compare(item, value) == Ordering::Equal;
    if value.is_null() || items(&state).iter().any(is_there) {
        return state;
    }
    insert(&state, value, value.clone(), n, false)
}

fn insert(state: &Value, by: &Value, item: Value, n: usize, is_struct: bool) -> Value {
    let items = items(state);
    let place = items.partition_point(|other| compare(rank_of(other, is_struct), by) != Ordering::Less);
    let (before, after) = items.split_at(place);
    let all = before.iter().cloned().chain([item]).chain(after.iter().cloned());
    Value::Array(all.take(n).collect())
}
