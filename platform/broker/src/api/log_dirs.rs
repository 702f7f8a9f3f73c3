//! DescribeLogDirs and AlterReplicaLogDirs: the data folder, which is the only one.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{
    AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, DescribeLogDirsRequest, DescribeLogDirsResponse,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, Session, blocking};
use crate::topics::Topic;

/// Tells how large partitions are, and what room the disk has.
pub(crate) async fn handle_describe(
    session: &Session,
    _call: &Call,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let topics = match request.topics {
        None => {
            let all = session.node.topics.all();
            all.iter()
                .map(|topic| described(topic, 0..topic.partitions.len() as i32))
                .collect()
        }
        Some(wanted) => wanted
            .into_iter()
            .filter_map(|wanted| {
                let topic = session.node.topics.by_name(&wanted.topic.0)?;
                Some(described(&topic, wanted.partitions))
            })
            .collect(),
    };
    let node = Arc::clone(&session.node);
    let room = blocking(move || rustix::fs::statvfs(&node.config.data_dir).ok()).await;
    let bytes = |blocks: u64, size: u64| i64::try_from(blocks.saturating_mul(size)).unwrap_or(i64::MAX);
    let (total, usable) = room.flatten().map_or((-1, -1), |room| {
        (
            bytes(room.f_blocks, room.f_frsize),
            bytes(room.f_bavail, room.f_frsize),
        )
    });
    let folder = session.node.config.data_dir.display().to_string();
    let result = DescribeLogDirsResult::default()
        .with_log_dir(StrBytes::from_string(folder))
        .with_topics(topics)
        .with_total_bytes(total)
        .with_usable_bytes(usable);
    DescribeLogDirsResponse::default().with_results(vec![result])
}

fn described(topic: &Topic, indexes: impl IntoIterator<Item = i32>) -> DescribeLogDirsTopic {
    let partitions = indexes.into_iter().filter_map(|index| {
        let size = topic.partition(index)?.log().size();
        let described = DescribeLogDirsPartition::default()
            .with_partition_index(index)
            .with_partition_size(i64::try_from(size).unwrap_or(i64::MAX));
        Some(described)
    });
    DescribeLogDirsTopic::default()
        .with_name(TopicName(topic.name.clone()))
        .with_partitions(partitions.collect())
}

/// Refuses to move partitions to another folder.
pub(crate) async fn handle_alter(
    _session: &Session,
    _call: &Call,
    request: AlterReplicaLogDirsRequest,
) -> AlterReplicaLogDirsResponse {
    let topics = request.dirs.into_iter().flat_map(|folder| folder.topics);
    let results = topics.map(|topic| {
        let partitions = topic.partitions.into_iter().map(|index| {
            AlterReplicaLogDirPartitionResult::default()
                .with_partition_index(index)
                .with_error_code(ResponseError::LogDirNotFound.code())
        });
        AlterReplicaLogDirTopicResult::default()
            .with_topic_name(topic.name)
            .with_partitions(partitions.collect())
    });
    AlterReplicaLogDirsResponse::default().with_results(results.collect())
}
