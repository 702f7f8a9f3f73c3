//! The properties a client may set, and the ones `LIST PROPERTIES` shows.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::entity::Property;
use crate::config::{Config, OffsetReset};

/// Whether a crash repeats records.
const GUARANTEE: &str = "processing.guarantee";

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
    "ksql.cast.strings.preserve.nulls",
    "ksql.command.topic.replicas",
    "ksql.extension.dir",
    "ksql.fail.on.deserialization.error",
    "ksql.fail.on.production.error",
    "ksql.functions.collect_list.limit",
    "ksql.functions.collect_set.limit",
    "ksql.idle.connection.timeout.seconds",
    "ksql.insert.into.values.enabled",
    "ksql.internal.topic.replicas",
    "ksql.lambdas.enabled",
    "ksql.output.topic.name.prefix",
    "ksql.persistence.default.format.key",
    "ksql.persistence.default.format.value",
    "ksql.persistence.wrap.single.values",
    "ksql.persistent.prefix",
    "ksql.query.error.max.queue.size",
    "ksql.query.pull.consistency.token.enabled",
    "ksql.query.pull.enable.standby.reads",
    "ksql.query.pull.max.allowed.offset.lag",
    "ksql.query.pull.range.scan.enabled",
    "ksql.query.pull.table.scan.enabled",
    "ksql.query.push.v2.enabled",
    "ksql.query.retry.backoff.initial.ms",
    "ksql.query.retry.backoff.max.ms",
    "ksql.schema.registry.url",
    "ksql.service.id",
    "ksql.sink.window.change.log.additional.retention",
    "ksql.suppress.enabled",
    "ksql.timestamp.throw.on.invalid",
    "ksql.transient.prefix",
    "ksql.udfs.enabled",
    "ksql.variable.substitution.enable",
    "ksql.websocket.connection.max.timeout.ms",
];

/// Properties that are the server's own.
const OF_THE_SERVER: &[&str] = &[
    "application.id",
    "bootstrap.servers",
    "ksql.extension.dir",
    "ksql.pull.queries.enable",
    "ksql.query.persistent.active.limit",
    "ksql.service.id",
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
    if KNOWN.contains(&plain(name)) {
        Ok(())
    } else {
        Err(format!(
            "Not recognizable as ksql, streams, consumer, or producer property: '{name}'"
        ))
    }
}

/// Whether a property may have that value; the error is the message for the client.
pub(crate) fn check(name: &str, value: &Json) -> Result<(), String> {
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
    Ok(())
}

/// Records are processed at least once: to promise more, the runtime would need transactions.
fn check_guarantee(name: &str, value: &Json) -> Result<(), String> {
    let given = text(value);
    match given.as_str() {
        "at_least_once" => Ok(()),
        "exactly_once" | "exactly_once_beta" | "exactly_once_v2" => Err(format!(
            "'{name}' cannot be '{given}': this server processes records at least once; a crash may repeat some."
        )),
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

/// What `LIST PROPERTIES` shows: the server's own, and those of the request in place of them.
pub(crate) fn list(config: &Config, overridden: &BTreeMap<String, Json>) -> Vec<Property> {
    let default_reset = match config.offset_reset {
        OffsetReset::Earliest => "earliest",
        OffsetReset::Latest => "latest",
    };
    let own = [
        ("ksql.service.id", "KSQL", config.service_id.as_str()),
        ("ksql.persistence.default.format.key", "KSQL", "KAFKA"),
        ("ksql.variable.substitution.enable", "KSQL", "true"),
        ("ksql.insert.into.values.enabled", "KSQL", "true"),
        ("ksql.transient.prefix", "KSQL", "transient_"),
        ("ksql.persistent.prefix", "KSQL", "query_"),
        (
            "ksql.streams.bootstrap.servers",
            "KAFKA_STREAMS",
            config.bootstrap_servers.as_str(),
        ),
        ("ksql.streams.auto.offset.reset", "KAFKA_STREAMS", default_reset),
        (
            "ksql.streams.processing.guarantee",
            "KAFKA_STREAMS",
            "at_least_once",
        ),
    ];
    let mut listed: Vec<Property> = own
        .into_iter()
        .filter(|(name, ..)| !overridden.keys().any(|other| plain(other) == plain(name)))
        .map(|(name, scope, value)| property(name, scope, value.to_owned()))
        .collect();
    listed.extend(overridden.iter().map(|(name, value)| {
        let scope = if name.starts_with("ksql.") && !name.starts_with("ksql.streams.") {
            "KSQL"
        } else {
            "KAFKA_STREAMS"
        };
        property(name, scope, text(value))
    }));
    listed
}

fn property(name: &str, scope: &'static str, value: String) -> Property {
    Property {
        name: name.to_owned(),
        scope,
        value: Some(value),
        editable: plain(name) == OFFSET_RESET,
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
    fn a_guarantee_that_is_not_kept_is_refused_by_name() {
        for name in ["processing.guarantee", "ksql.streams.processing.guarantee"] {
            assert_eq!(check(name, &json!("at_least_once")), Ok(()));
            let refusal = check(name, &json!("exactly_once_v2")).unwrap_err();
            assert!(
                refusal.contains(name) && refusal.contains("exactly_once_v2"),
                "{refusal}"
            );
            let refusal = check(name, &json!("foo")).unwrap_err();
            assert!(
                refusal.starts_with("Failed to coerce type of value 'foo'"),
                "{refusal}"
            );
        }
    }
}
