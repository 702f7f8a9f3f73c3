//! Reads the partitions of a query's inputs as one sequence, the earliest record first.
//!
//! While there are old records to read, partitions wait for each other, so that a join over history sees both
//! sides in step. Once a partition has reached what was its end when reading began, nobody waits for it, unless a
//! query of this server fills its topic and is catching up itself: a record is handed out the moment it arrives.
//!
//! Long because the order of the records, the positions and the waiting for others are one promise about all lanes.

mod doubt;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use osqdemo_kafka_bootstrap::Bootstrap;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::stream_consumer::StreamPartitionQueue;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::closing::ClosedElsewhere;
use super::cluster::Cluster;
use super::context::Context;
use super::{GroupConsumer, Offsets, Record, Writers};
use doubt::{Doubt, Seen, Verdict};

/// How many records of a partition are taken from the client at a time, and about how many bytes: to ask it for each
/// costs more than the record.
const AT_A_TIME: (usize, usize) = (64, 256 * 1024);

/// How often to look whether a query that fills a topic has come far enough.
const STEP: Duration = Duration::from_millis(20);
/// How long a record waits for such a query at most: one that hangs holds up nobody for good.
const MOST_STEPS: Duration = Duration::from_secs(15);

/// How long a record waits for partitions of which nothing has been heard since reading began: what is in them already
/// may belong before it. More would be seen as a delay where they are empty.
const FIRST_WORD: Duration = Duration::from_millis(40);

/// How long the question who leads a topic's partitions may take.
const LEADERS_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the reading of a partition begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartingPoint {
    /// The topic.
    pub(crate) topic: Arc<str>,
    /// The partition.
    pub(crate) partition: i32,
    /// The first offset to read.
    pub(crate) from: i64,
    /// The first offset that is new: those before it were processed earlier and only rebuild state.
    pub(crate) new_from: i64,
    /// The offset after the last record there is now.
    pub(crate) end: i64,
    /// The newest timestamp among the records before `new_from`, where it is known.
    pub(crate) newest_timestamp: Option<i64>,
    /// Whether it goes before others of the same time: a table's row is there for the stream's row of that moment.
    pub(crate) is_table: bool,
}

/// What a reader hands out.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A record that was processed before.
    Replayed(Record),
    /// A record to process.
    New(Record),
}

/// How far a partition has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    topic: Arc<str>,
    partition: i32,
    offset: i64,
    newest_timestamp: Option<i64>,
    /// The stream time of the query's windows in that partition then, where it has any.
    stream_time: Option<i64>,
}

/// A partition and what was fetched of it.
struct Lane {
    topic: Arc<str>,
    partition: i32,
    queue: StreamPartitionQueue<Context>,
    /// The next records to hand out.
    ahead: VecDeque<Record>,
    /// Whether the partition ends behind them.
    has_ended: bool,
    /// The offset after the last record handed out.
    position: i64,
    /// Records before it are replayed.
    replay_until: i64,
    /// `replay_until`, or less where the partition has ended before (compaction and transactions leave holes).
    new_from: i64,
    /// What was the end, or less where the partition has ended before.
    end: i64,
    newest_timestamp: Option<i64>,
    /// The same before the last record handed out.
    newest_before: Option<i64>,
    is_table: bool,
    /// Whether it has had a record or ended since reading began.
    was_heard: bool,
}

impl Lane {
    /// Takes the records that are there, up to an event that is none.
    fn fill(&mut self) -> KafkaResult<Event<Record>> {
        let mut task = TaskContext::from_waker(Waker::noop());
        let mut stream = pin!(self.queue.stream());
        let mut bytes = 0;
        while self.ahead.len() < AT_A_TIME.0 && bytes < AT_A_TIME.1 {
            let Poll::Ready(Some(message)) = stream.as_mut().poll_next(&mut task) else {
                break;
            };
            match sort_out(message.map(|message| detach(&message, &self.topic)))? {
                Event::Item(record) => {
                    bytes += record.bytes();
                    self.was_heard = true;
                    self.ahead.push_back(record);
                }
                event => return Ok(event),
            }
        }
        Ok(Event::Nothing)
    }

    fn is_replaying(&self) -> bool {
        self.position < self.new_from
    }

    /// Whether the others wait for it: for its replay first, and then until it has caught up.
    fn is_awaited(&self, replaying: bool) -> bool {
        self.position < if replaying { self.new_from } else { self.end }
    }

    /// Notes that the partition ends behind what was fetched: its old records are all there. That holds once they are
    /// handed out.
    fn end_here(&mut self) {
        self.was_heard = true;
        self.has_ended = !self.ahead.is_empty();
        if self.has_ended {
            return;
        }
        self.new_from = self.new_from.min(self.position);
        self.end = self.end.min(self.position);
    }
}

/// Reads several partitions as one sequence.
pub(crate) struct Reader {
    // Before the consumer: each lane holds on to it, and the last one to let go closes it.
    lanes: Vec<Lane>,
    consumer: ClosedElsewhere<Arc<GroupConsumer>>,
    bootstrap: Arc<Bootstrap>,
    cluster: Arc<Cluster>,
    doubt: Option<Doubt>,
    /// The queries that may fill the topics.
    writers: Option<Arc<Writers>>,
    /// The topic that the query which reads writes.
    sink: Option<String>,
    /// Since when the next record waits for one of them.
    held_since: Option<Instant>,
    /// [`FIRST_WORD`]
    first_word: Duration,
    /// Until when a record waits for partitions of which nothing has been heard; `None` before there is one.
    listens_until: Option<Instant>,
    /// The highest time of a record that was handed out.
    time: Option<i64>,
}

impl Reader {
    /// A consumer for a group, that reads nothing yet but can be asked for the group's positions.
    pub(crate) fn consumer(cluster: &Cluster, group: &str) -> KafkaResult<GroupConsumer> {
        let mut config = cluster.client_config("ksqldb-query");
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Positions are always given; this is for a position the broker no longer has, where going on
            // with the oldest record loses least.
            .set("auto.offset.reset", "earliest")
            // Tells when a partition has ended: old records are waited for until then, however long that takes.
            .set("enable.partition.eof", "true")
            // A topic that is gone is an error soon: topics are only read once they are there.
            .set("topic.metadata.propagation.max.ms", "1000")
            .set("fetch.min.bytes", "1")
            .set("fetch.wait.max.ms", "500")
            .set("fetch.error.backoff.ms", "20")
            .set("fetch.queue.backoff.ms", "10")
            .set("queued.min.messages", "2000")
            .set("queued.max.messages.kbytes", "2048");
        StreamConsumer::from_config_and_context(&config, Context)
    }

    /// Begins to read.
    pub(crate) async fn open(
        cluster: &Arc<Cluster>,
        consumer: GroupConsumer,
        starts: &[StartingPoint],
    ) -> KafkaResult<Self> {
        let consumer = Arc::new(consumer);
        let mut assignment = TopicPartitionList::with_capacity(starts.len());
        for start in starts {
            assignment.add_partition_offset(&start.topic, start.partition, Offset::Offset(start.from))?;
        }
        // Split first: a queue that was split by the application stays split when it is assigned, while
        // splitting afterwards could come too late for the first records.
        let lanes = starts
            .iter()
            .map(|start| {
                let queue = consumer
                    .split_partition_queue(&start.topic, start.partition)
                    .ok_or(KafkaError::Subscription(format!(
                        "no partition {} of topic `{}`",
                        start.partition, start.topic
                    )))?;
                Ok(Lane {
                    topic: Arc::clone(&start.topic),
                    partition: start.partition,
                    queue,
                    ahead: VecDeque::new(),
                    has_ended: false,
                    position: start.from,
                    replay_until: start.new_from,
                    new_from: start.new_from,
                    end: start.end,
                    newest_timestamp: start.newest_timestamp,
                    newest_before: start.newest_timestamp,
                    is_table: start.is_table,
                    was_heard: false,
                })
            })
            .collect::<KafkaResult<Vec<_>>>()?;
        let consumer = learn_leaders(consumer, starts).await;
        consumer.assign(&assignment)?;
        Ok(Self {
            consumer: ClosedElsewhere::new(consumer),
            bootstrap: Arc::new(cluster.bootstrap()),
            lanes,
            cluster: Arc::clone(cluster),
            doubt: None,
            writers: None,
            sink: None,
            held_since: None,
            first_word: FIRST_WORD,
            listens_until: None,
            time: None,
        })
    }

    /// Keeps in step with the queries that fill the topics, apart from those that need what goes to the sink.
    pub(crate) fn in_step_with(mut self, writers: &Arc<Writers>, sink: Option<&str>) -> Self {
        self.sink = sink.map(str::to_owned);
        self.writers = Some(Arc::clone(writers));
        self
    }

    /// Whether everything that was there when reading began, and all that queries then made of it, was handed out.
    pub(crate) fn is_caught_up(&self) -> bool {
        let may_come = |lane: &Lane| {
            let writers = self.writers.as_ref();
            writers.is_some_and(|writers| {
                let partition = (&*lane.topic, lane.partition);
                writers.may_write(self.sink.as_deref(), partition, lane.position, i64::MAX)
            })
        };
        self.lanes
            .iter()
            .all(|lane| lane.position >= lane.end && !may_come(lane))
    }

    /// The highest time of a record that was handed out.
    pub(crate) fn time(&self) -> Option<i64> {
        self.time
    }

    /// The next record, as soon as it is there. Nothing is lost when the future is dropped before it is ready.
    pub(crate) async fn next(&mut self) -> KafkaResult<Arrival> {
        loop {
            if let Some(arrival) = self.advance().await? {
                return Ok(arrival);
            }
        }
    }

    /// The next record, if it is there without waiting.
    pub(crate) fn next_at_hand(&mut self) -> KafkaResult<Option<Arrival>> {
        self.take_what_is_there()?;
        let replaying = self.lanes.iter().any(Lane::is_replaying);
        if self.is_awaited(replaying) || self.listens_until().is_some() || self.is_held(replaying) {
            return Ok(None);
        }
        self.held_since = None;
        Ok(self.hand_out(replaying))
    }

    /// The next of the records that were there when reading began; `None` after the last.
    pub(crate) async fn next_old(&mut self) -> KafkaResult<Option<Record>> {
        while self.lanes.iter().any(|lane| lane.position < lane.end) {
            if let Some(Arrival::New(record) | Arrival::Replayed(record)) = self.advance().await? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// How many offsets there are before the end of what was there when reading began.
    pub(crate) fn old_left(&self) -> i64 {
        let left = self.lanes.iter().map(|lane| (lane.end - lane.position).max(0));
        left.sum()
    }

    /// Hands out a record, or waits until something has changed.
    async fn advance(&mut self) -> KafkaResult<Option<Arrival>> {
        self.take_what_is_there()?;
        let replaying = self.lanes.iter().any(Lane::is_replaying);
        let awaited = self.is_awaited(replaying);
        if !awaited && let Some(until) = self.listens_until() {
            if let Ok(waited) = timeout_at(until, self.wait()).await {
                waited?;
            }
            return Ok(None);
        }
        if !awaited && self.is_held(replaying) {
            // What comes meanwhile is taken; that nothing comes is no news.
            if let Ok(waited) = timeout(STEP, self.wait()).await {
                waited?;
            }
            return Ok(None);
        }
        if !awaited && let Some(arrival) = self.hand_out(replaying) {
            self.held_since = None;
            return Ok(Some(arrival));
        }
        match &self.doubt {
            None => self.wait().await?,
            Some(doubt) => match timeout_at(doubt.look_at(), self.wait()).await {
                Ok(waited) => waited?,
                Err(_) => self.look().await?,
            },
        }
        Ok(None)
    }

    /// Looks whether the topics are listed, where the brokers say that one is unknown.
    async fn look(&mut self) -> KafkaResult<()> {
        let listed = self.cluster.topics().await;
        let is_known_here = listed.is_ok() && self.knows_topics().await;
        let Some(doubt) = &mut self.doubt else {
            return Ok(());
        };
        let seen = match listed {
            // A broker without any topic has not been told yet which there are.
            Ok(topics) if !topics.is_empty() => {
                let partitions = |lane: &Lane| topics.get(&*lane.topic).map_or(0, Vec::len);
                let is_listed = |lane: &Lane| {
                    usize::try_from(lane.partition).is_ok_and(|number| number < partitions(lane))
                };
                match self.lanes.iter().all(is_listed) {
                    true if is_known_here => Seen::Known,
                    true => Seen::KnownToOthers,
                    false => Seen::Unlisted,
                }
            }
            Ok(_) => Seen::Nothing,
            Err(_) => Seen::Nobody,
        };
        match doubt.settle(seen, Instant::now()) {
            Verdict::Known => self.doubt = None,
            Verdict::Open => {}
            Verdict::Gone(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether the client that reads has learned that the topics are there.
    async fn knows_topics(&self) -> bool {
        let topics: BTreeSet<Arc<str>> = self.lanes.iter().map(|lane| Arc::clone(&lane.topic)).collect();
        let (consumer, bootstrap) = (Arc::clone(&self.consumer), Arc::clone(&self.bootstrap));
        let asking = move || {
            let mut topics = topics.iter();
            topics.all(|topic| {
                matches!(
                    bootstrap.knows(consumer.client(), topic, LEADERS_TIMEOUT),
                    Ok(true)
                )
            })
        };
        tokio::task::spawn_blocking(asking).await.unwrap_or(false)
    }

    fn doubt(&mut self, error: KafkaError) {
        let now = Instant::now();
        self.doubt.get_or_insert_with(|| {
            tracing::info!("a consumer looks whether its topics are still there: {error}");
            Doubt::new(error, now)
        });
    }

    /// How many partitions are read of each topic.
    pub(crate) fn partitions(&self) -> BTreeMap<Arc<str>, usize> {
        let mut counts = BTreeMap::new();
        for lane in &self.lanes {
            *counts.entry(Arc::clone(&lane.topic)).or_default() += 1;
        }
        counts
    }

    /// How far each partition has been handed out.
    pub(crate) fn positions(&self, stream_times: &[(i32, i64)]) -> Vec<Position> {
        self.lanes
            .iter()
            .map(|lane| Position {
                topic: Arc::clone(&lane.topic),
                partition: lane.partition,
                // Never before what was processed earlier, however far the replay came.
                offset: lane.position.max(lane.replay_until),
                newest_timestamp: lane.newest_timestamp,
                stream_time: stream_times
                    .iter()
                    .find(|(partition, _)| *partition == lane.partition)
                    .map(|(_, time)| *time),
            })
            .collect()
    }

    /// The same before the record that was handed out last.
    pub(crate) fn positions_before(&self, record: &Record, stream_times: &[(i32, i64)]) -> Vec<Position> {
        let mut positions = self.positions(stream_times);
        for (position, lane) in positions.iter_mut().zip(&self.lanes) {
            if lane.topic == record.topic && lane.partition == record.partition {
                position.offset = record.offset;
                position.newest_timestamp = lane.newest_before;
            }
        }
        positions
    }

    /// Commits positions for the group. The answer comes later; where nobody waits for it, a restart reads again what
    /// was not committed.
    pub(crate) fn commit(&self, positions: &[Position]) -> KafkaResult<oneshot::Receiver<KafkaResult<()>>> {
        let offsets = offsets(positions)?;
        let consumer = Arc::clone(&self.consumer);
        let (answer, answered) = oneshot::channel();
        // The call blocks for as long as the broker is away, and the runtime waits for its own blocking threads when
        // the process ends; so this is a thread that nobody waits for.
        let committing = move || {
            // Whoever gave up waiting does not want the answer.
            let _ = answer.send(consumer.commit(&offsets, CommitMode::Sync));
        };
        let thread = std::thread::Builder::new().name("kafka-commit".to_owned());
        thread
            .spawn(committing)
            .map_err(|error| KafkaError::ClientCreation(format!("no thread to commit with: {error}")))?;
        Ok(answered)
    }

    /// Positions for a transaction to commit.
    pub(crate) fn offsets(&self, positions: &[Position]) -> KafkaResult<Offsets> {
        Ok(Offsets {
            consumer: Arc::clone(&self.consumer),
            offsets: offsets(positions)?,
        })
    }

    /// The same, and waits for the answer, at most so long.
    pub(crate) async fn commit_and_wait(
        &self,
        positions: &[Position],
        deadline: Duration,
    ) -> KafkaResult<()> {
        match timeout(deadline, self.commit(positions)?).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }

    /// Takes the next records of every lane that has none, where they are there.
    fn take_what_is_there(&mut self) -> KafkaResult<()> {
        for index in 0..self.lanes.len() {
            if self.lanes[index].ahead.is_empty() {
                let event = self.lanes[index].fill()?;
                self.note(index, event);
            }
        }
        Ok(())
    }

    /// Whether the others wait for a lane that has nothing yet.
    fn is_awaited(&self, replaying: bool) -> bool {
        let mut lanes = self.lanes.iter();
        lanes.any(|lane| lane.ahead.is_empty() && lane.is_awaited(replaying))
    }

    /// Until when the next record waits for lanes of which nothing has been heard yet.
    fn listens_until(&mut self) -> Option<Instant> {
        if self.lanes.iter().all(|lane| lane.was_heard) || self.lanes.iter().all(|lane| lane.ahead.is_empty())
        {
            return None;
        }
        let now = Instant::now();
        let until = *self.listens_until.get_or_insert(now + self.first_word);
        if now < until {
            return Some(until);
        }
        for lane in &mut self.lanes {
            lane.was_heard = true;
        }
        None
    }

    /// Waits until an empty lane has a record or has ended, or a topic seems to be gone.
    async fn wait(&mut self) -> KafkaResult<()> {
        let (index, event) = {
            let mut events = self.consumer.stream();
            let mut waiting: Vec<_> = self
                .lanes
                .iter()
                .enumerate()
                .filter(|(_, lane)| lane.ahead.is_empty())
                .map(|(index, lane)| (index, &lane.topic, lane.queue.stream()))
                .collect();
            poll_fn(|task| {
                while let Poll::Ready(Some(event)) = Pin::new(&mut events).poll_next(task) {
                    match sort_out(event.map(drop)) {
                        // Of no lane: such an event is a doubt, and never a record.
                        Ok(Event::Doubt(error)) => return Poll::Ready(Ok((0, Event::Doubt(error)))),
                        Ok(_) => {}
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                for (index, topic, stream) in &mut waiting {
                    while let Poll::Ready(Some(message)) = Pin::new(&mut *stream).poll_next(task) {
                        match sort_out(message.map(|message| detach(&message, topic))) {
                            Ok(Event::Nothing) => {}
                            Ok(event) => return Poll::Ready(Ok((*index, event))),
                            Err(error) => return Poll::Ready(Err(error)),
                        }
                    }
                }
                Poll::Pending
            })
            .await?
        };
        self.note(index, event);
        Ok(())
    }

    fn note(&mut self, index: usize, event: Event<Record>) {
        match event {
            Event::Item(record) => {
                self.lanes[index].was_heard = true;
                self.lanes[index].ahead.push_back(record);
            }
            Event::End => self.lanes[index].end_here(),
            Event::Doubt(error) => self.doubt(error),
            Event::Nothing => {}
        }
    }

    /// Whether the next record waits, because a query that fills another topic may still write an earlier one.
    fn is_held(&mut self, replaying: bool) -> bool {
        let Some(writers) = self.writers.as_ref().filter(|_| !replaying) else {
            return false;
        };
        let heads = self.lanes.iter().filter_map(|lane| lane.ahead.front());
        let Some(time) = heads.map(|head| head.timestamp).min() else {
            return false;
        };
        let may_come = |lane: &Lane| {
            let partition = (&*lane.topic, lane.partition);
            lane.ahead.is_empty() && writers.may_write(self.sink.as_deref(), partition, lane.position, time)
        };
        if !self.lanes.iter().any(may_come) {
            return false;
        }
        let since = *self.held_since.get_or_insert_with(Instant::now);
        if since.elapsed() < MOST_STEPS {
            return true;
        }
        tracing::warn!(
            "a query that fills an input has not come further for {MOST_STEPS:?}: others go on without it"
        );
        self.writers = None;
        false
    }

    /// Hands out the head with the smallest timestamp, of lanes that replay if any does.
    fn hand_out(&mut self, replaying: bool) -> Option<Arrival> {
        let lane = self
            .lanes
            .iter_mut()
            .filter(|lane| !replaying || lane.is_replaying())
            .filter_map(|lane| Some(((lane.ahead.front()?.timestamp, !lane.is_table), lane)))
            .min_by_key(|(order, _)| *order)?
            .1;
        let record = lane.ahead.pop_front()?;
        lane.position = record.offset + 1;
        if lane.has_ended && lane.ahead.is_empty() {
            lane.end_here();
        }
        lane.newest_before = lane.newest_timestamp;
        lane.newest_timestamp = lane.newest_timestamp.max(Some(record.timestamp));
        self.time = self.time.max(Some(record.timestamp));
        Some(if record.offset < lane.replay_until {
            Arrival::Replayed(record)
        } else {
            Arrival::New(record)
        })
    }
}

/// Asks who leads the partitions, so that they can be read from the moment they are assigned. Without that,
/// librdkafka often finds out only when it next looks through its topics, which it does once a second.
async fn learn_leaders(consumer: Arc<GroupConsumer>, starts: &[StartingPoint]) -> Arc<GroupConsumer> {
    let topics: BTreeSet<Arc<str>> = starts.iter().map(|start| Arc::clone(&start.topic)).collect();
    let asked = Arc::clone(&consumer);
    let asking = move || {
        for topic in topics {
            if let Err(error) = asked.fetch_metadata(Some(&topic), LEADERS_TIMEOUT) {
                tracing::debug!("the leaders of `{topic}` are not known yet: {error}");
            }
        }
    };
    if let Err(error) = tokio::task::spawn_blocking(asking).await {
        tracing::debug!("nobody asked for the leaders: {error}");
    }
    consumer
}

/// What goes along with a committed position: the newest timestamp, so that a restart knows how far back the state
/// reaches, and the stream time, so that it knows which windows had closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Metadata {
    pub(crate) newest_timestamp: Option<i64>,
    pub(crate) stream_time: Option<i64>,
}

impl Metadata {
    /// `newest` or `newest;stream time`; each may be missing.
    pub(crate) fn of_text(text: &str) -> Self {
        let (newest, stream_time) = text.split_once(';').unwrap_or((text, ""));
        Self {
            newest_timestamp: newest.parse().ok(),
            stream_time: stream_time.parse().ok(),
        }
    }

    fn text(self) -> String {
        let text = |time: Option<i64>| time.map_or_else(String::new, |time| time.to_string());
        match self.stream_time {
            None => text(self.newest_timestamp),
            Some(_) => format!("{};{}", text(self.newest_timestamp), text(self.stream_time)),
        }
    }
}

/// Positions as Kafka takes them.
fn offsets(positions: &[Position]) -> KafkaResult<TopicPartitionList> {
    let mut offsets = TopicPartitionList::with_capacity(positions.len());
    for position in positions {
        let mut element = offsets.add_partition(&position.topic, position.partition);
        element.set_offset(Offset::Offset(position.offset))?;
        let metadata = Metadata {
            newest_timestamp: position.newest_timestamp,
            stream_time: position.stream_time,
        };
        let text = metadata.text();
        if !text.is_empty() {
            element.set_metadata(text);
        }
    }
    Ok(offsets)
}

/// What a queue of the consumer has.
enum Event<T> {
    Item(T),
    /// The partition has no more records for now.
    End,
    /// The brokers say that a topic or partition is not there.
    Doubt(KafkaError),
    /// Something that librdkafka recovers from by itself.
    Nothing,
}

fn sort_out<T>(result: KafkaResult<T>) -> KafkaResult<Event<T>> {
    match result {
        Ok(item) => Ok(Event::Item(item)),
        Err(KafkaError::PartitionEOF(_)) => Ok(Event::End),
        Err(error @ KafkaError::MessageConsumptionFatal(_)) => Err(error),
        Err(error) => match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition,
            ) => Ok(Event::Doubt(error)),
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::Fatal,
            ) => Err(error),
            _ => {
                tracing::debug!("a consumer recovers from: {error}");
                Ok(Event::Nothing)
            }
        },
    }
}

fn detach(message: &BorrowedMessage<'_>, topic: &Arc<str>) -> Record {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
            .collect()
    });
    Record {
        topic: Arc::clone(topic),
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().unwrap_or(-1),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
    }
}

#[cfg(test)]
mod tests;
