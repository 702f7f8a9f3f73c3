//! What the hosts' result lines add up to: each host's queries, and the rows that are there now.
//!
//! osquery logs differences: `added` and `removed` rows, a snapshot at once, or a batch of both. Taken together from the
//! beginning they are the present: the processes that run, the files they hold open. The time of a row is the host's.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How many hosts are followed.
const HOST_LIMIT: usize = 64;
/// How many queries of a host are followed.
const QUERY_LIMIT: usize = 64;
/// How many rows of one query on one host are kept.
const ROW_LIMIT: usize = 10_000;
/// How many rows are kept in all.
const TOTAL_LIMIT: usize = 40_000;
/// How many of the latest lines about processes are kept for each host.
const HISTORY_LIMIT: usize = 500;

/// A line as osquery's filesystem and Kafka loggers write it.
#[derive(Debug, Deserialize)]
struct Line {
    name: String,
    #[serde(rename = "hostIdentifier")]
    host: String,
    #[serde(rename = "unixTime", default)]
    unix_time: Value,
    #[serde(default)]
    epoch: Value,
    #[serde(default)]
    counter: Value,
    action: Option<String>,
    columns: Option<Map<String, Value>>,
    snapshot: Option<Vec<Map<String, Value>>>,
    #[serde(rename = "diffResults")]
    differences: Option<Differences>,
}

#[derive(Debug, Deserialize)]
struct Differences {
    #[serde(default)]
    added: Vec<Map<String, Value>>,
    #[serde(default)]
    removed: Vec<Map<String, Value>>,
}

/// What a query says of a host.
#[derive(Debug, Default)]
struct Table {
    topic: String,
    lines: u64,
    last_ms: i64,
    run: Option<(i64, i64)>,
    rows: HashMap<String, i64>,
}

/// One line about a process.
#[derive(Debug, Clone, Serialize)]
pub struct Happened {
    /// When, in milliseconds since 1970, by the host's clock.
    pub at: i64,
    /// The query that saw it.
    pub query: String,
    /// `added` or `removed`.
    pub action: String,
    /// The row.
    pub columns: Map<String, Value>,
}

#[derive(Debug, Default)]
struct Host {
    tables: BTreeMap<String, Table>,
    history: VecDeque<(String, Happened)>,
}

/// Every host that lines came from.
#[derive(Debug, Default)]
pub struct Hosts {
    hosts: BTreeMap<String, Host>,
    rows: usize,
    left_out: u64,
}

/// A host in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostSummary {
    /// Its name.
    pub name: String,
    /// When its last line was made, in milliseconds since 1970.
    pub last: i64,
    /// Its scheduled queries.
    pub queries: Vec<QuerySummary>,
}

/// A scheduled query of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuerySummary {
    /// Its name.
    pub name: String,
    /// The topic of its lines.
    pub topic: String,
    /// How many lines there were.
    pub lines: u64,
    /// How many rows are there now.
    pub rows: usize,
    /// When its last line was made.
    pub last: i64,
}

/// A row that is there now.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Since when, in milliseconds since 1970.
    pub since: i64,
    /// The columns.
    pub columns: Value,
}

/// Whether a record looks like a line of osquery's.
pub fn is_result_line(value: &[u8]) -> bool {
    serde_json::from_slice::<Line>(value)
        .is_ok_and(|line| line.columns.is_some() || line.snapshot.is_some() || line.differences.is_some())
}

impl Hosts {
    /// Takes the next line of a topic. What is no line of osquery's changes nothing.
    pub fn take(&mut self, topic: &str, value: &[u8], timestamp_ms: Option<i64>) {
        let Ok(line) = serde_json::from_slice::<Line>(value) else {
            return;
        };
        let is_known = self.hosts.contains_key(&line.host);
        if !is_known && self.hosts.len() >= HOST_LIMIT {
            self.left_out += 1;
            return;
        }
        let host = self.hosts.entry(line.host.clone()).or_default();
        if !host.tables.contains_key(&line.name) && host.tables.len() >= QUERY_LIMIT {
            self.left_out += 1;
            return;
        }
        let at = number(&line.unix_time).map_or_else(|| timestamp_ms.unwrap_or(0), |seconds| seconds * 1000);
        let table = host.tables.entry(line.name.clone()).or_default();
        table.topic = topic.to_owned();
        table.lines += 1;
        table.last_ms = table.last_ms.max(at);

        let run = (
            number(&line.epoch).unwrap_or(0),
            number(&line.counter).unwrap_or(0),
        );
        let begins_anew = line.snapshot.is_some()
            || table
                .run
                .is_some_and(|(epoch, counter)| epoch != run.0 || (run.1 == 0 && counter != 0));
        table.run = Some(run);
        if begins_anew {
            self.rows -= table.rows.len();
            table.rows.clear();
        }
        let (added, removed) = match (line.columns, line.snapshot, line.differences) {
            (Some(columns), _, _) if line.action.as_deref() == Some("removed") => (Vec::new(), vec![columns]),
            (Some(columns), _, _) => (vec![columns], Vec::new()),
            (_, Some(rows), _) => (rows, Vec::new()),
            (_, _, Some(differences)) => (differences.added, differences.removed),
            (None, None, None) => return,
        };
        for (action, rows) in [("removed", removed), ("added", added)] {
            for columns in rows {
                let text = text_of(&columns);
                if action == "removed" {
                    if table.rows.remove(&text).is_some() {
                        self.rows -= 1;
                    }
                } else if table.rows.len() >= ROW_LIMIT || self.rows >= TOTAL_LIMIT {
                    self.left_out += 1;
                } else if table.rows.insert(text, at).is_none() {
                    self.rows += 1;
                }
                let Some(pid) = columns.get("pid").and_then(Value::as_str) else {
                    continue;
                };
                if host.history.len() == HISTORY_LIMIT {
                    host.history.pop_front();
                }
                let happened = Happened {
                    at,
                    query: line.name.clone(),
                    action: action.to_owned(),
                    columns: columns.clone(),
                };
                host.history.push_back((pid.to_owned(), happened));
            }
        }
    }

    /// How many rows and lines did not fit.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Every host, by name.
    pub fn summaries(&self) -> Vec<HostSummary> {
        let query = |(name, table): (&String, &Table)| QuerySummary {
            name: name.clone(),
            topic: table.topic.clone(),
            lines: table.lines,
            rows: table.rows.len(),
            last: table.last_ms,
        };
        self.hosts
            .iter()
            .map(|(name, host)| HostSummary {
                name: name.clone(),
                last: host.tables.values().map(|table| table.last_ms).max().unwrap_or(0),
                queries: host.tables.iter().map(query).collect(),
            })
            .collect()
    }

    /// The rows of a query on a host that are there now, newest first, at most `limit`.
    pub fn rows(&self, host: &str, query: &str, limit: usize) -> Vec<Row> {
        let table = self.hosts.get(host).and_then(|host| host.tables.get(query));
        let mut rows: Vec<(&String, i64)> = table
            .map(|table| table.rows.iter().map(|(text, since)| (text, *since)).collect())
            .unwrap_or_default();
        rows.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(other.0)));
        rows.into_iter()
            .take(limit)
            .map(|(text, since)| row(text, since))
            .collect()
    }

    /// All rows of a host that name a process, by query.
    pub fn process(&self, host: &str, pid: &str) -> BTreeMap<String, Vec<Row>> {
        let mut found = BTreeMap::new();
        let Some(host) = self.hosts.get(host) else {
            return found;
        };
        for (query, table) in &host.tables {
            let rows: Vec<Row> = table
                .rows
                .iter()
                .map(|(text, since)| row(text, *since))
                .filter(|row| row.columns["pid"].as_str() == Some(pid))
                .collect();
            if !rows.is_empty() {
                found.insert(query.clone(), rows);
            }
        }
        found
    }

    /// The latest lines about a process, newest first.
    pub fn history(&self, host: &str, pid: &str) -> Vec<Happened> {
        let history = self.hosts.get(host).map(|host| &host.history);
        history
            .into_iter()
            .flatten()
            .rev()
            .filter(|(of, _)| of == pid)
            .map(|(_, happened)| happened.clone())
            .collect()
    }
}

/// A row as its own key: the columns in the order of their names.
fn text_of(columns: &Map<String, Value>) -> String {
    let sorted: BTreeMap<&String, &Value> = columns.iter().collect();
    // A map with text for keys is always JSON.
    serde_json::to_string(&sorted).unwrap_or_default()
}

fn row(text: &str, since: i64) -> Row {
    Row {
        since,
        columns: serde_json::from_str(text).unwrap_or_default(),
    }
}

/// A number, also one that is written as text.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn line(action: &str, counter: i64, pid: &str) -> Vec<u8> {
        json!({
            "name": "processes", "hostIdentifier": "host2", "unixTime": 100 + counter, "epoch": 0,
            "counter": counter, "columns": {"pid": pid, "name": "head"}, "action": action
        })
        .to_string()
        .into_bytes()
    }

    fn pids(hosts: &Hosts) -> Vec<String> {
        let mut pids: Vec<String> = hosts
            .rows("host2", "processes", 100)
            .iter()
            .map(|row| row.columns["pid"].as_str().unwrap().to_owned())
            .collect();
        pids.sort();
        pids
    }

    #[test]
    fn differences_add_up_to_what_is_there_now() {
        let mut hosts = Hosts::default();
        for (action, counter, pid) in [
            ("added", 0, "1"),
            ("added", 0, "2"),
            ("added", 1, "3"),
            ("removed", 2, "2"),
        ] {
            hosts.take("processes", &line(action, counter, pid), None);
        }
        assert_eq!(pids(&hosts), ["1", "3"]);
        // The agent began anew: what was known before does not count.
        hosts.take("processes", &line("added", 0, "9"), None);
        hosts.take("processes", &line("added", 0, "10"), None);
        assert_eq!(pids(&hosts), ["10", "9"]);
        let summary = &hosts.summaries()[0];
        assert_eq!((summary.name.as_str(), summary.last), ("host2", 102_000));
        assert_eq!((summary.queries[0].lines, summary.queries[0].rows), (6, 2));
        assert_eq!(hosts.history("host2", "2").len(), 2);
        assert_eq!(hosts.history("host2", "2")[0].action, "removed");
        assert_eq!(hosts.process("host2", "9").len(), 1);
    }

    #[test]
    fn snapshots_and_batches_are_read_and_other_records_are_not() {
        let mut hosts = Hosts::default();
        let snapshot =
            json!({"name": "processes", "hostIdentifier": "host2", "snapshot": [{"pid": "1"}, {"pid": "2"}]});
        hosts.take("t", snapshot.to_string().as_bytes(), Some(7));
        let batch = json!({"name": "processes", "hostIdentifier": "host2", "unixTime": "1",
            "diffResults": {"added": [{"pid": "3"}], "removed": [{"pid": "1"}]}});
        hosts.take("t", batch.to_string().as_bytes(), Some(7));
        assert_eq!(pids(&hosts), ["2", "3"]);
        for other in [
            "{}",
            "",
            "null",
            r#"{"name":"x"}"#,
            r#"{"name":"x","hostIdentifier":3,"columns":{}}"#,
        ] {
            hosts.take("t", other.as_bytes(), None);
            assert!(!is_result_line(other.as_bytes()));
        }
        assert_eq!(hosts.summaries().len(), 1);
        assert!(is_result_line(batch.to_string().as_bytes()));
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut hosts = Hosts::default();
        for pid in 0..ROW_LIMIT + 5 {
            hosts.take("t", &line("added", 0, &pid.to_string()), None);
        }
        assert_eq!(hosts.rows("host2", "processes", usize::MAX).len(), ROW_LIMIT);
        assert_eq!(hosts.left_out(), 5);
        assert_eq!(hosts.rows("host2", "processes", 10).len(), 10);
    }

    proptest! {
        /// However rows come and go, what is counted is what is there.
        #[test]
        fn rows_are_counted(steps in proptest::collection::vec((any::<bool>(), 0i64..3, 0u8..5), 0..60)) {
            let mut hosts = Hosts::default();
            for (added, counter, pid) in steps {
                hosts.take("t", &line(if added { "added" } else { "removed" }, counter, &pid.to_string()), None);
                prop_assert_eq!(hosts.rows, hosts.rows("host2", "processes", usize::MAX).len());
            }
        }
    }
}
