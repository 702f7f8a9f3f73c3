//! OffsetCommit, OffsetFetch, OffsetDelete: how far a group has come.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, NO_ERROR, Session, blocking};
use crate::config::FlushPolicy;
use crate::groups::group::Claim;
use crate::groups::offsets::{Committed, GroupOffsets};
use crate::told::beginning;
use crate::topics::Topic;

/// Kafka's limit for what a client may note with an offset.
const MAX_METADATA_LEN: usize = 4096;
/// The version of OffsetFetch that asks for several groups at once.
const SEVERAL_GROUPS_SINCE: i16 = 8;

/// Stores the offsets of partitions that exist.
pub(crate) async fn handle_commit(
    session: &Session,
    _call: &Call,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let committed_at = osqdemo_clock::unix_ms();
    let mut accepted = Vec::new();
    let mut topics: Vec<OffsetCommitResponseTopic> = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let known = session.node.topics.by_name(&topic.name.0);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let metadata = partition.committed_metadata.unwrap_or_default();
            let code = if let Err(code) = check(known.as_deref(), partition.partition_index, &metadata) {
                code.code()
            } else {
                let name = StrBytes::from_string(topic.name.to_string());
                accepted.push((
                    (name, partition.partition_index),
                    Committed {
                        offset: partition.committed_offset,
                        leader_epoch: partition.committed_leader_epoch,
                        metadata: StrBytes::from_string(metadata.to_string()),
                        committed_at,
                    },
                ));
                NO_ERROR
            };
            partitions.push(
                OffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(code),
            );
        }
        topics.push(
            OffsetCommitResponseTopic::default()
                .with_name(topic.name)
                .with_partitions(partitions),
        );
    }
    let claim = Claim {
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_ref(),
        generation: request.generation_id_or_member_epoch,
    };
    match session.node.groups.commit(&request.group_id.0, claim, accepted) {
        Ok(()) => {
            session.node.written.notify_one();
            if session.node.config.flush == FlushPolicy::EveryBatch && !sync(session).await {
                refuse(&mut topics, ResponseError::KafkaStorageError);
            }
        }
        Err(refusal) => refuse(&mut topics, refusal),
    }
    OffsetCommitResponse::default().with_topics(topics)
}

/// Whether anything may be committed for a partition, with what the client notes about it.
pub(super) fn check(topic: Option<&Topic>, partition: i32, metadata: &str) -> Result<(), ResponseError> {
    if topic.is_none_or(|topic| topic.partition(partition).is_none()) {
        Err(ResponseError::UnknownTopicOrPartition)
    } else if metadata.len() > MAX_METADATA_LEN {
        Err(ResponseError::OffsetMetadataTooLarge)
    } else {
        Ok(())
    }
}

fn refuse(topics: &mut [OffsetCommitResponseTopic], code: ResponseError) {
    for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        partition.error_code = code.code();
    }
}

/// Brings what was committed to the disk; false when that failed.
pub(super) async fn sync(session: &Session) -> bool {
    let node = Arc::clone(&session.node);
    match blocking(move || node.groups.flush()).await {
        Some(Ok(())) => true,
        Some(Err(error)) => {
            tracing::error!(%error, "cannot bring committed offsets to the disk");
            false
        }
        None => false,
    }
}

/// Tells what groups have committed: for the partitions asked for, or for all.
pub(crate) async fn handle_fetch(
    session: &Session,
    call: &Call,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    if call.version >= SEVERAL_GROUPS_SINCE {
        let groups = request
            .groups
            .into_iter()
            .map(|wanted| {
                let groups = &session.node.groups;
                let reader = wanted.member_id.as_ref();
                if let Err(code) = groups.check_reader(&wanted.group_id.0, reader, wanted.member_epoch) {
                    return OffsetFetchResponseGroup::default()
                        .with_group_id(wanted.group_id)
                        .with_error_code(code.code());
                }
                let committed = groups.committed(&wanted.group_id.0);
                let wanted_topics = wanted.topics.map(|topics| {
                    topics
                        .into_iter()
                        .map(|topic| (topic.name, topic.partition_indexes))
                        .collect()
                });
                let group = wanted.group_id.0.clone();
                let unstable = unstable(session, &group, request.require_stable);
                let topics = select(committed.as_ref(), wanted_topics)
                    .into_iter()
                    .map(|(name, partitions)| {
                        let partitions = partitions
                            .into_iter()
                            .map(|(index, committed)| {
                                let code = unstable(&name, index);
                                let committed = if code == NO_ERROR { committed } else { nothing() };
                                OffsetFetchResponsePartitions::default()
                                    .with_error_code(code)
                                    .with_partition_index(index)
                                    .with_committed_offset(committed.offset)
                                    .with_committed_leader_epoch(committed.leader_epoch)
                                    .with_metadata(Some(committed.metadata))
                            })
                            .collect();
                        OffsetFetchResponseTopics::default()
                            .with_name(name)
                            .with_partitions(partitions)
                    })
                    .collect();
                OffsetFetchResponseGroup::default()
                    .with_group_id(wanted.group_id)
                    .with_topics(topics)
            })
            .collect();
        return OffsetFetchResponse::default().with_groups(groups);
    }
    let committed = session.node.groups.committed(&request.group_id.0);
    let wanted_topics = request.topics.map(|topics| {
        topics
            .into_iter()
            .map(|topic| (topic.name, topic.partition_indexes))
            .collect()
    });
    let unstable = unstable(session, &request.group_id.0, request.require_stable);
    let topics = select(committed.as_ref(), wanted_topics)
        .into_iter()
        .map(|(name, partitions)| {
            let partitions = partitions
                .into_iter()
                .map(|(index, committed)| {
                    let code = unstable(&name, index);
                    let committed = if code == NO_ERROR { committed } else { nothing() };
                    OffsetFetchResponsePartition::default()
                        .with_error_code(code)
                        .with_partition_index(index)
                        .with_committed_offset(committed.offset)
                        .with_committed_leader_epoch(committed.leader_epoch)
                        .with_metadata(Some(committed.metadata))
                })
                .collect();
            OffsetFetchResponseTopic::default()
                .with_name(name)
                .with_partitions(partitions)
        })
        .collect();
    OffsetFetchResponse::default().with_topics(topics)
}

/// Whether a partition's offset is about to change with a transaction, for those who would rather wait; as a code.
fn unstable(session: &Session, group: &StrBytes, is_asked: bool) -> impl Fn(&TopicName, i32) -> i16 {
    move |topic, index| {
        let is_pending = is_asked && session.node.groups.is_pending(group, &(topic.0.clone(), index));
        if is_pending {
            ResponseError::UnstableOffsetCommit.code()
        } else {
            NO_ERROR
        }
    }
}

/// What stands for no committed offset.
fn nothing() -> Committed {
    Committed {
        offset: -1,
        leader_epoch: -1,
        metadata: StrBytes::new(),
        committed_at: 0,
    }
}

type Selected = Vec<(TopicName, Vec<(i32, Committed)>)>;

/// What a group has committed for the wanted partitions (`None`: all it has); -1 where it has nothing.
fn select(committed: Option<&GroupOffsets>, wanted: Option<Vec<(TopicName, Vec<i32>)>>) -> Selected {
    let Some(wanted) = wanted else {
        let mut all: Selected = Vec::new();
        for ((topic, index), committed) in committed.iter().flat_map(|group| &group.partitions) {
            match all.last_mut() {
                Some((last, partitions)) if last.0 == *topic => {
                    partitions.push((*index, committed.clone()));
                }
                _ => all.push((TopicName(topic.clone()), vec![(*index, committed.clone())])),
            }
        }
        return all;
    };
    wanted
        .into_iter()
        .map(|(topic, indexes)| {
            let partitions = indexes
                .into_iter()
                .map(|index| {
                    let found = committed
                        .and_then(|group| group.partitions.get(&(topic.0.clone(), index)))
                        .cloned();
                    (index, found.unwrap_or_else(nothing))
                })
                .collect();
            (topic, partitions)
        })
        .collect()
}

/// Forgets what a group has committed for partitions that none of its members reads.
pub(crate) async fn handle_delete(
    session: &Session,
    _call: &Call,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let partitions: Vec<_> = request
        .topics
        .iter()
        .flat_map(|topic| {
            topic
                .partitions
                .iter()
                .map(|partition| (topic.name.0.clone(), partition.partition_index))
        })
        .collect();
    let group_id = &request.group_id.0;
    let kept = match session.node.groups.forget_offsets(group_id, &partitions) {
        Ok(kept) => kept,
        Err(code) => return OffsetDeleteResponse::default().with_error_code(code.code()),
    };
    tell!(session, group = ?beginning(group_id), partitions = partitions.len() - kept.len(), "offsets of a group were deleted");
    session.node.written.notify_one();
    let topics = request
        .topics
        .into_iter()
        .map(|topic| {
            let partitions = topic
                .partitions
                .iter()
                .map(|partition| {
                    let index = partition.partition_index;
                    let code = match kept.contains(&(topic.name.0.clone(), index)) {
                        true => ResponseError::GroupSubscribedToTopic.code(),
                        false => NO_ERROR,
                    };
                    OffsetDeleteResponsePartition::default()
                        .with_partition_index(index)
                        .with_error_code(code)
                })
                .collect();
            OffsetDeleteResponseTopic::default()
                .with_name(topic.name)
                .with_partitions(partitions)
        })
        .collect();
    OffsetDeleteResponse::default().with_topics(topics)
}
