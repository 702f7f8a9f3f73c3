//! Progress as plain lines, for logs and pipes. A long silence reads as a hang, so a heartbeat says what is
//! still being waited for, and the last that was heard of it.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::events::{Change, Event, Outcome, Step};
use crate::report::{Renderer, words};
use crate::settings::{Colour, Verbosity};
use crate::stack::project::ProjectName;

/// How long nothing may be printed while a step is running.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// One line an event, to standard error.
pub(super) struct PlainLines {
    verbosity: Verbosity,
    colour: Colour,
    running: Vec<Running>,
    last_line: Instant,
}

struct Running {
    step: Step,
    since: Instant,
    news: String,
}

impl PlainLines {
    pub(super) fn new(verbosity: Verbosity, colour: Colour) -> Self {
        Self {
            verbosity,
            colour,
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
    fn event(&mut self, event: &Event, project: Option<&ProjectName>) {
        match event {
            Event::Failed(failed) => self.line(&words::failure(failed, self.colour)),
            _ if self.verbosity == Verbosity::Quiet => {}
            Event::StepStarted { step, doing } => {
                let text = words::doing(step, doing);
                self.line(&format!("{step}: {text}"));
                self.running.retain(|running| running.step != *step);
                self.running.push(Running {
                    step: step.clone(),
                    since: Instant::now(),
                    news: text,
                });
            }
            Event::StepProgress { step, news } => {
                let text = words::news(news);
                let running = self.running.iter_mut().find(|running| running.step == *step);
                let is_news = running.is_some_and(|running| {
                    let is_news = running.news != text;
                    running.news.clone_from(&text);
                    is_news
                });
                if is_news && self.verbosity >= Verbosity::Verbose {
                    self.line(&format!("{step}: {text}"));
                }
            }
            Event::PartProgress { step, news } => {
                if news.change == Change::Doing && self.verbosity >= Verbosity::Verbose {
                    let (part, text) = words::part(news);
                    self.line(&format!("{step}: {part}: {text}"));
                }
            }
            Event::StepFinished { .. } if is_noise(event, self.verbosity) => {}
            Event::StepFinished {
                step,
                outcome,
                ending,
                elapsed,
            } => {
                self.running.retain(|running| running.step != *step);
                self.line(&words::finished(step, *outcome, ending, *elapsed));
            }
            Event::Note(note) => self.line(&words::note(note, project)),
            Event::Warning(warning) => {
                self.line(&format!("warning: {}", words::warning(warning, project)));
            }
            Event::Detail(detail) => {
                if self.verbosity >= Verbosity::Verbose {
                    self.line(&words::detail(detail));
                }
            }
            Event::Began { .. } | Event::Ended { .. } => {}
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
            step: Step::Statement(_),
            outcome: Outcome::Unchanged,
            ..
        }
    ) && verbosity < Verbosity::Verbose
}
