//! What a scenario sees on its way through the pipeline: records and rows, read into what matters of them.

use jiff::Timestamp;
use serde_json::Value;

use crate::kafka::Record;
use crate::ksqldb::cell::Cell;
use crate::ksqldb::rows::Row;

/// The topic that osquery's lines about processes go to.
pub const PROCESSES: &str = "processes";
/// The topic that osquery's lines about open files go to.
pub const OPEN_FILES: &str = "open_files";
/// The topic of the original's stream of processes.
pub const PROC: &str = "PROC";
/// The topic of the original's stream of files.
pub const FILES: &str = "FILES";

/// Where a record was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A line of osquery about a process.
    ProcessLine,
    /// A line of osquery about an open file.
    FileLine,
    /// A row of the stream of processes.
    ProcRow,
    /// A row of the stream of files.
    FilesRow,
}

impl Source {
    /// Every topic that a scenario reads, with what its records are.
    pub const ALL: [(&str, Self); 4] = [
        (PROCESSES, Self::ProcessLine),
        (OPEN_FILES, Self::FileLine),
        (PROC, Self::ProcRow),
        (FILES, Self::FilesRow),
    ];

    /// The name of the topic.
    pub fn topic(self) -> &'static str {
        match self {
            Self::ProcessLine => PROCESSES,
            Self::FileLine => OPEN_FILES,
            Self::ProcRow => PROC,
            Self::FilesRow => FILES,
        }
    }
}

/// A process or an open file of a process, on its way through the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Where it was seen.
    pub source: Source,
    /// The host that it is about.
    pub host: String,
    /// The process's id.
    pub pid: String,
    /// The path of the program, or that of the open file.
    pub path: String,
    /// The record's own time: when osquery's line was handed on.
    pub made_at: Timestamp,
    /// When we read it.
    pub seen_at: Timestamp,
}

impl Sighting {
    /// Reads a record; `None` when it says nothing about a present process or file.
    pub fn read(record: &Record, seen_at: Timestamp) -> Option<Self> {
        let (_, source) = Source::ALL
            .into_iter()
            .find(|(topic, _)| *topic == record.topic)?;
        let value: Value = serde_json::from_slice(record.value.as_deref()?).ok()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let (host, pid, path) = match source {
            Source::ProcessLine | Source::FileLine => {
                if value["action"].as_str() == Some("removed") {
                    return None;
                }
                let columns = &value["columns"];
                (&value["hostIdentifier"], &columns["pid"], &columns["path"])
            }
            Source::ProcRow | Source::FilesRow => (&value["HOST"], &value["PID"], &value["PATH"]),
        };
        Some(Self {
            source,
            host: text(host)?,
            // A number where osquery is asked for numerics.
            pid: text(pid).or_else(|| pid.as_i64().map(|pid| pid.to_string()))?,
            path: text(path)?,
            made_at: record
                .timestamp_ms
                .and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
                .unwrap_or(seen_at),
            seen_at,
        })
    }
}

/// One of the two joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// The original's, on the pid alone.
    Original,
    /// Ours, on host and pid.
    Precise,
}

impl std::fmt::Display for Join {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Original => "original",
            Self::Precise => "precise",
        })
    }
}

/// A row of a join: which process on which host holds which file open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct JoinedRow {
    /// The host of the process.
    pub host: String,
    /// The path of the program.
    pub proc: String,
    /// The path of the file.
    pub file: String,
}

impl JoinedRow {
    /// Reads a row; `None` when it is not host, process and file.
    pub fn read(row: &Row) -> Option<Self> {
        let [host, proc, file] = row.cells.as_slice() else {
            return None;
        };
        let text = |cell: &Cell| cell.as_string().unwrap_or_default();
        Some(Self {
            host: text(host),
            proc: text(proc),
            file: text(file),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn record(topic: &str, value: &Value) -> Record {
        Record {
            topic: topic.to_owned(),
            partition: 0,
            offset: 0,
            timestamp_ms: Some(5),
            key: None,
            value: Some(value.to_string().into_bytes()),
            headers: Vec::new(),
        }
    }

    fn read(topic: &str, value: &Value) -> Option<(String, String, String)> {
        Sighting::read(&record(topic, value), Timestamp::UNIX_EPOCH)
            .map(|sighting| (sighting.host, sighting.pid, sighting.path))
    }

    fn triple(host: &str, pid: &str, path: &str) -> Option<(String, String, String)> {
        Some((host.to_owned(), pid.to_owned(), path.to_owned()))
    }

    #[test]
    fn lines_and_stream_rows_are_read() {
        let line = |action: &str, pid: Value| json!({"name": "processes", "hostIdentifier": "host2", "action": action, "columns": {"pid": pid, "path": "/usr/bin/head"}});
        assert_eq!(
            read("processes", &line("added", json!("7"))),
            triple("host2", "7", "/usr/bin/head")
        );
        assert_eq!(
            read("open_files", &line("snapshot", json!(7))),
            triple("host2", "7", "/usr/bin/head")
        );
        assert_eq!(read("processes", &line("removed", json!("7"))), None);
        assert_eq!(
            read("FILES", &json!({"HOST": "host2", "PID": "7", "PATH": "/x"})),
            triple("host2", "7", "/x")
        );
        assert_eq!(
            read("PROC", &json!({"HOST": null, "PID": "7", "PATH": "/x"})),
            None
        );
        assert_eq!(read("users", &line("added", json!("7"))), None);
        let tombstone = Record {
            value: None,
            ..record("PROC", &json!(1))
        };
        assert_eq!(Sighting::read(&tombstone, Timestamp::UNIX_EPOCH), None);
    }

    proptest! {
        #[test]
        fn any_value_is_read_without_panic(value in any::<Vec<u8>>(), topic in prop::sample::select(vec!["processes", "FILES"])) {
            let record = Record { value: Some(value), ..record(topic, &json!(1)) };
            let _ = Sighting::read(&record, Timestamp::UNIX_EPOCH);
        }
    }
}
