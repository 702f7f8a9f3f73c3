//! How long a statement may run. SQLite asks every so many steps whether to go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// How many steps of SQLite's machine lie between two looks at the clock: a fraction of a millisecond.
const STEPS: i32 = 20_000;

/// The limit, and when the statement that runs now has reached it. Times are milliseconds since `epoch`.
pub(super) struct TimeLimit {
    epoch: Instant,
    limit: AtomicU64,
    deadline: Arc<AtomicU64>,
}

impl TimeLimit {
    /// Without a limit at first.
    pub(super) fn watch(connection: &mut Connection) -> Result<Self, rusqlite::Error> {
        let epoch = Instant::now();
        let deadline = Arc::new(AtomicU64::new(u64::MAX));
        let watched = Arc::clone(&deadline);
        connection.progress_handler(
            STEPS,
            Some(move || milliseconds(epoch.elapsed()) >= watched.load(Ordering::Relaxed)),
        )?;
        Ok(Self {
            epoch,
            limit: AtomicU64::new(0),
            deadline,
        })
    }

    /// Zero is no limit.
    pub(super) fn set(&self, limit: Duration) {
        self.limit.store(milliseconds(limit), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Duration {
        Duration::from_millis(self.limit.load(Ordering::Relaxed))
    }

    /// A statement begins.
    pub(super) fn begin(&self) {
        let deadline = match self.limit.load(Ordering::Relaxed) {
            0 => u64::MAX,
            limit => milliseconds(self.epoch.elapsed()).saturating_add(limit),
        };
        self.deadline.store(deadline, Ordering::Relaxed);
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
