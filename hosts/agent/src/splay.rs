//! Splayed intervals: each query's interval is moved by a few per cent, so that a fleet does not ask in step.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

/// osquery's default; it falls back to it when the flag says 0 or 1.
const DEFAULT_PERCENT: u64 = 10;

/// The interval to use for one that was asked for: anywhere within `percent` of it, never less than a second.
pub(crate) fn splay(interval: u64, percent: u64) -> u64 {
    splay_by(interval, percent, random())
}

fn splay_by(interval: u64, percent: u64, random: u64) -> u64 {
    let percent = if percent <= 1 { DEFAULT_PERCENT } else { percent };
    if percent > 100 {
        return interval;
    }
    let difference = interval * percent / 100;
    let lowest = interval.saturating_sub(difference).max(1);
    lowest + random % (interval + difference - lowest + 1)
}

fn random() -> u64 {
    // The standard library seeds each of these anew.
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_intervals_are_exact() {
        for interval in 1..10 {
            assert_eq!(splay(interval, 10), interval);
        }
        assert_eq!(splay(1, 0), 1);
        assert_eq!(splay(50, 101), 50);
    }

    proptest! {
        #[test]
        fn stays_within_its_bounds(interval in 1u64..604_801, percent in 0u64..=100, random in any::<u64>()) {
            let effective = if percent <= 1 { 10 } else { percent };
            let splayed = splay_by(interval, percent, random);
            prop_assert!(splayed >= 1);
            prop_assert!(splayed.abs_diff(interval) <= interval * effective / 100);
        }
    }
}
