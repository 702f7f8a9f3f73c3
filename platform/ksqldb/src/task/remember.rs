//! A table's rows, kept: what comes after learns what a row was before, and pull queries read them.

use std::sync::Arc;

use super::change::Change;
use super::operator::{Downstream, Operator};
use super::store::Store;
use super::store_key::StoreKey;
use crate::plan::{RememberStep, Side};
use crate::value::{Row, Value};

/// Keeps the rows that pass through.
#[derive(Debug)]
pub(super) struct Remember {
    step: Arc<RememberStep>,
    store: Store,
}

impl Remember {
    pub(super) fn new(step: &Arc<RememberStep>, most_bytes: usize) -> Self {
        Self {
            step: Arc::clone(step),
            store: Store::new(&step.store, most_bytes),
        }
    }
}

impl Operator for Remember {
    fn take(&mut self, _: Side, mut change: Change, to: &mut Downstream<'_, '_>) {
        if to.context.is_replaying() {
            return;
        }
        let key: Row = self
            .step
            .key
            .iter()
            .map(|column| column.value(&change.row, &mut |_| {}))
            .collect();
        if key.iter().all(Value::is_null) {
            return;
        }
        let bytes = match self.step.encoder.encode(&key) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) => return to.context.log_reason("the key", error.reason),
        };
        let key = StoreKey::new(bytes, self.store.windows, change.window);
        change.old = self.store.get(&key).map(|(row, _)| row);
        if change.present.value {
            self.store.put(key, &change.row, change.timestamp, to.context);
        } else {
            self.store.remove(&key, change.timestamp, to.context);
        }
        to.pass(change);
    }

    fn stores(&mut self) -> Vec<&mut Store> {
        vec![&mut self.store]
    }
}
