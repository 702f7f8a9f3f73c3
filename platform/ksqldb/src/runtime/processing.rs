//! A running attempt of a persistent query: reads its inputs, writes its sink and changelogs, commits its position.
//!
//! At least once: a position is committed only after every record made from what lies before it was
//! acknowledged, so a crash repeats records and loses none ([`Ledger`] has the order). Or exactly once: records and
//! position are committed in one transaction, and while that is done nothing is processed.
//!
//! Long because a record, its output and its commit are one state, and their order is the promise.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::KafkaResult;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::outlet::Outlet;
use super::persistent::{Failure, Worker};
use super::state::Changelogs;
use super::traffic::Tally;
use super::with_input;
use crate::kafka::{Arrival, Deliveries, OutgoingRecord, Position, Reader, Record};
use crate::task::{Collector, Ledger, StoreChange, StreamTimes, Task};

/// How long after a record its position is committed, at most.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// After how many records the position is committed, at the latest: so many a crash repeats, and about as many again
/// that were under way.
const COMMIT_RECORDS: u64 = 5_000;
/// How long a committed position stands before it is committed again: brokers forget positions that are old.
const RECOMMIT_INTERVAL: Duration = Duration::from_secs(6 * 60 * 60);
/// The same of a transaction: nobody reads its records before.
const TRANSACTION_INTERVAL: Duration = Duration::from_millis(100);
/// How long a query that stops waits for the records under way, and for the commit of its position. It waits for
/// nothing where nothing is under way.
pub(super) const STOP_DEADLINE: Duration = Duration::from_secs(3);
/// How often a query that catches up looks whether it has.
const LOOK_AROUND: Duration = Duration::from_millis(20);
/// How many records are taken at a time, where they are there.
const AT_A_TIME: usize = 64;
/// How many windows may wait for a commit before the changelogs are told that they are too old.
const MOST_EXPIRED: usize = 200_000;

/// How far a query has read at the moment of a commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached {
    pub(super) time: Option<i64>,
    pub(super) caught_up: bool,
}

/// What a commit waits for.
enum Closing {
    /// The acknowledgement of the output that was handed over before it.
    Output(Arc<Deliveries>),
    /// Its confirmation.
    Answer(oneshot::Receiver<KafkaResult<()>>),
}

/// What a commit has come to.
enum Closed {
    /// All output before it is acknowledged.
    Output,
    /// It is confirmed, or not.
    Answer(Result<(), String>),
}

impl Closing {
    /// Nothing is lost when the future is dropped before it is ready.
    async fn next(&mut self) -> Result<Closed, Failure> {
        match self {
            Self::Output(deliveries) => {
                deliveries.settle(0).await.map_err(Failure::Delivery)?;
                Ok(Closed::Output)
            }
            Self::Answer(answer) => Ok(Closed::Answer(match answer.await {
                Ok(result) => result.map_err(|error| error.to_string()),
                Err(_) => Err("nobody answered".to_owned()),
            })),
        }
    }
}

/// The state of a running attempt.
pub(super) struct Processing<'a> {
    worker: &'a Worker,
    task: Task,
    changelogs: Changelogs,
    collector: Collector,
    outlet: Outlet,
    /// Set while a record's output is being handed over, or a transaction is being committed: then the reader is ahead
    /// of the output.
    unfinished: bool,
    /// When the position is to be committed.
    commit_at: Instant,
    /// What is not committed.
    ledger: Ledger<Vec<Position>>,
    /// What the ledger's commit waits for. New output is counted apart meanwhile, so committing never holds up a
    /// record.
    closing: Option<Closing>,
    /// How far reading had come then.
    reached: Option<Reached>,
    /// What was read and written since that was noted last.
    tally: Tally,
}

impl<'a> Processing<'a> {
    pub(super) fn new(worker: &'a Worker, task: Task, changelogs: Changelogs, outlet: Outlet) -> Self {
        Self {
            worker,
            task,
            changelogs,
            collector: Collector::default(),
            outlet,
            unfinished: false,
            // Soon, so that the group and its positions are there for everybody to see.
            commit_at: Instant::now() + COMMIT_INTERVAL,
            ledger: Ledger::default(),
            closing: None,
            reached: None,
            tally: Tally::default(),
        }
    }

    /// Processes records until it should stop. A record that has been read is finished first.
    pub(super) async fn pump(
        &mut self,
        reader: &mut Reader,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        let mut catches_up = self.worker.progress.is_some();
        loop {
            if catches_up && reader.is_caught_up() {
                // Those who wait are told as soon as the results are there.
                catches_up = false;
                self.commit_at = Instant::now();
            }
            let is_due = self.ledger.records() >= COMMIT_RECORDS;
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                closed = next_of(self.closing.as_mut()), if self.closing.is_some() => {
                    self.go_on_closing(closed?, reader).await?;
                }
                // Whether others have caught up is no event of the reader's.
                () = sleep(LOOK_AROUND), if catches_up => {}
                () = sleep_until(if is_due { Instant::now() } else { self.commit_at }), if self.closing.is_none() => {
                    self.reached = Some(Reached {
                        time: reader.time(),
                        caught_up: !catches_up,
                    });
                    self.commit_at = Instant::now() + RECOMMIT_INTERVAL;
                    let positions = self.positions(reader);
                    if self.is_exactly_once() {
                        self.commit_transaction(positions, reader).await?;
                        self.tell().await;
                    } else {
                        self.ledger.close(positions);
                        self.closing = Some(Closing::Output(self.outlet.take_deliveries()));
                    }
                }
                // Where a commit is due while another waits for its records, so do further ones.
                arrival = reader.next(), if !is_due => {
                    let goes_on = self.take_several(arrival.map_err(Failure::Read)?, reader, stop).await;
                    self.worker.status.note(&mut self.tally);
                    if !goes_on? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Takes a record, and those that are there without waiting: to look after everything else between any two of them
    /// costs more than they do. `false`: it is to stop.
    async fn take_several(
        &mut self,
        first: Arrival,
        reader: &mut Reader,
        stop: &CancellationToken,
    ) -> Result<bool, Failure> {
        let mut arrival = first;
        for _ in 0..AT_A_TIME {
            if !self.take(arrival, reader, stop).await? {
                return Ok(false);
            }
            let is_due = self.closing.is_none() && Instant::now() >= self.commit_at;
            if is_due || self.ledger.records() >= COMMIT_RECORDS || stop.is_cancelled() {
                return Ok(true);
            }
            match reader.next_at_hand().map_err(Failure::Read)? {
                Some(next) => arrival = next,
                None => return Ok(true),
            }
        }
        let goes_on = self.take(arrival, reader, stop).await?;
        // Old records are there without waiting; others want to run too.
        tokio::task::yield_now().await;
        Ok(goes_on)
    }

    /// Takes a record. `false`: it is to stop.
    async fn take(
        &mut self,
        arrival: Arrival,
        reader: &Reader,
        stop: &CancellationToken,
    ) -> Result<bool, Failure> {
        let (Arrival::Replayed(record) | Arrival::New(record)) = &arrival;
        if !self.worker.learn(record, stop).await {
            // The record is not processed: the next attempt begins with it.
            self.unfinished = true;
            if let Arrival::New(record) = &arrival {
                self.commit_before(record, reader).await;
            }
            return Ok(false);
        }
        match arrival {
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
        match self.task.failure() {
            Some(reason) => Err(Failure::State(reason)),
            None => Ok(true),
        }
    }

    /// Commits what is not committed yet. What takes too long is left to the restart.
    pub(super) async fn finish(mut self, reader: &Reader) -> Result<(), Failure> {
        let is_committed = self.ledger.records() == 0 && self.closing.is_none();
        if is_committed || self.unfinished || !self.settle().await {
            return Ok(());
        }
        let positions = self.positions(reader);
        self.commit_and_wait(positions, reader).await
    }

    /// Waits, not for long, for a commit that was sent: it should not arrive after one of the next attempt.
    pub(super) async fn abandon(mut self) {
        if let Some(Closing::Answer(answer)) = &mut self.closing {
            let _ = timeout(STOP_DEADLINE, answer).await;
        }
    }

    fn is_exactly_once(&self) -> bool {
        matches!(self.outlet, Outlet::Transactions(_))
    }

    /// Commits a position up to which everything is handed over, and waits for the answer, but not for long.
    async fn commit_and_wait(&mut self, positions: Vec<Position>, reader: &Reader) -> Result<(), Failure> {
        if self.is_exactly_once() {
            let committing = self.commit_transaction(positions, reader);
            // What takes longer is for the next attempt to find done or not.
            return timeout(STOP_DEADLINE, committing).await.unwrap_or(Ok(()));
        }
        let committed = reader.commit_and_wait(&positions, STOP_DEADLINE).await;
        committed.map_err(Failure::Commit)
    }

    /// Commits the output with the position it belongs to. Windows that are too old can go with it.
    async fn commit_transaction(&mut self, positions: Vec<Position>, reader: &Reader) -> Result<(), Failure> {
        self.unfinished = true;
        let offsets = reader.offsets(&positions).map_err(Failure::Commit)?;
        self.ledger.close(positions);
        let expired = self.ledger.confirm();
        self.write_changes(expired).await?;
        if let Outlet::Transactions(producer) = &mut self.outlet {
            producer.commit(offsets).await.map_err(Failure::Transaction)?;
        }
        self.unfinished = false;
        Ok(())
    }

    /// Tells those who wait for the results how far they reach.
    async fn tell(&mut self) {
        let progress = self.worker.progress.as_ref();
        if let Some(reached) = self.reached.take()
            && progress.is_some_and(|progress| !progress.is_caught_up())
        {
            self.worker.tell(reached).await;
        }
    }

    /// Takes a commit one step further.
    async fn go_on_closing(&mut self, closed: Closed, reader: &Reader) -> Result<(), Failure> {
        match closed {
            Closed::Output => {
                let positions = self.ledger.closing().map_or(&[][..], Vec::as_slice);
                self.closing = Some(Closing::Answer(
                    reader.commit(positions).map_err(Failure::Commit)?,
                ));
                self.tell().await;
            }
            Closed::Answer(Ok(())) => {
                self.closing = None;
                let expired = self.ledger.confirm();
                self.write_changes(expired).await?;
            }
            Closed::Answer(Err(reason)) => {
                self.closing = None;
                self.ledger.refuse();
                if self.ledger.expired() > MOST_EXPIRED {
                    return Err(Failure::Unconfirmed(reason));
                }
                tracing::debug!(
                    "query {}: a position is not committed: {reason}",
                    self.worker.query.id
                );
                self.commit_at = Instant::now() + COMMIT_INTERVAL;
            }
        }
        Ok(())
    }

    /// Waits, not for long, until nothing is under way. Returns whether that is so.
    async fn settle(&mut self) -> bool {
        let settled = timeout(STOP_DEADLINE, async {
            match &mut self.closing {
                Some(Closing::Output(deliveries)) => deliveries.settle(0).await?,
                // Whatever it says: the next commit is about that and more.
                Some(Closing::Answer(answer)) => drop(answer.await),
                None => {}
            }
            self.outlet.settle().await
        });
        matches!(settled.await, Ok(Ok(())))
    }

    fn positions(&self, reader: &Reader) -> Vec<Position> {
        let mut stream_times = StreamTimes::new();
        self.task.stream_times(&mut stream_times);
        reader.positions(&stream_times)
    }

    async fn process(&mut self, record: &Record) -> Result<(), Failure> {
        self.unfinished = true;
        self.tally
            .read(&record.topic, bytes_of(&record.key, &record.value));
        with_input(record, |input| self.task.process(input, &mut self.collector));
        if let Some(reason) = self.task.failure() {
            // What a record does is done as a whole or not at all: what it did until it failed stays here.
            self.collector = Collector::default();
            self.task.give_up();
            return Err(Failure::State(reason));
        }
        let worker = self.worker;
        if let Some(sink) = worker.query.sink() {
            for output in self.collector.records.drain(..) {
                self.tally.wrote(bytes_of(&output.key, &output.value));
                let outgoing = OutgoingRecord {
                    topic: &sink.topic,
                    key: output.key.as_deref(),
                    value: output.value.as_deref(),
                    timestamp: output.timestamp,
                    // Those of the record that is at hand, also where a join has kept the other side.
                    headers: &record.headers,
                };
                self.outlet
                    .send(outgoing)
                    .await
                    .map_err(|source| Failure::Write {
                        topic: sink.topic.clone(),
                        source,
                    })?;
            }
        }
        let changes = std::mem::take(&mut self.collector.changes);
        self.write_changes(changes).await?;
        self.collector.rows.clear();
        for entry in self.collector.log.drain(..) {
            worker.processing_log.add(&worker.query.id, entry);
        }
        self.ledger.add(&mut self.collector.expired);
        if self.ledger.records() == 1 {
            let interval = if self.is_exactly_once() {
                TRANSACTION_INTERVAL
            } else {
                COMMIT_INTERVAL
            };
            self.commit_at = self.commit_at.min(Instant::now() + interval);
        }
        self.unfinished = false;
        self.outlet.ease().await.map_err(Failure::Delivery)
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
            self.outlet
                .send(outgoing)
                .await
                .map_err(|source| Failure::Write {
                    topic: topic.to_owned(),
                    source,
                })?;
        }
        Ok(())
    }

    /// Commits what was done before a record that cannot be processed, so that the next attempt begins with it and
    /// repeats nothing. Where that takes too long, it is left to the next attempt.
    async fn commit_before(&mut self, record: &Record, reader: &Reader) {
        if !self.settle().await {
            return;
        }
        let mut stream_times = StreamTimes::new();
        self.task.stream_times(&mut stream_times);
        let positions = reader.positions_before(record, &stream_times);
        if let Err(failure) = self.commit_and_wait(positions, reader).await {
            tracing::warn!("query {}: {failure}", self.worker.query.id);
        }
    }
}

/// How large a record's key and value are.
fn bytes_of(key: &Option<Vec<u8>>, value: &Option<Vec<u8>>) -> usize {
    [key, value].into_iter().flatten().map(Vec::len).sum()
}

async fn next_of(closing: Option<&mut Closing>) -> Result<Closed, Failure> {
    match closing {
        Some(closing) => closing.next().await,
        None => std::future::pending().await,
    }
}
