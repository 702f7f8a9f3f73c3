//! A stream–table join: each row of the stream meets the table's row as it is at that moment.

use std::sync::Arc;

use super::change::Change;
use super::operator::{Downstream, Operator};
use super::store::Store;
use super::store_key::StoreKey;
use super::table_join::{encoded, joined};
use crate::plan::{Side, TableJoinStep, Windows};
use crate::syntax::ast::JoinKind;

/// Joins a stream with a table.
#[derive(Debug)]
pub(super) struct Lookup {
    step: Arc<TableJoinStep>,
    table: Store,
}

impl Lookup {
    pub(super) fn new(step: &Arc<TableJoinStep>, most_bytes: usize) -> Self {
        Self {
            step: Arc::clone(step),
            table: Store::new(&step.right.store, most_bytes),
        }
    }
}

impl Operator for Lookup {
    fn take(&mut self, side: Side, change: Change, to: &mut Downstream<'_, '_>) {
        let step = &self.step;
        let (expr, text) = match side {
            Side::Left => (&step.left.key, "the left side of JOIN ON"),
            Side::Right => (&step.right.key, "the right side of JOIN ON"),
        };
        let key = expr.value(&change.row, &mut |error| to.context.log(text, error));
        let bytes = encoded(step, &key, to.context);
        if side == Side::Right {
            let Some(bytes) = bytes else {
                return;
            };
            if to.context.is_replaying() {
                return;
            }
            let place = StoreKey::new(bytes, Windows::None, None);
            if change.present.value {
                self.table.put(place, &change.row, change.timestamp, to.context);
            } else {
                self.table.remove(&place, change.timestamp, to.context);
            }
            return;
        }
        if !change.present.value {
            return;
        }
        let found = bytes.and_then(|bytes| self.table.get(&StoreKey::new(bytes, Windows::None, None)));
        if found.is_none() && step.kind != JoinKind::Left {
            return;
        }
        let row = joined(
            step,
            Some(&change.row),
            found.as_ref().map(|(row, _)| &**row),
            &key,
        );
        to.pass(Change {
            row,
            old: None,
            ..change
        });
    }

    fn stores(&mut self) -> Vec<&mut Store> {
        vec![&mut self.table]
    }
}
