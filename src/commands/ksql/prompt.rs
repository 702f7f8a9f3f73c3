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

use super::broker_silence;
use super::completion::{StatementHelper, is_finished};
use super::help::help;
use super::pieces::{AT_ANY_TIME, Command};
use super::runner::{Flow, Runner};
use super::{KsqlCommandError, pieces_of};
use crate::commands::Context;
use crate::error::Result;
use crate::events::Note;
use crate::ksqldb::Client;
use crate::ksqldb::ddl::StatementFile;
use crate::report::output_size::output_width;

const PROMPT: &str = "ksql> ";
/// What a line of a statement begins with that is not its first.
const CONTINUATION: &str = " ...> ";
const HISTORY_LENGTH: usize = 1000;

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
        let names = runner.known_names().await;
        let answer = tokio::select! {
            biased;
            () = context.shutdown.token().cancelled() => {
                keyboard.restore_terminal();
                // Leaves the line of the prompt.
                context.reporter.text("\n")?;
                return Err(context.shutdown.interrupted().into());
            }
            answer = keyboard.ask(names) => answer?,
        };
        let source = match answer {
            Answer::End => return Ok(()),
            Answer::Nothing => continue,
            Answer::Help => {
                context.reporter.text(&help(output_width()))?;
                continue;
            }
            Answer::History(lines) => {
                context.reporter.text(&lines.join("\n"))?;
                continue;
            }
            Answer::Line(line) if line.trim().is_empty() => continue,
            Answer::Line(line) => line,
        };
        let catcher = context.shutdown.catch_interrupt();
        let file = StatementFile {
            name: "<prompt>".to_owned(),
            source,
        };
        let pieces = match pieces_of(&file) {
            Ok(pieces) => pieces,
            Err(KsqlCommandError::Empty { .. }) => continue,
            Err(error) => {
                context.reporter.failure(&error.into());
                continue;
            }
        };
        let running = runner.run_all(&file, &pieces, catcher.token());
        let result = tokio::select! {
            biased;
            () = context.shutdown.token().cancelled() => {
                return Err(context.shutdown.interrupted().into());
            }
            result = running => result,
        };
        match result {
            Ok(Flow::GoesOn) => {}
            Ok(Flow::Leaves) => return Ok(()),
            Err(failure) => {
                let failure = broker_silence::explained(&context, failure).await;
                context.reporter.failure(&failure);
            }
        }
    }
}

/// What came from the keyboard.
enum Answer {
    /// Whole statements, or a word for the prompt.
    Line(String),
    /// `help`: what was typed before it stays.
    Help,
    /// `history`, likewise.
    History(Vec<String>),
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
            let mut typed = String::new();
            while let Ok((names, reply)) = asked.recv() {
                let answer = match &mut editor {
                    Ok(editor) => ask(editor, &history, &mut typed, names),
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

    async fn ask(&self, names: Vec<String>) -> Reply {
        let gone = || KsqlCommandError::Terminal {
            reason: "the line editor ended".to_owned(),
        };
        let (reply, answer) = oneshot::channel();
        self.questions.send((names, reply)).map_err(|_| gone())?;
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
        .auto_add_history(false)
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(StatementHelper::default()));
    // There is none the first time, and a prompt without a past is still a prompt.
    let _ = editor.load_history(history);
    Ok(editor)
}

/// Asks for lines until they are whole statements. `typed` is what there is of one, kept while something else is shown.
fn ask(
    editor: &mut Editor<StatementHelper, FileHistory>,
    history: &Path,
    typed: &mut String,
    names: Vec<String>,
) -> Reply {
    if let Some(helper) = editor.helper_mut() {
        helper.names = names;
    }
    loop {
        let prompt = if typed.is_empty() { PROMPT } else { CONTINUATION };
        let line = match editor.readline(prompt) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                typed.clear();
                return Ok(Answer::Nothing);
            }
            Err(ReadlineError::Eof) => return Ok(Answer::End),
            Err(error) => {
                return Err(KsqlCommandError::Terminal {
                    reason: error.to_string(),
                });
            }
        };
        match at_any_time(&line) {
            Some(Command::Exit) => return Ok(Answer::End),
            Some(Command::Help) => return Ok(Answer::Help),
            Some(Command::History) => {
                return Ok(Answer::History(editor.history().iter().cloned().collect()));
            }
            _ => {}
        }
        if !typed.is_empty() {
            typed.push('\n');
        }
        typed.push_str(&line);
        if is_finished(typed) {
            let whole = std::mem::take(typed);
            let _ = editor.add_history_entry(&whole);
            let _ = editor.save_history(history);
            return Ok(Answer::Line(whole));
        }
    }
}

/// A word that is for the prompt also where a statement could go on.
fn at_any_time(line: &str) -> Option<Command> {
    let word = line.trim().trim_end_matches(';');
    let is_one = AT_ANY_TIME.iter().any(|known| known.eq_ignore_ascii_case(word));
    if is_one { Command::read(word) } else { None }
}
