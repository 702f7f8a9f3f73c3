//! What drives the outbox: real time, the real disk, librdkafka, and the threads that wait for them.
//!
//! Four kinds of threads meet here. osqueryd's calls bring lines and never wait for Kafka; *librdkafka* hears what became
//! of messages; *delivery* books that and hands over what waits on disk; *sync* waits for the disk. Nobody holds the outbox
//! while he waits. What each of them does has a file.
//!
//! Long because what four kinds of threads share stands together, with its beginning and its end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::configuration::{Configuration, ConfigurationError};
use crate::encoding::formats::Formats;
use crate::encoding::registrar::Registrar;
use crate::encoding::{Encoder, Encoding};
use crate::json;
use crate::options::Options;
use crate::outbox::books::Books;
use crate::outbox::{Choices, Now, Outbox, TROUBLE_PERIOD, WhenFull, Window};
use crate::route::{Routing, split_rows};
use crate::secrets::Secrets;
use crate::spool::disk::Folder;
use crate::throttle::{NamedThrottle, Throttle};

pub(crate) mod line_producer;
pub(crate) mod oauth;
mod sideline;
mod spool_folder;
mod sync;
mod taking;
mod threads;

#[cfg(test)]
mod tests;

use line_producer::{CurrentProducer, LineProducer, Settled, record_limit, start};
use sideline::Sideline;
pub(crate) use spool_folder::SpoolStatus;
use spool_folder::{SpoolState, random_id};
use sync::SyncDebt;
pub(crate) use sync::SyncPolicy;

/// The memory for lines when there is no spool, and when its disk fails.
const MEMORY_WITHOUT_SPOOL: usize = 64 * 1024 * 1024;
const MEMORY_BESIDE_SPOOL: usize = 16 * 1024 * 1024;
/// How long osqueryd may wait for a disk that syncs each line; it gives up after ten seconds.
const SYNC_PATIENCE: Duration = Duration::from_secs(2);
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

struct Trouble {
    unroutable: Throttle,
    oversized: NamedThrottle,
    sync: Throttle,
    undurable: Throttle,
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
                oversized: NamedThrottle::new(TROUBLE_PERIOD),
                sync: Throttle::new(TROUBLE_PERIOD),
                undurable: Throttle::new(TROUBLE_PERIOD),
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
        let owed: Vec<u64> = match rows.is_empty() {
            true => shared.take(routing, line).into_iter().collect(),
            false => {
                shared.books.rows.add(rows.len() as u64 - 1);
                shared.tell_oversized(line, rows.len());
                rows.iter().filter_map(|row| shared.take(routing, row)).collect()
            }
        };
        shared.wait_until_durable(&owed);
        shared.books.answer.record(began.elapsed());
    }

    /// Takes a line of osqueryd's own log.
    pub(crate) fn accept_status(&self, topic: &str, line: &[u8]) {
        self.shared.books.lines.add(1);
        let key = json::member(line, "h").and_then(json::text);
        let owed = self.shared.take_routed(topic, key.as_deref(), line);
        self.shared.wait_until_durable(owed.as_slice());
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

impl Shared {
    fn now(&self) -> Now {
        Now {
            elapsed: self.started.elapsed(),
            unix_ms: osqdemo_clock::unix_ms(),
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

/// What these locks hold is whole at every moment, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
