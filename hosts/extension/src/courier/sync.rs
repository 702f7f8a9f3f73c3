//! When what is in the spool's files becomes durable.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How much may be lost when the machine loses its power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SyncPolicy {
    /// The lines of the last 100 ms, or the last MiB.
    #[default]
    Interval,
    /// Nothing: each line is synced before it is answered.
    Always,
    /// Whatever the system has not written yet. A process that ends, however it does, loses nothing.
    Process,
}

/// Lines are synced when they are so old, which leaves the disk as much time again for it.
const INTERVAL: Duration = Duration::from_millis(50);
/// They are synced earlier when there are so many bytes of them.
const URGENT_BYTES: u64 = 512 * 1024;

/// What is owed to the disk, between those who write and the thread that syncs.
#[derive(Debug)]
pub(super) struct SyncDebt {
    policy: SyncPolicy,
    state: Mutex<State>,
    grown: Condvar,
    paid: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes, since the beginning.
    written: u64,
    synced: u64,
    ended: bool,
}

impl SyncDebt {
    pub(super) fn new(policy: SyncPolicy) -> Self {
        Self {
            policy,
            state: Mutex::default(),
            grown: Condvar::new(),
            paid: Condvar::new(),
        }
    }

    pub(super) fn policy(&self) -> SyncPolicy {
        self.policy
    }

    /// Bytes were written; a mark to wait for.
    pub(super) fn add(&self, bytes: u64) -> u64 {
        let mut state = self.lock();
        let idle = state.written == state.synced;
        let urgent = |state: &State| state.written - state.synced >= URGENT_BYTES;
        let was_urgent = urgent(&state);
        state.written += bytes;
        if self.policy != SyncPolicy::Process && (idle || (urgent(&state) && !was_urgent)) {
            self.grown.notify_one();
        }
        state.written
    }

    /// Waits until everything up to the mark is durable; `false` when that does not happen in time.
    pub(super) fn wait(&self, mark: u64, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        while state.synced < mark {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.paid.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Waits until it is time to sync; the mark up to which, or `None` at the end.
    pub(super) fn next(&self) -> Option<u64> {
        let mut state = self.lock();
        while !state.ended && (state.written == state.synced || self.policy == SyncPolicy::Process) {
            state = self.grown.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if self.policy == SyncPolicy::Interval {
            let due = Instant::now() + INTERVAL;
            while !state.ended && state.written - state.synced < URGENT_BYTES {
                let left = due.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                let waited = self.grown.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        (!state.ended).then_some(state.written)
    }

    /// Everything up to the mark is durable.
    pub(super) fn settle(&self, mark: u64) {
        self.lock().synced = mark;
        self.paid.notify_all();
    }

    /// Ends whoever waits in [`SyncDebt::next`].
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.grown.notify_all();
    }

    /// The state is whole at every moment, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
