//! The hosts' configuration: an extension configuration as `hosts/image/osqdemo.json` has it, the default one or one of
//! the user's own. It is read once and kept with the packs that it names, so that it does not depend on any file
//! later. Checked here is what osqdemo itself relies on; the authority on the rest is the extension, which is asked
//! before anything is stopped or started.

mod checks;
mod document;
mod format;
mod packs;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::input_file;
use crate::stack::{HttpService, Properties};

pub use checks::{left_out, not_on_agent};
pub use format::{LineFormat, UnknownFormat, identity};
pub use packs::{AddedPacks, ShippedPacks};

/// The default: librdkafka's properties, the schedule, the topics' keys.
pub const DEFAULT: &str = include_str!("../../hosts/image/osqdemo.json");

/// What says on the command line that the default is wanted again.
pub const DEFAULT_NAME: &str = "default";

/// Where a host in a container finds the broker: what the default says.
pub const BROKER_IN_CONTAINERS: &str = "broker:29092";

/// The property that is always ours: the project's broker.
const SERVERS: &str = "bootstrap.servers";

/// librdkafka's other name of the same.
const SERVERS_ALIAS: &str = "metadata.broker.list";

/// A configuration of the user's, as it was read: it holds also when the file is gone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostConfig {
    /// Where it was.
    pub path: PathBuf,
    /// What it said, with the packs that it named by a path in their place. Some of it may be secret.
    pub document: Value,
    /// What of it counts for nothing: left out by osquery, or about tables that the hosts lack.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// A part of a configuration that counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The path in the document, or the query's name.
    pub place: String,
    /// Why, in the words of who knows.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`: {}", self.place, self.message)
    }
}

impl fmt::Debug for HostConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HostConfig")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HostConfigError {
    /// The file, or a pack that it names, cannot be read.
    #[error("failed to read the host configuration `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not JSON.
    #[error("the host configuration is not JSON: {}:{line}:{column}: {reason}", path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// Where, from 1; 0 at a line that is empty.
        column: usize,
        /// What the parser said.
        reason: String,
    },
    /// The extension would end at it.
    #[error("the extension refuses the host configuration `{}`: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What it says.
        reason: String,
        /// Its advice.
        hints: Vec<String>,
    },
    /// The extension, or the agent, cannot be asked.
    #[error("failed to have `{}` check the host configuration: {reason}", program.display())]
    Unchecked {
        /// Who was asked.
        program: PathBuf,
        /// Why.
        reason: String,
    },
    /// No pack has this name.
    #[error("there is no pack `{name}`")]
    NoPack {
        /// The name.
        name: String,
        /// Those there are.
        hints: Vec<String>,
    },
    /// It is JSON of another form.
    #[error("the host configuration `{}` is unusable: `{member}` must be {expected}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The path in the document.
        member: String,
        /// What it should be.
        expected: String,
    },
}

impl Diagnose for HostConfigError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Unchecked { .. } => ExitCode::Preflight,
            _ => ExitCode::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Refused { hints, .. } | Self::NoPack { hints, .. } => return hints.clone(),
            Self::NotJson { .. } => {
                "look for a missing comma, quote or bracket just before that place; osquery's JSON has comments, but \
                 no comma after the last item"
            }
            Self::Read { .. } | Self::Shape { .. } => {
                "`osqdemo host-config` prints the default one, to begin with"
            }
            Self::Unchecked { .. } => "build or install all of it: `make build`, or `make install PREFIX=…`",
        };
        vec![hint.to_owned()]
    }
}

impl HostConfig {
    /// Reads the file and the packs that it names.
    ///
    /// # Errors
    /// When one cannot be read, or is not what it has to be to be given to hosts.
    pub fn read(path: &Path) -> Result<Self, HostConfigError> {
        let bytes = input_file::read(path).map_err(|source| HostConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            document: document::parse(path, &bytes)?,
            findings: Vec::new(),
        })
    }

    /// Tells its content from any other.
    pub fn hash(&self) -> String {
        Sha256::digest(self.document.to_string())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// The first of these topics that no scheduled query fills. Nothing where the configuration makes topics' names itself.
    pub fn unfilled<'t>(&self, topics: &[&'t str]) -> Option<&'t str> {
        let makes_names = self.document.get("topic").and_then(Value::as_str);
        if makes_names.is_some_and(|topic| topic.contains('{')) {
            return None;
        }
        let schedule = self.document.pointer("/source/schedule");
        let is_scheduled = |topic: &str| schedule.is_some_and(|schedule| schedule.get(topic).is_some());
        topics.iter().copied().find(|topic| !is_scheduled(topic))
    }

    /// The address that it names as its broker's.
    pub fn servers(&self) -> Option<&str> {
        let config = self.document.get("config")?;
        config
            .get(SERVERS)
            .or_else(|| config.get(SERVERS_ALIAS))?
            .as_str()
    }
}

/// The text that a host gets: the user's configuration, else the default, with the broker's actual address and what a
/// connection to it takes, and the address of the registry where lines are to be Avro.
pub fn text_for(
    own: Option<&HostConfig>,
    servers: &str,
    connection: &Properties,
    registry: Option<&HttpService>,
) -> String {
    // The embedded file is valid, which a test holds; were it not, osqueryd would tell.
    let mut document = match own {
        Some(own) => own.document.clone(),
        None => serde_json::from_str(DEFAULT).unwrap_or_default(),
    };
    if let Some(config) = document.get_mut("config").and_then(Value::as_object_mut) {
        config.shift_remove(SERVERS_ALIAS);
        config.insert(SERVERS.to_owned(), Value::from(servers));
        for (name, value) in &connection.0 {
            config.insert(name.clone(), Value::from(value.as_str()));
        }
    }
    if let Some(registry) = registry {
        format::encode(&mut document, registry);
    }
    format!("{document:#}\n")
}

/// The topics that hosts with this configuration, else the default one, write the lines of scheduled queries to. A
/// `topic` that is made of parts names none that is known beforehand.
pub fn topics(own: Option<&HostConfig>) -> Vec<String> {
    let default: Value = serde_json::from_str(DEFAULT).unwrap_or_default();
    let document = own.map_or(&default, |own| &own.document);
    let object = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
    let queries = object(document.pointer("/source/schedule"))
        .into_iter()
        .map(|(query, _)| query);
    let packs = object(document.pointer("/source/packs"))
        .into_iter()
        .flat_map(|(pack, content)| {
            let queries = object(content.get("queries")).into_iter();
            queries.map(move |(query, _)| format!("pack_{pack}_{query}"))
        });
    let rest = document.get("topic").and_then(Value::as_str).map(str::to_owned);
    queries.chain(packs).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_query_has_its_topic() {
        let default = topics(None);
        for topic in ["processes", "open_files", "users", "osquery-default-topic"] {
            assert!(default.iter().any(|name| name == topic), "{topic}");
        }
        let own = HostConfig {
            path: PathBuf::new(),
            document: json!({ "source": {
                "schedule": { "processes": {} }, "packs": { "ir": { "queries": { "mounts": {} } }, "odd": "/a/path" }
            } }),
            findings: Vec::new(),
        };
        assert_eq!(topics(Some(&own)), ["processes", "pack_ir_mounts"]);
    }

    #[test]
    fn a_topic_that_no_query_fills_is_told() {
        let of = |document: Value| HostConfig {
            path: PathBuf::new(),
            document,
            findings: Vec::new(),
        };
        let wanted = ["processes", "open_files"];
        let schedule = json!({ "processes": {}, "ports": {} });
        let lacking = of(json!({ "source": { "schedule": schedule.clone() } }));
        assert_eq!(lacking.unfilled(&wanted), Some("open_files"));
        assert_eq!(
            of(serde_json::from_str(DEFAULT).expect("valid JSON")).unfilled(&wanted),
            None
        );
        let with = |topic: &str| of(json!({ "source": { "schedule": schedule.clone() }, "topic": topic }));
        assert_eq!(with("osquery.{name}").unfilled(&wanted), None, "nobody knows");
        assert_eq!(with("others").unfilled(&wanted), Some("open_files"));
    }

    #[test]
    fn a_host_gets_the_address_of_the_broker() {
        let read = |own: Option<&HostConfig>| {
            serde_json::from_str::<Value>(&text_for(own, "127.0.0.1:1234", &Properties::default(), None))
                .expect("valid JSON")
        };
        let default: Value = serde_json::from_str(DEFAULT).expect("valid JSON");
        assert_eq!(default["config"][SERVERS], BROKER_IN_CONTAINERS);
        let default = read(None);
        assert_eq!(default["config"]["bootstrap.servers"], "127.0.0.1:1234");
        assert!(default["source"]["schedule"]["processes"]["query"].is_string());
        let own = HostConfig {
            path: PathBuf::from("/my.json"),
            document: json!({ "config": { "metadata.broker.list": "elsewhere:1", "linger.ms": 5 } }),
            findings: Vec::new(),
        };
        assert_eq!(own.servers(), Some("elsewhere:1"));
        assert!(!format!("{own:?}").contains("elsewhere"), "{own:?}");
        assert_eq!(
            read(Some(&own)),
            json!({ "config": { "linger.ms": 5, "bootstrap.servers": "127.0.0.1:1234" } })
        );
    }
}
