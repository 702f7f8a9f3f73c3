//! A statement that changes what exists: logged first, then done.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::MutexGuard;
use tokio::time::timeout;

use super::catalog::{Catalog, Change};
use super::entity::{Answer, Entity};
use super::executor::Executor;
use super::failure::{ErrorCode, Failure};
use super::replay::{Step, effects, replay, success};
use super::session::Session;
use super::subjects::Subjects;
use crate::command_log::{Command, CommandLog};
use crate::runtime;
use crate::syntax::ast::ParsedStatement;

/// How long a request waits for the command it asks to come after
/// (`ksql.server.command.response.timeout.ms`).
const CATCH_UP_DEADLINE: Duration = Duration::from_secs(5);

impl Executor {
    /// Waits until a command was executed.
    pub(super) async fn catch_up(&self, after: Option<i64>) -> Result<(), Failure> {
        let Some(after) = after else {
            return Ok(());
        };
        let mut executed = self.executed.subscribe();
        match timeout(
            CATCH_UP_DEADLINE,
            executed.wait_for(|executed| *executed >= after),
        )
        .await
        {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Failure::generic(
                ErrorCode::CommandQueueCatchup,
                format!(
                    "Timed out while waiting for a previous command to execute. command sequence number: {after}"
                ),
            )),
        }
    }

    /// The right to change the catalog. Commands that an earlier, failed request left behind come first.
    pub(super) async fn exclusive(&self) -> Result<MutexGuard<'_, CommandLog>, Failure> {
        let mut log = self.commands.lock().await;
        if log.is_uncertain() {
            let commands = log
                .read_new()
                .await
                .map_err(|error| Failure::generic(ErrorCode::ServerError, error.to_string()))?;
            let before = self.catalog();
            let mut catalog = Catalog::clone(&before);
            {
                let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
                replay(&mut catalog, &mut statuses, log.history(), &commands);
            }
            for step in Step::between(&before, &catalog) {
                match step {
                    Step::Terminate(id) => self.runtime.terminate(&id).await,
                    Step::Stop(id) => self.runtime.stop(&id).await,
                    Step::Start(query) => self.runtime.start(query),
                    Step::Pause(id, paused) => self.runtime.pause(&id, paused),
                }
            }
            self.publish(catalog);
            self.executed.send_replace(log.next_sequence() - 1);
        }
        Ok(log)
    }

    /// Carries out a change: topics first, then the log, then everything that follows from it.
    pub(super) async fn change(
        &self,
        mut change: Change,
        parsed: &ParsedStatement,
        written: &str,
        session: &Session,
        log: &mut CommandLog,
    ) -> Result<Answer, Failure> {
        let failed = |message: String| Failure::of_statement(ErrorCode::ServerError, message, &parsed.text);
        if let Some((topic, options)) = &change.create_topic {
            let cluster = self.runtime.cluster();
            if let Err(error) = cluster.create_topic(topic, options).await {
                let cause = match error.refused() {
                    Some(RDKafkaErrorCode::InvalidReplicationFactor) => {
                        let brokers = cluster.brokers().await.unwrap_or_default();
                        let replicas = options.replicas;
                        format!(
                            "Unable to replicate the partition {replicas} time(s): The target replication\n\tfactor of \
                             {replicas} cannot be reached because only {brokers} broker(s) are registered."
                        )
                    }
                    _ => error.to_string(),
                };
                let message = format!("Failed to guarantee existence of topic {topic}\nCaused by: {cause}");
                return Err(Failure::of_statement(ErrorCode::ServerError, message, written));
            }
        }
        if let Some(query) = &mut change.start {
            let resets = self.resets(session);
            query.starting_offsets = runtime::starting_offsets(self.runtime.cluster(), &query.plan, resets)
                .await
                .map_err(|error| failed(error.to_string()))?;
        }
        let removed = change.remove.as_ref();
        let removed = removed.and_then(|name| self.catalog().metastore.get(name).cloned());
        let subjects = match (&change.delete_topic, &removed) {
            (Some(topic), Some(source)) => Some(self.subjects_of(topic, source).await),
            _ => None,
        };
        let command = Command {
            statement: parsed.text.clone(),
            command_id: change.command_id.clone(),
            streams_properties: session.properties.clone(),
            sequence: log.next_sequence(),
            query_id: change.start.as_ref().map(|query| query.id.clone()),
            starting_offsets: change
                .start
                .as_ref()
                .map(|query| query.starting_offsets.clone())
                .unwrap_or_default(),
            leavings: subjects.as_ref().and_then(Subjects::leavings),
            ..Command::default()
        };
        let sequence = log
            .append(&command)
            .await
            .map_err(|error| failed(error.to_string()))?;
        log.history().note(&command, effects(&change));

        for id in &change.stop {
            let replaced = change.start.as_ref().is_some_and(|query| query.id == *id);
            let before = self.catalog();
            let keeps_state = change.start.as_ref().is_some_and(|query| {
                let earlier = before.queries.get(id);
                earlier.is_some_and(|earlier| query.plan.takes_over_from(&earlier.plan))
            });
            if replaced && keeps_state {
                self.runtime.stop(id).await;
            } else {
                self.runtime.terminate(id).await;
            }
        }
        let mut catalog = Catalog::clone(&self.catalog());
        catalog.apply(&change);
        for (ids, paused) in [(&change.pause, true), (&change.resume, false)] {
            for id in ids {
                self.runtime.pause(id, paused);
            }
        }
        let started = change
            .start
            .as_ref()
            .and_then(|query| catalog.queries.get(&query.id));
        if let Some(query) = started {
            self.runtime.start(Arc::clone(query));
        }
        self.publish(catalog);
        tracing::info!(sequence, command = change.command_id, "{}", change.message);
        let status = success(&change);
        {
            let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
            statuses.insert(&change.command_id, status.clone());
        }
        self.executed.send_replace(sequence);
        let mut warnings = std::mem::take(&mut change.warnings);
        if let Some(topic) = &change.delete_topic {
            // The source is gone for good, whatever is left behind.
            if let Err(error) = self.runtime.cluster().delete_topic(topic).await {
                tracing::warn!("{error}");
                // The topic has its subjects still, and whoever deletes it one day may keep them.
                log.note_cleared(command.sequence);
                return Err(failed(format!(
                    "Could not delete the corresponding kafka topic: {topic}. Its source is dropped.\n\
                     Caused by: {error}"
                )));
            }
            if let Some(subjects) = subjects {
                match self.clear_away(subjects).await {
                    Ok(()) => log.note_cleared(command.sequence),
                    Err(error) => {
                        tracing::warn!("{error}");
                        warnings.push(format!(
                            "Could not clean up the schema registry for topic: {topic}\nCaused by: {error}"
                        ));
                    }
                }
            }
        }
        let entity = Entity::CurrentStatus {
            command_id: change.command_id,
            command_status: status,
            command_sequence_number: sequence,
        };
        Ok(Answer::new(&parsed.text, entity).with_warnings(&warnings))
    }
}
