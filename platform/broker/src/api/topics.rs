//! CreateTopics, DeleteTopics, CreatePartitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsAssignment;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::configs::topic_setting;
use super::{Call, NO_ERROR, NODE_ID, Session, blocking, code_of};
use crate::topics::settings::DEFINITIONS;
use crate::topics::{Commitment, Topic, TopicError, Topics};

/// The version of DeleteTopics that names topics by name or id.
const DELETE_BY_ID_SINCE: i16 = 6;

/// Creates topics, each for itself.
pub(crate) async fn handle_create(
    session: &Session,
    _call: &Call,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let commitment = commitment(request.validate_only);
    let mut results = Vec::with_capacity(request.topics.len());
    let twice = named_twice(request.topics.iter().map(|topic| &topic.name));
    for wanted in request.topics {
        let name = wanted.name.clone();
        if twice.contains(&name) {
            // Told once, for none of them.
            if results
                .iter()
                .all(|result: &CreatableTopicResult| result.name != name)
            {
                let error = TopicError::Twice;
                results.push(
                    CreatableTopicResult::default()
                        .with_name(name)
                        .with_error_code(error.code().code())
                        .with_error_message(Some(StrBytes::from_string(error.to_string())))
                        .with_num_partitions(-1)
                        .with_replication_factor(-1),
                );
            }
            continue;
        }
        let node = Arc::clone(&session.node);
        let asked = (wanted.num_partitions, wanted.assignments.len());
        let created = blocking(move || create(&node.topics, wanted, commitment)).await;
        let (code, message) = code_of(&created, TopicError::code);
        let result = CreatableTopicResult::default()
            .with_name(name)
            .with_error_code(code)
            .with_error_message(message);
        results.push(match created {
            Some(Ok(topic)) => {
                if commitment == Commitment::Apply {
                    tell!(session, topic = %topic.name, partitions = topic.partitions.len(), "a topic was created");
                }
                let partitions = match (commitment, asked) {
                    (Commitment::Apply, _) => topic.partitions.len() as i32,
                    (_, (-1, 0)) => session.node.topics.default_partitions(),
                    (_, (-1, assigned)) => assigned as i32,
                    (_, (partitions, _)) => partitions,
                };
                described(session, &topic, result).with_num_partitions(partitions)
            }
            _ => result.with_num_partitions(-1).with_replication_factor(-1),
        });
    }
    CreateTopicsResponse::default().with_topics(results)
}

fn create(topics: &Topics, wanted: CreatableTopic, commitment: Commitment) -> Result<Arc<Topic>, TopicError> {
    let partitions = if wanted.assignments.is_empty() {
        if !matches!(wanted.replication_factor, -1 | 1) {
            return Err(TopicError::Replication(wanted.replication_factor));
        }
        wanted.num_partitions
    } else {
        let indexes: BTreeSet<i32> = wanted
            .assignments
            .iter()
            .map(|assigned| assigned.partition_index)
            .collect();
        let count = wanted.assignments.len() as i32;
        let only_here = wanted
            .assignments
            .iter()
            .all(|assigned| assigned.broker_ids == [NODE_ID]);
        if !only_here || indexes != (0..count).collect() {
            return Err(TopicError::Assignment);
        }
        count
    };
    let settings: BTreeMap<String, String> = wanted
        .configs
        .iter()
        .filter_map(|config| Some((config.name.to_string(), config.value.as_ref()?.to_string())))
        .collect();
    topics.create(&wanted.name.0, partitions, settings, commitment)
}

fn described(session: &Session, topic: &Topic, result: CreatableTopicResult) -> CreatableTopicResult {
    let defaults = session.node.topics.defaults();
    let configs = DEFINITIONS
        .iter()
        .map(|definition| {
            let setting = topic_setting(definition, &topic.settings, &defaults);
            CreatableTopicConfigs::default()
                .with_name(StrBytes::from_static_str(definition.name))
                .with_value(Some(StrBytes::from_string(setting.value().to_owned())))
                .with_config_source(setting.source())
        })
        .collect();
    result
        .with_topic_id(topic.id)
        .with_replication_factor(1)
        .with_configs(Some(configs))
}

/// Deletes topics, each for itself.
pub(crate) async fn handle_delete(
    session: &Session,
    call: &Call,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let wanted: Vec<(Option<TopicName>, Uuid)> = if call.version >= DELETE_BY_ID_SINCE {
        request
            .topics
            .into_iter()
            .map(|topic| (topic.name, topic.topic_id))
            .collect()
    } else {
        request
            .topic_names
            .into_iter()
            .map(|name| (Some(name), Uuid::nil()))
            .collect()
    };
    let mut responses = Vec::with_capacity(wanted.len());
    for (name, id) in wanted {
        let found = match &name {
            Some(name) => Some(name.0.clone()),
            None => session.node.topics.by_id(id).map(|topic| topic.name.clone()),
        };
        let response = DeletableTopicResult::default().with_topic_id(id);
        let Some(found) = found else {
            responses.push(response.with_error_code(ResponseError::UnknownTopicId.code()));
            continue;
        };
        let node = Arc::clone(&session.node);
        let deleting = found.clone();
        let deleted = blocking(move || {
            let topic = node.topics.delete(&deleting)?;
            node.groups.forget_topic(&topic.name);
            Ok(topic)
        })
        .await;
        let (code, message) = code_of(&deleted, TopicError::code);
        let id = match &deleted {
            Some(Ok(topic)) => {
                tell!(session, topic = %topic.name, "a topic was deleted");
                topic.id
            }
            _ => id,
        };
        responses.push(
            response
                .with_name(Some(TopicName(found)))
                .with_topic_id(id)
                .with_error_code(code)
                .with_error_message(message),
        );
    }
    session.node.written.notify_one();
    DeleteTopicsResponse::default().with_responses(responses)
}

/// Gives topics more partitions.
pub(crate) async fn handle_grow(
    session: &Session,
    _call: &Call,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let commitment = commitment(request.validate_only);
    let twice = named_twice(request.topics.iter().map(|topic| &topic.name));
    let mut results = Vec::with_capacity(request.topics.len());
    for wanted in request.topics {
        let node = Arc::clone(&session.node);
        let (name, count) = (wanted.name.0.clone(), wanted.count);
        let assigned = wanted.assignments;
        let is_twice = twice.contains(&wanted.name);
        let grown = blocking(move || {
            let only_here = |assigned: &[CreatePartitionsAssignment]| {
                assigned.iter().all(|replicas| replicas.broker_ids == [NODE_ID])
            };
            if is_twice {
                return Err(TopicError::Twice);
            }
            if assigned.as_deref().is_some_and(|assigned| !only_here(assigned)) {
                return Err(TopicError::Assignment);
            }
            let assigned = assigned.map(|assigned| assigned.len());
            node.topics.grow(&name, count, assigned, commitment)
        })
        .await;
        let (code, message) = code_of(&grown, TopicError::code);
        if code == NO_ERROR && commitment == Commitment::Apply {
            tell!(session, topic = %wanted.name.0, partitions = wanted.count, "a topic was given more partitions");
        }
        results.push(
            CreatePartitionsTopicResult::default()
                .with_name(wanted.name)
                .with_error_code(code)
                .with_error_message(message),
        );
    }
    CreatePartitionsResponse::default().with_results(results)
}

/// The names that occur more than once.
fn named_twice<'a>(names: impl Iterator<Item = &'a TopicName>) -> BTreeSet<TopicName> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).cloned().collect()
}

fn commitment(validate_only: bool) -> Commitment {
    if validate_only {
        Commitment::ValidateOnly
    } else {
        Commitment::Apply
    }
}
