//! The statements whose result is sent row by row: `SELECT … EMIT CHANGES` and `PRINT`.

use super::bounds::MOST_STATEMENTS;
use super::executor::{Executor, Request, session};
use super::failure::{ErrorCode, Failure, Refusal};
use super::properties;
use super::topics::check_copartitioned;
use crate::plan::{self, Purpose, QueryPlan};
use crate::runtime::Extent;
use crate::syntax::ast::{Emit, Print, Statement};
use crate::syntax::{self, SyntaxError};

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
        let Some(parsed) = found else {
            return Err(not_one_statement(0));
        };
        match parsed.statement {
            Statement::Query(mut query) => {
                let bad = |message: String| Failure::bad_statement(message, &parsed.text);
                let catalog = self.catalog();
                let extent = if query.emit.is_some() {
                    Extent::From(properties::offset_reset(
                        &session.properties,
                        self.config.offset_reset,
                    ))
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
                let plan = plan::plan_query(&catalog.metastore, &query, Purpose::Push)
                    .map_err(|error| Refusal::from(error).failure(&parsed.text))?;
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
            _ => Ok(ClientQuery::Neither { text: parsed.text }),
        }
    }
}

fn query_syntax_failure(error: SyntaxError) -> Failure {
    Failure::bad_statement(error.of_query(), &error.statement)
}

fn not_one_statement(count: usize) -> Failure {
    Failure::generic(
        ErrorCode::BadRequest,
        format!("Expected exactly one KSQL statement; found {count} instead"),
    )
}
