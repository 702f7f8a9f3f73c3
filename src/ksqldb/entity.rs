//! What a statement answers.

use serde_json::{Map, Value};

use super::error::{self, ServerError};

/// One result of `/ksql`: an object whose `@type` tells its shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    body: Map<String, Value>,
}

impl Entity {
    /// The shape, such as `currentStatus` or `streams`.
    pub fn kind(&self) -> &str {
        self.text("@type").unwrap_or_default()
    }

    /// The object itself.
    pub fn body(&self) -> &Map<String, Value> {
        &self.body
    }

    /// A field that is text.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.body.get(field)?.as_str()
    }

    /// The message of a created, dropped or terminated thing, or of a warning.
    pub fn message(&self) -> Option<&str> {
        match self.body.get("commandStatus") {
            Some(status) => status.get("message")?.as_str(),
            None => self.text("message"),
        }
    }

    /// The names of the streams or tables that it lists.
    pub fn source_names(&self) -> Vec<String> {
        let names = ["streams", "tables"].map(|field| self.listed(field, "name"));
        names.concat()
    }

    /// The queries that it lists.
    pub fn query_ids(&self) -> Vec<String> {
        self.listed("queries", "id")
    }

    fn listed(&self, list: &str, field: &str) -> Vec<String> {
        let listed = self.body.get(list).and_then(Value::as_array);
        listed
            .into_iter()
            .flatten()
            .filter_map(|listed| Some(listed.get(field)?.as_str()?.to_owned()))
            .collect()
    }

    /// The persistent query that a statement started.
    pub fn query_id(&self) -> Option<&str> {
        let id = self.body.get("commandStatus")?.get("queryId")?.as_str()?;
        Some(id).filter(|id| !id.is_empty())
    }

    /// Whether the server says that what was to be created is there already.
    pub fn is_already_exists(&self) -> bool {
        self.kind() == "warning_entity" && self.message().is_some_and(error::says_already_exists)
    }

    /// What ksqlDB warns of, such as a join without a grace period.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.body
            .get("warnings")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|warning| warning.get("message")?.as_str())
    }

    /// The error of a command that was accepted and then failed.
    pub(super) fn failure(&self) -> Option<ServerError> {
        let status = self.body.get("commandStatus")?;
        (status.get("status")?.as_str()? == "ERROR").then(|| ServerError {
            code: error::BAD_STATEMENT,
            message: self.message().unwrap_or_default().to_owned(),
            statement: self.text("statementText").map(str::to_owned),
        })
    }
}

impl TryFrom<Value> for Entity {
    type Error = ();

    fn try_from(value: Value) -> std::result::Result<Self, ()> {
        match value {
            Value::Object(body) => Ok(Self { body }),
            _ => Err(()),
        }
    }
}
