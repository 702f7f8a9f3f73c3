//! One client's connection: frames in, answers out, in the order they were asked.
//!
//! One request is worked on at a time, as Kafka does it; clients that want to wait in several places open several
//! connections. A frame is read only as its bytes arrive, so a length alone costs no memory.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::OwnedSemaphorePermit;

use super::authentication::{Framing, Refused, Stepped};
use super::dispatch::{self, FrameError};
use super::listener::LAST_WRITES;
use crate::api::Session;
use crate::node::memory_units;

/// Bytes read ahead; small requests come whole with one system call.
const READ_AHEAD: usize = 8 * 1024;
/// Memory set aside for a frame before its bytes are there.
const FIRST_ALLOCATION: usize = 64 * 1024;

/// The largest frame of a client that is not known yet: a token with many claims.
const MAX_UNKNOWN: usize = 128 * 1024;
/// What a client's first bytes begin with that speaks TLS.
const TLS_HANDSHAKE: i32 = 0x1603;

/// How often it is looked whether a client that takes nothing stands in the way of others.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// With less than this part of the memory for answers left, there is need.
const NEED: usize = 8;

/// Why a connection ended before its client closed it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    /// The socket failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// A frame's length is negative or over the limit.
    #[error("a frame of {length} bytes is refused, the limit is {limit}")]
    FrameLength {
        /// The length, as sent.
        length: i32,
        /// The limit.
        limit: usize,
    },
    /// The client begins with TLS, and the listener has none.
    #[error("the client speaks TLS, which this listener does not")]
    SpeaksTls,
    /// TLS could not be agreed on.
    #[error("no TLS with the client: {0}")]
    Tls(io::Error),
    /// It took too long to let the client in.
    #[error("the client was not let in for {} s", .0.as_secs())]
    Handshake(Duration),
    /// The client was not let in.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The client takes nothing of its answer, or sends nothing of its request.
    #[error("the client has not gone on for {} s", .0.as_secs())]
    Stalled(Duration),
    /// A frame could not be answered.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Serves a client until it goes, errs, or the broker stops.
pub(crate) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    session: &Session,
) -> Result<(), ConnectionError> {
    let mut stream = BufReader::with_capacity(READ_AHEAD, stream);
    let served = converse(&mut stream, session).await;
    // Of TLS the client is told that this is the end, and no cut.
    let _ = tokio::time::timeout(LAST_WRITES, stream.get_mut().shutdown()).await;
    served
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    session: &Session,
) -> Result<(), ConnectionError> {
    loop {
        let frame = tokio::select! {
            frame = read_frame(stream, session) => frame?,
            () = session.node.shutdown.cancelled() => None,
        };
        let Some((frame, memory)) = frame else {
            return Ok(());
        };
        let answer = match session.authentication.takes_bare_messages() {
            true => answer_bare(session, &frame).await,
            false => dispatch::answer(session, frame).await?,
        };
        drop(memory);
        if let Some(answer) = answer {
            tokio::select! {
                written = write_answer(stream.get_mut(), &answer, session) => written?,
                // A client that does not read its answer must not keep the broker from stopping.
                () = stalled_at_shutdown(session) => return Ok(()),
            }
        }
        session.release();
        if let Some(refused) = session.authentication.refused() {
            return Err(refused.into());
        }
    }
}

/// Answers a message of SASL that is no request; nothing when the client is refused, as there is no way to say so.
async fn answer_bare(session: &Session, message: &[u8]) -> Option<BytesMut> {
    let stepped = session.step(message, Framing::Bare);
    let (Stepped::Continue(message) | Stepped::Known { message, .. }) = stepped.await else {
        return None;
    };
    let mut frame = BytesMut::with_capacity(4 + message.len());
    frame.put_u32(message.len() as u32);
    frame.put_slice(&message);
    Some(frame)
}

/// Writes an answer as the client takes it; gives up when it takes nothing for too long.
async fn write_answer(
    writer: &mut (impl AsyncWriteExt + Unpin),
    answer: &[u8],
    session: &Session,
) -> Result<(), ConnectionError> {
    let limits = &session.node.config.limits;
    let mut left = answer;
    let mut since = Instant::now();
    loop {
        let go_on = async {
            if left.is_empty() {
                return writer.flush().await.map(|()| None);
            }
            writer.write(left).await.map(Some)
        };
        match tokio::time::timeout(LOOK_AGAIN.min(limits.stalled_in_need), go_on).await {
            Ok(written) => match written? {
                Some(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Some(written) => {
                    left = &left[written..];
                    since = Instant::now();
                }
                // With TLS, what was written may still wait to be sent.
                None => return Ok(()),
            },
            Err(_) => {
                // Others wait for the memory this answer takes: they have read theirs.
                let in_need = session.node.answer_memory.available_permits()
                    < memory_units(limits.answer_bytes / NEED) as usize;
                let patience = if in_need {
                    limits.stalled_in_need
                } else {
                    limits.stalled
                };
                if since.elapsed() >= patience {
                    return Err(ConnectionError::Stalled(since.elapsed()));
                }
            }
        }
    }
}

/// Reads one frame; `None` when the client has closed the connection between two.
async fn read_frame(
    reader: &mut (impl AsyncReadExt + Unpin),
    session: &Session,
) -> Result<Option<(Bytes, Option<OwnedSemaphorePermit>)>, ConnectionError> {
    let limits = &session.node.config.limits;
    let time_left = session.authentication.time_left();
    let limit = match time_left {
        Some(_) => session.node.config.max_request_bytes.min(MAX_UNKNOWN),
        None => session.node.config.max_request_bytes,
    };
    let patience = time_left.unwrap_or(limits.idle);
    let Ok(length) = tokio::time::timeout(patience, reader.read_i32()).await else {
        if time_left.is_some() {
            return Err(ConnectionError::Handshake(limits.handshake));
        }
        // Nothing was asked for so long: it is closed as Kafka closes it, without a word.
        return Ok(None);
    };
    let length = match length {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if length >> 16 == TLS_HANDSHAKE {
        return Err(ConnectionError::SpeaksTls);
    }
    let size = usize::try_from(length)
        .ok()
        .filter(|size| *size <= limit)
        .ok_or(ConnectionError::FrameLength { length, limit })?;
    let memory = if size > FIRST_ALLOCATION {
        let memory = Arc::clone(&session.node.request_memory);
        memory.acquire_many_owned(memory_units(size)).await.ok()
    } else {
        None
    };
    // A second more for each MiB: who sends a byte now and then must not keep the memory.
    let patience = limits.stalled + Duration::from_secs((size / (1024 * 1024)) as u64);
    let patience = time_left.map_or(patience, |left| left.min(patience));
    let read = async {
        let mut frame = BytesMut::with_capacity(size.min(FIRST_ALLOCATION));
        while frame.len() < size {
            let missing = size - frame.len();
            if reader.take(missing as u64).read_buf(&mut frame).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
        }
        Ok(frame.freeze())
    };
    let frame = tokio::time::timeout(patience, read)
        .await
        .map_err(|_| ConnectionError::Stalled(patience))??;
    Ok(Some((frame, memory)))
}

async fn stalled_at_shutdown(session: &Session) {
    session.node.shutdown.cancelled().await;
    tokio::time::sleep(LAST_WRITES).await;
}
