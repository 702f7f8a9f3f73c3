//! The properties a client may set, and the ones `LIST PROPERTIES` shows.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::bounds::MOST_QUERIES;
use super::entity::Property;
use super::property_defaults::DEFAULTS;
use crate::config::{CONNECT_URL, Config, OffsetReset};
use crate::plan::Settings;

/// Whether a crash repeats records.
const GUARANTEE: &str = "processing.guarantee";

/// Whether a part of an expression that fails is `NULL`, or the whole column.
const NESTED_ERROR: &str = "ksql.nested.error.set.null";

/// Where a query without a position begins.
const OFFSET_RESET: &str = "auto.offset.reset";

/// Names of ksqlDB, Kafka Streams, consumer and producer properties. Those that this server has no use for are
/// accepted all the same: scripts written for ksqlDB set them.
const KNOWN: &[&str] = &[
    "acks",
    "application.id",
    "application.server",
    OFFSET_RESET,
    "batch.size",
    "bootstrap.servers",
    "buffer.memory",
    "buffered.records.per.partition",
    "cache.max.bytes.buffering",
    "client.id",
    "commit.interval.ms",
    "compression.type",
    "default.deserialization.exception.handler",
    "default.production.exception.handler",
    "default.timestamp.extractor",
    "delivery.timeout.ms",
    "enable.idempotence",
    "fetch.max.bytes",
    "fetch.max.wait.ms",
    "fetch.min.bytes",
    "heartbeat.interval.ms",
    "isolation.level",
    "linger.ms",
    "max.in.flight.requests.per.connection",
    "max.poll.interval.ms",
    "max.poll.records",
    "max.request.size",
    "max.task.idle.ms",
    "metadata.max.age.ms",
    "num.standby.replicas",
    "num.stream.threads",
    "poll.ms",
    GUARANTEE,
    "receive.buffer.bytes",
    "replication.factor",
    "request.timeout.ms",
    "retries",
    "retry.backoff.ms",
    "rocksdb.config.setter",
    "security.protocol",
    "send.buffer.bytes",
    "session.timeout.ms",
    "state.cleanup.delay.ms",
    "state.dir",
    "statestore.cache.max.bytes",
    "task.timeout.ms",
    "topology.optimization",
    "window.size.ms",
    "ksql.command.topic.replicas",
    "ksql.fail.on.deserialization.error",
    "ksql.fail.on.production.error",
    "ksql.functions.collect_list.limit",
    "ksql.functions.collect_set.limit",
    "ksql.idle.connection.timeout.seconds",
    "ksql.query.pull.consistency.token.enabled",
    "ksql.service.id",
    "ksql.suppress.enabled",
];

/// Properties that are the server's own.
const OF_THE_SERVER: &[&str] = &[
    "application.id",
    "bootstrap.servers",
    "ksql.extension.dir",
    "ksql.pull.queries.enable",
    "ksql.query.persistent.active.limit",
    "ksql.service.id",
    "ksql.suppress.enabled",
];

/// Prefixes under which a Kafka property may be named.
const PREFIXES: &[&str] = &[
    "ksql.streams.",
    "consumer.",
    "producer.",
    "main.consumer.",
    "admin.",
];

/// Whether clients may override a property. Unknown ones are somebody else's; the error is the message for the client.
pub(crate) fn check_override(name: &str) -> Result<(), String> {
    if !OF_THE_SERVER.contains(&name) {
        return Ok(());
    }
    Err(format!(
        "One or more properties overrides set locally are prohibited by the KSQL server (use UNSET to reset their \
         default value): [{name}]"
    ))
}

/// Whether a property may be set; the error is the message for the client.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let is_listed = DEFAULTS.iter().any(|default| plain(default.name) == plain(name));
    if is_listed || KNOWN.contains(&plain(name)) {
        Ok(())
    } else {
        Err(format!(
            "Not recognizable as ksql, streams, consumer, or producer property: '{name}'"
        ))
    }
}

/// Whether a property may have that value; the error is the message for the client.
pub(crate) fn check(name: &str, value: &Json) -> Result<(), String> {
    if name == "ksql.pull.queries.enable" {
        return Err(format!(
            "Failed to coerce type of value '{}' for key '{name}'\nCaused by: Cannot override property '{name}'",
            text(value)
        ));
    }
    check_name(name)?;
    if plain(name) == OFFSET_RESET && parse_offset_reset(value).is_none() {
        return Err(format!(
            "Invalid value {} for configuration {OFFSET_RESET}: String must be one of: latest, earliest, none",
            text(value)
        ));
    }
    if plain(name) == GUARANTEE {
        check_guarantee(name, value)?;
    }
    if plain(name) == NESTED_ERROR && !text(value).eq_ignore_ascii_case("true") {
        return Err(format!(
            "`{NESTED_ERROR}` is always `true` here: what fails within an expression is NULL, not the whole column"
        ));
    }
    Ok(())
}

fn check_guarantee(name: &str, value: &Json) -> Result<(), String> {
    let given = text(value);
    match given.to_ascii_lowercase().as_str() {
        "at_least_once" | "exactly_once" | "exactly_once_beta" | "exactly_once_v2" => Ok(()),
        _ => Err(format!(
            "Failed to coerce type of value '{given}' for key '{name}'\nCaused by: Invalid value {given} for \
             configuration {GUARANTEE}: String must be one of: at_least_once, exactly_once, exactly_once_beta, \
             exactly_once_v2"
        )),
    }
}

/// Where queries begin under these properties.
pub(crate) fn offset_reset(properties: &BTreeMap<String, Json>, default: OffsetReset) -> OffsetReset {
    properties
        .iter()
        .filter(|(name, _)| plain(name) == OFFSET_RESET)
        .find_map(|(_, value)| parse_offset_reset(value))
        .unwrap_or(default)
}

/// Whether a session has something switched on.
pub(crate) fn is_enabled(properties: &BTreeMap<String, Json>, name: &str, default: bool) -> bool {
    setting(properties, name).map_or(default, |value| !value.eq_ignore_ascii_case("false"))
}

/// What a plan depends on beside its statement.
pub(crate) fn of_plan(properties: &BTreeMap<String, Json>) -> Settings {
    // Unset or negative: no limit.
    let limit = |name: &str| setting(properties, name).and_then(|text| text.trim().parse().ok());
    Settings {
        collect_list_limit: limit("ksql.functions.collect_list.limit"),
        collect_set_limit: limit("ksql.functions.collect_set.limit"),
        suppresses: is_enabled(properties, "ksql.suppress.enabled", true),
    }
}

/// Whether a single value is wrapped in an object where nothing else is said.
pub(crate) fn wrap_single_values(properties: &BTreeMap<String, Json>) -> bool {
    setting(properties, "ksql.persistence.wrap.single.values")
        .is_none_or(|value| !value.eq_ignore_ascii_case("false"))
}

/// The format of keys or values (`key`, `value`) where a declaration says nothing.
pub(crate) fn default_format(properties: &BTreeMap<String, Json>, side: &str) -> Option<String> {
    let format = setting(properties, &format!("ksql.persistence.default.format.{side}"))?;
    Some(format.to_uppercase())
}

/// What the names of new topics begin with.
pub(crate) fn topic_prefix(properties: &BTreeMap<String, Json>) -> String {
    setting(properties, "ksql.output.topic.name.prefix").unwrap_or_default()
}

fn setting(properties: &BTreeMap<String, Json>, name: &str) -> Option<String> {
    properties.get(name).map(text).filter(|text| !text.is_empty())
}

/// Whether a pull query may be about a stream.
pub(crate) fn pulls_streams(properties: &BTreeMap<String, Json>) -> bool {
    setting(properties, "ksql.query.pull.stream.enabled")
        .is_none_or(|value| !value.eq_ignore_ascii_case("false"))
}

/// What `LIST PROPERTIES` shows: the server's own and every default, and those of the request in place of them.
pub(crate) fn list(config: &Config, host: &str, overridden: &BTreeMap<String, Json>) -> Vec<Property> {
    let limit = MOST_QUERIES.to_string();
    let address = format!("http://{host}");
    let registry = config.schema_registry.as_ref();
    let registry = registry.map_or_else(String::new, |registry| registry.urls.join(","));
    let own = [
        ("ksql.service.id", config.service_id.as_str()),
        ("ksql.query.persistent.active.limit", limit.as_str()),
        (
            "ksql.streams.bootstrap.servers",
            config.bootstrap_servers.as_str(),
        ),
        ("ksql.streams.application.server", address.as_str()),
        ("ksql.connect.url", config.connect_url.as_str()),
        ("ksql.schema.registry.url", registry.as_str()),
    ];
    let own = own.map(|(name, value)| property(name, Some(value.to_owned())));
    let defaults = DEFAULTS.iter().map(|default| Property {
        editable: default.is_editable,
        level: if default.is_of_query { "QUERY" } else { "SERVER" },
        ..property(default.name, default.value.map(str::to_owned))
    });
    let is_overridden = |name: &str| overridden.keys().any(|other| plain(other) == plain(name));
    let set = overridden.iter().map(|(name, value)| Property {
        editable: true,
        level: "QUERY",
        ..property(name, Some(text(value)))
    });
    let kept = own.into_iter().chain(defaults);
    let kept = kept.filter(|property| !is_overridden(&property.name));
    kept.chain(set).collect()
}

/// The names of the properties that nothing sets.
pub(crate) fn defaults(config: &Config, overridden: &BTreeMap<String, Json>) -> Vec<String> {
    let mut of_server = vec!["ksql.service.id", "ksql.query.persistent.active.limit"];
    if config.connect_url == CONNECT_URL {
        of_server.push("ksql.connect.url");
    }
    if config.schema_registry.is_none() {
        of_server.push("ksql.schema.registry.url");
    }
    let defaults = DEFAULTS.iter().filter(|default| !default.is_given);
    let names = of_server.into_iter().chain(defaults.map(|default| default.name));
    let kept = names.filter(|name| !overridden.keys().any(|other| plain(other) == plain(name)));
    kept.map(str::to_owned).collect()
}

fn property(name: &str, value: Option<String>) -> Property {
    Property {
        name: name.to_owned(),
        scope: "KSQL",
        value,
        editable: false,
        level: "SERVER",
    }
}

/// A property's name without the prefix that says whose it is.
fn plain(name: &str) -> &str {
    let mut plain = name;
    for prefix in PREFIXES {
        plain = plain.strip_prefix(prefix).unwrap_or(plain);
    }
    plain
}

fn parse_offset_reset(value: &Json) -> Option<OffsetReset> {
    match value.as_str()?.to_ascii_lowercase().as_str() {
        "earliest" => Some(OffsetReset::Earliest),
        "latest" | "none" => Some(OffsetReset::Latest),
        _ => None,
    }
}

fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_offset_reset_is_found_under_each_of_its_names() {
        for name in [
            "auto.offset.reset",
            "ksql.streams.auto.offset.reset",
            "consumer.auto.offset.reset",
        ] {
            let properties = BTreeMap::from([(name.to_owned(), json!("earliest"))]);
            assert_eq!(check(name, &properties[name]), Ok(()));
            assert_eq!(
                offset_reset(&properties, OffsetReset::Latest),
                OffsetReset::Earliest
            );
        }
        assert_eq!(
            offset_reset(&BTreeMap::new(), OffsetReset::Latest),
            OffsetReset::Latest
        );
    }

    #[test]
    fn unknown_names_and_values_are_refused() {
        assert_eq!(
            check_name("nonsense"),
            Err("Not recognizable as ksql, streams, consumer, or producer property: 'nonsense'".to_owned())
        );
        assert!(check("auto.offset.reset", &json!("yesterday")).is_err());
        assert!(check("auto.offset.reset", &json!(3)).is_err());
    }

    #[test]
    fn what_has_no_other_way_here_is_not_taken_in_silence() {
        assert_eq!(check(NESTED_ERROR, &json!("true")), Ok(()));
        for given in [json!("false"), json!(false)] {
            let refusal = check(NESTED_ERROR, &given).unwrap_err();
            assert!(
                refusal.starts_with("`ksql.nested.error.set.null` is always `true` here"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn a_guarantee_is_one_of_those_there_are() {
        for name in ["processing.guarantee", "ksql.streams.processing.guarantee"] {
            assert_eq!(check(name, &json!("at_least_once")), Ok(()));
            assert_eq!(check(name, &json!("exactly_once_v2")), Ok(()));
            let refusal = check(name, &json!("foo")).unwrap_err();
            assert!(
                refusal.starts_with("Failed to coerce type of value 'foo'"),
                "{refusal}"
            );
        }
    }
}
