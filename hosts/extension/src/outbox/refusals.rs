//! Lines that Kafka will never take: their rows are sent one by one, or they become dead letters, in their topic or in a file.

use std::borrow::Cow;

use super::dead_letters::Obituary;
use super::handing_over::Offer;
use super::kafka::{Kafka, LineId, Message, SendError};
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

    /// A line that came back will never be taken as it is: its rows are sent, or it is a dead letter.
    pub(super) fn refuse(&mut self, now: Now, id: LineId, reason: &str) {
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

    pub(super) fn tell_dead(&mut self, record: &Record<'_>, reason: &str) {
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
    pub(super) fn bury(&mut self, id: LineId, record: &Record<'_>, reason: &str) {
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
}
