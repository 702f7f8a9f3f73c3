//! The settings of a topic, by Kafka's own names.
//!
//! Every setting of Kafka 3.9 and 4 is known, so that a tool which copies all of them can. What is taken has its effect;
//! what would promise something that does not happen here (a second replica, preallocated files, tiered storage) is
//! refused by its name. A few are kept and shown because there is nothing here for them to steer: they are about
//! replicas that do not exist, or about how Kafka arranges its own files. Unknown names and impossible values are
//! refused, as Kafka does.

mod broker_names;
mod defaults;
mod definitions;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub(crate) use self::defaults::Defaults;
pub(crate) use self::definitions::DEFINITIONS;
use self::definitions::SMALL_NUMBERS;
use crate::config::RetentionDefaults;
use crate::storage::batch::acceptance::{AcceptanceSettings, RecordTime, Target};
use crate::storage::batch::compression::Compression;
use crate::storage::log::{CompactionSettings, LogSettings};

/// Kafka's own default: a mebibyte of records and the batch's header.
const DEFAULT_MAX_MESSAGE_BYTES: i64 = 1_048_588;
const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;
const WEEK_MS: i64 = 7 * DAY_MS;
/// A denser index would cost more memory than it saves reading.
const MIN_INDEX_INTERVAL: u64 = 1024;

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
    /// A whole number between two others.
    Between(i64, i64),
    /// Some of a few words, with commas between them.
    Words(&'static [&'static str]),
    /// Any text with commas in it.
    List,
    /// Any text.
    Text,
}

impl Kind {
    /// DescribeConfigs' number for the kind.
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::Word(_) | Self::Text => 2,
            Self::Number { .. } | Self::Between(..) => 5,
            Self::Fraction => 6,
            Self::Words(_) | Self::List => 7,
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
            Self::Between(from, to) => value
                .parse::<i64>()
                .is_ok_and(|number| (from..=to).contains(&number)),
            Self::List | Self::Text => true,
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
    /// Values that Kafka takes and this broker cannot keep its word on: why, and which are fine.
    only: Option<Only>,
}

#[derive(Debug, Clone, Copy)]
struct Only {
    values: &'static [&'static str],
    reason: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Default {
    Fixed(&'static str),
    Configured(fn(&RetentionDefaults) -> i64),
}

impl Definition {
    /// The definition of that name.
    pub(crate) fn of(name: &str) -> Option<&'static Self> {
        DEFINITIONS.iter().find(|definition| definition.name == name)
    }

    /// The definition of what the broker's settings call so.
    pub(crate) fn of_broker(name: &str) -> Option<&'static Self> {
        DEFINITIONS
            .iter()
            .find(|definition| definition.broker_name() == Some(name))
    }

    /// DescribeConfigs' number for what kind of value it takes: Kafka tells numbers of 32 bits from those of 64.
    pub(crate) fn kind_code(&self) -> i8 {
        if SMALL_NUMBERS.contains(&self.name) {
            3
        } else {
            self.kind.code()
        }
    }

    /// What Kafka calls it among the settings of the broker, where it stands for all topics.
    pub(crate) fn broker_name(&self) -> Option<&'static str> {
        broker_names::broker_name(self.name)
    }

    /// The value that applies when a topic does not override it.
    pub(crate) fn default_value(&self, defaults: &Defaults) -> String {
        let altered = defaults.altered().get(self.name).cloned();
        altered.unwrap_or_else(|| self.configured_value(defaults))
    }

    /// The same as it was when the broker was started.
    pub(crate) fn configured_value(&self, defaults: &Defaults) -> String {
        self.value_of(&defaults.configured)
    }

    /// The same where nobody has said anything: Kafka's.
    pub(crate) fn usual_value(&self) -> String {
        self.value_of(&RetentionDefaults::default())
    }

    fn value_of(&self, configured: &RetentionDefaults) -> String {
        match self.default {
            Default::Fixed(value) => value.to_owned(),
            Default::Configured(value) => value(configured).to_string(),
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
    /// The value is one that this broker could not keep its word on.
    #[error("{name} cannot be {value} here: {reason}")]
    Impossible {
        /// The setting.
        name: String,
        /// The value.
        value: String,
        /// Why not.
        reason: &'static str,
    },
    /// It is read at the start, or not a setting of the broker at all.
    #[error("{0} cannot be altered while the broker runs")]
    Fixed(String),
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
        defaults: &Defaults,
    ) -> Result<Self, InvalidSetting> {
        for (name, value) in &overrides {
            let definition = Definition::of(name).ok_or_else(|| InvalidSetting::Unknown(name.clone()))?;
            if !definition.kind.accepts(value) {
                return Err(InvalidSetting::Value {
                    name: name.clone(),
                    value: value.clone(),
                });
            }
            if let Some(only) = definition.only
                && !only.values.contains(&value.as_str())
            {
                return Err(InvalidSetting::Impossible {
                    name: name.clone(),
                    value: value.clone(),
                    reason: only.reason,
                });
            }
        }
        Ok(Self {
            log: log_settings(&overrides, defaults),
            overrides,
        })
    }

    /// The settings of a topic that overrides nothing.
    pub(crate) fn defaults(defaults: &Defaults) -> Self {
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
fn log_settings(overrides: &BTreeMap<String, String>, defaults: &Defaults) -> LogSettings {
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
    let compacts = has("compact");
    let max_lag_ms = number("max.compaction.lag.ms", i64::MAX);
    let segment_ms = number("segment.ms", WEEK_MS);
    let difference = number("message.timestamp.difference.max.ms", i64::MAX);
    let time = if value("message.timestamp.type") == "LogAppendTime" {
        RecordTime::Append
    } else {
        RecordTime::Create {
            max_before_ms: number("message.timestamp.before.max.ms", i64::MAX).min(difference),
            max_after_ms: number("message.timestamp.after.max.ms", HOUR_MS).min(difference),
        }
    };
    let level = |name: &str| value(name).parse().ok();
    let compression = match value("compression.type").as_str() {
        "uncompressed" => Some(Target::of(Compression::None, None)),
        "gzip" => Some(Target::of(Compression::Gzip, level("compression.gzip.level"))),
        "snappy" => Some(Target::of(Compression::Snappy, None)),
        "lz4" => Some(Target::of(Compression::Lz4, None)),
        "zstd" => Some(Target::of(Compression::Zstd, level("compression.zstd.level"))),
        _ => None,
    };
    LogSettings {
        segment_bytes: value("segment.bytes")
            .parse()
            .unwrap_or(defaults.configured.segment_bytes),
        // A segment is compacted once it is closed.
        segment_ms: if compacts {
            segment_ms.min(max_lag_ms)
        } else {
            segment_ms
        },
        flush_messages: number("flush.messages", i64::MAX),
        flush_ms: number("flush.ms", i64::MAX),
        index_interval_bytes: value("index.interval.bytes")
            .parse::<u64>()
            .unwrap_or(4096)
            .max(MIN_INDEX_INTERVAL),
        deletes,
        retention_ms: limit(number("retention.ms", -1)),
        retention_bytes: limit(number("retention.bytes", -1)).map(i64::unsigned_abs),
        acceptance: AcceptanceSettings {
            max_message_bytes: usize::try_from(number("max.message.bytes", DEFAULT_MAX_MESSAGE_BYTES))
                .unwrap_or(usize::MAX),
            compression,
            time,
            keys_required: compacts,
        },
        compaction: compacts.then(|| CompactionSettings {
            min_dirty_ratio: value("min.cleanable.dirty.ratio").parse().unwrap_or(0.5),
            min_lag_ms: number("min.compaction.lag.ms", 0),
            max_lag_ms,
            tombstone_ms: number("delete.retention.ms", DAY_MS),
        }),
    }
}
