//! The only place that prints. Data goes to standard output, progress and errors to standard error.
//!
//! A [`Reporter`] is handed to whoever has something to tell: [`Reporter::emit`] takes an [`Event`] and gives
//! it to one renderer (terminal, plain lines or JSON lines), and to the journal of the project while there is one;
//! [`Reporter::data`] writes what the user asked for, as text or as a JSON line. Renderers only consume: no decision
//! is taken here. The sentences of those that are read by people stand in `words`.

pub mod chaos_text;
pub mod entity;
mod journal;
mod json;
pub mod junit;
pub mod output_size;
mod plain;
pub mod printable;
pub mod raw;
pub mod report_file;
pub mod scenario_text;
pub mod table;
mod terminal;
mod words;
pub mod wrapping;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::error::{Diagnose, Failure, Result};
use crate::events::{Event, Failed, Line, Listener, Step, StepNews};
use crate::exit_code::ExitCode;
pub use crate::quantity::duration;
use crate::report::journal::Journal;
use crate::settings::{Format, OutputSettings, Verbosity};
use crate::stack::project::ProjectName;
use crate::state::ProjectFolder;

/// How many events wait for whoever follows them.
const FOLLOWED_EVENTS: usize = 1024;
/// How often a renderer that wants a heartbeat is asked whether one is due.
const TICK: Duration = Duration::from_secs(1);

/// Shows events and writes data. A cheap clone.
#[derive(Clone)]
pub struct Reporter {
    shared: Arc<Shared>,
}

/// Turns events into what is seen on standard error.
trait Renderer: Send {
    /// Shows an event of a command that works on `project`.
    fn event(&mut self, event: &Event, project: Option<&ProjectName>);

    /// Called about once a second, for renderers that show a heartbeat.
    fn tick(&mut self) {}

    /// Runs `write` while the display is out of the way of other output.
    fn suspend(&mut self, write: &mut dyn FnMut()) {
        write();
    }
}

struct Shared {
    output: OutputSettings,
    /// The project the command works on, once that is known.
    project: OnceLock<ProjectName>,
    renderer: Mutex<Box<dyn Renderer>>,
    /// What happened since the recording began, while there is one.
    recording: Mutex<Option<Vec<Event>>>,
    /// The file of what happens, while there is one.
    journal: Mutex<Option<Journal>>,
    /// Who else is told what happens, while somebody is.
    follower: Mutex<Option<tokio::sync::mpsc::Sender<Line>>>,
    /// Whether the error that ends the command was shown already.
    failure_shown: AtomicBool,
    /// Dropped with the last reporter, which ends the heartbeat's thread.
    _heartbeat: mpsc::Sender<()>,
}

/// Standard output could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The reader of standard output went away (`osqdemo … | head`): the end of the command, not a failure.
    #[error("standard output was closed by its reader")]
    Closed,
    /// Any other trouble, such as a full disk.
    #[error("failed to write to standard output: {source}")]
    Write {
        /// What the system said.
        source: io::Error,
    },
    /// A value without a JSON form.
    #[error("failed to write a value as JSON: {source}")]
    Json {
        /// What the serializer said.
        source: serde_json::Error,
    },
}

impl Diagnose for OutputError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Closed => ExitCode::Ok,
            Self::Write { .. } | Self::Json { .. } => ExitCode::Internal,
        }
    }
}

impl Listener for Reporter {
    fn hear(&self, event: Event) {
        self.emit(event);
    }
}

impl Reporter {
    /// A reporter with the renderer that fits `output`.
    pub fn new(output: OutputSettings) -> Self {
        let OutputSettings {
            verbosity, colour, ..
        } = output;
        let renderer: Box<dyn Renderer> = match output.format {
            Format::Json => Box::new(json::JsonLines::new(verbosity)),
            Format::Text if output.progress_on_terminal && verbosity != Verbosity::Quiet => {
                Box::new(terminal::Terminal::new(verbosity, colour))
            }
            Format::Text => Box::new(plain::PlainLines::new(verbosity, colour)),
        };
        let (heartbeat, ended) = mpsc::channel();
        let shared = Arc::new(Shared {
            output,
            project: OnceLock::new(),
            renderer: Mutex::new(renderer),
            recording: Mutex::default(),
            journal: Mutex::default(),
            follower: Mutex::default(),
            failure_shown: AtomicBool::new(false),
            _heartbeat: heartbeat,
        });
        let observed = Arc::downgrade(&shared);
        thread::spawn(move || beat(&observed, &ended));
        Self { shared }
    }

    /// Tells the news of a step as events.
    pub fn news_of(&self, step: &Step) -> impl Fn(StepNews) + Send + Sync + use<> {
        let (reporter, step) = (self.clone(), step.clone());
        move |news| reporter.emit(news.of(&step))
    }

    /// From now on, commands in hints and notes name this project, unless it is the default one.
    pub fn address(&self, project: &ProjectName) {
        // A command works on one project.
        let _ = self.shared.project.set(project.clone());
    }

    /// Shows an event on standard error. Never fails: progress that cannot be shown stops no work.
    pub fn emit(&self, event: impl Into<Event>) {
        let (mut event, project) = (event.into(), self.shared.project.get());
        if let Some(failure) = event.failure_mut() {
            for hint in &mut failure.hints {
                *hint = words::addressed(hint, project);
            }
        }
        // What was seen on the display is on record, also when the process is killed right after.
        if let Some(journal) = locked(&self.shared.journal).as_mut() {
            journal.event(&event);
        }
        self.renderer().event(&event, project);
        if let Some(follower) = locked(&self.shared.follower).as_ref() {
            // Who follows too slowly misses events; nobody waits for that.
            let _ = follower.try_send(Line::at(Timestamp::now(), None, event.clone()));
        }
        if let Some(recording) = locked(&self.shared.recording).as_mut() {
            recording.push(event);
        }
    }

    /// Tells what happens from now on to somebody else as well, until [`Reporter::part`].
    pub fn follow(&self) -> tokio::sync::mpsc::Receiver<Line> {
        let (follower, events) = tokio::sync::mpsc::channel(FOLLOWED_EVENTS);
        *locked(&self.shared.follower) = Some(follower);
        events
    }

    /// Ends what [`Reporter::follow`] began: no event comes any more.
    pub fn part(&self) {
        *locked(&self.shared.follower) = None;
    }

    /// Keeps what happens from now on, for a report.
    pub fn record(&self) {
        *locked(&self.shared.recording) = Some(Vec::new());
    }

    /// Ends the recording and gives what it holds.
    pub fn recorded(&self) -> Vec<Event> {
        locked(&self.shared.recording).take().unwrap_or_default()
    }

    /// Appends what happens from now on to the journal of a project, as a run of `verb`.
    pub fn begin_journal(&self, folder: ProjectFolder, verb: &'static str) {
        let arguments = std::env::args_os().skip(1);
        let arguments: Vec<String> = arguments
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect();
        *locked(&self.shared.journal) = Some(Journal::begin(folder, verb, &arguments));
    }

    /// Appends how the run ended, if there is a journal.
    pub fn end_journal(&self, code: ExitCode) {
        let journal = locked(&self.shared.journal).take();
        if let Some(journal) = journal {
            journal.end(code);
        }
    }

    /// Writes a piece of data to standard output: `record` as a JSON line with `--json`, else `text` and a
    /// line break (none is added when it already ends in one; nothing is written when it is empty).
    ///
    /// # Errors
    /// When standard output cannot be written; [`OutputError::Closed`] when its reader went away.
    pub fn data<T: Serialize>(&self, record: &T, text: impl FnOnce() -> String) -> Result<()> {
        let line = match self.shared.output.format {
            Format::Json => serde_json::to_string(record).map_err(|source| OutputError::Json { source })?,
            Format::Text => text(),
        };
        self.write(&line)
    }

    /// Writes text to standard output as it is, whatever the format: for output that has one form only,
    /// such as a completion script.
    ///
    /// # Errors
    /// As [`Reporter::data`].
    pub fn text(&self, text: &str) -> Result<()> {
        self.write(text)
    }

    /// Tells the error that ends the command.
    pub fn failure(&self, failure: &Failure) {
        self.shared.failure_shown.store(true, Ordering::Relaxed);
        self.emit(Event::Failed(Failed::of(failure.diagnosis())));
    }

    /// Tells the error that ended the command, unless the command told it before it cleaned up.
    pub fn last_failure(&self, failure: &Failure) {
        if !self.shared.failure_shown.load(Ordering::Relaxed) {
            self.failure(failure);
        }
    }

    /// Whether data and progress are JSON lines.
    pub fn format(&self) -> Format {
        self.shared.output.format
    }

    /// Whether standard output may carry colours.
    pub fn output(&self) -> OutputSettings {
        self.shared.output
    }

    fn write(&self, text: &str) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let mut written = Ok(());
        self.renderer().suspend(&mut || {
            let mut stdout = io::stdout().lock();
            written = stdout
                .write_all(text.as_bytes())
                .and_then(|()| {
                    if text.ends_with('\n') {
                        Ok(())
                    } else {
                        stdout.write_all(b"\n")
                    }
                })
                .and_then(|()| stdout.flush());
        });
        written.map_err(|source| {
            if source.kind() == io::ErrorKind::BrokenPipe {
                OutputError::Closed
            } else {
                OutputError::Write { source }
            }
        })?;
        Ok(())
    }

    fn renderer(&self) -> MutexGuard<'_, Box<dyn Renderer>> {
        locked(&self.shared.renderer)
    }
}

/// Whoever panicked half-way through a line leaves something that is still good for the next one.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn beat(shared: &Weak<Shared>, ended: &mpsc::Receiver<()>) {
    while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        let Some(shared) = shared.upgrade() else { return };
        locked(&shared.renderer).tick();
    }
}
