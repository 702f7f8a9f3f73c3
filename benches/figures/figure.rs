//! A figure: its samples, their median, the target beside it, and what bounds it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its figures"
)]

use std::fmt::Write;

use serde::Serialize;

/// One measured quantity.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    name: String,
    unit: &'static str,
    median: f64,
    least: f64,
    most: f64,
    /// What is asked for; absent where a figure is only told.
    target: Option<Target>,
    /// What keeps it from being better, where that is not what is measured: a client, a disk, a core.
    bound_by: Option<&'static str>,
    samples: Vec<f64>,
}

/// What a median should be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Figure {
    /// A figure that is only told.
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, samples: Vec<f64>) -> Self {
        let [least, median, most] = [0.0, 0.5, 1.0].map(|share| quantile(&samples, share));
        Self {
            name: name.into(),
            unit,
            median,
            least,
            most,
            target: None,
            bound_by: None,
            samples,
        }
    }

    /// The median should be no more than this.
    pub(crate) fn at_most(self, limit: f64) -> Self {
        Self {
            target: Some(Target::AtMost(limit)),
            ..self
        }
    }

    /// The median should be no less than this.
    pub(crate) fn at_least(self, limit: f64) -> Self {
        Self {
            target: Some(Target::AtLeast(limit)),
            ..self
        }
    }

    /// It is something else that keeps it from being better.
    pub(crate) fn bound_by(self, what: &'static str) -> Self {
        Self {
            bound_by: Some(what),
            ..self
        }
    }

    fn wanted(&self) -> String {
        match self.target {
            Some(Target::AtMost(limit)) => format!("at most {}", number(limit)),
            Some(Target::AtLeast(limit)) => format!("at least {}", number(limit)),
            None => String::new(),
        }
    }

    fn is_missed(&self) -> bool {
        match self.target {
            Some(Target::AtMost(limit)) => self.median > limit,
            Some(Target::AtLeast(limit)) => self.median < limit,
            None => false,
        }
    }
}

/// What one part found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
    notes: Vec<String>,
}

impl Report {
    /// Adds a figure and shows it.
    pub(crate) fn add(&mut self, figure: Figure) {
        tell(&format!(
            "{:<62} {:>12} ({} to {}) {:<12} {:<18}{}",
            figure.name,
            number(figure.median),
            number(figure.least),
            number(figure.most),
            figure.unit,
            figure.wanted(),
            if figure.is_missed() { "  MISSED" } else { "" }
        ));
        self.figures.push(figure);
    }

    /// Says something beside the figures; it stands below them.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        tell(&text);
        self.notes.push(text);
    }

    /// Nothing could be measured here.
    pub(crate) fn is_empty(&self) -> bool {
        self.figures.is_empty()
    }

    /// The figures as a table, the notes below it.
    pub(crate) fn section(&self) -> String {
        let mut text = String::from(
            "| figure | median | least to most | unit | wanted | bound by |\n|---|---|---|---|---|---|\n",
        );
        for figure in &self.figures {
            let _ = writeln!(
                text,
                "| {} | {} | {} to {} | {} | {}{} | {} |",
                figure.name,
                number(figure.median),
                number(figure.least),
                number(figure.most),
                figure.unit,
                figure.wanted(),
                if figure.is_missed() { " (missed)" } else { "" },
                figure.bound_by.unwrap_or_default(),
            );
        }
        for note in &self.notes {
            let _ = write!(text, "\n{note}\n");
        }
        text
    }

    /// The figures alone.
    pub(crate) fn into_figures(self) -> Vec<Figure> {
        self.figures
    }
}

/// Says something on standard error.
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
}

/// Every figure as one JSON document on standard output.
pub(crate) fn print(figures: &[Figure]) {
    let document = serde_json::json!({ "figures": figures });
    println!("{document:#}");
}

/// The value below which a share of the samples lies; 0 for no samples.
pub(crate) fn quantile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index within a few thousand samples"
    )]
    let index = (share * last as f64).round() as usize;
    sorted.get(index).copied().unwrap_or(0.0)
}

/// Three digits that count, and no more: 0.613, 97.2, 710000.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
