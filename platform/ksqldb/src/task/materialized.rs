//! The rows of a table that a running query keeps, for pull queries.

use std::ops::Bound;
use std::sync::Arc;

use super::change::Bounds;
use super::store::StoreReader;
use super::store_key::StoreKey;
use crate::plan::{Materialization, Windows};
use crate::value::{Row, Value};

/// How many rows are read before whoever writes may go on.
const BATCH: usize = 256;

/// A table that can be read while its query runs.
#[derive(Debug, Clone)]
pub(crate) struct Materialized {
    plan: Arc<Materialization>,
    rows: StoreReader,
}

/// A row of a table as its sink has it: the key's columns first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TableRow {
    pub(crate) row: Row,
    pub(crate) timestamp: i64,
    pub(crate) window: Option<Bounds>,
}

impl Materialized {
    pub(super) fn new(plan: &Arc<Materialization>, rows: StoreReader) -> Self {
        Self {
            plan: Arc::clone(plan),
            rows,
        }
    }

    /// What kind of windows the keys have.
    pub(crate) fn windows(&self) -> Windows {
        self.rows.windows
    }

    /// The bytes of a key; `None` where it has none.
    pub(crate) fn key(&self, key: &[Value]) -> Option<Vec<u8>> {
        self.plan.encoder.encode(key).ok().flatten()
    }

    /// Hands over the rows between two keys, in order, until `visit` has enough (`false`).
    pub(crate) fn visit(
        &self,
        from: Bound<StoreKey>,
        to: Bound<StoreKey>,
        visit: &mut dyn FnMut(TableRow) -> bool,
    ) {
        let mut from = from;
        loop {
            let batch: Vec<(StoreKey, Row, i64)> = {
                let rows = self.rows.read();
                if is_empty(&from, &to) {
                    return;
                }
                let range = rows.range(from.as_ref(), to.as_ref());
                range
                    .take(BATCH)
                    .map(|(key, stored)| (key.clone(), stored.row(), stored.timestamp))
                    .collect()
            };
            let is_last = batch.len() < BATCH;
            for (key, row, timestamp) in batch {
                let window = key.window(self.rows.windows);
                if let Some(row) = self.plan.row(&row, window)
                    && !visit(TableRow {
                        row,
                        timestamp,
                        window,
                    })
                {
                    return;
                }
                from = Bound::Excluded(key);
            }
            if is_last {
                return;
            }
        }
    }
}

/// Whether no key lies between two; a map refuses to be asked that.
fn is_empty(from: &Bound<StoreKey>, to: &Bound<StoreKey>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
            from >= to
        }
    }
}
