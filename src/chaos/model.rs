//! What the streams must hold, computed anew from the lines of the hosts: the statements of `ksql/02-streams.sql` and
//! `ksql/03-precise.sql` once more, by another hand. Pure.

use super::history::{Line, Values};

/// The topic that every host's processes are in.
pub const PROCESSES: &str = "processes";

/// The topic that every host's open files are in.
pub const OPEN_FILES: &str = "open_files";

/// A stream that a persistent query fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// `proc`.
    Proc,
    /// `files`.
    Files,
    /// `precise_proc`.
    PreciseProc,
    /// `precise_files`.
    PreciseFiles,
}

impl Stream {
    /// Every stream.
    pub const ALL: [Self; 4] = [Self::Proc, Self::Files, Self::PreciseProc, Self::PreciseFiles];

    /// The topic that the query writes to.
    pub fn sink(self) -> &'static str {
        match self {
            Self::Proc => "PROC",
            Self::Files => "FILES",
            Self::PreciseProc => "PRECISE_PROC",
            Self::PreciseFiles => "PRECISE_FILES",
        }
    }

    /// The topic that the query reads.
    pub fn source(self) -> &'static str {
        match self {
            Self::Proc | Self::PreciseProc => PROCESSES,
            Self::Files | Self::PreciseFiles => OPEN_FILES,
        }
    }

    /// Its columns.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Proc => &["HOST", "NAME", "PID", "PATH"],
            Self::Files => &["HOST", "PID", "PATH"],
            Self::PreciseProc => &["HOST_PID", "HOST", "PID", "NAME", "PATH"],
            Self::PreciseFiles => &["HOST_PID", "HOST", "PID", "PATH"],
        }
    }

    /// The row that a line of the source becomes, if it becomes one.
    pub fn row(self, line: &Line) -> Option<Values> {
        let Line {
            host,
            pid,
            name,
            path,
            ..
        } = line;
        match self {
            Self::Proc => {
                let name = name.as_deref()?;
                let is_wanted = !name.contains("osqueryd") && name != "python" && name != "bash";
                is_wanted.then(|| vec![host.clone(), Some(name.to_owned()), pid.clone(), path.clone()])
            }
            Self::Files => {
                let path = filled(path.as_ref())?;
                let is_wanted =
                    !path.contains("osquery") && !path.starts_with("/proc/") && !path.starts_with("/dev/");
                is_wanted.then(|| vec![host.clone(), pid.clone(), Some(path.to_owned())])
            }
            Self::PreciseProc => {
                let (host, pid, name) = (
                    filled(host.as_ref())?,
                    filled(pid.as_ref())?,
                    filled(name.as_ref())?,
                );
                let is_own = name.contains("osquery")
                    || name.starts_with("osqdemo")
                    || name
                        .strip_prefix("confluent")
                        .is_some_and(|rest| rest.ends_with("ext"));
                (is_there(line) && !is_own).then(|| {
                    vec![
                        Some(format!("{host}/{pid}")),
                        Some(host.to_owned()),
                        Some(pid.to_owned()),
                        Some(name.to_owned()),
                        path.clone(),
                    ]
                })
            }
            Self::PreciseFiles => {
                let (host, pid, path) = (
                    filled(host.as_ref())?,
                    filled(pid.as_ref())?,
                    filled(path.as_ref())?,
                );
                let is_wanted = !path.starts_with("/proc/") && !path.starts_with("/dev/");
                (is_there(line) && is_wanted).then(|| {
                    vec![
                        Some(format!("{host}/{pid}")),
                        Some(host.to_owned()),
                        Some(pid.to_owned()),
                        Some(path.to_owned()),
                    ]
                })
            }
        }
    }
}

/// Whether the line says that something is there, not that it is gone.
fn is_there(line: &Line) -> bool {
    line.action.as_deref().is_some_and(|action| action != "removed")
}

fn filled(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::chaos::history::tests::record;

    fn line(columns: &Value, action: &str) -> Line {
        let value = json!({ "hostIdentifier": "host1", "action": action, "columns": columns });
        Line::read(&record("processes", 1, &value))
    }

    #[test]
    fn the_streams_are_those_of_the_statements() {
        let texts = [
            include_str!("../../ksql/02-streams.sql"),
            include_str!("../../ksql/03-precise.sql"),
        ];
        let text = texts.concat().to_uppercase();
        for stream in Stream::ALL {
            assert!(
                text.contains(&format!("CREATE STREAM {} AS", stream.sink())),
                "{stream:?}"
            );
        }
        assert_eq!(text.matches("CREATE STREAM").count(), Stream::ALL.len());
    }

    #[test]
    fn what_becomes_a_row() {
        let row = |stream: Stream, columns: Value, action| {
            let row = stream.row(&line(&columns, action))?;
            let values: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
            Some(values.join(","))
        };
        let sleep = json!({ "pid": "7", "name": "sleep", "path": "/bin/sleep" });
        assert_eq!(
            row(Stream::Proc, sleep.clone(), "removed").as_deref(),
            Some("host1,sleep,7,/bin/sleep")
        );
        assert_eq!(row(Stream::PreciseProc, sleep.clone(), "removed"), None);
        assert_eq!(
            row(Stream::PreciseProc, sleep, "added").as_deref(),
            Some("host1/7,host1,7,sleep,/bin/sleep")
        );
        for (name, in_proc, in_precise) in [
            ("bash", false, true),
            ("python", false, true),
            ("osqueryd", false, false),
            ("osqdemo-agent", true, false),
            ("confluent.ext", true, false),
            ("confluentext", true, false),
            ("confluent", true, true),
            ("", true, false),
        ] {
            let columns = json!({ "pid": "7", "name": name });
            assert_eq!(
                row(Stream::Proc, columns.clone(), "added").is_some(),
                in_proc,
                "{name}"
            );
            assert_eq!(
                row(Stream::PreciseProc, columns, "added").is_some(),
                in_precise,
                "{name}"
            );
        }
        for (path, in_files, in_precise) in [
            ("/home/a", true, true),
            ("/home/osquery/a", false, true),
            ("/proc/1/maps", false, false),
            ("/dev/null", false, false),
            ("", false, false),
        ] {
            let columns = json!({ "pid": "7", "path": path });
            assert_eq!(
                row(Stream::Files, columns.clone(), "added").is_some(),
                in_files,
                "{path}"
            );
            assert_eq!(
                row(Stream::PreciseFiles, columns, "added").is_some(),
                in_precise,
                "{path}"
            );
        }
        assert_eq!(row(Stream::Proc, json!({ "pid": "7" }), "added"), None, "no name");
    }
}
