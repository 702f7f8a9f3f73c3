//! Persistent queries: what fills a topic or keeps a table until it is terminated.
//!
//! Those who decide statements make them, and those who run queries run them; neither has to know the other for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::metastore::Source;
use crate::plan::QueryPlan;

/// How a persistent query came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueryOrigin {
    /// `CREATE … AS SELECT`: it ends with its sink.
    CreateAs,
    /// `INSERT INTO … SELECT`
    InsertInto,
    /// `CREATE SOURCE TABLE`: it keeps the table's rows and ends with the table.
    SourceTable,
}

/// A query that fills a topic until it is terminated.
#[derive(Debug, Clone)]
pub(crate) struct PersistentQuery {
    /// Its id.
    pub(crate) id: String,
    /// The statement that made it.
    pub(crate) statement: String,
    /// What it does.
    pub(crate) plan: Arc<QueryPlan>,
    /// How it came about.
    pub(crate) origin: QueryOrigin,
    /// The properties it was made with.
    pub(crate) properties: BTreeMap<String, Json>,
    /// Where its inputs begin, where no position was committed: by topic, an offset for each partition.
    pub(crate) starting_offsets: BTreeMap<String, Vec<i64>>,
    /// `PAUSE`
    pub(crate) paused: bool,
}

impl PersistentQuery {
    /// The source it fills.
    pub(crate) fn sink(&self) -> Option<&Arc<Source>> {
        self.plan.sink()
    }

    /// Whether a crash must repeat no record.
    pub(crate) fn is_exactly_once(&self) -> bool {
        self.properties.iter().any(|(name, guarantee)| {
            let guarantee = guarantee.as_str().unwrap_or_default();
            name.ends_with("processing.guarantee")
                && guarantee.to_ascii_lowercase().starts_with("exactly_once")
        })
    }

    /// Whether it keeps the rows of that table.
    pub(crate) fn keeps(&self, table: &str) -> bool {
        match self.origin {
            QueryOrigin::CreateAs => self.writes(table),
            QueryOrigin::SourceTable => self.reads(table),
            QueryOrigin::InsertInto => false,
        }
    }

    /// Whether it reads that source.
    pub(crate) fn reads(&self, source: &str) -> bool {
        self.plan.inputs().iter().any(|input| input.name == source)
    }

    /// Whether it fills that source.
    pub(crate) fn writes(&self, source: &str) -> bool {
        self.sink().is_some_and(|sink| sink.name == source)
    }
}
