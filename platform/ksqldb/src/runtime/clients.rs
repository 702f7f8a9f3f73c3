//! Push queries and prints: what runs for as long as a client listens.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use rdkafka::error::KafkaError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    Extent, MOST_PUSH_QUERIES, PositionError, PushEvent, PushQuery, Resets, Runtime, positions, push,
};
use crate::config::OffsetReset;
use crate::kafka::{Reader, StartingPoint};
use crate::plan::QueryPlan;
use crate::registry::QuerySchemas;
use crate::syntax::ast::Print;
use crate::task::Task;

/// Why a query for a client cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    /// Its inputs have no place to begin.
    #[error(transparent)]
    Position(#[from] PositionError),
    /// Its inputs cannot be read.
    #[error("cannot read the inputs: {0}")]
    Read(#[from] KafkaError),
    /// The topic to print is not there.
    #[error(
        "Could not find topic '{topic}', or the KSQL user does not have permissions to list the topic. Topic names are \
         case-sensitive.{}", suggestion(.similar)
    )]
    MissingTopic {
        /// The topic.
        topic: String,
        /// Those whose names differ by case alone.
        similar: Vec<String>,
    },
    /// There is no room for another.
    #[error("Not executing push query: {limit} push queries are running already, which is the most allowed.")]
    TooMany {
        /// How many there may be.
        limit: usize,
    },
}

/// A push query for those who list queries.
#[derive(Debug, Clone)]
pub(crate) struct Listening {
    /// Its statement.
    pub(crate) statement: String,
    /// What it does.
    pub(crate) plan: Arc<QueryPlan>,
    /// Its consumer group.
    pub(crate) group: String,
    pub(super) stop: CancellationToken,
}

impl Runtime {
    /// Starts a query for a client, over what is there or what comes.
    pub(crate) async fn push(
        self: &Arc<Self>,
        plan: QueryPlan,
        alias: &str,
        statement: String,
        extent: Extent,
    ) -> Result<PushQuery, PushError> {
        let place = self.place()?;
        let id = transient_id(alias);
        let group = self.config.push_group(&id);
        let resets = match extent {
            Extent::From(resets) => resets,
            Extent::WhatIsThere => Resets {
                streams: OffsetReset::Earliest,
                tables: OffsetReset::Earliest,
            },
        };
        let points = positions::of_push_query(&self.cluster, &plan, resets).await?;
        let mut task = Task::with_stores_of(&plan, self.config.store_size);
        task.spread_over(positions::partitions(&points));
        let consumer = Reader::consumer(&self.cluster, &group)?;
        let mut reader = Reader::open(&self.cluster, consumer, &points).await?;
        if extent != Extent::WhatIsThere {
            reader = reader.in_step_with(&self.writers, None);
        }
        let (sender, events) = mpsc::channel(push::WAITING_EVENTS);
        let plan = Arc::new(plan);
        let stop = self.stop.child_token();
        let listening = Listening {
            statement,
            plan: Arc::clone(&plan),
            group,
            stop: stop.clone(),
        };
        self.listening().insert(id.clone(), listening);
        let schema = plan.output().clone();
        let query = push::run_query(
            id.clone(),
            task,
            extent,
            reader,
            sender.clone(),
            Arc::clone(&self.processing_log),
            QuerySchemas::new(&self.registry, &plan, &id),
        );
        let ended = Ended {
            runtime: Arc::clone(self),
            id: id.clone(),
            _place: place,
        };
        self.tasks.spawn(async move {
            let _ended = ended;
            push::contain(query, sender, stop).await;
        });
        Ok(PushQuery { id, schema, events })
    }

    /// A place for a push query, held from its beginning on: those that start at the same time count, too.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, PushError> {
        Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| PushError::TooMany {
                limit: MOST_PUSH_QUERIES,
            })
    }

    /// Starts to print a topic. That takes a place among the push queries.
    pub(crate) async fn print(&self, print: Print) -> Result<mpsc::Receiver<PushEvent<String>>, PushError> {
        let place = self.place()?;
        let topics = self.cluster.topics().await.map_err(PositionError::from)?;
        let partitions = topics.get(&print.topic).map_or(0, Vec::len);
        if partitions == 0 {
            let names = topics.into_keys();
            let similar = names
                .filter(|name| name.eq_ignore_ascii_case(&print.topic))
                .collect();
            return Err(PushError::MissingTopic {
                topic: print.topic,
                similar,
            });
        }
        let count = i32::try_from(partitions).unwrap_or(i32::MAX);
        let watermarks = self
            .cluster
            .watermarks(&print.topic, count)
            .await
            .map_err(PositionError::from)?;
        let topic: Arc<str> = print.topic.as_str().into();
        let points: Vec<StartingPoint> = (0..)
            .zip(watermarks)
            .map(|(partition, (low, high))| {
                let from = if print.from_beginning { low } else { high };
                StartingPoint {
                    topic: Arc::clone(&topic),
                    partition,
                    from,
                    new_from: from,
                    end: high,
                    newest_timestamp: None,
                    is_table: false,
                }
            })
            .collect();
        let group = self.config.transient_group(&format!("print_{}", random_number()));
        let consumer = Reader::consumer(&self.cluster, &group)?;
        let reader = Reader::open(&self.cluster, consumer, &points).await?;
        let (sender, lines) = mpsc::channel(push::WAITING_EVENTS);
        let printing = push::run_print(print, reader, sender.clone(), Arc::clone(&self.registry));
        let stop = self.stop.child_token();
        self.tasks.spawn(async move {
            let _place = place;
            push::contain(printing, sender, stop).await;
        });
        Ok(lines)
    }

    /// The push queries that run, by id.
    pub(crate) fn push_queries(&self) -> BTreeMap<String, Listening> {
        self.listening().clone()
    }

    /// Ends a push query; `false` where there is none of that id.
    pub(crate) fn close(&self, id: &str) -> bool {
        self.listening()
            .get(id)
            .map(|listening| listening.stop.cancel())
            .is_some()
    }
}

/// Takes a push query off the list, however it ends.
struct Ended {
    runtime: Arc<Runtime>,
    pub(super) id: String,
    _place: OwnedSemaphorePermit,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.runtime.listening().remove(&self.id);
    }
}

fn suggestion(similar: &[String]) -> String {
    let lines = similar.iter().map(|name| format!("\n\tprint {name};"));
    match lines.collect::<String>() {
        lines if lines.is_empty() => lines,
        lines => format!(" Did you mean:{lines}"),
    }
}

/// The id of a query for a client, which calls its left-most input so.
pub(crate) fn transient_id(alias: &str) -> String {
    format!("transient_{alias}_{}", random_number())
}

/// A number that no other query has.
fn random_number() -> u64 {
    // The standard library's only source of randomness: the keys of a new hasher.
    RandomState::new().hash_one(0_u8) >> 1
}
