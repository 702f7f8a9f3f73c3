//! The statements whose result is sent row by row: `SELECT … EMIT CHANGES` and `PRINT`.

use super::bounds::MOST_STATEMENTS;
use super::catalog::Catalog;
use super::executor::{Executor, Request, session};
use super::failure::{ErrorCode, Failure, Refusal};
use super::properties;
use crate::config::OffsetReset;
use crate::plan::{self, Purpose, QueryPlan};
use crate::syntax::ast::{Print, Statement};
use crate::syntax::{self, SyntaxError};

/// A statement whose result is sent row by row.
#[derive(Debug)]
pub(crate) enum ClientQuery {
    /// A push query.
    Push {
        /// What it does.
        plan: QueryPlan,
        /// What it calls its left-most input; its id says so.
        alias: String,
        /// The statement.
        text: String,
        /// Where it begins.
        reset: OffsetReset,
    },
    /// `PRINT`
    Print(Print),
}

impl Executor {
    /// The one statement of a request whose result is sent row by row.
    pub(crate) async fn client_query(&self, request: &Request) -> Result<ClientQuery, Failure> {
        self.catch_up(request.after).await?;
        let _room = self.room_for(&request.statements).await;
        let mut session = session(request)?;
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
            Statement::Query(query) => {
                if query.emit.is_none() {
                    return Err(Failure::bad_statement(
                        pull_message(&self.catalog(), &query.from.name),
                        &parsed.text,
                    ));
                }
                let plan = plan::plan_query(&self.catalog().metastore, &query, Purpose::Push)
                    .map_err(|error| Refusal::from(error).failure(&parsed.text))?;
                Ok(ClientQuery::Push {
                    plan,
                    alias: query.from.alias,
                    text: parsed.text,
                    reset: properties::offset_reset(&session.properties, self.config.offset_reset),
                })
            }
            Statement::Print(print) => Ok(ClientQuery::Print(print)),
            _ => Err(Failure::bad_statement(
                "Statement type `".to_owned()
                    + parsed.text.split_whitespace().next().unwrap_or_default()
                    + "` not supported for this resource",
                &parsed.text,
            )),
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

fn pull_message(catalog: &Catalog, source: &str) -> String {
    if catalog.metastore.get(source).is_none() {
        return format!("{source} does not exist.");
    }
    "Pull queries on streams are disabled. To create a push query on the stream, add EMIT CHANGES to the end. \
     To enable pull queries on streams, set the ksql.query.pull.stream.enabled config to 'true'."
        .to_owned()
}
