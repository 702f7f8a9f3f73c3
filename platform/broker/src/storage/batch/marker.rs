//! The batch that ends a transaction in a partition: one record that says whether what came before it counts (KIP-98).
//!
//! Key and value are Kafka's own: two 16-bit numbers, version and kind, and the epoch of the coordinator that wrote it.

use bytes::Buf;
use serde::{Deserialize, Serialize};

use super::records::{Records, put_checksum};
use super::{BatchFault, BatchHeader, CONTROL, HEADER_LEN, MAGIC, PREAMBLE_LEN, TRANSACTIONAL};

const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// How a transaction has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// All of it counts.
    Commit,
    /// Nothing of it counts.
    Abort,
}

/// The batch that ends a producer's transaction; its offset is filled in where it is stored.
pub(crate) fn marker(producer_id: i64, epoch: i16, outcome: Outcome, now_ms: i64) -> Vec<u8> {
    let kind = match outcome {
        Outcome::Commit => COMMIT,
        Outcome::Abort => ABORT,
    };
    // Lengths are zig-zag numbers below 64: attributes, time and offset of the record are zero.
    let mut record = vec![0, 0, 0, 4 << 1, 0, 0];
    record.extend_from_slice(&kind.to_be_bytes());
    record.extend_from_slice(&[6 << 1, 0, 0, 0, 0, 0, 0, 0]);
    let mut batch = Vec::with_capacity(HEADER_LEN + 1 + record.len());
    batch.extend_from_slice(&0i64.to_be_bytes());
    let length = HEADER_LEN - PREAMBLE_LEN + 1 + record.len();
    batch.extend_from_slice(&(length as i32).to_be_bytes());
    batch.extend_from_slice(&0i32.to_be_bytes());
    batch.extend_from_slice(&MAGIC.to_be_bytes());
    batch.extend_from_slice(&[0; 4]); // the checksum
    batch.extend_from_slice(&(TRANSACTIONAL | CONTROL).to_be_bytes());
    batch.extend_from_slice(&0i32.to_be_bytes());
    batch.extend_from_slice(&now_ms.to_be_bytes());
    batch.extend_from_slice(&now_ms.to_be_bytes());
    batch.extend_from_slice(&producer_id.to_be_bytes());
    batch.extend_from_slice(&epoch.to_be_bytes());
    batch.extend_from_slice(&(-1i32).to_be_bytes());
    batch.extend_from_slice(&1i32.to_be_bytes());
    batch.push((record.len() as u8) << 1);
    batch.extend_from_slice(&record);
    put_checksum(&mut batch);
    batch
}

/// How the transaction ended that a control batch ends; `None` where it is another kind of control batch.
pub(crate) fn outcome(header: &BatchHeader, batch: &[u8]) -> Result<Option<Outcome>, BatchFault> {
    let records = Records::of(header, batch)?;
    let Some(record) = records.iter().next().transpose()? else {
        return Ok(None);
    };
    let mut key = record.key.unwrap_or_default();
    let kind = key.try_get_i16().and_then(|_version| key.try_get_i16());
    Ok(match kind {
        Ok(COMMIT) => Some(Outcome::Commit),
        Ok(ABORT) => Some(Outcome::Abort),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_says_what_it_was_made_for() {
        for wanted in [Outcome::Commit, Outcome::Abort] {
            let bytes = marker(7, 3, wanted, 1_000);
            let header = BatchHeader::parse_produced(&bytes).unwrap();
            assert!(header.is_control() && header.is_transactional());
            assert_eq!((header.producer_id, header.producer_epoch), (7, 3));
            assert_eq!(outcome(&header, &bytes), Ok(Some(wanted)));
        }
    }
}
