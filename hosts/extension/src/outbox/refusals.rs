//! Lines that Kafka will never take: their rows are sent one by one, or they become dead letters, in their topic or in a file.

use std::borrow::Cow;

use super::dead_letters::Obituary;
use super::handing_over::Offer;
use super::kafka::{Kafka, LineId, Message, SendError};
use super::memory::OwnedRecord;
use super::{DEAD_LETTER_TOPIC, Full, Now, Outbox, to_hex};
use crate::line_facts::LineFacts;
use crate::route::split_rows;
use crate::spool::disk::Disk;
use crate::spool::frame::Record;

impl<D: Disk + Clone, K: Kafka> Outbox<D, K> {
    /// Sends a line that can wait to the topic for dead letters.
    pub(super) fn offer_dead(&mut self, now: Now, id: LineId, record: &Record<'_>, reason: &str) -> Offer {
        match self.send_to_dead_letters(now, id, record, reason) {
            Err(SendError::Full) => return Offer::NoRoom,
            Err(_) => self.bury(id, record, reason),
            Ok(()) => {}
        }
        Offer::Taken
    }

    /// A line that came back will never be taken: it is a dead letter.
    pub(super) fn refuse(&mut self, now: Now, id: LineId, reason: &str) {
        let Some(line) = self.reread(id) else { return };
        let record = line.record();
        self.tell_dead(&record, reason);
        self.send_dead(now, id, &record, reason);
    }

    /// A line that came back is larger than Kafka takes: its rows are sent, which may be small enough, or it is a dead letter.
    pub(super) fn refuse_too_large(&mut self, now: Now, id: LineId, reason: &str) {
        let Some(line) = self.reread(id) else { return };
        let record = line.record();
        let Some(rows) = several_rows(record.value) else {
            self.tell_dead(&record, reason);
            return self.send_dead(now, id, &record, reason);
        };
        let (topic, bytes) = (record.topic, record.value.len());
        let query = query_of(record.value);
        if let Some(times) = self.trouble.oversized.pass(query.as_bytes()) {
            let rows = rows.len();
            tracing::warn!(%query, topic, bytes, rows, times, "a line that Kafka refused is sent row by row: {reason}");
        }
        for row in &rows {
            let row = Record { value: row, ..record };
            if let Err(Full) = self.store(now, &row) {
                self.keep(id, &row, reason);
            }
        }
        // The line itself was accepted once, as one of them.
        let more = rows.len() as u64 - 1;
        self.books.rows.add(more);
        self.books.accepted.add(more);
        self.finish(id);
    }

    fn reread(&mut self, id: LineId) -> Option<OwnedRecord> {
        let line = self.read(id);
        if line.is_none() {
            self.books.damaged.add(1);
            self.finish(id);
        }
        line
    }

    pub(super) fn tell_dead(&mut self, record: &Record<'_>, reason: &str) {
        let query = query_of(record.value);
        let (topic, bytes) = (record.topic, record.value.len());
        if let Some(times) = self.trouble.dead.pass(query.as_bytes()) {
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

    /// Writes a line to the file for dead letters, and that was it.
    pub(super) fn bury(&mut self, id: LineId, record: &Record<'_>, reason: &str) {
        self.keep(id, record, reason);
        self.finish(id);
    }

    /// Writes a line, or a row of it, to the file for dead letters.
    fn keep(&mut self, id: LineId, record: &Record<'_>, reason: &str) {
        let query = query_of(record.value);
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
                if let Some(times) = self.trouble.lost.pass(query.as_bytes()) {
                    tracing::error!(%query, topic, bytes, times, "a dead letter could not be kept and is lost: {error}");
                }
            }
        }
    }
}

/// The rows of a line that has more than one.
pub(super) fn several_rows(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    split_rows(line).filter(|rows| rows.len() > 1)
}

fn query_of(line: &[u8]) -> String {
    let query = LineFacts::of(line).query.unwrap_or_default();
    String::from_utf8_lossy(&query).into_owned()
}
