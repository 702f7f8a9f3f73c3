//! The queries that run: persistent ones under supervision, push queries for as long as a client listens.
//!
//! Knows plans and Kafka; knows nothing of statements' text or HTTP.

mod outlet;
mod persistent;
mod positions;
mod print;
mod processing;
pub(crate) mod processing_log;
mod pull;
mod push;
mod state;
mod status;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::error::KafkaError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use positions::{PositionError, Resets, starting_offsets};
pub(crate) use pull::{PullPlaces, pull};
pub(crate) use push::{Extent, PushEvent, PushQuery};
pub(crate) use status::{QueryState, QueryStatus};

use crate::config::{Config, OffsetReset};
use crate::kafka::{Cluster, ClusterError, Progress, Reader, Record, RecordProducer, StartingPoint, Writers};
use crate::plan::QueryPlan;
use crate::queries::PersistentQuery;
use crate::registry::{QuerySchemas, Registry};
use crate::syntax::ast::Print;
use crate::task::{InputRecord, Materialized, Task};
use persistent::{Wish, Worker};
use processing_log::ProcessingLog;

/// How long a query may take to stop before others go on without it: more than it takes to finish what is under way.
const STOP_DEADLINE: Duration = Duration::from_secs(8);

/// How long a pull query waits for the rows of a query that has just begun.
const TABLE_DEADLINE: Duration = Duration::from_secs(5);

/// How many push queries may run at a time (`ksql.max.push.queries`).
const MOST_PUSH_QUERIES: usize = 100;

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
    stop: CancellationToken,
}

struct Supervised {
    status: Arc<QueryStatus>,
    wish: watch::Sender<Wish>,
    table: watch::Receiver<Option<Materialized>>,
}

/// Runs queries.
pub(crate) struct Runtime {
    config: Arc<Config>,
    cluster: Arc<Cluster>,
    producer: Arc<RecordProducer>,
    processing_log: Arc<ProcessingLog>,
    registry: Arc<Registry>,
    supervised: Mutex<BTreeMap<String, Supervised>>,
    listening: Mutex<BTreeMap<String, Listening>>,
    /// The queries that fill topics.
    writers: Arc<Writers>,
    /// The room there is for push queries.
    places: Arc<Semaphore>,
    /// The room there is for pull queries.
    pulls: PullPlaces,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Runtime {
    pub(crate) fn new(
        config: Arc<Config>,
        cluster: Arc<Cluster>,
        producer: Arc<RecordProducer>,
        registry: Arc<Registry>,
    ) -> Self {
        let (processing_log, waiting) = ProcessingLog::new();
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let publish = processing_log::publish(
            waiting,
            Arc::clone(&cluster),
            Arc::clone(&producer),
            config.processing_log_topic(),
        );
        let stopped = stop.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = publish => {}
                () = stopped.cancelled() => {}
            }
        });
        Self {
            config,
            cluster,
            producer,
            processing_log: Arc::new(processing_log),
            registry,
            supervised: Mutex::default(),
            listening: Mutex::default(),
            writers: Arc::default(),
            places: Arc::new(Semaphore::new(MOST_PUSH_QUERIES)),
            pulls: PullPlaces::default(),
            tasks,
            stop,
        }
    }

    /// The cluster.
    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// The Schema Registry.
    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The producer.
    pub(crate) fn producer(&self) -> &Arc<RecordProducer> {
        &self.producer
    }

    /// Says that a persistent query will be started, so that those which read its sink know that it catches up.
    pub(crate) fn announce(&self, query: &PersistentQuery) -> Option<Arc<Progress>> {
        let sink = query.sink()?;
        let inputs = query.plan.inputs().iter().map(|input| input.topic.clone());
        Some(self.writers.of(&sink.topic, &query.id, inputs))
    }

    /// Starts a persistent query.
    pub(crate) fn start(&self, query: Arc<PersistentQuery>) {
        let (wish, wished) = watch::channel(if query.paused { Wish::Pause } else { Wish::Run });
        let status = Arc::new(QueryStatus::new(if query.paused {
            QueryState::Paused
        } else {
            QueryState::Running
        }));
        let (table, materialized) = watch::channel(None);
        let worker = Worker {
            writers: Arc::clone(&self.writers),
            progress: self.announce(&query),
            table,
            query: Arc::clone(&query),
            status: Arc::clone(&status),
            config: Arc::clone(&self.config),
            cluster: Arc::clone(&self.cluster),
            producer: Arc::clone(&self.producer),
            processing_log: Arc::clone(&self.processing_log),
            schemas: QuerySchemas::new(&self.registry, &query.plan, &query.id),
        };
        self.tasks.spawn(persistent::supervise(Arc::new(worker), wished));
        self.supervised().insert(
            query.id.clone(),
            Supervised {
                status,
                wish,
                table: materialized,
            },
        );
    }

    /// Stops a persistent query and waits until it has.
    pub(crate) async fn stop(&self, id: &str) {
        let Some(supervised) = self.supervised().remove(id) else {
            return;
        };
        supervised.wish.send_replace(Wish::Stop);
        self.writers.forget(id);
        // The supervisor holds the other end until the query has ended.
        if timeout(STOP_DEADLINE, supervised.wish.closed()).await.is_err() {
            tracing::warn!("query {id} has not stopped within {STOP_DEADLINE:?}");
        }
    }

    /// Stops a persistent query for good: its positions are forgotten, so that another of its id begins afresh.
    pub(crate) async fn terminate(&self, id: &str) {
        self.stop(id).await;
        let group = self.config.query_group(id);
        if let Err(error) = self.cluster.delete_group(&group).await {
            tracing::warn!("the positions of query {id} are left behind: {error}");
        }
        if let Err(error) = self.delete_topics_of(&group).await {
            tracing::warn!("the changelogs of query {id} are left behind: {error}");
        }
    }

    /// Deletes the topics that are named after a query's group.
    async fn delete_topics_of(&self, group: &str) -> Result<(), ClusterError> {
        let prefix = format!("{group}-");
        for topic in self.cluster.topics().await?.into_keys() {
            if topic.starts_with(&prefix) {
                self.cluster.delete_topic(&topic).await?;
            }
        }
        Ok(())
    }

    /// The table that a persistent query keeps; waits a moment for one whose rows are not there yet.
    pub(crate) async fn table(&self, id: &str) -> Option<Materialized> {
        let mut table = self
            .supervised()
            .get(id)
            .map(|supervised| supervised.table.clone())?;
        let there = timeout(TABLE_DEADLINE, table.wait_for(Option::is_some));
        there.await.ok()?.ok()?.clone()
    }

    /// Pauses a persistent query, or lets it go on.
    pub(crate) fn pause(&self, id: &str, paused: bool) {
        if let Some(supervised) = self.supervised().get(id) {
            let (wish, state) = if paused {
                (Wish::Pause, QueryState::Paused)
            } else {
                (Wish::Run, QueryState::Running)
            };
            supervised.status.set(state);
            supervised.wish.send_replace(wish);
        }
    }

    /// How a persistent query is doing.
    pub(crate) fn status(&self, id: &str) -> Option<Arc<QueryStatus>> {
        self.supervised()
            .get(id)
            .map(|supervised| Arc::clone(&supervised.status))
    }

    /// The last lines of the processing log about a query.
    pub(crate) fn processing_log(&self, id: &str) -> Vec<String> {
        let noted = self.processing_log.of_query(id);
        noted.iter().map(processing_log::Noted::line).collect()
    }

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

    /// The room for pull queries.
    pub(crate) fn pulls(&self) -> &PullPlaces {
        &self.pulls
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

    /// Ends every query: persistent ones commit their positions, push queries complete their responses.
    pub(crate) async fn shut_down(&self) {
        self.stop.cancel();
        for supervised in self.supervised().values() {
            supervised.wish.send_replace(Wish::Stop);
        }
        self.tasks.close();
        if timeout(STOP_DEADLINE, self.tasks.wait()).await.is_err() {
            tracing::warn!("some queries have not stopped within {STOP_DEADLINE:?}");
        }
    }

    fn supervised(&self) -> MutexGuard<'_, BTreeMap<String, Supervised>> {
        self.supervised.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listening(&self) -> MutexGuard<'_, BTreeMap<String, Listening>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a push query off the list, however it ends.
struct Ended {
    runtime: Arc<Runtime>,
    id: String,
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

/// A record as a task takes it.
pub(crate) fn with_input<R>(record: &Record, take: impl FnOnce(InputRecord<'_>) -> R) -> R {
    let headers: Vec<(&str, Option<&[u8]>)> = record
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_deref()))
        .collect();
    take(InputRecord {
        topic: &record.topic,
        partition: record.partition,
        offset: record.offset,
        timestamp: record.timestamp,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &headers,
    })
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
