//! `DESCRIBE`: all that is known of a source, a query or a function, as an answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::catalog::upper;
use super::entity::{
    Entity, FieldInfo, FunctionArgument, FunctionSignature, QueryDescription, QueryError, RunningQuery,
    SourceDescription,
};
use super::failure::{ErrorCode, Refusal};
use super::listing::View;
use crate::functions;
use crate::functions::catalogue::{self, Parameter, Signature};
use crate::metastore::{Source, SourceWindow};
use crate::plan::QueryPlan;
use crate::queries::PersistentQuery;
use crate::runtime::{Committed, Listening, Meter, QueryState};
use crate::syntax::ast::SourceKind;

impl View<'_> {
    pub(super) fn describe(&self, name: &str, extended: bool) -> Result<Entity, Refusal> {
        let source = self
            .catalog
            .metastore
            .get(name)
            .ok_or_else(|| format!("Could not find STREAM/TABLE '{name}' in the Metastore"))?;
        Ok(Entity::SourceDescription {
            source_description: Box::new(self.describe_source(source, extended)),
        })
    }

    pub(super) fn source_descriptions(&self, kind: SourceKind, extended: bool) -> Entity {
        Entity::SourceDescriptions {
            source_descriptions: self
                .sources(kind)
                .map(|source| self.describe_source(source, extended))
                .collect(),
        }
    }

    fn describe_source(&self, source: &Source, extended: bool) -> SourceDescription {
        let queries = |select: &dyn Fn(&PersistentQuery) -> bool| -> Vec<RunningQuery> {
            let selected = self.catalog.queries.values().filter(|query| select(query));
            selected.map(|query| self.running_query(query)).collect()
        };
        let replicas = self.topics.get(&source.topic).map(|topic| &topic.replicas);
        SourceDescription {
            name: source.name.clone(),
            window_type: source.window.map(SourceWindow::name),
            read_queries: queries(&|query| query.plan.inputs().iter().any(|input| input.name == source.name)),
            write_queries: queries(&|query| query.sink().is_some_and(|sink| sink.name == source.name)),
            fields: source.schema.columns.iter().map(FieldInfo::of_column).collect(),
            kind: upper(source.kind),
            timestamp: source
                .timestamp
                .as_ref()
                .map_or_else(String::new, |timestamp| timestamp.column.clone()),
            statistics: if extended {
                self.statistics(source)
            } else {
                String::new()
            },
            error_stats: if extended {
                self.processing_log(source)
            } else {
                String::new()
            },
            extended,
            key_format: source.key_format.to_string(),
            value_format: source.value_format.to_string(),
            topic: source.topic.clone(),
            partitions: replicas.map_or(0, Vec::len),
            replication: replicas
                .and_then(|replicas| replicas.first())
                .copied()
                .unwrap_or(0),
            statement: source.statement.clone(),
            query_offset_summaries: if extended {
                self.offsets(source)
            } else {
                Vec::new()
            },
            source_constraints: self
                .catalog
                .metastore
                .derived_from(&source.name)
                .map(|derived| derived.name.clone())
                .collect(),
            cluster_statistics: Vec::new(),
            cluster_error_stats: Vec::new(),
        }
    }

    /// The groups under which the queries that fill the source commit their positions.
    fn offsets(&self, source: &Source) -> Vec<Json> {
        let queries = self.catalog.queries.values();
        let writers = queries.filter(|query| query.sink().is_some_and(|sink| sink.name == source.name));
        let summary = |query: &Arc<PersistentQuery>| {
            let topics = self.positions.get(&query.id).into_iter().flatten();
            let topics: Vec<Json> = topics.map(topic_summary).collect();
            json!({"groupId": self.config.query_group(&query.id), "topicSummaries": topics})
        };
        writers.map(summary).collect()
    }

    /// What the queries have read from the source's topic, and written to it; nothing where that is none.
    fn statistics(&self, source: &Source) -> String {
        let now_ms = osqdemo_clock::timestamp().as_millisecond();
        let (mut read, mut written) = (Meter::default(), Meter::default());
        for query in self.catalog.queries.values() {
            let Some(status) = self.runtime.status(&query.id) else {
                continue;
            };
            read = read.and(status.read(&source.topic), now_ms);
            if query.sink().is_some_and(|sink| sink.topic == source.topic) {
                written = written.and(status.written(), now_ms);
            }
        }
        let rate = |meter: Meter| match meter.rate(now_ms) {
            0.0 => "0".to_owned(),
            rate => format!("{rate:.2}"),
        };
        let mut statistics = Vec::new();
        if read.records() > 0 {
            statistics.extend([
                ("consumer-messages-per-sec", rate(read)),
                ("consumer-total-bytes", read.bytes().to_string()),
                ("consumer-total-messages", read.records().to_string()),
            ]);
        }
        if written.records() > 0 {
            statistics.extend([
                ("messages-per-sec", rate(written)),
                ("total-messages", written.records().to_string()),
            ]);
        }
        let last = read.last_ms().max(written.last_ms());
        let Some(last) = last.and_then(|last| Timestamp::from_millisecond(last).ok()) else {
            return String::new();
        };
        let numbers = statistics
            .iter()
            .map(|(name, value)| format!("{name:>16}:{value:>10} "));
        format!("{}{:>16}: {last}", numbers.collect::<String>(), "last-message")
    }

    /// What the queries that fill the source could not process, one record a line.
    fn processing_log(&self, source: &Source) -> String {
        let writers = self
            .catalog
            .queries
            .values()
            .filter(|query| query.sink().is_some_and(|sink| sink.name == source.name));
        let lines: Vec<String> = writers
            .flat_map(|query| self.runtime.processing_log(&query.id))
            .collect();
        lines.join("\n")
    }

    pub(super) fn describe_query(&self, query: &PersistentQuery) -> QueryDescription {
        let state = self.state(query).name();
        let status = self.runtime.status(&query.id);
        let failures = status.map_or_else(Vec::new, |status| status.failures());
        let mut description = describe_plan(&query.id, &query.statement, &query.plan);
        description.consumer_group_id = self.config.query_group(&query.id);
        description.tasks_metadata = self.tasks(&query.plan);
        description.overridden_properties = query.properties.clone();
        description.ksql_host_query_status = BTreeMap::from([(self.host.to_owned(), state)]);
        description.query_errors = failures
            .into_iter()
            .map(|failure| QueryError {
                timestamp: failure.at.as_millisecond(),
                error_message: failure.reason,
                kind: "UNKNOWN",
            })
            .collect();
        description.state = Some(state);
        description
    }

    /// A task for each partition of the left-most input. Where it is stands in the group's committed offsets.
    fn tasks(&self, plan: &QueryPlan) -> Vec<Json> {
        let partitions = plan
            .inputs()
            .first()
            .and_then(|input| self.topics.get(&input.topic))
            .map_or(1, |topic| topic.replicas.len());
        let task = |partition: usize| {
            let offsets: Vec<Json> = plan
                .inputs()
                .iter()
                .map(|input| {
                    json!({
                        "topicPartitionEntity": {"topic": input.topic, "partition": partition},
                        "endOffset": -1,
                        "committedOffset": -1,
                    })
                })
                .collect();
            json!({"taskId": format!("0_{partition}"), "topicOffsets": offsets, "timeCurrentIdlingStarted": null})
        };
        (0..partitions).map(task).collect()
    }

    pub(super) fn describe_push_query(&self, id: &str, listening: &Listening) -> QueryDescription {
        let state = QueryState::Running.name();
        let mut description = describe_plan(id, &listening.statement, &listening.plan);
        description.ksql_host_query_status = BTreeMap::from([(self.host.to_owned(), state)]);
        description.query_type = "PUSH";
        description.consumer_group_id = listening.group.clone();
        description.state = Some(state);
        description
    }
}

fn topic_summary(topic: &Committed) -> Json {
    let offsets = topic.partitions.iter().map(|partition| {
        json!({
            "partition": partition.partition,
            "logStartOffset": partition.first,
            "logEndOffset": partition.end,
            "consumerOffset": partition.committed,
        })
    });
    json!({"kafkaTopic": topic.topic, "offsets": offsets.collect::<Vec<_>>()})
}

pub(super) fn describe_plan(id: &str, statement: &str, plan: &QueryPlan) -> QueryDescription {
    QueryDescription {
        id: id.to_owned(),
        statement_text: statement.to_owned(),
        window_type: plan.sink().and_then(|sink| sink.window).map(SourceWindow::name),
        fields: plan
            .explanation()
            .columns
            .iter()
            .map(FieldInfo::of_column)
            .collect(),
        sources: plan.inputs().iter().map(|input| input.name.clone()).collect(),
        sinks: plan.sink().map(|sink| sink.name.clone()).into_iter().collect(),
        topology: plan.explanation().topology.clone(),
        execution_plan: plan.explain(id),
        overridden_properties: BTreeMap::new(),
        ksql_host_query_status: BTreeMap::new(),
        query_type: "PERSISTENT",
        query_errors: Vec::new(),
        tasks_metadata: Vec::new(),
        consumer_group_id: String::new(),
        state: None,
    }
}

pub(super) fn describe_function(name: &str, written: &str) -> Result<Entity, Refusal> {
    let function = catalogue::listed(&name.to_uppercase()).ok_or_else(|| {
        let message = format!("Can't find any functions with the name '{written}'");
        Refusal::new(ErrorCode::BadRequest, message)
    })?;
    let description = functions::lookup(function.name).map_or("", |scalar| scalar.description);
    let form = |signature: Signature| {
        let argument = |parameter: &Parameter| FunctionArgument {
            name: parameter.name,
            kind: parameter.sql_type,
            description: "",
            is_variadic: parameter.is_variadic,
        };
        FunctionSignature {
            arguments: signature.parameters.iter().map(argument).collect(),
            return_type: signature.result,
            description: "",
            argument_types: signature.parameters.iter().map(Parameter::type_text).collect(),
        }
    };
    Ok(Entity::DescribeFunction {
        name: function.name.to_owned(),
        description: description.to_owned(),
        author: function.author().to_owned(),
        version: String::new(),
        path: "internal".to_owned(),
        functions: function.signatures().into_iter().map(form).collect(),
        function_type: function.sort.name(),
    })
}
