//! A task that works for everybody who watches, and only while somebody does.

use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Count {
    watchers: usize,
    is_served: bool,
}

/// Who watches, and whether the task that serves them runs.
#[derive(Debug, Default)]
pub(super) struct Crowd(Mutex<Count>);

impl Crowd {
    /// One more watches. Says whether the task has to be started.
    pub(super) fn join(&self) -> bool {
        let mut count = self.count();
        count.watchers += 1;
        !std::mem::replace(&mut count.is_served, true)
    }

    /// One watches no more.
    pub(super) fn leave(&self) {
        self.count().watchers -= 1;
    }

    /// Asked by the task: whether it is to end. When it is, the next to join starts another one.
    pub(super) fn has_gone(&self) -> bool {
        let mut count = self.count();
        if count.watchers == 0 {
            count.is_served = false;
        }
        count.watchers == 0
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_serves_whoever_comes_and_goes() {
        let crowd = Crowd::default();
        assert!(crowd.join());
        assert!(!crowd.join());
        crowd.leave();
        assert!(!crowd.has_gone());
        crowd.leave();
        // It did not look yet, so it goes on for the next one.
        assert!(!crowd.join());
        crowd.leave();
        assert!(crowd.has_gone());
        assert!(crowd.join());
    }
}
