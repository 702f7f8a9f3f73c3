//! The broker's state: everything a request may ask about or change.
//!
//! It knows neither the protocol nor sockets; the handlers in `api` and the tasks in `maintenance` share it.

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::error::Error;
use crate::groups::Coordinator;
use crate::storage::directory::DataDir;
use crate::topics::Topics;

/// The broker's state.
#[derive(Debug)]
pub(crate) struct Node {
    /// How it was set up.
    pub(crate) config: Config,
    /// Its topics.
    pub(crate) topics: Topics,
    /// Its groups of consumers and their offsets.
    pub(crate) groups: Coordinator,
    /// Called when something was written that is not yet on the disk itself.
    pub(crate) written: Notify,
    /// Cancelled when the broker is to stop.
    pub(crate) shutdown: CancellationToken,
    // Held for its lock.
    _data_dir: DataDir,
}

impl Node {
    /// Opens the data folder and recovers what is in it; blocks on the disk.
    pub(crate) fn open(config: Config) -> Result<Self, Error> {
        let data_dir = DataDir::open(&config.data_dir)?;
        let topics = Topics::open(&config)?;
        let groups = Coordinator::open(data_dir.path(), config.groups.clone())?;
        Ok(Self {
            config,
            topics,
            groups,
            written: Notify::new(),
            shutdown: CancellationToken::new(),
            _data_dir: data_dir,
        })
    }
}
