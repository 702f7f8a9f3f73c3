//! The time of day for one run, read once and then counted on: a step of the machine's clock in the midst of it would
//! otherwise make latencies of hours, or negative ones.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// A clock that never goes back. A cheap clone tells the same time.
#[derive(Debug, Clone)]
pub(super) struct SteadyClock {
    began_at: Timestamp,
    began: Instant,
}

impl SteadyClock {
    /// From now on.
    pub(super) fn start() -> Self {
        Self {
            began_at: Timestamp::now(),
            began: Instant::now(),
        }
    }

    /// What time it is.
    pub(super) fn now(&self) -> Timestamp {
        self.after(self.began.elapsed())
    }

    fn after(&self, elapsed: Duration) -> Timestamp {
        let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::ZERO);
        self.began_at.checked_add(elapsed).unwrap_or(self.began_at)
    }

    /// A time that another clock showed of something that was seen at `seen_at` and made after this clock began: where
    /// the two do not agree, the nearest time at which it can have been.
    pub(super) fn fit(&self, made_at: Timestamp, seen_at: Timestamp) -> Timestamp {
        made_at.max(self.began_at).min(seen_at.max(self.began_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_on_by_itself() {
        let clock = SteadyClock::start();
        let later = clock.after(Duration::from_millis(1500));
        assert_eq!(later.as_millisecond() - clock.began_at.as_millisecond(), 1500);
        assert!(clock.began_at <= clock.now() && clock.now() <= clock.now());
    }

    #[test]
    fn a_time_of_another_clock_is_kept_between_begin_and_sight() {
        let clock = SteadyClock::start();
        let hour = SignedDuration::from_hours(1);
        let seen_at = clock.began_at + SignedDuration::from_millis(700);
        let within = clock.began_at + SignedDuration::from_millis(300);
        assert_eq!(clock.fit(within, seen_at), within);
        assert_eq!(clock.fit(within - hour, seen_at), clock.began_at);
        assert_eq!(clock.fit(within + hour, seen_at), seen_at);
    }
}
