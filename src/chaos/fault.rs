//! The faults, and the list of them that a seed stands for. Pure: nothing is done here.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::engine::EngineKind;
use crate::link::Condition;
use crate::stack::{Role, ServiceName, Stack};

/// The longest time between a recovery and the next fault, in milliseconds.
const LONGEST_BREAK_MS: u64 = 2_000;

/// The shortest and the longest time that a process is stopped, or a service cut off, for, in milliseconds.
const HOLD_MS: std::ops::RangeInclusive<u64> = 200..=4_000;

/// How much later everything arrives on a slow way, in milliseconds.
const DELAY_MS: std::ops::RangeInclusive<u64> = 20..=1_000;

/// How much of it is lost at first at most, of a hundred.
const LOSS_PERCENT: std::ops::RangeInclusive<u8> = 0..=20;

/// How far a clock is stepped at least and at most, forward or back, in milliseconds. Less than the grace period of the join:
/// whatever the lines say, all of their rows must be there.
const STEP_MS: std::ops::RangeInclusive<i64> = 1_000..=300_000;

/// What the supervisor is called in a list.
const SUPERVISOR: &str = "supervisor";

/// A sort of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKind {
    /// A process is killed (SIGKILL), without a word.
    Kill,
    /// A process is stopped (SIGSTOP) for a while, and then goes on (SIGCONT).
    Stop,
    /// A service is stopped in order and started again, as `osqdemo restart` does.
    Restart,
    /// A service is cut off from the network for a while; natively from the broker.
    Partition,
    /// The way between a service and the broker is slow and lossy for a while.
    Slow,
    /// Who looks after the services is killed, and all of them end with it; then they are brought up again, as `osqdemo up`
    /// does.
    Supervisor,
    /// A service is stopped in order and started again with another build of osqdemo.
    Upgrade,
    /// The disk under a service is full for a while. Not done yet.
    Disk,
    /// The clock of a service is wrong for a while.
    Clock,
}

impl FaultKind {
    /// Every sort that there is something for on some engine.
    pub const ALL: [Self; 8] = [
        Self::Kill,
        Self::Stop,
        Self::Restart,
        Self::Partition,
        Self::Slow,
        Self::Supervisor,
        Self::Upgrade,
        Self::Clock,
    ];

    /// Those that are known by name, and are refused.
    pub const REFUSED: [Self; 1] = [Self::Disk];

    /// Those that can be done on this engine, with another build of osqdemo where there is one.
    pub fn on(engine: EngineKind, other_build: Option<&Path>) -> Vec<Self> {
        let mut kinds = Self::ALL.to_vec();
        kinds.retain(|kind| match kind {
            Self::Kill | Self::Stop | Self::Restart => true,
            // Natively a link stands between the service and the broker then.
            Self::Partition => matches!(engine, EngineKind::Docker | EngineKind::Native),
            // What is between containers is the daemon's.
            Self::Slow => engine == EngineKind::Native,
            // A daemon is not the project's to kill, and an image holds the programs of this build.
            Self::Supervisor => engine == EngineKind::Native,
            Self::Upgrade => engine == EngineKind::Native && other_build.is_some(),
            // A container's programs would have to be given the file of their clock when it is made.
            Self::Clock => engine == EngineKind::Native,
            Self::Disk => false,
        });
        kinds
    }

    /// Whether it is done to the way between a service and the broker, where the services share one network interface.
    pub fn takes_a_link(self, engine: EngineKind) -> bool {
        engine == EngineKind::Native && matches!(self, Self::Slow | Self::Partition)
    }

    /// Whether it is done to such a part.
    fn is_for(self, part: Part) -> bool {
        match part {
            Part::Whole => self != Self::Supervisor,
            Part::Extension | Part::Osqueryd => matches!(self, Self::Kill | Self::Stop),
            Part::Supervisor => self == Self::Supervisor,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Partition => "partition",
            Self::Slow => "slow",
            Self::Supervisor => "supervisor",
            Self::Upgrade => "upgrade",
            Self::Disk => "disk",
            Self::Clock => "clock",
        })
    }
}

impl FromStr for FaultKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .chain(Self::REFUSED)
            .find(|kind| kind.to_string() == text)
            .ok_or(())
    }
}

/// Which processes of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All of them.
    Whole,
    /// The extension of a host.
    Extension,
    /// The osqueryd of a host, or the built-in agent.
    Osqueryd,
    /// Of none: the process that looks after all of them.
    Supervisor,
}

/// What a fault is done to: `broker`, `host1`, `host1/extension`, `host2/osqueryd`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target {
    /// The service.
    pub service: ServiceName,
    /// Which part of it.
    pub part: Part,
}

impl Target {
    /// All of a service.
    pub fn whole(service: &ServiceName) -> Self {
        Self {
            service: service.clone(),
            part: Part::Whole,
        }
    }

    /// Who looks after the services.
    pub fn supervisor() -> Self {
        Self {
            service: ServiceName::new(SUPERVISOR),
            part: Part::Supervisor,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Part::Whole => write!(formatter, "{}", self.service),
            Part::Extension => write!(formatter, "{}/extension", self.service),
            Part::Osqueryd => write!(formatter, "{}/osqueryd", self.service),
            Part::Supervisor => formatter.write_str(SUPERVISOR),
        }
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (service, part) = match text.split_once('/') {
            None if text == SUPERVISOR => return Ok(Self::supervisor()),
            None => (text.as_str(), Part::Whole),
            Some((service, "extension")) => (service, Part::Extension),
            Some((service, "osqueryd")) => (service, Part::Osqueryd),
            Some((_, part)) => return Err(format!("`{part}` is no part of a host: `extension`, `osqueryd`")),
        };
        Ok(Self {
            service: ServiceName::new(service),
            part,
        })
    }
}

/// A fault of a list, and when it comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Its place in the list, from 1.
    pub number: u32,
    /// How long after the recovery from the one before, in milliseconds.
    pub after_ms: u64,
    /// What is done.
    pub kind: FaultKind,
    /// To what.
    pub target: Target,
    /// How long it lasts, in milliseconds; 0 for what takes no time.
    pub hold_ms: u64,
    /// How slow the way is, where that is the fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
    /// How far the clock is stepped, where that is the fault, in milliseconds; back where it is negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_ms: Option<i64>,
}

/// How a slow way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// How much later everything arrives, in each direction, in milliseconds.
    pub delay_ms: u64,
    /// How much of it is lost at first, of a hundred.
    pub loss_percent: u8,
}

impl fmt::Display for Way {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "by {} ms", self.delay_ms)?;
        match self.loss_percent {
            0 => Ok(()),
            loss => write!(formatter, " with {loss} % lost"),
        }
    }
}

impl From<Way> for Condition {
    fn from(way: Way) -> Self {
        Self {
            delay_ms: way.delay_ms,
            loss_percent: way.loss_percent,
            is_cut: false,
        }
    }
}

impl Round {
    /// Whether it says how slow the way is and how far the clock is stepped where it has to, and nowhere else.
    pub fn says_how(&self) -> bool {
        self.way.is_some() == (self.kind == FaultKind::Slow)
            && self.step_ms.is_some() == (self.kind == FaultKind::Clock)
    }
}

impl fmt::Display for Round {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == FaultKind::Supervisor {
            return formatter.write_str("kill the supervisor");
        }
        write!(formatter, "{} {}", self.kind, self.target)?;
        if let Some(way) = self.way {
            write!(formatter, " {way}")?;
        }
        if let Some(step_ms) = self.step_ms {
            write!(formatter, " by {step_ms:+} ms")?;
        }
        match self.hold_ms {
            0 => Ok(()),
            hold => write!(formatter, " for {hold} ms"),
        }
    }
}

/// The endless list of faults that a seed stands for, on a stack. Its beginning is the same however much of it is used.
#[derive(Debug, Clone)]
pub struct Draw {
    random: fastrand::Rng,
    kinds: Vec<FaultKind>,
    targets: Vec<Target>,
    number: u32,
}

impl Draw {
    /// The list of `seed`, of these sorts of faults. There must be one, and a service.
    pub fn new(seed: u64, kinds: &[FaultKind], stack: &Stack) -> Self {
        let mut kinds = kinds.to_vec();
        kinds.sort_unstable();
        kinds.dedup();
        Self {
            random: fastrand::Rng::with_seed(seed),
            kinds,
            targets: targets(stack),
            number: 0,
        }
    }
}

impl Iterator for Draw {
    type Item = Round;

    fn next(&mut self) -> Option<Round> {
        let kind = *self.random.choice(&self.kinds)?;
        let fits: Vec<&Target> = self
            .targets
            .iter()
            .filter(|target| kind.is_for(target.part))
            .collect();
        let target = (*self.random.choice(&fits)?).clone();
        self.number += 1;
        Some(Round {
            number: self.number,
            after_ms: self.random.u64(0..=LONGEST_BREAK_MS),
            kind,
            target,
            hold_ms: match kind {
                FaultKind::Stop | FaultKind::Partition | FaultKind::Slow | FaultKind::Clock => {
                    self.random.u64(HOLD_MS)
                }
                FaultKind::Kill
                | FaultKind::Restart
                | FaultKind::Supervisor
                | FaultKind::Upgrade
                | FaultKind::Disk => 0,
            },
            way: (kind == FaultKind::Slow).then(|| Way {
                delay_ms: self.random.u64(DELAY_MS),
                loss_percent: self.random.u8(LOSS_PERCENT),
            }),
            step_ms: (kind == FaultKind::Clock).then(|| {
                let step_ms = self.random.i64(STEP_MS);
                if self.random.bool() { step_ms } else { -step_ms }
            }),
        })
    }
}

/// What there is to do a fault to: every service, of a host also its parts, and who looks after all of them.
pub fn targets(stack: &Stack) -> Vec<Target> {
    let mut targets = vec![Target::supervisor()];
    for service in &stack.services {
        targets.push(Target::whole(&service.name));
        if service.role == Role::Host {
            targets.extend([Part::Extension, Part::Osqueryd].map(|part| Target {
                service: service.name.clone(),
                part,
            }));
        }
    }
    targets
}

#[cfg(test)]
mod tests;
