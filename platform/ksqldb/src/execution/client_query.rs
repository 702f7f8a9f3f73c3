//! The statements whose result is sent row by row: `SELECT … EMIT CHANGES` and `PRINT`.

use tokio::sync::OwnedSemaphorePermit;

use super::bounds::{MOST_STATEMENTS, in_place};
use super::catalog::Catalog;
use super::executor::{Executor, Request, session};
use super::failure::{ErrorCode, Failure, Refusal};
use super::properties;
use super::session::Session;
use super::topics::check_copartitioned;
use crate::plan::{self, HELP, PullSettings, Purpose, QueryPlan};
use crate::runtime::{self, Extent};
use crate::syntax::ast::{Emit, ParsedStatement, Print, Query, SourceKind, Statement};
use crate::syntax::{self, SyntaxError, without_settings};
use crate::types::Schema;
use crate::value::Row;

/// What ksqlDB says of a pull query that joins.
const JOIN_IN_PULL_QUERY: &str = "Pull queries don't support JOIN clauses. See https://cnfl.io/queries for more info.\nAdd EMIT CHANGES if you intended to issue a push query.";

/// What ksqlDB says of a pull query on a stream where these are switched off.
const PULL_QUERIES_DISABLED: &str = "Pull queries on streams are disabled. To create a push query on the stream, add EMIT CHANGES to the end. To enable pull queries on streams, set the ksql.query.pull.stream.enabled config to 'true'.";

/// A statement whose result is sent row by row.
#[derive(Debug)]
pub(crate) enum ClientQuery {
    /// A push query.
    Push {
        /// What it does.
        plan: Box<QueryPlan>,
        /// What it calls its left-most input; its id says so.
        alias: String,
        /// The statement.
        text: String,
        /// Where it begins and ends.
        extent: Extent,
    },
    /// A pull query on a table.
    Pull {
        /// The columns of its rows.
        schema: Schema,
        /// Its rows.
        rows: Vec<Row>,
        /// Held until the client has them.
        place: OwnedSemaphorePermit,
    },
    /// `PRINT`
    Print(Print),
    /// A statement without rows.
    Neither {
        /// The statement.
        text: String,
    },
}

impl Executor {
    /// The one statement of a request whose result is sent row by row.
    pub(crate) async fn client_query(&self, request: &Request) -> Result<ClientQuery, Failure> {
        self.catch_up(request.after).await?;
        let _room = self.room_for(&request.statements).await;
        let (session, parsed) = self.client_statement(request)?;
        match parsed.statement {
            Statement::Query(mut query) => {
                let catalog = self.catalog();
                let source = catalog.metastore.get(&query.from.name);
                if query.emit.is_none() && source.is_some_and(|source| source.kind == SourceKind::Table) {
                    return self.pull_query(&catalog, &session, &query, parsed.text).await;
                }
                let bad = |message: String| Failure::bad_statement(message, &parsed.text);
                let extent = if query.emit.is_some() {
                    let mut resets = self.resets(&session);
                    if query.joins.is_empty() {
                        // What a client listens to begins where streams do.
                        resets.tables = resets.streams;
                    }
                    Extent::From(resets)
                } else {
                    if !properties::pulls_streams(&session.properties) {
                        return Err(bad(format!(
                            "{PULL_QUERIES_DISABLED}\nStatement: {}",
                            parsed.text
                        )));
                    }
                    if !query.joins.is_empty() {
                        return Err(bad(JOIN_IN_PULL_QUERY.to_owned()));
                    }
                    // A pull query on a stream: its rows are those that are there.
                    query.emit = Some(Emit::Changes);
                    Extent::WhatIsThere
                };
                let settings = properties::of_plan(&session.properties);
                let plan =
                    in_place(|| plan::plan_query_with(&catalog.metastore, &query, Purpose::Push, settings));
                let plan = plan.map_err(|error| Refusal::from(error).failure(&parsed.text))?;
                if !query.joins.is_empty() {
                    let topics = self.topics(&parsed.text).await?;
                    check_copartitioned(&query, &plan, &topics)
                        .map_err(|error| Refusal::from(error).failure(&parsed.text))?;
                }
                Ok(ClientQuery::Push {
                    plan: Box::new(plan),
                    alias: query.from.alias,
                    text: parsed.text,
                    extent,
                })
            }
            Statement::Print(print) => Ok(ClientQuery::Print(print)),
            _ => Ok(ClientQuery::Neither {
                text: without_settings(&parsed.text).into_owned(),
            }),
        }
    }
}

impl Executor {
    /// Whether a request has one statement and no more, and whether it reads.
    pub(crate) async fn check_client_statement(&self, request: &Request) -> Result<(), Failure> {
        let _room = self.room_for(&request.statements).await;
        self.client_statement(request).map(|_| ())
    }

    /// The one statement of a request, and what those before it have set.
    fn client_statement(&self, request: &Request) -> Result<(Session, ParsedStatement), Failure> {
        let mut session = session(request, &self.catalog())?;
        let raw_statements = syntax::split(&request.statements).map_err(query_syntax_failure)?;
        if raw_statements.len() > MOST_STATEMENTS {
            return Err(not_one_statement(raw_statements.len()));
        }
        let mut found = None;
        for raw in &raw_statements {
            let parsed = session.parse(raw).map_err(query_syntax_failure)?;
            match session.execute(&parsed.statement) {
                Some(Ok(())) => {}
                Some(Err(message)) => return Err(Failure::bad_statement(message, &parsed.text)),
                None if found.is_none() => found = Some(parsed),
                None => return Err(not_one_statement(raw_statements.len())),
            }
        }
        match found {
            Some(parsed) => Ok((session, parsed)),
            None => Err(not_one_statement(0)),
        }
    }
}

impl Executor {
    /// A pull query on a table: its rows as they are now.
    async fn pull_query(
        &self,
        catalog: &Catalog,
        session: &Session,
        query: &Query,
        text: String,
    ) -> Result<ClientQuery, Failure> {
        let bad = |message: String| Failure::bad_statement(message, &text);
        let Some(source) = catalog.metastore.get(&query.from.name) else {
            return Err(bad(format!("{} does not exist.", query.from.name)));
        };
        let enabled = |name: &str| properties::is_enabled(&session.properties, name, true);
        let settings = PullSettings {
            scans: enabled("ksql.query.pull.table.scan.enabled"),
            ranges: enabled("ksql.query.pull.range.scan.enabled"),
        };
        let plan = in_place(|| plan::plan_pull(source, query, settings)).map_err(|mut error| {
            // As the real server says it: the whole statement once more.
            if error.message.starts_with("Error in WHERE expression") {
                error.message = format!("{}\nStatement: {text}", error.message);
            }
            Refusal::from(error).failure(&text)
        })?;
        let keeper = catalog.queries.values().find(|keeper| keeper.keeps(&source.name));
        let Some(keeper) = keeper else {
            let name = &source.name;
            return Err(bad(format!(
                "The `{name}` table isn't queryable. To derive a queryable table, you can do 'CREATE TABLE QUERYABLE_{name} AS SELECT * FROM {name}'.{HELP}"
            )));
        };
        let Some(table) = self.runtime().table(&keeper.id).await else {
            let status = self.runtime().status(&keeper.id);
            if let Some(percent) = status.as_ref().and_then(|status| status.restored()) {
                let message = format!(
                    "The rows of `{}` are being restored: {percent} % are there. hint: try again later",
                    source.name
                );
                return Err(Failure::of_statement(ErrorCode::NotReady, message, &text));
            }
            let state = status.map_or("STOPPED", |status| status.state().name());
            return Err(bad(format!(
                "The query was not in a running state. state: {state}"
            )));
        };
        let place = self.runtime().pulls().take().await;
        let place =
            place.map_err(|message| Failure::of_statement(ErrorCode::TooManyRequests, message, &text))?;
        // Reading a large table takes a while; the threads that serve others go on.
        let pulled = tokio::task::spawn_blocking(move || {
            let rows = runtime::pull(&plan, &table);
            rows.map(|rows| (plan.output, rows, place))
        });
        match pulled.await {
            Ok(Ok((schema, rows, place))) => Ok(ClientQuery::Pull { schema, rows, place }),
            Ok(Err(message)) => Err(bad(message)),
            Err(error) => Err(Failure::of_statement(
                ErrorCode::ServerError,
                format!("the pull query failed: {error}"),
                &text,
            )),
        }
    }
}

fn query_syntax_failure(error: SyntaxError) -> Failure {
    let error = error.masked();
    Failure::bad_statement(error.of_query(), &error.statement)
}

fn not_one_statement(count: usize) -> Failure {
    Failure::generic(
        ErrorCode::BadRequest,
        format!("Expected exactly one KSQL statement; found {count} instead"),
    )
}
