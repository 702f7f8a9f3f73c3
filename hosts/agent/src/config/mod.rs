//! osquery's configuration: `schedule`, `packs`, `decorators` and `options`, from one or several sources.
//!
//! Everything here is text in, data out; where the text comes from is [`source`]'s business, and running it the
//! scheduler's.

mod json_text;
mod pack;
mod query;
pub(crate) mod source;
mod value;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha1::Digest as _;

pub(crate) use json_text::JsonError;
pub(crate) use pack::{MachineFacts, Pack};
#[cfg(test)]
pub(crate) use query::QueryDefinition;

use crate::tables::hexadecimal;

/// Top-level keys that osquery knows and that need what the agent does not have.
const WITHOUT_EFFECT: &[&str] = &[
    "auto_table_construction",
    "events",
    "exclude_paths",
    "feature_vectors",
    "file_accesses",
    "file_paths",
    "file_paths_query",
    "prometheus_targets",
    "views",
    "yara",
];

/// A whole configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Config {
    /// The schedule's own queries come as the pack `main`, then the packs in the order of the sources.
    pub(crate) packs: Vec<Pack>,
    pub(crate) decorators: Decorators,
    pub(crate) options: Vec<(String, String)>,
    /// SHA-1 of the sources' text, as `osquery_info` shows it.
    pub(crate) hash: String,
    /// What was skipped, and why.
    pub(crate) warnings: Vec<String>,
}

/// Queries whose columns are added to each line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Decorators {
    /// Run when the configuration is loaded.
    pub(crate) load: Vec<String>,
    /// Run before each scheduled query.
    pub(crate) always: Vec<String>,
    /// Run every so many seconds.
    pub(crate) interval: BTreeMap<u64, Vec<String>>,
}

/// A source that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("the configuration source `{source_name}` is not JSON: {error}")]
    NotJson { source_name: String, error: JsonError },
    #[error("the configuration source `{source_name}` is not a JSON object")]
    NotAnObject { source_name: String },
}

/// A pack that is named in the configuration and kept elsewhere.
pub(crate) trait PackText {
    /// The pack's text, for a name and the string that stands in the configuration in the pack's place.
    fn pack_text(&self, name: &str, value: &str) -> Result<String, String>;
}

impl Config {
    /// Reads all sources; one that is not JSON makes the whole configuration unusable.
    pub(crate) fn parse(
        sources: &BTreeMap<String, String>,
        facts: &MachineFacts,
        packs: &dyn PackText,
    ) -> Result<Self, ConfigError> {
        let mut config = Self {
            hash: hash(sources),
            ..Self::default()
        };
        let mut schedule = Pack::main();
        let mut named = Vec::new();
        for (source_name, text) in sources {
            let source_name = || source_name.clone();
            let value = json_text::parse(text).map_err(|error| ConfigError::NotJson {
                source_name: source_name(),
                error,
            })?;
            let Value::Object(root) = value else {
                return Err(ConfigError::NotAnObject {
                    source_name: source_name(),
                });
            };
            config.read(&root, &mut schedule, &mut named, facts, packs);
        }
        config.packs.push(schedule);
        config.packs.extend(named);
        Ok(config)
    }

    fn read(
        &mut self,
        root: &Map<String, Value>,
        schedule: &mut Pack,
        named: &mut Vec<Pack>,
        facts: &MachineFacts,
        packs: &dyn PackText,
    ) {
        for (key, value) in root {
            match (key.as_str(), value) {
                ("schedule", Value::Object(queries)) => {
                    schedule.read_queries(queries, facts, &mut self.warnings)
                }
                ("packs", Value::Object(entries)) => {
                    for (name, entry) in entries {
                        named.extend(pack::read(name, entry, facts, packs, &mut self.warnings));
                    }
                }
                ("decorators", Value::Object(decorators)) => self.read_decorators(decorators),
                ("options", Value::Object(options)) => {
                    let text = options
                        .iter()
                        .filter_map(|(name, value)| Some((name.clone(), value::text(value)?)));
                    self.options.extend(text);
                }
                ("schedule" | "packs" | "decorators" | "options", _) => {
                    self.warnings
                        .push(format!("`{key}` in the configuration is not an object"));
                }
                (key, _) if WITHOUT_EFFECT.contains(&key) => {
                    self.warnings.push(format!(
                        "`{key}` in the configuration has no effect: the agent has no such part"
                    ));
                }
                _ => {}
            }
        }
    }

    fn read_decorators(&mut self, decorators: &Map<String, Value>) {
        for (key, value) in decorators {
            match (key.as_str(), value) {
                ("load", queries) => self.decorators.load.extend(value::texts(queries)),
                ("always", queries) => self.decorators.always.extend(value::texts(queries)),
                ("interval", Value::Object(intervals)) => {
                    for (interval, queries) in intervals {
                        match interval.parse::<u64>() {
                            Ok(seconds) if seconds > 0 && seconds.is_multiple_of(60) => {
                                self.decorators.interval.entry(seconds).or_default().extend(value::texts(queries));
                            }
                            _ => self.warnings.push(format!(
                                "Invalid decorator interval rate {interval} in the configuration: it must be a multiple of 60"
                            )),
                        }
                    }
                }
                _ => self.warnings.push(format!("`{key}` is no kind of decorator")),
            }
        }
    }
}

fn hash(sources: &BTreeMap<String, String>) -> String {
    let mut digest = sha1::Sha1::new();
    for (name, text) in sources {
        digest.update(name);
        digest.update([0]);
        digest.update(text);
        digest.update([0]);
    }
    hexadecimal(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Packs;
    impl PackText for Packs {
        fn pack_text(&self, name: &str, value: &str) -> Result<String, String> {
            match value {
                "/packs/ext" => Ok(r#"{"queries": {"q": {"query": "select 2", "interval": "60"}}}"#.into()),
                "/packs/%" => Ok(
                    r#"{"one": {"queries": {"a": {"query": "select 3", "interval": 1}}}, "two": {}}"#.into(),
                ),
                _ => Err(format!("no pack `{name}`")),
            }
        }
    }

    fn parse(text: &str) -> Result<Config, ConfigError> {
        let sources = BTreeMap::from([("source_one".to_owned(), text.to_owned())]);
        Config::parse(&sources, &MachineFacts::for_tests(), &Packs)
    }

    fn names(config: &Config) -> Vec<String> {
        config
            .packs
            .iter()
            .flat_map(|pack| pack.queries.iter().map(|query| pack.query_name(&query.name, "_")))
            .collect()
    }

    #[test]
    fn everything_osquery_reads() {
        let config = parse(
            r#"{
              // the original's
              "schedule": {
                "processes": {"query": "select * from processes;", "interval": 5, "key": "['hostIdentifier']"},
                "snap": {"query": "select 1", "interval": "7", "snapshot": true, "removed": "false"}
              },
              "packs": {
                "ir": {"platform": "linux", "discovery": ["select 1"], "queries": {"f": {"query": "select 4", "interval": 9}}},
                "ext": "/packs/ext",
                "*": "/packs/%"
              },
              # decorations
              "decorators": {"load": ["select 'a' as b"], "always": [], "interval": {"3600": ["select 1 as c"], "7": ["x"]}},
              "options": {"logger_numerics": true, "schedule_splay_percent": 20, "host_identifier": "uuid"},
              "file_paths": {}
            }"#,
        )
        .unwrap();
        assert_eq!(
            names(&config),
            ["processes", "snap", "pack_ir_f", "pack_ext_q", "pack_one_a"]
        );
        let main = &config.packs[0].queries;
        assert_eq!(
            (main[0].interval, main[0].snapshot, main[0].removed),
            (5, false, true)
        );
        assert_eq!(
            (main[1].interval, main[1].snapshot, main[1].removed),
            (7, true, false)
        );
        assert_eq!(config.packs[1].discovery, ["select 1"]);
        assert_eq!(config.decorators.load, ["select 'a' as b"]);
        assert_eq!(
            config.decorators.interval.keys().copied().collect::<Vec<_>>(),
            [3600]
        );
        assert_eq!(
            config.options,
            [
                ("logger_numerics".to_owned(), "true".to_owned()),
                ("schedule_splay_percent".to_owned(), "20".to_owned()),
                ("host_identifier".to_owned(), "uuid".to_owned())
            ]
        );
        assert_eq!(
            config.warnings,
            [
                "Invalid decorator interval rate 7 in the configuration: it must be a multiple of 60",
                "`file_paths` in the configuration has no effect: the agent has no such part"
            ]
        );
        assert_eq!(config.hash.len(), 40);
    }

    #[test]
    fn what_cannot_be_scheduled_is_left_out_and_named() {
        let config = parse(
            r#"{"schedule": {
                "a": {"query": "select 1", "interval": 0},
                "b": {"interval": 5},
                "c": 7,
                "d": {"query": "select 1", "interval": 604801},
                "e": {"query": "select 1", "interval": 5, "platform": "windows"},
                "f": {"query": "select 1", "interval": 5, "version": "99.0"},
                "g": {"query": "select 1", "interval": "soon"},
                "h": {"query": "select 1"}
            }, "packs": {"gone": "/packs/gone", "w": {"platform": "darwin", "queries": {"x": {"query": "select 1", "interval": 1}}}}}"#,
        )
        .unwrap();
        assert_eq!(names(&config), ["h"]);
        assert_eq!(config.packs[0].queries[0].interval, 3600);
        assert_eq!(
            config.warnings,
            [
                "Query has invalid interval: a: 0",
                "No query string defined for query b",
                "The query c must be an object",
                "Query has invalid interval: d: 604801",
                "Query has invalid interval: g: soon",
                "The pack gone cannot be read: no pack `gone`",
            ]
        );
    }

    #[test]
    fn an_error_has_a_line_and_a_column() {
        let error = parse("{\n  \"schedule\": {\n    // a note\n    \"a\" 5\n  }\n}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the configuration source `source_one` is not JSON: expected `:` at line 4 column 9"
        );
        assert_eq!(
            parse("[]").unwrap_err().to_string(),
            "the configuration source `source_one` is not a JSON object"
        );
    }
}
