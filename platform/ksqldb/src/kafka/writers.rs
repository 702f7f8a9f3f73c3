//! How far the queries of this server have come that write topics which others of its queries read.
//!
//! A query that joins two such topics would see the whole of one before the other, where the query that fills it is
//! faster; its reader waits instead for the one that is behind. Only while a query catches up with what was there
//! when it began: afterwards nobody waits for it.

use std::collections::{BTreeSet, HashMap};
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

/// A query that writes a topic.
#[derive(Debug, Default)]
struct Writer {
    progress: Arc<Progress>,
    /// The topics it reads.
    inputs: BTreeSet<String>,
}

/// The queries that write, by topic.
type Topics = HashMap<String, HashMap<String, Writer>>;

/// The queries that write.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    topics: RwLock<Topics>,
}

impl Writers {
    /// The progress of a query that writes a topic.
    pub(crate) fn of(
        &self,
        topic: &str,
        query: &str,
        inputs: impl IntoIterator<Item = String>,
    ) -> Arc<Progress> {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let queries = topics.entry(topic.to_owned()).or_default();
        let writer = queries.entry(query.to_owned()).or_default();
        writer.inputs = inputs.into_iter().collect();
        Arc::clone(&writer.progress)
    }

    /// Forgets a query.
    pub(crate) fn forget(&self, query: &str) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        for queries in topics.values_mut() {
            queries.remove(query);
        }
        topics.retain(|_, queries| !queries.is_empty());
    }

    /// Whether a reader at that position of a partition may still get a record of a time from one of them. Those that
    /// read what the reader itself writes, to its sink, do not count: each would wait for the other.
    pub(crate) fn may_write(
        &self,
        sink: Option<&str>,
        (topic, partition): (&str, i32),
        position: i64,
        time: i64,
    ) -> bool {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        let mut queries = topics.get(topic).into_iter().flat_map(HashMap::values);
        queries.any(|writer| {
            writer.progress.may_write(partition, position, time)
                && sink.is_none_or(|sink| !depends_on(&topics, writer, sink))
        })
    }
}

/// Whether a query reads a topic, or what queries make of it.
fn depends_on(topics: &Topics, writer: &Writer, sink: &str) -> bool {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut next: Vec<&str> = writer.inputs.iter().map(String::as_str).collect();
    while let Some(topic) = next.pop() {
        if topic == sink {
            return true;
        }
        if seen.insert(topic) {
            let queries = topics.get(topic).into_iter().flat_map(HashMap::values);
            next.extend(queries.flat_map(|query| &query.inputs).map(String::as_str));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_waits_for_a_writer_that_is_behind_and_for_no_other() {
        let writers = Writers::default();
        assert!(!writers.may_write(None, ("t", 0), 0, 100));
        let progress = writers.of("t", "Q", []);
        assert!(
            writers.may_write(None, ("t", 0), 0, 100),
            "it has not told anything yet"
        );
        progress.note(Some(50), vec![7], false);
        assert!(writers.may_write(None, ("t", 0), 7, 100), "it has come to 50");
        assert!(!writers.may_write(None, ("t", 0), 7, 50));
        assert!(
            writers.may_write(None, ("t", 0), 6, 50),
            "what it wrote is not read yet"
        );
        progress.note(Some(60), vec![9], true);
        assert!(writers.may_write(None, ("t", 0), 8, 1000));
        assert!(!writers.may_write(None, ("t", 0), 9, 1000));
        progress.begin();
        assert!(writers.may_write(None, ("t", 0), 9, 0) && !progress.is_caught_up());
        progress.leave();
        assert!(!writers.may_write(None, ("t", 0), 0, 1000));
        progress.begin();
        writers.forget("Q");
        assert!(!writers.may_write(None, ("t", 0), 0, 1000));
    }

    #[test]
    fn a_query_waits_for_none_that_waits_for_it() {
        let writers = Writers::default();
        let reads = |topic: &str| [topic.to_owned()];
        // Two feed each other, by way of a third; a fourth reads what one of them writes; one feeds itself.
        writers.of("y", "A", reads("x"));
        writers.of("v", "B", reads("y"));
        writers.of("x", "C", reads("v"));
        writers.of("z", "D", reads("y"));
        writers.of("s", "E", reads("s"));
        let waits = |sink: Option<&str>, topic: &str| writers.may_write(sink, (topic, 0), 0, 100);
        assert!(!waits(Some("y"), "x") && !waits(Some("x"), "v") && !waits(Some("s"), "s"));
        assert!(waits(Some("z"), "y") && waits(None, "x"));
    }
}
