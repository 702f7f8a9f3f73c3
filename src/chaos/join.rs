//! The precise join as a persistent query of the run's own: a push query would end with each kill of its server, so it
//! could prove nothing. It is `ksql/queries/precise.sql` with a sink, and with the times of both sides, which tell one
//! pair of lines from another.

use std::collections::{BTreeMap, HashMap};

use super::history::{Line, Values};
use super::model::Stream;

/// How much earlier than the process's line the file's may be, in milliseconds.
const BEFORE_MS: i64 = 60_000;

/// How much later.
const AFTER_MS: i64 = 3_600_000;

/// How late a line may come and still be joined, in milliseconds.
pub const GRACE_MS: i64 = 600_000;

/// How many letters and digits tell one run from another.
pub const NONCE_DIGITS: usize = 8;

/// What the names of a run's streams begin with.
const STREAM_PREFIX: &str = "OSQDEMO_CHAOS_";

/// The columns of a row.
pub const COLUMNS: [&str; 6] = ["HOST", "PID", "PROC", "FILE", "P_TIME", "F_TIME"];

/// The query of a run.
#[derive(Debug, Clone)]
pub struct JoinQuery {
    stream: String,
    topic: String,
}

/// What is known of a row that must be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// How many pairs of lines make it.
    pub pairs: u64,
    /// Whether it must be there by now.
    pub is_due: bool,
    /// Whether one of its lines came so late that the row may be missing.
    pub is_late: bool,
    /// When the later of the two lines was taken.
    pub time_ms: i64,
}

/// What tells a run from every other.
pub fn nonce() -> String {
    format!("{:0NONCE_DIGITS$x}", fastrand::u32(..))
}

impl JoinQuery {
    /// That of a stream, if it is one of a run.
    pub fn named(stream: &str) -> Option<Self> {
        let nonce = stream.strip_prefix(STREAM_PREFIX)?;
        let is_nonce = nonce.len() == NONCE_DIGITS && nonce.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_nonce.then(|| Self::new(&nonce.to_lowercase()))
    }

    /// The query of the run with this nonce.
    pub fn new(nonce: &str) -> Self {
        Self {
            stream: format!("{STREAM_PREFIX}{}", nonce.to_uppercase()),
            topic: format!("osqdemo-chaos-{nonce}"),
        }
    }

    /// The topic that it writes to.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The statement that begins it.
    pub fn create(&self) -> String {
        let Self { stream, topic } = self;
        format!(
            "CREATE STREAM {stream} WITH (KAFKA_TOPIC='{topic}', PARTITIONS=1, REPLICAS=1) AS \
             SELECT p.host_pid AS host_pid, p.host AS host, p.pid AS pid, p.path AS proc, f.path AS file, \
             p.ROWTIME AS p_time, f.ROWTIME AS f_time \
             FROM precise_proc AS p JOIN precise_files AS f \
             WITHIN (1 MINUTE, 1 HOUR) GRACE PERIOD 10 MINUTES ON p.host_pid = f.host_pid EMIT CHANGES;"
        )
    }

    /// The statement that takes it away again.
    pub fn drop(&self) -> String {
        format!("DROP STREAM IF EXISTS {} DELETE TOPIC;", self.stream)
    }
}

/// A line, and whether it must have been joined by now.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The line.
    pub line: &'a Line,
    /// Whether the query is past it.
    pub is_due: bool,
    /// Whether it came late.
    pub is_late: bool,
}

/// The rows that these lines make, of files whose path has `marker` in it. A line that is there twice counts once.
pub fn expected(processes: &[Side<'_>], files: &[Side<'_>], marker: &str) -> BTreeMap<Values, Expected> {
    let mut by_process: HashMap<String, Vec<(Side<'_>, Values)>> = HashMap::new();
    for side in processes {
        if let Some(row) = Stream::PreciseProc.row(side.line)
            && let [Some(host_pid), ..] = row.as_slice()
        {
            by_process.entry(host_pid.clone()).or_default().push((*side, row));
        }
    }
    let mut rows: BTreeMap<Values, Expected> = BTreeMap::new();
    for file in files {
        let Some(row) = Stream::PreciseFiles.row(file.line) else {
            continue;
        };
        let [Some(host_pid), host, pid, Some(path)] = row.as_slice() else {
            continue;
        };
        if !path.contains(marker) {
            continue;
        }
        for (process, of_process) in by_process.get(host_pid).into_iter().flatten() {
            let distance = file.line.time_ms - process.line.time_ms;
            if !(-BEFORE_MS..=AFTER_MS).contains(&distance) {
                continue;
            }
            let values = vec![
                host.clone(),
                pid.clone(),
                of_process.get(4).cloned().flatten(),
                Some(path.clone()),
                Some(process.line.time_ms.to_string()),
                Some(file.line.time_ms.to_string()),
            ];
            let expected = rows.entry(values).or_default();
            expected.pairs += 1;
            expected.is_due |= process.is_due && file.is_due;
            expected.is_late |= process.is_late || file.is_late;
            expected.time_ms = file.line.time_ms.max(process.line.time_ms);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chaos::history::tests::record;
    use crate::ksqldb::statement::Script;

    fn line(time_ms: i64, columns: &serde_json::Value) -> Line {
        let value = json!({ "hostIdentifier": "host1", "action": "added", "columns": columns });
        Line {
            time_ms,
            ..Line::read(&record("t", 1, &value))
        }
    }

    #[test]
    fn the_query_is_the_precise_one() {
        let words = |text: &str| {
            let text = text.split("FROM precise_proc").nth(1).unwrap().replace(';', " ");
            text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let shipped = include_str!("../../ksql/queries/precise.sql");
        let own = JoinQuery::new("0a1b").create();
        assert_eq!(words(&own), words(shipped));
        assert_eq!(Script::parse(&own).statements.len(), 1);
    }

    #[test]
    fn the_streams_of_runs_are_known_by_their_names() {
        let nonce = nonce();
        let query = JoinQuery::new(&nonce);
        let again = JoinQuery::named(&query.stream).unwrap();
        assert_eq!((again.stream, again.topic), (query.stream, query.topic));
        for other in [
            "PRECISE_PROC",
            "OSQDEMO_CHAOS_",
            "OSQDEMO_CHAOS_OF_MINE",
            "OSQDEMO_CHAOS_0A1B'; X",
        ] {
            assert!(JoinQuery::named(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_pair_within_the_window_is_a_row() {
        let process = line(
            1_000_000,
            &json!({ "pid": "7", "name": "sleep", "path": "/bin/sleep" }),
        );
        let count = |time_ms: i64, pid: &str, path: &str| {
            let file = line(time_ms, &json!({ "pid": pid, "path": path }));
            let side = |line| Side {
                line,
                is_due: true,
                is_late: false,
            };
            expected(&[side(&process)], &[side(&file)], "/chaos-0a1b").len()
        };
        assert_eq!(count(1_000_500, "7", "/home/chaos-0a1b-1"), 1);
        assert_eq!(count(1_000_500, "8", "/home/chaos-0a1b-1"), 0, "another process");
        assert_eq!(count(1_000_500, "7", "/home/other"), 0, "not of the run");
        for (time_ms, rows) in [
            (940_000, 1),
            (939_999, 0),
            (1_000_000 + 3_600_000, 1),
            (1_000_001 + 3_600_000, 0),
        ] {
            assert_eq!(count(time_ms, "7", "/home/chaos-0a1b-1"), rows, "{time_ms}");
        }
    }
}
