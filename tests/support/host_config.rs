//! Host configurations for tests: the default one with changes, as a user would make them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// What must never be seen anywhere.
pub(crate) const SECRET: &str = "S3cret-hunter22";

/// The default configuration, as the repository has it.
pub(crate) fn default_document() -> Value {
    serde_json::from_str(include_str!("../../hosts/image/osqdemo.json")).expect("valid JSON")
}

/// Writes a configuration with a query `uptime` more, a pack in a file beside it, and a secret. The librdkafka of the
/// extension accepts the password without using it.
pub(crate) fn write_own(folder: &Path, interval: u32) -> PathBuf {
    let mut document = default_document();
    document["config"]["sasl.password"] = json!(SECRET);
    document["source"]["schedule"]["uptime"] = json!({ "query": "select total_seconds from uptime;", "interval": interval, "key": "['hostIdentifier']" });
    document["source"]["packs"] = json!({ "people": "packs/people.json" });
    let pack = json!({ "queries": { "who": { "query": "select username from users;", "interval": 1 } } });
    fs::create_dir_all(folder.join("packs")).expect("a folder");
    fs::write(folder.join("packs/people.json"), pack.to_string()).expect("a pack");
    let path = folder.join("my.json");
    fs::write(&path, format!("{document:#}")).expect("a configuration");
    path
}
