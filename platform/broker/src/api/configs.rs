//! DescribeConfigs, ListConfigResources, AlterConfigs, IncrementalAlterConfigs: the settings of topics, and the broker's for reading.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as AlteredWhole;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as AlteredPart;
use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, ListConfigResourcesRequest,
    ListConfigResourcesResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, NO_ERROR, NODE_ID, Session, blocking};
use crate::config::RetentionDefaults;
use crate::topics::settings::{DEFINITIONS, Definition, InvalidSetting, Kind, TopicSettings};
use crate::topics::{Commitment, TopicError};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

const SOURCE_TOPIC: i8 = 1;
const SOURCE_STATIC_BROKER: i8 = 4;
const SOURCE_DEFAULT: i8 = 5;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// Describes the settings of topics and of this broker.
pub(crate) async fn handle_describe(
    session: &Session,
    _call: &Call,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request
        .resources
        .into_iter()
        .map(|resource| {
            let result = DescribeConfigsResult::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone());
            match describe(session, &resource, request.include_synonyms) {
                Ok(configs) => result.with_error_code(NO_ERROR).with_configs(configs),
                Err((code, message)) => result
                    .with_error_code(code.code())
                    .with_error_message(Some(StrBytes::from_static_str(message))),
            }
        })
        .collect();
    DescribeConfigsResponse::default().with_results(results)
}

/// Lists what has settings: topics and this broker. The first version asks for clients' metrics alone.
pub(crate) async fn handle_list(
    session: &Session,
    call: &Call,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let wanted = |kind| {
        call.version > 0 && (request.resource_types.is_empty() || request.resource_types.contains(&kind))
    };
    let mut resources = Vec::new();
    let resource = |kind: i8, name: StrBytes| {
        ConfigResource::default()
            .with_resource_type(kind)
            .with_resource_name(name)
    };
    if wanted(BROKER) {
        resources.push(resource(BROKER, StrBytes::from_string(NODE_ID.0.to_string())));
    }
    if wanted(TOPIC) {
        let topics = session.node.topics.all();
        resources.extend(topics.iter().map(|topic| resource(TOPIC, topic.name.clone())));
    }
    ListConfigResourcesResponse::default().with_config_resources(resources)
}

type Refused = (ResponseError, &'static str);

fn describe(
    session: &Session,
    resource: &DescribeConfigsResource,
    with_synonyms: bool,
) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
    let wanted = |name: &str| {
        resource
            .configuration_keys
            .as_ref()
            .is_none_or(|keys| keys.iter().any(|key| key.as_str() == name))
    };
    match resource.resource_type {
        TOPIC => {
            let topic = session
                .node
                .topics
                .by_name(&resource.resource_name)
                .ok_or((ResponseError::UnknownTopicOrPartition, "there is no such topic"))?;
            Ok(DEFINITIONS
                .iter()
                .filter(|definition| wanted(definition.name))
                .map(|definition| describe_topic_setting(session, definition, &topic.settings, with_synonyms))
                .collect())
        }
        BROKER => {
            let id = resource.resource_name.as_str();
            if !id.is_empty() && id != NODE_ID.0.to_string() {
                return Err((ResponseError::InvalidRequest, "there is no such broker"));
            }
            Ok(broker_settings(session)
                .into_iter()
                .filter(|(name, _, _)| wanted(name))
                .map(|(name, value, kind)| {
                    DescribeConfigsResourceResult::default()
                        .with_name(StrBytes::from_static_str(name))
                        .with_value(Some(StrBytes::from_string(value)))
                        .with_read_only(true)
                        .with_config_source(SOURCE_STATIC_BROKER)
                        .with_config_type(kind)
                })
                .collect())
        }
        _ => Err((
            ResponseError::InvalidRequest,
            "only topics and the broker have settings",
        )),
    }
}

fn describe_topic_setting(
    session: &Session,
    definition: &Definition,
    settings: &TopicSettings,
    with_synonyms: bool,
) -> DescribeConfigsResourceResult {
    let name = StrBytes::from_static_str(definition.name);
    let value = StrBytes::from_string(described_value(definition, settings, session));
    let source = source_of(definition, settings);
    let default = definition.default_value(session.node.topics.defaults());
    let mut synonyms = Vec::new();
    if with_synonyms {
        if source == SOURCE_TOPIC {
            synonyms.push(
                DescribeConfigsSynonym::default()
                    .with_name(name.clone())
                    .with_value(Some(value.clone()))
                    .with_source(SOURCE_TOPIC),
            );
        }
        // Where the value would come from without the topic's own: the broker's settings.
        if let Some(broker_name) = definition.broker_name() {
            synonyms.push(
                DescribeConfigsSynonym::default()
                    .with_name(StrBytes::from_static_str(broker_name))
                    .with_value(Some(StrBytes::from_string(default)))
                    .with_source(SOURCE_DEFAULT),
            );
        }
    }
    DescribeConfigsResourceResult::default()
        .with_name(name)
        .with_value(Some(value))
        .with_config_source(source)
        .with_synonyms(synonyms)
        .with_config_type(definition.kind_code())
}

/// The value of a topic's setting that is in force.
pub(crate) fn described_value(
    definition: &Definition,
    settings: &TopicSettings,
    session: &Session,
) -> String {
    settings
        .overrides()
        .get(definition.name)
        .cloned()
        .unwrap_or_else(|| definition.default_value(session.node.topics.defaults()))
}

/// Where the value in force comes from, as Kafka numbers it.
pub(crate) fn source_of(definition: &Definition, settings: &TopicSettings) -> i8 {
    if settings.overrides().contains_key(definition.name) {
        SOURCE_TOPIC
    } else {
        SOURCE_DEFAULT
    }
}

/// Name, value and kind of the broker's settings: its own, and what stands for topics that do not say so themselves.
fn broker_settings(session: &Session) -> Vec<(&'static str, String, i8)> {
    let config = &session.node.config;
    let number = Kind::Number { min: -1 }.code();
    let mut settings = vec![
        (
            "auto.create.topics.enable",
            config.auto_create_topics.to_string(),
            Kind::Boolean.code(),
        ),
        ("default.replication.factor", "1".to_owned(), number),
        ("num.partitions", config.default_partitions.to_string(), number),
    ];
    let defaults = session.node.topics.defaults();
    settings.extend(DEFINITIONS.iter().filter_map(|definition| {
        let name = definition.broker_name()?;
        Some((name, definition.default_value(defaults), definition.kind_code()))
    }));
    settings.sort_unstable_by_key(|(name, _, _)| *name);
    settings
}

/// Replaces a topic's settings as a whole.
pub(crate) async fn handle_alter(
    session: &Session,
    _call: &Call,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let settings: BTreeMap<String, String> = resource
            .configs
            .iter()
            .filter_map(|config| Some((config.name.to_string(), config.value.as_ref()?.to_string())))
            .collect();
        let (code, message) = alter(
            session,
            (resource.resource_type, &resource.resource_name),
            commitment(request.validate_only),
            move |overrides| {
                *overrides = settings;
                Ok(())
            },
        )
        .await;
        responses.push(
            AlteredWhole::default()
                .with_error_code(code)
                .with_error_message(message)
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name),
        );
    }
    AlterConfigsResponse::default().with_responses(responses)
}

/// Changes single settings of topics.
pub(crate) async fn handle_alter_incrementally(
    session: &Session,
    _call: &Call,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let changes = resource.configs;
        let defaults = session.node.topics.defaults().clone();
        let (code, message) = alter(
            session,
            (resource.resource_type, &resource.resource_name),
            commitment(request.validate_only),
            move |overrides| {
                changes
                    .iter()
                    .try_for_each(|change| apply(change, overrides, &defaults))
            },
        )
        .await;
        responses.push(
            AlteredPart::default()
                .with_error_code(code)
                .with_error_message(message)
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name),
        );
    }
    IncrementalAlterConfigsResponse::default().with_responses(responses)
}

fn apply(
    change: &AlterableConfig,
    overrides: &mut BTreeMap<String, String>,
    defaults: &RetentionDefaults,
) -> Result<(), InvalidSetting> {
    let name = change.name.to_string();
    let value = change.value.as_ref().map_or("", |value| value.as_str());
    let definition = Definition::of(&name).ok_or_else(|| InvalidSetting::Unknown(name.clone()))?;
    match change.config_operation {
        SET => {
            overrides.insert(name, value.to_owned());
        }
        DELETE => {
            overrides.remove(&name);
        }
        operation @ (APPEND | SUBTRACT) => {
            if !matches!(definition.kind, Kind::Words(_)) {
                return Err(InvalidSetting::NotAList(name));
            }
            let present = match overrides.get(&name) {
                Some(present) => present.clone(),
                None => definition.default_value(defaults),
            };
            let mut words: Vec<&str> = present.split(',').filter(|word| !word.is_empty()).collect();
            for word in value.split(',') {
                words.retain(|present| *present != word);
                if operation == APPEND {
                    words.push(word);
                }
            }
            overrides.insert(name, words.join(","));
        }
        _ => {
            return Err(InvalidSetting::Value {
                name,
                value: value.to_owned(),
            });
        }
    }
    Ok(())
}

async fn alter(
    session: &Session,
    (resource_type, resource_name): (i8, &StrBytes),
    commitment: Commitment,
    change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), InvalidSetting> + Send + 'static,
) -> (i16, Option<StrBytes>) {
    if resource_type != TOPIC {
        let message = StrBytes::from_static_str("only the settings of topics can be changed");
        return (ResponseError::InvalidRequest.code(), Some(message));
    }
    let node = Arc::clone(&session.node);
    let name = resource_name.clone();
    let altered = blocking(move || node.topics.configure(&name, commitment, change)).await;
    super::code_of(&altered, TopicError::code)
}

fn commitment(validate_only: bool) -> Commitment {
    if validate_only {
        Commitment::ValidateOnly
    } else {
        Commitment::Apply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(operation: i8, value: &str, present: &[(&str, &str)]) -> Option<String> {
        let mut overrides = present
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let change = AlterableConfig::default()
            .with_name(StrBytes::from_static_str("cleanup.policy"))
            .with_config_operation(operation)
            .with_value(Some(StrBytes::from_string(value.to_owned())));
        apply(&change, &mut overrides, &RetentionDefaults::default()).unwrap();
        overrides.remove("cleanup.policy")
    }

    #[test]
    fn lists_are_added_to_and_taken_from() {
        let policy = |value: &str| Some(value.to_owned());
        assert_eq!(changed(APPEND, "compact", &[]), policy("delete,compact"));
        let both = [("cleanup.policy", "delete,compact")];
        assert_eq!(changed(SUBTRACT, "delete", &both), policy("compact"));
        assert_eq!(changed(SET, "compact", &both), policy("compact"));
        assert_eq!(changed(DELETE, "", &both), None);
    }
}
