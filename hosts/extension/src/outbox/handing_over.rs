//! Lines are handed over to Kafka: each in its turn, as far as there is room, and once more when they failed.

use std::sync::Arc;
use std::time::Duration;

use super::kafka::{Failure, Header, Kafka, LineId, Message, SendError};
use super::refusals::several_rows;
use super::topics::{Admission, Turn};
use super::{InFlight, Now, Outbox, Progress, Window, spooled, to_hex};
use crate::line_facts::LineFacts;
use crate::spool::Spool;
use crate::spool::disk::Disk;
use crate::spool::frame::Record;
use crate::spool::reader::Reader;

/// How many lines are handed over before somebody else may have the outbox.
const BATCH: usize = 256;

/// What became of a line that was offered to Kafka.
pub(super) enum Offer {
    /// It is under way, or waits elsewhere; the next one may be offered.
    Taken,
    /// Nothing can be taken now.
    NoRoom,
}

impl<D: Disk + Clone, K: Kafka> Outbox<D, K> {
    /// Hands over what waits, as far as there is room; not too much at once.
    pub(crate) fn pump(&mut self, now: Now) -> Progress {
        for (id, reason) in std::mem::take(&mut self.oversized) {
            self.settle(now, id, Err(Failure::TooLarge(reason)));
        }
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

    /// Whether everything that came before the line was handed over.
    pub(super) fn is_next(&self, id: LineId) -> bool {
        match id {
            LineId::Spooled(seq) => seq == self.main.seq() && self.memory.peek().is_none(),
            LineId::Memory(number) => {
                let spooled = self.spool.as_ref().map_or(0, Spool::next);
                self.main.seq() >= spooled && self.memory.peek().is_some_and(|(next, _)| next == number)
            }
        }
    }

    /// Hands over a line that just came, without reading it again.
    pub(super) fn offer_new(&mut self, now: Now, id: LineId, record: &Record<'_>) {
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
            // Its rows go to the end of the spool, and that may not move while a line is on its way into it. So the line is
            // under way until then.
            Err(SendError::Failed(Failure::TooLarge(reason))) if several_rows(record.value).is_some() => {
                let (topic, _) = self.topics.sent(record.topic);
                self.depart(now, id, (topic, true), record, None);
                self.oversized.push((id, reason));
                Offer::Taken
            }
            Err(SendError::Failed(Failure::TooLarge(reason) | Failure::Final(reason))) => {
                self.tell_dead(record, &reason);
                self.offer_dead(now, id, record, &reason)
            }
        }
    }

    fn has_room(&self, record: &Record<'_>) -> bool {
        let Window { bytes, lines } = self.choices.window;
        let fits = self.in_flight_bytes + record.value.len() <= bytes && self.in_flight.len() < lines;
        fits || self.in_flight.is_empty()
    }

    pub(super) fn depart(
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
    pub(super) fn wait(&mut self, now: Now, id: LineId, topic: &str, reason: &str) {
        self.topics.failed(topic, now.elapsed, spooled(id));
        self.rewind_memory(id);
        if let Some(times) = self.trouble.waiting.pass() {
            tracing::warn!(topic, times, "lines wait and are sent again: {reason}");
        }
    }

    pub(super) fn rewind_memory(&mut self, id: LineId) {
        if let LineId::Memory(number) = id {
            self.memory.next = self.memory.next.min(number);
        }
    }

    pub(super) fn headers<'r>(&self, id: LineId, record: &Record<'r>) -> Vec<Header<'r>> {
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
