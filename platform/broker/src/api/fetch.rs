//! Fetch: whole batches from an offset on, waiting for them when there are none yet.
//!
//! The wait is a subscription to the partitions asked for: the answer leaves the moment enough has been appended.
//! Fetch sessions (KIP-227) are refused the way the protocol provides for, by session id 0, so every request names all
//! its partitions.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{AbortedTransaction, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, ProducerId};
use tokio::time::{Duration, Instant};

use super::{Call, LEADER_EPOCH, NO_ERROR, Session, blocking};
use crate::config::Config;
use crate::node::memory_units;
use crate::storage::batch::BatchHeader;
use crate::storage::read::ReadError;
use crate::storage::transactions::Aborted;
use crate::topics::Topic;
use crate::topics::partition::{Partition, Warmth};

/// The first version that names topics by id.
const TOPIC_IDS_SINCE: i16 = 13;
/// No answer carries more records than this, whatever the client allows: it bounds the broker's memory.
const RESPONSE_LIMIT: usize = 4 * 1024 * 1024;
/// The isolation level of consumers that want nothing of transactions that are open or have come to nothing.
const READ_COMMITTED: i8 = 1;

/// Reads from every partition asked for, at the latest when the client's patience ends.
pub(crate) async fn handle(session: &Session, call: &Call, request: FetchRequest) -> FetchResponse {
    if request.session_id != 0 && request.session_epoch > 0 {
        return FetchResponse::default().with_error_code(ResponseError::FetchSessionIdNotFound.code());
    }
    let patience = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0))
        .min(session.node.config.limits.max_wait);
    let deadline = Instant::now() + patience;
    let max_bytes = usize::try_from(request.max_bytes)
        .unwrap_or(0)
        .min(response_limit(&session.node.config));
    // More than an answer may carry never comes together: a full answer is enough.
    let min_bytes = usize::try_from(request.min_bytes).unwrap_or(0).min(max_bytes);
    let isolation = Isolation::of(request.isolation_level);
    let topics = resolve(session, call, request.topics);

    let nothing_to_wait_for = topics.iter().all(|topic| topic.partitions.is_empty());
    // Subscribed before looking, so that nothing appended in between is missed.
    let mut subscriptions = Vec::new();
    if min_bytes > 0 && !patience.is_zero() {
        subscriptions.extend(partitions_of(&topics).map(|partition| partition.subscribe(&session.wake_up)));
    }
    loop {
        let written = written_to(&topics);
        // Shared by all clients, so that many who read slowly wait for each other instead of filling the memory.
        let units = memory_units(max_bytes);
        let Ok(mut memory) = Arc::clone(&session.node.answer_memory)
            .acquire_many_owned(units)
            .await
        else {
            return FetchResponse::default().with_error_code(ResponseError::UnknownServerError.code());
        };
        let answer = read_all(&topics, isolation, max_bytes).await;
        let enough = answer.bytes >= min_bytes || answer.failed || nothing_to_wait_for || answer.is_full();
        if enough || Instant::now() >= deadline || session.node.shutdown.is_cancelled() {
            // What was not needed goes back at once, the rest when the answer is written.
            drop(memory.split((units - memory_units(answer.bytes).min(units)) as usize));
            session.hold(memory);
            count(&topics, &answer);
            return FetchResponse::default().with_responses(answer.topics);
        }
        drop(memory);
        let missing = (min_bytes - answer.bytes) as u64;
        drop(answer);
        // Read again only when as much has come as is missing: not with every record, for every one who waits.
        while written_to(&topics) - written < missing
            && !partitions_of(&topics).any(|found| found.is_retired())
        {
            tokio::select! {
                () = session.wake_up.notified() => {}
                () = tokio::time::sleep_until(deadline) => break,
                () = session.node.shutdown.cancelled() => break,
            }
        }
    }
}

/// The bytes of records that one answer carries at most.
pub(crate) fn response_limit(config: &Config) -> usize {
    RESPONSE_LIMIT.min(config.limits.answer_bytes)
}

/// The partitions of a request that exist.
fn partitions_of(topics: &[WantedTopic]) -> impl Iterator<Item = &Arc<Partition>> {
    topics
        .iter()
        .filter_map(|topic| topic.found.as_ref().ok().map(|found| (topic, found)))
        .flat_map(|(topic, found)| {
            let wanted = topic.partitions.iter();
            wanted.filter_map(|wanted| found.partition(wanted.partition))
        })
}

/// Bytes appended to the partitions of a request since the broker was started.
fn written_to(topics: &[WantedTopic]) -> u64 {
    partitions_of(topics).map(|partition| partition.written()).sum()
}

/// A topic of the request, looked up.
struct WantedTopic {
    request: FetchTopic,
    found: Result<Arc<Topic>, ResponseError>,
    partitions: Vec<FetchPartition>,
}

/// What a consumer wants of transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isolation {
    Everything,
    OnlyCommitted,
}

impl Isolation {
    fn of(level: i8) -> Self {
        match level {
            READ_COMMITTED => Self::OnlyCommitted,
            _ => Self::Everything,
        }
    }
}

/// What one look at all partitions found.
struct Answer {
    topics: Vec<FetchableTopicResponse>,
    bytes: usize,
    failed: bool,
}

impl Answer {
    /// Whether a partition has more than was put in: then no more can come together, however long it waits.
    fn is_full(&self) -> bool {
        let partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        partitions
            .filter_map(|partition| Some((partition.records.as_ref()?, readable_to(partition))))
            .any(|(records, end)| last_batch(records).is_some_and(|last| last.next_offset() < end))
    }
}

/// Counts what a consumer is sent; what was looked at while it waited is not.
fn count(topics: &[WantedTopic], answer: &Answer) {
    for (topic, answered) in topics.iter().zip(&answer.topics) {
        let Ok(found) = &topic.found else {
            continue;
        };
        for (wanted, data) in topic.partitions.iter().zip(&answered.partitions) {
            if let (Some(partition), Some(records)) = (found.partition(wanted.partition), &data.records) {
                partition.traffic.went(records.len());
            }
        }
    }
}

/// Up to where a partition can be read by whoever asked.
fn readable_to(partition: &PartitionData) -> i64 {
    match partition.aborted_transactions {
        Some(_) => partition.last_stable_offset,
        None => partition.high_watermark,
    }
}

/// The last of some whole batches.
fn last_batch(mut records: &[u8]) -> Option<BatchHeader> {
    let mut last = None;
    while let Ok(header) = BatchHeader::parse(records) {
        last = Some(header);
        records = records.get(header.size..)?;
    }
    last
}

fn resolve(session: &Session, call: &Call, topics: Vec<FetchTopic>) -> Vec<WantedTopic> {
    topics
        .into_iter()
        .map(|mut request| {
            let found = if call.version >= TOPIC_IDS_SINCE {
                let topic = session.node.topics.by_id(request.topic_id);
                topic.ok_or(ResponseError::UnknownTopicId)
            } else {
                let topic = session.node.topics.by_name(&request.topic.0);
                topic.ok_or(ResponseError::UnknownTopicOrPartition)
            };
            WantedTopic {
                partitions: std::mem::take(&mut request.partitions),
                found,
                request,
            }
        })
        .collect()
}

async fn read_all(topics: &[WantedTopic], isolation: Isolation, max_bytes: usize) -> Answer {
    let mut answer = Answer {
        topics: Vec::with_capacity(topics.len()),
        bytes: 0,
        failed: false,
    };
    for topic in topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for wanted in &topic.partitions {
            let left = max_bytes.saturating_sub(answer.bytes);
            let read = match &topic.found {
                Ok(found) => read_partition(found, wanted, isolation, left, answer.bytes == 0).await,
                Err(code) => Err(*code),
            };
            let data = read.unwrap_or_else(|code| {
                answer.failed = true;
                PartitionData::default()
                    .with_error_code(code.code())
                    .with_high_watermark(-1)
                    .with_last_stable_offset(-1)
                    .with_log_start_offset(-1)
            });
            answer.bytes += data.records.as_ref().map_or(0, Bytes::len);
            partitions.push(
                data.with_partition_index(wanted.partition)
                    .with_preferred_read_replica(BrokerId(-1)),
            );
        }
        answer.topics.push(
            FetchableTopicResponse::default()
                .with_topic(topic.request.topic.clone())
                .with_topic_id(topic.request.topic_id)
                .with_partitions(partitions),
        );
    }
    answer
}

/// Reads one partition: at most `left` bytes, but one whole batch at least when nothing else was read yet.
async fn read_partition(
    topic: &Topic,
    wanted: &FetchPartition,
    isolation: Isolation,
    left: usize,
    first: bool,
) -> Result<PartitionData, ResponseError> {
    let partition = topic
        .partition(wanted.partition)
        .filter(|partition| !partition.is_retired())
        .ok_or(ResponseError::UnknownTopicOrPartition)?;
    if wanted.current_leader_epoch > LEADER_EPOCH {
        return Err(ResponseError::UnknownLeaderEpoch);
    }
    let bounds = partition.bounds();
    if !(bounds.start..=bounds.end).contains(&wanted.fetch_offset) {
        return Err(ResponseError::OffsetOutOfRange);
    }
    let allowed = usize::try_from(wanted.partition_max_bytes).unwrap_or(0).min(left);
    let only_committed = isolation == Isolation::OnlyCommitted;
    let is_open = only_committed && wanted.fetch_offset >= bounds.stable;
    let stable = only_committed.then_some(bounds.stable);
    let read = if (allowed > 0 || first) && !is_open {
        read_records(partition, wanted.fetch_offset, allowed, stable).await
    } else {
        Ok((Bytes::new(), Vec::new()))
    };
    let (records, aborted) = read.map_err(|error| {
        partition.report_damage(&error);
        match error {
            ReadError::OutOfRange => ResponseError::OffsetOutOfRange,
            ReadError::Damaged { .. } => ResponseError::CorruptMessage,
            ReadError::Storage(_) => ResponseError::KafkaStorageError,
        }
    })?;
    let records = if only_committed {
        before(records, bounds.stable)
    } else {
        records
    };
    // Not the first: a batch larger than what is left waits for the next request.
    let records = if !first && records.len() > left {
        Bytes::new()
    } else {
        records
    };
    let aborted = only_committed.then(|| {
        let to = last_batch(&records).map_or(wanted.fetch_offset, |last| last.next_offset());
        let among_them = aborted.into_iter().filter(|aborted| aborted.first_offset < to);
        among_them
            .map(|aborted| {
                AbortedTransaction::default()
                    .with_producer_id(ProducerId(aborted.producer_id))
                    .with_first_offset(aborted.first_offset)
            })
            .collect()
    });
    Ok(PartitionData::default()
        .with_error_code(NO_ERROR)
        .with_aborted_transactions(aborted)
        .with_high_watermark(bounds.end)
        .with_last_stable_offset(bounds.stable)
        .with_log_start_offset(bounds.start)
        .with_records(Some(records)))
}

/// Those of some whole batches that lie before an offset, at which one begins.
fn before(records: Bytes, offset: i64) -> Bytes {
    let mut known = 0;
    while let Ok(header) = BatchHeader::parse(&records[known..]) {
        if header.base_offset >= offset {
            break;
        }
        known += header.size;
    }
    records.slice(..known)
}

/// The first batches with records at or after `offset`; empty at the end of the log. For who reads only what is
/// committed, before `stable`, the transactions that came to nothing among them.
async fn read_records(
    partition: &Partition,
    mut offset: i64,
    max_bytes: usize,
    stable: Option<i64>,
) -> Result<(Bytes, Vec<Aborted>), ReadError> {
    loop {
        let located = match stable {
            Some(stable) => partition.locate_committed(offset, stable)?,
            None => partition
                .locate(offset)?
                .map(|(range, warmth)| (range, warmth, Vec::new())),
        };
        let Some((range, warmth, aborted)) = located else {
            return Ok((Bytes::new(), Vec::new()));
        };
        let next_offset = range.next_offset;
        let read = match warmth {
            Warmth::Recent => range.batches_from(offset, max_bytes)?,
            Warmth::Old => blocking(move || range.batches_from(offset, max_bytes))
                .await
                .ok_or_else(|| io::Error::other("the read was abandoned"))??,
        };
        if !read.is_empty() {
            return Ok((read, aborted));
        }
        // Compaction has left nothing of this segment from here on.
        offset = next_offset;
    }
}

#[cfg(test)]
mod tests;
