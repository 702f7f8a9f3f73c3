//! Executes requests, one changing request at a time, and rebuilds everything from the command log at start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde_json::Value as Json;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::bounds::{Answers, MOST_STATEMENTS, MOST_TEXT_AT_A_TIME, Patience, in_place};
use super::catalog::{Catalog, Circumstances, Decision};
use super::entity::{Answer, Entity};
use super::failure::{ErrorCode, Failure, Refusal};
use super::group_positions::Positions;
use super::injection::completed;
use super::listing::View;
use super::observed_topics::{EMPTY, needs_topics};
use super::properties;
use super::replay::replay;
use super::session::Session;
use super::statuses::Statuses;
use super::topics::Topics;
use crate::command_log::{CommandLog, CommandLogError};
use crate::config::{Config, OffsetReset};
use crate::connect::Connect;
use crate::plan;
use crate::runtime::{Resets, Runtime, processing_log};
use crate::syntax::ast::{ParsedStatement, QuerySelection, Statement};
use crate::syntax::{self, SyntaxError};

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
    pub(super) runtime: Arc<Runtime>,
    pub(super) connect: Connect,
    pub(super) catalog: RwLock<Arc<Catalog>>,
    /// Whoever holds it may change the catalog.
    pub(super) commands: tokio::sync::Mutex<CommandLog>,
    pub(super) statuses: Mutex<Statuses>,
    pub(super) executed: watch::Sender<i64>,
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
                let positions = self.positions(&parsed.statement, &catalog);
                let positions = patience.wait_for(positions).await?;
                let topics = topics.as_ref().unwrap_or(&EMPTY);
                let view = self.view(&catalog, topics, &positions, session);
                match view.answer(&parsed.statement, &parsed.text) {
                    Some(answer) => answer.map_err(bad)?,
                    None => return Err(bad("This statement cannot be executed here".to_owned().into())),
                }
            }
        };
        Ok(Some(Answer::new(&parsed.text, entity)))
    }

    /// Where queries of a session begin: tables with their oldest records, unless the session says otherwise.
    pub(super) fn resets(&self, session: &Session) -> Resets {
        Resets {
            streams: properties::offset_reset(&session.properties, self.config.offset_reset),
            tables: properties::offset_reset(&session.properties, OffsetReset::Earliest),
        }
    }

    fn is_push_query(&self, id: &str) -> bool {
        self.runtime.push_queries().contains_key(id)
    }

    pub(super) fn is_push_termination(&self, statement: &Statement) -> bool {
        matches!(statement, Statement::Terminate(QuerySelection::Id(id)) if self.is_push_query(id))
    }

    pub(super) fn view<'a>(
        &'a self,
        catalog: &'a Catalog,
        topics: &'a Topics,
        positions: &'a Positions,
        session: &'a Session,
    ) -> View<'a> {
        View {
            config: &self.config,
            host: &self.host,
            catalog,
            runtime: &self.runtime,
            topics,
            positions,
            session,
        }
    }

    pub(super) fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn publish(&self, catalog: Catalog) {
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog);
    }
}

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
