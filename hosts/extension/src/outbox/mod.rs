//! Lines on their way to Kafka.
//!
//! A line is *accepted* when it is in the spool's file; from then on it is not lost: it is delivered, or kept as a
//! dead letter. While Kafka keeps up, a line is handed over at once and nothing is read back. Otherwise it waits on
//! disk, and what is under way stays small, so that memory is bounded. What fails for a reason that can pass goes back
//! into the queue, in its place among the lines of its topic; the other topics go on.
//!
//! The outbox is a state machine. It is given its disk, the time and Kafka, waits for nothing and starts nothing;
//! `courier` is what drives it. It must not know osquery's API, configuration files or librdkafka.
//!
//! Long because taking a line and settling what became of it are two ends of one state.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::spool::disk::Disk;
use crate::spool::frame::{Id, Record};
use crate::spool::reader::Reader;
use crate::spool::{AppendError, Spool};
use crate::throttle::{NamedThrottle, Throttle};

pub(crate) mod books;
mod dead_letters;
mod handing_over;
pub(crate) mod kafka;
pub(crate) mod memory;
mod refusals;
mod topics;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;

use books::Books;
use dead_letters::DeadLetterFile;
use kafka::{Failure, Kafka, LineId, Outcome};
use memory::{Memory, OwnedRecord};
use topics::Topics;

/// How often the same kind of trouble is said.
pub(crate) const TROUBLE_PERIOD: Duration = Duration::from_secs(10);
/// The topic for what no other topic takes.
pub(crate) const DEAD_LETTER_TOPIC: &str = "osqdemo-dead-letters";

/// Which part of the window a topic gets before the first of its lines has arrived. librdkafka takes half a minute to
/// say that a topic is not there, and meanwhile its lines are in the way of the others'.
const UNPROVEN_SHARE: usize = 10;
/// How long a disk that failed is left alone.
const DISK_PAUSE: Duration = Duration::from_secs(1);
/// The most that both files of dead letters take.
const DEAD_LETTER_BYTES: u64 = 64 * 1024 * 1024;

/// The time, by two clocks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Now {
    /// Since the process began; never goes back.
    pub(crate) elapsed: Duration,
    /// Since 1970, as the host has it.
    pub(crate) unix_ms: i64,
}

/// What becomes of a line when the spool is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// It is dropped; what is in the spool stays.
    #[default]
    DropNewest,
    /// The oldest lines are given up for it.
    DropOldest,
}

/// What may be under way at once: what Kafka has not acknowledged yet, in librdkafka's memory. One line goes, however
/// large it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) bytes: usize,
    pub(crate) lines: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            bytes: 1024 * 1024,
            lines: 2000,
        }
    }
}

/// What can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choices {
    pub(crate) when_full: WhenFull,
    /// Whether only a line on disk is accepted.
    pub(crate) needs_disk: bool,
    /// Whether messages get headers.
    pub(crate) headers: bool,
    /// The most memory for lines that no disk has.
    pub(crate) memory_bytes: usize,
    pub(crate) window: Window,
}

/// Takes lines and brings them to Kafka.
pub(crate) struct Outbox<D: Disk, K> {
    spool: Option<Spool<D>>,
    pub(crate) kafka: K,
    pub(crate) choices: Choices,
    books: Arc<Books>,
    /// The next line of the spool that was never handed over.
    main: Reader,
    /// The next one of those that failed.
    redelivery: Option<Reader>,
    memory: Memory,
    /// What names lines that only memory has.
    memory_name: Id,
    topics: Topics,
    in_flight: HashMap<LineId, InFlight>,
    in_flight_bytes: usize,
    /// Those under way that Kafka has refused already, because they are too large, and why.
    oversized: Vec<(LineId, String)>,
    dead_letters: Option<DeadLetterFile<D>>,
    /// The disk failed, and is tried again then.
    disk_failed: Option<Duration>,
    trouble: Trouble,
}

/// A message under way.
#[derive(Debug)]
struct InFlight {
    topic: Arc<str>,
    bytes: usize,
    since: Duration,
    /// No other line of its topic was under way.
    alone: bool,
    /// Why it goes to the dead letters.
    dead: Option<String>,
}

/// Says each kind of trouble now and then; what becomes of a line, for each query.
struct Trouble {
    full: Throttle,
    waiting: Throttle,
    dead: NamedThrottle,
    oversized: NamedThrottle,
    lost: NamedThrottle,
    reading: Throttle,
}

/// What became of a line that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is in the spool, or in memory where there is no spool.
    Accepted,
    /// The disk does not take it; it is in memory.
    NotAccepted,
    /// There is no room for it.
    Dropped,
}

/// Whether there is more to hand over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    Done,
}

impl<D: Disk + Clone, K: Kafka> Outbox<D, K> {
    /// `memory_name` is unused elsewhere, and becomes the name of lines that only memory has.
    pub(crate) fn new(
        spool: Option<Spool<D>>,
        kafka: K,
        choices: Choices,
        memory_name: Id,
        books: Arc<Books>,
    ) -> Self {
        let mut outbox = Self {
            spool: None,
            kafka,
            choices,
            books,
            main: Reader::default(),
            redelivery: None,
            memory: Memory::new(choices.memory_bytes),
            memory_name,
            topics: Topics::new(choices.window.lines / UNPROVEN_SHARE),
            in_flight: HashMap::new(),
            in_flight_bytes: 0,
            oversized: Vec::new(),
            dead_letters: None,
            disk_failed: None,
            trouble: Trouble {
                full: Throttle::new(TROUBLE_PERIOD),
                waiting: Throttle::new(TROUBLE_PERIOD),
                dead: NamedThrottle::new(TROUBLE_PERIOD),
                oversized: NamedThrottle::new(TROUBLE_PERIOD),
                lost: NamedThrottle::new(TROUBLE_PERIOD),
                reading: Throttle::new(TROUBLE_PERIOD),
            },
        };
        if let Some(spool) = spool {
            outbox.use_spool(spool);
        }
        outbox
    }

    /// From now on lines are accepted into this spool.
    pub(crate) fn use_spool(&mut self, spool: Spool<D>) {
        self.dead_letters = Some(DeadLetterFile::new(spool.disk().clone(), DEAD_LETTER_BYTES));
        self.main = Reader::at(spool.low());
        self.spool = Some(spool);
        self.disk_failed = None;
    }

    /// Takes a line that was counted as not accepted when it came.
    pub(crate) fn accept_late(&mut self, now: Now, record: &Record<'_>) {
        if self.accept(now, record) == Taken::Dropped {
            self.books.lost.add(1);
        }
    }

    /// Takes a line with its way. Who has it taken sees to it that it is in the books: he may want more of an accepted line.
    pub(crate) fn accept(&mut self, now: Now, record: &Record<'_>) -> Taken {
        match self.store(now, record) {
            Ok(id) => {
                if self.is_next(id) {
                    self.offer_new(now, id, record);
                }
                match id {
                    LineId::Memory(_) if self.choices.needs_disk => Taken::NotAccepted,
                    _ => Taken::Accepted,
                }
            }
            Err(Full) => {
                if let Some(times) = self.trouble.full.pass() {
                    tracing::error!(
                        times,
                        "lines are dropped: there is no more room for them and Kafka takes none"
                    );
                }
                Taken::Dropped
            }
        }
    }

    /// What became of a message.
    pub(crate) fn settle(&mut self, now: Now, id: LineId, outcome: Outcome) {
        let Some(flight) = self.in_flight.remove(&id) else {
            return;
        };
        self.in_flight_bytes -= flight.bytes;
        self.topics.settled(&flight.topic);
        match (outcome, flight.dead) {
            (Ok(()), None) => {
                self.books.delivered.add(1);
                self.books.delivered_bytes.add(flight.bytes as u64);
                self.books
                    .delivery
                    .record(now.elapsed.saturating_sub(flight.since));
                self.topics.arrived(&flight.topic);
                self.finish(id);
            }
            (Ok(()), Some(_)) => {
                self.books.dead_lettered.add(1);
                self.finish(id);
            }
            (Err(Failure::Passing(reason)), None) => self.wait(now, id, &flight.topic, &reason),
            (Err(failure), None) => {
                self.topics.refused(&flight.topic);
                match failure {
                    Failure::TooLarge(_) if !flight.alone => {
                        self.topics
                            .refused_in_company(&flight.topic, now.elapsed, spooled(id));
                        self.rewind_memory(id);
                    }
                    Failure::TooLarge(reason) => self.refuse_too_large(now, id, &reason),
                    Failure::Final(reason) | Failure::Passing(reason) => self.refuse(now, id, &reason),
                }
            }
            // The topic of the dead letters does not take it, or is not there.
            (Err(_), Some(reason)) => match self.read(id) {
                Some(record) => self.bury(id, &record.record(), &reason),
                None => self.finish(id),
            },
        }
    }

    /// What is to be done now and then: writes down what is done, and gives back room on the disk.
    pub(crate) fn tidy(&mut self) {
        let read = self.main.seq();
        let Some(spool) = &mut self.spool else { return };
        let crowded = spool.bytes() * 2 > spool.max_bytes();
        let tidied = spool.tidy().and_then(|()| match crowded {
            true => spool.compact(read).map(drop),
            false => Ok(()),
        });
        if let Err(error) = tidied
            && let Some(times) = self.trouble.reading.pass()
        {
            tracing::warn!(%error, times, "cannot tidy the spool; lines may be delivered twice after a restart");
        }
    }

    /// The spool.
    pub(crate) fn spool(&self) -> Option<&Spool<D>> {
        self.spool.as_ref()
    }

    /// The spool, to be synced.
    pub(crate) fn spool_mut(&mut self) -> Option<&mut Spool<D>> {
        self.spool.as_mut()
    }

    /// Lines that have not arrived.
    pub(crate) fn waiting(&self) -> u64 {
        self.spool.as_ref().map_or(0, Spool::undone) + self.memory.len() as u64
    }

    /// Lines that have not arrived and that nothing but memory has.
    pub(crate) fn in_memory(&self) -> u64 {
        self.memory.len() as u64
    }

    /// Whether [`Outbox::tidy`] has something to write down.
    pub(crate) fn needs_tidying(&self) -> bool {
        self.spool.as_ref().is_some_and(Spool::has_moved)
    }

    /// What kept lines back has changed: those that wait are sent again at once.
    pub(crate) fn retry(&mut self) {
        self.topics.retry();
    }

    /// Whether something is to be done although nothing comes.
    pub(crate) fn needs_time(&self) -> bool {
        self.topics.any_held() || self.redelivery.is_some() || !self.oversized.is_empty()
    }

    /// When the oldest line that has not arrived was taken, in milliseconds since 1970.
    pub(crate) fn oldest_unix_ms(&self) -> Option<i64> {
        let spool = self.spool.as_ref().filter(|spool| spool.undone() > 0)?;
        let mut reader = Reader::at(spool.low());
        Some(reader.peek(spool).ok()??.record.unix_ms)
    }

    /// Writes the line down.
    fn store(&mut self, now: Now, record: &Record<'_>) -> Result<LineId, Full> {
        let failed = self.disk_failed.is_some_and(|until| now.elapsed < until);
        if let Some(spool) = self.spool.as_mut().filter(|_| !failed) {
            match append(
                spool,
                record,
                self.choices.when_full,
                self.main.seq(),
                &self.books,
            ) {
                Ok(seq) => {
                    if self.disk_failed.take().is_some() {
                        tracing::info!("the spool takes lines again");
                    }
                    return Ok(LineId::Spooled(seq));
                }
                Err(AppendError::Full) => return Err(Full),
                Err(AppendError::Disk(error)) => {
                    if self.disk_failed.is_none() {
                        tracing::error!(%error, "the spool's disk does not take lines; they are kept in memory, and not accepted");
                    }
                    self.disk_failed = Some(now.elapsed + DISK_PAUSE);
                }
            }
        }
        let after = self.spool.as_ref().map_or(0, Spool::next);
        let number = self.memory.push(OwnedRecord::new(record, after));
        number.map(LineId::Memory).ok_or(Full)
    }

    /// The line needs nothing any more.
    fn finish(&mut self, id: LineId) {
        match id {
            LineId::Spooled(seq) => {
                if let Some(spool) = &mut self.spool {
                    spool.mark_done(seq);
                }
            }
            LineId::Memory(number) => self.memory.remove(number),
        }
    }

    /// Reads a line once more.
    fn read(&self, id: LineId) -> Option<OwnedRecord> {
        match id {
            LineId::Memory(number) => self.memory.get(number).map(Arc::unwrap_or_clone),
            LineId::Spooled(seq) => {
                let mut reader = Reader::at(seq);
                let line = reader.peek(self.spool.as_ref()?).ok()??;
                (line.seq == seq).then(|| OwnedRecord::new(&line.record, 0))
            }
        }
    }

    fn is_done(&self, seq: u64) -> bool {
        self.spool.as_ref().is_none_or(|spool| spool.is_done(seq))
    }

    /// Lines that the disk no longer has are in the books, and in nobody's way.
    fn count_missing(&mut self, reader: &mut Reader) {
        let Some(spool) = &mut self.spool else { return };
        for seq in reader.take_missing().into_iter().flatten() {
            if !spool.is_done(seq) {
                self.books.damaged.add(1);
                spool.mark_done(seq);
            }
        }
    }

    fn tell_unreadable(&self, error: &std::io::Error) {
        if let Some(times) = self.trouble.reading.pass() {
            tracing::error!(%error, times, "cannot read the spool; lines in it wait");
        }
    }

    fn name_of(&self, id: LineId) -> Id {
        match (id, &self.spool) {
            (LineId::Spooled(seq), Some(spool)) => spool.name_of(seq),
            _ => self.memory_name,
        }
    }
}

/// There is no room.
struct Full;

/// Appends to the spool, making room as it was chosen.
fn append<D: Disk>(
    spool: &mut Spool<D>,
    record: &Record<'_>,
    when_full: WhenFull,
    read: u64,
    books: &Books,
) -> Result<u64, AppendError> {
    loop {
        match spool.append(record) {
            Ok(appended) => return Ok(appended.seq),
            Err(AppendError::Full) => {}
            Err(error) => return Err(error),
        }
        if spool.compact(read)? {
            continue;
        }
        match when_full {
            WhenFull::DropNewest => return Err(AppendError::Full),
            WhenFull::DropOldest => books.given_up.add(spool.give_up_oldest()?),
        }
    }
}

fn spooled(id: LineId) -> Option<u64> {
    match id {
        LineId::Spooled(seq) => Some(seq),
        LineId::Memory(_) => None,
    }
}

/// An id as text.
pub(crate) fn to_hex(id: &Id) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = id.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}
