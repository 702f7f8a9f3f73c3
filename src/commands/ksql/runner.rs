//! Runs statements one after the other and shows what they answer.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::KsqlCommandError;
use crate::error::Result;
use crate::events::{Ending, Event, Note, Outcome, Step};
use crate::ksqldb::cell::Cell;
use crate::ksqldb::ddl::{Rejection, StatementFile, Submission};
use crate::ksqldb::rows::{Header, Item, Row};
use crate::ksqldb::session::{Directive, Session};
use crate::ksqldb::statement::{Kind, Statement};
use crate::ksqldb::{Client, Error};
use crate::report::Reporter;
use crate::report::entity::{cell, entity_text};
use crate::report::table::{Layout, output_width, printable, table};
use crate::settings::Format;
use crate::waiting::{UNFELT, telling_when_felt};

/// How long the server may take for the names that are completed: the prompt waits for them.
const NAMES_LIMIT: Duration = Duration::from_secs(2);

/// Whether a statement came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Everything it had to say was shown.
    Completely,
    /// The user ended it.
    ByInterrupt,
}

/// Runs statements in one session.
pub(super) struct Runner {
    client: Client,
    session: Session,
    reporter: Reporter,
}

impl Runner {
    pub(super) fn new(client: Client, reporter: Reporter) -> Self {
        Self {
            client,
            session: Session::default(),
            reporter,
        }
    }

    /// Runs the statements of a script until one fails or the user ends it.
    pub(super) async fn run_all(
        &mut self,
        file: &StatementFile,
        statements: &[Statement],
        cancel: &CancellationToken,
    ) -> Result<()> {
        let mut before = Submission::default();
        for (index, statement) in statements.iter().enumerate() {
            let rest = &statements[index + 1..];
            match self.run(file, statement, cancel).await {
                Ok(Ended::Completely) => before.created.push(statement.title()),
                Ok(Ended::ByInterrupt) => return Ok(()),
                Err(RunError::Rejected(error)) => {
                    let not_submitted = rest.iter().map(|rest| rest.title()).collect();
                    // A list of what went well before is of use only where more should have followed.
                    let before = if rest.is_empty() {
                        Submission::default()
                    } else {
                        before
                    };
                    let rejection = Rejection::new(file, statement, error, before, not_submitted);
                    return Err(KsqlCommandError::Rejected(Box::new(rejection)).into());
                }
                Err(RunError::Other(failure)) => return Err(failure),
            }
        }
        Ok(())
    }

    async fn run(
        &mut self,
        file: &StatementFile,
        statement: &Statement,
        cancel: &CancellationToken,
    ) -> std::result::Result<Ended, RunError> {
        let wrong = |error| KsqlCommandError::Directive {
            file: file.name.clone(),
            position: statement.begins,
            error,
        };
        if let Some(directive) = Directive::parse(statement).map_err(wrong)? {
            if let Directive::Set { property, .. } = &directive {
                let checked = tokio::select! {
                    biased;
                    () = cancel.cancelled() => return Ok(Ended::ByInterrupt),
                    checked = self.told(statement, self.client.check_property(property)) => checked,
                };
                checked?;
            }
            match self.session.apply(&directive).map_err(wrong)? {
                Some(change) => self.reporter.emit(Note::Session(change)),
                None => self.show_variables()?,
            }
            return Ok(Ended::Completely);
        }
        match statement.kind() {
            Kind::Query | Kind::Print => self.stream(statement, cancel).await,
            Kind::Command => {
                let entities = tokio::select! {
                    biased;
                    () = cancel.cancelled() => return Ok(Ended::ByInterrupt),
                    entities = self.told(statement, self.client.execute(statement, &self.session)) => entities?,
                };
                let width = output_width();
                for entity in entities {
                    self.reporter
                        .data(entity.body(), || entity_text(&entity, width))
                        .map_err(RunError::Other)?;
                }
                Ok(Ended::Completely)
            }
        }
    }

    /// Waits for an answer of the server; when that takes long, it is a step that says so.
    async fn told<T>(
        &self,
        statement: &Statement,
        request: impl Future<Output = std::result::Result<T, Error>>,
    ) -> std::result::Result<T, Error> {
        let (began, step) = (Instant::now(), Step::statement(statement.title()));
        let mut is_told = false;
        let tell = || {
            is_told = true;
            self.reporter.emit(Event::StepStarted {
                step: step.clone(),
                doing: self.client.waiting(),
            });
        };
        let answer = telling_when_felt(UNFELT, tell, request).await;
        if is_told {
            let (outcome, ending) = match &answer {
                Ok(_) => (Outcome::Done, Ending::Answered),
                Err(error) => (Outcome::Failed, Ending::failed(error)),
            };
            self.reporter.emit(Event::StepFinished {
                step,
                outcome,
                ending,
                elapsed: began.elapsed(),
            });
        }
        answer
    }

    /// Shows rows or lines until they end or the user ends them.
    async fn stream(
        &self,
        statement: &Statement,
        cancel: &CancellationToken,
    ) -> std::result::Result<Ended, RunError> {
        let mut rows = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(Ended::ByInterrupt),
            rows = self.told(statement, self.client.query(statement, &self.session)) => rows?,
        };
        let mut shown = None;
        loop {
            let item = tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(Ended::ByInterrupt),
                item = rows.next() => item?,
            };
            match item {
                Some(Item::Header(header)) => {
                    let columns = ShownColumns::new(&header);
                    if self.reporter.format() == Format::Text {
                        self.reporter
                            .text(&columns.layout.head())
                            .map_err(RunError::Other)?;
                    }
                    shown = Some(columns);
                }
                Some(Item::Row(row)) => self.show_row(&row, shown.as_ref())?,
                Some(Item::Line(line)) => self
                    .reporter
                    .data(&serde_json::json!({ "line": line }), || printable(&line))
                    .map_err(RunError::Other)?,
                Some(Item::Final(message)) => self.reporter.emit(Note::QueryEnded { message }),
                Some(Item::Failed(error)) => return Err(RunError::Rejected(error)),
                None => return Ok(Ended::Completely),
            }
        }
    }

    fn show_row(&self, row: &Row, shown: Option<&ShownColumns>) -> std::result::Result<(), RunError> {
        let cells = || row.cells.iter().map(Cell::to_text).collect::<Vec<_>>();
        let line = match (shown, self.reporter.format()) {
            // Its own line break, so that a row of several lines keeps the empty one below it.
            (Some(columns), Format::Text) => columns.layout.row(&cells()) + "\n",
            (Some(columns), Format::Json) => columns.object(row),
            (None, _) => cells().join("  "),
        };
        self.reporter.text(&line).map_err(RunError::Other)
    }

    fn show_variables(&self) -> std::result::Result<(), RunError> {
        let variables = self.session.variables();
        self.reporter
            .data(variables, || {
                if variables.is_empty() {
                    return "no variables".to_owned();
                }
                let rows: Vec<Vec<String>> = variables
                    .iter()
                    .map(|(name, value)| vec![name.clone(), cell(value)])
                    .collect();
                table(&["VARIABLE", "VALUE"], &rows, output_width())
            })
            .map_err(RunError::Other)
    }

    /// The names of the streams and tables, for completion. None when they cannot be had, or not at once.
    pub(super) async fn source_names(&self) -> Vec<String> {
        timeout(NAMES_LIMIT, self.list_sources())
            .await
            .unwrap_or_default()
    }

    async fn list_sources(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (source, list) in [("LIST STREAMS;", "streams"), ("LIST TABLES;", "tables")] {
            let statement = crate::ksqldb::statement::Script::parse(source)
                .statements
                .remove(0);
            let entities = self.client.execute(&statement, &Session::default()).await;
            for entity in entities.unwrap_or_default() {
                let sources = entity.body().get(list).and_then(Value::as_array);
                names.extend(
                    sources
                        .into_iter()
                        .flatten()
                        .filter_map(|source| Some(source.get("name")?.as_str()?.to_owned())),
                );
            }
        }
        names
    }
}

/// Why a statement did not come to its end.
enum RunError {
    Rejected(crate::ksqldb::ServerError),
    Other(crate::error::Failure),
}

impl From<Error> for RunError {
    fn from(error: Error) -> Self {
        match error {
            Error::Rejected(error) if error.code / 100 != 503 => Self::Rejected(error),
            error => Self::Other(error.into()),
        }
    }
}

impl From<KsqlCommandError> for RunError {
    fn from(error: KsqlCommandError) -> Self {
        Self::Other(error.into())
    }
}

/// How the rows of a query are shown.
struct ShownColumns {
    names: Vec<String>,
    layout: Layout,
}

impl ShownColumns {
    fn new(header: &Header) -> Self {
        let columns = header
            .columns
            .iter()
            .map(|column| (column.name.clone(), usual_width(&column.sql_type)))
            .collect();
        Self {
            names: header.columns.iter().map(|column| column.name.clone()).collect(),
            layout: Layout::streaming(columns, output_width()),
        }
    }

    /// The row as a JSON object. The values stand in it as the server wrote them.
    fn object(&self, row: &Row) -> String {
        let members: Vec<String> = self
            .names
            .iter()
            .zip(&row.cells)
            .map(|(name, cell)| format!("{}:{}", Value::from(name.as_str()), cell.as_json()))
            .collect();
        format!("{{{}}}", members.join(","))
    }
}

/// How many cells the values of a type usually take.
fn usual_width(sql_type: &str) -> usize {
    let base = sql_type.split(['<', '(']).next().unwrap_or_default();
    match base {
        "BOOLEAN" => 5,
        "INTEGER" | "INT" | "DATE" | "TIME" => 11,
        "BIGINT" | "DOUBLE" | "TIMESTAMP" => 20,
        // Its digits, a sign and a point.
        "DECIMAL" => decimal_precision(sql_type).unwrap_or(18) + 2,
        "ARRAY" | "MAP" | "STRUCT" => 60,
        _ => 32,
    }
}

/// The digits of `DECIMAL(digits, scale)`.
fn decimal_precision(sql_type: &str) -> Option<usize> {
    let (_, arguments) = sql_type.split_once('(')?;
    let (digits, _) = arguments.split_once(',')?;
    digits.trim().parse().ok()
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
