//! Executes requests, one changing request at a time, and rebuilds everything from the command log at start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use serde_json::Value as Json;
use tokio::sync::{MutexGuard, Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::bounds::{Answers, MOST_STATEMENTS, MOST_TEXT_AT_A_TIME, Patience, in_place};
use super::catalog::{Catalog, Change, Circumstances, Decision};
use super::entity::{Answer, Entity};
use super::failure::{ErrorCode, Failure, Refusal};
use super::injection::completed;
use super::listing::View;
use super::properties;
use super::replay::{Step, effects, replay, success};
use super::schemas::Subjects;
use super::session::Session;
use super::statuses::Statuses;
use super::topics::{self, Retention, Topic, Topics};
use super::unsupported;
use crate::command_log::{Command, CommandLog, CommandLogError};
use crate::config::{Config, OffsetReset};
use crate::connect::Connect;
use crate::kafka::{ClusterError, OutgoingRecord};
use crate::plan;
use crate::runtime::{self, Resets, Runtime, processing_log};
use crate::syntax::ast::{
    CreateAsSelect, CreateSource, InsertValues, ParsedStatement, QuerySelection, Statement,
};
use crate::syntax::{self, SyntaxError};
use crate::task::OutputRecord;

/// How long a request waits for the command it asks to come after
/// (`ksql.server.command.response.timeout.ms`).
const CATCH_UP_DEADLINE: Duration = Duration::from_secs(5);
/// What ksqlDB says to a statement that says what becomes of old records.
const CLEANUP_POLICY: &str = "Invalid config variable in the WITH clause: CLEANUP_POLICY.\nThe CLEANUP_POLICY config is automatically inferred based on the type of source (STREAM or TABLE).\nUsers can't set the CLEANUP_POLICY config manually.";
/// How long a record of `INSERT INTO … VALUES` may wait for its acknowledgement.
const INSERT_DEADLINE: Duration = Duration::from_secs(30);

/// The statements of a request and what it sets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// The statements.
    pub(crate) statements: String,
    /// `streamsProperties`
    pub(crate) properties: BTreeMap<String, Json>,
    /// `sessionVariables`
    pub(crate) variables: BTreeMap<String, Json>,
    /// `commandSequenceNumber`: the command that must have been executed before.
    pub(crate) after: Option<i64>,
    /// Cancelled when the client has hung up.
    pub(crate) gone: CancellationToken,
}

/// Executes statements.
pub(crate) struct Executor {
    pub(super) config: Arc<Config>,
    host: String,
    runtime: Arc<Runtime>,
    pub(super) connect: Connect,
    catalog: RwLock<Arc<Catalog>>,
    /// Whoever holds it may change the catalog.
    pub(super) commands: tokio::sync::Mutex<CommandLog>,
    statuses: Mutex<Statuses>,
    executed: watch::Sender<i64>,
    /// A permit a byte of the statements that are being worked on.
    room: Semaphore,
}

impl Executor {
    /// An executor with everything the command log tells, and its queries running.
    pub(crate) async fn restore(
        config: Arc<Config>,
        host: String,
        runtime: Arc<Runtime>,
        connect: Connect,
        mut log: CommandLog,
    ) -> Result<Self, CommandLogError> {
        let commands = log.read_new().await?;
        let mut catalog = Catalog::default();
        let mut statuses = Statuses::default();
        replay(&mut catalog, &mut statuses, log.history(), &commands);
        if log.is_due() {
            log.rewrite().await?;
        }
        tracing::info!(
            commands = commands.len(),
            sources = catalog.metastore.iter().count(),
            queries = catalog.queries.len(),
            "the command log is replayed"
        );
        for query in catalog.queries.values() {
            runtime.announce(query);
        }
        for query in catalog.queries.values() {
            runtime.start(Arc::clone(query));
        }
        let left = log.left_behind();
        let executor = Self {
            config,
            host,
            runtime,
            connect,
            catalog: RwLock::new(Arc::new(catalog)),
            executed: watch::Sender::new(log.next_sequence() - 1),
            commands: tokio::sync::Mutex::new(log),
            statuses: Mutex::new(statuses),
            room: Semaphore::new(MOST_TEXT_AT_A_TIME),
        };
        if !left.is_empty() {
            executor.clear_rest_away(&left).await;
        }
        Ok(executor)
    }

    /// Declares the stream of the processing log, unless something of its name is there.
    pub(crate) async fn declare_processing_log(&self) -> Result<(), Failure> {
        let request = Request {
            statements: processing_log::declaration(&self.config.processing_log_topic()),
            ..Request::default()
        };
        self.execute(&request).await.map(|_| ())
    }

    /// The queries that run.
    pub(crate) fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// What became of the commands, by command id.
    pub(crate) fn statuses(&self) -> Statuses {
        self.statuses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Executes the statements of a request.
    pub(crate) async fn execute(&self, request: &Request) -> Result<Vec<Answer>, Failure> {
        let patience = Patience::new(request.gone.clone());
        self.catch_up(request.after).await?;
        let _room = self.room_for(&request.statements).await;
        let mut session = session(request, &self.catalog())?;
        let statements = parse(&request.statements, session.clone(), &patience)?;
        // Requests that only look or insert do not wait for those that change something.
        let mut log = match statements.iter().any(|parsed| is_command(&parsed.statement)) {
            true => Some(patience.wait_for(self.exclusive()).await??),
            false => None,
        };
        self.try_out(&statements, session.clone(), log.as_deref(), &patience)
            .await?;
        let mut answers = Answers::default();
        let mut failed = None;
        for statement in &statements {
            let executed = match patience.check() {
                Ok(()) => {
                    self.execute_one(statement, &mut session, log.as_deref_mut(), &patience)
                        .await
                }
                Err(failure) => Err(failure),
            };
            if let Err(failure) = executed.and_then(|answer| answers.add(answer)) {
                failed = Some(failure);
                break;
            }
        }
        if let Some(log) = &mut log {
            log.tidy().await;
        }
        match failed {
            None => Ok(answers.into_vec()),
            Some(failure) => Err(failure.after(answers.into_vec())),
        }
    }

    /// Waits until there is room for statements of that length.
    pub(super) async fn room_for(&self, statements: &str) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let permits = statements.len().min(MOST_TEXT_AT_A_TIME);
        // Nobody closes it.
        self.room
            .acquire_many(u32::try_from(permits).unwrap_or(u32::MAX))
            .await
            .ok()
    }

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
    async fn exclusive(&self) -> Result<MutexGuard<'_, CommandLog>, Failure> {
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

    /// Tries the statements on a copy of what exists.
    async fn try_out(
        &self,
        statements: &[ParsedStatement],
        mut session: Session,
        log: Option<&CommandLog>,
        patience: &Patience,
    ) -> Result<(), Failure> {
        let mut catalog = Catalog::clone(&self.catalog());
        let mut topics: Option<Topics> = None;
        let mut sequence = log.map_or(0, CommandLog::next_sequence);
        for parsed in statements {
            patience.check()?;
            let bad = |refusal: Refusal| refusal.failure(&parsed.text);
            match &parsed.statement {
                Statement::Query(_) | Statement::Print(_) => {
                    return Err(Failure::query_endpoint(&parsed.text));
                }
                Statement::Unsupported { what } => return Err(unsupported::refusal(what, parsed)),
                Statement::Connector(statement) => {
                    patience
                        .wait_for(self.try_connector(statement, &parsed.text))
                        .await??;
                    continue;
                }
                Statement::InsertValues(insertion) => {
                    let masked = |refusal: Refusal| refusal.failure(&without_values(insertion));
                    let (_, values) = values_of(&catalog, insertion).map_err(masked)?;
                    // What needs a registry is found when it is carried out.
                    if values.is_prepared() {
                        values.record().map_err(|error| masked(error.into()))?;
                    }
                }
                Statement::CreateSource(CreateSource { properties, .. })
                | Statement::CreateAsSelect(CreateAsSelect { properties, .. })
                    if properties.get("CLEANUP_POLICY").is_some() =>
                {
                    return Err(bad(Refusal::new(ErrorCode::BadRequest, CLEANUP_POLICY)));
                }
                _ => {}
            }
            if needs_topics(&parsed.statement) && topics.is_none() {
                topics = Some(self.topics(&parsed.text).await?);
            }
            if let Some(topics) = &mut topics {
                self.ask_retention(topics, parsed, &catalog, &session).await?;
            }
            let inferred = patience.wait_for(self.inferred(parsed, &session)).await??;
            let completed = completed(&inferred, &catalog, topics.as_ref(), &session.properties);
            if let Some(result) = session.execute(&parsed.statement) {
                result.map_err(|message| bad(message.into()))?;
            } else if !self.is_push_termination(&parsed.statement) {
                let circumstances = Circumstances {
                    text: &completed.text,
                    properties: &session.properties,
                    sequence,
                    is_replay: false,
                    topics: topics.as_ref(),
                };
                if let Some(decision) = in_place(|| catalog.decide(&completed.statement, circumstances)) {
                    let failed = |refusal: Refusal| refusal.failure_of(&parsed.text, &completed.text);
                    let decision = decision.map_err(failed)?;
                    if let Decision::Change(change) = decision {
                        catalog.apply(&change);
                        if let Some(topics) = &mut topics {
                            topics::note(topics, &change);
                        }
                        sequence += 1;
                    }
                } else {
                    let view = self.view(&catalog, &EMPTY, &session);
                    if let Some(answer) = view.answer(&parsed.statement, &parsed.text) {
                        answer.map_err(bad)?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn execute_one(
        &self,
        parsed: &ParsedStatement,
        session: &mut Session,
        log: Option<&mut CommandLog>,
        patience: &Patience,
    ) -> Result<Option<Answer>, Failure> {
        let bad = |refusal: Refusal| refusal.failure(&parsed.text);
        if let Some(result) = session.execute(&parsed.statement) {
            return result.map(|()| None).map_err(|message| bad(message.into()));
        }
        if let Statement::InsertValues(insertion) = &parsed.statement {
            self.insert(insertion).await?;
            return Ok(None);
        }
        if let Statement::AssertTopic(assertion) = &parsed.statement {
            let entity = self.assert_topic(assertion, &parsed.text, patience).await?;
            return Ok(Some(Answer::new(&parsed.text, entity)));
        }
        if let Statement::AssertSchema(assertion) = &parsed.statement {
            let entity = self.assert_schema(assertion, patience).await?;
            return Ok(Some(Answer::new(&parsed.text, entity)));
        }
        if let Statement::Connector(statement) = &parsed.statement {
            let answer = patience
                .wait_for(self.connector(statement, &parsed.text))
                .await??;
            return Ok(Some(answer));
        }
        if let Statement::Terminate(QuerySelection::Id(id)) = &parsed.statement
            && self.is_push_query(id)
        {
            let entity = Entity::TerminateQuery {
                query_id: id.clone(),
                was_terminated: self.runtime.close(id),
            };
            return Ok(Some(Answer::new(&parsed.text, entity)));
        }
        let catalog = self.catalog();
        let mut topics = if needs_topics(&parsed.statement) || View::needs_topics(&parsed.statement) {
            Some(self.topics(&parsed.text).await?)
        } else {
            None
        };
        if let Some(topics) = &mut topics {
            self.ask_retention(topics, parsed, &catalog, session).await?;
        }
        let inferred = patience.wait_for(self.inferred(parsed, session)).await??;
        let completed = completed(&inferred, &catalog, topics.as_ref(), &session.properties);
        let (written, parsed) = (&parsed.text, &*completed);
        let circumstances = Circumstances {
            text: &parsed.text,
            properties: &session.properties,
            sequence: log.as_deref().map_or(0, CommandLog::next_sequence),
            is_replay: false,
            topics: topics.as_ref(),
        };
        let entity = match in_place(|| catalog.decide(&parsed.statement, circumstances)) {
            Some(decision) => match decision.map_err(|refusal| refusal.failure_of(written, &parsed.text))? {
                Decision::Unneeded(message) => {
                    return Ok(Some(Answer::new(written, Entity::Warning { message })));
                }
                Decision::Change(change) => {
                    let Some(log) = log else {
                        return Err(bad("This statement cannot be executed here".to_owned().into()));
                    };
                    if let Some(source) = &change.put
                        && !change.alters
                    {
                        let is_sink = matches!(parsed.statement, Statement::CreateAsSelect(_));
                        let registered = patience.wait_for(self.register_schemas(source, is_sink)).await?;
                        registered.map_err(|refusal| refusal.failure(&parsed.text))?;
                        for schema in plan::schemas_of(source) {
                            log.note_taken_up(&schema.subject);
                        }
                    }
                    let answer = self.change(*change, parsed, written, session, log).await?;
                    return Ok(Some(answer));
                }
            },
            None => {
                let view = self.view(&catalog, topics.as_ref().unwrap_or(&EMPTY), session);
                match view.answer(&parsed.statement, &parsed.text) {
                    Some(answer) => answer.map_err(bad)?,
                    None => return Err(bad("This statement cannot be executed here".to_owned().into())),
                }
            }
        };
        Ok(Some(Answer::new(&parsed.text, entity)))
    }

    /// Carries out a change: topics first, then the log, then everything that follows from it.
    async fn change(
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

    /// Where queries of a session begin: tables with their oldest records, unless the session says otherwise.
    pub(super) fn resets(&self, session: &Session) -> Resets {
        Resets {
            streams: properties::offset_reset(&session.properties, self.config.offset_reset),
            tables: properties::offset_reset(&session.properties, OffsetReset::Earliest),
        }
    }

    async fn insert(&self, insertion: &InsertValues) -> Result<(), Failure> {
        let text = without_values(insertion);
        let failed = |refusal: Refusal| refusal.failure(&text);
        let (topic, values) = values_of(&self.catalog(), insertion).map_err(failed)?;
        self.forget_subjects(&values);
        self.prepare_insertion(&values, &insertion.target)
            .await
            .map_err(failed)?;
        let record = values.record().map_err(|error| failed(error.into()))?;
        self.write(&insertion.target, &topic, &record)
            .await
            .map_err(|reason| Failure::of_statement(ErrorCode::ServerError, reason, &text))
    }

    /// The source of that name (quoted where its case matters), if rows can be inserted.
    pub(crate) fn insertable(&self, name: &str) -> Result<String, Failure> {
        let name = match name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) {
            Some(quoted) => quoted.to_owned(),
            None => name.to_uppercase(),
        };
        let refused = |message| Failure::generic(ErrorCode::BadRequest, message);
        let catalog = self.catalog();
        let source = catalog.metastore.get(&name).ok_or_else(|| {
            refused(format!(
                "Cannot insert values into an unknown stream/table: `{name}`"
            ))
        })?;
        plan::check_target(source).map_err(|error| refused(error.message))?;
        Ok(name)
    }

    /// Inserts a row of JSON into a source.
    pub(crate) async fn insert_json(&self, target: &str, row: &[u8]) -> Result<(), Failure> {
        let refused = |message| Failure::generic(ErrorCode::BadRequest, message);
        let source = self.catalog().metastore.get(target).cloned();
        let source = source.ok_or_else(|| {
            refused(format!(
                "Cannot insert values into an unknown stream/table: `{target}`"
            ))
        })?;
        let now = osqdemo_clock::unix_ms();
        let values = plan::insert_json(&source, row, now).map_err(|error| refused(error.message))?;
        self.prepare_insertion(&values, target)
            .await
            .map_err(|refusal| refused(refusal.message))?;
        let record = values.record().map_err(|error| refused(error.message))?;
        self.write(target, &source.topic, &record)
            .await
            .map_err(|reason| Failure::generic(ErrorCode::ServerError, reason))
    }

    /// Writes a record of a source, and waits until it is safe.
    async fn write(&self, target: &str, topic: &str, record: &OutputRecord) -> Result<(), String> {
        let outgoing = OutgoingRecord {
            topic,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            timestamp: record.timestamp,
            headers: &[],
        };
        let written = timeout(INSERT_DEADLINE, self.runtime.producer().send_and_wait(outgoing)).await;
        let reason = match written {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(reason)) => reason,
            Err(_) => "no acknowledgement in time".to_owned(),
        };
        Err(format!(
            "Failed to insert values into '{target}'. Could not write to topic `{topic}`: {reason}"
        ))
    }

    fn is_push_query(&self, id: &str) -> bool {
        self.runtime.push_queries().contains_key(id)
    }

    fn is_push_termination(&self, statement: &Statement) -> bool {
        matches!(statement, Statement::Terminate(QuerySelection::Id(id)) if self.is_push_query(id))
    }

    pub(super) async fn topics(&self, text: &str) -> Result<Topics, Failure> {
        let listed = self.runtime.cluster().topics().await;
        let listed = listed.map_err(|error| unanswered(&error, text))?;
        let topics = listed.into_iter();
        Ok(topics
            .map(|(name, replicas)| (name, Topic::listed(replicas)))
            .collect())
    }

    /// Finds out how long the topics keep their records that a statement is about.
    async fn ask_retention(
        &self,
        topics: &mut Topics,
        parsed: &ParsedStatement,
        catalog: &Catalog,
        session: &Session,
    ) -> Result<(), Failure> {
        for name in topics::of_statement(&parsed.statement, catalog, &session.properties) {
            let Some(topic) = topics.get_mut(&name) else {
                continue;
            };
            if topic.retention == Retention::Unasked {
                let retention = self.runtime.cluster().retention_ms(&name).await;
                let retention = retention.map_err(|error| unanswered(&error, &parsed.text))?;
                topic.retention = retention.map_or(Retention::Unknown, Retention::Ms);
            }
        }
        Ok(())
    }

    fn view<'a>(&'a self, catalog: &'a Catalog, topics: &'a Topics, session: &'a Session) -> View<'a> {
        View {
            config: &self.config,
            host: &self.host,
            catalog,
            runtime: &self.runtime,
            topics,
            session,
        }
    }

    pub(super) fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn publish(&self, catalog: Catalog) {
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog);
    }
}

/// The topics, where nobody looks at them.
static EMPTY: Topics = BTreeMap::new();

/// Reads the statements, with the variables each of them sees.
fn parse(text: &str, mut session: Session, patience: &Patience) -> Result<Vec<ParsedStatement>, Failure> {
    let raw = syntax::split(text).map_err(syntax_failure)?;
    if raw.len() > MOST_STATEMENTS {
        return Err(Failure::generic(
            ErrorCode::BadRequest,
            format!(
                "the request has {} statements; at most {MOST_STATEMENTS} are executed at a time",
                raw.len()
            ),
        ));
    }
    let mut statements = Vec::with_capacity(raw.len());
    for raw in &raw {
        patience.check()?;
        let parsed = session.parse(raw).map_err(syntax_failure)?;
        // What is wrong with it is found again, and told, when the statements are tried out.
        let _ = session.execute(&parsed.statement);
        session.note_types(&parsed.statement);
        statements.push(parsed);
    }
    Ok(statements)
}

/// The cluster did not answer.
fn unanswered(error: &ClusterError, text: &str) -> Failure {
    Failure::of_statement(ErrorCode::ServerError, error.to_string(), text)
}

/// Whether a statement is logged and changes what exists.
fn is_command(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::CreateSource(_)
            | Statement::CreateAsSelect(_)
            | Statement::InsertInto(_)
            | Statement::DropSource { .. }
            | Statement::AlterSource { .. }
            | Statement::CreateType { .. }
            | Statement::DropType { .. }
            | Statement::Terminate(_)
            | Statement::Pause(_)
            | Statement::Resume(_)
    )
}

pub(super) fn session(request: &Request, catalog: &Catalog) -> Result<Session, Failure> {
    let types = Arc::clone(&catalog.types);
    Session::new(request.properties.clone(), &request.variables, types)
        .map_err(|message| Failure::generic(ErrorCode::BadRequest, message))
}

fn syntax_failure(error: SyntaxError) -> Failure {
    let error = error.masked();
    Failure::bad_statement(error.to_string(), &error.statement)
}

fn needs_topics(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::CreateSource(_) | Statement::CreateAsSelect(_) | Statement::InsertInto(_)
    )
}

/// `INSERT INTO … VALUES` as its errors show it: the values may be anybody's secrets.
fn without_values(insertion: &InsertValues) -> String {
    let columns: Vec<_> = insertion.columns.iter().map(|name| format!("`{name}`")).collect();
    let columns = match columns.join(", ") {
        columns if columns.is_empty() => columns,
        columns => format!(" ({columns})"),
    };
    let values = vec!["'[value]'"; insertion.values.len()].join(", ");
    format!("INSERT INTO `{}`{columns} VALUES ({values});", insertion.target)
}

/// The row that `INSERT INTO … VALUES` writes, and its topic.
fn values_of(catalog: &Catalog, insertion: &InsertValues) -> Result<(String, plan::Insertion), Refusal> {
    let source = catalog.metastore.get(&insertion.target).ok_or_else(|| {
        let message = format!(
            "Cannot insert values into an unknown stream/table: `{}`{}",
            insertion.target,
            catalog.other_case(&insertion.target)
        );
        Refusal::new(ErrorCode::BadRequest, message)
    })?;
    let now = osqdemo_clock::unix_ms();
    let values = plan::insertion(source, insertion, now)?;
    Ok((source.topic.clone(), values))
}
