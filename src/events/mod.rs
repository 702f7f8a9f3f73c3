//! What happens while a command runs, as data: the interface between the doing and the showing.
//!
//! Whoever does something emits [`Event`]s: what happened, with its numbers and names, never a sentence. The renderers
//! in [`crate::report`] (terminal, plain lines, JSON lines, JUnit, the journal) only consume them, and those for people
//! make the sentences. Pure data: knows nothing of terminals, of the runtime or of who listens.
//!
//! | file | what it is about |
//! |---|---|
//! | `step.rs` | a unit of work: what is done, the news of it, how it ended |
//! | `notice.rs` | what is worth telling besides: notes, warnings, details |
//! | `failure.rs` | a failure with its causes, evidence and hints |
//! | `stage.rs` | the stages of a scenario |
//! | `port.rs` | who has a port |
//! | `line.rs`, `schema.rs` | an event as a line of JSON, and the schema of those lines |

mod failure;
mod line;
mod notice;
mod port;
mod schema;
mod stage;
mod step;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

pub use failure::Failed;
pub use line::{EVENT_SCHEMA_VERSION, Line, Run};
pub use notice::{
    Detail, Doubt, Doubtful, Hosts, Look, Note, Place, RowsFrom, SessionChange, TightMemory, Warning,
};
pub use port::{PortMoved, PortObstacle};
pub use schema::event_schema_text;
pub use stage::{Evidence, SourceCount, Stage};
pub use step::{
    Activity, ByteCount, Change, Doing, Ending, LayerCount, News, Outcome, PartNews, Step, StepNews,
};

/// The version of the JSON shape of every `--json` document on standard output and of a scenario's report.
pub const SCHEMA_VERSION: u32 = 1;

/// Something worth telling while a command runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A run of a verb begins. Of the record only: whoever watches a run knows that it began.
    Began {
        /// The version of osqdemo.
        version: String,
        /// The arguments of the command line, without secrets.
        arguments: Vec<String>,
    },
    /// A step begins. It stays on display until it finishes.
    StepStarted {
        /// Which step.
        step: Step,
        /// What is being done, and why.
        #[serde(flatten)]
        doing: Doing,
    },
    /// The latest news of a running step, such as the last answer of a probe.
    StepProgress {
        /// Which step.
        step: Step,
        /// The news.
        #[serde(flatten)]
        news: News,
    },
    /// The latest news of a part of a running step, such as a layer of an image.
    PartProgress {
        /// Which step.
        step: Step,
        /// Which part, and what of it.
        #[serde(flatten)]
        news: PartNews,
    },
    /// A step is over.
    StepFinished {
        /// Which step.
        step: Step,
        /// How it ended, in a word for all sorts of steps.
        outcome: Outcome,
        /// What came of it.
        #[serde(flatten)]
        ending: Ending,
        /// How long it took; of a stage of a scenario, its latency.
        #[serde(rename = "elapsed_ms", serialize_with = "milliseconds")]
        #[schemars(with = "u64")]
        elapsed: Duration,
    },
    /// Something about the whole, such as that everything is healthy.
    Note(Note),
    /// Something that does not stop the command but that the user should know.
    Warning(Warning),
    /// Only of interest with `--verbose`.
    Detail(Detail),
    /// What ends the command.
    Failed(Failed),
    /// A run of a verb is over. Of the record only.
    Ended {
        /// The exit code of the process.
        exit_code: u8,
    },
}

impl Event {
    /// The failure that the event tells of, if it does.
    pub fn failure_mut(&mut self) -> Option<&mut Failed> {
        match self {
            Self::Failed(failure)
            | Self::Warning(Warning::Trouble { failure })
            | Self::StepFinished {
                ending: Ending::Failed { failure },
                ..
            } => Some(failure),
            _ => None,
        }
    }
}

/// Whoever is told what happens, as those see it who do something and need not know how it is shown.
pub trait Listener: Send + Sync {
    /// Takes an event.
    fn hear(&self, event: Event);
}

impl dyn Listener + '_ {
    /// Tells an event.
    pub fn emit(&self, event: impl Into<Event>) {
        self.hear(event.into());
    }
}

impl From<Note> for Event {
    fn from(note: Note) -> Self {
        Self::Note(note)
    }
}

impl From<Warning> for Event {
    fn from(warning: Warning) -> Self {
        Self::Warning(warning)
    }
}

impl From<Detail> for Event {
    fn from(detail: Detail) -> Self {
        Self::Detail(detail)
    }
}

fn milliseconds<S: Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}
