//! How a persistent query is doing.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

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

/// The state of a query and its last errors, shared between the query and those who list it.
#[derive(Debug)]
pub(crate) struct QueryStatus {
    inner: Mutex<(QueryState, VecDeque<QueryFailure>)>,
}

impl QueryStatus {
    pub(crate) fn new(state: QueryState) -> Self {
        Self {
            inner: Mutex::new((state, VecDeque::new())),
        }
    }

    pub(crate) fn state(&self) -> QueryState {
        self.lock().0
    }

    pub(crate) fn set(&self, state: QueryState) {
        self.lock().0 = state;
    }

    /// Notes a failure; the state is then [`QueryState::Error`].
    pub(crate) fn fail(&self, reason: String) {
        let mut inner = self.lock();
        inner.0 = QueryState::Error;
        if inner.1.len() == REMEMBERED_ERRORS {
            inner.1.pop_front();
        }
        inner.1.push_back(QueryFailure {
            at: Timestamp::now(),
            reason,
        });
    }

    /// The last errors, the oldest first.
    pub(crate) fn failures(&self) -> Vec<QueryFailure> {
        self.lock().1.iter().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (QueryState, VecDeque<QueryFailure>)> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
