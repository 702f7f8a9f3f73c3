//! A table–table join of a left column with the right key: many left rows may refer to one right row.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::change::{Change, Present};
use super::operator::{Context, Downstream, Operator};
use super::store::Store;
use super::store_key::StoreKey;
use super::table_join::{encoded, joined};
use crate::plan::{Side, TableJoinStep, Windows};
use crate::syntax::ast::JoinKind;
use crate::value::{Row, Value};

/// Joins a table with the one that a column of it refers to.
#[derive(Debug)]
pub(super) struct ForeignKeyJoin {
    step: Arc<TableJoinStep>,
    left: Store,
    right: Store,
    /// Which left rows refer to a right one: the right key's bytes with the left key's.
    referring: BTreeSet<(Vec<u8>, Arc<[u8]>)>,
}

impl ForeignKeyJoin {
    pub(super) fn new(step: &Arc<TableJoinStep>, most_bytes: usize) -> Self {
        Self {
            left: Store::new(&step.left.store, most_bytes),
            right: Store::new(&step.right.store, most_bytes),
            step: Arc::clone(step),
            referring: BTreeSet::new(),
        }
    }

    /// What a left row refers to, with its bytes.
    fn reference(&self, row: &[Value], context: &mut Context<'_>) -> (Value, Option<Vec<u8>>) {
        let key = self
            .step
            .left
            .key
            .value(row, &mut |error| context.log("the left side of JOIN ON", error));
        let bytes = encoded(&self.step, &key, context);
        (key, bytes)
    }

    /// The result for a left row and the right row it refers to.
    fn result(&self, left: Option<&Row>, right: Option<&Row>, key: &Value) -> Option<Row> {
        let left = left?;
        if right.is_none() && self.step.kind == JoinKind::Inner {
            return None;
        }
        Some(joined(&self.step, Some(left), right.map(|row| &**row), key))
    }

    fn take_left(&mut self, change: Change, to: &mut Downstream<'_, '_>) {
        let step = Arc::clone(&self.step);
        let primary: Row = step
            .left_primary
            .iter()
            .map(|column| column.value(&change.row, &mut |_| {}))
            .collect();
        if primary.iter().all(Value::is_null) {
            return;
        }
        let bytes = match step.primary_encoder.encode(&primary) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) => return to.context.log_reason("the key", error.reason),
        };
        let place = StoreKey::new(bytes, Windows::None, None);
        let old = self.left.get(&place).map(|(row, _)| row);
        let new = change.present.value.then(|| change.row.clone());
        match &new {
            Some(row) => self.left.put(place.clone(), row, change.timestamp, to.context),
            None => self.left.remove(&place, change.timestamp, to.context),
        }
        let nothing = (Value::Null, None);
        let (old_key, old_reference) = match &old {
            Some(row) => self.reference(row, to.context),
            None => nothing.clone(),
        };
        let (new_key, new_reference) = match &new {
            Some(row) => self.reference(row, to.context),
            None => nothing,
        };
        if old_reference != new_reference {
            if let Some(reference) = &old_reference {
                self.referring
                    .remove(&(reference.clone(), Arc::clone(&place.bytes)));
            }
            if let Some(reference) = &new_reference {
                self.referring
                    .insert((reference.clone(), Arc::clone(&place.bytes)));
            }
        }
        let right = |reference: Option<&Vec<u8>>| {
            let place = StoreKey::new(reference?.as_slice(), Windows::None, None);
            self.right.get(&place)
        };
        let (old_right, new_right) = (right(old_reference.as_ref()), right(new_reference.as_ref()));
        let is_told = match (step.kind, &old, &new_reference) {
            // Nobody was told of a row that refers to nothing, and nobody has to be told that it went.
            (JoinKind::Inner, _, None) => old_reference.is_some(),
            // What the row referred to before is taken back; what it still refers to is not there yet.
            (JoinKind::Inner, ..) => {
                new_right.is_some() || (old_reference.is_some() && old_reference != new_reference)
            }
            (_, old, _) => old.is_some() || new.is_some(),
        };
        if !is_told {
            return;
        }
        let timestamp = new_right.as_ref().map_or(change.timestamp, |(_, timestamp)| {
            change.timestamp.max(*timestamp)
        });
        let old_right = old_right.map(|(row, _)| row);
        let new_right = new_right.map(|(row, _)| row);
        let before = self.result(old.as_ref(), old_right.as_ref(), &old_key);
        let after = self.result(new.as_ref(), new_right.as_ref(), &new_key);
        to.pass(self.changed(&change.row, after, before, timestamp));
    }

    fn take_right(&mut self, change: Change, to: &mut Downstream<'_, '_>) {
        let step = Arc::clone(&self.step);
        let key = step.right.key.value(&change.row, &mut |error| {
            to.context.log("the right side of JOIN ON", error)
        });
        let Some(bytes) = encoded(&step, &key, to.context) else {
            return;
        };
        let place = StoreKey::new(bytes.as_slice(), Windows::None, None);
        let old = self.right.get(&place).map(|(row, _)| row);
        let new = change.present.value.then_some(change.row);
        match &new {
            Some(row) => self.right.put(place, row, change.timestamp, to.context),
            None => self.right.remove(&place, change.timestamp, to.context),
        }
        let first = (bytes.clone(), Arc::from([]));
        let referring: Vec<Arc<[u8]>> = self
            .referring
            .range(first..)
            .take_while(|(reference, _)| *reference == bytes)
            .map(|(_, left)| Arc::clone(left))
            .collect();
        for left in referring {
            let Some((left, _)) = self.left.get(&StoreKey::new(left, Windows::None, None)) else {
                continue;
            };
            let before = self.result(Some(&left), old.as_ref(), &key);
            let after = self.result(Some(&left), new.as_ref(), &key);
            to.pass(self.changed(&left, after, before, change.timestamp));
        }
    }

    /// The change of the row of a left key.
    fn changed(&self, left: &[Value], new: Option<Row>, old: Option<Row>, timestamp: i64) -> Change {
        let value = new.is_some();
        Change {
            row: new.unwrap_or_else(|| joined(&self.step, Some(left), None, &Value::Null)),
            present: Present { key: true, value },
            old,
            timestamp,
            window: None,
            partition: 0,
        }
    }
}

impl Operator for ForeignKeyJoin {
    fn take(&mut self, side: Side, change: Change, to: &mut Downstream<'_, '_>) {
        if to.context.is_replaying() {
            return;
        }
        match side {
            Side::Left => self.take_left(change, to),
            Side::Right => self.take_right(change, to),
        }
    }

    fn stores(&mut self) -> Vec<&mut Store> {
        vec![&mut self.left, &mut self.right]
    }

    fn restored(&mut self) {
        let (mut remaining, mut failure) = (None, None);
        let mut context = Context {
            collector: None,
            remaining: &mut remaining,
            failure: &mut failure,
        };
        let rows: Vec<(Arc<[u8]>, Row)> = {
            let left = self.left.read();
            let all = left.range(Bound::Unbounded, Bound::Unbounded);
            all.map(|(key, stored)| (Arc::clone(&key.bytes), stored.row()))
                .collect()
        };
        self.referring = rows
            .into_iter()
            .filter_map(|(left, row)| Some((self.reference(&row, &mut context).1?, left)))
            .collect();
    }
}
