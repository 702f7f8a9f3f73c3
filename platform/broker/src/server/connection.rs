//! One client's connection: frames in, answers out, in the order they were asked.
//!
//! One request is worked on at a time, as Kafka does it; clients that want to wait in several places open several
//! connections. A frame is read only as its bytes arrive, so a length alone costs no memory.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use super::dispatch::{self, FrameError};
use crate::api::Session;
use crate::node::memory_units;

/// Bytes read ahead; small requests come whole with one system call.
const READ_AHEAD: usize = 8 * 1024;
/// Memory set aside for a frame before its bytes are there.
const FIRST_ALLOCATION: usize = 64 * 1024;

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
    /// The client takes nothing of its answer, or sends nothing of its request.
    #[error("the client has not gone on for {} s", .0.as_secs())]
    Stalled(Duration),
    /// A frame could not be answered.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Serves a client until it goes, errs, or the broker stops.
pub(crate) async fn serve(stream: TcpStream, session: &Session) -> Result<(), ConnectionError> {
    // Answers are small and waited for.
    stream.set_nodelay(true)?;
    let (read_half, mut write_half) = stream.into_split();
    let mut reader = BufReader::with_capacity(READ_AHEAD, read_half);
    loop {
        let frame = tokio::select! {
            frame = read_frame(&mut reader, session) => frame?,
            () = session.node.shutdown.cancelled() => None,
        };
        let Some((frame, memory)) = frame else {
            return Ok(());
        };
        let answer = dispatch::answer(session, frame).await?;
        drop(memory);
        if let Some(answer) = answer {
            tokio::select! {
                written = write_answer(&mut write_half, &answer, session) => written?,
                // A client that does not read its answer must not keep the broker from stopping.
                () = stalled_at_shutdown(session) => return Ok(()),
            }
        }
        session.release();
    }
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
    while !left.is_empty() {
        match tokio::time::timeout(LOOK_AGAIN.min(limits.stalled_in_need), writer.write(left)).await {
            Ok(written) => {
                let written = written?;
                if written == 0 {
                    return Err(io::Error::from(io::ErrorKind::WriteZero).into());
                }
                left = &left[written..];
                since = Instant::now();
            }
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
    Ok(())
}

/// Reads one frame; `None` when the client has closed the connection between two.
async fn read_frame(
    reader: &mut (impl AsyncReadExt + Unpin),
    session: &Session,
) -> Result<Option<(Bytes, Option<OwnedSemaphorePermit>)>, ConnectionError> {
    let limit = session.node.config.max_request_bytes;
    let limits = &session.node.config.limits;
    let Ok(length) = tokio::time::timeout(limits.idle, reader.read_i32()).await else {
        // Nothing was asked for so long: it is closed as Kafka closes it, without a word.
        return Ok(None);
    };
    let length = match length {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    };
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
    tokio::time::sleep(super::listener::LAST_WRITES).await;
}
