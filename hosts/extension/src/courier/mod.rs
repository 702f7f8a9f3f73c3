//! What drives the outbox: real time, the real disk, librdkafka, and the threads that wait for them.
//!
//! Four kinds of threads meet here. osqueryd's calls bring lines and never wait for Kafka; *librdkafka* hears what became
//! of messages; *delivery* books that and hands over what waits on disk; *sync* waits for the disk. Nobody holds the outbox while he waits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::producer::{Producer as _, PurgeConfig};

use crate::configuration::{Configuration, ConfigurationError};
use crate::encoding::formats::Formats;
use crate::encoding::registrar::Registrar;
use crate::encoding::{Encoder, Encoding};
use crate::json;
use crate::line_facts::LineFacts;
use crate::options::{Options, SpoolOptions};
use crate::outbox::books::Books;
use crate::outbox::memory::OwnedRecord;
use crate::outbox::{Choices, Now, Outbox, Progress, TROUBLE_PERIOD, Taken, WhenFull, Window};
use crate::route::{Routing, split_rows};
use crate::secrets::Secrets;
use crate::spool::disk::Folder;
use crate::spool::folder_lock::{FolderError, FolderLock};
use crate::spool::frame::{Id, Record};
use crate::spool::{Identity, Limits, Spool};
use crate::throttle::Throttle;

pub(crate) mod line_producer;
pub(crate) mod oauth;
mod sideline;
mod sync;

#[cfg(test)]
mod tests;

use line_producer::{CurrentProducer, LineProducer, Settled, record_limit, start};
use sideline::{Aside, Sideline};
use sync::SyncDebt;
pub(crate) use sync::SyncPolicy;

/// The memory for lines when there is no spool, and when its disk fails.
const MEMORY_WITHOUT_SPOOL: usize = 64 * 1024 * 1024;
const MEMORY_BESIDE_SPOOL: usize = 16 * 1024 * 1024;
/// How long osqueryd may wait for a disk that syncs each line; it gives up after ten seconds.
const SYNC_PATIENCE: Duration = Duration::from_secs(2);
/// How long librdkafka is listened to at once.
const POLL: Duration = Duration::from_millis(250);
/// How long delivery waits for something to arrive when nothing else is to be done, and when something is.
const IDLE_PAUSE: Duration = Duration::from_millis(250);
const BUSY_PAUSE: Duration = Duration::from_millis(50);
/// How long delivery steps aside for calls that wait for the outbox.
const CALLER_PATIENCE: Duration = Duration::from_millis(5);
const CALLER_PAUSE: Duration = Duration::from_micros(50);
/// How often what is done is written down.
const TIDY_PERIOD: Duration = Duration::from_millis(100);
/// How long lines that are under way with an old configuration have.
const SWITCH_PATIENCE: Duration = Duration::from_secs(2);
/// How long the end waits for Kafka to take a line before it leaves the rest in the spool.
const FLUSH_STALL: Duration = Duration::from_millis(1500);
/// How often a spool that could not be opened is tried again.
const REOPEN_PERIOD: Duration = Duration::from_secs(10);
/// How often the books are in the log.
const STATUS_PERIOD: Duration = Duration::from_secs(60);

/// Takes lines and sees to it that they reach Kafka.
pub(crate) struct Courier {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// librdkafka, behind what makes records of lines.
type EncodingProducer = Encoding<CurrentProducer, Registrar>;

struct Shared {
    started: Instant,
    outbox: Mutex<Outbox<Folder, EncodingProducer>>,
    /// Calls that wait for the outbox. Delivery lets them go first.
    callers: AtomicUsize,
    /// Lines that came while the disk hung.
    sideline: Sideline,
    books: Arc<Books>,
    settled: Arc<Settled>,
    producers: Mutex<Producers>,
    /// The most bytes a record may have.
    record_limit: AtomicUsize,
    debt: SyncDebt,
    spool: Mutex<SpoolState>,
    ending: AtomicBool,
    /// Something arrived; for whoever waits for the end.
    progress: (Mutex<u64>, Condvar),
    trouble: Trouble,
}

struct Producers {
    current: Arc<LineProducer>,
    /// The configuration's properties.
    properties: BTreeMap<String, String>,
    /// What the encoder was made of.
    encoded: Encoded,
    secrets: Secrets,
    /// What takes its place as soon as its lines are back.
    successor: Option<Arc<LineProducer>>,
}

/// All that an encoder depends on.
#[derive(Clone, Debug, PartialEq)]
struct Encoded {
    formats: Formats,
    status_topic: Option<String>,
    query_topics: Vec<(String, String)>,
}

/// The spool's folder.
#[derive(Default)]
struct SpoolState {
    /// What is wanted, as long as it is not had.
    wanted: Option<SpoolOptions>,
    tried: Option<Instant>,
    folder: Option<PathBuf>,
    /// Keeps other extensions out.
    lock: Option<FolderLock>,
    said_troubles: u64,
    said_at: Option<Instant>,
    said: String,
}

struct Trouble {
    unroutable: Throttle,
    oversized: Throttle,
    sync: Throttle,
    hanging: Throttle,
}

/// Why the courier cannot be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CourierError {
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    #[error("the spool in `{}` is in use by the process {pid}", folder.display())]
    SpoolTaken { folder: PathBuf, pid: String },
    #[error("cannot start a thread: {source}")]
    Thread { source: std::io::Error },
}

impl Courier {
    /// Opens the spool and starts librdkafka, which connects in the background.
    pub(crate) fn open(configuration: &Configuration) -> Result<Self, CourierError> {
        let Options { spool, headers, .. } = configuration.options.clone();
        let settled = Arc::<Settled>::default();
        let current = start(&configuration.properties, &configuration.secrets, &settled)?;
        let books = Arc::<Books>::default();
        let choices = Choices {
            when_full: spool
                .as_ref()
                .map_or(WhenFull::DropNewest, |spool| spool.when_full),
            needs_disk: spool.is_some(),
            headers,
            memory_bytes: match &spool {
                Some(_) => MEMORY_BESIDE_SPOOL,
                None => MEMORY_WITHOUT_SPOOL,
            },
            window: Window::default(),
        };
        let outbox = Outbox::new(
            None,
            Encoding {
                kafka: CurrentProducer(Some(Arc::clone(&current))),
                encoder: Encoder::start(configuration)?,
            },
            choices,
            random_id(),
            Arc::clone(&books),
        );
        let shared = Arc::new(Shared {
            started: Instant::now(),
            outbox: Mutex::new(outbox),
            callers: AtomicUsize::new(0),
            sideline: Sideline::default(),
            books,
            settled,
            record_limit: AtomicUsize::new(record_limit(&configuration.properties)),
            producers: Mutex::new(Producers {
                current,
                properties: configuration.properties.clone(),
                encoded: Encoded::of(configuration),
                secrets: configuration.secrets.clone(),
                successor: None,
            }),
            debt: SyncDebt::new(spool.as_ref().map_or(SyncPolicy::Process, |spool| spool.sync)),
            spool: Mutex::new(SpoolState {
                wanted: spool,
                ..SpoolState::default()
            }),
            ending: AtomicBool::new(false),
            progress: Default::default(),
            trouble: Trouble {
                unroutable: Throttle::new(TROUBLE_PERIOD),
                oversized: Throttle::new(TROUBLE_PERIOD),
                sync: Throttle::new(TROUBLE_PERIOD),
                hanging: Throttle::new(TROUBLE_PERIOD),
            },
        });
        shared.open_spool()?;
        let threads = [
            spawn("librdkafka", &shared, Shared::poll)?,
            spawn("delivery", &shared, Shared::deliver)?,
            spawn("sync", &shared, Shared::sync)?,
        ];
        Ok(Self {
            shared,
            threads: Mutex::new(threads.into()),
        })
    }

    /// What librdkafka says of properties, without a connection to anyone.
    pub(crate) fn check(
        mut properties: BTreeMap<String, String>,
        secrets: &Secrets,
    ) -> Result<(), ConfigurationError> {
        for servers in ["bootstrap.servers", "metadata.broker.list"] {
            properties.remove(servers);
        }
        start(&properties, secrets, &Arc::default()).map(drop)
    }

    /// Goes on with another configuration. What is under way is sent again with it. The spool stays as it is.
    pub(crate) fn adopt(&self, configuration: &Configuration) -> Result<(), CourierError> {
        let properties = &configuration.properties;
        let mut producers = lock(&self.shared.producers);
        let encoded = Encoded::of(configuration);
        let encoder = match producers.encoded == encoded {
            true => None,
            false => Some(Encoder::start(configuration)?),
        };
        if producers.properties != *properties {
            let secrets = &configuration.secrets;
            producers.successor = Some(start(properties, secrets, &self.shared.settled)?);
            producers.properties = properties.clone();
            producers.secrets = secrets.clone();
            let limit = record_limit(properties);
            self.shared.record_limit.store(limit, Ordering::Relaxed);
        }
        producers.encoded = encoded;
        drop(producers);
        let mut outbox = lock(&self.shared.outbox);
        outbox.choices.headers = configuration.options.headers;
        if let Some(encoder) = encoder {
            outbox.kafka.encoder = encoder;
            outbox.retry();
        }
        Ok(())
    }

    /// Takes a line. It may come to nothing, but that is said here and nowhere else.
    pub(crate) fn accept(&self, routing: &Routing, line: &[u8]) {
        let shared = &*self.shared;
        let began = Instant::now();
        shared.books.lines.add(1);
        let rows = match line.len() > shared.record_limit.load(Ordering::Relaxed) {
            true => split_rows(line).unwrap_or_default(),
            false => Vec::new(),
        };
        let mark = match rows.is_empty() {
            true => shared.take(routing, line),
            false => {
                shared.books.rows.add(rows.len() as u64 - 1);
                shared.tell_oversized(line, rows.len());
                rows.iter().filter_map(|row| shared.take(routing, row)).last()
            }
        };
        if shared.debt.policy() == SyncPolicy::Always
            && let Some(mark) = mark
            && !shared.debt.wait(mark, SYNC_PATIENCE)
        {
            shared.books.not_accepted.add(1);
            if let Some(times) = shared.trouble.sync.pass() {
                tracing::error!(
                    times,
                    "the spool's disk is too slow; a line was answered before it was durable"
                );
            }
        }
        shared.books.answer.record(began.elapsed());
    }

    /// Takes a line of osqueryd's own log.
    pub(crate) fn accept_status(&self, topic: &str, line: &[u8]) {
        self.shared.books.lines.add(1);
        let key = json::member(line, "h").and_then(json::text);
        self.shared.take_routed(topic, key.as_deref(), line);
    }

    /// A line's call takes so long that osqueryd was answered without it. Until it is over, lines are kept in memory.
    pub(crate) fn note_overdue(&self) {
        if self.shared.sideline.open() {
            tracing::error!(
                "the spool's disk hangs; osqueryd is answered, and lines are kept in memory, and not accepted"
            );
        }
    }

    /// What became of the lines.
    pub(crate) fn books(&self) -> &Books {
        &self.shared.books
    }

    /// What waits, and where.
    pub(crate) fn spool_status(&self) -> SpoolStatus {
        self.shared.spool_status()
    }

    /// A line was lost before it got here.
    pub(crate) fn count_lost(&self) {
        self.shared.books.lines.add(1);
        self.shared.books.unroutable.add(1);
    }

    /// Looks after what needs it now and then: a librdkafka that gave up, a spool that could not be opened, the books
    /// in the log.
    ///
    /// librdkafka gives up an idempotent producer that the brokers do not allow or do not know. Its successor
    /// does without, unless the configuration asks for idempotence.
    pub(crate) fn tend(&self) {
        let shared = &*self.shared;
        shared.replace_fatal();
        if let Some(encoder) = &mut lock(&shared.outbox).kafka.encoder {
            encoder.ask_ahead(Instant::now());
        }
        let due = {
            let spool = lock(&shared.spool);
            spool.wanted.is_some() && spool.tried.is_none_or(|tried| tried.elapsed() >= REOPEN_PERIOD)
        };
        // Another process that has the folder now is said, as any other reason is.
        if due && let Err(error) = shared.open_spool() {
            tracing::error!("{error}");
        }
        shared.report();
    }

    /// Waits until Kafka has everything, or the deadline has come, or Kafka takes nothing more and the rest is safe on
    /// disk.
    pub(crate) fn flush(&self, deadline: Instant) -> Left {
        let shared = &*self.shared;
        let mut progressed = (Instant::now(), 0);
        loop {
            let left = shared.left();
            let arrived = *lock(&shared.progress.0);
            if arrived != progressed.1 {
                progressed = (Instant::now(), arrived);
            }
            let stalled = left.in_memory == 0 && progressed.0.elapsed() >= FLUSH_STALL;
            if left.waiting == 0 || stalled || Instant::now() >= deadline {
                return left;
            }
            let arrived = lock(&shared.progress.0);
            // A notice that is missed costs one turn.
            let _ = shared.progress.1.wait_timeout(arrived, Duration::from_millis(20));
        }
    }

    /// Ends the threads, and writes down what is done. Does nothing the second time.
    pub(crate) fn end(&self) {
        let threads = std::mem::take(&mut *lock(&self.threads));
        if threads.is_empty() {
            return;
        }
        self.shared.ending.store(true, Ordering::SeqCst);
        self.shared.debt.end();
        for thread in threads {
            // A thread that failed has said so.
            let _ = thread.join();
        }
        let unsynced = {
            let mut outbox = lock(&self.shared.outbox);
            outbox.tidy();
            outbox
                .spool_mut()
                .map(|spool| (spool.take_unsynced(), spool.disk().clone()))
        };
        if let Some((unsynced, disk)) = unsynced
            && let Err(error) = unsynced.sync(&disk)
        {
            tracing::error!(%error, "cannot make the spool durable");
        }
    }
}

impl Encoded {
    fn of(configuration: &Configuration) -> Self {
        Self {
            formats: configuration.formats.clone(),
            status_topic: configuration.options.status_topic.clone(),
            query_topics: configuration.query_topics(),
        }
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.end();
    }
}

/// Lines that have not arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub(crate) waiting: u64,
    /// Those of them that end with the process.
    pub(crate) in_memory: u64,
}

/// The spool now.
#[derive(Clone, Debug)]
pub(crate) struct SpoolStatus {
    /// Lines that have not arrived.
    pub(crate) waiting: u64,
    /// Those of them that only memory has.
    pub(crate) in_memory: u64,
    /// The age of the oldest of them.
    pub(crate) oldest_s: u64,
    pub(crate) bytes: u64,
    pub(crate) max_bytes: u64,
    /// Empty when there is none.
    pub(crate) folder: String,
}

impl Shared {
    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            elapsed: self.started.elapsed(),
            unix_ms: unix.as_millis() as i64,
        }
    }

    fn left(&self) -> Left {
        let aside = self.sideline.len() as u64;
        let outbox = lock(&self.outbox);
        Left {
            waiting: outbox.waiting() + aside,
            in_memory: outbox.in_memory() + aside,
        }
    }

    fn spool_status(&self) -> SpoolStatus {
        let now = self.now().unix_ms;
        let folder = lock(&self.spool).folder.clone();
        let outbox = lock(&self.outbox);
        let oldest = outbox
            .oldest_unix_ms()
            .map_or(0, |oldest| now.saturating_sub(oldest).max(0) / 1000);
        SpoolStatus {
            waiting: outbox.waiting(),
            in_memory: outbox.in_memory(),
            oldest_s: oldest.unsigned_abs(),
            bytes: outbox.spool().map_or(0, Spool::bytes),
            max_bytes: outbox.spool().map_or(0, Spool::max_bytes),
            folder: folder
                .map(|folder| folder.display().to_string())
                .unwrap_or_default(),
        }
    }

    /// Takes a record; a mark to wait for until it is durable.
    fn take(&self, routing: &Routing, line: &[u8]) -> Option<u64> {
        let facts = LineFacts::of(line);
        let Some(route) = routing.route(line, &facts) else {
            self.books.unroutable.add(1);
            if let Some(times) = self.trouble.unroutable.pass() {
                let bytes = line.len();
                tracing::warn!(
                    bytes,
                    times,
                    "a line without a query name was dropped: there is no `topic`"
                );
            }
            return None;
        };
        self.take_routed(&route.topic, route.key.as_deref(), line)
    }

    fn take_routed(&self, topic: &str, key: Option<&[u8]>, line: &[u8]) -> Option<u64> {
        let now = self.now();
        let record = Record {
            unix_ms: now.unix_ms,
            topic,
            key,
            value: line,
        };
        if self.sideline.is_open() && self.set_aside(&record) {
            return None;
        }
        self.callers.fetch_add(1, Ordering::SeqCst);
        let mut outbox = lock(&self.outbox);
        self.callers.fetch_sub(1, Ordering::SeqCst);
        let taken = outbox.accept(now, &record);
        self.end_sideline(&mut outbox);
        let spooled = taken == Taken::Accepted && outbox.spool().is_some();
        spooled.then(|| self.debt.add(line.len() as u64))
    }

    /// Keeps a line in memory, because the disk hangs; `false` when it no longer does.
    fn set_aside(&self, record: &Record<'_>) -> bool {
        match self
            .sideline
            .keep(|| OwnedRecord::new(record, 0), MEMORY_BESIDE_SPOOL)
        {
            Aside::Closed => return false,
            Aside::Kept => self.books.not_accepted.add(1),
            Aside::Full => {
                self.books.dropped.add(1);
                if let Some(times) = self.trouble.hanging.pass() {
                    tracing::error!(
                        times,
                        "lines are dropped: the spool's disk hangs and there is no more memory for them"
                    );
                }
            }
        }
        true
    }

    /// Whoever has the outbox knows that the disk is back. A call that waited for it comes first: it was there before the
    /// lines that were set aside.
    fn end_sideline(&self, outbox: &mut Outbox<Folder, EncodingProducer>) {
        if !self.sideline.is_open() || self.callers.load(Ordering::SeqCst) > 0 {
            return;
        }
        let now = self.now();
        let lines = self.sideline.close();
        for line in &lines {
            outbox.accept_late(now, &line.record());
        }
        let lines = lines.len();
        tracing::warn!(lines, "the spool's disk is back; what came meanwhile follows");
    }

    fn tell_oversized(&self, line: &[u8], rows: usize) {
        if let Some(times) = self.trouble.oversized.pass() {
            let facts = LineFacts::of(line);
            let query = String::from_utf8_lossy(facts.query.as_deref().unwrap_or_default());
            let bytes = line.len();
            tracing::warn!(%query, bytes, rows, times, "a line larger than message.max.bytes is sent row by row");
        }
    }

    /// Opens the spool that is wanted. That it cannot be had is no error unless somebody else has it: lines are kept
    /// in memory then.
    fn open_spool(&self) -> Result<(), CourierError> {
        let mut state = lock(&self.spool);
        let Some(options) = state.wanted.clone() else {
            return Ok(());
        };
        state.tried = Some(Instant::now());
        let opened = FolderLock::take(&options.folder).and_then(|folder_lock| {
            let identity = Identity {
                boot: boot_id(),
                fresh: random_id(),
            };
            let spool = Spool::open(
                Folder::new(&options.folder),
                identity,
                Limits::new(options.max_bytes),
            )?;
            Ok((folder_lock, spool))
        });
        match opened {
            Ok((folder_lock, spool)) => {
                let (lines, bytes) = (spool.undone(), spool.bytes());
                tracing::info!(folder = %options.folder.display(), lines, bytes, "the spool is open");
                lock(&self.outbox).use_spool(spool);
                state.lock = Some(folder_lock);
                state.folder = Some(options.folder);
                state.wanted = None;
                Ok(())
            }
            Err(FolderError::Taken { pid }) => Err(CourierError::SpoolTaken {
                folder: options.folder,
                pid,
            }),
            Err(FolderError::Io(error)) => {
                tracing::error!(folder = %options.folder.display(), %error, "cannot open the spool; lines are kept in memory, and not accepted");
                Ok(())
            }
        }
    }

    /// The thread in which librdkafka tells what became of messages. `rdkafka` polls until time is up, whatever comes,
    /// so what is to be done about it is done elsewhere.
    fn poll(&self) {
        while !self.ending.load(Ordering::SeqCst) {
            let producer = Arc::clone(&lock(&self.producers).current);
            producer.poll(POLL);
        }
    }

    /// The thread that brings lines to Kafka.
    fn deliver(&self) {
        let mut tidied = Instant::now();
        let mut pause = Duration::ZERO;
        while !self.ending.load(Ordering::SeqCst) {
            let progress = self.hand_over(pause);
            self.switch_producer();
            let mut outbox = lock(&self.outbox);
            self.end_sideline(&mut outbox);
            if tidied.elapsed() >= TIDY_PERIOD {
                outbox.tidy();
                tidied = Instant::now();
            }
            pause = match progress {
                Progress::More => Duration::ZERO,
                Progress::Done if outbox.needs_time() || outbox.needs_tidying() => BUSY_PAUSE,
                Progress::Done => IDLE_PAUSE,
            };
        }
        self.hand_over(Duration::ZERO);
    }

    /// Waits for something to arrive, books it, and hands over what waits.
    fn hand_over(&self, patience: Duration) -> Progress {
        let settled = self.settled.wait(patience);
        let mut outbox = lock(&self.outbox);
        let now = self.now();
        let arrived = settled.len() as u64;
        for (id, outcome) in settled {
            outbox.settle(now, id, outcome);
        }
        let encoder = outbox.kafka.encoder.as_mut();
        if encoder.is_some_and(|encoder| encoder.take_answers(Instant::now())) {
            outbox.retry();
        }
        let progress = outbox.pump(now);
        drop(outbox);
        if arrived > 0 {
            *lock(&self.progress.0) += arrived;
            self.progress.1.notify_all();
        }
        // Who unlocks and locks again at once gets the lock each time, and osqueryd's call would wait for all of it.
        let deadline = Instant::now() + CALLER_PATIENCE;
        while progress == Progress::More
            && self.callers.load(Ordering::Relaxed) > 0
            && Instant::now() < deadline
        {
            thread::park_timeout(CALLER_PAUSE);
        }
        progress
    }

    /// Lets the successor, if there is one, take the producer's place. What was under way comes back first, so that
    /// the order is kept.
    fn switch_producer(&self) {
        let (former, successor) = {
            let mut producers = lock(&self.producers);
            let Some(successor) = producers.successor.take() else {
                return;
            };
            (
                std::mem::replace(&mut producers.current, Arc::clone(&successor)),
                successor,
            )
        };
        lock(&self.outbox).kafka.kafka.0 = None;
        // Its only failure is that time is up, and then what is left comes back.
        let _ = former.flush(SWITCH_PATIENCE);
        former.purge(PurgeConfig::default().queue().inflight());
        while former.in_flight_count() > 0 {
            former.poll(BUSY_PAUSE);
        }
        self.hand_over(Duration::ZERO);
        lock(&self.outbox).kafka.kafka.0 = Some(successor);
        tracing::info!("the librdkafka properties changed and are in force");
    }

    fn replace_fatal(&self) {
        let mut producers = lock(&self.producers);
        let Some((_, reason)) = producers.current.client().fatal_error() else {
            return;
        };
        let mut properties = producers.properties.clone();
        properties
            .entry("enable.idempotence".to_owned())
            .or_insert_with(|| "false".to_owned());
        tracing::error!(reason, "librdkafka gave up; starting it anew");
        match start(&properties, &producers.secrets, &self.settled) {
            Ok(fresh) => producers.successor = Some(fresh),
            Err(error) => tracing::error!("cannot start librdkafka anew: {error}"),
        }
    }

    /// The thread that makes lines durable.
    fn sync(&self) {
        while let Some(mark) = self.debt.next() {
            let unsynced = {
                let mut outbox = lock(&self.outbox);
                outbox
                    .spool_mut()
                    .map(|spool| (spool.take_unsynced(), spool.disk().clone()))
            };
            let synced = unsynced.map_or(Ok(()), |(unsynced, disk)| unsynced.sync(&disk));
            if let Err(error) = synced
                && let Some(times) = self.trouble.sync.pass()
            {
                tracing::error!(%error, times, "the spool's disk does not sync; a loss of power may cost lines");
            }
            self.debt.settle(mark);
        }
    }

    /// Says the books when there is more trouble in them than at the last time, and now and then.
    fn report(&self) {
        let troubles = self.books.troubles();
        let status = self.books.to_string();
        let spool = self.spool_status();
        let mut state = lock(&self.spool);
        let due = state.said_at.is_none_or(|at| at.elapsed() >= STATUS_PERIOD) && state.said != status;
        if state.said_troubles != troubles {
            tracing::warn!("lines so far: {status}");
        } else if due {
            let SpoolStatus {
                waiting,
                in_memory,
                oldest_s,
                bytes,
                ..
            } = spool;
            tracing::info!(
                "status: {status} waiting={waiting} in_memory={in_memory} oldest_s={oldest_s} spool_bytes={bytes}"
            );
        } else {
            return;
        }
        state.said_troubles = troubles;
        state.said_at = Some(Instant::now());
        state.said = status;
    }
}

fn spawn(name: &str, shared: &Arc<Shared>, run: fn(&Shared)) -> Result<JoinHandle<()>, CourierError> {
    let shared = Arc::clone(shared);
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || run(&shared))
        .map_err(|source| CourierError::Thread { source })
}

/// The kernel's name for the machine's current boot; one that no boot has where it has none.
fn boot_id() -> Id {
    read_id(Path::new("/proc/sys/kernel/random/boot_id")).unwrap_or_else(random_id)
}

/// An id that nothing else has.
fn random_id() -> Id {
    read_id(Path::new("/proc/sys/kernel/random/uuid")).unwrap_or_else(|| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        (now ^ u128::from(std::process::id()) << 96).to_le_bytes()
    })
}

/// A UUID as the kernel writes it.
fn read_id(path: &Path) -> Option<Id> {
    let text = std::fs::read_to_string(path).ok()?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes)
}

/// What these locks hold is whole at every moment, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
