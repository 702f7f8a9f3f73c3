//! A link: what stands between a client and the broker so that the way between the two can be slow, lossy or cut, without
//! root and without touching anybody else's network.
//!
//! `osqdemo serve link` listens where the client believes its broker to be and carries bytes both ways (`connection`). A
//! Kafka client goes where the broker's answers send it, so a link puts its own address into them ([`addresses`]). How
//! the way is just now ([`Condition`]) it is told over a socket in the project's folder ([`control`]); what is told for a
//! while holds as long as the teller's connection does, so that whoever is killed in the middle leaves nothing behind.
//! [`insertion`] puts links into the services as they should be.
//!
//! Must not know what faults there are, nor who does them.

pub mod addresses;
mod connection;
pub mod control;
pub mod insertion;
mod serve;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use serve::{LinkError, LinkSettings, serve};

/// The longest that one may make each direction.
pub const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// The most of what is sent that may be lost, of a hundred: with more, nothing arrives in any time.
pub const MOST_LOSS_PERCENT: u8 = 90;

/// How the way between a client and the broker is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// How much later everything arrives, in each direction, in milliseconds.
    pub delay_ms: u64,
    /// How much of it, of a hundred, is lost at first and comes with a retransmission, as TCP does it.
    pub loss_percent: u8,
    /// Whether nothing goes through at all.
    pub is_cut: bool,
}

impl Condition {
    /// Nothing goes through.
    pub const CUT: Self = Self {
        delay_ms: 0,
        loss_percent: 0,
        is_cut: true,
    };

    /// Whether the way is as if there were no link.
    pub fn is_clear(self) -> bool {
        self == Self::default()
    }

    /// The worse of both, in everything; within what a link does.
    #[must_use]
    pub fn or_worse(self, other: Self) -> Self {
        let longest = u64::try_from(LONGEST_DELAY.as_millis()).unwrap_or(u64::MAX);
        Self {
            delay_ms: self.delay_ms.max(other.delay_ms).min(longest),
            loss_percent: self.loss_percent.max(other.loss_percent).min(MOST_LOSS_PERCENT),
            is_cut: self.is_cut || other.is_cut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_counts_and_has_a_bound() {
        let slow = Condition {
            delay_ms: 200,
            ..Condition::default()
        };
        let lossy = Condition {
            loss_percent: 5,
            ..Condition::default()
        };
        let both = slow.or_worse(lossy).or_worse(Condition::CUT);
        assert_eq!((both.delay_ms, both.loss_percent, both.is_cut), (200, 5, true));
        let endless = Condition {
            delay_ms: u64::MAX,
            loss_percent: 100,
            is_cut: false,
        };
        let bounded = Condition::default().or_worse(endless);
        assert_eq!((bounded.delay_ms, bounded.loss_percent), (60_000, 90));
        assert!(Condition::default().is_clear() && !lossy.is_clear());
    }
}
