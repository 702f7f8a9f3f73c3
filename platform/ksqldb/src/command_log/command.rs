//! A command of the log, and what is left behind by those that are done.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Again, MOST_LEFT};
use crate::registry::Latest;

/// An executed command.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Command {
    /// The statement.
    pub(crate) statement: String,
    /// `stream/PROC/create`
    pub(crate) command_id: String,
    /// The properties of the request and of its `SET`s.
    #[serde(default)]
    pub(crate) streams_properties: BTreeMap<String, serde_json::Value>,
    /// The sequence number the command was written for. A retry can write one twice; the second is ignored.
    pub(crate) sequence: i64,
    /// The id of the query it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) query_id: Option<String>,
    /// Where the query begins: by topic, an offset for each partition.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) starting_offsets: BTreeMap<String, Vec<i64>>,
    /// What goes with the topic that it deletes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) leavings: Option<Leavings>,
    /// Of a mark that is no command: the command whose leavings are gone, or are not to be deleted any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cleaned: Option<i64>,
    /// Set where it is written once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) again: Option<Again>,
}

/// What is left behind where a crash, or a registry that is away, comes between a topic's end and that of its subjects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leavings {
    /// The topic.
    pub(crate) topic: String,
    /// Its subjects, with what was in them: whatever is registered there later is not deleted.
    #[serde(default)]
    pub(crate) latest: BTreeMap<String, Latest>,
}

impl Command {
    /// The mark that a command's leavings are gone.
    pub(crate) fn cleaned(of: i64, sequence: i64) -> Self {
        Self {
            command_id: format!("log/{of}/clean"),
            sequence,
            cleaned: Some(of),
            ..Self::default()
        }
    }

    /// The mark that a command, itself past, has left something behind.
    pub(super) fn left(of: i64, leavings: Leavings) -> Self {
        Self {
            command_id: format!("log/{of}/left"),
            sequence: of,
            leavings: Some(leavings),
            ..Self::default()
        }
    }

    /// Whether it is a mark, which says something of commands and is none.
    pub(crate) fn is_mark(&self) -> bool {
        self.statement.is_empty()
    }
}

/// What commands have left behind, by the command's number.
#[derive(Debug, Default)]
pub(super) struct LeftBehind(pub(super) BTreeMap<i64, Leavings>);

impl LeftBehind {
    pub(super) fn note(&mut self, command: &Command) {
        if let Some(leavings) = &command.leavings {
            self.0.insert(command.sequence, leavings.clone());
            if self.0.len() > MOST_LEFT {
                self.0.pop_first();
            }
        }
        if let Some(sequence) = command.cleaned {
            self.0.remove(&sequence);
        }
    }
}
