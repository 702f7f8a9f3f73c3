//! A persistent query: reads its inputs, writes its sink, commits its position, and is started again when it fails.
//!
//! At least once: a position is committed only after every record made from what lies before it was
//! acknowledged, so a crash repeats records and loses none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::KafkaError;
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::positions::{self, PositionError};
use super::processing_log::ProcessingLog;
use super::state::{Changelogs, StateError};
use super::status::{QueryState, QueryStatus};
use super::with_input;
use crate::config::Config;
use crate::kafka::{
    Arrival, Cluster, Deliveries, OutgoingRecord, Position, Progress, Reader, Record, RecordProducer, Writers,
};
use crate::queries::PersistentQuery;
use crate::task::{Collector, Materialized, StoreChange, StreamTimes, Task};

/// How long after a record its position is committed, at most.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// After how many records the position is committed, at the latest: so many a crash repeats, and about as many again
/// that were under way.
const COMMIT_RECORDS: u64 = 5_000;
/// How long a committed position stands before it is committed again: brokers forget positions that are old.
const RECOMMIT_INTERVAL: Duration = Duration::from_secs(6 * 60 * 60);
/// How many records may be under way to the sink before reading waits for them.
const MOST_UNDER_WAY: usize = 10_000;
/// How long a query that stops waits for the records under way, and for the commit of its position. It waits for
/// nothing where nothing is under way.
const STOP_DEADLINE: Duration = Duration::from_secs(3);
/// How long a failed query waits before it starts again: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How often a query that catches up looks whether it has.
const LOOK_AROUND: Duration = Duration::from_millis(20);
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
enum Failure {
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
    #[error("{0}")]
    Delivery(String),
    #[error("cannot commit the position: {0}")]
    Commit(#[source] KafkaError),
}

/// A persistent query and what it needs to run.
pub(super) struct Worker {
    pub(super) query: Arc<PersistentQuery>,
    pub(super) status: Arc<QueryStatus>,
    pub(super) config: Arc<Config>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) producer: Arc<RecordProducer>,
    pub(super) processing_log: Arc<ProcessingLog>,
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

    /// Tells those who read the sink how far the results in it reach.
    async fn tell(&self, reached: Reached) {
        let (Some(progress), Some(sink)) = (&self.progress, self.query.sink()) else {
            return;
        };
        let ends = self.cluster.ends(&sink.topic).await;
        match ends {
            Ok(ends) => progress.note(reached.time, ends, reached.caught_up),
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
        let mut task = Task::new(&self.query.plan);
        let opening = self.open(&group, &changelogs, &mut task);
        let mut reader = tokio::select! {
            reader = opening => reader?,
            () = stop.cancelled() => return Ok(()),
        };
        self.table.send_replace(task.materialized());
        self.status.set(QueryState::Running);
        let mut processing = Processing {
            worker: &self,
            task,
            changelogs,
            collector: Collector::default(),
            deliveries: Arc::default(),
            unfinished: false,
            // Soon, so that the group and its positions are there for everybody to see.
            commit_at: Instant::now() + COMMIT_INTERVAL,
            uncommitted: 0,
            expired: Vec::new(),
            stream_times: StreamTimes::new(),
            closing: None,
            reached: None,
        };
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
            result = processing.pump(&mut reader, &stop) => result?,
            () = give_up => {}
            () = more_partitions => {}
        }
        let uncommitted = processing.uncommitted > 0 || processing.closing.is_some();
        if !uncommitted || processing.unfinished {
            return Ok(());
        }
        // What takes too long is left to the restart.
        let settled = timeout(STOP_DEADLINE, async {
            settle(processing.closing.as_ref()).await?;
            processing.deliveries.settle(0).await
        });
        if matches!(settled.await, Ok(Ok(()))) {
            let positions = processing.positions(&reader);
            reader
                .commit_and_wait(&positions, STOP_DEADLINE)
                .await
                .map_err(Failure::Commit)?;
        }
        Ok(())
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
        changelogs.make(cluster, &query.plan).await?;
        let consumer = Reader::consumer(cluster, group).map_err(Failure::Read)?;
        let mut start = positions::of_persistent_query(cluster, consumer, group, query, true).await?;
        task.spread_over(positions::partitions(&start.points));
        task.go_on_from(&start.stream_times);
        // State without a position is that of an attempt which reads all of its inputs again.
        if start.goes_on && !changelogs.restore(cluster, group, task).await? {
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

/// How far a query has read at the moment of a commit.
#[derive(Debug, Clone, Copy)]
struct Reached {
    time: Option<i64>,
    caught_up: bool,
}

/// A commit that waits for acknowledgements.
struct Closing {
    deliveries: Arc<Deliveries>,
    positions: Vec<Position>,
    /// What the changelogs are told then.
    expired: Vec<StoreChange>,
}

/// The state of a running attempt.
struct Processing<'a> {
    worker: &'a Worker,
    task: Task,
    changelogs: Changelogs,
    collector: Collector,
    /// The records under way.
    deliveries: Arc<Deliveries>,
    /// Set while a record's output is being handed over: then the reader is ahead of the output.
    unfinished: bool,
    /// When the position is to be committed.
    commit_at: Instant,
    /// How many records were processed since the positions to commit were last taken.
    uncommitted: u64,
    /// What the changelogs are told after the next commit.
    expired: Vec<StoreChange>,
    /// The stream times of the windows before the record at hand.
    stream_times: StreamTimes,
    /// Positions whose output was handed over, waiting for its acknowledgement. New output is counted apart
    /// meanwhile, so committing never holds up a record.
    closing: Option<Closing>,
    /// How far reading had come then.
    reached: Option<Reached>,
}

impl Processing<'_> {
    /// Processes records until it should stop. A record that has been read is finished first.
    async fn pump(&mut self, reader: &mut Reader, stop: &CancellationToken) -> Result<(), Failure> {
        let mut records = 0_u64;
        let progress = self.worker.progress.clone();
        let mut catches_up = progress.is_some();
        loop {
            if catches_up && reader.is_caught_up() {
                // Those who wait are told as soon as the results are there.
                catches_up = false;
                self.commit_at = Instant::now();
            }
            let is_due = self.uncommitted >= COMMIT_RECORDS;
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                settled = settle(self.closing.as_ref()), if self.closing.is_some() => {
                    settled.map_err(Failure::Delivery)?;
                    if let Some(closing) = self.closing.take() {
                        reader.commit(&closing.positions).map_err(Failure::Commit)?;
                        self.write_changes(closing.expired).await?;
                    }
                    if let Some(reached) = self.reached.take()
                        && progress.as_ref().is_some_and(|progress| !progress.is_caught_up())
                    {
                        self.worker.tell(reached).await;
                    }
                }
                // Whether others have caught up is no event of the reader's.
                () = sleep(LOOK_AROUND), if catches_up => {}
                () = sleep_until(if is_due { Instant::now() } else { self.commit_at }), if self.closing.is_none() => {
                    let deliveries = std::mem::take(&mut self.deliveries);
                    self.closing = Some(Closing {
                        deliveries,
                        positions: self.positions(reader),
                        expired: std::mem::take(&mut self.expired),
                    });
                    self.reached = Some(Reached {
                        time: reader.time(),
                        caught_up: !catches_up,
                    });
                    self.commit_at = Instant::now() + RECOMMIT_INTERVAL;
                    self.uncommitted = 0;
                }
                // Where a commit is due while another waits for its records, so do further ones.
                arrival = reader.next(), if !is_due => {
                    match arrival.map_err(Failure::Read)? {
                        Arrival::Replayed(record) => with_input(&record, |input| self.task.restore(input)),
                        Arrival::New(record) => match self.process(&record).await {
                            Ok(()) => {}
                            Err(failure @ Failure::State(_)) => {
                                self.commit_before(&record, reader).await;
                                return Err(failure);
                            }
                            Err(failure) => return Err(failure),
                        },
                    }
                    if let Some(reason) = self.task.failure() {
                        return Err(Failure::State(reason));
                    }
                    records += 1;
                    if records.is_multiple_of(64) {
                        // Old records are there without waiting; others want to run too.
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
    }

    fn positions(&self, reader: &Reader) -> Vec<Position> {
        let mut stream_times = StreamTimes::new();
        self.task.stream_times(&mut stream_times);
        reader.positions(&stream_times)
    }

    async fn process(&mut self, record: &Record) -> Result<(), Failure> {
        self.unfinished = true;
        self.task.stream_times(&mut self.stream_times);
        with_input(record, |input| self.task.process(input, &mut self.collector));
        if let Some(reason) = self.task.failure() {
            // What a record does is done as a whole or not at all: what it did until it failed stays here.
            self.collector = Collector::default();
            return Err(Failure::State(reason));
        }
        let worker = self.worker;
        if let Some(sink) = worker.query.sink() {
            for output in self.collector.records.drain(..) {
                let outgoing = OutgoingRecord {
                    topic: &sink.topic,
                    key: output.key.as_deref(),
                    value: output.value.as_deref(),
                    timestamp: output.timestamp,
                    // Those of the record that is at hand, also where a join has kept the other side.
                    headers: &record.headers,
                };
                worker
                    .producer
                    .send(outgoing, &self.deliveries)
                    .await
                    .map_err(|source| Failure::Write {
                        topic: sink.topic.clone(),
                        source,
                    })?;
            }
        }
        let changes = std::mem::take(&mut self.collector.changes);
        self.write_changes(changes).await?;
        self.expired.append(&mut self.collector.expired);
        self.collector.rows.clear();
        for entry in self.collector.log.drain(..) {
            worker.processing_log.add(&worker.query.id, entry);
        }
        self.uncommitted += 1;
        if self.uncommitted == 1 {
            self.commit_at = self.commit_at.min(Instant::now() + COMMIT_INTERVAL);
        }
        self.unfinished = false;
        if self.deliveries.outstanding() > MOST_UNDER_WAY {
            self.deliveries
                .settle(MOST_UNDER_WAY / 2)
                .await
                .map_err(Failure::Delivery)?;
        }
        Ok(())
    }

    /// Writes to the changelogs.
    async fn write_changes(&mut self, changes: Vec<StoreChange>) -> Result<(), Failure> {
        for change in changes {
            let Some(topic) = self.changelogs.topic(&change.store) else {
                continue;
            };
            let value = change.value.as_deref().map(|row| self.changelogs.value(row));
            let outgoing = OutgoingRecord {
                topic,
                key: Some(&change.key),
                value: value.as_deref(),
                // A record's time is never negative.
                timestamp: change.timestamp.max(0),
                headers: &[],
            };
            let sent = self.worker.producer.send(outgoing, &self.deliveries).await;
            sent.map_err(|source| Failure::Write {
                topic: topic.to_owned(),
                source,
            })?;
        }
        Ok(())
    }

    /// Commits what was done before a record that cannot be processed, so that the next attempt begins with it and
    /// repeats nothing. Where that takes too long, it is left to the next attempt.
    async fn commit_before(&mut self, record: &Record, reader: &Reader) {
        let settled = timeout(STOP_DEADLINE, async {
            settle(self.closing.as_ref()).await?;
            self.deliveries.settle(0).await
        });
        if !matches!(settled.await, Ok(Ok(()))) {
            return;
        }
        let positions = reader.positions_before(record, &self.stream_times);
        if let Err(error) = reader.commit_and_wait(&positions, STOP_DEADLINE).await {
            tracing::warn!(
                "query {}: a position is not committed: {error}",
                self.worker.query.id
            );
        }
    }
}

async fn settle(closing: Option<&Closing>) -> Result<(), String> {
    match closing {
        Some(closing) => closing.deliveries.settle(0).await,
        None => Ok(()),
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
