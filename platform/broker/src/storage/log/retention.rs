//! Giving up the oldest records: by age, by size, or because somebody asked for it.

use std::io;

use super::{Log, LogSettings};
use crate::storage::directory::Durability;

impl Log {
    /// Gives up everything before `offset` (at most the end of the log) and returns the new start.
    pub(crate) fn delete_before(&mut self, offset: i64) -> io::Result<i64> {
        let offset = offset.min(self.next_offset());
        if offset > self.start_offset {
            self.start_offset = offset;
            // Written down before the segments go, so that a crash cannot bring the records back.
            self.write_checkpoint(Durability::Disk)?;
        }
        while self.segments.len() > 1 && self.segments[0].index.next_offset <= self.start_offset {
            self.segments.remove(0).remove()?;
        }
        Ok(self.start_offset)
    }

    /// Deletes the segments that are too old at `now_ms`, or too much; returns how many.
    pub(crate) fn apply_retention(&mut self, now_ms: i64, settings: &LogSettings) -> io::Result<usize> {
        if let Some(retention_ms) = settings.retention_ms {
            let keep_from = now_ms.saturating_sub(retention_ms);
            let expired = self
                .segments
                .iter()
                .take_while(|segment| segment.size() > 0 && segment.newest_ms() < keep_from)
                .count();
            if expired == self.segments.len() {
                // Everything is too old: the segment being written is closed, so that it can go as well.
                self.roll()?;
            }
            self.drop_first(expired)?;
            if expired > 0 {
                return Ok(expired);
            }
        }
        let mut dropped = 0;
        if let Some(limit) = settings.retention_bytes {
            let mut excess = self.size().saturating_sub(limit);
            for segment in &self.segments[..self.segments.len() - 1] {
                if segment.size() > excess {
                    break;
                }
                excess -= segment.size();
                dropped += 1;
            }
            self.drop_first(dropped)?;
        }
        Ok(dropped)
    }

    /// Removes the first `count` segments, never the one being written.
    pub(super) fn drop_first(&mut self, count: usize) -> io::Result<()> {
        for _ in 0..count.min(self.segments.len() - 1) {
            let start = self.segments[1].base_offset;
            self.start_offset = self.start_offset.max(start);
            self.checkpoint_due = true;
            self.segments.remove(0).remove()?;
        }
        Ok(())
    }
}
