//! What happens while a command runs, as data: the interface between the doing and the showing.
//!
//! Whoever does something emits [`Event`]s; the renderers in [`crate::report`] (terminal, plain lines, JSON
//! lines) only consume them. Pure data: knows nothing of terminals, of the runtime or of who listens.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// The version of the JSON shape of the events and of every `--json` document.
pub const SCHEMA_VERSION: u32 = 1;

/// Something worth telling while a command runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A step begins. It stays on display until it finishes.
    StepStarted {
        /// Which step.
        step: Step,
        /// What is being done, such as `starting (not running)`.
        text: String,
    },
    /// The latest news of a running step, such as the last answer of a probe.
    StepProgress {
        /// Which step.
        step: Step,
        /// The news.
        text: String,
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
        /// How it ended.
        outcome: Outcome,
        /// What there is to say about it, such as `healthy`.
        text: String,
        /// How long it took, in milliseconds.
        #[serde(rename = "elapsed_ms", serialize_with = "milliseconds")]
        elapsed: Duration,
    },
    /// A sentence about the whole, such as `nothing to do: 4 services are healthy`.
    Note {
        /// The sentence.
        text: String,
    },
    /// Something that does not stop the command but that the user should know.
    Warning {
        /// The sentence.
        text: String,
    },
    /// Only of interest with `--verbose`.
    Detail {
        /// The sentence.
        text: String,
    },
}

/// News of a step that takes long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepNews {
    /// How far the whole step is.
    Whole(String),
    /// How far a part of it is.
    Part(PartNews),
}

/// News of a part of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartNews {
    /// Its name, such as `layer 3de36866f4a6`.
    pub part: String,
    /// What it does, such as `downloading`.
    pub text: String,
    /// How far it is with that, where this can be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<ByteCount>,
    /// What is new.
    #[serde(skip)]
    pub change: Change,
    /// Whether it is worth a line on a terminal.
    #[serde(skip)]
    pub activity: Activity,
}

/// How many bytes of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ByteCount {
    /// Done.
    pub current: u64,
    /// To do in all.
    pub total: u64,
}

/// What is new of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It does something else now.
    Doing,
    /// Only the bytes: many times a second.
    Bytes,
}

/// Whether a part is being worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It is.
    Moving,
    /// It waits, or is done.
    Still,
}

/// A unit of work that has a line of its own on the display and a test case of its own in a report.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Step {
    /// What sort of work it is.
    pub kind: StepKind,
    /// Its name within that sort: a service, a statement, a stage.
    pub name: String,
}

impl Step {
    /// The step of a service.
    pub fn service(name: impl fmt::Display) -> Self {
        Self {
            kind: StepKind::Service,
            name: name.to_string(),
        }
    }

    /// The step of an image.
    pub fn image(name: impl fmt::Display) -> Self {
        Self {
            kind: StepKind::Image,
            name: name.to_string(),
        }
    }

    /// The step of a ksqlDB statement.
    pub fn statement(name: impl fmt::Display) -> Self {
        Self {
            kind: StepKind::Statement,
            name: name.to_string(),
        }
    }

    /// The step of a scenario's stage.
    pub fn stage(name: impl fmt::Display) -> Self {
        Self {
            kind: StepKind::Stage,
            name: name.to_string(),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

/// What sort of work a [`Step`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Starting, stopping or waiting for a service.
    Service,
    /// Making or getting an image.
    Image,
    /// A ksqlDB statement.
    Statement,
    /// A stage of a scenario.
    Stage,
}

/// How a [`Step`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it should.
    Done,
    /// There was nothing to do.
    Unchanged,
    /// It failed; the error that ends the command tells why.
    Failed,
}

fn milliseconds<S: Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}
