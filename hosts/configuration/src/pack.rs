//! Packs: named sets of queries with conditions. The schedule itself is the pack `main`, as inside osquery.

use serde_json::{Map, Value};
use sha1::Digest as _;

use crate::file_paths::FilePaths;
use crate::finding::{Finding, Findings, member};
use crate::pack_text::PackText;
use crate::query::QueryDefinition;
use crate::{OSQUERY_VERSION, json_text, value};

/// osquery's `schedule_default_interval`.
const DEFAULT_INTERVAL: u64 = 3600;

/// A pack that may run on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// Its name; `main` for the schedule itself.
    pub name: String,
    /// For which platforms it is, as it was written.
    pub platform: String,
    /// From which osquery on, as it was written.
    pub version: String,
    /// For which part of the machines it is, from 1 to 100; 0 is all.
    pub shard: u64,
    /// All of these must have a row for the pack to run.
    pub discovery: Vec<String>,
    /// Sorted by name, as osquery runs them.
    pub queries: Vec<QueryDefinition>,
    /// The files that it wants watched.
    pub(crate) file_paths: FilePaths,
}

/// What conditions are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineFacts {
    /// Decides in which shard the machine is.
    pub hostname: String,
    /// The interval of a query that has none, in seconds.
    pub default_interval: u64,
}

impl Pack {
    pub(crate) fn main() -> Self {
        Self::named("main")
    }

    /// A pack without queries.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            platform: String::new(),
            version: String::new(),
            shard: 0,
            discovery: Vec::new(),
            queries: Vec::new(),
            file_paths: FilePaths::default(),
        }
    }

    /// The name a query's lines bear.
    pub fn query_name(&self, query: &str, delimiter: &str) -> String {
        match self.name.as_str() {
            "main" => query.to_owned(),
            pack => format!("pack{delimiter}{pack}{delimiter}{query}"),
        }
    }

    pub(crate) fn read_queries(
        &mut self,
        queries: &Map<String, Value>,
        place: &str,
        facts: &MachineFacts,
        findings: &mut Findings,
    ) {
        for (name, definition) in queries {
            if let Some(query) = QueryDefinition::read(name, definition, place, facts, findings) {
                // A later source replaces a query of the same name.
                self.queries.retain(|known| known.name != query.name);
                self.queries.push(query);
            }
        }
        self.queries.sort_by(|one, other| one.name.cmp(&other.name));
    }
}

/// Reads an entry of `packs`: a pack, or the text under which the configuration plugin keeps one (or, as `*`, several).
pub(crate) fn read(
    name: &str,
    entry: &Value,
    facts: &MachineFacts,
    packs: &dyn PackText,
    findings: &mut Findings,
) -> Vec<Pack> {
    let place = member("packs", name);
    match entry {
        Value::Object(pack) => one(name, pack, facts, findings).into_iter().collect(),
        Value::String(text) => {
            let read = packs
                .pack_text(name, text, findings)
                .and_then(|text| json_text::parse(&text).map_err(|error| format!("it is not JSON: {error}")));
            match read {
                Ok(Value::Object(several)) if name == "*" => several
                    .iter()
                    .filter_map(|(name, pack)| match pack {
                        Value::Object(pack) => one(name, pack, facts, findings),
                        _ => {
                            findings.push(Finding::new(
                                member("packs", name),
                                format!("The pack {name} is not a JSON object"),
                            ));
                            None
                        }
                    })
                    .collect(),
                Ok(Value::Object(pack)) => one(name, &pack, facts, findings).into_iter().collect(),
                Ok(_) => {
                    findings.push(Finding::new(
                        place,
                        format!("The pack {name} is not a JSON object"),
                    ));
                    Vec::new()
                }
                Err(reason) => {
                    findings.push(Finding::new(
                        place,
                        format!("The pack {name} cannot be read: {reason}"),
                    ));
                    Vec::new()
                }
            }
        }
        _ => {
            findings.push(Finding::new(
                place,
                format!("The pack {name} must be an object or a string"),
            ));
            Vec::new()
        }
    }
}

fn one(name: &str, pack: &Map<String, Value>, facts: &MachineFacts, findings: &mut Findings) -> Option<Pack> {
    // A pack for another platform is not even looked at, as in osquery.
    if !facts.allow(pack) {
        return None;
    }
    let text = |key: &str| {
        pack.get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let place = member("packs", name);
    let mut read = Pack {
        platform: text("platform"),
        version: text("version"),
        shard: pack.get("shard").and_then(value::number).unwrap_or(0),
        discovery: pack.get("discovery").map(value::texts).unwrap_or_default(),
        ..Pack::named(name)
    };
    match pack.get("queries") {
        Some(Value::Object(queries)) => {
            read.read_queries(queries, &member(&place, "queries"), facts, findings);
        }
        Some(_) => findings.push(Finding::new(
            member(&place, "queries"),
            format!("No queries defined for pack {name}: `queries` is not an object"),
        )),
        None => {}
    }
    read.file_paths.read(pack, &place, findings);
    Some(read)
}

impl MachineFacts {
    /// Whether `platform`, `version` and `shard` of a pack or a query hold here.
    pub(crate) fn allow(&self, conditions: &Map<String, Value>) -> bool {
        let text = |key: &str| conditions.get(key).and_then(Value::as_str);
        let shard = conditions.get("shard").and_then(value::number).unwrap_or(0);
        text("platform").is_none_or(is_linux)
            && text("version").is_none_or(Self::is_at_least)
            && (shard == 0 || shard >= self.shard())
    }

    fn is_at_least(version: &str) -> bool {
        if version.is_empty() || version == "null" {
            return true;
        }
        let numbers = |version: &str| -> Vec<u64> {
            version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
        };
        numbers(OSQUERY_VERSION) >= numbers(version)
    }

    /// Where this machine falls between 0 and 100: the first byte of its name's digest.
    fn shard(&self) -> u64 {
        u64::from(sha1::Sha1::digest(&self.hostname)[0]) * 100 / 255
    }

    /// Those of a machine of that name, with osquery's default interval.
    pub fn of_host(hostname: impl Into<String>) -> Self {
        Self {
            hostname: hostname.into(),
            default_interval: DEFAULT_INTERVAL,
        }
    }
}

/// osquery's test: a word anywhere in the text counts.
fn is_linux(platform: &str) -> bool {
    const WORDS: [&str; 8] = [
        "any", "all", "posix", "linux", "ubuntu", "centos", "rhel", "debian",
    ];
    platform.is_empty() || platform == "null" || WORDS.iter().any(|word| platform.contains(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_are_osquerys() {
        let facts = MachineFacts::of_host("host1");
        let allow = |conditions: Value| facts.allow(conditions.as_object().unwrap());
        for platform in ["linux", "any", "darwin,linux", "posix", "", "ubuntu"] {
            assert!(allow(json!({"platform": platform})), "{platform}");
        }
        for platform in ["windows", "darwin", "freebsd"] {
            assert!(!allow(json!({"platform": platform})), "{platform}");
        }
        assert!(
            allow(json!({"version": "4.9"}))
                && allow(json!({"version": "5.23.0"}))
                && !allow(json!({"version": "5.24"}))
        );
        let shard = facts.shard();
        assert!(allow(json!({"shard": shard})) && allow(json!({"shard": 100})) && allow(json!({"shard": 0})));
        assert!(shard < 2 || !allow(json!({"shard": shard - 1})));
    }
}
