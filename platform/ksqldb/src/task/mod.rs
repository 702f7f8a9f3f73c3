//! A running plan: records in; rows, records and log entries out.
//!
//! One task a query, on one thread. It knows no broker, no clock and no client: time is the records' own.
//!
//! A record becomes a `Change`: a row of a stream, or a table's row as it was and as it is. It passes through the
//! query's operators (`operator`), each of which keeps its state in stores (`store`): a table that is read remembers
//! its rows, an aggregate its groups and windows, a join of tables both sides. What a store keeps also goes, change by
//! change, to the store's changelog, from which [`Task::restore_store`] fills it again; the rows of stream–stream joins
//! come back by [`Task::restore`] from the inputs. The store nearest to the output is what pull queries read
//! (`materialized`).

mod aggregate;
mod change;
mod filter;
mod foreign_key;
mod join;
mod ledger;
mod lookup;
mod materialized;
mod operator;
mod output;
mod partitions;
mod record;
mod remember;
mod scan;
mod store;
mod store_key;
mod stored_row;
mod table_join;
mod window_store;

use std::sync::Arc;

pub(crate) use change::Bounds;
pub use ledger::Ledger;
pub(crate) use materialized::{Materialized, TableRow};
pub use partitions::StreamTimes;
pub(crate) use partitions::partition_of;
pub use record::{Collector, InputRecord, LogEntry, OutputRecord, OutputRow};
pub use store::StoreChange;
pub(crate) use store_key::StoreKey;
pub(crate) use stored_row::packed;

use crate::plan::{Pipeline, QueryPlan, Step};
use aggregate::Aggregation;
use filter::Filter;
use foreign_key::ForeignKeyJoin;
use join::StreamJoin;
use lookup::Lookup;
use operator::{Context, Downstream, Operator};
use output::Output;
use remember::Remember;
use table_join::TableJoin;

/// A running query.
#[derive(Debug)]
pub struct Task {
    pipeline: Arc<Pipeline>,
    /// One a step.
    operators: Vec<Box<dyn Operator>>,
    remaining: Option<u64>,
    failure: Option<String>,
}

impl Task {
    /// A task with empty state.
    pub fn new(plan: &QueryPlan) -> Self {
        Self::with_most(plan, join::MOST_BYTES, store::MOST_BYTES)
    }

    /// The same, where the rows of each store may take so many bytes.
    pub fn with_stores_of(plan: &QueryPlan, most_bytes: usize) -> Self {
        Self::with_most(plan, join::MOST_BYTES, most_bytes)
    }

    /// The same, where the rows of each join and of each store may take so many bytes.
    pub fn with_state_of(plan: &QueryPlan, most_bytes: usize) -> Self {
        Self::with_most(plan, most_bytes, most_bytes)
    }

    fn with_most(plan: &QueryPlan, of_joins: usize, of_stores: usize) -> Self {
        let pipeline = Arc::clone(&plan.pipeline);
        let operator = |step: &Step| -> Box<dyn Operator> {
            match step {
                Step::StreamJoin(step) => Box::new(StreamJoin::new(step, of_joins)),
                Step::Lookup(step) => Box::new(Lookup::new(step, of_stores)),
                Step::TableJoin(step) => Box::new(TableJoin::new(step, of_stores)),
                Step::ForeignKeyJoin(step) => Box::new(ForeignKeyJoin::new(step, of_stores)),
                Step::Remember(step) => Box::new(Remember::new(step, of_stores)),
                Step::Filter(step) => Box::new(Filter::new(step)),
                Step::Aggregate(step) => Box::new(Aggregation::new(step, of_stores)),
                Step::Output(step) => Box::new(Output::new(step)),
            }
        };
        Self {
            operators: pipeline.steps.iter().map(operator).collect(),
            remaining: pipeline.limit,
            failure: None,
            pipeline,
        }
    }

    /// Says how many partitions the inputs have: over so many, rows are spread that are grouped or joined by something
    /// else than the key of their records.
    pub fn spread_over(&mut self, partitions: i32) {
        for operator in &mut self.operators {
            operator.spread_over(partitions);
        }
    }

    /// Takes a record of one of the inputs' topics.
    ///
    /// State expires with the highest timestamp seen in its partition, so among the records at hand
    /// (such as those of several topics at start) the earliest should come first.
    pub fn process(&mut self, record: InputRecord<'_>, collector: &mut Collector) {
        self.operators.iter_mut().for_each(|operator| operator.begin());
        self.take(record, Some(collector));
    }

    /// Called when a record could not be processed: the stream times are those before it.
    pub fn give_up(&mut self) {
        self.operators.iter_mut().for_each(|operator| operator.give_up());
    }

    /// Takes a record that was processed before a restart: fills the state that has no changelog, emits nothing.
    pub fn restore(&mut self, record: InputRecord<'_>) {
        let is_join = |step: &Step| matches!(step, Step::StreamJoin(_));
        if self.pipeline.steps.iter().any(is_join) {
            self.take(record, None);
        }
    }

    /// Takes a record of the changelog of a store. `false`: there is no such store, or the record is none of its.
    pub fn restore_store(&mut self, name: &str, key: &[u8], value: Option<&[u8]>, timestamp: i64) -> bool {
        let mut stores = self.operators.iter_mut().flat_map(|operator| operator.stores());
        let Some(store) = stores.find(|store| store.name() == name) else {
            return false;
        };
        let is_taken = store.restore(key, value, timestamp);
        if let Some(excess) = store.excess() {
            self.failure.get_or_insert(excess);
        }
        is_taken
    }

    /// Called before the stores are filled: the windows go on at the stream times that were committed, whatever is in
    /// the changelogs from after that. Where none are known, they go on at those of their newest rows.
    pub fn go_on_from(&mut self, stream_times: &[(i32, i64)]) {
        for operator in &mut self.operators {
            operator.go_on_from(stream_times);
        }
    }

    /// Writes down the highest time of a row in a window for each partition, where there are windows.
    pub fn stream_times(&self, into: &mut StreamTimes) {
        into.clear();
        for operator in &self.operators {
            operator.stream_times(into);
        }
    }

    /// Called when all stores are filled.
    pub fn restored(&mut self) {
        self.operators.iter_mut().for_each(|operator| operator.restored());
    }

    /// Forgets what the stores were filled with.
    pub fn forget(&mut self) {
        for operator in &mut self.operators {
            operator.stores().into_iter().for_each(store::Store::clear);
            operator.go_on_from(&[]);
        }
    }

    /// The table that pull queries read.
    pub(crate) fn materialized(&mut self) -> Option<Materialized> {
        let plan = self.pipeline.materialization.as_ref()?;
        let operator = self.operators.get_mut(plan.step)?;
        let store = operator.stores().into_iter().next()?;
        Some(Materialized::new(plan, store.reader()))
    }

    /// Whether the query's `LIMIT` is reached: nothing more will come.
    pub fn is_complete(&self) -> bool {
        self.remaining == Some(0)
    }

    /// Why the query cannot go on.
    pub fn failure(&self) -> Option<String> {
        self.failure.clone()
    }

    /// How many rows the joins of streams hold, and how many of these wait for the window to close without a partner.
    pub fn stored_rows(&self) -> (usize, usize) {
        let counts = self.operators.iter().map(|operator| operator.waiting());
        counts.fold((0, 0), |(stored, waiting), (more, wait)| {
            (stored + more, waiting + wait)
        })
    }

    fn take(&mut self, record: InputRecord<'_>, mut collector: Option<&mut Collector>) {
        if self.is_complete() || self.failure.is_some() {
            return;
        }
        for scan in &self.pipeline.scans {
            if scan.topic != record.topic {
                continue;
            }
            let change = match scan::scan(scan, &record) {
                Ok(change) => change,
                Err(entry) => {
                    if let Some(collector) = &mut collector {
                        collector.log.push(entry);
                    }
                    continue;
                }
            };
            // A row of a table has a key.
            if scan.is_table && !change.present.key {
                continue;
            }
            let mut context = Context {
                collector: collector.as_deref_mut(),
                remaining: &mut self.remaining,
                failure: &mut self.failure,
            };
            if let Some((first, later)) = self.operators[scan.step..].split_first_mut() {
                first.take(
                    scan.side,
                    change,
                    &mut Downstream {
                        operators: later,
                        context: &mut context,
                    },
                );
            }
        }
    }
}
