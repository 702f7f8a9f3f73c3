//! The queries that run: persistent ones under supervision, push queries for as long as a client listens.
//!
//! Knows plans and Kafka; knows nothing of statements' text or HTTP.

mod clients;
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
mod traffic;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::kafka::{Cluster, ClusterError, Progress, Record, RecordProducer, Writers};
use crate::queries::PersistentQuery;
use crate::registry::{QuerySchemas, Registry};
use crate::task::{InputRecord, Materialized};
use persistent::{Wish, Worker};
use processing_log::ProcessingLog;

pub(crate) use clients::{Listening, PushError, transient_id};
pub(crate) use positions::{Committed, PositionError, Resets, committed, starting_offsets};
pub(crate) use pull::{PullPlaces, pull};
pub(crate) use push::{Extent, PushEvent, PushQuery};
pub(crate) use status::{QueryState, QueryStatus};
pub(crate) use traffic::Meter;

/// How long a query may take to stop before others go on without it: more than it takes to finish what is under way.
const STOP_DEADLINE: Duration = Duration::from_secs(8);

/// How long a pull query waits for the rows of a query that has just begun.
const TABLE_DEADLINE: Duration = Duration::from_secs(5);

/// How many push queries may run at a time (`ksql.max.push.queries`).
const MOST_PUSH_QUERIES: usize = 100;

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

    /// The room for pull queries.
    pub(crate) fn pulls(&self) -> &PullPlaces {
        &self.pulls
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
