//! A figure: its samples, their median, the target beside it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its figures"
)]

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

/// Every figure of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    figures: Vec<Figure>,
}

impl Report {
    /// Adds a figure and shows it.
    pub(crate) fn add(
        &mut self,
        name: impl Into<String>,
        unit: &'static str,
        target: Option<Target>,
        samples: Vec<f64>,
    ) {
        let name = name.into();
        let [least, median, most] = [0.0, 0.5, 1.0].map(|share| quantile(&samples, share));
        let wanted = match target {
            Some(Target::AtMost(limit)) => format!("at most {limit}"),
            Some(Target::AtLeast(limit)) => format!("at least {limit}"),
            None => "-".to_owned(),
        };
        let met = match target {
            Some(Target::AtMost(limit)) if median > limit => "  MISSED",
            Some(Target::AtLeast(limit)) if median < limit => "  MISSED",
            _ => "",
        };
        eprintln!("{name:<58} {median:>12.2} ({least:.2} to {most:.2}) {unit:<10} {wanted:<18}{met}");
        self.figures.push(Figure {
            name,
            unit,
            median,
            least,
            most,
            target,
            samples,
        });
    }

    /// Says something beside the figures.
    pub(crate) fn note(&self, text: &str) {
        eprintln!("{text}");
    }

    /// The whole report as one JSON document.
    pub(crate) fn print(&self) {
        let text = serde_json::to_string_pretty(self).unwrap_or_else(|error| error.to_string());
        println!("{text}");
    }
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
