//! The stages of a scenario: how far an event has come through the pipeline.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::stack::ServiceName;

/// A stage of the event's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The process began to write.
    WriteStarted,
    /// osquery saw the process and the file and handed its lines on.
    OsqueryLine,
    /// The lines were in their topics.
    Topic,
    /// They had passed ksqlDB's streams.
    Stream,
    /// The original's join named host, process and file.
    JoinedRow,
    /// So did the precise join.
    PreciseRow,
    /// The file is written, and has its size.
    FileSize,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 7] = [
        Self::WriteStarted,
        Self::OsqueryLine,
        Self::Topic,
        Self::Stream,
        Self::JoinedRow,
        Self::PreciseRow,
        Self::FileSize,
    ];
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::WriteStarted => "write started",
            Self::OsqueryLine => "osquery line",
            Self::Topic => "topic",
            Self::Stream => "stream",
            Self::JoinedRow => "joined row",
            Self::PreciseRow => "precise row",
            Self::FileSize => "file size",
        })
    }
}

/// What was seen of a stage that is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "seen", rename_all = "snake_case")]
pub enum Evidence {
    /// A process that writes.
    Write {
        /// The service of the host.
        host: ServiceName,
        /// The file.
        file: PathBuf,
        /// How large it is to become.
        bytes: u64,
    },
    /// Records of topics or streams.
    Records {
        /// How many of each.
        sources: Vec<SourceCount>,
    },
    /// A row of a join.
    Row {
        /// The host of the process, as osquery names it.
        host: String,
        /// The path of the program.
        proc: String,
        /// The path of the file.
        file: String,
    },
    /// The file as large as it was to become.
    File {
        /// Its size.
        bytes: u64,
    },
}

/// How many records of a source were seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SourceCount {
    /// The topic or stream.
    pub source: String,
    /// How many.
    pub count: u64,
}
