//! DescribeConfigs, ListConfigResources, AlterConfigs, IncrementalAlterConfigs: the settings of topics, of groups, and of
//! the broker, of which those can be altered that stand for topics that do not say so themselves.

mod alteration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use kafka_protocol::protocol::StrBytes;

pub(crate) use self::alteration::{handle_alter, handle_alter_incrementally};
use super::{Call, NO_ERROR, NODE_ID, Session};
use crate::groups::settings;
use crate::topics::settings::{DEFINITIONS, Definition, Kind, TopicSettings};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;

const SOURCE_TOPIC: i8 = 1;
const SOURCE_BROKER: i8 = 2;
const SOURCE_ALL_BROKERS: i8 = 3;
const SOURCE_STATIC_BROKER: i8 = 4;
const SOURCE_DEFAULT: i8 = 5;
const SOURCE_GROUP: i8 = 8;

/// Describes the settings of topics, of groups and of this broker.
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

/// Lists what has settings: topics, groups and this broker. The first version asks for clients' metrics alone.
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
    if wanted(GROUP) {
        let groups = session.node.groups.configured();
        resources.extend(groups.into_iter().map(|group| resource(GROUP, group)));
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
            check_broker(&resource.resource_name)?;
            let mut described = broker_settings(session, &resource.resource_name);
            described.retain(|setting| wanted(&setting.name));
            Ok(described)
        }
        GROUP => {
            let mut described = group_settings(session, &resource.resource_name);
            described.retain(|setting| wanted(&setting.name));
            Ok(described)
        }
        _ => Err((
            ResponseError::InvalidRequest,
            "only topics, groups and the broker have settings",
        )),
    }
}

/// The name of a broker is its id; the empty one stands for all brokers, which is one here.
fn check_broker(id: &StrBytes) -> Result<(), Refused> {
    if id.is_empty() || id.as_str() == NODE_ID.0.to_string() {
        Ok(())
    } else {
        Err((ResponseError::InvalidRequest, "there is no such broker"))
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
    let source = source_of(definition, settings, session);
    let default = definition.default_value(&session.node.topics.defaults());
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
                    .with_source(source_of_default(definition, session)),
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
        .unwrap_or_else(|| definition.default_value(&session.node.topics.defaults()))
}

/// Where the value in force comes from, as Kafka numbers it.
pub(crate) fn source_of(definition: &Definition, settings: &TopicSettings, session: &Session) -> i8 {
    if settings.overrides().contains_key(definition.name) {
        SOURCE_TOPIC
    } else {
        source_of_default(definition, session)
    }
}

fn source_of_default(definition: &Definition, session: &Session) -> i8 {
    if session
        .node
        .topics
        .defaults()
        .altered()
        .contains_key(definition.name)
    {
        SOURCE_ALL_BROKERS
    } else {
        SOURCE_DEFAULT
    }
}

/// The broker's settings: its own, and what stands for topics that do not say so themselves. What was altered is shown to
/// be of this broker or of all, whichever was asked for.
fn broker_settings(session: &Session, id: &StrBytes) -> Vec<DescribeConfigsResourceResult> {
    let config = &session.node.config;
    let setting = |name, value: String, kind| {
        DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(StrBytes::from_string(value)))
            .with_config_source(SOURCE_STATIC_BROKER)
            .with_config_type(kind)
    };
    let number = Kind::Number { min: -1 }.code();
    let partitions = config.default_partitions.to_string();
    let creates = config.auto_create_topics.to_string();
    let mut settings = vec![
        setting("auto.create.topics.enable", creates, Kind::Boolean.code()).with_read_only(true),
        setting("default.replication.factor", "1".to_owned(), number).with_read_only(true),
        setting("num.partitions", partitions, number).with_read_only(true),
    ];
    let defaults = session.node.topics.defaults();
    let altered = if id.is_empty() {
        SOURCE_ALL_BROKERS
    } else {
        SOURCE_BROKER
    };
    settings.extend(DEFINITIONS.iter().filter_map(|definition| {
        let name = definition.broker_name()?;
        let setting = setting(name, definition.default_value(&defaults), definition.kind_code());
        Some(match defaults.altered().contains_key(definition.name) {
            true => setting.with_config_source(altered),
            false => setting,
        })
    }));
    settings.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    settings
}

/// A group's settings; any group has them, whether anybody is in it or not.
fn group_settings(session: &Session, group_id: &StrBytes) -> Vec<DescribeConfigsResourceResult> {
    let set = session.node.groups.settings(group_id);
    let timing = session.node.groups.timing(group_id);
    let setting = |name, value: std::time::Duration| {
        let source = match set.contains_key(name) {
            true => SOURCE_GROUP,
            false => SOURCE_DEFAULT,
        };
        DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(StrBytes::from_string(value.as_millis().to_string())))
            .with_config_source(source)
            // Of 32 bits, in Kafka.
            .with_config_type(3)
    };
    vec![
        setting(settings::HEARTBEAT, timing.heartbeat),
        setting(settings::SESSION, timing.session),
    ]
}
