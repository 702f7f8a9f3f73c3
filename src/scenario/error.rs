//! Why a scenario cannot be run, or did not pass.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::observation::Join;
use crate::engine::Lost;
use crate::engine::loss::Loss;
use crate::error::Diagnose;
use crate::events::Doubtful;
use crate::exit_code::ExitCode;
use crate::ksqldb::ServerError;
use crate::plan::Exit;
use crate::quantity::duration;

/// An error of a scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The stack has no such host.
    #[error("there is no host `{host}`")]
    UnknownHost {
        /// What was given.
        host: String,
        /// The hosts there are.
        known: Vec<String>,
        /// Where the name is from, when that is not in front of the user.
        from: Option<String>,
    },
    /// Nobody can write the file.
    #[error("the stack has no host that could write the file")]
    NoHost,
    /// The hosts never publish what is to be seen.
    #[error("the scenario needs lines in the topic `{topic}`, and `{}` has no query `{topic}` in its schedule", config.display())]
    NoQuery {
        /// The topic.
        topic: String,
        /// The hosts' configuration.
        config: PathBuf,
    },
    /// An empty file proves nothing.
    #[error("the size of the file must be at least 1 byte")]
    ZeroSize,
    /// A report that cannot be asked for.
    #[error("`{text}` is not a report such as `json=FILE` or `junit=FILE`")]
    ReportForm {
        /// What was given.
        text: String,
    },
    /// A report that cannot be written.
    #[error("failed to write the report `{}`: {source}", path.display())]
    ReportNotWritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file would not fit.
    #[error("{host} has {} free in `{folder}`, too little for a file of {}", bytes(*free), bytes(*size))]
    TooLittleDisk {
        /// The host.
        host: String,
        /// Its home folder.
        folder: String,
        /// The free bytes.
        free: u64,
        /// The size of the file.
        size: u64,
    },
    /// The original's stream of files would drop the file.
    #[error(
        "a file in `{folder}` on {host} cannot be seen: the original's stream of files drops paths with `osquery`"
    )]
    HiddenFolder {
        /// The host.
        host: String,
        /// Its home folder.
        folder: String,
    },
    /// A command on the host failed.
    #[error("{host} failed to {purpose}: {}{}", status(*code), after_colon(stderr))]
    HostCommand {
        /// The host.
        host: String,
        /// What the command was for.
        purpose: &'static str,
        /// Its exit status.
        code: i32,
        /// What it wrote to standard error.
        stderr: String,
    },
    /// A service that the scenario relies on is lost.
    #[error("{} {}", lost.service, lost.loss)]
    Lost {
        /// Which, and why.
        lost: Lost,
    },
    /// Somebody has stopped the process that writes.
    #[error(
        "the process that writes the file on {host} (there process {process}) is paused: somebody stopped it without ending it"
    )]
    WriterStopped {
        /// The host.
        host: String,
        /// The process, as the host numbers it.
        process: u32,
    },
    /// ksqlDB does not answer.
    #[error("ksqlDB at {url} has not answered for {}: {reason}", duration(*after))]
    NoKsqldb {
        /// Its address.
        url: String,
        /// Why.
        reason: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// A command on the host printed what cannot be read.
    #[error("{host} was asked to {purpose} and answered `{}`", answer.trim())]
    HostAnswer {
        /// The host.
        host: String,
        /// What the command was for.
        purpose: &'static str,
        /// What it printed.
        answer: String,
    },
    /// A topic on the way is not there.
    #[error("the broker has no topic `{topic}`: the pipeline is not complete")]
    MissingTopic {
        /// The topic.
        topic: String,
    },
    /// Streams of the pipeline are not there.
    #[error("the pipeline is not complete: ksqlDB does not have {}", named(streams))]
    MissingStreams {
        /// Their names.
        streams: Vec<String>,
    },
    /// A topic on the way is not there any more.
    #[error(
        "the broker has no topic `{topic}`, but ksqlDB has stream `{stream}` over it: the topic was deleted"
    )]
    DeletedTopic {
        /// The topic.
        topic: String,
        /// The stream that reads or writes it.
        stream: String,
    },
    /// Queries of the pipeline do not run: nothing would come along.
    #[error("the pipeline stands still: {}", list(stopped))]
    StoppedQueries {
        /// The streams that they would fill.
        stopped: Vec<Doubtful>,
    },
    /// ksqlDB does not accept a push query.
    #[error("ksqlDB rejected the {join} push query: {}", error.message.trim_end())]
    QueryRejected {
        /// Which of the two.
        join: Join,
        /// ksqlDB's words.
        error: ServerError,
    },
    /// What must not be was seen.
    #[error("{reason}")]
    Failed {
        /// What it is.
        reason: String,
    },
    /// What was expected did not come.
    #[error("{} passed before {before}: {stuck}", duration(*after))]
    TimedOut {
        /// What was waited for, as in `the joined rows arrived`.
        before: String,
        /// How long.
        after: Duration,
        /// The last stage that produced something.
        stuck: String,
        /// What went wrong meanwhile.
        trouble: Vec<String>,
    },
}

impl Diagnose for ScenarioError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::UnknownHost { .. }
            | Self::NoHost
            | Self::NoQuery { .. }
            | Self::ZeroSize
            | Self::ReportForm { .. }
            | Self::ReportNotWritable { .. } => ExitCode::Usage,
            Self::TooLittleDisk { .. } | Self::HiddenFolder { .. } => ExitCode::Preflight,
            Self::HostCommand { .. } | Self::HostAnswer { .. } | Self::Failed { .. } => {
                ExitCode::ScenarioFailed
            }
            Self::MissingTopic { .. }
            | Self::MissingStreams { .. }
            | Self::DeletedTopic { .. }
            | Self::StoppedQueries { .. }
            | Self::WriterStopped { .. }
            | Self::NoKsqldb { .. } => ExitCode::NotRunning,
            Self::Lost { lost } => match lost.loss {
                // As every verb that needs it says.
                Loss::SupervisorSilent { .. } | Loss::Unrecorded => ExitCode::NotHealthy,
                _ => ExitCode::NotRunning,
            },
            Self::QueryRejected { .. } => ExitCode::StatementRejected,
            Self::TimedOut { .. } => ExitCode::ScenarioTimedOut,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::UnknownHost { known, from, .. } => {
                let known = format!("the hosts are `{}`", known.join("`, `"));
                from.iter().cloned().chain([known]).collect()
            }
            Self::NoHost => vec!["stack `lite` has all that the demo takes".to_owned()],
            Self::NoQuery { topic, .. } => vec![
                format!("add `{topic}` as `osqdemo host-config` shows it, and hand the file to `osqdemo up --host-config`"),
                "`osqdemo up --host-config default` brings osqdemo's own configuration back".to_owned(),
            ],
            Self::TooLittleDisk { .. } => vec!["choose a smaller file with `--size`".to_owned()],
            Self::HiddenFolder { .. } => {
                vec!["set `OSQDEMO_HOME` to a folder without `osquery` in its path".to_owned()]
            }
            Self::MissingTopic { .. } | Self::QueryRejected { .. } => vec![
                "submit the statements with `osqdemo up`, and see `osqdemo ksql 'LIST STREAMS'`".to_owned(),
            ],
            Self::MissingStreams { .. } => vec![
                "`osqdemo up --statements demo` submits what is missing and leaves the rest as it is".to_owned(),
            ],
            Self::DeletedTopic { topic, .. } => vec![format!(
                "`osqdemo ksql \"CREATE STREAM again (x INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON', \
                 PARTITIONS=1); DROP STREAM again;\"` makes the topic anew, without its old lines; \
                 `osqdemo down --volumes` and `osqdemo up` begin anew with everything"
            )],
            Self::HostCommand { code, .. } if *code > SIGNALLED => {
                vec!["run the scenario again; nobody else may end its process".to_owned()]
            }
            Self::Lost { lost } => match lost.loss {
                Loss::Restarted | Loss::Ended { exit: None } => vec![format!(
                    "run the scenario again, and leave {} alone meanwhile",
                    lost.service
                )],
                Loss::SupervisorSilent { pid } => vec![
                    format!("`kill -CONT {pid}` lets it go on where it was stopped; then run the scenario again"),
                    "`osqdemo down` ends it and everything it looks after".to_owned(),
                ],
                Loss::Unrecorded => vec!["only `osqdemo down` can end what runs; then `osqdemo up` starts anew".to_owned()],
                Loss::Paused => vec!["`osqdemo up` lets it go on; then run the scenario again".to_owned()],
                _ => vec!["`osqdemo up` starts what is missing; then run the scenario again".to_owned()],
            },
            Self::WriterStopped { .. } => {
                vec!["its file is removed; run the scenario again, and leave its process alone meanwhile".to_owned()]
            }
            Self::NoKsqldb { .. } => vec![
                "see `osqdemo ps`, and what it says with `osqdemo logs`; `osqdemo restart` with its name starts it again"
                    .to_owned(),
            ],
            Self::StoppedQueries { stopped } => stopped.iter().map(Doubtful::way_out).collect(),
            Self::TimedOut { .. } => {
                vec![
                    "see `osqdemo ps` and `osqdemo logs`; `osqdemo up` names streams whose queries do not run; \
                     `--timeout` waits longer"
                        .to_owned(),
                ]
            }
            _ => Vec::new(),
        }
    }

    fn details(&self) -> Vec<String> {
        match self {
            Self::TimedOut { trouble, .. } => trouble.clone(),
            _ => Vec::new(),
        }
    }
}

fn list(stopped: &[Doubtful]) -> String {
    let stopped = stopped
        .iter()
        .map(|query| format!("`{}` is there, but {}", query.name, query.doubt));
    stopped.collect::<Vec<_>>().join("; ")
}

/// Above this the exit status of a command tells of the signal that ended it.
const SIGNALLED: i32 = 128;

fn status(code: i32) -> String {
    if code > SIGNALLED {
        Exit::Signal(code - SIGNALLED).to_string()
    } else {
        format!("status {code}")
    }
}

fn named(streams: &[String]) -> String {
    let names: Vec<String> = streams.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [name] => format!("the stream {name}"),
        names => format!("the streams {}", names.join(", ")),
    }
}

fn after_colon(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(": {text}")
    }
}

/// A number of bytes as people read it: `512 B`, `1.5 GiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut number = bytes as f64;
    let mut unit = 0;
    while number >= 1024.0 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    if unit == 0 || (number.fract() < 0.05) {
        format!("{number:.0} {}", UNITS[unit])
    } else {
        format!("{number:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        let show = |error: ScenarioError| {
            let mut text = error.to_string();
            for hint in error.hints() {
                text.push_str(&format!("\nhint: {hint}"));
            }
            text.push_str(&format!("\nexit {}", error.exit_code() as u8));
            text
        };
        insta::assert_snapshot!(show(ScenarioError::UnknownHost { host: "mars".to_owned(), known: vec!["host1".to_owned(), "host2".to_owned()], from: Some("`mars` is from `osqdemo.toml`".to_owned()) }), @r"
        there is no host `mars`
        hint: `mars` is from `osqdemo.toml`
        hint: the hosts are `host1`, `host2`
        exit 2
        ");
        insta::assert_snapshot!(show(ScenarioError::NoHost), @r"
        the stack has no host that could write the file
        hint: stack `lite` has all that the demo takes
        exit 2
        ");
        insta::assert_snapshot!(show(ScenarioError::TooLittleDisk { host: "host2".to_owned(), folder: "/home/jay".to_owned(), free: 3 << 29, size: 1 << 40 }), @r"
        host2 has 1.5 GiB free in `/home/jay`, too little for a file of 1 TiB
        hint: choose a smaller file with `--size`
        exit 10
        ");
        insta::assert_snapshot!(show(ScenarioError::HostCommand { host: "host2".to_owned(), purpose: "write the file", code: 1, stderr: "No space left on device".to_owned() }), @r"
        host2 failed to write the file: status 1: No space left on device
        exit 20
        ");
        insta::assert_snapshot!(show(ScenarioError::TimedOut { before: "the joined rows arrived".to_owned(), after: Duration::from_secs(60), stuck: "the last stage that produced something is `topic`; `stream` did not come".to_owned(), trouble: Vec::new() }), @r"
        1 min 0 s passed before the joined rows arrived: the last stage that produced something is `topic`; `stream` did not come
        hint: see `osqdemo ps` and `osqdemo logs`; `osqdemo up` names streams whose queries do not run; `--timeout` waits longer
        exit 21
        ");
        insta::assert_snapshot!(show(ScenarioError::MissingStreams { streams: vec!["PROC".to_owned(), "FILES".to_owned()] }), @r"
        the pipeline is not complete: ksqlDB does not have the streams `PROC`, `FILES`
        hint: `osqdemo up --statements demo` submits what is missing and leaves the rest as it is
        exit 16
        ");
        insta::assert_snapshot!(show(ScenarioError::ReportForm { text: "xml=x".to_owned() }), @r"
        `xml=x` is not a report such as `json=FILE` or `junit=FILE`
        exit 2
        ");
    }

    #[test]
    fn sizes() {
        let shown: Vec<String> = [0, 1023, 1024, 1536, 1 << 30, u64::MAX]
            .into_iter()
            .map(bytes)
            .collect();
        assert_eq!(
            shown,
            ["0 B", "1023 B", "1 KiB", "1.5 KiB", "1 GiB", "16777216 TiB"]
        );
    }
}
