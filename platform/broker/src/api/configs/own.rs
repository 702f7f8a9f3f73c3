//! Settings of the broker itself, by Kafka's own names: what it was started with, and what it is bound by. They are read
//! at the start, and none of them can be altered while it runs.
//!
//! Of Kafka's those are here that are true of this broker; how Kafka divides its work among threads, and how its brokers
//! find each other, has nothing here that it could be about.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::{NODE_ID, fetch};
use crate::config::{Config, Listener};
use crate::groups::consumer::MAX_MEMBERS;
use crate::groups::settings::MIN_HEARTBEAT;
use crate::transactions;

/// DescribeConfigs' numbers for kinds of values.
const BOOLEAN: i8 = 1;
const STRING: i8 = 2;
pub(super) const INT: i8 = 3;
const LONG: i8 = 5;
const LIST: i8 = 7;

/// One of them.
pub(super) struct Own {
    pub(super) name: &'static str,
    pub(super) kind: i8,
    /// Kafka's default, where it has one.
    pub(super) usual: Option<&'static str>,
    pub(super) value: fn(&Config) -> String,
}

const fn own(name: &'static str, kind: i8, usual: &'static str, value: fn(&Config) -> String) -> Own {
    Own {
        name,
        kind,
        usual: Some(usual),
        value,
    }
}

/// A setting that Kafka has no default for.
const fn given(name: &'static str, kind: i8, value: fn(&Config) -> String) -> Own {
    Own {
        name,
        kind,
        usual: None,
        value,
    }
}

/// All of them.
pub(super) const SETTINGS: &[Own] = &[
    given("advertised.listeners", LIST, |config| {
        addresses(config, |listener| {
            let bound = || listener.bind.into();
            listener.advertised.clone().unwrap_or_else(bound).to_string()
        })
    }),
    own("auto.create.topics.enable", BOOLEAN, "true", |config| {
        config.auto_create_topics.to_string()
    }),
    own("broker.id", INT, "-1", |_| NODE_ID.0.to_string()),
    own("connections.max.idle.ms", LONG, "600000", |config| {
        ms(config.limits.idle)
    }),
    own("default.replication.factor", INT, "1", |_| "1".to_owned()),
    own("delete.topic.enable", BOOLEAN, "true", |_| "true".to_owned()),
    own("fetch.max.bytes", INT, "57671680", |config| {
        fetch::response_limit(config).to_string()
    }),
    own("group.consumer.assignors", LIST, "uniform,range", |_| {
        "uniform,range".to_owned()
    }),
    own("group.consumer.heartbeat.interval.ms", INT, "5000", |config| {
        ms(config.groups.consumer_heartbeat_interval)
    }),
    own(
        "group.consumer.max.heartbeat.interval.ms",
        INT,
        "15000",
        |config| ms(config.groups.max_session_timeout),
    ),
    own("group.consumer.max.session.timeout.ms", INT, "60000", |config| {
        ms(config.groups.max_session_timeout)
    }),
    own("group.consumer.max.size", INT, "2147483647", |_| {
        MAX_MEMBERS.to_string()
    }),
    own(
        "group.consumer.migration.policy",
        STRING,
        "bidirectional",
        |config| config.groups.migration.name().to_owned(),
    ),
    own("group.consumer.min.heartbeat.interval.ms", INT, "5000", |_| {
        ms(MIN_HEARTBEAT)
    }),
    own("group.consumer.min.session.timeout.ms", INT, "45000", |config| {
        ms(config.groups.min_session_timeout)
    }),
    own("group.consumer.session.timeout.ms", INT, "45000", |config| {
        ms(config.groups.consumer_session_timeout)
    }),
    own("group.initial.rebalance.delay.ms", INT, "3000", |config| {
        ms(config.groups.initial_rebalance_delay)
    }),
    own("group.max.session.timeout.ms", INT, "1800000", |config| {
        ms(config.groups.max_session_timeout)
    }),
    own("group.min.session.timeout.ms", INT, "6000", |config| {
        ms(config.groups.min_session_timeout)
    }),
    own("listeners", LIST, "PLAINTEXT://:9092", |config| {
        addresses(config, |listener| listener.bind.to_string())
    }),
    own("log.cleaner.backoff.ms", LONG, "15000", |config| {
        ms(config.retention.compaction_interval)
    }),
    own("log.cleaner.enable", BOOLEAN, "true", |_| "true".to_owned()),
    own("log.dir", LIST, "/tmp/kafka-logs", folder),
    given("log.dirs", LIST, folder),
    own("log.retention.check.interval.ms", LONG, "300000", |config| {
        ms(config.retention.check_interval)
    }),
    own("max.connections", INT, "2147483647", |config| {
        config.limits.connections.to_string()
    }),
    given("node.id", INT, |_| NODE_ID.0.to_string()),
    own("num.partitions", INT, "1", |config| {
        config.default_partitions.to_string()
    }),
    own("offsets.retention.minutes", INT, "10080", |config| {
        (config.groups.offsets_retention.as_secs() / 60).to_string()
    }),
    own("sasl.enabled.mechanisms", LIST, "GSSAPI", |config| {
        let all = config.listeners.iter().flat_map(|listener| &listener.mechanisms);
        let names: BTreeSet<_> = all.map(|mechanism| mechanism.name()).collect();
        names.into_iter().collect::<Vec<_>>().join(",")
    }),
    own("socket.request.max.bytes", INT, "104857600", |config| {
        config.max_request_bytes.to_string()
    }),
    own("transaction.max.timeout.ms", INT, "900000", |_| {
        ms(transactions::MAX_TIMEOUT)
    }),
    own("transactional.id.expiration.ms", INT, "604800000", |_| {
        ms(transactions::EXPIRY)
    }),
];

fn ms(duration: Duration) -> String {
    duration.as_millis().to_string()
}

fn folder(config: &Config) -> String {
    config.data_dir.display().to_string()
}

/// `NAME://HOST:PORT` of every listener.
fn addresses(config: &Config, address: impl Fn(&Listener) -> String) -> String {
    let listeners = config.listeners.iter();
    let addresses: Vec<_> = listeners
        .map(|listener| format!("{}://{}", listener.name.to_ascii_uppercase(), address(listener)))
        .collect();
    addresses.join(",")
}
