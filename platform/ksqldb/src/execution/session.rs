//! What a request sets for itself: properties (`SET`) and variables (`DEFINE`).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::properties;
use crate::syntax::ast::{ParsedStatement, Statement};
use crate::syntax::variables::{MOST_TEXT, Variables, substitute};
use crate::syntax::{self, NamedTypes, RawStatement, SyntaxError};

/// How much text all the statements of a request may become when their variables are replaced, in bytes.
const MOST_REPLACED: usize = 8 * MOST_TEXT;

/// The properties and variables in force. It lives as long as its request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Session {
    /// The properties.
    pub(crate) properties: BTreeMap<String, Json>,
    /// The variables.
    pub(crate) variables: Variables,
    /// What the names of `CREATE TYPE` stand for.
    types: Arc<NamedTypes>,
    /// How much text the statements read so far have become.
    replaced: usize,
}

impl Session {
    /// A session with what the request's body sets; the error is the message for the client.
    pub(crate) fn new(
        properties: BTreeMap<String, Json>,
        variables: &BTreeMap<String, Json>,
        types: Arc<NamedTypes>,
    ) -> Result<Self, String> {
        for (name, value) in &properties {
            properties::check(name, value)?;
        }
        let mut session = Self {
            properties,
            variables: Variables::default(),
            types,
            replaced: 0,
        };
        for (name, value) in variables {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            session.variables.define(name, &value);
        }
        Ok(session)
    }

    /// Reads a statement with the variables that are set by now.
    pub(crate) fn parse(&mut self, raw: &RawStatement<'_>) -> Result<ParsedStatement, SyntaxError> {
        if raw.text.contains("${") {
            let text = substitute(raw.text, raw.position, &self.variables)?;
            self.replaced += text.len();
            if self.replaced > MOST_REPLACED {
                return Err(SyntaxError::new(
                    raw.position,
                    format!(
                        "the statements of the request have more than {MOST_REPLACED} bytes once their variables \
                         are replaced"
                    ),
                    raw.text,
                ));
            }
            syntax::parse_statement_with(&text, raw.position, &self.types)
        } else {
            syntax::parse_statement_with(raw.text, raw.position, &self.types)
        }
    }

    /// Notes what a statement does to the names of types, for the statements of the request that are read after it.
    pub(crate) fn note_types(&mut self, statement: &Statement) {
        match statement {
            Statement::CreateType { name, sql_type, .. } if !self.types.contains_key(name) => {
                Arc::make_mut(&mut self.types).insert(name.clone(), sql_type.clone());
            }
            Statement::DropType { name, .. } => {
                Arc::make_mut(&mut self.types).remove(name);
            }
            _ => {}
        }
    }

    /// Executes a statement about the session itself; `None` where it is about something else.
    pub(crate) fn execute(&mut self, statement: &Statement) -> Option<Result<(), String>> {
        Some(match statement {
            Statement::SetProperty { name, value } => {
                let value = Json::from(value.as_str());
                properties::check(name, &value).map(|()| {
                    self.properties.insert(name.clone(), value);
                })
            }
            Statement::UnsetProperty { name } => properties::check_name(name).map(|()| {
                self.properties.remove(name);
            }),
            Statement::Define { name, value } => {
                self.variables.define(name, value);
                Ok(())
            }
            Statement::Undefine { name } => {
                self.variables.undefine(name);
                Ok(())
            }
            _ => return None,
        })
    }
}
