//! How often, and after which pauses, a pull is tried again.

use std::time::Duration;

use crate::images::PullFault;

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(8);

/// The pause after the first failure; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(500);

/// How often to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// The most retries after the first attempt.
    pub most: u32,
}

impl Default for Retries {
    fn default() -> Self {
        Self { most: 4 }
    }
}

impl Retries {
    /// The pause before the next attempt after `failures` of them in a row, or none when it is not to be tried again.
    pub fn pause_after(self, fault: PullFault, failures: u32) -> Option<Duration> {
        if !fault.is_worth_a_retry() || failures > self.most {
            return None;
        }
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        Some(FIRST.saturating_mul(doubled).min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let retries = Retries { most: 6 };
        let pauses: Vec<Option<u64>> = (1..=7)
            .map(|failures| {
                let pause = retries.pause_after(PullFault::RateLimited, failures)?;
                u64::try_from(pause.as_millis()).ok()
            })
            .collect();
        let expected = [500, 1000, 2000, 4000, 8000, 8000];
        assert_eq!(pauses[..6], expected.map(Some));
        assert_eq!(pauses[6], None);
    }

    #[test]
    fn what_will_not_change_is_not_tried_again() {
        for fault in [
            PullFault::NotFound,
            PullFault::Denied,
            PullFault::WrongDigest,
            PullFault::MissingPlatform,
            PullFault::Silent,
            PullFault::Other,
        ] {
            assert_eq!(Retries::default().pause_after(fault, 1), None, "{fault}");
        }
    }
}
