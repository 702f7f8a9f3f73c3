//! What is checked of a batch before it goes into a log, and what is changed in it where the topic asks for that.
//!
//! Everything Kafka's `LogValidator` checks is checked: a batch that consumers could not read is never acknowledged.
//! It needs neither the log nor its lock.

use std::borrow::Cow;

use super::compression::Compression;
use super::records::{Rebuilt, Records, put_checksum, rebuilt};
use super::{APPEND_TIME, BatchFault, BatchHeader};

/// Records named one by one in a refusal; a client that gets so many knows enough.
const MAX_NAMED_RECORDS: usize = 100;

/// What a topic asks of the batches that come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AcceptanceSettings {
    /// Largest batch accepted, as it is stored.
    pub(crate) max_message_bytes: usize,
    /// How batches are to be compressed; `None` leaves that to the producer.
    pub(crate) compression: Option<Target>,
    /// Whose time records carry.
    pub(crate) time: RecordTime,
    /// Whether every record must have a key, because the topic is compacted.
    pub(crate) keys_required: bool,
}

/// How batches are to be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    codec: Compression,
    level: Option<i32>,
}

impl Target {
    /// A codec, and how hard it is to try where it can be told.
    pub(crate) fn of(codec: Compression, level: Option<i32>) -> Self {
        Self { codec, level }
    }
}

/// Whose time records carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordTime {
    /// The producer's, within limits.
    Create {
        /// How far it may lie in the past, in milliseconds.
        max_before_ms: i64,
        /// How far it may lie in the future, in milliseconds.
        max_after_ms: i64,
    },
    /// The broker's.
    Append,
}

/// A batch that may go into the log.
#[derive(Debug)]
pub(crate) struct Accepted<'a> {
    /// Its header, without an offset yet.
    pub(crate) header: BatchHeader,
    /// The batch as it is to be stored.
    pub(crate) bytes: Cow<'a, [u8]>,
    /// The time the broker has given it, where the topic asks for that.
    pub(crate) append_time: Option<i64>,
}

/// Why a batch is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It is not a whole, undamaged batch.
    #[error("the batch is refused: {0}")]
    Batch(#[from] BatchFault),
    /// It is larger than the topic allows.
    #[error("the batch has {size} bytes, the topic takes {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The topic's `max.message.bytes`.
        limit: usize,
    },
    /// A client sent a marker only the broker may write.
    #[error("control batches are the broker's own")]
    Control,
    /// Records of it have no key, which a compacted topic needs.
    #[error("a compacted topic takes no record without a key")]
    NoKey {
        /// Their positions in the batch, the first hundred.
        records: Vec<i32>,
    },
    /// Records of it lie too far in the past or in the future.
    #[error("timestamps lie outside what the topic takes")]
    Time {
        /// Their positions in the batch, the first hundred.
        records: Vec<i32>,
    },
}

/// Checks a batch a producer sent, and changes what the topic asks to be changed.
pub(crate) fn accept<'a>(
    bytes: &'a [u8],
    now_ms: i64,
    settings: &AcceptanceSettings,
) -> Result<Accepted<'a>, Refusal> {
    let mut header = BatchHeader::parse_produced(bytes)?;
    let check_size = |size: usize| {
        let limit = settings.max_message_bytes;
        if size > limit {
            return Err(Refusal::TooLarge { size, limit });
        }
        Ok(())
    };
    check_size(header.size)?;
    if header.is_control() {
        return Err(Refusal::Control);
    }
    if header.is_idempotent() && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return Err(BatchFault::Sequence.into());
    }
    // What the producer says about the append time counts for nothing.
    let claimed = header.attributes;
    header.attributes &= !APPEND_TIME;
    let records = Records::of(&header, bytes)?;
    let max_timestamp = check_records(&header, &records, now_ms, settings)?;
    let (wanted_time, append_time) = match settings.time {
        RecordTime::Create { .. } => (max_timestamp, None),
        RecordTime::Append => {
            header.attributes |= APPEND_TIME;
            (now_ms, Some(now_ms))
        }
    };
    let present = header.compression()?;
    let (wanted, level) = settings
        .compression
        .map_or((present, None), |target| (target.codec, target.level));
    if present == wanted && wanted_time == header.max_timestamp && claimed == header.attributes {
        return Ok(Accepted {
            header,
            bytes: Cow::Borrowed(bytes),
            append_time,
        });
    }
    let stored = if present == wanted {
        let mut stored = bytes.to_vec();
        stored[21..23].copy_from_slice(&header.attributes.to_be_bytes());
        stored[35..43].copy_from_slice(&wanted_time.to_be_bytes());
        put_checksum(&mut stored);
        stored
    } else {
        let change = Rebuilt {
            attributes: header.attributes,
            compression: wanted,
            level,
            max_timestamp: wanted_time,
            record_count: header.record_count,
        };
        rebuilt(bytes, records.plain(), change)
    };
    check_size(stored.len())?;
    Ok(Accepted {
        header: BatchHeader::parse(&stored)?,
        bytes: Cow::Owned(stored),
        append_time,
    })
}

/// Checks every record and returns the largest timestamp.
fn check_records(
    header: &BatchHeader,
    records: &Records<'_>,
    now_ms: i64,
    settings: &AcceptanceSettings,
) -> Result<i64, Refusal> {
    let mut max_timestamp = -1;
    let (mut without_key, mut wrong_time) = (Vec::new(), Vec::new());
    for (position, record) in (0..).zip(records.iter()) {
        let record = record?;
        if Some(record.offset) != header.base_offset.checked_add(i64::from(position)) {
            return Err(BatchFault::Record.into());
        }
        max_timestamp = record.timestamp.max(max_timestamp);
        if settings.keys_required && record.key.is_none() && without_key.len() < MAX_NAMED_RECORDS {
            without_key.push(position);
        }
        if let RecordTime::Create {
            max_before_ms,
            max_after_ms,
        } = settings.time
        {
            let age = now_ms.saturating_sub(record.timestamp);
            let off = age > max_before_ms || age < max_after_ms.saturating_neg();
            // Minus one stands for none.
            if record.timestamp != -1
                && (off || record.timestamp < -1)
                && wrong_time.len() < MAX_NAMED_RECORDS
            {
                wrong_time.push(position);
            }
        }
    }
    if !without_key.is_empty() {
        return Err(Refusal::NoKey { records: without_key });
    }
    if !wrong_time.is_empty() {
        return Err(Refusal::Time { records: wrong_time });
    }
    Ok(max_timestamp)
}
