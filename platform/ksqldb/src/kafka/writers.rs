//! How far the queries of this server have come that write topics which others of its queries read.
//!
//! A query that joins two such topics would see the whole of one before the other, where the query that fills it is
//! faster; its reader waits instead for the one that is behind. Only while a query catches up with what was there
//! when it began: afterwards nobody waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// How far a query has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    /// The time of the last record whose results are in the topic.
    time: Option<i64>,
    /// Where each partition of the topic ended then.
    ends: Vec<i64>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It reads what was there before it.
    #[default]
    CatchingUp,
    /// It has read all that.
    CaughtUp,
    /// It does not run.
    Away,
}

impl Progress {
    /// Notes that all results of records up to a time are in the topic, which ends so.
    pub(crate) fn note(&self, time: Option<i64>, ends: Vec<i64>, caught_up: bool) {
        let mut state = self.lock();
        state.stage = if caught_up {
            Stage::CaughtUp
        } else {
            Stage::CatchingUp
        };
        state.time = time;
        state.ends = ends;
    }

    /// Notes that the query begins again, and catches up.
    pub(crate) fn begin(&self) {
        *self.lock() = State::default();
    }

    /// Notes that the query does not run.
    pub(crate) fn leave(&self) {
        self.lock().stage = Stage::Away;
    }

    pub(crate) fn is_caught_up(&self) -> bool {
        self.lock().stage == Stage::CaughtUp
    }

    /// Whether a reader at that position of a partition may still get a record of a time.
    fn may_write(&self, partition: i32, position: i64, time: i64) -> bool {
        let state = self.lock();
        let end = usize::try_from(partition)
            .ok()
            .and_then(|index| state.ends.get(index));
        let is_unread = end.is_some_and(|end| position < *end);
        match state.stage {
            Stage::Away => false,
            Stage::CaughtUp => is_unread,
            Stage::CatchingUp => is_unread || state.time.is_none_or(|reached| reached < time),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queries that write, by topic.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    topics: RwLock<HashMap<String, HashMap<String, Arc<Progress>>>>,
}

impl Writers {
    /// The progress of a query that writes a topic.
    pub(crate) fn of(&self, topic: &str, query: &str) -> Arc<Progress> {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let queries = topics.entry(topic.to_owned()).or_default();
        Arc::clone(queries.entry(query.to_owned()).or_default())
    }

    /// Forgets a query.
    pub(crate) fn forget(&self, query: &str) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        for queries in topics.values_mut() {
            queries.remove(query);
        }
        topics.retain(|_, queries| !queries.is_empty());
    }

    /// Whether a reader at that position of a partition may still get a record of a time from one of them.
    pub(crate) fn may_write(&self, topic: &str, partition: i32, position: i64, time: i64) -> bool {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        let mut queries = topics.get(topic).into_iter().flat_map(HashMap::values);
        queries.any(|progress| progress.may_write(partition, position, time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_waits_for_a_writer_that_is_behind_and_for_no_other() {
        let writers = Writers::default();
        assert!(!writers.may_write("t", 0, 0, 100));
        let progress = writers.of("t", "Q");
        assert!(writers.may_write("t", 0, 0, 100), "it has not told anything yet");
        progress.note(Some(50), vec![7], false);
        assert!(writers.may_write("t", 0, 7, 100), "it has come to 50");
        assert!(!writers.may_write("t", 0, 7, 50));
        assert!(writers.may_write("t", 0, 6, 50), "what it wrote is not read yet");
        progress.note(Some(60), vec![9], true);
        assert!(writers.may_write("t", 0, 8, 1000));
        assert!(!writers.may_write("t", 0, 9, 1000));
        progress.begin();
        assert!(writers.may_write("t", 0, 9, 0) && !progress.is_caught_up());
        progress.leave();
        assert!(!writers.may_write("t", 0, 0, 1000));
        progress.begin();
        writers.forget("Q");
        assert!(!writers.may_write("t", 0, 0, 1000));
    }
}
