//! A persistent query: what one attempt does, [`Processing`] says; here it begins, and begins again when it fails.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::KafkaError;
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::outlet::Outlet;
use super::positions::{self, PositionError};
use super::processing::{Processing, Reached, STOP_DEADLINE};
use super::processing_log::ProcessingLog;
use super::state::{Changelogs, StateError};
use super::status::{QueryState, QueryStatus};
use crate::config::Config;
use crate::kafka::{Cluster, Progress, Reader, Record, RecordProducer, TransactionalProducer, Writers};
use crate::queries::PersistentQuery;
use crate::registry::{QuerySchemas, RegistryError};
use crate::task::{Materialized, Task};

/// How long a failed query waits before it starts again: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How often to look whether a topic that is read has got more partitions.
const LOOK_FOR_PARTITIONS: Duration = Duration::from_secs(5);
/// A query that ran so long before it failed is not one that fails at once.
const HEALTHY_RUN: Duration = Duration::from_secs(30);

/// What a query should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Process records.
    Run,
    /// Wait.
    Pause,
    /// End.
    Stop,
}

/// Why a query stopped without being asked to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Position(#[from] PositionError),
    #[error("cannot read the inputs: {0}")]
    Read(#[source] KafkaError),
    #[error("cannot write to topic `{topic}`: {source}")]
    Write { topic: String, source: KafkaError },
    #[error("{0}")]
    State(String),
    #[error(transparent)]
    Changelog(#[from] StateError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("{0}")]
    Delivery(String),
    #[error("cannot commit the position: {0}")]
    Commit(#[source] KafkaError),
    #[error("cannot write in transactions, as `processing.guarantee` asks: {0}")]
    Transaction(#[source] KafkaError),
    #[error("the position is not committed, again and again: {0}")]
    Unconfirmed(String),
}

/// A persistent query and what it needs to run.
pub(super) struct Worker {
    pub(super) query: Arc<PersistentQuery>,
    pub(super) status: Arc<QueryStatus>,
    pub(super) config: Arc<Config>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) producer: Arc<RecordProducer>,
    pub(super) processing_log: Arc<ProcessingLog>,
    pub(super) schemas: QuerySchemas,
    /// The table that pull queries read, once its rows are there.
    pub(super) table: watch::Sender<Option<Materialized>>,
    /// The queries that fill topics, and how far this one has come, where it does.
    pub(super) writers: Arc<Writers>,
    pub(super) progress: Option<Arc<Progress>>,
}

/// Runs a query as wished, until it should stop. A failure or a panic ends only the attempt.
pub(super) async fn supervise(worker: Arc<Worker>, mut wish: watch::Receiver<Wish>) {
    let mut delay = RETRY.0;
    loop {
        let wished = *wish.borrow_and_update();
        match wished {
            Wish::Stop => return,
            Wish::Pause => {
                worker.leave();
                worker.status.set(QueryState::Paused);
                if wish.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Wish::Run => {}
        }
        let stop = CancellationToken::new();
        let began = Instant::now();
        // A task of its own, so that a panic is an error here and nothing else.
        let mut attempt = tokio::spawn(Arc::clone(&worker).run(stop.clone()));
        let ended = loop {
            tokio::select! {
                ended = &mut attempt => break ended,
                changed = wish.changed() => {
                    if changed.is_err() || *wish.borrow() != Wish::Run {
                        stop.cancel();
                        break attempt.await;
                    }
                }
            }
        };
        let reason = match ended {
            Ok(Ok(())) => continue,
            Ok(Err(failure)) => failure.to_string(),
            Err(error) => panic_message(error),
        };
        if *wish.borrow() == Wish::Stop {
            return;
        }
        tracing::error!("query {} failed and starts again: {reason}", worker.query.id);
        worker.leave();
        worker.status.fail(reason);
        if began.elapsed() >= HEALTHY_RUN {
            delay = RETRY.0;
        }
        // A new wish ends the wait.
        let _ = timeout(delay, wish.changed()).await;
        delay = (delay * 2).min(RETRY.1);
    }
}

impl Worker {
    /// Nobody waits for a query that does not run.
    fn leave(&self) {
        if let Some(progress) = &self.progress {
            progress.leave();
        }
    }

    /// Learns the schemas that a record was written with, where its formats have any; `false` where it was to stop
    /// before that.
    pub(super) async fn learn(&self, record: &Record, stop: &CancellationToken) -> bool {
        let schemas = &self.schemas;
        if !schemas.misses(record) {
            return true;
        }
        tokio::select! {
            () = schemas.learn(record) => true,
            () = stop.cancelled() => false,
        }
    }

    /// Tells those who read the sink how far the results in it reach.
    pub(super) async fn tell(&self, reached: Reached) {
        let (Some(progress), Some(sink)) = (&self.progress, self.query.sink()) else {
            return;
        };
        let ends = self.cluster.ends(&sink.topic).await;
        match ends {
            Ok(mut ends) => {
                if self.query.is_exactly_once() {
                    // The last offset is the transaction's own mark, which no reader comes to.
                    ends.iter_mut().for_each(|end| *end = (*end - 1).max(0));
                }
                progress.note(reached.time, ends, reached.caught_up);
            }
            // Told with the next commit.
            Err(error) => tracing::debug!("the end of `{}` is not known: {error}", sink.topic),
        }
    }

    async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), Failure> {
        let group = self.config.query_group(&self.query.id);
        if let Some(progress) = &self.progress {
            progress.begin();
        }
        let changelogs = Changelogs::new(&group, &self.query.plan);
        // The table of the last attempt goes before this one's is read: memory holds one of them.
        self.table.send_replace(None);
        let mut task = Task::with_stores_of(&self.query.plan, self.config.store_size);
        let opening = async {
            // First: what an attempt before left open is ended, so that positions and changelogs are what they stay.
            let outlet = self.outlet(&group).await?;
            Ok::<_, Failure>((outlet, self.open(&group, &changelogs, &mut task).await?))
        };
        let (outlet, mut reader) = tokio::select! {
            opened = opening => opened?,
            () = stop.cancelled() => return Ok(()),
        };
        self.table.send_replace(task.materialized());
        self.status.set(QueryState::Running);
        let mut processing = Processing::new(&self, task, changelogs, outlet);
        let partitions = reader.partitions();
        let give_up = async {
            stop.cancelled().await;
            sleep(STOP_DEADLINE).await;
        };
        let more_partitions = async {
            self.more_partitions_than(&partitions).await;
            // The next attempt reads them, too.
            stop.cancel();
            std::future::pending().await
        };
        tokio::select! {
            result = processing.pump(&mut reader, &stop) => if let Err(failure) = result {
                processing.abandon().await;
                return Err(failure);
            },
            () = give_up => {}
            () = more_partitions => {}
        }
        processing.finish(&reader).await
    }

    /// Where the records go.
    async fn outlet(&self, group: &str) -> Result<Outlet, Failure> {
        if self.query.is_exactly_once() {
            let producer = TransactionalProducer::open(&self.cluster, group).await;
            return Ok(Outlet::Transactions(producer.map_err(Failure::Transaction)?));
        }
        Ok(Outlet::Shared {
            producer: Arc::clone(&self.producer),
            deliveries: Arc::default(),
        })
    }

    /// Waits until a topic has more partitions than these.
    async fn more_partitions_than(&self, read: &BTreeMap<Arc<str>, usize>) {
        let mut look = interval_at(Instant::now() + LOOK_FOR_PARTITIONS, LOOK_FOR_PARTITIONS);
        loop {
            look.tick().await;
            // A broker that is away has not made any.
            let Ok(topics) = self.cluster.topics().await else {
                continue;
            };
            for (topic, count) in read {
                let now = topics.get(&**topic).map_or(0, Vec::len);
                if now > *count {
                    tracing::info!("query {}: `{topic}` has {now} partitions now", self.query.id);
                    return;
                }
            }
        }
    }

    /// Fills the task's stores and opens its inputs where the stores end.
    async fn open(&self, group: &str, changelogs: &Changelogs, task: &mut Task) -> Result<Reader, Failure> {
        let (cluster, query) = (&self.cluster, &self.query);
        self.schemas.prepare().await?;
        changelogs.make(cluster, &query.plan).await?;
        let consumer = Reader::consumer(cluster, group).map_err(Failure::Read)?;
        let mut start = positions::of_persistent_query(cluster, consumer, group, query, true).await?;
        task.spread_over(positions::partitions(&start.points));
        task.go_on_from(&start.stream_times);
        // State without a position is that of an attempt which reads all of its inputs again.
        if start.goes_on && !changelogs.restore(cluster, group, task, &self.status).await? {
            tracing::info!("query {} begins again: its state is laid out anew", query.id);
            changelogs.make_anew(cluster, group, &query.plan).await?;
            start = positions::of_persistent_query(cluster, start.consumer, group, query, false).await?;
        }
        let reader = Reader::open(cluster, start.consumer, &start.points).await;
        let sink = query.sink().map(|sink| sink.topic.as_str());
        let reader = reader.map_err(Failure::Read)?;
        Ok(reader.in_step_with(&self.writers, sink))
    }
}

fn panic_message(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "the query was cancelled".to_owned();
    };
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!(
        "internal error: {}",
        text.unwrap_or_else(|| "a panic without a message".to_owned())
    )
}
