//! One client's connection: frames in, answers out, in the order they were asked.
//!
//! One request is worked on at a time, as Kafka does it; clients that want to wait in several places open several
//! connections. A frame is read only as its bytes arrive, so a length alone costs no memory.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::dispatch::{self, FrameError};
use crate::api::Session;

/// Bytes read ahead; small requests come whole with one system call.
const READ_AHEAD: usize = 8 * 1024;
/// Memory set aside for a frame before its bytes are there.
const FIRST_ALLOCATION: usize = 64 * 1024;

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
            frame = read_frame(&mut reader, session.node.config.max_request_bytes) => frame?,
            () = session.node.shutdown.cancelled() => None,
        };
        let Some(frame) = frame else {
            return Ok(());
        };
        if let Some(answer) = dispatch::answer(session, frame).await? {
            tokio::select! {
                written = write_half.write_all(&answer) => written?,
                // A client that does not read its answer must not keep the broker from stopping.
                () = stalled_at_shutdown(session) => return Ok(()),
            }
        }
    }
}

/// Reads one frame; `None` when the client has closed the connection between two.
async fn read_frame(
    reader: &mut (impl AsyncReadExt + Unpin),
    limit: usize,
) -> Result<Option<Bytes>, ConnectionError> {
    let length = match reader.read_i32().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let size = usize::try_from(length)
        .ok()
        .filter(|size| *size <= limit)
        .ok_or(ConnectionError::FrameLength { length, limit })?;
    let mut frame = BytesMut::with_capacity(size.min(FIRST_ALLOCATION));
    while frame.len() < size {
        let missing = size - frame.len();
        if reader.take(missing as u64).read_buf(&mut frame).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
    Ok(Some(frame.freeze()))
}

async fn stalled_at_shutdown(session: &Session) {
    session.node.shutdown.cancelled().await;
    tokio::time::sleep(super::listener::LAST_WRITES).await;
}
