//! Runs statements one after the other and shows what they answer: one session, from the first statement of a script to its
//! last, or as long as the prompt lasts.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::KsqlCommandError;
use super::output::Output;
use super::pieces::Piece;
use crate::error::Result;
use crate::events::{Ending, Event, Note, Outcome, RowsFrom, Step};
use crate::ksqldb::cell::Cell;
use crate::ksqldb::ddl::{Rejection, StatementFile, Submission};
use crate::ksqldb::rows::{Header, Item, Row};
use crate::ksqldb::session::{Directive, Session};
use crate::ksqldb::statement::{Kind, Script, Statement};
use crate::ksqldb::{Client, Entity, Error};
use crate::report::Reporter;
use crate::report::entity::{cell, entity_text};
use crate::report::output_size::output_width;
use crate::report::printable::printable;
use crate::report::table::{Layout, table};
use crate::settings::Format;
use crate::waiting::{UNFELT, telling_when_felt};

/// How long the server may take for the names that are completed: the prompt waits for them.
const NAMES_LIMIT: Duration = Duration::from_secs(2);

/// How long a query may be silent before it is told what it waits for.
const SILENT: Duration = Duration::from_secs(2);

/// What comes after a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// More statements.
    GoesOn,
    /// Nothing: `exit` was among them.
    Leaves,
}

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
    pub(super) client: Client,
    session: Session,
    pub(super) output: Output,
}

impl Runner {
    pub(super) fn new(client: Client, reporter: Reporter) -> Self {
        Self {
            client,
            session: Session::default(),
            output: Output::new(reporter),
        }
    }

    /// Runs a script until something in it fails, or the user ends it.
    pub(super) async fn run_all(
        &mut self,
        file: &StatementFile,
        pieces: &[Piece],
        cancel: &CancellationToken,
    ) -> Result<Flow> {
        self.run_nested(file, pieces, cancel, 0).await
    }

    pub(super) async fn run_nested(
        &mut self,
        file: &StatementFile,
        pieces: &[Piece],
        cancel: &CancellationToken,
        depth: usize,
    ) -> Result<Flow> {
        let mut before = Submission::default();
        for (index, piece) in pieces.iter().enumerate() {
            let statement = match piece {
                Piece::Statement(statement) => statement,
                Piece::Command { command, begins } => {
                    let place = (file, *begins);
                    if Box::pin(self.command(command, place, cancel, depth)).await? == Flow::Leaves {
                        return Ok(Flow::Leaves);
                    }
                    continue;
                }
            };
            match self.run(file, statement, cancel).await {
                Ok(Ended::Completely) => before.created.push(statement.title()),
                Ok(Ended::ByInterrupt) => return Ok(Flow::GoesOn),
                Err(RunError::Rejected(error)) => {
                    let rest = pieces[index + 1..].iter().filter_map(|piece| match piece {
                        Piece::Statement(statement) => Some(statement.title()),
                        Piece::Command { .. } => None,
                    });
                    let not_submitted: Vec<String> = rest.collect();
                    // A list of what went well before is of use only where more should have followed.
                    let before = if not_submitted.is_empty() {
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
        Ok(Flow::GoesOn)
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
                Some(change) => self.output.reporter.emit(Note::Session(change)),
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
                    self.output
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
            self.output.reporter.emit(Event::StepStarted {
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
            self.output.reporter.emit(Event::StepFinished {
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
        &mut self,
        statement: &Statement,
        cancel: &CancellationToken,
    ) -> std::result::Result<Ended, RunError> {
        let mut rows = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(Ended::ByInterrupt),
            rows = self.told(statement, self.client.query(statement, &self.session)) => rows?,
        };
        let mut shown = None;
        // Only a server that goes away, or somebody who terminates it, ends such a query.
        let is_endless =
            statement.kind() == Kind::Query && statement.says("CHANGES") && !statement.says("LIMIT");
        let mut last_word = None;
        let silent_at = Instant::now() + SILENT;
        let mut is_silent = true;
        loop {
            let item = tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(Ended::ByInterrupt),
                item = rows.next() => item?,
                () = sleep_until(silent_at.into()), if is_silent => {
                    is_silent = false;
                    self.output.reporter.emit(Note::AwaitingRows {
                        sources: statement.sources(),
                        from: self.begins_at(statement),
                    });
                    continue;
                }
            };
            is_silent &= matches!(item, Some(Item::Header(_)));
            match item {
                Some(Item::Header(header)) => {
                    shown = Some(ShownColumns::new(&header, &self.output));
                }
                Some(Item::Row(row)) => self.show_row(&row, shown.as_mut())?,
                Some(Item::Line(line)) => self
                    .output
                    .data(&serde_json::json!({ "line": line }), || printable(&line))
                    .map_err(RunError::Other)?,
                Some(Item::Final(message)) if is_endless => last_word = Some(message),
                Some(Item::Final(message)) => self.output.reporter.emit(Note::QueryEnded { message }),
                Some(Item::Failed(error)) => return Err(RunError::Rejected(error)),
                None if is_endless => {
                    return Err(KsqlCommandError::QueryEnded { message: last_word }.into());
                }
                None => {
                    self.show_end(shown.as_ref())?;
                    return Ok(Ended::Completely);
                }
            }
        }
    }

    /// Where a query begins to read, as `auto.offset.reset` or its own words have it.
    fn begins_at(&self, statement: &Statement) -> RowsFrom {
        let is_from_beginning = match statement.kind() {
            Kind::Print => statement.says("BEGINNING"),
            _ => self
                .session
                .properties()
                .iter()
                .any(|(name, value)| name.ends_with("auto.offset.reset") && value == "earliest"),
        };
        if is_from_beginning {
            RowsFrom::Earliest
        } else {
            RowsFrom::Latest
        }
    }

    fn show_row(&mut self, row: &Row, shown: Option<&mut ShownColumns>) -> std::result::Result<(), RunError> {
        let cells = || {
            let cells = row.cells.iter().map(Cell::to_text);
            cells.map(|cell| self.output.cell(cell)).collect::<Vec<_>>()
        };
        let line = match (shown, self.output.format()) {
            // Its own line break, so that a row of several lines keeps the empty one below it.
            (Some(columns), Format::Text) => columns.layout.row(&cells()) + "\n",
            (Some(columns), Format::Json) => columns.object(row),
            (None, _) => cells().join("  "),
        };
        self.output.text(&line).map_err(RunError::Other)
    }

    /// Of a query without rows, the names of its columns.
    fn show_end(&mut self, shown: Option<&ShownColumns>) -> std::result::Result<(), RunError> {
        let Some(columns) = shown.filter(|_| self.output.format() == Format::Text) else {
            return Ok(());
        };
        self.output.text(&columns.layout.end()).map_err(RunError::Other)
    }

    fn show_variables(&mut self) -> std::result::Result<(), RunError> {
        let variables = self.session.variables();
        self.output
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

    /// The names of the streams, tables and queries, for completion. None when they cannot be had, or not at once.
    pub(super) async fn known_names(&self) -> Vec<String> {
        timeout(NAMES_LIMIT, self.list_names()).await.unwrap_or_default()
    }

    async fn list_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for statement in Script::parse("LIST STREAMS; LIST TABLES; LIST QUERIES;").statements {
            let entities = self.client.execute(&statement, &Session::default()).await;
            let entities = entities.unwrap_or_default();
            names.extend(entities.iter().flat_map(Entity::source_names));
            names.extend(entities.iter().flat_map(Entity::query_ids));
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
    fn new(header: &Header, output: &Output) -> Self {
        Self {
            names: header.columns.iter().map(|column| column.name.clone()).collect(),
            layout: output.layout(header, usual_width),
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
