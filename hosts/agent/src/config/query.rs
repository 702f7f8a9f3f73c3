//! One query of the schedule or of a pack.

use serde_json::Value;

use super::pack::MachineFacts;
use super::value;

/// The longest interval osquery takes: a week.
const LONGEST_INTERVAL: u64 = 604_800;

/// A query as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueryDefinition {
    pub(crate) name: String,
    pub(crate) sql: String,
    /// In seconds, before it is splayed.
    pub(crate) interval: u64,
    pub(crate) snapshot: bool,
    /// Whether rows that are gone are logged.
    pub(crate) removed: bool,
}

impl QueryDefinition {
    /// Reads a query; one that is not for this machine, or that is wrong, gives none, the latter with a warning in
    /// osquery's words.
    pub(super) fn read(
        name: &str,
        definition: &Value,
        facts: &MachineFacts,
        warnings: &mut Vec<String>,
    ) -> Option<Self> {
        let Value::Object(definition) = definition else {
            warnings.push(format!("The query {name} must be an object"));
            return None;
        };
        if !facts.allow(definition) {
            return None;
        }
        let Some(sql) = definition.get("query").and_then(Value::as_str) else {
            warnings.push(format!("No query string defined for query {name}"));
            return None;
        };
        let written = definition.get("interval");
        let interval = written.map_or(Some(facts.default_interval), value::number);
        let Some(interval) = interval.filter(|interval| (1..=LONGEST_INTERVAL).contains(interval)) else {
            let written = written
                .and_then(value::text)
                .unwrap_or_else(|| "not a number".to_owned());
            warnings.push(format!("Query has invalid interval: {name}: {written}"));
            return None;
        };
        Some(Self {
            name: name.to_owned(),
            sql: sql.to_owned(),
            interval,
            snapshot: definition.get("snapshot").is_some_and(value::switch),
            removed: definition.get("removed").is_none_or(value::switch),
        })
    }
}
