//! Who publishes ports of this machine: the containers of the Docker daemon, where one answers.

use crate::engine::docker::Connection;
use crate::ports::{Published, Publishers};

/// The containers of the daemon that osqdemo would talk to.
pub struct DaemonPublishers;

impl Publishers for DaemonPublishers {
    fn published(&self) -> Published<'_> {
        Box::pin(async {
            let asked = Box::pin(async { Connection::open().await?.published().await });
            asked.await.unwrap_or_default()
        })
    }
}
