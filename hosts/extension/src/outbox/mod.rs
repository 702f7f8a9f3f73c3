//! Lines on their way to Kafka.
//!
//! A line is *accepted* when it is in the spool's file; from then on it is not lost: it is delivered, or kept as a
//! dead letter. While Kafka keeps up, a line is handed over at once and nothing is read back. Otherwise it waits on
//! disk, and what is under way stays small, so that memory is bounded. What fails for a reason that can pass goes back
//! into the queue, in its place among the lines of its topic; the other topics go on.
//!
//! The outbox is a state machine. It is given its disk, the time and Kafka, waits for nothing and starts nothing;
//! `courier` is what drives it. It must not know osquery's API, configuration files or librdkafka.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::line_facts::LineFacts;
use crate::route::split_rows;
use crate::spool::disk::Disk;
use crate::spool::frame::{Id, Record};
use crate::spool::reader::Reader;
use crate::spool::{AppendError, Spool};
use crate::throttle::Throttle;

pub(crate) mod books;
mod dead_letters;
pub(crate) mod kafka;
pub(crate) mod memory;
mod topics;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;

use books::Books;
use dead_letters::{DeadLetterFile, Obituary};
use kafka::{Failure, Header, Kafka, LineId, Message, Outcome, SendError};
use memory::{Memory, OwnedRecord};
use topics::{Admission, Topics, Turn};

/// How often the same kind of trouble is said.
pub(crate) const TROUBLE_PERIOD: Duration = Duration::from_secs(10);
/// The topic for what no other topic takes.
pub(crate) const DEAD_LETTER_TOPIC: &str = "osqdemo-dead-letters";

/// Which part of the window a topic gets before the first of its lines has arrived. librdkafka takes half a minute to
/// say that a topic is not there, and meanwhile its lines are in the way of the others'.
const UNPROVEN_SHARE: usize = 10;
/// How many lines are handed over before somebody else may have the outbox.
const BATCH: usize = 256;
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

/// Says each kind of trouble now and then.
struct Trouble {
    full: Throttle,
    waiting: Throttle,
    dead: Throttle,
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

enum Offer {
    /// It is under way, or waits elsewhere; the next one may be offered.
    Taken,
    /// Nothing can be taken now.
    NoRoom,
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
            dead_letters: None,
            disk_failed: None,
            trouble: Trouble {
                full: Throttle::new(TROUBLE_PERIOD),
                waiting: Throttle::new(TROUBLE_PERIOD),
                dead: Throttle::new(TROUBLE_PERIOD),
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

    /// Takes a line with its way.
    pub(crate) fn accept(&mut self, now: Now, record: &Record<'_>) -> Taken {
        let taken = self.take(now, record);
        match taken {
            Taken::Accepted => self.books.accepted.add(1),
            Taken::NotAccepted => self.books.not_accepted.add(1),
            Taken::Dropped => self.books.dropped.add(1),
        }
        taken
    }

    /// Takes a line that was counted as not accepted when it came.
    pub(crate) fn accept_late(&mut self, now: Now, record: &Record<'_>) {
        if self.take(now, record) == Taken::Dropped {
            self.books.lost.add(1);
        }
    }

    fn take(&mut self, now: Now, record: &Record<'_>) -> Taken {
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
                    Failure::TooLarge(reason) | Failure::Final(reason) | Failure::Passing(reason) => {
                        self.refuse(now, id, &reason);
                    }
                }
            }
            // The topic of the dead letters does not take it, or is not there.
            (Err(_), Some(reason)) => match self.read(id) {
                Some(record) => self.bury(id, &record.record(), &reason),
                None => self.finish(id),
            },
        }
    }

    /// Hands over what waits, as far as there is room; not too much at once.
    pub(crate) fn pump(&mut self, now: Now) -> Progress {
        if self.redelivery.is_none()
            && let Some(from) = self.topics.begin_redelivery(now.elapsed)
        {
            self.redelivery = Some(Reader::at(from.min(self.main.seq())));
        }
        if let Some(mut reader) = self.redelivery.take() {
            let (ended, progress) = self.redeliver(now, &mut reader);
            if !ended {
                self.redelivery = Some(reader);
                return progress;
            }
            self.topics.end_redelivery();
            self.memory.next = 0;
        }
        let mut main = std::mem::take(&mut self.main);
        let progress = self.deliver(now, &mut main);
        self.main = main;
        progress
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
        self.topics.any_held() || self.redelivery.is_some()
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

    /// Whether everything that came before the line was handed over.
    fn is_next(&self, id: LineId) -> bool {
        match id {
            LineId::Spooled(seq) => seq == self.main.seq() && self.memory.peek().is_none(),
            LineId::Memory(number) => {
                let spooled = self.spool.as_ref().map_or(0, Spool::next);
                self.main.seq() >= spooled && self.memory.peek().is_some_and(|(next, _)| next == number)
            }
        }
    }

    /// Hands over a line that just came, without reading it again.
    fn offer_new(&mut self, now: Now, id: LineId, record: &Record<'_>) {
        if let Offer::NoRoom = self.offer(now, id, record, Turn::InOrder) {
            return;
        }
        match (id, &self.spool) {
            (LineId::Spooled(seq), Some(spool)) => {
                let length = record.frame_length().unwrap_or_default() as u64;
                self.main.pass(spool, seq, length);
            }
            (LineId::Memory(number), _) => self.memory.next = number + 1,
            (LineId::Spooled(_), None) => {}
        }
    }

    /// Hands over lines that were never handed over.
    fn deliver(&mut self, now: Now, main: &mut Reader) -> Progress {
        for _ in 0..BATCH {
            if let Some((number, line)) = self.memory.peek()
                && line.after <= main.seq()
            {
                let id = LineId::Memory(number);
                let under_way = self.in_flight.contains_key(&id);
                if !under_way && let Offer::NoRoom = self.offer(now, id, &line.record(), Turn::InOrder) {
                    return Progress::Done;
                }
                self.memory.next = number + 1;
                continue;
            }
            let Some(spool) = self.spool.take() else {
                return Progress::Done;
            };
            let found = main.peek(&spool);
            self.spool = Some(spool);
            let offer = match found {
                Ok(Some(line)) if self.is_done(line.seq) => Offer::Taken,
                Ok(Some(line)) => self.offer(now, LineId::Spooled(line.seq), &line.record, Turn::InOrder),
                Ok(None) => {
                    self.count_missing(main);
                    return Progress::Done;
                }
                Err(error) => {
                    self.tell_unreadable(&error);
                    return Progress::Done;
                }
            };
            self.count_missing(main);
            match offer {
                Offer::Taken => main.advance(),
                Offer::NoRoom => return Progress::Done,
            }
        }
        Progress::More
    }

    /// Hands over lines that waited. Whether there are no more of them, and whether to go on at once.
    fn redeliver(&mut self, now: Now, reader: &mut Reader) -> (bool, Progress) {
        for _ in 0..BATCH {
            if reader.seq() >= self.main.seq() {
                return (true, Progress::More);
            }
            let Some(spool) = self.spool.take() else {
                return (true, Progress::More);
            };
            let found = reader.peek(&spool);
            self.spool = Some(spool);
            let offer = match found {
                Ok(Some(line)) if line.seq >= self.main.seq() => return (true, Progress::More),
                Ok(Some(line)) => {
                    let id = LineId::Spooled(line.seq);
                    match self.is_done(line.seq) || self.in_flight.contains_key(&id) {
                        true => Offer::Taken,
                        false => self.offer(now, id, &line.record, Turn::Redelivery),
                    }
                }
                Ok(None) => return (true, Progress::More),
                Err(error) => {
                    self.tell_unreadable(&error);
                    return (false, Progress::Done);
                }
            };
            self.count_missing(reader);
            match offer {
                Offer::Taken => reader.advance(),
                Offer::NoRoom => return (false, Progress::Done),
            }
        }
        (false, Progress::More)
    }

    fn offer(&mut self, now: Now, id: LineId, record: &Record<'_>, turn: Turn) -> Offer {
        if !self.has_room(record) {
            return Offer::NoRoom;
        }
        match self.topics.admit(record.topic, turn, spooled(id)) {
            Admission::Admitted => {}
            Admission::Held => return Offer::Taken,
            Admission::Busy => return Offer::NoRoom,
        }
        let headers = self.headers(id, record);
        match self.kafka.send(
            id,
            &Message {
                record: *record,
                headers: &headers,
            },
        ) {
            Ok(()) => {
                let topic = self.topics.sent(record.topic);
                self.depart(now, id, topic, record, None);
                Offer::Taken
            }
            Err(SendError::Full) => Offer::NoRoom,
            Err(SendError::NotYet) => {
                self.topics.failed(record.topic, now.elapsed, spooled(id));
                self.rewind_memory(id);
                Offer::Taken
            }
            Err(SendError::Unfit(reason)) => self.offer_dead(now, id, record, &reason),
            Err(SendError::Failed(Failure::Passing(reason))) => {
                self.wait(now, id, record.topic, &reason);
                Offer::Taken
            }
            Err(SendError::Failed(Failure::TooLarge(reason) | Failure::Final(reason))) => {
                self.tell_dead(record, &reason);
                self.offer_dead(now, id, record, &reason)
            }
        }
    }

    /// Sends a line that can wait to the topic for dead letters.
    fn offer_dead(&mut self, now: Now, id: LineId, record: &Record<'_>, reason: &str) -> Offer {
        match self.send_to_dead_letters(now, id, record, reason) {
            Err(SendError::Full) => return Offer::NoRoom,
            Err(_) => self.bury(id, record, reason),
            Ok(()) => {}
        }
        Offer::Taken
    }

    fn has_room(&self, record: &Record<'_>) -> bool {
        let Window { bytes, lines } = self.choices.window;
        let fits = self.in_flight_bytes + record.value.len() <= bytes && self.in_flight.len() < lines;
        fits || self.in_flight.is_empty()
    }

    fn depart(
        &mut self,
        now: Now,
        id: LineId,
        (topic, alone): (Arc<str>, bool),
        record: &Record<'_>,
        dead: Option<String>,
    ) {
        let bytes = record.value.len();
        self.in_flight_bytes += bytes;
        let flight = InFlight {
            topic,
            bytes,
            // The wall clock may have jumped since; then this is wrong by as much, and nothing else is.
            since: now.elapsed.saturating_sub(Duration::from_millis(
                u64::try_from(now.unix_ms.saturating_sub(record.unix_ms)).unwrap_or_default(),
            )),
            alone,
            dead,
        };
        self.in_flight.insert(id, flight);
    }

    /// The line is sent again later.
    fn wait(&mut self, now: Now, id: LineId, topic: &str, reason: &str) {
        self.topics.failed(topic, now.elapsed, spooled(id));
        self.rewind_memory(id);
        if let Some(times) = self.trouble.waiting.pass() {
            tracing::warn!(topic, times, "lines wait and are sent again: {reason}");
        }
    }

    fn rewind_memory(&mut self, id: LineId) {
        if let LineId::Memory(number) = id {
            self.memory.next = self.memory.next.min(number);
        }
    }

    /// A line that came back will never be taken as it is: its rows are sent, or it is a dead letter.
    fn refuse(&mut self, now: Now, id: LineId, reason: &str) {
        let Some(line) = self.read(id) else {
            self.books.damaged.add(1);
            self.finish(id);
            return;
        };
        let record = line.record();
        // Only what is too large comes with rows that may be small enough.
        let rows = split_rows(record.value)
            .filter(|rows| rows.len() > 1)
            .unwrap_or_default();
        if rows.is_empty() {
            self.tell_dead(&record, reason);
            return self.send_dead(now, id, &record, reason);
        }
        self.books.rows.add(rows.len() as u64 - 1);
        tracing::warn!(
            topic = record.topic,
            bytes = record.value.len(),
            rows = rows.len(),
            "a line that Kafka refused is sent row by row: {reason}"
        );
        for row in &rows {
            let row = Record { value: row, ..record };
            match self.store(now, &row) {
                Ok(_) => self.books.accepted.add(1),
                Err(Full) => self.bury(id, &row, reason),
            }
        }
        self.finish(id);
    }

    fn tell_dead(&mut self, record: &Record<'_>, reason: &str) {
        let facts = LineFacts::of(record.value);
        let query = String::from_utf8_lossy(facts.query.as_deref().unwrap_or_default());
        let (topic, bytes) = (record.topic, record.value.len());
        if let Some(times) = self.trouble.dead.pass() {
            tracing::error!(%query, topic, bytes, times, "Kafka will never take a line; it is kept as a dead letter: {reason}");
        }
    }

    /// Sends a line to the topic for dead letters, or into their file.
    fn send_dead(&mut self, now: Now, id: LineId, record: &Record<'_>, reason: &str) {
        if self.send_to_dead_letters(now, id, record, reason).is_err() {
            self.bury(id, record, reason);
        }
    }

    fn send_to_dead_letters(
        &mut self,
        now: Now,
        id: LineId,
        record: &Record<'_>,
        reason: &str,
    ) -> Result<(), SendError> {
        let (topic, bytes) = (record.topic, record.value.len());
        let mut headers = self.headers(id, record);
        headers.push(("osqdemo-reason", Cow::Owned(reason.as_bytes().to_vec())));
        headers.push(("osqdemo-topic", Cow::Borrowed(topic.as_bytes())));
        headers.push(("osqdemo-size", Cow::Owned(bytes.to_string().into_bytes())));
        let message = Message {
            record: Record {
                topic: DEAD_LETTER_TOPIC,
                ..*record
            },
            headers: &headers,
        };
        self.kafka.send(id, &message)?;
        let topic = self.topics.sent(DEAD_LETTER_TOPIC);
        self.depart(now, id, topic, record, Some(reason.to_owned()));
        Ok(())
    }

    /// Writes a line to the file for dead letters.
    fn bury(&mut self, id: LineId, record: &Record<'_>, reason: &str) {
        let facts = LineFacts::of(record.value);
        let query = String::from_utf8_lossy(facts.query.as_deref().unwrap_or_default());
        let obituary = Obituary {
            reason,
            query: &query,
            spool: &to_hex(&self.name_of(id)),
            seq: id.number(),
        };
        let kept = match &mut self.dead_letters {
            Some(file) => file.append(record, &obituary).map_err(|error| error.to_string()),
            None => Err("there is no spool".to_owned()),
        };
        match kept {
            Ok(true) => self.books.dead_lettered.add(1),
            other => {
                self.books.lost.add(1);
                let error = other.err().unwrap_or_else(|| "it is too large".to_owned());
                let (topic, bytes) = (record.topic, record.value.len());
                tracing::error!(%query, topic, bytes, "a dead letter could not be kept and is lost: {error}");
            }
        }
        self.finish(id);
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

    fn headers<'r>(&self, id: LineId, record: &Record<'r>) -> Vec<Header<'r>> {
        if !self.choices.headers {
            return Vec::new();
        }
        let facts = LineFacts::of(record.value);
        let parts = [
            ("osqdemo-host", facts.host),
            ("osqdemo-query", facts.query),
            ("osqdemo-epoch", facts.epoch),
            ("osqdemo-counter", facts.counter),
        ];
        let mut headers = Vec::with_capacity(6);
        headers.push(("osqdemo-spool", to_hex(&self.name_of(id)).into_bytes().into()));
        headers.push(("osqdemo-seq", id.number().to_string().into_bytes().into()));
        headers.extend(parts.into_iter().filter_map(|(name, value)| Some((name, value?))));
        headers
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
