//! The extension's own options, beside `config` and `source` in its configuration file.
//!
//! ```json
//! { "spool": { "dir": "/var/lib/osqdemo/spool", "max_bytes": 268435456, "when_full": "drop_newest", "sync": "interval" },
//!   "headers": true,
//!   "status_topic": "osquery-status",
//!   "compression": "zstd",
//!   "extension_name": "confluent_cloud" }
//! ```
//! `"spool": "off"` keeps lines in memory only. `confluent.schema.json` describes the whole file.

use std::env;
use std::path::PathBuf;

use osquery_protocol::result_log::is_topic_name;
use serde_json::{Map, Value};

use crate::EXTENSION_NAMES;
use crate::courier::SyncPolicy;
use crate::outbox::WhenFull;

/// The members of the configuration file that mean something.
pub(crate) const MEMBERS: [&str; 12] = [
    "$schema",
    "compression",
    "config",
    "extension_name",
    "headers",
    "key",
    "schema_registry",
    "source",
    "spool",
    "status_topic",
    "topic",
    "topics",
];
/// How batches may be compressed.
pub(crate) const COMPRESSIONS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
/// The members of `spool`.
const SPOOL_MEMBERS: [&str; 4] = ["dir", "max_bytes", "sync", "when_full"];

/// The environment variable that names the spool's folder when the file does not; osqdemo sets it for its hosts.
const FOLDER_VARIABLE: &str = "OSQDEMO_SPOOL_DIR";
/// The folder when neither does.
const DEFAULT_FOLDER: &str = "/var/lib/osqdemo/spool";
const DEFAULT_MAX_BYTES: u64 = 256 * 1024 * 1024;
const SMALLEST_MAX_BYTES: u64 = 1024 * 1024;

/// What the file says of the extension itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    /// Where lines wait; `None` for memory.
    pub(crate) spool: Option<SpoolOptions>,
    /// Whether records get headers.
    pub(crate) headers: bool,
    /// The topic of osqueryd's own log lines.
    pub(crate) status_topic: Option<String>,
    /// librdkafka's `compression.type`.
    pub(crate) compression: Option<&'static str>,
    /// The name to register under, whatever osqueryd waits for.
    pub(crate) extension_name: Option<&'static str>,
}

/// What the file says of the spool.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SpoolOptions {
    pub(crate) folder: PathBuf,
    pub(crate) max_bytes: u64,
    pub(crate) when_full: WhenFull,
    pub(crate) sync: SyncPolicy,
}

/// A member that has another shape than it must.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misshapen {
    pub(crate) member: String,
    pub(crate) expected: &'static str,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        let named = env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty());
        Self {
            folder: named.map_or_else(|| DEFAULT_FOLDER.into(), PathBuf::from),
            max_bytes: DEFAULT_MAX_BYTES,
            when_full: WhenFull::default(),
            sync: SyncPolicy::default(),
        }
    }
}

impl Options {
    /// Reads them out of the file's top level. Members that mean nothing are reported as such.
    pub(crate) fn read(
        root: &Map<String, Value>,
        mut unknown: impl FnMut(String),
    ) -> Result<Self, Misshapen> {
        report_unknown(root, "", &MEMBERS, &mut unknown);
        let spool = match root.get("spool") {
            None => Some(SpoolOptions::default()),
            Some(Value::String(off)) if off == "off" => None,
            Some(Value::Object(spool)) => {
                report_unknown(spool, "spool.", &SPOOL_MEMBERS, &mut unknown);
                Some(SpoolOptions::read(spool)?)
            }
            Some(_) => return Err(misshapen("spool", "an object, or \"off\"")),
        };
        let headers = match root.get("headers") {
            None => true,
            Some(headers) => headers
                .as_bool()
                .ok_or_else(|| misshapen("headers", "true or false"))?,
        };
        let status_topic = match root.get("status_topic") {
            None => None,
            Some(topic) => {
                let topic = topic.as_str().filter(|topic| is_topic_name(topic));
                Some(
                    topic
                        .ok_or_else(|| misshapen("status_topic", "the name of a Kafka topic"))?
                        .to_owned(),
                )
            }
        };
        let compression = choice(
            root,
            "compression",
            &COMPRESSIONS,
            "none, gzip, snappy, lz4 or zstd",
        )?;
        let extension_name = choice(
            root,
            "extension_name",
            &EXTENSION_NAMES,
            "confluent or confluent_cloud",
        )?;
        Ok(Self {
            spool,
            headers,
            status_topic,
            compression,
            extension_name,
        })
    }
}

impl SpoolOptions {
    fn read(spool: &Map<String, Value>) -> Result<Self, Misshapen> {
        let mut options = Self::default();
        if let Some(folder) = spool.get("dir") {
            let folder = folder
                .as_str()
                .map(PathBuf::from)
                .filter(|folder| folder.is_absolute());
            options.folder = folder.ok_or_else(|| misshapen("spool.dir", "the absolute path of a folder"))?;
        }
        if let Some(bytes) = spool.get("max_bytes") {
            let bytes = bytes.as_u64().filter(|bytes| *bytes >= SMALLEST_MAX_BYTES);
            options.max_bytes =
                bytes.ok_or_else(|| misshapen("spool.max_bytes", "a number of bytes, 1048576 at least"))?;
        }
        if let Some(when_full) = spool.get("when_full") {
            options.when_full = match when_full.as_str() {
                Some("drop_newest") => WhenFull::DropNewest,
                Some("drop_oldest") => WhenFull::DropOldest,
                _ => return Err(misshapen("spool.when_full", "\"drop_newest\" or \"drop_oldest\"")),
            };
        }
        if let Some(sync) = spool.get("sync") {
            options.sync = match sync.as_str() {
                Some("interval") => SyncPolicy::Interval,
                Some("always") => SyncPolicy::Always,
                Some("process") => SyncPolicy::Process,
                _ => return Err(misshapen("spool.sync", "\"interval\", \"always\" or \"process\"")),
            };
        }
        Ok(options)
    }
}

fn choice(
    root: &Map<String, Value>,
    member: &str,
    choices: &[&'static str],
    expected: &'static str,
) -> Result<Option<&'static str>, Misshapen> {
    let Some(value) = root.get(member) else {
        return Ok(None);
    };
    let chosen = choices.iter().find(|choice| value.as_str() == Some(choice));
    chosen
        .map(|chosen| Some(*chosen))
        .ok_or_else(|| misshapen(member, expected))
}

pub(crate) fn misshapen(member: &str, expected: &'static str) -> Misshapen {
    Misshapen {
        member: member.to_owned(),
        expected,
    }
}

pub(crate) fn report_unknown(
    object: &Map<String, Value>,
    prefix: &str,
    known: &[&str],
    unknown: &mut impl FnMut(String),
) {
    for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
        let near = known
            .iter()
            .map(|known| (strsim::damerau_levenshtein(known, name), known))
            .filter(|(distance, _)| *distance <= 2)
            .min();
        let meant = near.map_or_else(
            || format!("there are {}", known.join(", ")),
            |(_, near)| format!("did you mean `{prefix}{near}`?"),
        );
        unknown(format!(
            "the configuration's `{prefix}{name}` means nothing here; {meant}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::encoding::formats::{REGISTRY_MEMBERS, TOPICS_MEMBERS};

    fn read(root: &Value) -> (Result<Options, Misshapen>, Vec<String>) {
        let mut unknown = Vec::new();
        let options = Options::read(root.as_object().unwrap(), |text| unknown.push(text));
        (options, unknown)
    }

    #[test]
    fn every_option_is_read() {
        let (options, unknown) = read(&json!({
            "$schema": "x", "config": {}, "headers": false, "status_topic": "s", "compression": "zstd",
            "extension_name": "confluent_cloud",
            "spool": { "dir": "/s", "max_bytes": 2097152, "when_full": "drop_oldest", "sync": "always" },
        }));
        let spool = SpoolOptions {
            folder: "/s".into(),
            max_bytes: 2_097_152,
            when_full: WhenFull::DropOldest,
            sync: SyncPolicy::Always,
        };
        let expected = Options {
            spool: Some(spool),
            headers: false,
            status_topic: Some("s".to_owned()),
            compression: Some("zstd"),
            extension_name: Some("confluent_cloud"),
        };
        assert_eq!(options, Ok(expected));
        assert!(unknown.is_empty(), "{unknown:?}");
        assert_eq!(read(&json!({ "spool": "off" })).0.unwrap().spool, None);
    }

    #[test]
    fn mistakes_are_named() {
        for (root, member) in [
            (json!({ "spool": "on" }), "spool"),
            (json!({ "spool": { "dir": "spool" } }), "spool.dir"),
            (json!({ "spool": { "max_bytes": 1000 } }), "spool.max_bytes"),
            (json!({ "spool": { "when_full": "wait" } }), "spool.when_full"),
            (json!({ "spool": { "sync": true } }), "spool.sync"),
            (json!({ "headers": "no" }), "headers"),
            (json!({ "status_topic": "a b" }), "status_topic"),
            (json!({ "compression": "zip" }), "compression"),
            (json!({ "extension_name": "mine" }), "extension_name"),
        ] {
            assert_eq!(read(&root).0.unwrap_err().member, member);
        }
    }

    /// The schema says what is read here, and nothing else.
    #[test]
    fn the_schema_has_every_member() {
        let schema: Value = serde_json::from_str(include_str!("../confluent.schema.json")).unwrap();
        let names = |object: &Value| {
            let mut names: Vec<String> = object.as_object().unwrap().keys().cloned().collect();
            names.sort();
            names
        };
        assert_eq!(names(&schema["properties"]), MEMBERS);
        let spool = &schema["properties"]["spool"]["oneOf"][1]["properties"];
        assert_eq!(names(spool), SPOOL_MEMBERS);
        let topics = &schema["properties"]["topics"]["properties"];
        assert_eq!(names(topics), TOPICS_MEMBERS);
        let registry = &schema["properties"]["schema_registry"]["properties"];
        assert_eq!(names(registry), REGISTRY_MEMBERS);
        assert_eq!(schema["properties"]["compression"]["enum"], json!(COMPRESSIONS));
        assert_eq!(
            schema["properties"]["extension_name"]["enum"],
            json!(EXTENSION_NAMES)
        );
    }

    #[test]
    fn an_unknown_member_is_named_with_what_was_meant() {
        let (_, unknown) = read(&json!({ "sppol": {}, "spool": { "max_byte": 1 << 20 }, "colour": 1 }));
        assert!(
            unknown[0].contains("`sppol`") && unknown[0].contains("did you mean `spool`?"),
            "{unknown:?}"
        );
        assert!(
            unknown
                .iter()
                .any(|text| text.contains("did you mean `spool.max_bytes`?")),
            "{unknown:?}"
        );
        assert!(
            unknown
                .iter()
                .any(|text| text.contains("`colour`") && text.contains("there are $schema")),
            "{unknown:?}"
        );
    }
}
