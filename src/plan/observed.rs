//! What there is, as an engine sees it: the one side of a plan.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stack::project::ProjectName;
use crate::stack::{ImageRef, ServiceName};

/// What there is, as an engine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The process that looks after the services.
    pub supervisor: SupervisorState,
    /// Every service there is a trace of.
    pub services: BTreeMap<ServiceName, ObservedService>,
    /// The images of the services that are there, on an engine that has images.
    pub images: BTreeMap<ImageRef, ObservedImage>,
}

impl Observed {
    /// Nothing is there.
    pub fn nothing() -> Self {
        Self {
            supervisor: SupervisorState::Absent,
            services: BTreeMap::new(),
            images: BTreeMap::new(),
        }
    }

    /// Whether the project is up, or a part of it.
    pub fn is_running(&self) -> bool {
        match self.supervisor {
            SupervisorState::Running { .. }
            | SupervisorState::Silent { .. }
            | SupervisorState::Unrecorded { .. } => true,
            SupervisorState::Daemon { .. } => !self.services.is_empty(),
            SupervisorState::Absent | SupervisorState::Lost { .. } => false,
        }
    }
}

/// An image as an engine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedImage {
    /// What the engine calls it, different for every build.
    pub id: String,
    /// What identifies its content, where it was made by us.
    pub content: Option<String>,
}

/// What looks after the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SupervisorState {
    /// There is none and there should be none.
    Absent,
    /// It answers.
    Running {
        /// Its process.
        pid: u32,
    },
    /// It was there and ended without being asked to.
    Lost {
        /// What its process was.
        pid: u32,
    },
    /// It is there and does not answer.
    Silent {
        /// Its process.
        pid: u32,
    },
    /// Processes of the project run, but nothing on record tells of them, nor does anybody answer for them.
    Unrecorded {
        /// The supervisor, if it is one of them; else any of them.
        pid: u32,
        /// How many others there are.
        others: usize,
        /// What became of the record.
        record: RecordLoss,
    },
    /// It is the Docker daemon, which is not ours to start.
    Daemon {
        /// The network between the services.
        network: NetworkState,
    },
}

/// Why a record does not tell of what runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordLoss {
    /// There is none.
    Missing,
    /// It is there and cannot be read.
    Damaged,
}

/// The network between the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkState {
    /// There is none.
    Absent,
    /// It is there.
    Present,
}

/// A service as an engine sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedService {
    /// What it is doing.
    pub state: ServiceState,
    /// The hash of the definition it was started with.
    pub config_hash: String,
    /// The port it was started with.
    pub port: Option<u16>,
    /// When it was started last, in milliseconds since 1970.
    pub started_at: i64,
    /// How often it was started again after it had ended unasked.
    pub restarts: u32,
    /// How it ended before it was started again the last time, where the engine still knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<Exit>,
    /// Tells the configuration of the user's that it was started with, where it is a host with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_config: Option<String>,
    /// What is known of its container, on an engine that has containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ObservedContainer>,
}

/// A container as an engine sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedContainer {
    /// What the engine calls it.
    pub id: String,
    /// The image that it was made from.
    pub image_id: String,
    /// Whether the other services reach it.
    pub attachment: Attachment,
}

/// Whether a container is on the network of its project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attachment {
    /// It is.
    Attached,
    /// It is not, or on one that is gone.
    Detached,
}

/// What a service is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ServiceState {
    /// It has a process.
    Running {
        /// The process.
        pid: u32,
    },
    /// It has a process that somebody stopped, without ending it.
    Paused {
        /// The process.
        pid: u32,
    },
    /// It ended unasked and is about to be started again.
    Restarting {
        /// How it ended.
        exit: Exit,
    },
    /// It ended unasked and nobody starts it again.
    Exited {
        /// How it ended.
        exit: Exit,
    },
    /// It has a process that nobody looks after.
    Leftover {
        /// The process.
        pid: u32,
    },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// The kernel ended it, or a process of it: it used more memory than its limit.
    OutOfMemory {
        /// The exit status of the service.
        code: i32,
        /// The limit, in bytes, where it is known.
        limit: Option<u64>,
    },
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "exit status {code}"),
            Self::Signal(9) => formatter.write_str("killed by signal 9 (SIGKILL)"),
            Self::Signal(signal) => write!(formatter, "killed by signal {signal}"),
            Self::OutOfMemory { code, limit } => {
                formatter.write_str("killed by the kernel: it used more memory than its limit")?;
                if let Some(limit) = limit {
                    write!(formatter, " of {} MiB", limit >> 20)?;
                }
                write!(formatter, " (exit status {code})")
            }
        }
    }
}

/// What is there of a project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leftover {
    /// The project.
    pub project: ProjectName,
    /// The state home that knows it.
    pub home: PathBuf,
}

/// A container that publishes a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// Its name.
    pub container: String,
    /// The Compose project it belongs to.
    pub compose_project: Option<String>,
    /// The project of ours it belongs to.
    pub owner: Option<Leftover>,
}
