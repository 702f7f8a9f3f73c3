//! An event as a line of JSON, as standard error shows it with `--json` and as the record of a project keeps it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Event;

/// The version of the JSON shape of the lines of events.
pub const EVENT_SCHEMA_VERSION: u32 = 2;

/// Something that happened, with its time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "A line of osqdemo's events")]
pub struct Line {
    /// The version of this shape.
    #[schemars(extend("const" = EVENT_SCHEMA_VERSION))]
    schema_version: u32,
    /// When it happened: RFC 3339, UTC.
    #[schemars(extend("format" = "date-time"))]
    time: String,
    /// Whose event it is, on record.
    #[serde(flatten)]
    run: Option<Run>,
    /// What happened.
    #[serde(flatten)]
    event: Event,
}

/// Which run a line on record is of: those of several runs may alternate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Run {
    /// The verb of the command line.
    pub verb: String,
    /// The id of the process.
    pub process: u32,
}

impl Line {
    /// The line of something that happened at a time.
    pub fn at(time: Timestamp, run: Option<Run>, event: Event) -> Self {
        Self {
            schema_version: EVENT_SCHEMA_VERSION,
            time: time.to_string(),
            run,
            event,
        }
    }
}
