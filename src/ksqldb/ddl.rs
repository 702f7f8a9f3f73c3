//! How the statements that make something are submitted.
//!
//! One by one, in order, so that a refusal can say what is there already and what is
//! missing. Submitting them again is harmless: what is there stays as it is.

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::entity::Entity;
use super::error::{Error, ServerError};
use super::existing;
use super::session::{Directive, Session, SessionError};
use super::statement::{Position, Script, Statement, position_in_message, without_position};
use crate::error::Diagnose;
use crate::events::{Ending, Event, Listener, Outcome, Place, Step, Warning};
use crate::exit_code::ExitCode;
use crate::state::Submitted;
use crate::waiting::{UNFELT, telling_when_felt};

/// A file of statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementFile {
    /// Its name, for messages.
    pub name: String,
    /// Its text.
    pub source: String,
}

/// What became of the statements.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Submission {
    /// What was created now, as [`Statement::title`] names it.
    pub created: Vec<String>,
    /// What was there already.
    pub already_there: Vec<String>,
}

/// A statement that ksqlDB refused, with all that the user needs to make sense of it.
#[derive(Debug, thiserror::Error)]
#[error(
    "ksqlDB rejected the statement at {file}:{position}: {}",
    first_line(without_position(&error.message))
)]
pub struct Rejection {
    /// The file.
    pub file: String,
    /// Where in the file: what ksqlDB points at, else where the statement begins.
    pub position: Position,
    /// The line of the file that the position is in.
    pub line: String,
    /// ksqlDB's words.
    pub error: ServerError,
    /// What had become of the statements before it.
    pub before: Submission,
    /// The statements after it, which were not submitted.
    pub not_submitted: Vec<String>,
}

/// The statements could not all be submitted.
#[derive(Debug, thiserror::Error)]
pub enum DdlError {
    /// ksqlDB refused a statement.
    #[error(transparent)]
    Rejected(Box<Rejection>),
    /// A directive for the client is wrong.
    #[error("wrong directive at {file}:{position}: {error}")]
    Directive {
        /// The file.
        file: String,
        /// Where it begins.
        position: Position,
        /// What is wrong.
        error: SessionError,
    },
    /// The last statement of a file has no end.
    #[error("the statement at {file}:{position} is not ended by `;`")]
    Unfinished {
        /// The file.
        file: String,
        /// Where it begins.
        position: Position,
    },
    /// No usable answer.
    #[error("failed to submit the statement at {file}:{position}: {error}")]
    NoAnswer {
        /// The file.
        file: String,
        /// Where the statement begins.
        position: Position,
        /// What happened.
        error: Error,
    },
    /// The user asked to end.
    #[error("interrupted while the statements were submitted")]
    Interrupted,
}

impl Diagnose for DdlError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Rejected(_) => ExitCode::StatementRejected,
            Self::Directive { .. } | Self::Unfinished { .. } => ExitCode::Usage,
            Self::NoAnswer { error, .. } => error.exit_code(),
            Self::Interrupted => ExitCode::Interrupted,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Rejected(rejection) if !rejection.before.created.is_empty() => {
                vec!["what was created stays; submitting again goes on from there".to_owned()]
            }
            Self::NoAnswer { error, .. } => error.hints(),
            _ => Vec::new(),
        }
    }

    fn details(&self) -> Vec<String> {
        match self {
            Self::Rejected(rejection) => rejection.details(),
            _ => Vec::new(),
        }
    }
}

impl Rejection {
    /// The refusal of `statement`, which stands in `file`.
    pub fn new(
        file: &StatementFile,
        statement: &Statement,
        error: ServerError,
        before: Submission,
        not_submitted: Vec<String>,
    ) -> Self {
        let position = position_in_message(&error.message)
            .map_or(statement.begins, |inside| statement.position_in_script(inside));
        let line = file.source.lines().nth(position.line - 1);
        Self {
            file: file.name.clone(),
            position,
            line: line.unwrap_or_default().to_owned(),
            error,
            before,
            not_submitted,
        }
    }

    /// The place in the file, and what became of the other statements.
    pub fn details(&self) -> Vec<String> {
        let Self {
            file,
            position,
            line,
            error,
            before,
            not_submitted,
        } = self;
        let number = position.line.to_string();
        let mut details = vec![
            format!("{file}:{position} (ksqlDB error code {})", error.code),
            format!("{number} | {line}"),
            format!(
                "{:width$} | {:>column$}",
                "",
                "^",
                width = number.len(),
                column = position.column
            ),
        ];
        let more = without_position(&error.message).trim_end().lines().skip(1);
        details.extend(more.map(str::to_owned));
        let lists = [
            ("done before it", &before.created),
            ("already there", &before.already_there),
            ("not submitted", not_submitted),
        ];
        for (what, statements) in lists {
            if !statements.is_empty() {
                details.push(format!("{what}:"));
                details.extend(statements.iter().map(|statement| format!("  {statement}")));
            }
        }
        details
    }
}

/// Submits the statements of `files` in order. Tells each one's fate as a step; what exists already is left
/// as it is and is no error. What was made goes on record in `submitted`, which tells the project's own from others'.
///
/// # Errors
/// At the first statement that is refused or not answered; nothing after it is submitted. Everything is
/// parsed before anything is submitted.
pub async fn submit(
    client: &Client,
    files: &[StatementFile],
    submitted: &mut Submitted,
    listener: &dyn Listener,
    cancel: &CancellationToken,
) -> Result<Submission, DdlError> {
    let planned = plan(files)?;
    let mut made = Vec::new();
    let mut submission = Submission::default();
    let mut session = Session::default();
    for (index, planned_statement) in planned.iter().enumerate() {
        let Planned { file, statement, .. } = planned_statement;
        if let Some(directive) = &planned_statement.directive {
            session
                .apply(directive)
                .map_err(|error| planned_statement.directive_error(error))?;
            continue;
        }
        let name = statement.title();
        let begin = Instant::now();
        let tell = || {
            listener.emit(Event::StepStarted {
                step: Step::statement(&*name),
                doing: client.waiting(),
            });
        };
        let answer = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(DdlError::Interrupted),
            answer = telling_when_felt(UNFELT, tell, client.execute(statement, &session)) => answer,
        };
        let fate = Fate::from(answer);
        listener.emit(Event::StepFinished {
            step: Step::statement(&*name),
            outcome: fate.outcome(),
            ending: fate.ending(),
            elapsed: begin.elapsed(),
        });
        match fate {
            Fate::AlreadyThere => {
                let doubt = tokio::select! {
                    biased;
                    () = cancel.cancelled() => return Err(DdlError::Interrupted),
                    doubt = existing::doubt(client, statement, submitted) => doubt,
                };
                if let Some(found) = doubt {
                    let at = planned_statement.place();
                    listener.emit(Warning::StatementDoubtful { at, found });
                }
                submission.already_there.push(name);
            }
            Fate::Created(entities) => {
                submission.created.push(name);
                made.push(statement);
                for warning in entities.iter().flat_map(Entity::warnings) {
                    listener.emit(Warning::StatementWarned {
                        at: planned_statement.place(),
                        message: warning.to_owned(),
                    });
                }
            }
            Fate::Failed(Error::Rejected(error)) => {
                let not_submitted = planned[index + 1..]
                    .iter()
                    .filter(|planned| planned.directive.is_none())
                    .map(|planned| planned.statement.title())
                    .collect();
                let rejection = Rejection::new(file, statement, error, submission, not_submitted);
                return Err(DdlError::Rejected(Box::new(rejection)));
            }
            Fate::Failed(error) => {
                return Err(DdlError::NoAnswer {
                    file: file.name.clone(),
                    position: statement.begins,
                    error,
                });
            }
        }
    }
    tokio::select! {
        biased;
        () = cancel.cancelled() => return Err(DdlError::Interrupted),
        () = existing::note(client, &made, submitted) => {}
    }
    Ok(submission)
}

/// What became of one statement.
enum Fate {
    Created(Vec<Entity>),
    AlreadyThere,
    Failed(Error),
}

impl From<Result<Vec<Entity>, Error>> for Fate {
    fn from(answer: Result<Vec<Entity>, Error>) -> Self {
        match answer {
            Ok(entities) if entities.iter().any(Entity::is_already_exists) => Self::AlreadyThere,
            Ok(entities) => Self::Created(entities),
            Err(Error::Rejected(error)) if error.is_already_exists() => Self::AlreadyThere,
            Err(error) => Self::Failed(error),
        }
    }
}

impl Fate {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Created(_) => Outcome::Done,
            Self::AlreadyThere => Outcome::Unchanged,
            Self::Failed(_) => Outcome::Failed,
        }
    }

    fn ending(&self) -> Ending {
        match self {
            Self::Created(entities) => Ending::Executed {
                message: entities.iter().find_map(Entity::message).map(str::to_owned),
                query_id: entities.iter().find_map(Entity::query_id).map(str::to_owned),
            },
            Self::AlreadyThere => Ending::AlreadyThere,
            Self::Failed(Error::Rejected(error)) => Ending::Refused {
                code: error.code,
                message: error.message.clone(),
            },
            Self::Failed(error) => Ending::failed(error),
        }
    }
}

/// A statement with the file it stands in.
struct Planned<'a> {
    file: &'a StatementFile,
    statement: Statement,
    directive: Option<Directive>,
}

impl Planned<'_> {
    fn place(&self) -> Place {
        let Position { line, column } = self.statement.begins;
        Place {
            file: self.file.name.clone(),
            line,
            column,
        }
    }

    fn directive_error(&self, error: SessionError) -> DdlError {
        DdlError::Directive {
            file: self.file.name.clone(),
            position: self.statement.begins,
            error,
        }
    }
}

fn plan(files: &[StatementFile]) -> Result<Vec<Planned<'_>>, DdlError> {
    let mut planned = Vec::new();
    for file in files {
        let script = Script::parse(&file.source);
        if let Some(unfinished) = script.unfinished {
            return Err(DdlError::Unfinished {
                file: file.name.clone(),
                position: unfinished.begins,
            });
        }
        for statement in script.statements {
            let mut entry = Planned {
                file,
                statement,
                directive: None,
            };
            entry.directive =
                Directive::parse(&entry.statement).map_err(|error| entry.directive_error(error))?;
            planned.push(entry);
        }
    }
    Ok(planned)
}

fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

#[cfg(test)]
#[path = "ddl_tests.rs"]
mod tests;
