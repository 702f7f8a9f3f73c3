//! The wish to end: from SIGTERM, SIGINT, or an extension's RPC. Every wait of the agent is a wait on this.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

/// A flag that wakes whoever waits for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shutdown(Arc<(Mutex<Option<Instant>>, Condvar)>);

impl Shutdown {
    pub(crate) fn request(&self) {
        self.since().get_or_insert_with(Instant::now);
        self.0.1.notify_all();
    }

    pub(crate) fn is_requested(&self) -> bool {
        self.since().is_some()
    }

    /// How long ago the agent was asked to end, if it was.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.since().map(|since| since.elapsed())
    }

    /// Waits, for at most `patience`; returns whether the agent is to end.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut requested = self.since();
        while requested.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            requested = self
                .0
                .1
                .wait_timeout(requested, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        requested.is_some()
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns SIGTERM and SIGINT into the wish to end, for as long as the process lives.
    pub(crate) fn on_signals(&self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let (mut terminate, mut interrupt) = {
            let _context = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        let shutdown = self.clone();
        thread::Builder::new()
            .name("signals".to_owned())
            .stack_size(128 * 1024)
            .spawn(move || {
                runtime.block_on(async {
                    loop {
                        tokio::select! {
                            _ = terminate.recv() => {}
                            _ = interrupt.recv() => {}
                        }
                        shutdown.request();
                    }
                });
            })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_every_wait() {
        let shutdown = Shutdown::default();
        assert!(!shutdown.wait(Duration::from_millis(1)));
        let waiting = shutdown.clone();
        let waiter = thread::spawn(move || waiting.wait(Duration::from_secs(60)));
        shutdown.request();
        assert!(waiter.join().unwrap() && shutdown.is_requested());
        let age = shutdown.age().unwrap();
        shutdown.request();
        assert!(shutdown.age().unwrap() >= age, "only the first request counts");
    }
}
