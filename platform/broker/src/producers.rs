//! What a partition remembers of idempotent producers, so that a batch sent twice is stored once (KIP-98).
//!
//! For each producer id the last five batches are kept: a client has at most five requests in flight, so a repeated
//! one is among them. The table is rebuilt from the log's own batch headers; a snapshot of it only saves the reading.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::storage::batch::BatchHeader;

/// Batches remembered per producer, which is the number of requests a client may have in flight.
const REMEMBERED_BATCHES: usize = 5;
/// A producer that was silent for this long is forgotten.
pub(crate) const EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);

/// Every producer a partition knows, by producer id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ProducerTable {
    /// In order, so that a checkpoint of the same producers has the same bytes.
    producers: BTreeMap<i64, Producer>,
}

/// One producer's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Producer {
    /// Its current epoch; a smaller one is a fenced instance of the same producer.
    pub(crate) epoch: i16,
    /// Its last batches, oldest first.
    batches: VecDeque<StoredBatch>,
    /// When it last wrote, in milliseconds since the epoch; after a recovery, the largest timestamp it sent.
    pub(crate) last_timestamp: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct StoredBatch {
    first_sequence: i32,
    last_sequence: i32,
    first_offset: i64,
}

/// What to do with a batch, by its sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the next one.
    Append,
    /// It is already stored from this offset on.
    Duplicate {
        /// Offset of its first record.
        first_offset: i64,
    },
    /// Batches before it are missing.
    OutOfOrder,
    /// A newer instance of the producer has taken over.
    Fenced,
}

impl ProducerTable {
    /// Judges a batch by what is known of its producer.
    pub(crate) fn judge(&self, header: &BatchHeader) -> Verdict {
        if !header.is_idempotent() {
            return Verdict::Append;
        }
        let Some(producer) = self.producers.get(&header.producer_id) else {
            // The producer may be older than the log's memory of it, so any number may come first.
            return Verdict::Append;
        };
        if header.producer_epoch < producer.epoch {
            return Verdict::Fenced;
        }
        if header.producer_epoch > producer.epoch {
            return match header.base_sequence {
                0 => Verdict::Append,
                _ => Verdict::OutOfOrder,
            };
        }
        let repeated = producer.batches.iter().find(|batch| {
            batch.first_sequence == header.base_sequence && batch.last_sequence == header.last_sequence()
        });
        if let Some(batch) = repeated {
            return Verdict::Duplicate {
                first_offset: batch.first_offset,
            };
        }
        // Behind a mere marker of its epoch the numbers begin anew.
        let expected = producer.batches.back();
        let expected = expected.map_or(0, |last| next_sequence(last.last_sequence));
        match header.base_sequence == expected {
            true => Verdict::Append,
            false => Verdict::OutOfOrder,
        }
    }

    /// Remembers a batch that is in the log, and was written at `written_ms` as far as that is known.
    pub(crate) fn note(&mut self, header: &BatchHeader, written_ms: i64) {
        if !header.is_idempotent() {
            return;
        }
        let producer = self
            .producers
            .entry(header.producer_id)
            .or_insert_with(|| Producer {
                epoch: header.producer_epoch,
                batches: VecDeque::new(),
                last_timestamp: written_ms,
            });
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        producer.last_timestamp = producer.last_timestamp.max(written_ms);
        if header.is_control() {
            // A marker has no sequence number of its own.
            return;
        }
        if producer.batches.len() == REMEMBERED_BATCHES {
            producer.batches.pop_front();
        }
        producer.batches.push_back(StoredBatch {
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            first_offset: header.base_offset,
        });
    }

    /// One producer.
    pub(crate) fn get(&self, id: i64) -> Option<&Producer> {
        self.producers.get(&id)
    }

    /// Where the last batch of each producer begins, by producer id.
    pub(crate) fn last_offsets(&self) -> HashMap<i64, i64> {
        self.producers
            .iter()
            .filter_map(|(id, producer)| Some((*id, producer.batches.back()?.first_offset)))
            .collect()
    }

    /// Forgets producers who last wrote before `before` (milliseconds since the epoch), but not those still `in_use`.
    pub(crate) fn forget_older_than(&mut self, before: i64, in_use: impl Fn(i64) -> bool) {
        self.producers
            .retain(|id, producer| producer.last_timestamp >= before || in_use(*id));
    }

    /// Every known producer with its id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.producers.iter().map(|(id, producer)| (*id, producer))
    }
}

impl Producer {
    /// Sequence number of the last record it sent.
    pub(crate) fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }
}

fn next_sequence(last: i32) -> i32 {
    last.checked_add(1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::batch::CONTROL;
    use crate::storage::batch::compression::Compression;
    use crate::storage::batch::tests::Sample;

    fn header(epoch: i16, sequence: i32, records: usize, offset: i64) -> BatchHeader {
        let bytes = Sample {
            key: None,
            values: vec![Vec::new(); records],
            timestamp: 5,
            producer: Some((9, epoch, sequence)),
            compression: Compression::None,
        }
        .encode();
        let mut header = BatchHeader::parse(&bytes).unwrap();
        header.base_offset = offset;
        header
    }

    fn table(batches: &[(i16, i32, usize)]) -> ProducerTable {
        let mut table = ProducerTable::default();
        let mut offset = 100;
        for (epoch, sequence, records) in batches {
            table.note(&header(*epoch, *sequence, *records, offset), 5);
            offset += *records as i64;
        }
        table
    }

    #[test]
    fn the_next_batch_is_appended_and_a_gap_refused() {
        let table = table(&[(0, 0, 3)]);
        assert_eq!(table.judge(&header(0, 3, 1, 0)), Verdict::Append);
        assert_eq!(table.judge(&header(0, 4, 1, 0)), Verdict::OutOfOrder);
    }

    #[test]
    fn a_repeated_batch_is_told_from_the_last_five() {
        let table = table(&[(0, 0, 1), (0, 1, 1), (0, 2, 1), (0, 3, 1), (0, 4, 1), (0, 5, 1)]);
        let duplicate = Verdict::Duplicate { first_offset: 101 };
        assert_eq!(table.judge(&header(0, 1, 1, 0)), duplicate);
        assert_eq!(table.judge(&header(0, 0, 1, 0)), Verdict::OutOfOrder);
    }

    #[test]
    fn a_newer_epoch_starts_over_and_fences_the_old() {
        let mut table = table(&[(0, 0, 2)]);
        assert_eq!(table.judge(&header(1, 2, 1, 0)), Verdict::OutOfOrder);
        assert_eq!(table.judge(&header(1, 0, 1, 0)), Verdict::Append);
        table.note(&header(1, 0, 1, 102), 5);
        assert_eq!(table.judge(&header(0, 2, 1, 0)), Verdict::Fenced);
    }

    #[test]
    fn behind_a_marker_the_numbers_of_its_epoch_begin_anew() {
        let mut table = table(&[(0, 0, 2)]);
        let mut marker = header(1, 0, 1, 102);
        marker.attributes |= CONTROL;
        table.note(&marker, 5);
        assert_eq!(table.judge(&header(1, 2, 1, 0)), Verdict::OutOfOrder);
        assert_eq!(table.judge(&header(1, 0, 1, 0)), Verdict::Append);
    }

    #[test]
    fn an_unknown_producer_may_start_anywhere() {
        assert_eq!(table(&[]).judge(&header(3, 70, 1, 0)), Verdict::Append);
    }

    #[test]
    fn silent_producers_are_forgotten() {
        let mut table = table(&[(0, 0, 1)]);
        table.forget_older_than(5, |_| false);
        assert_eq!(table.iter().count(), 1);
        table.forget_older_than(6, |id| id == 9);
        assert_eq!(table.iter().count(), 1);
        table.forget_older_than(6, |_| false);
        assert_eq!(table.iter().count(), 0);
    }
}
