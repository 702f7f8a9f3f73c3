//! The interactive prompt: statements over several lines, history, completion.
//!
//! The line editor blocks a thread while it waits for keys, so it has a thread of its own, which the process
//! does not wait for: when a signal ends the process, the terminal is put back as it was and that is all.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::config::Builder;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Editor};
use tokio::sync::oneshot;

use super::completion::{PROMPT_WORDS, StatementHelper};
use super::runner::Runner;
use super::{KsqlCommandError, statements};
use crate::commands::Context;
use crate::error::Result;
use crate::events::Note;
use crate::ksqldb::Client;
use crate::ksqldb::ddl::StatementFile;

const PROMPT: &str = "ksql> ";
const HISTORY_LENGTH: usize = 1000;

const HELP: &str = "\
Statements end with `;` and may span several lines. Ctrl-C ends a running query, Ctrl-D or `exit` the prompt.

  LIST STREAMS;  LIST TOPICS;  LIST QUERIES;     what there is
  DESCRIBE proc;                                 the columns of a stream
  PRINT 'processes' FROM BEGINNING LIMIT 3;      the records of a topic
  SELECT * FROM proc EMIT CHANGES;               rows as they come
  SET 'auto.offset.reset'='earliest';            start with the oldest rows
  DEFINE name = 'value';                         a variable, used as ${name}";

/// Asks for statements and runs them until the user leaves.
pub(super) async fn run(context: Context, client: Client) -> Result<()> {
    let info = client.info().await?;
    context.reporter.emit(Note::KsqlServer {
        version: info.version,
        server: client.url().to_owned(),
    });
    let history = context
        .settings
        .home
        .join(context.settings.project.as_str())
        .join("ksql-history");
    let mut runner = Runner::new(client, context.reporter.clone());
    let keyboard = Keyboard::start(history);
    loop {
        let sources = runner.source_names().await;
        let answer = tokio::select! {
            biased;
            () = context.shutdown.token().cancelled() => {
                keyboard.restore_terminal();
                // Leaves the line of the prompt.
                context.reporter.text("\n")?;
                return Err(context.shutdown.interrupted().into());
            }
            answer = keyboard.ask(sources) => answer?,
        };
        let source = match answer {
            Answer::End => return Ok(()),
            Answer::Nothing => continue,
            Answer::Line(line) => line,
        };
        match source.trim().to_ascii_lowercase().as_str() {
            "" => continue,
            "exit" | "quit" => return Ok(()),
            "help" => {
                context.reporter.text(HELP)?;
                continue;
            }
            _ => {}
        }
        let catcher = context.shutdown.catch_interrupt();
        let file = StatementFile {
            name: "<prompt>".to_owned(),
            source,
        };
        let statements = match statements(&file) {
            Ok(statements) => statements,
            Err(KsqlCommandError::Empty { .. }) => continue,
            Err(error) => {
                context.reporter.failure(&error.into());
                continue;
            }
        };
        let running = runner.run_all(&file, &statements, catcher.token());
        let result = tokio::select! {
            biased;
            () = context.shutdown.token().cancelled() => {
                return Err(context.shutdown.interrupted().into());
            }
            result = running => result,
        };
        if let Err(failure) = result {
            context.reporter.failure(&failure);
        }
    }
}

/// What came from the keyboard.
enum Answer {
    /// Whole statements, or a word for the prompt.
    Line(String),
    /// Ctrl-C: what was typed is dropped.
    Nothing,
    /// Ctrl-D.
    End,
}

type Reply = std::result::Result<Answer, KsqlCommandError>;

/// The thread of the line editor.
struct Keyboard {
    questions: mpsc::Sender<(Vec<String>, oneshot::Sender<Reply>)>,
    /// The terminal as it was before the editor changed it.
    terminal: Option<Termios>,
}

impl Keyboard {
    fn start(history: PathBuf) -> Self {
        let (questions, asked) = mpsc::channel::<(Vec<String>, oneshot::Sender<Reply>)>();
        thread::spawn(move || {
            let mut editor = editor(&history);
            while let Ok((sources, reply)) = asked.recv() {
                let answer = match &mut editor {
                    Ok(editor) => ask(editor, &history, sources),
                    Err(error) => Err(KsqlCommandError::Terminal {
                        reason: error.to_string(),
                    }),
                };
                if reply.send(answer).is_err() {
                    return;
                }
            }
        });
        Self {
            questions,
            terminal: tcgetattr(rustix::stdio::stdin()).ok(),
        }
    }

    async fn ask(&self, sources: Vec<String>) -> Reply {
        let gone = || KsqlCommandError::Terminal {
            reason: "the line editor ended".to_owned(),
        };
        let (reply, answer) = oneshot::channel();
        self.questions.send((sources, reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    fn restore_terminal(&self) {
        if let Some(terminal) = &self.terminal {
            // Best effort: the terminal may be gone, and with it whoever would see it.
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, terminal);
        }
    }
}

fn editor(history: &Path) -> rustyline::Result<Editor<StatementHelper, FileHistory>> {
    let config = Builder::new()
        .max_history_size(HISTORY_LENGTH)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .auto_add_history(true)
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(StatementHelper::default()));
    // There is none the first time, and a prompt without a past is still a prompt.
    let _ = editor.load_history(history);
    Ok(editor)
}

fn ask(editor: &mut Editor<StatementHelper, FileHistory>, history: &Path, sources: Vec<String>) -> Reply {
    if let Some(helper) = editor.helper_mut() {
        helper.sources = sources;
    }
    match editor.readline(PROMPT) {
        Ok(line) => {
            if !PROMPT_WORDS.contains(&line.trim()) {
                let _ = editor.save_history(history);
            }
            Ok(Answer::Line(line))
        }
        Err(ReadlineError::Interrupted) => Ok(Answer::Nothing),
        Err(ReadlineError::Eof) => Ok(Answer::End),
        Err(error) => Err(KsqlCommandError::Terminal {
            reason: error.to_string(),
        }),
    }
}
