//! ListOffsets and OffsetForLeaderEpoch: where a partition begins, ends, and stood at a given time.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    TopicName,
};

use kafka_protocol::protocol::StrBytes;

use super::authorization::Permits;
use super::{Call, LEADER_EPOCH, NO_ERROR, Session, blocking};
use crate::security::acls::{Operation, Resource};
use crate::storage::read::ReadError;
use crate::topics::partition::Partition;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
/// The earliest on this machine, as opposed to tiered storage: the same here.
const EARLIEST_LOCAL: i64 = -4;
/// The first version whose answer has the leader epoch.
const LEADER_EPOCH_SINCE: i16 = 4;
/// What ListOffsets answers when no record is that late.
const NOT_FOUND: (i64, i64) = (-1, -1);

/// Looks up every offset asked for.
pub(crate) async fn handle(
    session: &Session,
    call: &Call,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let read_committed = request.isolation_level == 1;
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for wanted in topic.partitions {
            let found = match find(session, &topic.name, wanted.partition_index) {
                Some(_) if wanted.current_leader_epoch > LEADER_EPOCH => {
                    Err(ResponseError::UnknownLeaderEpoch)
                }
                Some(partition) => look_up(partition, wanted.timestamp, read_committed).await,
                None => Err(ResponseError::UnknownTopicOrPartition),
            };
            let (code, (timestamp, offset)) = match found {
                Ok(found) => (NO_ERROR, found),
                Err(code) => (code.code(), NOT_FOUND),
            };
            let leader_epoch = if offset >= 0 && call.version >= LEADER_EPOCH_SINCE {
                LEADER_EPOCH
            } else {
                -1
            };
            partitions.push(
                ListOffsetsPartitionResponse::default()
                    .with_partition_index(wanted.partition_index)
                    .with_error_code(code)
                    .with_timestamp(timestamp)
                    .with_offset(offset)
                    .with_leader_epoch(leader_epoch),
            );
        }
        topics.push(
            ListOffsetsTopicResponse::default()
                .with_name(topic.name)
                .with_partitions(partitions),
        );
    }
    ListOffsetsResponse::default().with_topics(topics)
}

/// Answers the oldest version, which differs from all others: it asks for up to so many offsets, newest first.
///
/// librdkafka before 1.8 speaks it to every broker, and the crate of the protocol does not have it.
pub(crate) async fn answer_oldest(session: &Session, mut body: Bytes) -> Result<BytesMut, TryGetError> {
    let permits = Permits::of(session);
    let may_see = |name: &TopicName| {
        let may = |permits: &Permits<'_>| permits.may(Operation::Describe, Resource::Topic, &name.0);
        permits.as_ref().is_none_or(may)
    };
    let mut answer = BytesMut::new();
    let _replica_id = body.try_get_i32()?;
    let topics = body.try_get_i32()?;
    answer.put_i32(topics.max(0));
    for _ in 0..topics {
        let len = usize::try_from(body.try_get_i16()?).unwrap_or(0);
        let mut name = vec![0; len];
        body.try_copy_to_slice(&mut name)?;
        answer.put_i16(len as i16);
        answer.put_slice(&name);
        let name = TopicName(StrBytes::from_string(String::from_utf8_lossy(&name).into_owned()));
        let is_seen = may_see(&name);
        let partitions = body.try_get_i32()?;
        answer.put_i32(partitions.max(0));
        for _ in 0..partitions {
            let index = body.try_get_i32()?;
            let timestamp = body.try_get_i64()?;
            let wanted = body.try_get_i32()?;
            let found = match find(session, &name, index) {
                _ if !is_seen => Err(ResponseError::TopicAuthorizationFailed),
                Some(partition) => look_up(partition, timestamp, false).await,
                None => Err(ResponseError::UnknownTopicOrPartition),
            };
            answer.put_i32(index);
            answer.put_i16(found.map_or_else(|code| code.code(), |_| NO_ERROR));
            match found {
                Ok((_, offset)) if offset >= 0 && wanted > 0 => {
                    answer.put_i32(1);
                    answer.put_i64(offset);
                }
                _ => answer.put_i32(0),
            }
        }
    }
    Ok(answer)
}

/// The timestamp (-1 where none belongs to it) and the offset for one of Kafka's special timestamps or a real one.
async fn look_up(
    partition: Arc<Partition>,
    timestamp: i64,
    read_committed: bool,
) -> Result<(i64, i64), ResponseError> {
    let bounds = partition.bounds();
    let found = match timestamp {
        LATEST if read_committed => return Ok((-1, bounds.stable)),
        LATEST => return Ok((-1, bounds.end)),
        EARLIEST | EARLIEST_LOCAL => return Ok((-1, bounds.start)),
        MAX_TIMESTAMP => {
            let found = Arc::clone(&partition);
            blocking(move || {
                let max = found.log().max_timestamp();
                max.map_or(Ok(None), |max| found.offset_at(max))
            })
            .await
        }
        0.. => {
            let found = Arc::clone(&partition);
            blocking(move || found.offset_at(timestamp)).await
        }
        // The latest in tiered storage, which there is none of.
        _ => return Ok(NOT_FOUND),
    };
    match found {
        // Who reads only what is committed must not be sent to what is not decided yet.
        Some(Ok(Some((_, offset)))) if read_committed && offset >= bounds.stable => Ok(NOT_FOUND),
        Some(Ok(found)) => Ok(found.unwrap_or(NOT_FOUND)),
        Some(Err(error)) => {
            partition.report_damage(&error);
            Err(match error {
                ReadError::Damaged { .. } => ResponseError::CorruptMessage,
                ReadError::OutOfRange | ReadError::Storage(_) => ResponseError::KafkaStorageError,
            })
        }
        None => Err(ResponseError::UnknownServerError),
    }
}

/// Answers where the only leader epoch there ever was ends: at the end of the log.
pub(crate) async fn handle_leader_epoch(
    session: &Session,
    _call: &Call,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request
        .topics
        .into_iter()
        .map(|topic| {
            let partitions = topic
                .partitions
                .iter()
                .map(|wanted| {
                    let end = EpochEndOffset::default().with_partition(wanted.partition);
                    match find(session, &topic.topic, wanted.partition) {
                        None => end
                            .with_error_code(ResponseError::UnknownTopicOrPartition.code())
                            .with_leader_epoch(-1)
                            .with_end_offset(-1),
                        Some(_) if wanted.leader_epoch > LEADER_EPOCH => {
                            end.with_leader_epoch(-1).with_end_offset(-1)
                        }
                        Some(partition) => end
                            .with_leader_epoch(LEADER_EPOCH)
                            .with_end_offset(partition.bounds().end),
                    }
                })
                .collect();
            OffsetForLeaderTopicResult::default()
                .with_topic(topic.topic.clone())
                .with_partitions(partitions)
        })
        .collect();
    OffsetForLeaderEpochResponse::default().with_topics(topics)
}

fn find(session: &Session, topic: &TopicName, index: i32) -> Option<Arc<Partition>> {
    session.node.topics.by_name(&topic.0)?.partition(index).cloned()
}
