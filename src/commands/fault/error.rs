//! Why a fault cannot be set or cleared by hand.

use crate::chaos::fault::{FaultKind, Target};
use crate::engine::EngineKind;
use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::link::LONGEST_DELAY;
use crate::near_names;
use crate::quantity::typed_duration;
use crate::stack::ServiceName;

/// An error of `osqdemo fault`.
#[derive(Debug, thiserror::Error)]
pub(super) enum FaultError {
    /// There is no such fault by hand.
    #[error("`{text}` is no fault that is set by hand: `stop`, `partition`, `slow`, `clock` and `kill` are")]
    UnknownKind { text: String },
    /// There is nothing of that name.
    #[error("the stack has no `{text}`")]
    UnknownTarget { text: String, known: Vec<String> },
    /// A host has one network.
    #[error("`{target}` has no network of its own: a whole service is cut off")]
    PartOfNetwork { target: Target },
    /// A host has one clock.
    #[error("`{target}` has no clock of its own: that of a whole service is set wrong")]
    PartOfClock { target: Target },
    /// What only a clock has.
    #[error("only the fault `clock` has a `--step`")]
    NotClock,
    /// There is no network to cut, or no clock to set.
    #[error("the fault `{kind}` is not possible on the {engine} engine: {}", match kind {
        FaultKind::Slow => "the network between its services is not the project's",
        FaultKind::Clock => "the programs in its containers read the machine's clock",
        _ => "its services share one network interface",
    })]
    NotOn { kind: FaultKind, engine: EngineKind },
    /// Nothing that is slow or cut.
    #[error("`{service}` does not talk to a broker of the stack: there is no way that could be slow or cut")]
    NoWay { service: ServiceName },
    /// What only a slow way has.
    #[error("only the fault `slow` has a `--delay` and a `--loss`")]
    NotSlow,
    /// No way is so slow.
    #[error("`--delay` may be at most {}", typed_duration(LONGEST_DELAY))]
    Delay,
    /// It has been started, and does not answer.
    #[error("the link between {service} and the broker does not answer: {source}")]
    Link {
        service: ServiceName,
        source: std::io::Error,
    },
    /// What it stands on is stopped.
    #[error("{service} is started anew for this, which cannot be well while {ground} is stopped")]
    GroundStopped {
        service: ServiceName,
        ground: ServiceName,
        /// Whether that is a fault set by hand.
        is_fault: bool,
    },
    /// There is nothing to end.
    #[error("no fault is set on `{target}`")]
    NotSet { target: Target, set: Vec<String> },
    /// Its processes are somebody else's.
    #[error(
        "the processes of {service} are not on this machine, or are another user's: nothing can be done to them"
    )]
    OutOfReach { service: ServiceName },
    /// It is just being started.
    #[error("`{target}` has no process just now")]
    NoProcess { target: Target },
}

impl Diagnose for FaultError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::OutOfReach { .. } => ExitCode::Preflight,
            Self::NoProcess { .. } | Self::Link { .. } => ExitCode::NotRunning,
            Self::GroundStopped { .. } => ExitCode::NotHealthy,
            _ => ExitCode::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::UnknownTarget { text, known } => near_names::hint("targets", text, known),
            Self::NotSet { set, .. } if set.is_empty() => vec!["no fault is set at all".to_owned()],
            Self::NotSet { set, .. } => vec![format!("there are faults on `{}`", set.join("`, `"))],
            Self::NotOn { .. } | Self::NoWay { .. } => {
                vec!["`stop` makes it silent on every engine".to_owned()]
            }
            Self::Link { .. } => vec!["`osqdemo up` sets everything back".to_owned()],
            Self::GroundStopped { ground, is_fault, .. } => vec![if *is_fault {
                format!(
                    "`osqdemo fault clear {ground}` lets it go on; `osqdemo fault clear` ends every fault"
                )
            } else {
                "`osqdemo up` lets it go on".to_owned()
            }],
            Self::NoProcess { .. } => vec!["try again in a moment; `osqdemo ps` shows its state".to_owned()],
            _ => Vec::new(),
        }
    }
}
