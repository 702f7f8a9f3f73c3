//! Why a broker could not start or keep running.
//!
//! Only failures of the broker as a whole are here. What goes wrong with one request is answered on the wire with one
//! of Kafka's own error codes, and what goes wrong with one connection ends that connection.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A failure of the broker as a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data folder could not be created or opened.
    #[error("cannot open the data folder `{}`", path.display())]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another broker holds the data folder.
    #[error("the data folder `{}` is in use by another broker", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A file of the data folder could not be read, written or removed.
    #[error("cannot {action} `{}`", path.display())]
    Storage {
        /// What was tried: `read`, `write`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The list of topics is gone, and their records are there.
    #[error("`{}` is missing, but `{}` holds the records of {count} topics; the broker would not know them", path.display(), topics.display())]
    CatalogMissing {
        /// The file that lists the topics.
        path: PathBuf,
        /// The folder of the topics.
        topics: PathBuf,
        /// How many folders are in it.
        count: usize,
    },
    /// A metadata file holds something the broker did not write.
    #[error("`{}` is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A listener's address could not be bound.
    #[error("listener `{listener}` cannot bind {address}")]
    Bind {
        /// The listener's name.
        listener: String,
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A file of a listener's TLS, or of the keys of tokens, cannot be used.
    #[error("`{}` cannot be used: {reason}", path.display())]
    Security {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration names no listener.
    #[error("no listener is configured")]
    NoListener,
    /// A configured number is outside the range it may have.
    #[error("`{setting}` is out of range: {value}")]
    OutOfRange {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: i64,
    },
    /// One of the broker's own tasks ended by a panic.
    #[error("the broker's {task} task failed")]
    Task {
        /// The task.
        task: &'static str,
        /// How it ended.
        source: tokio::task::JoinError,
    },
}

impl Error {
    /// What may be done about it, where that is not plain from the text.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::CatalogMissing { path, topics, .. } => Some(format!(
                "put `{}` back from a copy, or move `{}` away to start without these topics",
                path.display(),
                topics.display()
            )),
            _ => None,
        }
    }
}
