//! Why the pipeline cannot be put under faults, or did not stand them.

use std::io;
use std::path::PathBuf;

use super::fault::{FaultKind, Target};
use crate::engine::EngineKind;
use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::host_config::LineFormat;
use crate::near_names;
use crate::stack::ServiceName;

/// An error of `osqdemo chaos`.
#[derive(Debug, thiserror::Error)]
pub enum ChaosError {
    /// There is no such sort of fault.
    #[error("there is no fault `{text}`")]
    UnknownFault {
        /// What was given.
        text: String,
    },
    /// The engine does not have what it is done to.
    #[error("the fault `{kind}` is not possible on the {engine} engine: {}", lacks(*kind))]
    NotOn {
        /// The fault.
        kind: FaultKind,
        /// The engine.
        engine: EngineKind,
    },
    /// The file of a clock cannot be written.
    #[error("failed to step the clock of {service}: {source}")]
    Clock {
        /// The service.
        service: ServiceName,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing between a service and the broker to be slow or cut.
    #[error("the fault `{kind}` is not possible: {}", match target {
        Some(target) => format!("`{target}` does not talk to a broker of the stack"),
        None => "no service talks to a broker of the stack".to_owned(),
    })]
    NoWay {
        /// The fault.
        kind: FaultKind,
        /// What it was to be done to, where that was said.
        target: Option<Target>,
    },
    /// The link of a service does not answer.
    #[error("the link between {service} and the broker does not answer: {source}")]
    Link {
        /// The service.
        service: ServiceName,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody said which build.
    #[error("the fault `upgrade` takes another build of osqdemo")]
    NoOtherBuild,
    /// What was said is none.
    #[error("`{}` is not a build of osqdemo: {reason}", path.display())]
    NotABuild {
        /// The path.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// No time for faults.
    #[error("`--for` leaves no time for a fault")]
    NoTime,
    /// Nothing to do.
    #[error("`--rounds` must be from 1 to {most}")]
    Rounds {
        /// The most.
        most: u32,
    },
    /// A list that cannot be run again.
    #[error("failed to read the list of faults `{}`: {reason}", path.display())]
    Replay {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A list that was made for another stack.
    #[error("the stack has no `{target}`, to which the list of faults has something done")]
    UnknownTarget {
        /// What is not there.
        target: Target,
    },
    /// What the proof is made of cannot be read.
    #[error("the proof reads lines in the format `json`, and the project's are in `{format}`")]
    LineFormat {
        /// That of the project.
        format: LineFormat,
    },
    /// The list of faults cannot be kept.
    #[error("failed to write the list of faults `{}`: {source}", path.display())]
    NotKept {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The processes of the engine are out of reach.
    #[error(
        "the processes of {service} are not on this machine, or are another user's: nothing can be done to them"
    )]
    OutOfReach {
        /// The service.
        service: ServiceName,
    },
    /// The run failed, and this is as it must not be besides.
    #[error("left behind: {}", what.join("; "))]
    LeftBehind {
        /// Each thing, as a sentence.
        what: Vec<String>,
    },
    /// It was put under faults, and something must not be as it is.
    #[error("the faults were not stood: {first}{}", and_more(*findings))]
    Failed {
        /// How many.
        findings: u64,
        /// The first one.
        first: String,
        /// The seed of the faults.
        seed: u64,
        /// The faults.
        faults: Vec<String>,
        /// After how many of them it showed.
        prefix: u32,
        /// The file that they are in.
        file: PathBuf,
        /// Whether it is only that something did not come in time.
        is_late: bool,
    },
}

/// What an engine does not have for a fault.
fn lacks(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Partition => "its services share one network interface",
        FaultKind::Slow => "the network between its containers is the daemon's",
        FaultKind::Supervisor => "the daemon looks after its services, and is not the project's",
        FaultKind::Upgrade => "its images hold the programs of this build",
        FaultKind::Disk => {
            "a limited disk that outlives the service takes more rights than those of its user"
        }
        FaultKind::Clock => "the programs in its containers read the machine's clock",
        FaultKind::Kill | FaultKind::Stop | FaultKind::Restart => "nothing is known of it",
    }
}

fn and_more(findings: u64) -> String {
    match findings.saturating_sub(1) {
        0 => String::new(),
        more => format!(", and {more} more"),
    }
}

impl Diagnose for ChaosError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::UnknownFault { .. }
            | Self::NotOn { .. }
            | Self::NoWay { .. }
            | Self::NoOtherBuild
            | Self::NotABuild { .. }
            | Self::NoTime
            | Self::Rounds { .. }
            | Self::Replay { .. }
            | Self::UnknownTarget { .. }
            | Self::LineFormat { .. } => ExitCode::Usage,
            Self::NotKept { .. } | Self::Clock { .. } => ExitCode::Internal,
            Self::OutOfReach { .. } => ExitCode::Preflight,
            Self::Link { .. } => ExitCode::NotRunning,
            Self::Failed { is_late: true, .. } => ExitCode::ScenarioTimedOut,
            Self::LeftBehind { .. } | Self::Failed { is_late: false, .. } => ExitCode::ScenarioFailed,
        }
    }

    fn details(&self) -> Vec<String> {
        match self {
            Self::Failed { seed, faults, .. } => {
                let seed = format!("seed {seed}; the faults up to where it showed:");
                let faults = faults
                    .iter()
                    .zip(1..)
                    .map(|(fault, number)| format!("{number}. {fault}"));
                [seed].into_iter().chain(faults).collect()
            }
            _ => Vec::new(),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::UnknownFault { text } => {
                let known: Vec<String> = FaultKind::ALL.iter().map(FaultKind::to_string).collect();
                near_names::hint("faults", text, &known)
            }
            Self::NotOn { kind, .. } if FaultKind::REFUSED.contains(kind) => {
                vec!["leave it out".to_owned()]
            }
            Self::NoWay { .. } => vec!["leave out `slow` and `partition`".to_owned()],
            Self::Link { .. } => vec!["`osqdemo up` sets everything back".to_owned()],
            Self::NotOn { engine, .. } => {
                let other = match engine {
                    EngineKind::Docker => EngineKind::Native,
                    EngineKind::Native | EngineKind::Fake => EngineKind::Docker,
                };
                vec![format!("run it with `--engine {other}`, or without this fault")]
            }
            Self::NoOtherBuild => vec!["name its program with `--to PATH`".to_owned()],
            Self::Replay { .. } => {
                vec!["a report of `osqdemo chaos --report json=FILE` is such a list".to_owned()]
            }
            Self::LineFormat { .. } => {
                vec!["put another project under faults, with `--project NAME`".to_owned()]
            }
            Self::OutOfReach { .. } => {
                vec![
                    "run it on the machine of the Docker daemon, as a user who may signal its containers"
                        .to_owned(),
                ]
            }
            Self::LeftBehind { .. } => {
                vec![
                    "`osqdemo up` sets the services back; the next run takes away what else is left"
                        .to_owned(),
                ]
            }
            Self::Failed { prefix, file, .. } => vec![format!(
                "the same again: `osqdemo chaos --replay {} --rounds {prefix}`",
                file.display()
            )],
            _ => Vec::new(),
        }
    }
}
