//! What the broker does when nobody asks: bringing records to the disk, compacting logs, deleting old segments.
//!
//! Both sleep until there is something to do, so a broker at rest uses no processor time to speak of.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::api::blocking;
use crate::config::FlushPolicy;
use crate::node::Node;
use crate::producers;
use crate::storage::log::CheckpointWhen;
use crate::storage::read::ReadError;

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
        // A topic may ask for less.
        let shortest = node.topics.shortest_flush_ms();
        tokio::select! {
            () = tokio::time::sleep(interval.min(Duration::from_millis(shortest))) => {}
            () = node.shutdown.cancelled() => return,
        }
        let flushed = Arc::clone(&node);
        blocking(move || flush_all(&flushed, CheckpointWhen::Due)).await;
    }
}

/// Deletes what is too old or too much, every so often and when a topic with a limit has filled a segment.
pub(crate) async fn apply_retention(node: Arc<Node>) {
    let mut next = Instant::now() + node.config.retention.check_interval;
    loop {
        let by = tokio::select! {
            () = tokio::time::sleep_until(next) => Limits::AgeAndSize,
            () = node.filled.notified() => Limits::Size,
            () = node.shutdown.cancelled() => return,
        };
        let cleaned = Arc::clone(&node);
        blocking(move || clean(&cleaned, osqdemo_clock::now(), by)).await;
        if by == Limits::AgeAndSize {
            next = Instant::now() + node.config.retention.check_interval;
        }
    }
}

/// How long the time-outs of transactions are not looked at while none is open, and while one is: the wall clock may be set
/// meanwhile.
const NO_TRANSACTION: Duration = Duration::from_secs(60 * 60);
const OPEN_TRANSACTION: Duration = Duration::from_secs(10);

/// Aborts transactions that were open for too long.
pub(crate) async fn end_old_transactions(node: Arc<Node>) {
    loop {
        let expired = Arc::clone(&node);
        let next = blocking(move || {
            let now_ms = osqdemo_clock::unix_ms();
            let next = expired.transactions.expire(expired.stores(), now_ms);
            next.map(|next| {
                let left = Duration::from_millis(next.saturating_sub(now_ms).max(1).unsigned_abs());
                left.min(OPEN_TRANSACTION)
            })
        })
        .await;
        tokio::select! {
            () = tokio::time::sleep(next.flatten().unwrap_or(NO_TRANSACTION)) => {}
            () = node.transactions.begun.notified() => {}
            () = node.shutdown.cancelled() => return,
        }
    }
}

/// Compacts logs, every so often.
pub(crate) async fn compact(node: Arc<Node>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(node.config.retention.compaction_interval) => {}
            () = node.shutdown.cancelled() => return,
        }
        let compacted = Arc::clone(&node);
        blocking(move || {
            compact_all(&compacted, osqdemo_clock::unix_ms());
            // By now nobody waits for the disk: a good time for the checkpoints of partitions that went quiet.
            flush_all(&compacted, CheckpointWhen::Always)
        })
        .await;
    }
}

/// Reads the segments that were being written to when the last broker was killed, and tells of damage.
///
/// Beside the requests: nobody waits for it, and whoever reads a damaged place first is told by that.
pub(crate) async fn check_after_unclean_stop(node: Arc<Node>) {
    if !node.was_killed {
        return;
    }
    blocking(move || {
        for topic in node.topics.all() {
            for partition in &topic.partitions {
                if node.shutdown.is_cancelled() {
                    return;
                }
                partition.check_active_segment();
            }
        }
    })
    .await;
}

/// Brings every log and the committed offsets to the disk; failures are logged. Whether all of it is there now.
pub(crate) fn flush_all(node: &Node, checkpoint: CheckpointWhen) -> bool {
    let mut all = true;
    let marked = node.transactions.marked(node.stores());
    for topic in node.topics.all() {
        for (index, partition) in topic.partitions.iter().enumerate() {
            if partition.is_retired() {
                continue;
            }
            all &= !partition.log().has_failed();
            if !partition.log().needs_flush() {
                continue;
            }
            if let Err(error) = partition.flush(checkpoint)
                && !partition.is_retired()
            {
                all = false;
                tracing::error!(topic = %topic.name, partition = index, %error, "cannot bring a log to the disk");
            }
        }
    }
    if all {
        node.transactions.settle(node.stores(), marked);
    }
    if let Err(error) = node.groups.flush() {
        all = false;
        tracing::error!(%error, "cannot bring committed offsets to the disk");
    }
    all
}

/// Compacts what is to be compacted.
fn compact_all(node: &Node, now_ms: i64) {
    for topic in node.topics.all() {
        let Some(compaction) = &topic.settings.log().compaction else {
            continue;
        };
        for (index, partition) in topic.partitions.iter().enumerate() {
            // As often as there is something, because one go takes a bounded number of keys.
            loop {
                match partition.compact(now_ms, compaction) {
                    Ok(true) if !node.shutdown.is_cancelled() => {}
                    Ok(_) => break,
                    // Its files have gone.
                    Err(_) if partition.is_retired() => break,
                    Err(ReadError::Storage(error)) => {
                        tracing::error!(topic = %topic.name, partition = index, %error, "cannot compact a log");
                        break;
                    }
                    // A damaged log is left as it is, and told about once.
                    Err(damaged) => {
                        partition.report_damage(&damaged);
                        break;
                    }
                }
            }
        }
    }
}

/// By which limits records are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limits {
    /// Now and then: old records that are copied here are not gone before anybody could read them.
    AgeAndSize,
    /// As soon as a segment is full.
    Size,
}

/// Deletes what is too old or too much.
fn clean(node: &Node, now: SystemTime, by: Limits) {
    let now_ms = milliseconds(now);
    if by == Limits::AgeAndSize {
        forget_the_silent(node, now);
    }
    for topic in node.topics.all() {
        let mut settings = topic.settings.log().clone();
        if by == Limits::Size {
            settings.retention_ms = None;
        }
        for (index, partition) in topic.partitions.iter().enumerate() {
            match partition.apply_retention(now_ms, &settings) {
                Ok(None) => {}
                Ok(Some(start_offset)) => {
                    tracing::info!(topic = %topic.name, partition = index, start_offset, "deleted old segments");
                }
                Err(_) if partition.is_retired() => {}
                Err(error) => {
                    tracing::error!(topic = %topic.name, partition = index, %error, "cannot delete old segments");
                }
            }
        }
    }
}

/// Forgets producers and groups that nobody has heard of for long.
fn forget_the_silent(node: &Node, now: SystemTime) {
    let now_ms = milliseconds(now);
    let producers_before = now_ms - i64::try_from(producers::EXPIRY.as_millis()).unwrap_or(0);
    for topic in node.topics.all() {
        for partition in &topic.partitions {
            partition.log().forget_producers(producers_before);
        }
    }
    node.groups.forget_abandoned(now);
}

/// Milliseconds since the epoch, as records carry them.
pub(crate) fn milliseconds(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
