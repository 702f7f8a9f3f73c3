//! Every setting a topic may have, as a table.

use super::{Default, Definition, Kind, Only};
use crate::config::RetentionDefaults;

const fn fixed(name: &'static str, kind: Kind, value: &'static str) -> Definition {
    Definition {
        name,
        kind,
        default: Default::Fixed(value),
        only: None,
    }
}

/// A setting whose other values are refused by name, because they would promise what does not happen here.
const fn only(
    name: &'static str,
    kind: Kind,
    value: &'static str,
    values: &'static [&'static str],
    reason: &'static str,
) -> Definition {
    Definition {
        only: Some(Only { values, reason }),
        ..fixed(name, kind, value)
    }
}

const fn configured(name: &'static str, kind: Kind, value: fn(&RetentionDefaults) -> i64) -> Definition {
    Definition {
        name,
        kind,
        default: Default::Configured(value),
        only: None,
    }
}

const NUMBER: Kind = Kind::Number { min: 0 };
const NUMBER_OR_NONE: Kind = Kind::Number { min: -1 };

const ONE_REPLICA: &str = "there is one broker and one replica of everything";
const NO_TIERS: &str = "there is no tiered storage here";

/// Every setting a topic may have, by name.
pub(crate) const DEFINITIONS: &[Definition] = &[
    fixed("cleanup.policy", Kind::Words(&["delete", "compact"]), "delete"),
    fixed("compression.gzip.level", Kind::Between(-1, 9), "-1"),
    fixed("compression.lz4.level", Kind::Between(1, 17), "9"),
    fixed(
        "compression.type",
        Kind::Word(&["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"]),
        "producer",
    ),
    fixed("compression.zstd.level", Kind::Between(-131_072, 22), "3"),
    fixed("delete.retention.ms", NUMBER, "86400000"),
    only(
        "errors.deadletterqueue.group.enable",
        Kind::Boolean,
        "false",
        &["false"],
        "there are no share groups here",
    ),
    fixed("file.delete.delay.ms", NUMBER, "60000"),
    fixed("flush.messages", Kind::Number { min: 1 }, "9223372036854775807"),
    fixed("flush.ms", NUMBER, "9223372036854775807"),
    fixed("follower.replication.throttled.replicas", Kind::List, ""),
    fixed("index.interval.bytes", NUMBER, "4096"),
    fixed("leader.replication.throttled.replicas", Kind::List, ""),
    fixed("local.retention.bytes", Kind::Number { min: -2 }, "-2"),
    fixed("local.retention.ms", Kind::Number { min: -2 }, "-2"),
    fixed(
        "max.compaction.lag.ms",
        Kind::Number { min: 1 },
        "9223372036854775807",
    ),
    fixed("max.message.bytes", NUMBER, "1048588"),
    fixed("message.downconversion.enable", Kind::Boolean, "true"),
    fixed("message.format.version", Kind::Text, "3.0-IV1"),
    fixed("message.timestamp.after.max.ms", NUMBER, "3600000"),
    fixed("message.timestamp.before.max.ms", NUMBER, "9223372036854775807"),
    fixed(
        "message.timestamp.difference.max.ms",
        NUMBER,
        "9223372036854775807",
    ),
    fixed(
        "message.timestamp.type",
        Kind::Word(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
    ),
    fixed("min.cleanable.dirty.ratio", Kind::Fraction, "0.5"),
    fixed("min.compaction.lag.ms", NUMBER, "0"),
    only(
        "min.insync.replicas",
        Kind::Number { min: 1 },
        "1",
        &["1"],
        ONE_REPLICA,
    ),
    only(
        "preallocate",
        Kind::Boolean,
        "false",
        &["false"],
        "segments are not preallocated here",
    ),
    fixed("remote.log.copy.disable", Kind::Boolean, "false"),
    fixed("remote.log.delete.on.disable", Kind::Boolean, "false"),
    only(
        "remote.storage.enable",
        Kind::Boolean,
        "false",
        &["false"],
        NO_TIERS,
    ),
    configured("retention.bytes", NUMBER_OR_NONE, |defaults| {
        defaults
            .bytes
            .map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
    }),
    configured("retention.ms", NUMBER_OR_NONE, |defaults| {
        defaults
            .time
            .map_or(-1, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
    }),
    configured("segment.bytes", Kind::Number { min: 14 }, |defaults| {
        i64::try_from(defaults.segment_bytes).unwrap_or(i64::MAX)
    }),
    fixed("segment.index.bytes", Kind::Number { min: 4 }, "10485760"),
    fixed("segment.jitter.ms", NUMBER, "0"),
    fixed("segment.ms", Kind::Number { min: 1 }, "604800000"),
    fixed("unclean.leader.election.enable", Kind::Boolean, "false"),
];

/// Settings whose values have 32 bits in Kafka.
pub(super) const SMALL_NUMBERS: &[&str] = &[
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.zstd.level",
    "index.interval.bytes",
    "max.message.bytes",
    "min.insync.replicas",
    "segment.bytes",
    "segment.index.bytes",
];
