//! Metadata and DescribeTopicPartitions: which topics there are, and that this broker leads all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, MetadataRequest, MetadataResponse,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, LEADER_EPOCH, NO_ERROR, NODE_ID, Session, blocking, operations};
use crate::topics::{Commitment, Topic, TopicError};

/// Describes the topics asked for, creating them where the client and the configuration allow it.
pub(crate) async fn handle(session: &Session, call: &Call, request: MetadataRequest) -> MetadataResponse {
    // Version 0 has no null: there an empty list means all topics.
    let wanted = request
        .topics
        .filter(|topics| call.version > 0 || !topics.is_empty());
    let may_create =
        session.node.config.auto_create_topics && (call.version < 4 || request.allow_auto_topic_creation);
    let topics = match wanted {
        None => {
            let all = session.node.topics.all();
            all.iter().map(|topic| describe(topic)).collect()
        }
        Some(wanted) => {
            let mut found = Vec::with_capacity(wanted.len());
            for topic in wanted {
                found.push(look_up(session, topic, may_create).await);
            }
            found
        }
    };
    let broker = MetadataResponseBroker::default()
        .with_node_id(NODE_ID)
        .with_host(StrBytes::from_string(session.advertised.host.clone()))
        .with_port(i32::from(session.advertised.port));
    let cluster_id = session.node.topics.cluster_id().to_owned();
    let mut topics: Vec<MetadataResponseTopic> = topics;
    if request.include_topic_authorized_operations {
        for topic in &mut topics {
            topic.topic_authorized_operations = operations::OF_TOPIC;
        }
    }
    let response = if request.include_cluster_authorized_operations {
        MetadataResponse::default().with_cluster_authorized_operations(operations::OF_CLUSTER)
    } else {
        MetadataResponse::default()
    };
    response
        .with_brokers(vec![broker])
        .with_cluster_id(Some(StrBytes::from_string(cluster_id)))
        .with_controller_id(NODE_ID)
        .with_topics(topics)
}

async fn look_up(session: &Session, wanted: MetadataRequestTopic, may_create: bool) -> MetadataResponseTopic {
    // Who asks by id may send an empty name with it.
    let by_id = !wanted.topic_id.is_nil();
    let Some(name) = wanted.name.filter(|_| !by_id) else {
        return match session.node.topics.by_id(wanted.topic_id) {
            Some(topic) => describe(&topic),
            None => MetadataResponseTopic::default()
                .with_error_code(ResponseError::UnknownTopicId.code())
                .with_topic_id(wanted.topic_id)
                // Only from version 12 on may the name be missing.
                .with_name(Some(TopicName::default())),
        };
    };
    match find_or_create(session, &name.0, may_create).await {
        Ok(topic) => describe(&topic),
        Err(code) => MetadataResponseTopic::default()
            .with_error_code(code.code())
            .with_name(Some(name)),
    }
}

/// The topic of that name, created when it is missing and `may_create` allows it.
pub(crate) async fn find_or_create(
    session: &Session,
    name: &StrBytes,
    may_create: bool,
) -> Result<Arc<Topic>, ResponseError> {
    if let Some(topic) = session.node.topics.by_name(name) {
        return Ok(topic);
    }
    if !may_create {
        return Err(ResponseError::UnknownTopicOrPartition);
    }
    let node = Arc::clone(&session.node);
    let owned = name.clone();
    let created = blocking(move || node.topics.create(&owned, -1, BTreeMap::new(), Commitment::Apply))
        .await
        .ok_or(ResponseError::UnknownServerError)?;
    match created {
        Ok(topic) => {
            tell!(session, topic = %name, partitions = topic.partitions.len(), "created a topic on demand");
            Ok(topic)
        }
        // Another client was faster.
        Err(TopicError::Exists { .. }) => session
            .node
            .topics
            .by_name(name)
            .ok_or(ResponseError::UnknownTopicOrPartition),
        Err(error) => {
            tracing::debug!(topic = ?name, %error, "cannot create the topic on demand");
            Err(error.code())
        }
    }
}

fn describe(topic: &Topic) -> MetadataResponseTopic {
    let partitions = (0..topic.partitions.len())
        .map(|index| {
            MetadataResponsePartition::default()
                .with_partition_index(index as i32)
                .with_leader_id(NODE_ID)
                .with_leader_epoch(LEADER_EPOCH)
                .with_replica_nodes(vec![NODE_ID])
                .with_isr_nodes(vec![NODE_ID])
        })
        .collect();
    MetadataResponseTopic::default()
        .with_error_code(NO_ERROR)
        .with_name(Some(TopicName(topic.name.clone())))
        .with_topic_id(topic.id)
        .with_is_internal(false)
        .with_partitions(partitions)
}

/// Kafka's own limit for the partitions in one answer.
const MAX_PARTITIONS: usize = 2000;

/// Describes partitions in pages: as many as are wanted, and where the next page begins.
pub(crate) async fn handle_partitions(
    session: &Session,
    _call: &Call,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let mut names: Vec<StrBytes> = if request.topics.is_empty() {
        let all = session.node.topics.all();
        all.iter().map(|topic| topic.name.clone()).collect()
    } else {
        request.topics.into_iter().map(|topic| topic.name.0).collect()
    };
    names.sort_unstable();
    names.dedup();
    let begin = request
        .cursor
        .map(|cursor| (cursor.topic_name.0, cursor.partition_index));
    let mut left = usize::try_from(request.response_partition_limit)
        .unwrap_or(0)
        .clamp(1, MAX_PARTITIONS);
    let mut topics = Vec::new();
    for name in names {
        let first = match &begin {
            Some((begin, _)) if name < *begin => continue,
            Some((begin, index)) if name == *begin => usize::try_from(*index).unwrap_or(0),
            _ => 0,
        };
        let described = DescribeTopicPartitionsResponseTopic::default()
            .with_name(Some(TopicName(name.clone())))
            .with_topic_authorized_operations(operations::OF_TOPIC);
        let Some(topic) = session.node.topics.by_name(&name) else {
            topics.push(described.with_error_code(ResponseError::UnknownTopicOrPartition.code()));
            continue;
        };
        if left == 0 {
            let cursor = Cursor::default()
                .with_topic_name(TopicName(name))
                .with_partition_index(first as i32);
            return DescribeTopicPartitionsResponse::default()
                .with_topics(topics)
                .with_next_cursor(Some(cursor));
        }
        let end = topic.partitions.len().min(first.saturating_add(left));
        let partitions = (first..end).map(|index| {
            DescribeTopicPartitionsResponsePartition::default()
                .with_partition_index(index as i32)
                .with_leader_id(NODE_ID)
                .with_leader_epoch(LEADER_EPOCH)
                .with_replica_nodes(vec![NODE_ID])
                .with_isr_nodes(vec![NODE_ID])
                .with_eligible_leader_replicas(Some(Vec::new()))
                .with_last_known_elr(Some(Vec::new()))
        });
        topics.push(
            described
                .with_topic_id(topic.id)
                .with_partitions(partitions.collect()),
        );
        left -= end.saturating_sub(first);
        if end < topic.partitions.len() {
            let cursor = Cursor::default()
                .with_topic_name(TopicName(name))
                .with_partition_index(end as i32);
            return DescribeTopicPartitionsResponse::default()
                .with_topics(topics)
                .with_next_cursor(Some(cursor));
        }
    }
    DescribeTopicPartitionsResponse::default().with_topics(topics)
}
