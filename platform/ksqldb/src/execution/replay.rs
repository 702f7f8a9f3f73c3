//! The command log brought back to life: each command decided and applied again, with what it decided then.

use std::collections::BTreeMap;

use super::catalog::{Catalog, Change, Circumstances, Decision};
use super::entity::CommandStatus;
use crate::command_log::Command;
use crate::syntax;

/// Applies commands that were read from the log.
pub(super) fn replay(
    catalog: &mut Catalog,
    statuses: &mut BTreeMap<String, CommandStatus>,
    commands: &[(i64, Command)],
) {
    let mut last = None;
    for (offset, command) in commands {
        if last == Some(command.sequence) {
            // A retried write put the same command there twice.
            continue;
        }
        last = Some(command.sequence);
        match replayed(catalog, command) {
            Ok(Decision::Change(change)) => {
                catalog.apply(&change);
                statuses.insert(command.command_id.clone(), success(&change));
            }
            Ok(Decision::Unneeded(_)) => {}
            Err(message) => {
                tracing::error!("command {offset} cannot be replayed and is skipped: {message}");
                let status = CommandStatus {
                    status: "ERROR",
                    message,
                    query_id: None,
                };
                statuses.insert(command.command_id.clone(), status);
            }
        }
    }
}

fn replayed(catalog: &Catalog, command: &Command) -> Result<Decision, String> {
    let raw = syntax::split(&command.statement).map_err(|error| error.to_string())?;
    let [raw] = raw.as_slice() else {
        return Err("the command is not one statement".to_owned());
    };
    let parsed = syntax::parse_statement(raw.text, raw.position).map_err(|error| error.to_string())?;
    let circumstances = Circumstances {
        text: &command.statement,
        properties: &command.streams_properties,
        sequence: command.sequence,
        topics: None,
    };
    let decision = catalog
        .decide(&parsed.statement, circumstances)
        .ok_or_else(|| "the statement is not a command".to_owned())??;
    Ok(match decision {
        Decision::Change(mut change) => {
            if let Some(query) = &mut change.start {
                query.starting_offsets.clone_from(&command.starting_offsets);
                if let Some(id) = &command.query_id {
                    query.id.clone_from(id);
                }
            }
            Decision::Change(change)
        }
        unneeded @ Decision::Unneeded(_) => unneeded,
    })
}

/// The status of a command that did what it should.
pub(super) fn success(change: &Change) -> CommandStatus {
    CommandStatus {
        status: "SUCCESS",
        message: change.message.clone(),
        query_id: change.start.as_ref().map(|query| query.id.clone()),
    }
}
