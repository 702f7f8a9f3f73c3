//! Reads the parts of a configuration, and names the place of what is wrong.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::env;
use std::path::Path;

use osquery_configuration::{Finding, Findings, PackText as _, member, parse_json_bytes};
use serde_json::{Map, Value};

use super::{ConfigurationError, PACK_DELIMITERS, files, refuse_kerberos};
use crate::encoding::formats::{Formats, FormatsError};
use crate::key_expression::KeyExpression;
use crate::options::Misshapen;
use crate::placeholders::resolve;

/// Reads parts of the file that is named in errors.
pub(super) struct Reader<'p> {
    pub(super) path: &'p Path,
}

impl Reader<'_> {
    pub(super) fn json(&self, bytes: &[u8]) -> Result<Value, ConfigurationError> {
        parse_json_bytes(bytes).map_err(|error| ConfigurationError::NotJson {
            path: self.path.to_path_buf(),
            line: error.line,
            column: error.column,
            reason: error.reason,
        })
    }

    pub(super) fn object<'v>(
        &self,
        value: &'v Value,
        member: &str,
    ) -> Result<&'v Map<String, Value>, ConfigurationError> {
        value.as_object().ok_or_else(|| self.shape(member, "an object"))
    }

    /// The formats; the secrets among what they name are added to `secrets`.
    pub(super) fn formats(
        &self,
        root: &Map<String, Value>,
        secrets: &mut Vec<String>,
    ) -> Result<Formats, ConfigurationError> {
        let found = RefCell::new(Vec::new());
        let resolved = |member: &str, text: &str| {
            let resolved = resolve(text, |name| env::var(name).ok());
            let resolved = resolved.map_err(|source| ConfigurationError::Placeholder {
                path: self.path.to_path_buf(),
                member: member.to_owned(),
                source,
            })?;
            let mut found = found.borrow_mut();
            found.extend(resolved.secrets);
            match member.rsplit('.').next() {
                Some("token") => found.push(resolved.text.clone()),
                Some("info") => found.extend(resolved.text.split(':').skip(1).map(str::to_owned)),
                _ => {}
            }
            Ok(resolved.text)
        };
        let unknown = |text| tracing::warn!(path = %self.path.display(), "{text}");
        let formats = Formats::read(root, resolved, unknown).map_err(|error| match error {
            FormatsError::Misshapen(Misshapen { member, expected }) => self.shape(&member, expected),
            FormatsError::Configuration(error) => error,
        });
        secrets.extend(found.into_inner());
        formats
    }

    pub(super) fn properties(
        &self,
        config: &Value,
    ) -> Result<(BTreeMap<String, String>, Vec<String>), ConfigurationError> {
        let mut properties = BTreeMap::new();
        let mut secrets = Vec::new();
        for (name, value) in self.object(config, "config")? {
            let value = match value {
                Value::String(text) => {
                    let resolved = resolve(text, |name| env::var(name).ok());
                    let resolved = resolved.map_err(|source| ConfigurationError::Placeholder {
                        path: self.path.to_path_buf(),
                        member: format!("config.{name}"),
                        source,
                    })?;
                    secrets.extend(resolved.secrets);
                    resolved.text
                }
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                _ => return Err(self.shape(&format!("config.{name}"), "a string, a number, true or false")),
            };
            properties.insert(name.clone(), value);
        }
        if !["bootstrap.servers", "metadata.broker.list"].iter().any(|name| {
            properties
                .get(*name)
                .is_some_and(|servers| !servers.trim().is_empty())
        }) {
            return Err(self.shape("config.bootstrap.servers", "there, such as `broker:9092`"));
        }
        refuse_kerberos(&properties)?;
        Ok((properties, secrets))
    }

    /// Collects the key expressions of the schedule and of the packs, under the names their lines carry. One that is
    /// none does not count, as if it were not there.
    pub(super) fn keys(
        &self,
        source: &Map<String, Value>,
        keys: &mut HashMap<String, KeyExpression>,
        findings: &mut Findings,
    ) {
        let schedule = (source.get("schedule"), "source.schedule");
        self.query_keys(schedule, |name| vec![name.to_owned()], keys, findings);
        let delimiter = source
            .get("options")
            .and_then(|options| options["pack_delimiter"].as_str());
        let delimiters: Vec<&str> = PACK_DELIMITERS.into_iter().chain(delimiter).collect();
        for (pack, value) in source
            .get("packs")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            // Packs that cannot be read are found by who reads them for osquery.
            let packs = match value {
                Value::String(file) => {
                    let text = files(self.path).pack_text(pack, file, &mut Findings::new());
                    let read = text.ok().and_then(|text| parse_json_bytes(text.as_bytes()).ok());
                    match read {
                        Some(Value::Object(several)) if pack == "*" => several,
                        Some(one) => Map::from_iter([(pack.clone(), one)]),
                        None => continue,
                    }
                }
                _ => Map::from_iter([(pack.clone(), value.clone())]),
            };
            for (pack, value) in &packs {
                let name = |query: &str| -> Vec<String> {
                    delimiters
                        .iter()
                        .map(|delimiter| ["pack", pack, query].join(delimiter))
                        .collect()
                };
                let place = member(&member("source.packs", pack), "queries");
                self.query_keys((value.get("queries"), &place), name, keys, findings);
            }
        }
    }

    fn query_keys(
        &self,
        (queries, place): (Option<&Value>, &str),
        names: impl Fn(&str) -> Vec<String>,
        keys: &mut HashMap<String, KeyExpression>,
        findings: &mut Findings,
    ) {
        for (query, value) in queries.and_then(Value::as_object).into_iter().flatten() {
            let Some(key) = value.get("key") else { continue };
            match self.key(key, &format!("the query `{query}`")) {
                Ok(key) => keys.extend(names(query).into_iter().map(|name| (name, key.clone()))),
                Err(error) => {
                    let reason = match error {
                        ConfigurationError::Key {
                            expression, source, ..
                        } => {
                            format!("`{expression}`: {source}")
                        }
                        _ => "it is no text".to_owned(),
                    };
                    findings.push(Finding::new(
                        member(&member(place, query), "key"),
                        format!("The query {query} has no usable key expression, so the file's own counts: {reason}"),
                    ));
                }
            }
        }
    }

    pub(super) fn key(&self, value: &Value, owner: &str) -> Result<KeyExpression, ConfigurationError> {
        let expression = value
            .as_str()
            .ok_or_else(|| self.shape("key", "a key expression in quotes"))?;
        KeyExpression::parse(expression).map_err(|source| ConfigurationError::Key {
            path: self.path.to_path_buf(),
            owner: owner.to_owned(),
            expression: expression.to_owned(),
            source,
        })
    }

    pub(super) fn shape(&self, member: &str, expected: &'static str) -> ConfigurationError {
        ConfigurationError::Shape {
            path: self.path.to_path_buf(),
            member: member.to_owned(),
            expected,
        }
    }
}
