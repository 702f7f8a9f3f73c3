//! Changes to settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as AlteredWhole;
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as AlteredPart;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::super::{Call, NO_ERROR, Session, blocking, code_of};
use super::{BROKER, CLIENT_METRICS, GROUP, TOPIC, check_broker};
use crate::groups::GroupSettingError;
use crate::groups::settings::{GroupSettings, InvalidGroupSetting};
use crate::told::beginning;
use crate::topics::settings::{Defaults, Definition, InvalidSetting, Kind};
use crate::topics::{Commitment, TopicError};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// So many settings are named in a line of the log, where more are altered at once.
const NAMES_TOLD: usize = 20;

/// A longer id is no name of a group.
const MAX_GROUP_ID_LEN: usize = 1024;

/// Replaces settings as a whole.
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
            Change::Whole(settings),
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

/// Changes single settings.
pub(crate) async fn handle_alter_incrementally(
    session: &Session,
    _call: &Call,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let (code, message) = alter(
            session,
            (resource.resource_type, &resource.resource_name),
            commitment(request.validate_only),
            Change::Parts(resource.configs),
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

/// What is to be done to the settings of one resource.
enum Change {
    Whole(BTreeMap<String, String>),
    Parts(Vec<AlterableConfig>),
}

impl Change {
    /// The names of the settings that it is about, as many of them as a line of the log tells.
    fn settings(&self) -> String {
        let names: Vec<&str> = match self {
            Self::Whole(settings) => settings.keys().map(String::as_str).take(NAMES_TOLD).collect(),
            Self::Parts(changes) => changes
                .iter()
                .map(|change| &*change.name)
                .take(NAMES_TOLD)
                .collect(),
        };
        names.join(",")
    }

    /// Whether nothing is set by it.
    fn only_takes_away(&self) -> bool {
        match self {
            Self::Whole(settings) => settings.is_empty(),
            Self::Parts(changes) => changes.iter().all(|change| change.config_operation == DELETE),
        }
    }

    /// The same, by the topics' names for what the broker's settings call otherwise.
    fn by_topics_names(self) -> Result<Self, InvalidSetting> {
        let name = |name: &str| {
            let definition = Definition::of_broker(name);
            definition.map_or_else(
                || Err(InvalidSetting::Fixed(name.to_owned())),
                |definition| Ok(definition.name),
            )
        };
        match self {
            Self::Whole(settings) => settings
                .into_iter()
                .map(|(broker_name, value)| Ok((name(&broker_name)?.to_owned(), value)))
                .collect::<Result<_, _>>()
                .map(Self::Whole),
            Self::Parts(changes) => changes
                .into_iter()
                // What cannot be set is not set: Kafka's tools take throttles back that they never asked for.
                .filter(|change| {
                    change.config_operation != DELETE || Definition::of_broker(&change.name).is_some()
                })
                .map(|change| {
                    let known = name(&change.name)?;
                    Ok(change.with_name(StrBytes::from_static_str(known)))
                })
                .collect::<Result<_, _>>()
                .map(Self::Parts),
        }
    }

    /// Does it to what topics' settings are, or what stands for them.
    fn apply(
        self,
        settings: &mut BTreeMap<String, String>,
        defaults: &Defaults,
    ) -> Result<(), InvalidSetting> {
        match self {
            Self::Whole(whole) => *settings = whole,
            Self::Parts(changes) => {
                for change in &changes {
                    apply(change, settings, defaults)?;
                }
            }
        }
        Ok(())
    }

    /// Does it to the settings of a group, none of which is a list.
    fn apply_to_group(self, settings: &mut GroupSettings) -> Result<(), InvalidGroupSetting> {
        match self {
            Self::Whole(whole) => *settings = whole,
            Self::Parts(changes) => {
                for change in changes {
                    let name = change.name.to_string();
                    match (change.config_operation, change.value) {
                        (SET, Some(value)) => settings.insert(name, value.to_string()),
                        (DELETE, _) => settings.remove(&name),
                        _ => return Err(InvalidGroupSetting::NotAList(name)),
                    };
                }
            }
        }
        Ok(())
    }
}

fn apply(
    change: &AlterableConfig,
    overrides: &mut BTreeMap<String, String>,
    defaults: &Defaults,
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
    resource: (i8, &StrBytes),
    commitment: Commitment,
    change: Change,
) -> (i16, Option<StrBytes>) {
    let settings = change.settings();
    let (code, message) = apply_to(session, resource, commitment, change).await;
    if code == NO_ERROR && commitment == Commitment::Apply {
        let (kind, name) = resource;
        let of = match kind {
            TOPIC => "topic",
            GROUP => "group",
            _ => "broker",
        };
        tell!(session, of, name = ?beginning(name), settings = ?beginning(&settings), "settings were altered");
    }
    (code, message)
}

async fn apply_to(
    session: &Session,
    (resource_type, resource_name): (i8, &StrBytes),
    commitment: Commitment,
    change: Change,
) -> (i16, Option<StrBytes>) {
    let node = Arc::clone(&session.node);
    let name = StrBytes::from_string(resource_name.to_string());
    match resource_type {
        TOPIC => {
            let altered = blocking(move || {
                let defaults = node.topics.defaults();
                let edit = |overrides: &mut _| change.apply(overrides, &defaults);
                node.topics.configure(&name, commitment, edit)
            });
            code_of(&altered.await, TopicError::code)
        }
        BROKER => {
            if let Err((code, message)) = check_broker(&name) {
                return (code.code(), Some(StrBytes::from_static_str(message)));
            }
            let altered = blocking(move || {
                let change = change.by_topics_names()?;
                let defaults = node.topics.defaults();
                let edit = |altered: &mut _| change.apply(altered, &defaults);
                node.topics.configure_defaults(commitment, edit)
            });
            code_of(&altered.await, TopicError::code)
        }
        GROUP if name.is_empty() || name.len() > MAX_GROUP_ID_LEN => {
            let message = StrBytes::from_static_str("the group id is empty or too long");
            (ResponseError::InvalidRequest.code(), Some(message))
        }
        GROUP => {
            let altered = blocking(move || {
                let edit = |set: &mut _| change.apply_to_group(set);
                node.groups.configure(&name, commitment, edit)
            });
            code_of(&altered.await, GroupSettingError::code)
        }
        // What is not there can be taken away.
        CLIENT_METRICS if change.only_takes_away() => (NO_ERROR, None),
        CLIENT_METRICS => {
            let message = StrBytes::from_static_str("the metrics of clients are not collected here");
            (ResponseError::InvalidRequest.code(), Some(message))
        }
        _ => {
            let message = "only the settings of topics, groups and the broker can be changed";
            (
                ResponseError::InvalidRequest.code(),
                Some(StrBytes::from_static_str(message)),
            )
        }
    }
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
        apply(&change, &mut overrides, &Defaults::default()).unwrap();
        overrides.remove("cleanup.policy")
    }

    #[test]
    fn what_cannot_be_set_for_the_broker_can_be_taken_back() {
        let change = |operation| {
            let throttle = AlterableConfig::default()
                .with_name(StrBytes::from_static_str("leader.replication.throttled.rate"))
                .with_config_operation(operation)
                .with_value(Some(StrBytes::from_static_str("1")));
            let known = throttle
                .clone()
                .with_name(StrBytes::from_static_str("log.retention.ms"));
            match Change::Parts(vec![throttle, known]).by_topics_names() {
                Ok(Change::Parts(changes)) => Ok(changes.len()),
                Ok(Change::Whole(_)) => Err("these are parts".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        };
        assert_eq!(change(DELETE), Ok(1));
        let refused = change(SET).unwrap_err();
        assert!(refused.contains("leader.replication.throttled.rate"), "{refused}");
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
