//! From a statement's syntax tree to what it means: sources, and queries that can run.
//!
//! Everything that can be wrong with a statement is found here, against the metastore alone: no broker is asked.

mod aggregation;
mod condition;
mod demand;
mod error;
mod explain;
mod format_properties;
mod inputs;
mod insert;
mod join_criteria;
mod joins;
mod pipeline;
mod projection;
mod properties;
mod pull;
mod qualify;
mod query;
mod registered;
mod required_key;
mod sink;
mod source;
mod steps;
mod table_functions;
mod timestamps;
mod topology;
mod windowing;

use std::sync::Arc;

pub use error::{PlanError, Stage};
use explain::Explanation;
pub(crate) use format_properties::format_named;
pub use insert::insert_values;
pub(crate) use insert::{Insertion, check_target, insert_json, insertion};
pub(crate) use pipeline::{
    AggregateStep, Destination, FilterStep, JoinStep, Materialization, OutputStep, Pipeline, Projected,
    RememberStep, Scan, Side, Step, StoreStep, TableJoinStep, Windowing, Windows,
};
pub(crate) use properties::OLD_FULL_NAME;
pub(crate) use pull::{Access, HELP, PullPlan, PullSettings, plan_pull};
pub(crate) use qualify::written_out;
pub use query::{plan_query, plan_query_with};
pub use registered::MissingSchema;
pub(crate) use registered::schemas_of;
pub(crate) use sink::schema_text;
pub use source::{alter_source, plan_source};
pub(crate) use timestamps::check_new as check_new_timestamp;

use crate::metastore::Source;
use crate::syntax::ast::{Position, Properties, SourceKind};
use crate::types::Schema;

/// What a query is for.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// Its rows go to a client.
    Push,
    /// `CREATE SOURCE TABLE`: its rows are kept for pull queries.
    Materialize,
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

/// What a plan depends on beside its statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many values `COLLECT_LIST` keeps (`ksql.functions.collect_list.limit`).
    pub collect_list_limit: Option<usize>,
    /// How many values `COLLECT_SET` keeps (`ksql.functions.collect_set.limit`).
    pub collect_set_limit: Option<usize>,
    /// Whether `EMIT FINAL` is allowed (`ksql.suppress.enabled`).
    pub suppresses: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            collect_list_limit: None,
            collect_set_limit: None,
            suppresses: true,
        }
    }
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
    explanation: Explanation,
    retention_ms: Option<i64>,
    /// Of a query that aggregates.
    fixed: Vec<aggregation::Fixed>,
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

    /// The stores whose state has changelogs.
    pub(crate) fn stores(&self) -> impl Iterator<Item = &StoreStep> {
        let stores = self.pipeline.steps.iter().flat_map(Step::stores);
        stores.filter(|store| store.has_changelog)
    }

    /// The step, as Kafka Streams names it, for which another query cannot take over from this one.
    pub(crate) fn not_upgradeable(&self) -> Option<&'static str> {
        self.pipeline.steps.iter().find_map(|step| match step {
            Step::StreamJoin(_) => Some("StreamStreamJoin"),
            Step::Lookup(_) => Some("StreamTableJoin"),
            Step::TableJoin(_) => Some("TableTableJoin"),
            Step::ForeignKeyJoin(_) => Some("ForeignKeyTableTableJoin"),
            Step::Aggregate(step) if step.of_table => Some("TableAggregate"),
            Step::Aggregate(step) if step.windowing.is_some() => Some("StreamWindowedAggregate"),
            Step::Aggregate(_) | Step::Remember(_) | Step::Filter(_) | Step::Output(_) => None,
        })
    }

    /// Why it cannot go on with the aggregates of another plan, in ksqlDB's words.
    pub(crate) fn refusal_to_aggregate_on(&self, earlier: &Self) -> Option<String> {
        aggregation::Fixed::refusal(&earlier.fixed, &self.fixed)
    }

    /// Whether it can go on with what another plan has left: its positions, and its state where there is any.
    pub(crate) fn takes_over_from(&self, earlier: &Self) -> bool {
        let has_state = |plan: &Self| plan.stores().next().is_some();
        self.layout() == earlier.layout() || !(has_state(self) || has_state(earlier))
    }

    /// Whether it aggregates.
    pub(crate) fn is_aggregated(&self) -> bool {
        let mut steps = self.pipeline.steps.iter();
        steps.any(|step| matches!(step, Step::Aggregate(_)))
    }

    /// Whether it joins tables by a foreign key.
    pub(crate) fn has_foreign_key(&self) -> bool {
        let mut steps = self.pipeline.steps.iter();
        steps.any(|step| matches!(step, Step::ForeignKeyJoin(_)))
    }

    /// What tells whether rows that were kept before can be read: it differs where the rows are laid out otherwise.
    pub(crate) fn layout(&self) -> u32 {
        self.pipeline.layout
    }

    /// The topics whose records rebuild what has no changelog: those of streams that are joined with streams.
    pub(crate) fn replayed_topics(&self) -> impl Iterator<Item = &str> {
        let scans = self.pipeline.scans.iter().filter(|scan| !scan.is_table);
        let stateful = self.retention_ms.is_some();
        scans.filter(move |_| stateful).map(|scan| scan.topic.as_str())
    }

    /// The steps, as `EXPLAIN` prints them for the query of that id.
    pub fn explain(&self, query_id: &str) -> String {
        self.explanation.steps(query_id)
    }

    /// What `EXPLAIN` tells of it.
    pub(crate) fn explanation(&self) -> &Explanation {
        &self.explanation
    }

    /// How far the inputs must be replayed from before where the query stopped, to rebuild its state.
    /// `None`: it has no state.
    pub fn retention_ms(&self) -> Option<i64> {
        self.retention_ms
    }
}
