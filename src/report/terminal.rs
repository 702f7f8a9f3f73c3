//! Progress on a terminal: one line a running step, and below it one for each of its parts that is being worked on,
//! redrawn in place; below them all a bar that says how much of the plan is done. What is finished stays as a plain line
//! above. Understandable without colour.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::events::{Activity, ByteCount, Detail, Event, Outcome, PartNews, Step};
use crate::plan::Action;
use crate::report::{Renderer, plain, words};
use crate::settings::{Colour, Verbosity};
use crate::stack::project::ProjectName;

/// How often the spinner moves.
const FRAME: Duration = Duration::from_millis(120);

/// Lines that change in place, through indicatif.
pub(super) struct Terminal {
    verbosity: Verbosity,
    colour: Colour,
    lines: MultiProgress,
    running: HashMap<Step, ProgressBar>,
    parts: HashMap<(Step, String), ProgressBar>,
    plan: PlanProgress,
}

/// How much of a plan is done.
#[derive(Default)]
struct PlanProgress {
    /// How many of its operations are steps: those of a service or an image.
    steps: u64,
    done: u64,
    bar: Option<ProgressBar>,
}

impl Terminal {
    pub(super) fn new(verbosity: Verbosity, colour: Colour) -> Self {
        Self {
            verbosity,
            colour,
            lines: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            running: HashMap::new(),
            parts: HashMap::new(),
            plan: PlanProgress::default(),
        }
    }

    /// Takes an operation of the plan that is about to be carried out.
    fn plan(&mut self, action: &Action) {
        match action {
            // Over in an instant, and without a step that would say so.
            Action::StartSupervisor | Action::CreateNetwork => {}
            _ => self.plan.steps += 1,
        }
    }

    /// Adds a line that changes, above the bar of the plan.
    fn add(&mut self, line: ProgressBar) -> ProgressBar {
        let PlanProgress { steps, done, bar } = &mut self.plan;
        // One step is told by its own line.
        if *steps > 1 && *done < *steps {
            let lines = &self.lines;
            let bar = bar.get_or_insert_with(|| {
                let style = part_style("  {bar:24} {pos} of {len} steps done, {elapsed}");
                lines.add(ProgressBar::new(*steps).with_style(style))
            });
            self.lines.insert_before(bar, line)
        } else {
            self.lines.add(line)
        }
    }

    fn step_done(&mut self, step: &Step) {
        if !matches!(step, Step::Service(_) | Step::Image(_)) {
            return;
        }
        self.plan.done += 1;
        let is_over = self.plan.done >= self.plan.steps;
        if is_over && let Some(bar) = self.plan.bar.take() {
            self.remove(&bar);
        } else if let Some(bar) = &self.plan.bar {
            bar.set_position(self.plan.done);
        }
    }

    /// Prints a line that stays, above the lines that change.
    fn line(&self, text: &str) {
        self.lines.suspend(|| {
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
    }

    fn style(&self) -> ProgressStyle {
        let template = match self.colour {
            Colour::Always => "{spinner:.cyan} {prefix} {elapsed:.cyan} {wide_msg}",
            Colour::Never => "{spinner} {prefix} {elapsed} {wide_msg}",
        };
        ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_spinner())
            .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
    }

    fn show_part(&mut self, step: &Step, news: &PartNews) {
        let key = (step.clone(), news.layer.clone());
        if news.activity == Activity::Still {
            if let Some(bar) = self.parts.remove(&key) {
                self.remove(&bar);
            }
            return;
        }
        let Some(whole) = self.running.get(step) else {
            return;
        };
        let bar = self
            .parts
            .entry(key)
            .or_insert_with(|| self.lines.insert_after(whole, ProgressBar::no_length()));
        let template = match news.bytes {
            Some(_) => "    {prefix} {msg} {bar:24} {bytes} of {total_bytes}",
            None => "    {prefix} {msg}",
        };
        bar.set_style(part_style(template));
        if let Some(ByteCount { current, total }) = news.bytes {
            bar.set_length(total);
            bar.set_position(current);
        }
        let (part, text) = words::part(news);
        bar.set_prefix(part);
        bar.set_message(text);
    }

    fn remove(&self, bar: &ProgressBar) {
        bar.finish_and_clear();
        self.lines.remove(bar);
    }
}

impl Renderer for Terminal {
    fn event(&mut self, event: &Event, project: Option<&ProjectName>) {
        match event {
            Event::StepStarted { step, doing } => {
                let bar = self.add(ProgressBar::new_spinner().with_style(self.style()));
                bar.set_prefix(step.to_string());
                bar.set_message(words::doing(step, doing));
                bar.enable_steady_tick(FRAME);
                if let Some(previous) = self.running.insert(step.clone(), bar) {
                    previous.finish_and_clear();
                }
            }
            Event::StepProgress { step, news } => {
                if let Some(bar) = self.running.get(step) {
                    bar.set_message(words::news(news));
                }
            }
            Event::PartProgress { step, news } => self.show_part(step, news),
            Event::StepFinished { .. } if plain::is_noise(event, self.verbosity) => {}
            Event::StepFinished {
                step,
                outcome,
                ending,
                elapsed,
            } => {
                for (_, bar) in self.parts.extract_if(|(of, _), _| of == step) {
                    bar.finish_and_clear();
                    self.lines.remove(&bar);
                }
                if let Some(bar) = self.running.remove(step) {
                    self.remove(&bar);
                }
                if *outcome != Outcome::Unchanged {
                    self.step_done(step);
                }
                let (mark, colour) = match outcome {
                    Outcome::Done => ("✔", "\u{1b}[32m"),
                    Outcome::Unchanged => ("·", ""),
                    Outcome::Failed => ("✘", "\u{1b}[31m"),
                };
                let line = words::finished(step, *outcome, ending, *elapsed);
                match self.colour {
                    Colour::Always => self.line(&format!("{colour}{mark}\u{1b}[0m {line}")),
                    Colour::Never => self.line(&format!("{mark} {line}")),
                }
            }
            Event::Note(note) => self.line(&words::note(note, project)),
            Event::Warning(warning) => {
                self.line(&format!("warning: {}", words::warning(warning, project)));
            }
            Event::Detail(detail) => {
                if let Detail::Planned { operation, .. } = detail {
                    self.plan(&operation.action);
                }
                if self.verbosity >= Verbosity::Verbose {
                    self.line(&words::detail(detail));
                }
            }
            Event::Failed(failed) => self.line(&words::failure(failed, self.colour)),
            Event::Began { .. } | Event::Ended { .. } => {}
        }
    }

    fn suspend(&mut self, write: &mut dyn FnMut()) {
        self.lines.suspend(write);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        for bar in self.parts.values() {
            self.remove(bar);
        }
        for bar in self.running.values() {
            bar.abandon();
        }
        if let Some(bar) = &self.plan.bar {
            self.remove(bar);
        }
    }
}

fn part_style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}
