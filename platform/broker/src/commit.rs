//! Group commit: who waits for the disk at the same time waits for the same syncs.
//!
//! A request hands in the partitions it has written to and is answered when all of them are on the disk itself. While
//! one round of syncs is under way the next requests gather, so that a sync is shared by as many as came meanwhile.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use crate::node::Node;
use crate::storage::log::CheckpointWhen;
use crate::topics::partition::Partition;

/// Partitions synced at the same time; a file system's journal takes their syncs together.
const AT_ONCE: usize = 16;

/// The requests that wait for the disk.
#[derive(Debug, Default)]
pub(crate) struct Committer {
    waiting: Mutex<Vec<Waiting>>,
    arrived: Notify,
}

#[derive(Debug)]
struct Waiting {
    partitions: Vec<Arc<Partition>>,
    safe: oneshot::Sender<bool>,
}

impl Committer {
    /// Waits until everything appended to the partitions so far is on the disk itself; false when that failed, or the
    /// broker stops first.
    pub(crate) async fn sync(&self, partitions: Vec<Arc<Partition>>) -> bool {
        let (safe, done) = oneshot::channel();
        self.waiting().push(Waiting { partitions, safe });
        self.arrived.notify_one();
        done.await.unwrap_or(false)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Syncs what requests wait for, until the broker stops.
pub(crate) async fn sync_as_asked(node: Arc<Node>) {
    loop {
        tokio::select! {
            () = node.committer.arrived.notified() => {}
            () = node.shutdown.cancelled() => {
                // Connections that wait end with the broker; what they wrote is synced with the last flush.
                node.committer.waiting().clear();
                return;
            }
        }
        let round = std::mem::take(&mut *node.committer.waiting());
        let failed = sync_round(&round).await;
        for waiting in round {
            let safe = !waiting
                .partitions
                .iter()
                .any(|partition| failed.iter().any(|failed| Arc::ptr_eq(failed, partition)));
            // Its client may have gone.
            let _ = waiting.safe.send(safe);
        }
    }
}

/// Syncs every partition of a round once; returns those that could not be.
async fn sync_round(round: &[Waiting]) -> Vec<Arc<Partition>> {
    let mut distinct: Vec<&Arc<Partition>> = round.iter().flat_map(|waiting| &waiting.partitions).collect();
    distinct.sort_unstable_by_key(|partition| Arc::as_ptr(partition));
    distinct.dedup_by_key(|partition| Arc::as_ptr(partition));
    let mut failed = Vec::new();
    for some in distinct.chunks(AT_ONCE) {
        let mut syncs = JoinSet::new();
        for partition in some {
            let partition = Arc::clone(partition);
            syncs.spawn_blocking(move || {
                let synced = partition.flush(CheckpointWhen::Never).is_ok();
                (partition, synced)
            });
        }
        while let Some(done) = syncs.join_next().await {
            match done {
                Ok((_, true)) => {}
                Ok((partition, false)) => failed.push(partition),
                Err(error) => {
                    tracing::error!(%error, "a sync failed inside the broker");
                    failed.extend(some.iter().map(|partition| Arc::clone(partition)));
                }
            }
        }
    }
    failed
}
