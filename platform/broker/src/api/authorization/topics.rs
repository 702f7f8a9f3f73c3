//! Requests about topics themselves.

use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
use kafka_protocol::messages::describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse, MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::{Authorized, Permits, cluster, take_out};
use crate::api::{Call, NO_ERROR};
use crate::security::acls::{CLUSTER, Operation, Resource};

const DENIED: i16 = 29; // TOPIC_AUTHORIZATION_FAILED
/// The version of Metadata from which on a topic's name may be missing.
const NAME_MAY_BE_MISSING_SINCE: i16 = 12;
/// The version of Metadata in which a client first says whether topics may be created.
const CREATION_IS_ASKED_FOR_SINCE: i16 = 4;

fn message() -> Option<StrBytes> {
    Some(StrBytes::from_static_str("Topic authorization failed."))
}

impl Authorized for MetadataRequest {
    type Denied = Vec<MetadataResponseTopic>;

    fn sift(&mut self, permits: &Permits<'_>, call: &Call) -> Result<Self::Denied, MetadataResponse> {
        let node = &permits.session.node;
        let may_create = call.version < CREATION_IS_ASKED_FOR_SINCE || self.allow_auto_topic_creation;
        let creates = may_create && node.config.auto_create_topics;
        let Some(topics) = &mut self.topics else {
            return Ok(Vec::new());
        };
        let denied = take_out(topics, |topic| {
            let name = topic.name.clone().unwrap_or_default();
            if !permits.may_topic(Operation::Describe, &name, topic.topic_id) {
                return false;
            }
            let is_new = topic.topic_id.is_nil() && node.topics.by_name(&name.0).is_none();
            !(is_new && creates) || may_create_topic(permits, &name)
        });
        let denied = denied.into_iter().map(|topic| {
            let named = topic.name.filter(|_| topic.topic_id.is_nil());
            let unnamed = (call.version < NAME_MAY_BE_MISSING_SINCE).then(TopicName::default);
            MetadataResponseTopic::default()
                .with_error_code(DENIED)
                .with_name(named.or(unnamed))
                .with_topic_id(topic.topic_id)
        });
        Ok(denied.collect())
    }

    fn complete(denied: Self::Denied, response: &mut MetadataResponse, permits: &Permits<'_>) {
        // Where all were asked for, the others are as if they were not there.
        response.topics.retain(|topic| {
            let name = topic.name.as_ref().map_or("", |name| name.0.as_str());
            topic.error_code != NO_ERROR || permits.sees(Operation::Describe, Resource::Topic, name)
        });
        for topic in &mut response.topics {
            let name = topic.name.as_ref().map_or("", |name| name.0.as_str());
            topic.topic_authorized_operations = operations(topic.topic_authorized_operations, name, permits);
        }
        response.cluster_authorized_operations =
            cluster::operations(response.cluster_authorized_operations, permits);
        response.topics.extend(denied);
    }
}

fn may_create_topic(permits: &Permits<'_>, name: &TopicName) -> bool {
    permits.sees(Operation::Create, Resource::Cluster, CLUSTER)
        || permits.may(Operation::Create, Resource::Topic, &name.0)
}

fn operations(told: i32, name: &str, permits: &Permits<'_>) -> i32 {
    match told {
        i32::MIN => i32::MIN,
        all => permits.operations(all, Resource::Topic, name),
    }
}

impl Authorized for DescribeTopicPartitionsRequest {
    type Denied = Vec<DescribeTopicPartitionsResponseTopic>;

    fn sift(
        &mut self,
        permits: &Permits<'_>,
        _: &Call,
    ) -> Result<Self::Denied, DescribeTopicPartitionsResponse> {
        if self.topics.is_empty() {
            let all = permits.session.node.topics.all();
            let seen = all
                .iter()
                .filter(|topic| permits.sees(Operation::Describe, Resource::Topic, &topic.name));
            self.topics = seen
                .map(|topic| TopicRequest::default().with_name(TopicName(topic.name.clone())))
                .collect();
            // An empty list would mean all.
            return match self.topics.is_empty() {
                true => Err(DescribeTopicPartitionsResponse::default()),
                false => Ok(Vec::new()),
            };
        }
        let denied = take_out(&mut self.topics, |topic| {
            permits.may(Operation::Describe, Resource::Topic, &topic.name.0)
        });
        let begin = self.cursor.as_ref().map(|cursor| cursor.topic_name.clone());
        let answered = denied
            .into_iter()
            .filter(|topic| begin.as_ref().is_none_or(|begin| topic.name >= *begin))
            .map(|topic| {
                DescribeTopicPartitionsResponseTopic::default()
                    .with_error_code(DENIED)
                    .with_name(Some(topic.name))
            })
            .collect();
        match self.topics.is_empty() {
            true => Err(DescribeTopicPartitionsResponse::default().with_topics(answered)),
            false => Ok(answered),
        }
    }

    fn complete(denied: Self::Denied, response: &mut DescribeTopicPartitionsResponse, permits: &Permits<'_>) {
        for topic in &mut response.topics {
            let name = topic.name.as_ref().map_or("", |name| name.0.as_str());
            topic.topic_authorized_operations = operations(topic.topic_authorized_operations, name, permits);
        }
        response.topics.extend(denied);
    }
}

impl Authorized for CreateTopicsRequest {
    type Denied = Vec<CreatableTopicResult>;

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<Self::Denied, CreateTopicsResponse> {
        let mut denied = take_out(&mut self.topics, |topic| may_create_topic(permits, &topic.name));
        denied.dedup_by(|one, other| one.name == other.name);
        let denied = denied.into_iter().map(|topic| {
            CreatableTopicResult::default()
                .with_name(topic.name)
                .with_error_code(DENIED)
                .with_error_message(message())
                .with_num_partitions(-1)
                .with_replication_factor(-1)
        });
        Ok(denied.collect())
    }

    fn complete(denied: Self::Denied, response: &mut CreateTopicsResponse, permits: &Permits<'_>) {
        for topic in &mut response.topics {
            if topic.error_code == NO_ERROR
                && !permits.sees(Operation::DescribeConfigs, Resource::Topic, &topic.name.0)
            {
                topic.topic_config_error_code = DENIED;
                topic.configs = None;
                topic.num_partitions = -1;
                topic.replication_factor = -1;
            }
        }
        response.topics.extend(denied);
    }
}

impl Authorized for DeleteTopicsRequest {
    type Denied = Vec<DeletableTopicResult>;

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<Self::Denied, DeleteTopicsResponse> {
        if permits.sees(Operation::Delete, Resource::Cluster, CLUSTER) {
            return Ok(Vec::new());
        }
        let refused = |name: Option<TopicName>, id: Uuid| {
            DeletableTopicResult::default()
                .with_name(name)
                .with_topic_id(id)
                .with_error_code(DENIED)
                .with_error_message(message())
        };
        let by_name = take_out(&mut self.topic_names, |name| {
            permits.may(Operation::Delete, Resource::Topic, &name.0)
        });
        let others = take_out(&mut self.topics, |topic| {
            // The handler takes the name before the id.
            match &topic.name {
                Some(name) => permits.may(Operation::Delete, Resource::Topic, &name.0),
                None => permits.may_topic(Operation::Delete, &TopicName::default(), topic.topic_id),
            }
        });
        let by_name = by_name.into_iter().map(|name| refused(Some(name), Uuid::nil()));
        let others = others
            .into_iter()
            .map(|topic| refused(topic.name, topic.topic_id));
        Ok(by_name.chain(others).collect())
    }

    fn complete(denied: Self::Denied, response: &mut DeleteTopicsResponse, _: &Permits<'_>) {
        response.responses.extend(denied);
    }
}

impl Authorized for CreatePartitionsRequest {
    type Denied = Vec<CreatePartitionsTopicResult>;

    fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<Self::Denied, CreatePartitionsResponse> {
        let denied = take_out(&mut self.topics, |topic| {
            permits.may(Operation::Alter, Resource::Topic, &topic.name.0)
        });
        let denied = denied.into_iter().map(|topic| {
            CreatePartitionsTopicResult::default()
                .with_name(topic.name)
                .with_error_code(DENIED)
                .with_error_message(message())
        });
        Ok(denied.collect())
    }

    fn complete(denied: Self::Denied, response: &mut CreatePartitionsResponse, _: &Permits<'_>) {
        response.results.extend(denied);
    }
}
