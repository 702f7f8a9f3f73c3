//! A length of time as a statement says it: so many of a unit. Its text keeps the unit: 60 seconds are no minute.

use std::fmt::{self, Display};

/// `n unit`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Duration {
    count: i64,
    unit: TimeUnit,
}

/// A unit of time that has a fixed length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each says what it is")]
pub enum TimeUnit {
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
    Days,
}

impl Duration {
    /// So many of that unit. `None`: more milliseconds than can be counted.
    pub fn new(count: u64, unit: TimeUnit) -> Option<Self> {
        let count = i64::try_from(count).ok()?;
        count.checked_mul(unit.milliseconds())?;
        Some(Self { count, unit })
    }

    /// Its length.
    pub fn milliseconds(self) -> i64 {
        // Neither is negative, and `new` has seen that they fit.
        self.count.saturating_mul(self.unit.milliseconds())
    }
}

impl Display for Duration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            TimeUnit::Milliseconds => "MILLISECONDS",
            TimeUnit::Seconds => "SECONDS",
            TimeUnit::Minutes => "MINUTES",
            TimeUnit::Hours => "HOURS",
            TimeUnit::Days => "DAYS",
        };
        write!(out, "{} {unit}", self.count)
    }
}

impl TimeUnit {
    fn milliseconds(self) -> i64 {
        match self {
            Self::Milliseconds => 1,
            Self::Seconds => 1_000,
            Self::Minutes => 60_000,
            Self::Hours => 3_600_000,
            Self::Days => 86_400_000,
        }
    }
}
