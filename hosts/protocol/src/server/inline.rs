//! A connection's first call, answered in the accept loop.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Instant;

use super::overdue::Seat;
use super::{INLINE_ANSWER_LIMIT, INLINE_LIMIT, INLINE_PATIENCE, Shared, answer, linger};
use crate::ProtocolError;
use crate::message::Call;
use crate::unix_socket::is_timeout;
use crate::wire::{Decoder, Header};

/// How a connection ended for the accept loop.
pub(super) enum Served {
    InTime,
    /// The call was answered by somebody else, and another accept loop runs.
    TooLate,
}

/// Serves a connection's first call in the accept loop, and nothing more.
pub(super) fn serve_inline(
    shared: &Arc<Shared>,
    seat: &Seat<'_>,
    mut stream: UnixStream,
    buffer: &mut Vec<u8>,
) -> Served {
    buffer.clear();
    // Writing needs no bound: what is sent here fits into the socket's buffer.
    if let Err(error) = stream.set_read_timeout(Some(INLINE_PATIENCE)) {
        tracing::debug!(%error, "cannot bound a connection's patience");
        return Served::InTime;
    }
    let deadline = Instant::now() + INLINE_PATIENCE;
    let mut answered = false;
    // What is more than one short call goes on elsewhere.
    let (stream, unsent) = loop {
        match receive(&mut stream, buffer) {
            Received::Bytes if answered => break (stream, Vec::new()),
            Received::Bytes => match decode(buffer) {
                Decoded::Call { header, call, length } => {
                    buffer.drain(..length);
                    let Some(served) = seat.serve(stream, header, call, |call| answer(shared, call)) else {
                        return Served::TooLate;
                    };
                    let answer = served.1;
                    stream = served.0;
                    if !buffer.is_empty() || answer.len() > INLINE_ANSWER_LIMIT {
                        break (stream, answer);
                    }
                    if let Err(error) = stream.write_all(&answer) {
                        tracing::debug!(%error, "cannot answer a call");
                        return Served::InTime;
                    }
                    answered = true;
                }
                Decoded::Incomplete if buffer.len() < INLINE_LIMIT && Instant::now() < deadline => {}
                Decoded::Incomplete => break (stream, Vec::new()),
                Decoded::Garbage => return Served::InTime,
            },
            Received::TimeIsUp => break (stream, Vec::new()),
            Received::End => return Served::InTime,
        }
    };
    linger(shared, stream, std::mem::take(buffer), unsent);
    Served::InTime
}

enum Received {
    Bytes,
    TimeIsUp,
    End,
}

fn receive(stream: &mut UnixStream, buffer: &mut Vec<u8>) -> Received {
    let mut chunk = [0; 16 * 1024];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Received::End,
            Ok(count) => {
                buffer.extend_from_slice(&chunk[..count]);
                return Received::Bytes;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_timeout(&error) => return Received::TimeIsUp,
            Err(_) => return Received::End,
        }
    }
}

enum Decoded {
    Call {
        header: Header,
        call: Call,
        length: usize,
    },
    Incomplete,
    Garbage,
}

fn decode(bytes: &[u8]) -> Decoded {
    let mut decoder = Decoder::new(bytes);
    match Call::decode(&mut decoder) {
        Ok((header, call)) => Decoded::Call {
            header,
            call,
            length: decoder.consumed(),
        },
        Err(ProtocolError::Truncated) => Decoded::Incomplete,
        Err(error) => {
            tracing::warn!(%error, "a connection on the extension socket is not osquery's");
            Decoded::Garbage
        }
    }
}
