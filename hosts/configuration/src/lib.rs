//! osquery's configuration: `schedule`, `packs`, `decorators`, `options` and `file_paths`, from one or several sources.
//!
//! The extension and the built-in agent read it with this one reader, as osqueryd would: what is wrong in a pack or a query
//! costs only that, and is a [`Finding`]. Everything here is text in, data out, but for packs in files; where the text comes
//! from and what runs it is not known here, and neither are Kafka and the tables.

mod file_paths;
mod finding;
mod json_text;
mod pack;
mod pack_text;
pub mod path_pattern;
mod query;
pub mod regular_file;
mod value;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha1::Digest as _;

pub use file_paths::FilePaths;
pub use finding::{Finding, Findings, member};
pub use json_text::{JsonError, parse as parse_json, parse_bytes as parse_json_bytes};
pub use pack::{MachineFacts, Pack};
pub use pack_text::{NamedPacks, PackFiles, PackText};
pub use query::QueryDefinition;

/// The osquery release whose tables, flags and formats are followed. Packs compare their `version` with it.
pub const OSQUERY_VERSION: &str = "5.23.0";

/// Top-level keys that osquery knows and that need what is not here.
const WITHOUT_EFFECT: &[&str] = &[
    "auto_table_construction",
    "events",
    "feature_vectors",
    "file_paths_query",
    "prometheus_targets",
    "views",
    "yara",
];

/// A whole configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// The schedule's own queries come as the pack `main`, then the packs in the order of the sources.
    pub packs: Vec<Pack>,
    /// Queries whose columns are added to each line.
    pub decorators: Decorators,
    /// Flags and their values.
    pub options: Vec<(String, String)>,
    /// The files to watch, with those of the packs.
    pub file_paths: FilePaths,
    /// SHA-1 of the sources' text, as `osquery_info` shows it.
    pub hash: String,
    /// What was left out, and why.
    pub findings: Findings,
    /// What osqueryd would take and has no effect here.
    pub without_effect: Findings,
}

/// Queries whose columns are added to each line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decorators {
    /// Run when the configuration is loaded.
    pub load: Vec<String>,
    /// Run before each scheduled query.
    pub always: Vec<String>,
    /// Run every so many seconds.
    pub interval: BTreeMap<u64, Vec<String>>,
}

/// A source that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is no JSON.
    #[error("the configuration source `{source_name}` is not JSON: {error}")]
    NotJson {
        /// The source.
        source_name: String,
        /// What is wrong, and where.
        error: JsonError,
    },
    /// It is JSON of another form.
    #[error("the configuration source `{source_name}` is not a JSON object")]
    NotAnObject {
        /// The source.
        source_name: String,
    },
}

impl Config {
    /// Reads all sources; one that is not JSON makes the whole configuration unusable.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(
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
        for pack in &named {
            config.file_paths.merge(&pack.file_paths);
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
                    schedule.read_queries(queries, "schedule", facts, &mut self.findings)
                }
                ("packs", Value::Object(entries)) => {
                    for (name, entry) in entries {
                        named.extend(pack::read(name, entry, facts, packs, &mut self.findings));
                    }
                }
                ("decorators", Value::Object(decorators)) => self.read_decorators(decorators),
                ("options", Value::Object(options)) => {
                    let text = options
                        .iter()
                        .filter_map(|(name, value)| Some((name.clone(), value::text(value)?)));
                    self.options.extend(text);
                }
                ("schedule" | "packs" | "decorators" | "options", _) => self.findings.push(Finding::new(
                    key,
                    format!("`{key}` in the configuration is not an object"),
                )),
                (key, _) if WITHOUT_EFFECT.contains(&key) => self.without_effect.push(Finding::new(
                    key,
                    format!("`{key}` in the configuration has no effect: the agent has no such part"),
                )),
                _ => {}
            }
        }
        self.file_paths.read(root, "", &mut self.findings);
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
                            _ => self.findings.push(Finding::new(
                                member("decorators.interval", interval),
                                format!(
                                    "Invalid decorator interval rate {interval} in the configuration: it must be a \
                                     multiple of 60"
                                ),
                            )),
                        }
                    }
                }
                _ => self.findings.push(Finding::new(
                    member("decorators", key),
                    format!("`{key}` is no kind of decorator"),
                )),
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
    digest.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Packs;
    impl PackText for Packs {
        fn pack_text(&self, name: &str, value: &str, _: &mut Findings) -> Result<String, String> {
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
        Config::parse(&sources, &MachineFacts::of_host("host1"), &Packs)
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
                "ir": {"platform": "linux", "discovery": ["select 1"], "file_paths": {"etc": ["/opt/%"], "home": 1}, "queries": {"f": {"query": "select 4", "interval": 9}}},
                "ext": "/packs/ext",
                "*": "/packs/%"
              },
              # decorations
              "decorators": {"load": ["select 'a' as b"], "always": [], "interval": {"3600": ["select 1 as c"], "7": ["x"]}},
              "options": {"logger_numerics": true, "schedule_splay_percent": 20, "host_identifier": "uuid"},
              "file_paths": {"etc": ["/etc/%%"]}, "views": {}
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
        assert_eq!(config.file_paths.watched["etc"], ["/etc/%%", "/opt/%"]);
        assert_eq!(
            config.findings.iter().map(Finding::to_string).collect::<Vec<_>>(),
            [
                "The category home of file_paths is not an array of paths (`packs.ir.file_paths.home`)",
                "Invalid decorator interval rate 7 in the configuration: it must be a multiple of 60 \
                 (`decorators.interval.7`)",
            ]
        );
        assert_eq!(config.without_effect[0].place, "views");
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
        let found: Vec<_> = config
            .findings
            .iter()
            .map(|finding| (finding.place.as_str(), finding.message.as_str()))
            .collect();
        let range = "(osquery takes 1 to 604800 seconds)";
        let invalid =
            |query: &str, written: &str| format!("Query has invalid interval: {query}: {written} {range}");
        assert_eq!(
            found,
            [
                ("schedule.a.interval", invalid("a", "0").as_str()),
                ("schedule.b.query", "No query string defined for query b"),
                ("schedule.c", "The query c must be an object"),
                ("schedule.d.interval", &invalid("d", "604801")),
                ("schedule.g.interval", &invalid("g", "soon")),
                ("packs.gone", "The pack gone cannot be read: no pack `gone`"),
            ]
        );
    }

    #[test]
    fn a_pack_of_any_name_but_main_names_its_queries() {
        let name = |pack: &str| Pack::named(pack).query_name("q", "_");
        assert_eq!([name("main"), name("legacy_main")], ["q", "pack_legacy_main_q"]);
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
