//! A table–table join on the keys of both: the result is a table, whose row changes when either side's does.

use std::sync::Arc;

use super::change::{Change, Present};
use super::operator::{Context, Downstream, Operator};
use super::store::Store;
use super::store_key::StoreKey;
use crate::expression::Expr;
use crate::plan::{Side, TableJoinStep, Windows};
use crate::syntax::ast::JoinKind;
use crate::value::{Row, Value};

/// Joins two tables.
#[derive(Debug)]
pub(super) struct TableJoin {
    step: Arc<TableJoinStep>,
    left: Store,
    right: Store,
}

impl TableJoin {
    pub(super) fn new(step: &Arc<TableJoinStep>, most_bytes: usize) -> Self {
        Self {
            left: Store::new(&step.left.store, most_bytes),
            right: Store::new(&step.right.store, most_bytes),
            step: Arc::clone(step),
        }
    }
}

impl Operator for TableJoin {
    fn take(&mut self, side: Side, change: Change, to: &mut Downstream<'_, '_>) {
        if to.context.is_replaying() {
            return;
        }
        let step = &self.step;
        let (own, other, own_side) = match side {
            Side::Left => (&mut self.left, &self.right, &step.left),
            Side::Right => (&mut self.right, &self.left, &step.right),
        };
        let key = own_side
            .key
            .value(&change.row, &mut |error| to.context.log("JOIN ON", error));
        let Some(bytes) = encoded(step, &key, to.context) else {
            return;
        };
        let place = StoreKey::new(bytes, Windows::None, None);
        let old = own.get(&place).map(|(row, _)| row);
        let new = change.present.value.then_some(change.row);
        match &new {
            Some(row) => own.put(place.clone(), row, change.timestamp, to.context),
            None => own.remove(&place, change.timestamp, to.context),
        }
        let met = other.get(&place);
        let is_kept = match side {
            Side::Left => matches!(step.kind, JoinKind::Left | JoinKind::Full),
            Side::Right => matches!(step.kind, JoinKind::Right | JoinKind::Full),
        };
        if met.is_none() && (!is_kept || (new.is_none() && old.is_none())) {
            return;
        }
        let timestamp = met.as_ref().map_or(change.timestamp, |(_, timestamp)| {
            change.timestamp.max(*timestamp)
        });
        let met = met.map(|(row, _)| row);
        let result = |own: Option<&Row>| {
            let (left, right) = match side {
                Side::Left => (own, met.as_ref()),
                Side::Right => (met.as_ref(), own),
            };
            let is_there = match step.kind {
                JoinKind::Inner => left.is_some() && right.is_some(),
                JoinKind::Left => left.is_some(),
                JoinKind::Right => right.is_some(),
                JoinKind::Full => left.is_some() || right.is_some(),
            };
            is_there.then(|| joined(step, left.map(|row| &**row), right.map(|row| &**row), &key))
        };
        let (new, old) = (result(new.as_ref()), result(old.as_ref()));
        to.pass(changed(step, new, old, &key, timestamp));
    }

    fn stores(&mut self) -> Vec<&mut Store> {
        vec![&mut self.left, &mut self.right]
    }
}

/// The bytes of a join's key; `None` for `NULL`, which joins nothing.
pub(super) fn encoded(step: &TableJoinStep, key: &Value, context: &mut Context<'_>) -> Option<Vec<u8>> {
    if key.is_null() {
        return None;
    }
    match step.encoder.encode(std::slice::from_ref(key)) {
        Ok(bytes) => bytes,
        Err(error) => {
            context.log_reason("JOIN ON", error.reason);
            None
        }
    }
}

/// The row of both sides, with nulls for one that is not there, and the join's key where that is kept. The column that
/// stands for the key has it all the same.
pub(super) fn joined(
    step: &TableJoinStep,
    left: Option<&[Value]>,
    right: Option<&[Value]>,
    key: &Value,
) -> Row {
    let mut row = Row::with_capacity(step.left.width + step.right.width + 1);
    row.extend_from_slice(left.unwrap_or_default());
    row.resize(step.left.width, Value::Null);
    row.extend_from_slice(right.unwrap_or_default());
    row.resize(step.left.width + step.right.width, Value::Null);
    if let Some(place) = step.key_place
        && row[place].is_null()
    {
        row[place] = key.clone();
    }
    if step.appends_key {
        row.push(key.clone());
    }
    row
}

/// The change of a join's row. Of a deletion the columns that the join compares have its key.
pub(super) fn changed(
    step: &TableJoinStep,
    new: Option<Row>,
    old: Option<Row>,
    key: &Value,
    timestamp: i64,
) -> Change {
    let value = new.is_some();
    let row = new.unwrap_or_else(|| {
        let mut row = old.clone().unwrap_or_else(|| joined(step, None, None, key));
        for (expr, offset) in [(&step.left.key, 0), (&step.right.key, step.left.width)] {
            if let Expr::Column(place) = expr {
                row[place + offset] = key.clone();
            }
        }
        row
    });
    Change {
        row,
        present: Present { key: true, value },
        old,
        timestamp,
        window: None,
        partition: 0,
    }
}
