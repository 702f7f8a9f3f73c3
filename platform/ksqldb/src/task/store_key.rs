//! What a row is kept under: the bytes of its key, its partition and its window.

use std::fmt::Debug;
use std::sync::Arc;

use super::change::Bounds;
use super::partitions::partition_of;
use crate::plan::Windows;

/// The key of a row: its bytes as a record has them, and its window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StoreKey {
    pub(crate) bytes: Arc<[u8]>,
    /// The partition whose row it is of, in a store where each has a time of its own; else 0.
    pub(super) partition: i32,
    /// What windows are ordered by, and the other bound: start and end of a time window, end and start of a session.
    pub(super) order: [i64; 2],
}

impl StoreKey {
    pub(crate) fn new(bytes: impl Into<Arc<[u8]>>, windows: Windows, window: Option<Bounds>) -> Self {
        Self {
            bytes: bytes.into(),
            partition: 0,
            order: match (windows, window) {
                (Windows::None, _) | (_, None) => [0; 2],
                (Windows::Time, Some(window)) => [window.start, window.end],
                (Windows::Session, Some(window)) => [window.end, window.start],
            },
        }
    }

    /// The same of a partition.
    pub(super) fn in_partition(self, partition: i32) -> Self {
        Self { partition, ..self }
    }

    /// Before all windows of a key of these bytes.
    pub(crate) fn first(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self {
            bytes: bytes.into(),
            partition: i32::MIN,
            order: [i64::MIN; 2],
        }
    }

    /// After all windows of a key of these bytes.
    pub(crate) fn last(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self {
            bytes: bytes.into(),
            partition: i32::MAX,
            order: [i64::MAX; 2],
        }
    }

    /// At or after the windows of a partition that are ordered by that time.
    pub(super) fn at(bytes: impl Into<Arc<[u8]>>, partition: i32, time: i64) -> Self {
        Self {
            bytes: bytes.into(),
            partition,
            order: [time, i64::MIN],
        }
    }

    pub(super) fn partition(&self) -> i32 {
        self.partition
    }

    pub(crate) fn window(&self, windows: Windows) -> Option<Bounds> {
        let [first, second] = self.order;
        match windows {
            Windows::None => None,
            Windows::Time => Some(Bounds {
                start: first,
                end: second,
            }),
            Windows::Session => Some(Bounds {
                start: second,
                end: first,
            }),
        }
    }

    /// As the key of a changelog's record. A partition is a part of it only where the key lies in another one than
    /// Java's partitioner chooses; then the time after it is written as its complement, which is negative.
    pub(super) fn record(&self, windows: Windows, partitions: i32) -> Vec<u8> {
        let mut record = self.bytes.to_vec();
        if windows != Windows::None {
            let [mut first, second] = self.order;
            if self.partition != partition_of(&self.bytes, partitions) {
                record.extend(self.partition.to_be_bytes());
                first = !first;
            }
            record.extend(first.to_be_bytes());
            record.extend(second.to_be_bytes());
        }
        record
    }

    pub(super) fn of_record(record: &[u8], windows: Windows, partitions: i32) -> Option<Self> {
        if windows == Windows::None {
            return Some(Self::new(record, windows, None));
        }
        let (rest, second) = record.split_last_chunk()?;
        let (mut bytes, first) = rest.split_last_chunk()?;
        let (mut first, second) = (i64::from_be_bytes(*first), i64::from_be_bytes(*second));
        let partition = if first < 0 {
            let (rest, partition) = bytes.split_last_chunk()?;
            (bytes, first) = (rest, !first);
            i32::from_be_bytes(*partition)
        } else {
            partition_of(bytes, partitions)
        };
        Some(Self {
            bytes: bytes.into(),
            partition,
            order: [first, second],
        })
    }
}
