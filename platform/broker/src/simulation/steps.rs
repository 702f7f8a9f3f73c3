//! What producers, consumers, the broker's own tasks and bad luck do, a step at a time.

use kafka_protocol::protocol::StrBytes;

use super::model::{InDoubt, KEYS, Sent};
use super::{Run, partition};
use crate::groups::offsets::Committed;
use crate::storage::batch::compression::Compression;
use crate::storage::batch::tests::Sample;
use crate::storage::disk::simulated::Operation;
use crate::storage::log::{AppendError, CheckpointWhen};

impl Run {
    pub(super) fn arrange_failure(&mut self) {
        let operations = [
            Operation::Write,
            Operation::Sync,
            Operation::SyncFolder,
            Operation::Rename,
            Operation::Remove,
        ];
        match self.dice.below(6) {
            5 => {
                let room = self.dice.below(2000);
                self.disk.limit_room(Some(room));
                self.note(format!("room for {room} bytes"));
            }
            which => {
                let operation = operations[which as usize];
                let after = self.dice.below(4);
                self.disk.fail(operation, after);
                self.note(format!("{operation:?} fails after {after}"));
            }
        }
    }

    pub(super) fn new_batch(&mut self, number: usize) -> InDoubt {
        let keyed = number >= 2;
        let key = format!("key {}", self.dice.below(KEYS));
        let is_tombstone = keyed && self.dice.chance(20);
        let count = 1 + self.dice.below(4);
        let mut values = Vec::new();
        let mut records = Vec::new();
        for _ in 0..count {
            let id = self.next_id;
            self.next_id += 1;
            let padding = self.dice.below(100) as usize;
            values.push(if is_tombstone {
                Vec::new()
            } else {
                format!("{id} {}", "x".repeat(padding)).into_bytes()
            });
            records.push(Sent {
                id,
                key: key.clone(),
                is_tombstone,
            });
        }
        let codec = [
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ][self.dice.below(5) as usize];
        let model = &mut self.models[number];
        let sample = Sample {
            key: Some(key),
            values,
            timestamp: self.now_ms,
            producer: Some((model.producer, 0, model.sequence)),
            compression: codec,
        };
        model.sequence += count as i32;
        InDoubt {
            bytes: sample.encode(),
            records,
        }
    }

    /// A producer sends its next batch, or once more the one it has no answer to.
    pub(super) fn produce(&mut self, number: usize) {
        let batch = match self.models[number].in_doubt.take() {
            Some(batch) => batch,
            None => self.new_batch(number),
        };
        let partition = partition(&self.topics, number);
        let topic = if number < 2 { "lines" } else { "states" };
        let topic = self
            .topics
            .by_name(&StrBytes::from_static_str(topic))
            .expect("it");
        let appended = partition.append(&batch.bytes, self.now_ms, topic.settings.log());
        self.note(format!("produce to {number}: {appended:?}"));
        match appended {
            Ok(written) => {
                if self.every_batch && partition.flush(CheckpointWhen::Never).is_err() {
                    // Not acknowledged: its place is known, but the client was not told.
                    self.models[number].in_doubt = Some(batch);
                    return;
                }
                let model = &mut self.models[number];
                for (offset, sent) in (written.base_offset..).zip(batch.records) {
                    let before = model.acknowledged.insert(offset, sent.clone());
                    assert!(
                        before.is_none_or(|before| before == sent),
                        "offset {offset} of {number} was told twice"
                    );
                }
                if self.every_batch {
                    model.safe_to = partition.bounds().end;
                }
            }
            Err(AppendError::Storage(_) | AppendError::Failed) => self.models[number].in_doubt = Some(batch),
            Err(error) => panic!("partition {number} refuses {error}"),
        }
    }

    pub(super) fn flush(&mut self, number: usize) {
        let partition = partition(&self.topics, number);
        let end = partition.bounds().end;
        let when = if self.dice.chance(50) {
            CheckpointWhen::Always
        } else {
            CheckpointWhen::Never
        };
        let flushed = partition.flush(when);
        self.note(format!("flush {number} to {end}: {flushed:?}"));
        if flushed.is_ok() {
            self.models[number].safe_to = end;
        }
    }

    pub(super) fn compact(&mut self, number: usize) {
        if number < 2 {
            return;
        }
        let topic = self
            .topics
            .by_name(&StrBytes::from_static_str("states"))
            .expect("it");
        let settings = topic.settings.log().compaction.clone().expect("it is compacted");
        let compacted = partition(&self.topics, number).compact(self.now_ms, &settings);
        self.note(format!("compact {number}: {compacted:?}"));
    }

    pub(super) fn retain(&mut self, number: usize) {
        if number >= 2 {
            return;
        }
        let topic = self
            .topics
            .by_name(&StrBytes::from_static_str("lines"))
            .expect("it");
        let partition = partition(&self.topics, number);
        let retained = partition.apply_retention(self.now_ms, topic.settings.log());
        self.note(format!("retain {number}: {retained:?}"));
        let model = &mut self.models[number];
        match retained {
            Ok(None) => {}
            Ok(Some(start)) => model.deleted_to = model.deleted_to.max(start),
            // What it was to give up nobody has asked for: it may go and may stay.
            Err(_) => model.maybe_deleted_to = i64::MAX,
        }
    }

    pub(super) fn delete(&mut self, number: usize) {
        if number >= 2 {
            return;
        }
        let partition = partition(&self.topics, number);
        let bounds = partition.bounds();
        let offset = bounds.start + self.dice.below((bounds.end - bounds.start + 1) as u64) as i64;
        let deleted = partition.delete_before(offset);
        self.note(format!("delete {number} before {offset}: {deleted:?}"));
        let model = &mut self.models[number];
        match deleted {
            Ok(()) => model.deleted_to = model.deleted_to.max(offset),
            Err(_) => model.maybe_deleted_to = model.maybe_deleted_to.max(offset),
        }
    }

    pub(super) fn commit(&mut self, number: usize) {
        let last = self.models[number].committed.last().copied().unwrap_or(0);
        let offset = last + self.dice.below(5) as i64;
        let committed = Committed {
            offset,
            leader_epoch: 0,
            metadata: StrBytes::default(),
            committed_at: self.now_ms,
        };
        let topic = (StrBytes::from_static_str("t"), number as i32);
        let group = StrBytes::from_static_str("group");
        let kind = StrBytes::from_static_str("consumer");
        let done = self
            .groups
            .offsets()
            .commit(&group, &kind, vec![(topic, committed)]);
        self.note(format!("commit {number} {offset}: {done:?}"));
        if done.is_ok() {
            self.models[number].committed.push(offset);
        }
    }

    pub(super) fn flush_offsets(&mut self) {
        let mut offsets = self.groups.offsets();
        if self.dice.chance(30)
            && let Ok(rewrite) = offsets.begin_rewrite_now()
        {
            let written = rewrite.run();
            let done = offsets.end_rewrite(&rewrite, written);
            self.trace.push(format!("rewrite offsets: {done:?}"));
        }
        drop(offsets);
        let synced = self.groups.flush();
        self.note(format!("sync offsets: {synced:?}"));
        if synced.is_ok() {
            for model in &mut self.models {
                model.safely_committed = model.committed.len();
            }
        }
    }
}
