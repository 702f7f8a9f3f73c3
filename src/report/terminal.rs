//! Progress on a terminal: one line a step, redrawn in place. Understandable without colour.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::events::{Event, Outcome, Step};
use crate::report::{Renderer, plain};
use crate::settings::{Colour, Verbosity};

/// How often the spinner moves.
const FRAME: Duration = Duration::from_millis(120);

/// Lines that change in place, through indicatif.
pub(super) struct Terminal {
    verbosity: Verbosity,
    colour: Colour,
    lines: MultiProgress,
    running: HashMap<Step, ProgressBar>,
}

impl Terminal {
    pub(super) fn new(verbosity: Verbosity, colour: Colour) -> Self {
        Self {
            verbosity,
            colour,
            lines: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            running: HashMap::new(),
        }
    }

    /// Prints a line that stays, above the lines that change.
    fn line(&self, text: &str) {
        self.lines.suspend(|| {
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
    }

    fn style(&self, template: &str) -> ProgressStyle {
        let template = match self.colour {
            Colour::Always => template.to_owned(),
            Colour::Never => template
                .replace(".cyan", "")
                .replace(".green", "")
                .replace(".red", ""),
        };
        ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_spinner())
    }
}

impl Renderer for Terminal {
    fn event(&mut self, event: &Event) {
        match event {
            Event::StepStarted { step, text } => {
                let bar = self.lines.add(ProgressBar::new_spinner());
                bar.set_style(
                    self.style("{spinner:.cyan} {prefix} {elapsed:.cyan} {wide_msg}")
                        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "),
                );
                bar.set_prefix(step.to_string());
                bar.set_message(text.clone());
                bar.enable_steady_tick(FRAME);
                if let Some(previous) = self.running.insert(step.clone(), bar) {
                    previous.finish_and_clear();
                }
            }
            Event::StepProgress { step, text } => {
                if let Some(bar) = self.running.get(step) {
                    bar.set_message(text.clone());
                }
            }
            Event::StepFinished {
                step,
                outcome,
                text,
                elapsed,
            } => {
                let (mark, template) = match outcome {
                    Outcome::Done => ("✔", "{prefix:.green} {wide_msg}"),
                    Outcome::Unchanged => ("·", "{prefix} {wide_msg}"),
                    Outcome::Failed => ("✘", "{prefix:.red} {wide_msg}"),
                };
                let bar = self
                    .running
                    .remove(step)
                    .unwrap_or_else(|| self.lines.add(ProgressBar::new_spinner()));
                bar.set_style(self.style(template));
                bar.set_prefix(mark);
                bar.finish_with_message(plain::finished(step, *outcome, text, *elapsed));
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

    fn suspend(&mut self, write: &mut dyn FnMut()) {
        self.lines.suspend(write);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        for bar in self.running.values() {
            bar.abandon();
        }
    }
}
