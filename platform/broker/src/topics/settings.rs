//! The settings of a topic, by Kafka's own names.
//!
//! Some steer the broker, some are only kept and shown because clients set them as a matter of course (there is one
//! copy of everything here, so `min.insync.replicas` has nothing to steer). Unknown names and impossible values are
//! refused, as Kafka does.

use std::collections::BTreeMap;

use crate::config::RetentionDefaults;
use crate::storage::log::{CompactionSettings, LogSettings};

/// Kafka's own default: a mebibyte of records and the batch's header.
const DEFAULT_MAX_MESSAGE_BYTES: i64 = 1_048_588;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const WEEK_MS: i64 = 7 * DAY_MS;

/// What kind of value a setting takes; the numbers are DescribeConfigs' own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Boolean,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// A whole number of at least `min`.
    Number {
        /// The smallest value.
        min: i64,
    },
    /// A number between 0 and 1.
    Fraction,
    /// Some of a few words, with commas between them.
    Words(&'static [&'static str]),
}

impl Kind {
    /// DescribeConfigs' number for the kind.
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::Word(_) => 2,
            Self::Number { .. } => 5,
            Self::Fraction => 6,
            Self::Words(_) => 7,
        }
    }

    fn accepts(self, value: &str) -> bool {
        match self {
            Self::Boolean => matches!(value, "true" | "false"),
            Self::Word(words) => words.contains(&value),
            Self::Number { min } => value.parse::<i64>().is_ok_and(|number| number >= min),
            Self::Fraction => value
                .parse::<f64>()
                .is_ok_and(|number| (0.0..=1.0).contains(&number)),
            Self::Words(words) => value.split(',').all(|word| words.contains(&word.trim())),
        }
    }
}

/// One setting a topic may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Definition {
    /// Kafka's name for it.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    default: Default,
}

#[derive(Debug, Clone, Copy)]
enum Default {
    Fixed(&'static str),
    Configured(fn(&RetentionDefaults) -> i64),
}

const fn fixed(name: &'static str, kind: Kind, value: &'static str) -> Definition {
    Definition {
        name,
        kind,
        default: Default::Fixed(value),
    }
}

const NUMBER: Kind = Kind::Number { min: 0 };
const NUMBER_OR_NONE: Kind = Kind::Number { min: -1 };

/// Every setting a topic may have, by name.
pub(crate) const DEFINITIONS: &[Definition] = &[
    fixed("cleanup.policy", Kind::Words(&["delete", "compact"]), "delete"),
    fixed(
        "compression.type",
        Kind::Word(&["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"]),
        "producer",
    ),
    fixed("delete.retention.ms", NUMBER, "86400000"),
    fixed("file.delete.delay.ms", NUMBER, "60000"),
    fixed("flush.messages", Kind::Number { min: 1 }, "9223372036854775807"),
    fixed("flush.ms", NUMBER, "9223372036854775807"),
    fixed("index.interval.bytes", NUMBER, "4096"),
    fixed(
        "max.compaction.lag.ms",
        Kind::Number { min: 1 },
        "9223372036854775807",
    ),
    fixed("max.message.bytes", NUMBER, "1048588"),
    fixed(
        "message.timestamp.type",
        Kind::Word(&["CreateTime"]),
        "CreateTime",
    ),
    fixed("min.cleanable.dirty.ratio", Kind::Fraction, "0.5"),
    fixed("min.compaction.lag.ms", NUMBER, "0"),
    fixed("min.insync.replicas", Kind::Number { min: 1 }, "1"),
    fixed("preallocate", Kind::Boolean, "false"),
    Definition {
        name: "retention.bytes",
        kind: NUMBER_OR_NONE,
        default: Default::Configured(|defaults| {
            defaults
                .bytes
                .map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
        }),
    },
    Definition {
        name: "retention.ms",
        kind: NUMBER_OR_NONE,
        default: Default::Configured(|defaults| {
            defaults
                .time
                .map_or(-1, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
        }),
    },
    Definition {
        name: "segment.bytes",
        kind: Kind::Number { min: 14 },
        default: Default::Configured(|defaults| i64::try_from(defaults.segment_bytes).unwrap_or(i64::MAX)),
    },
    fixed("segment.index.bytes", Kind::Number { min: 4 }, "10485760"),
    fixed("segment.jitter.ms", NUMBER, "0"),
    fixed("segment.ms", Kind::Number { min: 1 }, "604800000"),
    fixed("unclean.leader.election.enable", Kind::Boolean, "false"),
];

impl Definition {
    /// The definition of that name.
    pub(crate) fn of(name: &str) -> Option<&'static Self> {
        DEFINITIONS.iter().find(|definition| definition.name == name)
    }

    /// The value that applies when a topic does not override it.
    pub(crate) fn default_value(&self, defaults: &RetentionDefaults) -> String {
        match self.default {
            Default::Fixed(value) => value.to_owned(),
            Default::Configured(value) => value(defaults).to_string(),
        }
    }
}

/// A setting that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidSetting {
    /// No topic has a setting of that name.
    #[error("unknown topic config name: {0}")]
    Unknown(String),
    /// The value is not one the setting takes.
    #[error("invalid value {value} for configuration {name}")]
    Value {
        /// The setting.
        name: String,
        /// The value.
        value: String,
    },
    /// Values are added to and taken from lists only.
    #[error("configuration {0} is not a list")]
    NotAList(String),
}

/// A topic's settings: what it overrides, and what follows for its logs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TopicSettings {
    overrides: BTreeMap<String, String>,
    log: LogSettings,
}

impl TopicSettings {
    /// Checks the overrides and works out what follows from them.
    pub(crate) fn new(
        overrides: BTreeMap<String, String>,
        defaults: &RetentionDefaults,
    ) -> Result<Self, InvalidSetting> {
        for (name, value) in &overrides {
            let definition = Definition::of(name).ok_or_else(|| InvalidSetting::Unknown(name.clone()))?;
            if !definition.kind.accepts(value) {
                return Err(InvalidSetting::Value {
                    name: name.clone(),
                    value: value.clone(),
                });
            }
        }
        Ok(Self {
            log: log_settings(&overrides, defaults),
            overrides,
        })
    }

    /// The settings of a topic that overrides nothing.
    pub(crate) fn defaults(defaults: &RetentionDefaults) -> Self {
        Self {
            log: log_settings(&BTreeMap::new(), defaults),
            overrides: BTreeMap::new(),
        }
    }

    /// What the topic overrides.
    pub(crate) fn overrides(&self) -> &BTreeMap<String, String> {
        &self.overrides
    }

    /// What follows for the logs.
    pub(crate) fn log(&self) -> &LogSettings {
        &self.log
    }
}

/// What follows for the logs; the overrides have been checked.
fn log_settings(overrides: &BTreeMap<String, String>, defaults: &RetentionDefaults) -> LogSettings {
    let value = |name: &str| {
        overrides
            .get(name)
            .cloned()
            .or_else(|| Definition::of(name).map(|found| found.default_value(defaults)))
            .unwrap_or_default()
    };
    let number = |name: &str, fallback: i64| value(name).parse::<i64>().unwrap_or(fallback);
    let policy = value("cleanup.policy");
    let has = |wanted: &str| policy.split(',').any(|word| word.trim() == wanted);
    let deletes = has("delete");
    let limit = |value: i64| Some(value).filter(|value| deletes && *value >= 0);
    LogSettings {
        segment_bytes: value("segment.bytes").parse().unwrap_or(defaults.segment_bytes),
        segment_ms: number("segment.ms", WEEK_MS),
        retention_ms: limit(number("retention.ms", -1)),
        retention_bytes: limit(number("retention.bytes", -1)).map(i64::unsigned_abs),
        max_message_bytes: usize::try_from(number("max.message.bytes", DEFAULT_MAX_MESSAGE_BYTES))
            .unwrap_or(usize::MAX),
        compaction: has("compact").then(|| CompactionSettings {
            min_dirty_ratio: value("min.cleanable.dirty.ratio").parse().unwrap_or(0.5),
            min_lag_ms: number("min.compaction.lag.ms", 0),
            tombstone_ms: number("delete.retention.ms", DAY_MS),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(overrides: &[(&str, &str)]) -> Result<TopicSettings, InvalidSetting> {
        let overrides = overrides
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        TopicSettings::new(overrides, &RetentionDefaults::default())
    }

    #[test]
    fn overrides_win_over_defaults() {
        let found = settings(&[("retention.ms", "5"), ("retention.bytes", "-1")]).unwrap();
        assert_eq!(found.log().retention_ms, Some(5));
        assert_eq!(found.log().retention_bytes, None);
        assert_eq!(found.log().segment_bytes, 64 * 1024 * 1024);
    }

    #[test]
    fn a_compacted_topic_is_not_cut_by_age() {
        let found = settings(&[("cleanup.policy", "compact"), ("retention.ms", "5")]).unwrap();
        assert_eq!(found.log().retention_ms, None);
        assert!(found.log().compaction.is_some());
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(
            settings(&[("retention", "5")]),
            Err(InvalidSetting::Unknown("retention".to_owned()))
        );
        assert!(settings(&[("retention.ms", "soon")]).is_err());
        assert!(settings(&[("cleanup.policy", "burn")]).is_err());
        assert!(settings(&[("min.cleanable.dirty.ratio", "1.5")]).is_err());
    }

    #[test]
    fn every_default_is_acceptable() {
        let defaults = RetentionDefaults::default();
        for definition in DEFINITIONS {
            let value = definition.default_value(&defaults);
            assert!(definition.kind.accepts(&value), "{}", definition.name);
        }
    }
}
