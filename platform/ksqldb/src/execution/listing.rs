//! `LIST`, `DESCRIBE` and `EXPLAIN`: what exists, as answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::bounds::in_place;
use super::catalog::{Catalog, upper};
use super::entity::{
    Entity, FieldInfo, FunctionArgument, FunctionName, FunctionSignature, QueryDescription, QueryError,
    RunningQuery, SchemaInfo, SourceDescription, SourceInfo, TopicInfo, Variable,
};
use super::failure::{ErrorCode, Refusal};
use super::properties;
use super::session::Session;
use super::topics::Topics;
use crate::config::Config;
use crate::functions::catalogue::{self, Parameter, Signature};
use crate::functions::{self};
use crate::metastore::{Source, SourceWindow};
use crate::plan::{self, Purpose, QueryPlan};
use crate::queries::PersistentQuery;
use crate::runtime::{self, Listening, QueryState, Runtime};
use crate::syntax::ast::{CreateAsSelect, Explain, InsertInto, Listing, SourceKind, Statement};

/// Where the answers come from.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// The server's configuration.
    pub(crate) config: &'a Config,
    /// The address clients know the server by.
    pub(crate) host: &'a str,
    /// What exists.
    pub(crate) catalog: &'a Catalog,
    /// What runs.
    pub(crate) runtime: &'a Runtime,
    /// The topics there are; empty where the statement does not need them.
    pub(crate) topics: &'a Topics,
    /// The request's properties and variables.
    pub(crate) session: &'a Session,
}

impl View<'_> {
    /// The answer to a statement that only looks; `None` where it does more.
    pub(crate) fn answer(&self, statement: &Statement, text: &str) -> Option<Result<Entity, Refusal>> {
        Some(match statement {
            Statement::List(listing) => Ok(self.list(listing)),
            Statement::Describe { name, extended } if name == "STREAMS" => {
                Ok(self.source_descriptions(SourceKind::Stream, *extended))
            }
            Statement::Describe { name, extended } => self.describe(name, *extended),
            Statement::DescribeFunction { name, written } => describe_function(name, written),
            Statement::Explain(explain) => self.explain(explain, text),
            _ => return None,
        })
    }

    /// Whether a statement's answer needs the topics.
    pub(crate) fn needs_topics(statement: &Statement) -> bool {
        matches!(
            statement,
            Statement::List(
                Listing::Topics { .. }
                    | Listing::Streams { extended: true }
                    | Listing::Tables { extended: true }
                    | Listing::Queries { extended: true }
            ) | Statement::Describe { .. }
                | Statement::Explain(_)
        )
    }

    fn list(&self, listing: &Listing) -> Entity {
        match listing {
            Listing::Streams { extended: false } => Entity::Streams {
                streams: self.sources(SourceKind::Stream).map(source_info).collect(),
            },
            Listing::Tables { extended: false } => Entity::Tables {
                tables: self.sources(SourceKind::Table).map(source_info).collect(),
            },
            Listing::Streams { extended: true } => self.source_descriptions(SourceKind::Stream, true),
            Listing::Tables { extended: true } => self.source_descriptions(SourceKind::Table, true),
            Listing::Topics { all, extended } => self.list_topics(*all, *extended),
            Listing::Queries { extended: false } => {
                let persistent = self
                    .catalog
                    .queries
                    .values()
                    .map(|query| self.running_query(query));
                let push = self.runtime.push_queries();
                let push = push.iter().map(|(id, listening)| RunningQuery {
                    query_string: listening.statement.clone(),
                    sinks: Vec::new(),
                    sink_kafka_topics: Vec::new(),
                    id: id.clone(),
                    status_count: BTreeMap::from([(QueryState::Running.name(), 1)]),
                    query_type: "PUSH",
                    state: QueryState::Running.name(),
                });
                Entity::Queries {
                    queries: persistent.chain(push).collect(),
                }
            }
            Listing::Queries { extended: true } => {
                let persistent = self
                    .catalog
                    .queries
                    .values()
                    .map(|query| self.describe_query(query));
                let push = self.runtime.push_queries();
                let push = push
                    .iter()
                    .map(|(id, listening)| self.describe_push_query(id, listening));
                Entity::QueryDescriptions {
                    query_descriptions: persistent.chain(push).collect(),
                }
            }
            Listing::Functions => {
                let functions = catalogue::all_listed().map(|function| FunctionName {
                    name: function.name,
                    kind: function.sort.name(),
                    category: function.category,
                });
                let functions = functions.collect();
                Entity::FunctionNames { functions }
            }
            Listing::Properties => Entity::Properties {
                properties: properties::list(self.config, self.host, &self.session.properties),
                overwritten_properties: self.session.properties.keys().cloned().collect(),
                default_properties: properties::defaults(self.config, &self.session.properties),
            },
            Listing::Types => Entity::TypeList {
                types: self
                    .catalog
                    .types
                    .iter()
                    .map(|(name, sql_type)| (name.clone(), SchemaInfo::of_type(sql_type)))
                    .collect(),
            },
            Listing::Variables => Entity::Variables {
                variables: self
                    .session
                    .variables
                    .iter()
                    .map(|(name, value)| Variable {
                        name: name.to_owned(),
                        value: value.to_owned(),
                    })
                    .collect(),
            },
        }
    }

    fn sources(&self, kind: SourceKind) -> impl Iterator<Item = &Arc<Source>> {
        self.catalog
            .metastore
            .iter()
            .filter(move |source| source.kind == kind)
    }

    fn list_topics(&self, all: bool, extended: bool) -> Entity {
        let topics = self
            .topics
            .iter()
            .filter(|(name, _)| all || !Config::is_internal_topic(name))
            .map(|(name, topic)| {
                let readers = self
                    .catalog
                    .queries
                    .values()
                    .filter(|query| query.plan.inputs().iter().any(|input| input.topic == *name))
                    .count();
                TopicInfo {
                    name: name.clone(),
                    replica_info: topic.replicas.clone(),
                    // Each query reads with one consumer in a group of its own.
                    consumer_count: extended.then_some(readers),
                    consumer_group_count: extended.then_some(readers),
                }
            })
            .collect();
        if extended {
            Entity::KafkaTopicsExtended { topics }
        } else {
            Entity::KafkaTopics { topics }
        }
    }

    fn describe(&self, name: &str, extended: bool) -> Result<Entity, Refusal> {
        let source = self
            .catalog
            .metastore
            .get(name)
            .ok_or_else(|| format!("Could not find STREAM/TABLE '{name}' in the Metastore"))?;
        Ok(Entity::SourceDescription {
            source_description: Box::new(self.describe_source(source, extended)),
        })
    }

    fn source_descriptions(&self, kind: SourceKind, extended: bool) -> Entity {
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
            statistics: String::new(),
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
        let group = |query: &Arc<PersistentQuery>| self.config.query_group(&query.id);
        writers
            .map(|query| json!({"groupId": group(query), "topicSummaries": []}))
            .collect()
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

    fn state(&self, query: &PersistentQuery) -> QueryState {
        let fallback = if query.paused {
            QueryState::Paused
        } else {
            QueryState::Running
        };
        self.runtime
            .status(&query.id)
            .map_or(fallback, |status| status.state())
    }

    fn running_query(&self, query: &PersistentQuery) -> RunningQuery {
        let state = self.state(query).name();
        RunningQuery {
            query_string: query.statement.clone(),
            sinks: query.sink().map(|sink| sink.name.clone()).into_iter().collect(),
            sink_kafka_topics: query.sink().map(|sink| sink.topic.clone()).into_iter().collect(),
            id: query.id.clone(),
            status_count: BTreeMap::from([(state, 1)]),
            query_type: "PERSISTENT",
            state,
        }
    }

    fn describe_query(&self, query: &PersistentQuery) -> QueryDescription {
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

    fn describe_push_query(&self, id: &str, listening: &Listening) -> QueryDescription {
        let state = QueryState::Running.name();
        let mut description = describe_plan(id, &listening.statement, &listening.plan);
        description.ksql_host_query_status = BTreeMap::from([(self.host.to_owned(), state)]);
        description.query_type = "PUSH";
        description.consumer_group_id = listening.group.clone();
        description.state = Some(state);
        description
    }

    fn explain(&self, explain: &Explain, text: &str) -> Result<Entity, Refusal> {
        let description = match explain {
            Explain::Id(id) => {
                let known = [id.clone(), id.to_uppercase()];
                let persistent = known.iter().find_map(|id| self.catalog.queries.get(id));
                match persistent {
                    Some(query) => self.describe_query(query),
                    None => {
                        let push = self.runtime.push_queries();
                        let listening = push.get(id).ok_or_else(|| {
                            format!(
                                "Query with id:{} does not exist, use SHOW QUERIES to view the full set of queries.",
                                id.to_uppercase()
                            )
                        })?;
                        self.describe_push_query(id, listening)
                    }
                }
            }
            Explain::Statement(statement) => {
                let plan = self.plan(statement, text)?;
                let explained = text.trim_start();
                let explained = explained.get("EXPLAIN".len()..).map_or(text, str::trim_start);
                match &**statement {
                    Statement::Query(query) => {
                        let id = runtime::transient_id(&query.from.alias);
                        let mut description = describe_plan(&id, explained, &plan);
                        description.query_type = "PUSH";
                        description.consumer_group_id = self.config.push_group(&id);
                        description
                    }
                    _ => {
                        // It has no id before it runs.
                        let mut description = describe_plan("", explained, &plan);
                        description.consumer_group_id = self.config.query_group("");
                        description
                    }
                }
            }
        };
        Ok(Entity::QueryDescription {
            query_description: Box::new(description),
        })
    }

    fn plan(&self, statement: &Statement, text: &str) -> Result<QueryPlan, Refusal> {
        let (query, purpose) = match statement {
            Statement::Query(query) => (query, Purpose::Push),
            Statement::CreateAsSelect(CreateAsSelect {
                kind,
                name,
                properties,
                query,
                ..
            }) => {
                let purpose = Purpose::Sink {
                    name,
                    kind: *kind,
                    properties,
                    statement: text,
                    wrap_single_values: properties::wrap_single_values(&self.session.properties),
                };
                (query, purpose)
            }
            Statement::InsertInto(InsertInto {
                target,
                position,
                properties,
                query,
            }) => {
                let purpose = Purpose::InsertInto {
                    target,
                    position: *position,
                    properties,
                };
                (query, purpose)
            }
            _ => {
                return Err("The provided statement does not run a ksql query"
                    .to_owned()
                    .into());
            }
        };
        Ok(in_place(|| {
            plan::plan_query(&self.catalog.metastore, query, purpose)
        })?)
    }
}

fn describe_plan(id: &str, statement: &str, plan: &QueryPlan) -> QueryDescription {
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

fn source_info(source: &Arc<Source>) -> SourceInfo {
    SourceInfo {
        kind: upper(source.kind),
        name: source.name.clone(),
        topic: source.topic.clone(),
        key_format: source.key_format.to_string(),
        value_format: source.value_format.to_string(),
        is_windowed: source.window.is_some(),
    }
}

fn describe_function(name: &str, written: &str) -> Result<Entity, Refusal> {
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
