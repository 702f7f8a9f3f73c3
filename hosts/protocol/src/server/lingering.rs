//! Connections that stay open, each with a thread of its own.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Cursor, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use super::overdue::Who;
use super::{ANSWER_PATIENCE, INLINE_LIMIT, LINGERING_LIMIT, LINGERING_PATIENCE, Shared, answer, lock};
use crate::ProtocolError;
use crate::message::Call;
use crate::wire::Decoder;

/// The connections that have a thread of their own.
#[derive(Default)]
pub(super) struct Lingering {
    next: u64,
    pub(super) streams: HashMap<u64, LingeringStream>,
    pub(super) threads: Vec<JoinHandle<()>>,
}

pub(super) struct LingeringStream {
    pub(super) stream: UnixStream,
    /// When it was last answered, in the server's own count of answers.
    answered: Arc<AtomicU64>,
}

/// Gives a connection a thread of its own. `received` was read of it and is not yet understood, `unsent`
/// is an answer that is still to go out.
pub(super) fn linger(shared: &Arc<Shared>, stream: UnixStream, received: Vec<u8>, unsent: Vec<u8>) {
    let mut lingering = lock(&shared.lingering);
    lingering.threads.retain(|thread| !thread.is_finished());
    if lingering.streams.len() >= LINGERING_LIMIT {
        // Who comes now may be osqueryd, and wants an answer; who was silent for longest may be nobody any more.
        let silent = lingering
            .streams
            .iter()
            .min_by_key(|(number, one)| (one.answered.load(Ordering::Relaxed), **number));
        let silent = silent.map(|(number, _)| *number);
        tracing::warn!(
            limit = LINGERING_LIMIT,
            "too many open connections on the extension socket; the one that was silent for longest is closed"
        );
        if let Some(closed) = silent.and_then(|number| lingering.streams.remove(&number)) {
            let _ = closed.stream.shutdown(Shutdown::Both);
        }
    }
    let number = lingering.next;
    lingering.next += 1;
    let Ok(registered) = stream.try_clone() else {
        return;
    };
    let answered = Arc::new(AtomicU64::new(shared.answers.load(Ordering::Relaxed)));
    let entry = LingeringStream {
        stream: registered,
        answered: Arc::clone(&answered),
    };
    lingering.streams.insert(number, entry);
    let spawned = thread::Builder::new()
        .name("osquery-connection".to_owned())
        .spawn({
            let shared = Arc::clone(shared);
            move || {
                let ended = serve_lingering(&shared, &stream, &answered, received, &unsent);
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection on the extension socket ended");
                }
                lock(&shared.lingering).streams.remove(&number);
            }
        });
    match spawned {
        Ok(thread) => lingering.threads.push(thread),
        Err(error) => {
            lingering.streams.remove(&number);
            tracing::warn!(%error, "no thread for a connection on the extension socket");
        }
    }
}

fn serve_lingering(
    shared: &Shared,
    stream: &UnixStream,
    answered: &AtomicU64,
    received: Vec<u8>,
    unsent: &[u8],
) -> Result<(), ProtocolError> {
    stream.set_read_timeout(Some(LINGERING_PATIENCE))?;
    stream.set_write_timeout(Some(ANSWER_PATIENCE))?;
    let mut reader = BufReader::with_capacity(INLINE_LIMIT, Cursor::new(received).chain(stream));
    let mut writer = stream;
    writer.write_all(unsent)?;
    let seat = shared.calls.seat(Who::Connection);
    while !reader.fill_buf()?.is_empty() {
        let (header, call) = Call::decode(&mut Decoder::new(&mut reader))?;
        let served = seat.serve(stream.try_clone()?, header, call, |call| answer(shared, call));
        if let Some((_, answer)) = served {
            writer.write_all(&answer)?;
        }
        answered.store(shared.answers.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }
    Ok(())
}
