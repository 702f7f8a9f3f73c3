//! Says a repeated thing now and then instead of every time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets one occasion pass in each period and counts the others.
#[derive(Debug)]
pub(crate) struct Throttle {
    period: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    passed_at: Option<Instant>,
    held_back: u64,
}

impl Throttle {
    pub(crate) fn new(period: Duration) -> Self {
        Self {
            period,
            state: Mutex::default(),
        }
    }

    /// `Some` when it is time to speak, with the number of occasions since the last time, this one
    /// included.
    pub(crate) fn pass(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.held_back += 1;
        if state
            .passed_at
            .is_some_and(|passed_at| passed_at.elapsed() < self.period)
        {
            return None;
        }
        state.passed_at = Some(Instant::now());
        Some(std::mem::take(&mut state.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_back_is_counted() {
        let throttle = Throttle::new(Duration::from_secs(3600));
        assert_eq!(throttle.pass(), Some(1));
        assert_eq!(throttle.pass(), None);
        assert_eq!(throttle.pass(), None);
        throttle.state.lock().unwrap().passed_at = None;
        assert_eq!(throttle.pass(), Some(3));
    }
}
