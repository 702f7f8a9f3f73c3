//! The command log brought back to life: each command decided and applied again, with what it decided then.

use std::sync::Arc;

use super::catalog::{Catalog, Change, Circumstances, Decision};
use super::entity::CommandStatus;
use super::statuses::Statuses;
use crate::command_log::{Command, Effects, History, Thing};
use crate::queries::PersistentQuery;
use crate::syntax;

/// What the running queries need, so that they are those of another catalog.
#[derive(Debug)]
pub(super) enum Step {
    /// End one for good.
    Terminate(String),
    /// End one, for another of its id that goes on where it stopped.
    Stop(String),
    /// Start one.
    Start(Arc<PersistentQuery>),
    /// Pause one, or let it go on.
    Pause(String, bool),
}

impl Step {
    /// The steps from the queries of one catalog to those of another.
    pub(super) fn between(before: &Catalog, after: &Catalog) -> Vec<Self> {
        let mut steps = Vec::new();
        for id in before.queries.keys() {
            if !after.queries.contains_key(id) {
                steps.push(Self::Terminate(id.clone()));
            }
        }
        for (id, query) in &after.queries {
            match before.queries.get(id) {
                None => steps.push(Self::Start(Arc::clone(query))),
                // `OR REPLACE` keeps the id.
                Some(earlier) if !Arc::ptr_eq(&earlier.plan, &query.plan) => {
                    // State that is laid out otherwise is of no use to the one that takes over.
                    steps.push(if query.plan.takes_over_from(&earlier.plan) {
                        Self::Stop(id.clone())
                    } else {
                        Self::Terminate(id.clone())
                    });
                    steps.push(Self::Start(Arc::clone(query)));
                }
                Some(earlier) if earlier.paused != query.paused => {
                    steps.push(Self::Pause(id.clone(), query.paused))
                }
                Some(_) => {}
            }
        }
        steps
    }
}

/// Applies commands that were read from the log.
pub(super) fn replay(
    catalog: &mut Catalog,
    statuses: &mut Statuses,
    history: &mut History,
    commands: &[(i64, Command)],
) {
    let mut last = None;
    for (offset, command) in commands {
        if command.is_mark() {
            continue;
        }
        if last == Some(command.sequence) {
            // A retried write put the same command there twice.
            continue;
        }
        last = Some(command.sequence);
        match replayed(catalog, command) {
            Ok(Decision::Change(change)) => {
                catalog.apply(&change);
                statuses.insert(&command.command_id, success(&change));
                history.note(command, effects(&change));
            }
            Ok(Decision::Unneeded(_)) => {}
            Err(message) => {
                tracing::error!("command {offset} cannot be replayed and is skipped: {message}");
                let status = CommandStatus {
                    status: "ERROR",
                    message,
                    query_id: None,
                };
                statuses.insert(&command.command_id, status);
            }
        }
    }
}

fn replayed(catalog: &Catalog, command: &Command) -> Result<Decision, String> {
    let raw = syntax::split(&command.statement).map_err(|error| error.to_string())?;
    let [raw] = raw.as_slice() else {
        return Err("the command is not one statement".to_owned());
    };
    let parsed = syntax::parse_statement_with(raw.text, raw.position, &catalog.types)
        .map_err(|error| error.to_string())?;
    let circumstances = Circumstances {
        text: &command.statement,
        properties: &command.streams_properties,
        sequence: command.sequence,
        is_replay: true,
        topics: None,
    };
    let decision = catalog
        .decide(&parsed.statement, circumstances)
        .ok_or_else(|| "the statement is not a command".to_owned())?
        .map_err(|refusal| refusal.message)?;
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

/// What a change means to the commands before it.
pub(super) fn effects(change: &Change) -> Effects {
    let query = change.start.as_ref();
    let source = change.put.as_ref().map(|source| source.name.clone());
    let query_id = query.map(|query| query.id.clone());
    let mut reads: Vec<String> = query
        .into_iter()
        .flat_map(|query| query.plan.inputs())
        .map(|input| input.name.clone())
        .collect();
    if source.is_none() {
        // The source that a query fills was there before.
        reads.extend(
            query
                .and_then(PersistentQuery::sink)
                .map(|sink| sink.name.clone()),
        );
    }
    if change.alters {
        reads.extend(source.clone());
    }
    let named = change
        .put_type
        .as_ref()
        .map(|(name, _)| Thing::Type(name.clone()));
    let made = source.map(Thing::Source).or(named);
    let removed = change.remove.clone().map(Thing::Source);
    Effects {
        makes: made.or_else(|| query_id.clone().map(Thing::Query)),
        reads,
        drops: removed.or_else(|| change.remove_type.clone().map(Thing::Type)),
        starts: query_id,
        ends: change.stop.clone(),
        pauses: change.pause.clone(),
        resumes: change.resume.clone(),
    }
}

/// The status of a command that did what it should.
pub(super) fn success(change: &Change) -> CommandStatus {
    CommandStatus {
        status: "SUCCESS",
        message: change.message.clone(),
        query_id: change.start.as_ref().map(|query| query.id.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn command(sequence: i64, command_id: &str, statement: &str) -> (i64, Command) {
        let command = Command {
            statement: statement.to_owned(),
            command_id: command_id.to_owned(),
            streams_properties: BTreeMap::new(),
            sequence,
            query_id: None,
            starting_offsets: BTreeMap::new(),
            ..Command::default()
        };
        // What the topic holds, not what was put there.
        let stored = serde_json::to_vec(&command).unwrap();
        (sequence, serde_json::from_slice(&stored).unwrap())
    }

    #[test]
    fn commands_come_to_what_they_came_to_before() {
        let mut select = command(
            1,
            "stream/`D`/create",
            "CREATE STREAM d AS SELECT n FROM s EMIT CHANGES;",
        );
        select.1.query_id = Some("CSAS_D_41".to_owned());
        select.1.starting_offsets = BTreeMap::from([("s".to_owned(), vec![3, 5])]);
        let commands = [
            command(
                0,
                "stream/`S`/create",
                "CREATE STREAM s (n BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');",
            ),
            select.clone(),
            // Written twice by a producer that saw no answer.
            select,
            command(
                2,
                "stream/`X`/create",
                "CREATE STREAM x AS SELECT missing FROM s EMIT CHANGES;",
            ),
            command(3, "pause/CSAS_D_41/execute", "PAUSE CSAS_D_41;"),
        ];
        let (mut catalog, mut statuses) = (Catalog::default(), Statuses::default());
        replay(&mut catalog, &mut statuses, &mut History::default(), &commands);

        let names: Vec<&str> = catalog
            .metastore
            .iter()
            .map(|source| source.name.as_str())
            .collect();
        assert_eq!(names, ["D", "S"]);
        let query = &catalog.queries["CSAS_D_41"];
        assert!(query.paused);
        assert_eq!(query.starting_offsets["s"], [3, 5]);
        let words: BTreeMap<&str, &str> = statuses
            .iter()
            .map(|(command_id, status)| (command_id, status.status))
            .collect();
        assert_eq!(
            words,
            BTreeMap::from([
                ("pause/CSAS_D_41/execute", "SUCCESS"),
                ("stream/`D`/create", "SUCCESS"),
                ("stream/`S`/create", "SUCCESS"),
                ("stream/`X`/create", "ERROR"),
            ])
        );
    }

    /// `zzzz` was let in once, and read as `z`; whoever has a source with it does not lose that, but makes no new one.
    #[test]
    fn a_source_with_a_format_that_is_refused_today_is_not_lost() {
        let old = "CREATE STREAM s (t STRING, n INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', \
                   TIMESTAMP='t', TIMESTAMP_FORMAT='yyyy-MM-dd HH:mm zzzz');";
        let commands = [
            command(0, "stream/`S`/create", old),
            command(
                1,
                "stream/`D`/create",
                "CREATE STREAM d AS SELECT t, n FROM s EMIT CHANGES;",
            ),
            command(2, "stream/`S`/alter", "ALTER STREAM s ADD COLUMN more INT;"),
        ];
        let (mut catalog, mut statuses) = (Catalog::default(), Statuses::default());
        replay(&mut catalog, &mut statuses, &mut History::default(), &commands);
        let words: Vec<&str> = statuses.iter().map(|(_, status)| status.status).collect();
        assert_eq!(words, ["SUCCESS"; 3]);
        let source = catalog.metastore.get("S").unwrap();
        let format = source
            .timestamp
            .as_ref()
            .and_then(|column| column.format.as_deref());
        assert_eq!(format, Some("yyyy-MM-dd HH:mm zzzz"));
        assert!(catalog.queries.contains_key("CSAS_D_1"));

        let decide = |text: &str| {
            let parsed = syntax::parse_statement_with(text, Default::default(), &catalog.types).unwrap();
            let circumstances = Circumstances {
                text,
                properties: &BTreeMap::new(),
                sequence: 3,
                is_replay: false,
                topics: None,
            };
            catalog.decide(&parsed.statement, circumstances).unwrap()
        };
        let refused = decide(&old.replace("STREAM s", "STREAM other")).err().unwrap();
        assert!(
            refused.message.contains("(`zzzz`) are not known here"),
            "{}",
            refused.message
        );
        // What is there can be worked with.
        for statement in [
            "CREATE STREAM e AS SELECT t, n FROM s EMIT CHANGES;",
            "ALTER STREAM s ADD COLUMN another INT;",
            "DROP STREAM d;",
        ] {
            let decided = decide(statement);
            assert!(decided.is_ok(), "{statement}: {}", decided.err().unwrap().message);
        }
    }

    #[test]
    fn commands_that_were_left_behind_change_what_runs() {
        let before = [
            "CREATE STREAM s (n BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');",
            "CREATE STREAM replaced AS SELECT n FROM s EMIT CHANGES;",
            "CREATE STREAM dropped AS SELECT n FROM s EMIT CHANGES;",
            "CREATE STREAM paused AS SELECT n FROM s EMIT CHANGES;",
            "CREATE STREAM kept AS SELECT n FROM s EMIT CHANGES;",
        ];
        let after = [
            "CREATE OR REPLACE STREAM replaced AS SELECT n FROM s WHERE n > 1 EMIT CHANGES;",
            "DROP STREAM dropped;",
            "PAUSE CSAS_PAUSED_3;",
            "CREATE STREAM new AS SELECT n FROM s EMIT CHANGES;",
        ];
        let numbered = |statements: &[&str], first: i64| -> Vec<(i64, Command)> {
            let numbers = first..;
            let commands = numbers.zip(statements);
            commands
                .map(|(sequence, statement)| command(sequence, "c", statement))
                .collect()
        };
        let (mut catalog, mut statuses) = (Catalog::default(), Statuses::default());
        replay(
            &mut catalog,
            &mut statuses,
            &mut History::default(),
            &numbered(&before, 0),
        );
        let running = catalog.clone();
        replay(
            &mut catalog,
            &mut statuses,
            &mut History::default(),
            &numbered(&after, 5),
        );
        let steps: Vec<String> = Step::between(&running, &catalog)
            .into_iter()
            .map(|step| match step {
                Step::Terminate(id) => format!("terminate {id}"),
                Step::Stop(id) => format!("stop {id}"),
                Step::Start(query) => format!("start {}: {}", query.id, query.statement),
                Step::Pause(id, paused) => format!("pause {id}: {paused}"),
            })
            .collect();
        assert_eq!(
            steps,
            [
                "terminate CSAS_DROPPED_2".to_owned(),
                format!("start CSAS_NEW_8: {}", after[3]),
                "pause CSAS_PAUSED_3: true".to_owned(),
                "stop CSAS_REPLACED_1".to_owned(),
                format!("start CSAS_REPLACED_1: {}", after[0]),
            ]
        );
    }
}
