//! What is in topics, from the oldest record to the newest, as the checks need it.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use crate::kafka::Record;

/// What names a line of a host for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stamp {
    /// The spool that the line was accepted by.
    pub spool: String,
    /// Its number in there.
    pub seq: u64,
}

impl Stamp {
    /// The stamp of a record, where it has one.
    pub fn of(record: &Record) -> Option<Self> {
        Some(Self {
            spool: record.header("osqdemo-spool")?.to_owned(),
            seq: record.header("osqdemo-seq")?.parse().ok()?,
        })
    }
}

/// Where a record is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// What a record is known again by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Print {
    /// Its name.
    pub stamp: Option<Stamp>,
    /// A sum of its key and value.
    pub digest: u64,
    /// Its time in milliseconds since 1970.
    pub time_ms: i64,
}

impl Print {
    fn of(record: &Record) -> Self {
        let mut hasher = DefaultHasher::new();
        (&record.key, &record.value).hash(&mut hasher);
        Self {
            stamp: Stamp::of(record),
            digest: hasher.finish(),
            time_ms: record.timestamp_ms.unwrap_or_default(),
        }
    }
}

/// A line of a host, as it is in its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it is.
    pub place: Place,
    /// When it was taken, in milliseconds since 1970.
    pub time_ms: i64,
    /// Its name, and what it is known again by.
    pub print: Print,
    /// How many bytes it has.
    pub size: usize,
    /// The host that it says it is of.
    pub host: Option<String>,
    /// The query that it says it is of.
    pub query: Option<String>,
    /// `added`, `removed`, `snapshot`.
    pub action: Option<String>,
    /// The column of this name.
    pub pid: Option<String>,
    /// The column of this name.
    pub name: Option<String>,
    /// The column of this name.
    pub path: Option<String>,
}

impl Line {
    /// What a record of a host's topic says. One that is no line of osquery's says nothing, but has a place and a stamp.
    pub fn read(record: &Record) -> Self {
        let value: Value = record
            .value
            .as_deref()
            .and_then(|value| serde_json::from_slice(value).ok())
            .unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let columns = &value["columns"];
        Self {
            place: place(record),
            time_ms: record.timestamp_ms.unwrap_or_default(),
            print: Print::of(record),
            size: record.value.as_ref().map_or(0, Vec::len),
            host: text(&value["hostIdentifier"]),
            query: text(&value["name"]),
            action: text(&value["action"]),
            pid: text(&columns["pid"]),
            name: text(&columns["name"]),
            path: text(&columns["path"]),
        }
    }
}

/// The columns of a row, as text.
pub type Values = Vec<Option<String>>;

/// A row that a query has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it is.
    pub place: Place,
    /// Its time in milliseconds since 1970.
    pub time_ms: i64,
    /// The name of the line that it was made of last.
    pub stamp: Option<Stamp>,
    /// The columns that were asked for.
    pub values: Values,
}

impl Row {
    /// What a record of a sink says in these columns.
    pub fn read(record: &Record, columns: &[&str]) -> Self {
        let value: Value = record
            .value
            .as_deref()
            .and_then(|value| serde_json::from_slice(value).ok())
            .unwrap_or_default();
        let text = |column: &&str| match &value[*column] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        Self {
            place: place(record),
            time_ms: record.timestamp_ms.unwrap_or_default(),
            stamp: Stamp::of(record),
            values: columns.iter().map(text).collect(),
        }
    }
}

fn place(record: &Record) -> Place {
    Place {
        topic: record.topic.clone(),
        partition: record.partition,
        offset: record.offset,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::chaos) fn record(topic: &str, offset: i64, value: &Value) -> Record {
        Record {
            topic: topic.to_owned(),
            partition: 0,
            offset,
            timestamp_ms: Some(1_000 + offset),
            key: None,
            value: Some(value.to_string().into_bytes()),
            headers: vec![
                ("osqdemo-spool".to_owned(), b"aa".to_vec()),
                ("osqdemo-seq".to_owned(), offset.to_string().into_bytes()),
            ],
        }
    }

    #[test]
    fn a_line_and_a_row() {
        let record_of_line = record(
            "processes",
            3,
            &serde_json::json!({
                "name": "processes", "hostIdentifier": "host1", "action": "added",
                "columns": { "pid": "7", "name": "sleep", "path": "/bin/sleep" }
            }),
        );
        let line = Line::read(&record_of_line);
        assert_eq!(
            line,
            Line {
                place: Place {
                    topic: "processes".to_owned(),
                    partition: 0,
                    offset: 3
                },
                time_ms: 1_003,
                print: Print {
                    stamp: Some(Stamp {
                        spool: "aa".to_owned(),
                        seq: 3
                    }),
                    digest: line.print.digest,
                    time_ms: 1_003,
                },
                size: record_of_line.value.as_ref().unwrap().len(),
                host: Some("host1".to_owned()),
                query: Some("processes".to_owned()),
                action: Some("added".to_owned()),
                pid: Some("7".to_owned()),
                name: Some("sleep".to_owned()),
                path: Some("/bin/sleep".to_owned()),
            }
        );
        let mut changed = record_of_line.clone();
        changed.value.as_mut().unwrap()[5] ^= 1;
        assert_ne!(Line::read(&changed).print, line.print);
        let value = serde_json::json!({ "HOST": "host1", "P_TIME": 12, "PATH": null });
        let row = Row::read(&record("PROC", 4, &value), &["HOST", "P_TIME", "PATH", "PID"]);
        let values = [Some("host1".to_owned()), Some("12".to_owned()), None, None];
        assert_eq!(row.values, values);
    }

    proptest! {
        #[test]
        fn any_record_is_read(value in any::<Vec<u8>>(), header in any::<Vec<u8>>()) {
            let mut record = record("processes", 1, &Value::Null);
            record.value = Some(value);
            record.headers[1].1 = header;
            let _ = (Line::read(&record), Row::read(&record, &["HOST"]));
        }
    }
}
