//! What the broker does when nobody asks: bringing records to the disk, compacting logs, deleting old segments.
//!
//! Both sleep until there is something to do, so a broker at rest uses no processor time to speak of.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::api::blocking;
use crate::config::FlushPolicy;
use crate::node::Node;
use crate::producers;
use crate::storage::log::CheckpointWhen;

/// How long the log of a quiet partition waits for its checkpoint under a policy that syncs every batch.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// Brings what was written to the disk, at the pace the flush policy sets.
pub(crate) async fn flush_as_written(node: Arc<Node>) {
    let interval = match node.config.flush {
        FlushPolicy::Every(interval) => interval,
        FlushPolicy::EveryBatch => CHECKPOINT_INTERVAL,
    };
    loop {
        tokio::select! {
            () = node.written.notified() => {}
            () = node.shutdown.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = node.shutdown.cancelled() => return,
        }
        let flushed = Arc::clone(&node);
        blocking(move || flush_all(&flushed, CheckpointWhen::Due)).await;
    }
}

/// Compacts logs and deletes what is too old or too much, every so often.
pub(crate) async fn apply_retention(node: Arc<Node>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(node.config.retention.check_interval) => {}
            () = node.shutdown.cancelled() => return,
        }
        let cleaned = Arc::clone(&node);
        blocking(move || {
            clean(&cleaned, SystemTime::now());
            // By now nobody waits for the disk: a good time for the checkpoints of partitions that went quiet.
            flush_all(&cleaned, CheckpointWhen::Always);
        })
        .await;
    }
}

/// Brings every log and the committed offsets to the disk; failures are logged, and tried again with the next write.
pub(crate) fn flush_all(node: &Node, checkpoint: CheckpointWhen) {
    for topic in node.topics.all() {
        for (index, partition) in topic.partitions.iter().enumerate() {
            if partition.is_retired() || !partition.log().needs_flush() {
                continue;
            }
            if let Err(error) = partition.flush(checkpoint)
                && !partition.is_retired()
            {
                tracing::error!(topic = %topic.name, partition = index, %error, "cannot bring a log to the disk");
            }
        }
    }
    if let Err(error) = node.groups.flush() {
        tracing::error!(%error, "cannot bring committed offsets to the disk");
    }
}

/// Compacts what is to be compacted and deletes what is too old or too much.
fn clean(node: &Node, now: SystemTime) {
    let now_ms = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
    let producers_before = now_ms - i64::try_from(producers::EXPIRY.as_millis()).unwrap_or(0);
    for topic in node.topics.all() {
        for (index, partition) in topic.partitions.iter().enumerate() {
            if let Some(compaction) = &topic.settings.log().compaction
                && let Err(error) = partition.compact(now_ms, compaction)
            {
                tracing::error!(topic = %topic.name, partition = index, %error, "cannot compact a log");
            }
            let mut log = partition.log();
            log.forget_producers(producers_before);
            match log.apply_retention(now_ms, topic.settings.log()) {
                Ok(0) => {}
                Ok(segments) => {
                    tracing::info!(topic = %topic.name, partition = index, segments, start_offset = log.start_offset(), "deleted old segments");
                }
                Err(error) => {
                    tracing::error!(topic = %topic.name, partition = index, %error, "cannot delete old segments");
                }
            }
        }
    }
    node.groups.forget_abandoned(now);
}
