//! From a statement's syntax tree to what it means: sources, and queries that can run.
//!
//! Everything that can be wrong with a statement is found here, against the metastore alone: no broker is asked.

mod demand;
mod error;
mod explain;
mod inputs;
mod insert;
mod pipeline;
mod projection;
mod properties;
mod qualify;
mod query;
mod sink;
mod source;
mod table_functions;
mod timestamps;

use std::sync::Arc;

pub use error::{PlanError, Stage};
pub use insert::insert_values;
pub(crate) use pipeline::{Destination, JoinStep, Pipeline, Projected, Scan};
pub(crate) use qualify::written_out;
pub use query::plan_query;
pub(crate) use sink::schema_text;
pub use source::plan_source;

use crate::metastore::Source;
use crate::syntax::ast::{Position, Properties, SourceKind};
use crate::types::Schema;

/// What a query is for.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// Its rows go to a client.
    Push,
    /// `CREATE … AS SELECT`: it fills a new source.
    Sink {
        /// The new source's name.
        name: &'a str,
        /// Stream or table.
        kind: SourceKind,
        /// The `WITH` clause.
        properties: &'a Properties,
        /// The statement, kept in the source.
        statement: &'a str,
        /// Whether a single value is wrapped in an object where the `WITH` clause says nothing
        /// (`ksql.persistence.wrap.single.values`).
        wrap_single_values: bool,
    },
    /// `INSERT INTO … SELECT`: it adds to an existing source.
    InsertInto {
        /// The source's name.
        target: &'a str,
        /// Where the statement names it.
        position: Position,
        /// The `WITH` clause.
        properties: &'a Properties,
    },
}

/// A query that can run: give it to [`Task::new`](crate::task::Task::new).
#[derive(Debug, Clone)]
pub struct QueryPlan {
    inputs: Vec<Arc<Source>>,
    output: Schema,
    sink: Option<Arc<Source>>,
    limit: Option<u64>,
    warnings: Vec<String>,
    query_id: Option<String>,
    explanation: String,
    retention_ms: Option<i64>,
    pub(crate) pipeline: Arc<Pipeline>,
}

impl QueryPlan {
    /// The sources it reads, the left-most first. Several may share a topic; feed a record of it once.
    pub fn inputs(&self) -> &[Arc<Source>] {
        &self.inputs
    }

    /// The columns of its rows. A push query's columns are all value columns, in the projection's order.
    pub fn output(&self) -> &Schema {
        &self.output
    }

    /// The source it fills: a new one of `CREATE … AS SELECT`, or the existing one of `INSERT INTO`.
    ///
    /// Of a new one, `partitions`, `replicas` and `retention_ms` are what the `WITH` clause asks for; where that
    /// says nothing they are to be taken from the topic of the left-most input.
    pub fn sink(&self) -> Option<&Arc<Source>> {
        self.sink.as_ref()
    }

    /// `LIMIT`: after so many rows a push query is complete. The task stops by itself.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// What ksqlDB warns about, such as a join without a grace period.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// `QUERY_ID` of the `WITH` clause.
    pub fn query_id(&self) -> Option<&str> {
        self.query_id.as_deref()
    }

    /// The steps, as `EXPLAIN` prints them.
    pub fn explain(&self) -> String {
        self.explanation.clone()
    }

    /// How far the inputs must be replayed from before where the query stopped, to rebuild its state.
    /// `None`: it has no state.
    pub fn retention_ms(&self) -> Option<i64> {
        self.retention_ms
    }
}
