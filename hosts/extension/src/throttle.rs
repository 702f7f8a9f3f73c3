//! Says a repeated thing now and then instead of every time.

use std::collections::HashMap;
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
        state.pass(self.period)
    }
}

impl State {
    fn pass(&mut self, period: Duration) -> Option<u64> {
        self.held_back += 1;
        if self.is_quiet(period) {
            return None;
        }
        self.passed_at = Some(Instant::now());
        Some(std::mem::take(&mut self.held_back))
    }

    fn is_quiet(&self, period: Duration) -> bool {
        self.passed_at
            .is_some_and(|passed_at| passed_at.elapsed() < period)
    }
}

/// The same for each name by itself: what is said of one is no reason to be silent about another.
#[derive(Debug)]
pub(crate) struct NamedThrottle {
    period: Duration,
    names: Mutex<HashMap<Vec<u8>, State>>,
    /// For those that find no room.
    others: Throttle,
}

impl NamedThrottle {
    /// How many names are told apart in one period.
    const MOST_NAMES: usize = 256;
    /// A longer name counts by its beginning.
    const LONGEST_NAME: usize = 256;

    pub(crate) fn new(period: Duration) -> Self {
        Self {
            period,
            names: Mutex::default(),
            others: Throttle::new(period),
        }
    }

    /// As [`Throttle::pass`], of the occasions under `name`.
    pub(crate) fn pass(&self, name: &[u8]) -> Option<u64> {
        let name = &name[..name.len().min(Self::LONGEST_NAME)];
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = names.get_mut(name) {
            return state.pass(self.period);
        }
        if names.len() >= Self::MOST_NAMES {
            names.retain(|_, state| state.is_quiet(self.period));
        }
        if names.len() >= Self::MOST_NAMES {
            return self.others.pass();
        }
        names.entry(name.to_vec()).or_default().pass(self.period)
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

    #[test]
    fn each_name_is_heard_and_there_is_an_end_of_names() {
        let throttle = NamedThrottle::new(Duration::from_secs(3600));
        for name in [b"one", b"two"] {
            assert_eq!(throttle.pass(name), Some(1));
            assert_eq!(throttle.pass(name), None);
        }
        for number in 0..2 * NamedThrottle::MOST_NAMES {
            throttle.pass(&[b"query ".as_slice(), number.to_string().as_bytes()].concat());
        }
        throttle.pass(&[b'x'; 100_000]);
        let names = throttle.names.lock().unwrap();
        assert_eq!(names.len(), NamedThrottle::MOST_NAMES);
        assert!(names.keys().all(|name| name.len() <= NamedThrottle::LONGEST_NAME));
        drop(names);
        // Those of a period that is over make room.
        for state in throttle.names.lock().unwrap().values_mut() {
            state.passed_at = None;
        }
        assert_eq!(throttle.pass(b"late"), Some(1));
        assert_eq!(throttle.names.lock().unwrap().len(), 1);
    }
}
