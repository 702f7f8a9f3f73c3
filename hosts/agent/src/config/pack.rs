//! Packs: named sets of queries with conditions. The schedule itself is the pack `main`, as inside osquery.

use serde_json::{Map, Value};
use sha1::Digest as _;

use super::query::QueryDefinition;
use super::{PackText, json_text, value};

/// A pack that may run on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pack {
    name: String,
    /// All of these must have a row for the pack to run.
    pub(crate) discovery: Vec<String>,
    /// Sorted by name, as osquery runs them.
    pub(crate) queries: Vec<QueryDefinition>,
}

/// What conditions are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MachineFacts {
    pub(crate) hostname: String,
    pub(crate) version: &'static str,
    pub(crate) default_interval: u64,
}

impl Pack {
    pub(super) fn main() -> Self {
        Self {
            name: "main".to_owned(),
            discovery: Vec::new(),
            queries: Vec::new(),
        }
    }

    #[cfg(test)]
    pub(crate) fn for_tests(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::main()
        }
    }

    /// The name a query's lines bear.
    pub(crate) fn query_name(&self, query: &str, delimiter: &str) -> String {
        match self.name.as_str() {
            "main" | "legacy_main" => query.to_owned(),
            pack => format!("pack{delimiter}{pack}{delimiter}{query}"),
        }
    }

    pub(super) fn read_queries(
        &mut self,
        queries: &Map<String, Value>,
        facts: &MachineFacts,
        warnings: &mut Vec<String>,
    ) {
        for (name, definition) in queries {
            if let Some(query) = QueryDefinition::read(name, definition, facts, warnings) {
                // A later source replaces a query of the same name.
                self.queries.retain(|known| known.name != query.name);
                self.queries.push(query);
            }
        }
        self.queries.sort_by(|one, other| one.name.cmp(&other.name));
    }
}

/// Reads an entry of `packs`: a pack, or the text under which the configuration plugin keeps one (or, as `*`, several).
pub(super) fn read(
    name: &str,
    entry: &Value,
    facts: &MachineFacts,
    packs: &dyn PackText,
    warnings: &mut Vec<String>,
) -> Vec<Pack> {
    match entry {
        Value::Object(pack) => one(name, pack, facts, warnings).into_iter().collect(),
        Value::String(text) => {
            let read = packs
                .pack_text(name, text)
                .and_then(|text| json_text::parse(&text).map_err(|error| format!("it is not JSON: {error}")));
            match read {
                Ok(Value::Object(several)) if name == "*" => {
                    let members = several
                        .iter()
                        .filter_map(|(name, pack)| Some((name, pack.as_object()?)));
                    members
                        .filter_map(|(name, pack)| one(name, pack, facts, warnings))
                        .collect()
                }
                Ok(Value::Object(pack)) => one(name, &pack, facts, warnings).into_iter().collect(),
                Ok(_) => {
                    warnings.push(format!("The pack {name} is not a JSON object"));
                    Vec::new()
                }
                Err(reason) => {
                    warnings.push(format!("The pack {name} cannot be read: {reason}"));
                    Vec::new()
                }
            }
        }
        _ => {
            warnings.push(format!("The pack {name} must be an object or a string"));
            Vec::new()
        }
    }
}

fn one(
    name: &str,
    pack: &Map<String, Value>,
    facts: &MachineFacts,
    warnings: &mut Vec<String>,
) -> Option<Pack> {
    if !facts.allow(pack) {
        return None;
    }
    let discovery = pack.get("discovery").map(value::texts).unwrap_or_default();
    let mut read = Pack {
        name: name.to_owned(),
        discovery,
        queries: Vec::new(),
    };
    if let Some(queries) = pack.get("queries").and_then(Value::as_object) {
        read.read_queries(queries, facts, warnings);
    }
    Some(read)
}

impl MachineFacts {
    /// Whether `platform`, `version` and `shard` of a pack or a query hold here.
    pub(super) fn allow(&self, conditions: &Map<String, Value>) -> bool {
        let text = |key: &str| conditions.get(key).and_then(Value::as_str);
        let shard = conditions.get("shard").and_then(value::number).unwrap_or(0);
        text("platform").is_none_or(is_linux)
            && text("version").is_none_or(|version| self.is_at_least(version))
            && (shard == 0 || shard >= self.shard())
    }

    fn is_at_least(&self, version: &str) -> bool {
        if version.is_empty() || version == "null" {
            return true;
        }
        let numbers = |version: &str| -> Vec<u64> {
            version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
        };
        numbers(self.version) >= numbers(version)
    }

    /// Where this machine falls between 0 and 100: the first byte of its name's digest.
    fn shard(&self) -> u64 {
        u64::from(sha1::Sha1::digest(&self.hostname)[0]) * 100 / 255
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn for_tests() -> Self {
        Self {
            hostname: "host1".into(),
            version: crate::agent_status::OSQUERY_VERSION,
            default_interval: 3600,
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
        let facts = MachineFacts::for_tests();
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
