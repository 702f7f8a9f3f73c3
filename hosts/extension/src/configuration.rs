//! The extension's configuration file.
//!
//! ```json
//! { "config": { "bootstrap.servers": "broker:29092" },
//!   "source": { "schedule": { "processes": { "query": "…", "interval": 5, "key": "['hostIdentifier']" } } },
//!   "topic": "osquery-default-topic",
//!   "key": "['hostIdentifier']" }
//! ```
//! `config` goes to librdkafka as it is. `source` is osquery's own configuration, handed to osqueryd;
//! nothing else of the file is. `topic` is for lines without a query name. `key` at the top is for queries
//! that have none of their own.

mod reader;

use std::collections::BTreeMap;
use std::env;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use osquery_configuration::{Config, Finding, Findings, MachineFacts, PackFiles, regular_file};
use osquery_protocol::result_log::is_topic_name;
use serde_json::{Map, Value};

use crate::encoding::formats::Formats;
use crate::key_expression::KeyExpressionError;
use crate::line_facts::LineFacts;
use crate::options::{Misshapen, Options};
use crate::placeholders::PlaceholderError;
use crate::route::Routing;
use crate::secrets::{Secrets, is_secret};
use crate::topic_template::TopicTemplate;
use reader::Reader;

/// The environment variables that name the file: the right spelling, the one the original had, and
/// the one of the article about it.
const PATH_VARIABLES: [&str; 3] = ["OSQUERY_CONFIG", "OSQURY_CONFIG", "OSQUER_CONFIG"];
/// The file when no variable names one.
const DEFAULT_PATH: &str = "osquery_confluent_config.json";
/// What editors of Windows write at a file's beginning.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// What osqueryd puts between the parts of a pack query's name, whatever `--pack_delimiter` says in the
/// file: its default, and the one the original was used with.
const PACK_DELIMITERS: [&str; 2] = ["_", "/"];

/// The file could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigurationError {
    #[error("cannot read the configuration `{}`: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the configuration is not JSON: {}:{line}:{column}: {reason}", path.display())]
    NotJson {
        path: PathBuf,
        line: usize,
        column: usize,
        reason: String,
    },
    #[error("the configuration `{}` is unusable: `{member}` must be {expected}", path.display())]
    Shape {
        path: PathBuf,
        member: String,
        expected: &'static str,
    },
    #[error("the configuration `{}` is unusable: the key expression `{expression}` of {owner}: {source}", path.display())]
    Key {
        path: PathBuf,
        owner: String,
        expression: String,
        source: KeyExpressionError,
    },
    #[error("the configuration `{}` is unusable: `{member}`: {source}", path.display())]
    Placeholder {
        path: PathBuf,
        member: String,
        source: PlaceholderError,
    },
    #[error("the configuration's librdkafka property `{property}` is unusable: {reason}")]
    Property { property: String, reason: String },
    #[error("librdkafka refuses the configuration: {reason}")]
    Librdkafka { reason: String },
    #[error("the configuration's `schema_registry` is unusable: {reason}")]
    Registry { reason: String },
}

impl ConfigurationError {
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable { .. } => Some("set OSQUERY_CONFIG to the configuration's absolute path"),
            Self::NotJson { .. } => Some(
                "look for a missing comma, quote or bracket just before that place; osquery's JSON has comments, but \
                 no comma after the last item",
            ),
            Self::Key { .. } => Some("a key expression looks like ['hostIdentifier'] or ['columns']['path']"),
            Self::Placeholder {
                source: PlaceholderError::NotSet { .. },
                ..
            } => Some(
                "osqueryd hands its own environment on to the extension: set the variable where osqueryd is started",
            ),
            Self::Placeholder { .. } => Some("a placeholder is `${env:NAME}` or `${file:/absolute/path}`"),
            Self::Property { .. } => Some("librdkafka's CONFIGURATION.md lists every property"),
            Self::Registry { .. } => Some(
                "`schema_registry` has `url`, such as `http://schema-registry:8081`, and what it takes to log in",
            ),
            Self::Shape { .. } | Self::Librdkafka { .. } => None,
        }
    }
}

/// What the file says.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    path: PathBuf,
    /// librdkafka's properties. Some of them are secrets.
    pub(crate) properties: BTreeMap<String, String>,
    /// What must not be shown of them.
    pub(crate) secrets: Secrets,
    /// osquery's configuration, as JSON text.
    pub(crate) source: Option<String>,
    /// Where lines go.
    pub(crate) routing: Routing,
    /// What it says of the extension itself.
    pub(crate) options: Options,
    /// How lines become records.
    pub(crate) formats: Formats,
    /// What of `source` is left out or does not count, with its place in the file.
    pub(crate) findings: Findings,
}

/// A query that osquery will run, as its lines name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScheduledName {
    /// The name.
    pub(crate) name: String,
    /// In seconds.
    pub(crate) interval: u64,
}

impl Configuration {
    /// Which file is the configuration.
    pub(crate) fn path_from_environment() -> PathBuf {
        let named = PATH_VARIABLES
            .iter()
            .filter_map(env::var_os)
            .find(|path| !path.is_empty());
        named.map_or_else(|| PathBuf::from(DEFAULT_PATH), PathBuf::from)
    }

    /// Reads the file.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigurationError> {
        let bytes = regular_file::read_given(path).map_err(|source| ConfigurationError::Unreadable {
            path: path.to_path_buf(),
            source,
        })?;
        let configuration = Self::parse(path, &bytes)?;
        if configuration
            .properties
            .keys()
            .any(|property| is_secret(property))
            && is_open_to_all(path)
        {
            tracing::warn!(path = %path.display(), "the configuration holds a secret and everybody may read it");
        }
        Ok(configuration)
    }

    /// Reads the file's content. Packs that are files of their own are read for their key expressions.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ConfigurationError> {
        let reader = Reader { path };
        let root = reader.json(bytes)?;
        let root = reader.object(&root, "the file")?;
        let options = Options::read(root, |text| tracing::warn!(path = %path.display(), "{text}"))
            .map_err(|Misshapen { member, expected }| reader.shape(&member, expected))?;
        let mut routing = Routing::default();
        if let Some(topic) = root.get("topic") {
            match topic.as_str() {
                Some(name) if is_topic_name(name) => routing.fallback_topic = Some(name.to_owned()),
                Some(text) if TopicTemplate::parse(text).is_some() => {
                    routing.template = TopicTemplate::parse(text)
                }
                _ => {
                    return Err(reader.shape(
                        "topic",
                        "the name of a Kafka topic, with {name}, {host}, {pack} or {query} in it, or without",
                    ));
                }
            }
        }
        if let Some(key) = root.get("key") {
            routing.default_key = Some(reader.key(key, "the file")?);
        }
        let mut findings = Findings::new();
        if bytes.starts_with(BYTE_ORDER_MARK) {
            findings.push(Finding::new(
                path.display().to_string(),
                "the file begins with a byte order mark, which is left out".to_owned(),
            ));
        }
        let packs = root
            .get("source")
            .and_then(|source| source.get("packs")?.as_object());
        routing.packs = packs.into_iter().flat_map(Map::keys).cloned().collect();
        if let Some(source) = root.get("source") {
            reader.keys(reader.object(source, "source")?, &mut routing.keys, &mut findings);
            findings.extend(read_source(path, source).findings.into_iter().map(|finding| {
                let place = format!("source.{}", finding.place);
                Finding { place, ..finding }
            }));
        }
        let source = root.get("source").map(Value::to_string);
        let config = root
            .get("config")
            .ok_or_else(|| reader.shape("config", "there"))?;
        let (mut properties, mut secrets) = reader.properties(config)?;
        let formats = reader.formats(root, &mut secrets)?;
        let secrets = Secrets::of(&properties, secrets);
        if let Some(compression) = options.compression {
            let given = ["compression.type", "compression.codec"]
                .iter()
                .any(|name| properties.contains_key(*name));
            if !given {
                properties.insert("compression.type".to_owned(), compression.to_owned());
            }
        }
        Ok(Self {
            path: path.to_path_buf(),
            properties,
            secrets,
            source,
            routing,
            options,
            formats,
            findings,
        })
    }

    /// The queries that a host on Linux will run.
    pub(crate) fn queries(&self) -> Vec<ScheduledName> {
        let source: Value = self
            .source
            .as_deref()
            .and_then(|source| serde_json::from_str(source).ok())
            .unwrap_or_default();
        let config = read_source(&self.path, &source);
        let delimiter = pack_delimiter(&source).unwrap_or(PACK_DELIMITERS[0]);
        let packs = config.packs.iter();
        packs
            .flat_map(|pack| {
                pack.queries.iter().map(move |query| ScheduledName {
                    name: pack.query_name(&query.name, delimiter),
                    interval: query.interval,
                })
            })
            .collect()
    }

    /// The same, each with the topic of its lines, where that does not depend on who writes them.
    pub(crate) fn query_topics(&self) -> Vec<(String, String)> {
        let routing = &self.routing;
        let is_of_query = |topic: &String| routing.template.is_none() || !topic.contains("unnamed");
        let queries = self.queries().into_iter();
        queries
            .filter_map(|query| {
                let topic = routing.topic(&LineFacts::of_query(&query.name))?;
                is_of_query(&topic).then_some((query.name, topic))
            })
            .collect()
    }

    /// Says in the log what is left out.
    pub(crate) fn log_findings(&self) {
        for finding in &self.findings {
            tracing::warn!(path = %self.path.display(), "{finding}");
        }
    }

    /// The text of a pack that the configuration names by its path, as the configuration plugin of
    /// osquery's own reads it: relative paths start at the configuration's folder.
    ///
    /// Under the name `*` the value is a pattern, and the text an object of several packs.
    pub(crate) fn pack(&self, name: &str, value: &str) -> Result<String, ConfigurationError> {
        if name == "*" {
            return Ok(Value::Object(files(&self.path).several(value).0).to_string());
        }
        let path = files(&self.path).path(value);
        let unreadable = |source| ConfigurationError::Unreadable {
            path: path.clone(),
            source,
        };
        let bytes = regular_file::read(&path).map_err(unreadable)?;
        let reader = Reader { path: &path };
        let pack = reader.json(&bytes)?;
        reader.object(&pack, "the file")?;
        Ok(pack.to_string())
    }
}

fn is_open_to_all(path: &Path) -> bool {
    const READABLE_BY_OTHERS: u32 = 0o004;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & READABLE_BY_OTHERS != 0)
}

/// Kerberos needs libraries of the machine's, and would be found missing only by who logs in with it.
fn refuse_kerberos(properties: &BTreeMap<String, String>) -> Result<(), ConfigurationError> {
    let get = |name: &str| properties.get(name).map(|value| value.to_ascii_uppercase());
    let (property, mechanism) = ["sasl.mechanisms", "sasl.mechanism"]
        .into_iter()
        .find_map(|name| Some((name, get(name)?)))
        // librdkafka's default.
        .unwrap_or(("sasl.mechanisms", "GSSAPI".to_owned()));
    let uses_sasl = get("security.protocol").is_some_and(|protocol| protocol.starts_with("SASL"));
    if !uses_sasl || mechanism != "GSSAPI" {
        return Ok(());
    }
    Err(ConfigurationError::Property {
        property: property.to_owned(),
        reason: "GSSAPI (Kerberos), which is also what counts when none is given, is not built in; PLAIN, \
                 SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER are"
            .to_owned(),
    })
}

fn files(configuration: &Path) -> PackFiles {
    PackFiles::beside(configuration.parent().unwrap_or(Path::new("")))
}

fn pack_delimiter(source: &Value) -> Option<&str> {
    source.get("options")?.get("pack_delimiter")?.as_str()
}

/// What osquery makes of `source`, on a host whose name nobody knows yet.
fn read_source(path: &Path, source: &Value) -> Config {
    let sources = BTreeMap::from([(String::new(), source.to_string())]);
    // It was an object before it was text.
    Config::parse(&sources, &MachineFacts::of_host(""), &files(path)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
