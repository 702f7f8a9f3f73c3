//! A unit of work that has a line of its own on the display and a test case of its own in a report.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Event, Evidence, Failed, Stage, milliseconds};
use crate::error::Diagnose;
use crate::plan::Cause;
use crate::stack::{ImageRef, Probe, ServiceName};

/// A unit of work.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum Step {
    /// Starting, stopping or waiting for a service.
    Service(ServiceName),
    /// Making or getting an image.
    Image(ImageRef),
    /// Writing images into a file, or reading them from one.
    Archive(PathBuf),
    /// A ksqlDB statement, by its title.
    Statement(String),
    /// A stage of a scenario.
    Stage(Stage),
}

impl Step {
    /// The step of a service.
    pub fn service(name: &ServiceName) -> Self {
        Self::Service(name.clone())
    }

    /// The step of an image.
    pub fn image(image: &ImageRef) -> Self {
        Self::Image(image.clone())
    }

    /// The step of a file of images.
    pub fn archive(path: &Path) -> Self {
        Self::Archive(path.to_owned())
    }

    /// The step of a ksqlDB statement.
    pub fn statement(title: impl Into<String>) -> Self {
        Self::Statement(title.into())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => name.fmt(formatter),
            Self::Image(image) => image.fmt(formatter),
            Self::Archive(path) => path.display().fmt(formatter),
            Self::Statement(title) => title.fmt(formatter),
            Self::Stage(stage) => stage.fmt(formatter),
        }
    }
}

/// What a step does, and why.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "doing", rename_all = "snake_case")]
pub enum Doing {
    /// A service is started, up to its health.
    Starting {
        /// Why.
        cause: Cause,
    },
    /// A service is stopped.
    Stopping {
        /// Why; nothing when the whole project is stopped.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
    },
    /// What a service that ended has left is removed.
    Removing {
        /// Why.
        cause: Cause,
    },
    /// A process that nobody looks after is ended.
    EndingLeftover {
        /// Why.
        cause: Cause,
    },
    /// A service that runs already is waited for.
    AwaitingHealth,
    /// An image is made.
    Building {
        /// Why.
        cause: Cause,
    },
    /// An image is got from its registry.
    Pulling {
        /// Why.
        cause: Cause,
    },
    /// It is found out whether an image is there, and if not it is pulled.
    Looking,
    /// Images are written into a file.
    Saving {
        /// How many.
        images: usize,
    },
    /// Images are read from a file.
    Loading,
    /// A server has a statement and has not answered.
    AwaitingAnswer {
        /// The address of the server.
        server: String,
    },
    /// A stage of a scenario is not complete.
    AwaitingStage,
}

/// News of a step that takes long.
#[derive(Debug, Clone, PartialEq)]
pub enum StepNews {
    /// How far the whole step is.
    Whole(News),
    /// How far a part of it is.
    Part(PartNews),
}

impl StepNews {
    /// The event that tells it of a step.
    pub fn of(self, step: &Step) -> Event {
        let step = step.clone();
        match self {
            Self::Whole(news) => Event::StepProgress { step, news },
            Self::Part(news) => Event::PartProgress { step, news },
        }
    }
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "news", rename_all = "snake_case")]
pub enum News {
    /// A service was asked for its health, and is not healthy yet.
    Answer {
        /// How it was asked.
        probe: Probe,
        /// What it answered.
        answer: String,
        /// How long it has been waited for.
        #[serde(rename = "elapsed_ms", serialize_with = "milliseconds")]
        #[schemars(with = "u64")]
        elapsed: Duration,
    },
    /// Other images are pulled first.
    Queued,
    /// Layers of an image that have come.
    Layers(LayerCount),
    /// A pull failed and is tried again.
    Retrying {
        /// What was at fault.
        fault: String,
        /// What the daemon said.
        answer: String,
        /// How long it waits before that.
        #[serde(rename = "pause_ms", serialize_with = "milliseconds")]
        #[schemars(with = "u64")]
        pause: Duration,
    },
    /// A line that the builder of an image wrote.
    BuilderLine {
        /// The line.
        line: String,
    },
    /// What was written so far.
    Written {
        /// How much.
        bytes: u64,
    },
}

/// How many layers of an image have come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LayerCount {
    /// Those that are there.
    pub done: usize,
    /// All that are known; none while the registry was only asked.
    pub layers: usize,
    /// The bytes of those whose size is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<ByteCount>,
}

/// News of a part of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PartNews {
    /// The id of a layer, such as `3de36866f4a6`.
    pub layer: String,
    /// What it does, in the daemon's words, such as `Downloading`.
    pub status: String,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
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

/// How a [`Step`] ended, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it should.
    Done,
    /// There was nothing to do.
    Unchanged,
    /// It failed.
    Failed,
}

/// What came of a [`Step`].
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Ending {
    /// The service is healthy.
    Healthy,
    /// The service is stopped.
    Stopped,
    /// The service is not stopped; the failure that ends the command tells why.
    NotStopped,
    /// What the service had left is removed.
    Removed,
    /// The process that nobody looked after is gone.
    LeftoverEnded,
    /// Something else failed, or the user wants to end: what became of it nobody knows.
    GivenUp,
    /// The image is made or got.
    Ready,
    /// The image cannot be made here, which was to be expected.
    NotMade,
    /// The image was on the machine.
    OnThisMachine,
    /// The image came from its registry.
    Pulled,
    /// The images are written or read.
    Transferred,
    /// The statement was executed.
    Executed {
        /// What the server said.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// The query that it started.
        #[serde(skip_serializing_if = "Option::is_none")]
        query_id: Option<String>,
    },
    /// What the statement makes is there.
    AlreadyThere,
    /// The server answered after all.
    Answered,
    /// The server does not execute the statement.
    Refused {
        /// ksqlDB's error code.
        code: u32,
        /// What it said.
        message: String,
    },
    /// The stage of the scenario is complete.
    Reached {
        /// How often something of it was seen.
        count: u64,
        /// What was seen.
        evidence: Evidence,
    },
    /// It failed.
    Failed {
        /// With what.
        failure: Failed,
    },
}

impl Ending {
    /// The end of a step with an error.
    pub fn failed(error: &dyn Diagnose) -> Self {
        Self::Failed {
            failure: Failed::of(error),
        }
    }
}
