//! `LIST` and `EXPLAIN`: what exists, and what a query would be, as answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bounds::in_place;
use super::catalog::{Catalog, upper};
use super::description::{describe_function, describe_plan};
use super::entity::{Entity, FunctionName, RunningQuery, SchemaInfo, SourceInfo, TopicInfo, Variable};
use super::failure::Refusal;
use super::group_positions::Positions;
use super::properties;
use super::session::Session;
use super::topics::Topics;
use crate::config::Config;
use crate::functions::catalogue;
use crate::metastore::Source;
use crate::plan::{self, Purpose, QueryPlan};
use crate::queries::PersistentQuery;
use crate::runtime::{self, QueryState, Runtime};
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
    /// How far the queries are that are described at length.
    pub(super) positions: &'a Positions,
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

    pub(super) fn sources(&self, kind: SourceKind) -> impl Iterator<Item = &Arc<Source>> {
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

    pub(super) fn state(&self, query: &PersistentQuery) -> QueryState {
        let fallback = if query.paused {
            QueryState::Paused
        } else {
            QueryState::Running
        };
        self.runtime
            .status(&query.id)
            .map_or(fallback, |status| status.state())
    }

    pub(super) fn running_query(&self, query: &PersistentQuery) -> RunningQuery {
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

    pub(super) fn explain(&self, explain: &Explain, text: &str) -> Result<Entity, Refusal> {
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

    pub(super) fn plan(&self, statement: &Statement, text: &str) -> Result<QueryPlan, Refusal> {
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
