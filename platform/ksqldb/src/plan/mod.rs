//! From a statement's syntax tree to what it means: sources, and queries that can run.
//!
//! Everything that can be wrong with a statement is found here, against the metastore alone: no broker is asked.

mod error;

use std::sync::Arc;

pub use error::PlanError;

use crate::metastore::{Metastore, Source};
use crate::syntax::ast::{CreateSource, Emit, InsertValues, Properties, Query, SourceKind};
use crate::task::OutputRecord;
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
    },
    /// `INSERT INTO … SELECT`: it adds to an existing source.
    InsertInto {
        /// The source's name.
        target: &'a str,
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
        String::new()
    }

    /// How far the inputs must be replayed from before where the query stopped, to rebuild its state.
    /// `None`: it has no state.
    pub fn retention_ms(&self) -> Option<i64> {
        None
    }
}

/// What `CREATE STREAM|TABLE` declares. `statement` is kept in the source.
pub fn plan_source(declaration: &CreateSource, statement: &str) -> Result<Source, PlanError> {
    let _ = statement;
    Err(PlanError::new(format!("cannot create {}", declaration.name)))
}

/// What a query means.
pub fn plan_query(
    metastore: &Metastore,
    query: &Query,
    purpose: Purpose<'_>,
) -> Result<QueryPlan, PlanError> {
    let _ = (metastore, purpose, Emit::Changes);
    Err(PlanError::new(format!("cannot query {}", query.from.name)))
}

/// The record that `INSERT INTO … VALUES` writes to `target`'s topic. `now` (milliseconds) is its time
/// where the statement sets no `ROWTIME`.
pub fn insert_values(target: &Source, statement: &InsertValues, now: i64) -> Result<OutputRecord, PlanError> {
    let _ = (statement, now);
    Err(PlanError::new(format!("cannot insert into {}", target.name)))
}
