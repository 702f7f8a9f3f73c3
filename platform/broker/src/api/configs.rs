//! DescribeConfigs, ListConfigResources, AlterConfigs, IncrementalAlterConfigs: the settings of topics, of groups, and of
//! the broker, of which those can be altered that stand for topics that do not say so themselves.

mod alteration;
mod documentation;
mod own;

use std::time::Duration;

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
use crate::config::GroupTimings;
use crate::groups::settings;
use crate::topics::settings::{DEFINITIONS, Defaults, Definition, TopicSettings};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// What clients are to tell of themselves (KIP-714): nothing is, so that nobody has such settings.
const CLIENT_METRICS: i8 = 16;
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
    let besides = Besides {
        synonyms: request.include_synonyms,
        documentation: request.include_documentation,
    };
    let results = request
        .resources
        .into_iter()
        .map(|resource| {
            let result = DescribeConfigsResult::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone());
            match describe(session, &resource) {
                Ok(settings) => {
                    let told = settings.into_iter().map(|setting| setting.told(besides));
                    result.with_error_code(NO_ERROR).with_configs(told.collect())
                }
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

/// What is told of a setting besides its value.
#[derive(Debug, Clone, Copy)]
struct Besides {
    synonyms: bool,
    documentation: bool,
}

/// A setting, and the places where its value is looked for.
#[derive(Debug)]
pub(crate) struct Setting {
    name: &'static str,
    kind: i8,
    read_only: bool,
    /// The places that have a value; that of the first is in force.
    layers: Vec<Layer>,
    /// What is in force where none of them has one.
    otherwise: String,
}

/// A value, and where it comes from, as Kafka numbers it.
#[derive(Debug)]
struct Layer {
    name: &'static str,
    value: String,
    source: i8,
}

impl Setting {
    /// The value that is in force.
    pub(crate) fn value(&self) -> &str {
        self.layers.first().map_or(&self.otherwise, |layer| &layer.value)
    }

    /// Where it comes from, as Kafka numbers it.
    pub(crate) fn source(&self) -> i8 {
        self.layers.first().map_or(SOURCE_DEFAULT, |layer| layer.source)
    }

    fn told(self, besides: Besides) -> DescribeConfigsResourceResult {
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let documentation = documentation::of(self.name).filter(|_| besides.documentation);
        let told = DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(self.name))
            .with_value(Some(text(self.value())))
            .with_config_source(self.source())
            .with_read_only(self.read_only)
            .with_config_type(self.kind)
            .with_documentation(documentation.map(StrBytes::from_static_str));
        if !besides.synonyms {
            return told;
        }
        let synonyms = self.layers.into_iter().map(|layer| {
            DescribeConfigsSynonym::default()
                .with_name(StrBytes::from_static_str(layer.name))
                .with_value(Some(StrBytes::from_string(layer.value)))
                .with_source(layer.source)
        });
        told.with_synonyms(synonyms.collect())
    }
}

fn describe(session: &Session, resource: &DescribeConfigsResource) -> Result<Vec<Setting>, Refused> {
    let mut settings = match resource.resource_type {
        TOPIC => {
            let topic = session
                .node
                .topics
                .by_name(&resource.resource_name)
                .ok_or((ResponseError::UnknownTopicOrPartition, "there is no such topic"))?;
            let defaults = session.node.topics.defaults();
            DEFINITIONS
                .iter()
                .map(|definition| topic_setting(definition, &topic.settings, &defaults))
                .collect()
        }
        BROKER => {
            check_broker(&resource.resource_name)?;
            broker_settings(session, &resource.resource_name)
        }
        GROUP => group_settings(session, &resource.resource_name),
        CLIENT_METRICS => Vec::new(),
        _ => {
            let message = "only topics, groups and the broker have settings";
            return Err((ResponseError::InvalidRequest, message));
        }
    };
    if let Some(wanted) = &resource.configuration_keys {
        settings.retain(|setting| wanted.iter().any(|name| name.as_str() == setting.name));
    }
    Ok(settings)
}

/// The name of a broker is its id; the empty one stands for all brokers, which is one here.
fn check_broker(id: &StrBytes) -> Result<(), Refused> {
    if id.is_empty() || id.as_str() == NODE_ID.0.to_string() {
        Ok(())
    } else {
        Err((ResponseError::InvalidRequest, "there is no such broker"))
    }
}

/// A topic's setting.
pub(crate) fn topic_setting(
    definition: &Definition,
    settings: &TopicSettings,
    defaults: &Defaults,
) -> Setting {
    let set = settings.overrides().get(definition.name).map(|value| Layer {
        name: definition.name,
        value: value.clone(),
        source: SOURCE_TOPIC,
    });
    let of_broker = broker_layers(definition, defaults, SOURCE_ALL_BROKERS);
    Setting {
        name: definition.name,
        kind: definition.kind_code(),
        read_only: false,
        layers: set.into_iter().chain(of_broker).collect(),
        otherwise: definition.default_value(defaults),
    }
}

/// Where the broker's settings have the value of a topic's that does not say so itself: what was altered while it runs,
/// which is told to be of `altered`; what it was started with; and Kafka's default.
fn broker_layers(definition: &Definition, defaults: &Defaults, altered: i8) -> Vec<Layer> {
    let Some(name) = definition.broker_name() else {
        return Vec::new();
    };
    let dynamic = defaults.altered().get(definition.name).map(|value| Layer {
        name,
        value: value.clone(),
        source: altered,
    });
    let rest = fixed_layers(
        name,
        definition.configured_value(defaults),
        Some(definition.usual_value()),
    );
    dynamic.into_iter().chain(rest).collect()
}

/// What the broker was started with, where that is not what Kafka would take, and what Kafka would.
fn fixed_layers(name: &'static str, value: String, usual: Option<String>) -> Vec<Layer> {
    let layer = |value, source| Layer { name, value, source };
    let is_usual = usual.as_ref() == Some(&value);
    let configured = (!is_usual).then(|| layer(value, SOURCE_STATIC_BROKER));
    let usual = usual.map(|usual| layer(usual, SOURCE_DEFAULT));
    configured.into_iter().chain(usual).collect()
}

/// The broker's settings: its own, and what stands for topics that do not say so themselves. What was altered is shown to
/// be of this broker or of all, whichever was asked for.
fn broker_settings(session: &Session, id: &StrBytes) -> Vec<Setting> {
    let altered = if id.is_empty() {
        SOURCE_ALL_BROKERS
    } else {
        SOURCE_BROKER
    };
    let defaults = session.node.topics.defaults();
    let of_topics = DEFINITIONS.iter().filter_map(|definition| {
        Some(Setting {
            name: definition.broker_name()?,
            kind: definition.kind_code(),
            read_only: false,
            layers: broker_layers(definition, &defaults, altered),
            otherwise: String::new(),
        })
    });
    let own = own::SETTINGS.iter().map(|own| {
        let value = (own.value)(&session.node.config);
        Setting {
            name: own.name,
            kind: own.kind,
            read_only: true,
            layers: fixed_layers(own.name, value, own.usual.map(str::to_owned)),
            otherwise: String::new(),
        }
    });
    let mut settings: Vec<Setting> = of_topics.chain(own).collect();
    settings.sort_unstable_by_key(|setting| setting.name);
    settings
}

/// A group's settings; any group has them, whether anybody is in it or not.
fn group_settings(session: &Session, group_id: &StrBytes) -> Vec<Setting> {
    let set = session.node.groups.settings(group_id);
    let (ours, usual) = (&session.node.config.groups, GroupTimings::default());
    let setting = |name: &'static str, broker_name, of: fn(&GroupTimings) -> Duration| {
        let set = set.get(name).map(|value| Layer {
            name,
            value: value.clone(),
            source: SOURCE_GROUP,
        });
        let ms = |timings: &GroupTimings| of(timings).as_millis().to_string();
        let of_broker = fixed_layers(broker_name, ms(ours), Some(ms(&usual)));
        Setting {
            name,
            kind: own::INT,
            read_only: false,
            layers: set.into_iter().chain(of_broker).collect(),
            otherwise: String::new(),
        }
    };
    vec![
        setting(settings::HEARTBEAT, own::GROUP_HEARTBEAT, |timings| {
            timings.consumer_heartbeat_interval
        }),
        setting(settings::SESSION, own::GROUP_SESSION, |timings| {
            timings.consumer_session_timeout
        }),
    ]
}
