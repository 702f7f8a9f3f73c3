//! What can go wrong between an extension and osqueryd.
//!
//! One enum, because the same failures (no peer, a peer that stalls, a peer that talks nonsense) meet
//! clients and servers alike. Every variant names the socket, the method or the limit it is about.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A failure of the extension API's transport or codec.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// Nobody listens on the socket, or not yet.
    #[error("cannot connect to `{}`: {source}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The socket cannot be created.
    #[error("cannot listen on `{}`: {source}", path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system has no thread left for a server.
    #[error("cannot start a thread for `{}`: {source}", path.display())]
    Spawn {
        /// The socket the thread was for.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The peer closed the connection in the middle of a message.
    #[error("the connection was closed in the middle of a message")]
    Truncated,
    /// The peer did not answer, or did not take the request, in time.
    #[error("no answer to `{method}` within {timeout:?}")]
    TimedOut {
        /// The method that was called.
        method: &'static str,
        /// How long was waited.
        timeout: Duration,
    },
    /// Any other failure of the socket.
    #[error("cannot use the extension socket: {source}")]
    Socket {
        /// The system's reason.
        #[from]
        source: io::Error,
    },
    /// The message, or a string in it, is larger than is reasonable.
    #[error("the message is larger than {limit} bytes")]
    TooLarge {
        /// The bound that was exceeded.
        limit: usize,
    },
    /// The bytes are not a message of this API.
    #[error("the message is malformed: {reason}")]
    Malformed {
        /// What was expected and not found.
        reason: &'static str,
    },
    /// The peer answered with a Thrift exception.
    #[error("the peer refused `{method}`: {message}")]
    Refused {
        /// The method that was called.
        method: &'static str,
        /// The peer's text.
        message: String,
    },
}
