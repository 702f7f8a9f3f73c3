//! One query of the schedule or of a pack.

use serde_json::Value;

use crate::finding::{Finding, Findings, member};
use crate::pack::MachineFacts;
use crate::value;

/// The longest interval osquery takes: a week.
const LONGEST_INTERVAL: u64 = 604_800;

/// A query as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryDefinition {
    /// Its name in the schedule or the pack.
    pub name: String,
    /// Its SQL.
    pub sql: String,
    /// In seconds, before it is splayed.
    pub interval: u64,
    /// Whether all rows are logged each time.
    pub snapshot: bool,
    /// Whether rows that are gone are logged.
    pub removed: bool,
}

impl QueryDefinition {
    /// Reads a query; one that is not for this machine, or that is wrong, gives none, the latter with a finding in
    /// osquery's words.
    pub(crate) fn read(
        name: &str,
        definition: &Value,
        place: &str,
        facts: &MachineFacts,
        findings: &mut Findings,
    ) -> Option<Self> {
        let place = member(place, name);
        let Value::Object(definition) = definition else {
            findings.push(Finding::new(place, format!("The query {name} must be an object")));
            return None;
        };
        if !facts.allow(definition) {
            return None;
        }
        let Some(sql) = definition.get("query").and_then(Value::as_str) else {
            let message = format!("No query string defined for query {name}");
            findings.push(Finding::new(member(&place, "query"), message));
            return None;
        };
        let written = definition.get("interval");
        let interval = written.map_or(Some(facts.default_interval), value::number);
        let Some(interval) = interval.filter(|interval| (1..=LONGEST_INTERVAL).contains(interval)) else {
            let written = written
                .and_then(value::text)
                .unwrap_or_else(|| "not a number".to_owned());
            let message = format!(
                "Query has invalid interval: {name}: {written} (osquery takes 1 to {LONGEST_INTERVAL} seconds)"
            );
            findings.push(Finding::new(member(&place, "interval"), message));
            return None;
        };
        if sql.trim().is_empty() {
            findings.push(Finding::new(
                member(&place, "query"),
                format!("The query {name} is empty"),
            ));
            return None;
        }
        Some(Self {
            name: name.to_owned(),
            sql: sql.to_owned(),
            interval,
            snapshot: definition.get("snapshot").is_some_and(value::switch),
            removed: definition.get("removed").is_none_or(value::switch),
        })
    }
}
