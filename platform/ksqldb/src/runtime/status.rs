//! How a persistent query is doing.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::traffic::{Meter, Tally, Traffic};

/// How many errors a query remembers (`ksql.query.error.max.queue.size`).
const REMEMBERED_ERRORS: usize = 10;

/// What a query is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueryState {
    /// It processes records.
    Running,
    /// `PAUSE`
    Paused,
    /// It failed and will be tried again.
    Error,
}

impl QueryState {
    /// As the API prints it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Error => "ERROR",
        }
    }
}

/// Why a query failed, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueryFailure {
    /// When.
    pub(crate) at: Timestamp,
    /// Why.
    pub(crate) reason: String,
}

/// The state of a query, its last errors and what it has read and written, shared between the query and those who list it.
#[derive(Debug)]
pub(crate) struct QueryStatus {
    inner: Mutex<Inner>,
    traffic: Mutex<Traffic>,
}

#[derive(Debug)]
struct Inner {
    state: QueryState,
    failures: VecDeque<QueryFailure>,
    restored: Option<u8>,
}

impl QueryStatus {
    pub(crate) fn new(state: QueryState) -> Self {
        Self {
            inner: Mutex::new(Inner {
                state,
                failures: VecDeque::new(),
                restored: None,
            }),
            traffic: Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> QueryState {
        self.lock().state
    }

    pub(crate) fn set(&self, state: QueryState) {
        let mut inner = self.lock();
        inner.state = state;
        inner.restored = None;
    }

    /// Notes that so many of so many records of its changelogs are read.
    pub(crate) fn restore(&self, read: i64, all: i64) {
        let percent = i128::from(read) * 100 / i128::from(all.max(1));
        self.lock().restored = Some(u8::try_from(percent.clamp(0, 100)).unwrap_or(100));
    }

    /// How much of its state is restored, in percent, while that is being done.
    pub(crate) fn restored(&self) -> Option<u8> {
        self.lock().restored
    }

    /// Notes a failure; the state is then [`QueryState::Error`].
    pub(crate) fn fail(&self, reason: String) {
        let mut inner = self.lock();
        inner.state = QueryState::Error;
        inner.restored = None;
        if inner.failures.len() == REMEMBERED_ERRORS {
            inner.failures.pop_front();
        }
        inner.failures.push_back(QueryFailure {
            at: osqdemo_clock::timestamp(),
            reason,
        });
    }

    /// The last errors, the oldest first.
    pub(crate) fn failures(&self) -> Vec<QueryFailure> {
        self.lock().failures.iter().cloned().collect()
    }

    /// Takes in what was counted.
    pub(super) fn note(&self, tally: &mut Tally) {
        self.traffic()
            .note(tally, osqdemo_clock::timestamp().as_millisecond());
    }

    /// What it has read of a topic.
    pub(crate) fn read(&self, topic: &str) -> Meter {
        self.traffic().read(topic)
    }

    /// What it has written to its sink.
    pub(crate) fn written(&self) -> Meter {
        self.traffic().written()
    }

    fn traffic(&self) -> std::sync::MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_restored_is_told_until_it_runs_or_fails() {
        let status = QueryStatus::new(QueryState::Running);
        assert_eq!(status.restored(), None);
        for (read, all, percent) in [
            (0, 3, 0),
            (2, 3, 66),
            (3, 3, 100),
            (0, 0, 0),
            (i64::MAX, i64::MAX, 100),
        ] {
            status.restore(read, all);
            assert_eq!(status.restored(), Some(percent));
        }
        status.set(QueryState::Running);
        assert_eq!(status.restored(), None);
        status.restore(1, 2);
        status.fail("no room".to_owned());
        assert_eq!((status.restored(), status.state()), (None, QueryState::Error));
    }
}
