//! What is wrong with clients, told without letting them fill the log.
//!
//! The first few in a minute are told one by one; of the others only how many there were.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Told one by one in each period.
const SHOWN: u32 = 10;
const PERIOD: Duration = Duration::from_secs(60);

/// Counts what was told.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    period: Mutex<Option<Period>>,
}

#[derive(Debug)]
struct Period {
    since: Instant,
    shown: u32,
    passed_over: u64,
}

impl Complaints {
    /// Whether one more may be told at `now`; how many were passed over before is told first.
    pub(crate) fn may_tell(&self, now: Instant) -> bool {
        let mut period = self.period.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |period: &Period| now.duration_since(period.since) >= PERIOD;
        if let Some(over) = period.take_if(|period| is_over(period))
            && over.passed_over > 0
        {
            tracing::warn!(
                connections = over.passed_over,
                "closed more connections for the same kind of reasons"
            );
        }
        let current = period.get_or_insert(Period {
            since: now,
            shown: 0,
            passed_over: 0,
        });
        if current.shown < SHOWN {
            current.shown += 1;
            true
        } else {
            current.passed_over += 1;
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_minute_are_told() {
        let complaints = Complaints::default();
        let start = Instant::now();
        let told = |after: u64| {
            let tries = (0..1000).filter(|_| complaints.may_tell(start + Duration::from_secs(after)));
            tries.count()
        };
        assert_eq!((told(0), told(59), told(60)), (10, 0, 10));
    }
}
