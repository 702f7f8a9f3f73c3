//! Progress as plain lines, for logs and pipes. A long silence reads as a hang, so a heartbeat says what is
//! still being waited for, and the last that was heard of it.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::events::{Change, Event, Outcome, Step, StepKind};
use crate::report::{Renderer, duration};
use crate::settings::Verbosity;

/// How long nothing may be printed while a step is running.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// One line an event, to standard error.
pub(super) struct PlainLines {
    verbosity: Verbosity,
    running: Vec<Running>,
    last_line: Instant,
}

struct Running {
    step: Step,
    since: Instant,
    news: String,
}

impl PlainLines {
    pub(super) fn new(verbosity: Verbosity) -> Self {
        Self {
            verbosity,
            running: Vec::new(),
            last_line: Instant::now(),
        }
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
        self.last_line = Instant::now();
    }
}

impl Renderer for PlainLines {
    fn event(&mut self, event: &Event) {
        match event {
            Event::StepStarted { step, text } => {
                self.running.retain(|running| running.step != *step);
                self.running.push(Running {
                    step: step.clone(),
                    since: Instant::now(),
                    news: text.clone(),
                });
                self.line(&format!("{step}: {text}"));
            }
            Event::StepProgress { step, text } => {
                let running = self.running.iter_mut().find(|running| running.step == *step);
                let is_news = running.is_some_and(|running| {
                    let is_news = running.news != *text;
                    running.news.clone_from(text);
                    is_news
                });
                if is_news && self.verbosity >= Verbosity::Verbose {
                    self.line(&format!("{step}: {text}"));
                }
            }
            Event::PartProgress { step, news } => {
                if news.change == Change::Doing && self.verbosity >= Verbosity::Verbose {
                    self.line(&format!("{step}: {}: {}", news.part, news.text));
                }
            }
            Event::StepFinished { .. } if is_noise(event, self.verbosity) => {}
            Event::StepFinished {
                step,
                outcome,
                text,
                elapsed,
            } => {
                self.running.retain(|running| running.step != *step);
                let line = finished(step, *outcome, text, *elapsed);
                self.line(&line);
            }
            Event::Note { text } => self.line(text),
            Event::Warning { text } => self.line(&format!("warning: {text}")),
            Event::Detail { text } => {
                if self.verbosity >= Verbosity::Verbose {
                    self.line(text);
                }
            }
        }
    }

    fn tick(&mut self) {
        if self.running.is_empty() || self.last_line.elapsed() < HEARTBEAT {
            return;
        }
        let lines: Vec<String> = self
            .running
            .iter()
            .map(|Running { step, since, news }| {
                format!(
                    "{step}: still waiting after {} s: {news}",
                    since.elapsed().as_secs()
                )
            })
            .collect();
        for line in lines {
            self.line(&line);
        }
    }
}

/// Whether an event is of interest with `--verbose` only: a statement whose result is there already.
pub(super) fn is_noise(event: &Event, verbosity: Verbosity) -> bool {
    matches!(
        event,
        Event::StepFinished {
            step: Step {
                kind: StepKind::Statement,
                ..
            },
            outcome: Outcome::Unchanged,
            ..
        }
    ) && verbosity < Verbosity::Verbose
}

/// The line of a finished step: `broker: healthy (85 ms)`.
pub(super) fn finished(step: &Step, outcome: Outcome, text: &str, elapsed: Duration) -> String {
    match outcome {
        Outcome::Done => format!("{step}: {text} ({})", duration(elapsed)),
        Outcome::Unchanged => format!("{step}: {text}"),
        Outcome::Failed => {
            // An error names its object, which stands before the colon already.
            let text = text.strip_prefix(&format!("{step} ")).unwrap_or(text);
            format!("{step}: failed: {text} ({})", duration(elapsed))
        }
    }
}
