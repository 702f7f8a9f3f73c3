//! `osqdemo ksql`: runs statements, or opens a prompt.

mod broker_silence;
mod completion;
mod declare;
mod help;
mod output;
mod own_commands;
mod pieces;
mod prompt;
mod runner;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use crate::cli::KsqlArgs;
use crate::commands::Context;
use crate::commands::project::Project;
use crate::commands::server_watch::ServerWatch;
use crate::engine::loss::Reliance;
use crate::error::{Diagnose, Failure};
use crate::exit_code::ExitCode;
use crate::input_file;
use crate::kafka::KafkaError;
use crate::ksqldb::Client;
use crate::ksqldb::ddl::{Rejection, StatementFile};
use crate::ksqldb::session::SessionError;
use crate::ksqldb::statement::Position;
use crate::stack::Role;
use pieces::Piece;
use runner::Runner;

/// What can go wrong in `osqdemo ksql`, apart from ksqlDB being away.
#[derive(Debug, thiserror::Error)]
pub enum KsqlCommandError {
    /// The file with the statements cannot be read.
    #[error("failed to read the statements from `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing to run.
    #[error("there is no statement in {file}")]
    Empty {
        /// Where they should be.
        file: String,
    },
    /// The last statement has no end.
    #[error("the statement at {file}:{position} is not ended by `;`")]
    Unfinished {
        /// The file.
        file: String,
        /// Where it begins.
        position: Position,
    },
    /// A statement for the client itself is wrong.
    #[error("at {file}:{position}: {error}")]
    Directive {
        /// The file.
        file: String,
        /// Where it begins.
        position: Position,
        /// What is wrong.
        error: SessionError,
    },
    /// ksqlDB refused a statement.
    #[error(transparent)]
    Rejected(Box<Rejection>),
    /// A command to the prompt cannot be carried out.
    #[error("at {file}:{position}: {reason}")]
    Command {
        /// The file.
        file: String,
        /// Where it begins.
        position: Position,
        /// Why not.
        reason: String,
    },
    /// Files that run one another.
    #[error("at {file}:{position}: scripts run each other more than {most} deep")]
    TooDeep {
        /// The file.
        file: String,
        /// Where it begins.
        position: Position,
        /// How deep they may.
        most: usize,
    },
    /// The file that is spooled into cannot be written.
    #[error("failed to write the spool file `{}`: {source}", path.display())]
    Spool {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A query that has no end of its own was ended.
    #[error("the server ended the query{}", message.as_ref().map(|said| format!(": {said}")).unwrap_or_default())]
    QueryEnded {
        /// What it said.
        message: Option<String>,
    },
    /// There is no topic to declare a stream of.
    #[error(transparent)]
    NoTopic(Box<KafkaError>),
    /// What has the name of a topic's stream reads another topic.
    #[error(
        "the stream `{stream}` of topic `{topic}` cannot be declared: what has that name reads the topic `{reads}`"
    )]
    OtherTopic {
        /// The stream.
        stream: String,
        /// The topic that was to be declared.
        topic: String,
        /// The topic that is read.
        reads: String,
    },
    /// The broker cannot be asked for its topics.
    #[error(transparent)]
    Topics(Box<KafkaError>),
    /// The terminal does not work as a prompt.
    #[error("failed to read from the terminal: {reason}")]
    Terminal {
        /// What the line editor says.
        reason: String,
    },
}

impl Diagnose for KsqlCommandError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Read { .. }
            | Self::Empty { .. }
            | Self::Unfinished { .. }
            | Self::Directive { .. }
            | Self::Command { .. }
            | Self::TooDeep { .. }
            | Self::Spool { .. } => ExitCode::Usage,
            Self::QueryEnded { .. } => ExitCode::NotRunning,
            Self::Rejected(_) | Self::OtherTopic { .. } => ExitCode::StatementRejected,
            // What it is about is not there, as a service that is not running.
            Self::NoTopic(_) => ExitCode::NotRunning,
            Self::Topics(error) => error.exit_code(),
            Self::Terminal { .. } => ExitCode::Internal,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Rejected(rejection) if rejection.error.is_already_exists() => vec![
                "leave the statement out, or drop first what is there; `osqdemo up` submits the pipeline's own \
                 statements and leaves alone what is there"
                    .to_owned(),
            ],
            Self::OtherTopic { topic, .. } => vec![format!(
                "give it a name of its own: `CREATE STREAM … WITH (KAFKA_TOPIC='{topic}', …)`"
            )],
            Self::NoTopic(error) | Self::Topics(error) => error.hints(),
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

/// Fails when the stack is not running, or at the first statement that is refused.
pub(super) async fn run(context: Context, arguments: KsqlArgs) -> Result<(), Failure> {
    if let Some(topic) = &arguments.declare {
        return declare(context, topic).await;
    }
    let script = match read_script(&arguments)? {
        Some(file) => Some((pieces_of(&file)?, file)),
        None => None,
    };
    let client = Client::of(&context.ksqldb().await?)?;
    match script {
        Some((pieces, file)) => {
            let watch = ServerWatch::begin(&context, Role::Ksqldb, Reliance::ThisRun).await?;
            let mut runner = Runner::new(client, context.reporter.clone());
            let running = runner.run_all(&file, &pieces, context.shutdown.token());
            match Box::pin(watch.over(running)).await {
                Ok(_) => Ok(()),
                Err(failure) => Err(broker_silence::explained(&context, failure).await),
            }
        }
        None => Box::pin(prompt::run(context, client)).await,
    }
}

/// Declares the stream of a topic, and says how it is called.
async fn declare(context: Context, topic: &str) -> Result<(), Failure> {
    let endpoints = context.endpoints().await?;
    let format = Project::open(&context)?.remembered.line_format();
    let declaration = declare::declaration(&endpoints.kafka, topic, format).await?;
    let pieces = pieces_of(&declaration.statement)?;
    let client = Client::of(&endpoints.ksqldb)?;
    let stream = &declaration.stream;
    // A topic's name has characters that a stream's has not: two topics may want one name.
    if let Some(reads) = declare::topic_read_by(&client, stream).await
        && reads != topic
    {
        return Err(KsqlCommandError::OtherTopic {
            stream: stream.clone(),
            topic: topic.to_owned(),
            reads,
        }
        .into());
    }
    let mut runner = Runner::new(client, context.reporter.clone());
    let stop = context.shutdown.token();
    if let Err(failure) = runner.run_all(&declaration.statement, &pieces, stop).await {
        return Err(broker_silence::explained(&context, failure).await);
    }
    let document = serde_json::json!({ "stream": stream, "topic": topic });
    context.reporter.data(&document, || {
        format!("the stream `{stream}` reads the topic `{topic}`: `select * from {stream} emit changes;`")
    })?;
    Ok(())
}

/// The text to run; nothing when there is a person to ask.
fn read_script(arguments: &KsqlArgs) -> Result<Option<StatementFile>, KsqlCommandError> {
    let from_input = |path: &Path| named("<stdin>", path, input_file::standard_input());
    match (&arguments.statement, &arguments.file) {
        (Some(statement), _) => named("<argument>", Path::new(""), Ok(statement.clone())).map(Some),
        (None, Some(path)) if path.as_os_str() == "-" => from_input(path).map(Some),
        (None, Some(path)) => {
            let name = path.display().to_string();
            named(&name, path, input_file::read_to_string(path)).map(Some)
        }
        (None, None) if io::stdin().is_terminal() => Ok(None),
        (None, None) => from_input(Path::new("-")).map(Some),
    }
}

fn named(name: &str, path: &Path, source: io::Result<String>) -> Result<StatementFile, KsqlCommandError> {
    match source {
        Ok(source) => Ok(StatementFile {
            name: name.to_owned(),
            // Some editors begin a file with a byte order mark.
            source: source.trim_start_matches('\u{feff}').to_owned(),
        }),
        Err(source) => Err(KsqlCommandError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn pieces_of(file: &StatementFile) -> Result<Vec<Piece>, KsqlCommandError> {
    let pieces = pieces::cut(&file.source).map_err(|unfinished| KsqlCommandError::Unfinished {
        file: file.name.clone(),
        position: unfinished.begins,
    })?;
    if pieces.is_empty() {
        return Err(KsqlCommandError::Empty {
            file: file.name.clone(),
        });
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(statement: Option<&str>, file: Option<&str>) -> KsqlArgs {
        KsqlArgs {
            statement: statement.map(str::to_owned),
            file: file.map(PathBuf::from),
            declare: None,
        }
    }

    fn text_of(piece: Piece) -> String {
        match piece {
            Piece::Statement(statement) => statement.text,
            Piece::Command { command, .. } => format!("{command:?}"),
        }
    }

    fn texts(statement: &str) -> Result<Vec<String>, KsqlCommandError> {
        let file = read_script(&arguments(Some(statement), None))?;
        let pieces = pieces_of(&file.unwrap_or_else(|| unreachable!("an argument was given")))?;
        Ok(pieces.into_iter().map(text_of).collect())
    }

    #[test]
    fn an_argument_needs_no_semicolon_at_its_end() {
        assert_eq!(texts("LIST STREAMS").unwrap(), ["LIST STREAMS\n;"]);
        assert_eq!(
            texts("LIST STREAMS; LIST TABLES -- all").unwrap(),
            ["LIST STREAMS;", "LIST TABLES -- all\n;"]
        );
    }

    #[test]
    fn a_file_may_begin_with_a_byte_order_mark() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("statements.sql");
        std::fs::write(&path, "\u{feff}LIST STREAMS;\r\n").expect("a file");
        let file = read_script(&arguments(None, path.to_str())).expect("it is read");
        let pieces = pieces_of(&file.expect("a file was given")).expect("a statement");
        assert_eq!(text_of(pieces[0].clone()), "LIST STREAMS;");
    }

    #[test]
    fn what_cannot_run_is_told_before_anything_runs() {
        let error = |statement| texts(statement).unwrap_err().to_string();
        insta::assert_snapshot!(error(" -- nothing"), @"there is no statement in <argument>");
        insta::assert_snapshot!(error("LIST STREAMS; SELECT 'a"), @"the statement at <argument>:1:15 is not ended by `;`");
        let missing = read_script(&arguments(None, Some("/nowhere/x.sql"))).unwrap_err();
        insta::assert_snapshot!(missing.to_string(), @"failed to read the statements from `/nowhere/x.sql`: No such file or directory (os error 2)");
        assert_eq!(missing.exit_code(), ExitCode::Usage);
    }
}
