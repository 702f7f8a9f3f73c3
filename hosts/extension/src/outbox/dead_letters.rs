//! The file for lines that Kafka will never take, not even as dead letters.
//!
//! Each entry is a line of JSON that says why, and then the line itself, `bytes` long, and a line feed. The file is
//! bounded: when it is full it becomes `dead-letters.old`, and what had that name before is given up.

use std::io;

use serde_json::json;

use crate::spool::disk::{Disk, DiskFile};
use crate::spool::frame::Record;

const FILE: &str = "dead-letters";
const OLD_FILE: &str = "dead-letters.old";

/// Appends to the file on `D`.
#[derive(Debug)]
pub(super) struct DeadLetterFile<D: Disk> {
    disk: D,
    limit: u64,
    /// The file and its length, once it is open.
    open: Option<(D::File, u64)>,
}

/// What is said of a dead letter.
pub(super) struct Obituary<'o> {
    pub(super) reason: &'o str,
    pub(super) query: &'o str,
    /// The names that the line's headers would have.
    pub(super) spool: &'o str,
    pub(super) seq: u64,
}

impl<D: Disk> DeadLetterFile<D> {
    /// Both files together are at most `limit` bytes long.
    pub(super) fn new(disk: D, limit: u64) -> Self {
        Self {
            disk,
            limit,
            open: None,
        }
    }

    /// Adds an entry, durably. `Ok(false)` when it is larger than the file may ever be.
    pub(super) fn append(&mut self, record: &Record<'_>, obituary: &Obituary<'_>) -> io::Result<bool> {
        let head = json!({
            "reason": obituary.reason,
            "query": obituary.query,
            "topic": record.topic,
            "key": record.key.map(String::from_utf8_lossy),
            "bytes": record.value.len(),
            "unixTimeMs": record.unix_ms,
            "spool": obituary.spool,
            "seq": obituary.seq,
        });
        let mut entry = head.to_string().into_bytes();
        entry.push(b'\n');
        entry.extend_from_slice(record.value);
        entry.push(b'\n');
        if entry.len() as u64 > self.limit / 2 {
            return Ok(false);
        }
        let (file, length) = match self.open.take() {
            Some(open) => open,
            None => self.open_file()?,
        };
        let (file, length) = match length + entry.len() as u64 > self.limit / 2 {
            true => {
                tracing::warn!(
                    "the file of dead letters is full and begun anew; the one before it is given up"
                );
                self.disk.rename(FILE, OLD_FILE)?;
                (self.disk.create(FILE)?, 0)
            }
            false => (file, length),
        };
        file.write_at(&entry, length)?;
        file.sync()?;
        self.open = Some((file, length + entry.len() as u64));
        Ok(true)
    }

    fn open_file(&self) -> io::Result<(D::File, u64)> {
        let file = match self.disk.open(FILE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.disk.create(FILE)?,
            opened => opened?,
        };
        let length = file.length()?;
        Ok((file, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::simulated_disk::SimulatedDisk;

    #[test]
    fn entries_can_be_read_again_and_are_bounded() {
        let disk = SimulatedDisk::default();
        let obituary = Obituary {
            reason: "too large",
            query: "q",
            spool: "s",
            seq: 7,
        };
        let append = |value: &[u8]| {
            let record = Record {
                unix_ms: 1,
                topic: "t",
                key: None,
                value,
            };
            // Opened anew each time, as after a restart.
            DeadLetterFile::new(disk.clone(), 1000)
                .append(&record, &obituary)
                .unwrap()
        };
        assert!(append(b"caf\xe9"));
        assert!(!append(&[b'x'; 500]));
        for _ in 0..5 {
            assert!(append(&[b'y'; 200]));
        }
        let read = |name| {
            let file = disk.open(name).unwrap();
            let mut bytes = vec![0; 1000];
            let count = file.read_at(&mut bytes, 0).unwrap();
            bytes.truncate(count);
            bytes
        };
        let (new, old) = (read(FILE), read(OLD_FILE));
        assert!(new.len() <= 500 && old.len() <= 500);
        let end = new.iter().position(|byte| *byte == b'\n').unwrap();
        let head: serde_json::Value = serde_json::from_slice(&new[..end]).unwrap();
        let expected = json!({
            "reason": "too large", "query": "q", "topic": "t", "key": null, "bytes": 200, "unixTimeMs": 1,
            "spool": "s", "seq": 7,
        });
        assert_eq!(head, expected);
        assert_eq!(&new[end + 1..], [[b'y'; 200].as_slice(), b"\n"].concat());
    }
}
