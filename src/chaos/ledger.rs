//! What comes along while a run is going on: what the hosts' work waits for, and what is compared at the end with what
//! is still there.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::check::{Finding, FindingKind};
use super::history::{Line, Place, Print, Row};
use super::join;
use super::model::{OPEN_FILES, PROCESSES};
use crate::kafka::{KafkaError, Record, Tail};

/// How many records are compared at the end with what is there then: 100 bytes each.
const MOST_COMPARED: usize = 1_000_000;

/// What has come along so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// The first line of each file of the run, by the file's name.
    pub files: HashMap<String, Line>,
    /// The last line that says a process is there, by host and pid.
    pub processes: HashMap<(String, String), Line>,
    /// The files that are in a row of the join, with the process that the row names.
    pub joined: HashSet<(String, String)>,
    /// Where which line was.
    pub read: Vec<(Place, Print)>,
    /// Logs that went back.
    pub findings: Vec<Finding>,
    next: ReadUpTo,
}

/// The offset after the last line that was read, by topic and partition.
pub type ReadUpTo = HashMap<(String, i32), i64>;

/// Shared by whoever reads and whoever waits.
#[derive(Debug)]
pub struct Ledger {
    seen: Mutex<Seen>,
    changes: watch::Sender<()>,
    /// What the names of the run's files begin with.
    marker: String,
    /// The topic of the run's own join.
    joined: String,
}

impl Ledger {
    /// An empty one.
    pub fn new(marker: &str, joined: &str) -> Self {
        Self {
            seen: Mutex::default(),
            changes: watch::Sender::new(()),
            marker: marker.to_owned(),
            joined: joined.to_owned(),
        }
    }

    /// The topics that are followed.
    pub fn topics(&self) -> [&str; 3] {
        [PROCESSES, OPEN_FILES, &self.joined]
    }

    /// Writes down what comes, without an end.
    ///
    /// # Errors
    /// When a topic cannot be read any more.
    pub async fn follow(&self, tail: &Tail) -> Result<(), KafkaError> {
        loop {
            let record = tail.next().await?;
            self.take(&record);
            // Nobody may be waiting.
            let _ = self.changes.send(());
        }
    }

    fn take(&self, record: &Record) {
        let mut seen = self.seen();
        let next = seen
            .next
            .entry((record.topic.clone(), record.partition))
            .or_default();
        if record.offset < *next {
            let what = format!(
                "`{}` was read up to offset {}, and then from offset {} on: its end was lost",
                record.topic, next, record.offset
            );
            let finding = Finding {
                kind: FindingKind::Vanished,
                what,
                time_ms: record.timestamp_ms.unwrap_or_default(),
                round: None,
            };
            *next = record.offset + 1;
            seen.findings.push(finding);
        }
        if let Some(next) = seen.next.get_mut(&(record.topic.clone(), record.partition)) {
            *next = record.offset + 1;
        }
        if record.topic == self.joined {
            let row = Row::read(record, &join::COLUMNS);
            if let [_, Some(pid), _, Some(file), ..] = row.values.as_slice()
                && let Some(name) = self.own(file)
            {
                seen.joined.insert((name.to_owned(), pid.clone()));
            }
            return;
        }
        let line = Line::read(record);
        if seen.read.len() < MOST_COMPARED {
            seen.read.push((line.place.clone(), line.print.clone()));
        }
        if line.action.as_deref() == Some("removed") {
            return;
        }
        if record.topic == OPEN_FILES {
            let name = line.path.as_deref().and_then(|path| self.own(path));
            if let Some(name) = name.map(str::to_owned) {
                seen.files.entry(name).or_insert(line);
            }
        } else if let (Some(host), Some(pid)) = (&line.host, &line.pid) {
            seen.processes.insert((host.clone(), pid.clone()), line);
        }
    }

    /// The name of a file of the run's.
    fn own<'a>(&self, path: &'a str) -> Option<&'a str> {
        let name = path.rsplit('/').next()?;
        name.starts_with(&self.marker).then_some(name)
    }

    /// Looks at what has come along each time that something comes, until there is what is looked for.
    pub async fn until<T>(&self, limit: Duration, look: impl Fn(&Seen) -> Option<T>) -> Option<T> {
        let mut changes = self.changes.subscribe();
        let looking = async {
            loop {
                changes.mark_unchanged();
                let found = look(&self.seen());
                if found.is_some() {
                    return found;
                }
                if changes.changed().await.is_err() {
                    return None;
                }
            }
        };
        timeout(limit, looking).await.ok().flatten()
    }

    /// Gives away what has come along.
    pub fn taken(&self) -> Seen {
        std::mem::take(&mut *self.seen())
    }

    /// How far it has read.
    pub fn read_up_to(&self) -> ReadUpTo {
        self.seen().next.clone()
    }

    /// A file of the run is done with.
    pub fn forget(&self, file: &str) {
        let mut seen = self.seen();
        seen.files.remove(file);
        seen.joined.retain(|(name, _)| name != file);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Nothing that holds it can panic half-way through a change.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::chaos::history::tests::record;

    fn ledger() -> Ledger {
        Ledger::new("chaos-0a1b-", "joined")
    }

    fn line(offset: i64, topic: &str, columns: &Value) -> Record {
        let value = json!({ "hostIdentifier": "host1", "action": "added", "columns": columns });
        record(topic, offset, &value)
    }

    #[tokio::test]
    async fn what_comes_is_found_by_who_waits() {
        let ledger = ledger();
        let file = json!({ "pid": "7", "path": "/home/chaos-0a1b-1" });
        let wait = ledger.until(Duration::from_secs(60), |seen| {
            seen.files.get("chaos-0a1b-1").cloned()
        });
        let come = async {
            ledger.take(&line(
                0,
                OPEN_FILES,
                &json!({ "pid": "7", "path": "/home/chaos-ffff-1" }),
            ));
            ledger.take(&line(1, OPEN_FILES, &file));
            ledger.changes.send(()).unwrap();
        };
        let (found, ()) = tokio::join!(wait, come);
        assert_eq!(found.unwrap().pid.as_deref(), Some("7"));
        assert_eq!(ledger.seen().files.len(), 1, "those of others are not kept");
        ledger.forget("chaos-0a1b-1");
        let none = ledger.until(Duration::ZERO, |seen| seen.files.get("chaos-0a1b-1").cloned());
        assert_eq!(none.await, None);
    }

    #[test]
    fn a_log_that_goes_back_is_a_finding() {
        let ledger = ledger();
        for offset in [0, 1, 2, 5] {
            ledger.take(&line(offset, PROCESSES, &json!({ "pid": "7", "name": "sleep" })));
        }
        assert!(
            ledger.seen().findings.is_empty(),
            "what was compacted away leaves gaps"
        );
        ledger.take(&line(3, PROCESSES, &json!({ "pid": "7", "name": "sleep" })));
        let seen = ledger.taken();
        assert_eq!(seen.findings.len(), 1);
        assert_eq!(
            seen.findings[0].what,
            "`processes` was read up to offset 6, and then from offset 3 on: its end was lost"
        );
        assert_eq!(seen.read.len(), 5);
    }

    #[test]
    fn rows_of_the_join_are_kept_by_file_and_process() {
        let ledger = ledger();
        let value =
            json!({ "HOST": "host1", "PID": "7", "PROC": "/bin/sleep", "FILE": "/home/chaos-0a1b-1" });
        ledger.take(&record("joined", 0, &value));
        assert!(
            ledger
                .seen()
                .joined
                .contains(&("chaos-0a1b-1".to_owned(), "7".to_owned()))
        );
        assert!(ledger.seen().read.is_empty());
    }
}
