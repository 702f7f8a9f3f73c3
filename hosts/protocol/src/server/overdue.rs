//! Calls that take too long, because a disk hangs, say. osqueryd must not be kept waiting by them: the call is answered
//! in the handler's place, and when it was the accept loop that sits in it, another thread goes on accepting.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ByteString;
use crate::message::{Answer, Call};
use crate::wire::Header;

/// How long a call may take before it is answered in the handler's place. osqueryd waits ten seconds for a ping.
pub const OVERDUE: Duration = Duration::from_secs(3);

/// The calls under way, a slot for each thread that serves some.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<Vec<Arc<Slot>>>);

/// A thread's place for the call it is in.
#[derive(Debug)]
pub(super) struct Slot {
    who: Who,
    underway: Mutex<Option<Underway>>,
}

/// Who sits in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// An accept loop; nobody else is answered meanwhile.
    Acceptor,
    /// The thread of one connection.
    Connection,
}

/// A call under way, with what is needed to answer it.
#[derive(Debug)]
pub(super) struct Underway {
    pub(super) who: Who,
    began: Instant,
    stream: UnixStream,
    header: Header,
    /// Registry and item, of a plugin's call.
    pub(super) plugin: Option<(ByteString, ByteString)>,
}

/// A slot that is on the list for as long as this value is there.
#[derive(Debug)]
pub(super) struct Seat<'calls> {
    calls: &'calls Calls,
    slot: Arc<Slot>,
}

impl Calls {
    pub(super) fn seat(&self, who: Who) -> Seat<'_> {
        let slot = Arc::new(Slot {
            who,
            underway: Mutex::default(),
        });
        lock(&self.0).push(Arc::clone(&slot));
        Seat { calls: self, slot }
    }

    /// Takes the calls that have been under way for too long out of their slots.
    pub(super) fn take_overdue(&self) -> Vec<Underway> {
        let slots = lock(&self.0);
        let overdue =
            |slot: &Arc<Slot>| lock(&slot.underway).take_if(|underway| underway.began.elapsed() >= OVERDUE);
        slots.iter().filter_map(overdue).collect()
    }
}

impl Seat<'_> {
    /// Runs a call; the connection and the answer, or `None` when the call was answered in its place meanwhile.
    pub(super) fn serve(
        &self,
        stream: UnixStream,
        header: Header,
        call: Call,
        answer: impl FnOnce(Call) -> Answer,
    ) -> Option<(UnixStream, Vec<u8>)> {
        // A ping is never late, and is every second call.
        if matches!(call, Call::Ping) {
            return Some((stream, answer(call).encode(&header)));
        }
        let plugin = match &call {
            Call::Plugin { registry, item, .. } => Some((registry.clone(), item.clone())),
            _ => None,
        };
        *lock(&self.slot.underway) = Some(Underway {
            who: self.slot.who,
            began: Instant::now(),
            stream,
            header,
            plugin,
        });
        let answer = answer(call);
        let underway = lock(&self.slot.underway).take()?;
        Some((underway.stream, answer.encode(&underway.header)))
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        lock(&self.calls.0).retain(|slot| !Arc::ptr_eq(slot, &self.slot));
    }
}

impl Underway {
    /// Sends the answer.
    pub(super) fn answer(mut self, answer: &Answer) {
        if let Err(error) = self.stream.write_all(&answer.encode(&self.header)) {
            tracing::debug!(%error, "cannot answer a call that took too long");
        }
    }
}

/// What these locks hold is whole at every moment, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
