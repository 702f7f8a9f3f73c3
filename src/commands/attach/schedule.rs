//! Queries that are added to those of the project's hosts.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::error::AttachError;
use crate::engine::native::programs::{Osqueryd, Programs};
use crate::host_config::{self, Finding, HostConfig, HostConfigError};

/// A query of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    name: String,
    statement: String,
}

/// The longest name of a topic that Kafka takes.
const LONGEST_NAME: usize = 249;

/// Reads `NAME=STATEMENT`s.
pub(super) fn read(texts: &[String]) -> Result<Vec<Query>, AttachError> {
    texts.iter().map(|text| Query::read(text)).collect()
}

impl Query {
    fn read(text: &str) -> Result<Self, AttachError> {
        let failed = |reason: &str| AttachError::Query {
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        let (name, statement) = text
            .split_once('=')
            .ok_or_else(|| failed("`NAME=STATEMENT` is expected"))?;
        let (name, statement) = (name.trim(), statement.trim());
        let is_usual = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_usual) {
            return Err(failed(
                "its name is that of a topic: letters, digits, `.`, `_` and `-`, up to 249 of them",
            ));
        }
        if statement.is_empty() {
            return Err(failed("there is no statement behind `=`"));
        }
        Ok(Self {
            name: name.to_owned(),
            statement: statement.to_owned(),
        })
    }
}

/// The configuration with these queries, too.
pub(super) fn with_queries(
    configuration: &str,
    queries: Vec<Query>,
    interval: u32,
) -> Result<String, AttachError> {
    // What the hosts have is an object with a schedule; were it not, the extension would tell.
    let mut document: Value = serde_json::from_str(configuration).unwrap_or_default();
    let Some(schedule) = document
        .pointer_mut("/source/schedule")
        .and_then(Value::as_object_mut)
    else {
        return Ok(configuration.to_owned());
    };
    for Query { name, statement } in queries {
        if schedule.contains_key(&name) {
            return Err(AttachError::QueryTaken { name });
        }
        let query = json!({ "query": statement, "interval": interval, "key": "['hostIdentifier']" });
        schedule.insert(name, query);
    }
    Ok(format!("{document:#}\n"))
}

/// What of the configuration counts for nothing on this machine: what osquery leaves out of it, and the queries that the
/// agent cannot run. What a real osqueryd cannot run, it says in its log.
pub(super) async fn findings(
    configuration: &str,
    programs: &Programs,
) -> Result<Vec<Finding>, HostConfigError> {
    let own = HostConfig {
        // It is the project's by now, in no file.
        path: PathBuf::new(),
        document: serde_json::from_str(configuration).unwrap_or_default(),
        findings: Vec::new(),
    };
    let mut findings = host_config::left_out(&programs.extension, &own).await?;
    if let Osqueryd::Builtin(agent) = &programs.osqueryd {
        for finding in host_config::not_on_agent(agent, &own).await? {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Diagnose;

    fn with(texts: &[&str]) -> Result<Value, AttachError> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let text = with_queries(host_config::DEFAULT, read(&texts)?, 7)?;
        Ok(serde_json::from_str(&text).expect("JSON"))
    }

    #[test]
    fn queries_are_added_to_the_schedule() {
        let document =
            with(&["mounts=select * from mounts where path='/'", "os = select 1"]).expect("queries");
        let schedule = &document["source"]["schedule"];
        assert!(schedule["processes"].is_object(), "those of the hosts stay");
        assert_eq!(
            schedule["mounts"],
            json!({ "query": "select * from mounts where path='/'", "interval": 7, "key": "['hostIdentifier']" })
        );
        assert_eq!(schedule["os"]["query"], "select 1");
    }

    #[test]
    fn what_cannot_be_a_query_is_told() {
        for (text, part) in [
            ("select 1", "`NAME=STATEMENT` is expected"),
            ("a b=select 1", "its name is that of a topic"),
            ("=select 1", "its name is that of a topic"),
            ("a=", "no statement"),
            ("processes=select 1", "have a query `processes` already"),
        ] {
            let error = with(&[text]).expect_err(text);
            assert!(error.to_string().contains(part), "{error}");
            assert_eq!(error.exit_code() as u8, 2);
        }
        assert!(with(&["a=select 1", "a=select 2"]).is_err(), "a name twice");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            if let Ok(query) = Query::read(&text) {
                prop_assert!(text.contains(&query.statement) && text.contains(&query.name));
            }
        }
    }
}
