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
    interval: Duration,
    state: Mutex<State>,
    grown: Condvar,
    paid: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes, since the beginning.
    written: u64,
    synced: u64,
    /// Up to here it failed at least once.
    failed: u64,
    ended: bool,
}

impl SyncDebt {
    pub(super) fn new(policy: SyncPolicy) -> Self {
        Self::with_interval(policy, INTERVAL)
    }

    fn with_interval(policy: SyncPolicy, interval: Duration) -> Self {
        Self {
            policy,
            interval,
            state: Mutex::default(),
            grown: Condvar::new(),
            paid: Condvar::new(),
        }
    }

    /// Bytes were written; with [`SyncPolicy::Always`], a mark to wait for.
    pub(super) fn add(&self, bytes: u64) -> Option<u64> {
        let mut state = self.lock();
        let idle = state.written == state.synced;
        let urgent = |state: &State| state.written - state.synced >= URGENT_BYTES;
        let was_urgent = urgent(&state);
        state.written += bytes;
        if self.policy != SyncPolicy::Process && (idle || (urgent(&state) && !was_urgent)) {
            self.grown.notify_one();
        }
        (self.policy == SyncPolicy::Always).then_some(state.written)
    }

    /// Waits until everything up to the mark is durable; `false` when that does not happen in time, or at all.
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
        // A later failure may be taken for this mark's; the other way round would break the promise.
        mark > state.failed
    }

    /// Waits until it is time to sync; the mark up to which, or `None` at the end.
    pub(super) fn next(&self) -> Option<u64> {
        let mut state = self.lock();
        while !state.ended && (state.written == state.synced || self.policy == SyncPolicy::Process) {
            state = self.grown.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if self.policy == SyncPolicy::Interval {
            let due = Instant::now() + self.interval;
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

    /// Everything up to the mark is durable, or will never be known to be.
    pub(super) fn settle(&self, mark: u64, is_durable: bool) {
        let mut state = self.lock();
        state.synced = mark;
        if !is_durable {
            state.failed = mark;
        }
        drop(state);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
    use std::thread;

    use super::*;

    /// Longer than any wait for what does come, on a machine that does other things as well.
    const LONG: Duration = Duration::from_secs(20);
    const HOUR: Duration = Duration::from_secs(3600);

    /// What the thread that syncs is told, mark by mark, until the end.
    fn told(debt: &Arc<SyncDebt>) -> Receiver<u64> {
        let (tell, told) = channel();
        let debt = Arc::clone(debt);
        thread::spawn(move || {
            while let Some(mark) = debt.next() {
                debt.settle(mark, true);
                if tell.send(mark).is_err() {
                    return;
                }
            }
        });
        told
    }

    #[test]
    fn what_the_documents_promise_of_the_default_has_room_for_the_disk() {
        assert_eq!(SyncPolicy::default(), SyncPolicy::Interval);
        let debt = SyncDebt::new(SyncPolicy::Interval);
        assert!(2 * debt.interval <= Duration::from_millis(100));
        const { assert!(2 * URGENT_BYTES <= 1024 * 1024) };
    }

    #[test]
    fn each_line_waits_for_the_disk_when_that_was_chosen() {
        let debt = Arc::new(SyncDebt::with_interval(SyncPolicy::Always, HOUR));
        let first = debt.add(10).unwrap();
        assert!(!debt.wait(first, Duration::from_millis(1)), "nobody has synced");
        let second = debt.add(5).unwrap();
        debt.settle(first, true);
        assert!(debt.wait(first, Duration::ZERO));
        assert!(
            !debt.wait(second, Duration::ZERO),
            "only what came before is durable"
        );
        // From here on somebody syncs, and does not wait for company.
        let told = told(&debt);
        assert!(debt.wait(second, LONG));
        assert_eq!(told.recv_timeout(LONG), Ok(second));
        for policy in [SyncPolicy::Interval, SyncPolicy::Process] {
            assert_eq!(
                SyncDebt::new(policy).add(10),
                None,
                "{policy:?} waits for nothing"
            );
        }
    }

    #[test]
    fn what_did_not_sync_is_not_durable() {
        let debt = SyncDebt::new(SyncPolicy::Always);
        let lost = debt.add(10).unwrap();
        debt.settle(lost, false);
        assert!(!debt.wait(lost, Duration::ZERO));
        let next = debt.add(10).unwrap();
        debt.settle(next, true);
        assert!(debt.wait(next, Duration::ZERO));
        assert!(!debt.wait(lost, Duration::ZERO), "for ever");
    }

    #[test]
    fn lines_are_synced_when_time_is_up() {
        let interval = Duration::from_millis(30);
        let debt = Arc::new(SyncDebt::with_interval(SyncPolicy::Interval, interval));
        let told = told(&debt);
        let began = Instant::now();
        debt.add(10);
        assert_eq!(told.recv_timeout(LONG), Ok(10));
        assert!(began.elapsed() >= interval, "lines are gathered");
    }

    #[test]
    fn many_bytes_are_synced_before_time_is_up() {
        let debt = Arc::new(SyncDebt::with_interval(SyncPolicy::Interval, HOUR));
        let told = told(&debt);
        debt.add(URGENT_BYTES - 1);
        debt.add(1);
        assert_eq!(told.recv_timeout(LONG), Ok(URGENT_BYTES));
        // Again, with what came since.
        debt.add(2 * URGENT_BYTES);
        assert_eq!(told.recv_timeout(LONG), Ok(3 * URGENT_BYTES));
    }

    #[test]
    fn the_end_is_heard_and_the_system_may_be_left_to_itself() {
        for policy in [SyncPolicy::Process, SyncPolicy::Interval] {
            let debt = Arc::new(SyncDebt::with_interval(policy, HOUR));
            let told = told(&debt);
            debt.add(URGENT_BYTES / 2);
            debt.end();
            assert_eq!(
                told.recv_timeout(LONG),
                Err(RecvTimeoutError::Disconnected),
                "{policy:?}"
            );
        }
        let debt = SyncDebt::new(SyncPolicy::Process);
        debt.add(2 * URGENT_BYTES);
        debt.end();
        assert_eq!(debt.next(), None, "with as much as there may be");
    }
}
