//! How a look of `top` is shown: on a terminal in place of the one before, on a screen of its own that is put back at the
//! end; else below the one before.

use crate::error::Result;
use crate::report::Reporter;
use crate::report::table::{output_height, output_is_terminal, output_width, table};
use crate::settings::Format;

use super::Look;

/// The second screen of a terminal, without a cursor; and the way back. Source: ECMA-48 and xterm's control sequences.
const OPEN: &str = "\u{1b}[?1049h\u{1b}[?25l";
const CLOSE: &str = "\u{1b}[?25h\u{1b}[?1049l";
/// Begins at the top left; clears the rest of a line, and what is below.
const HOME: &str = "\u{1b}[H";
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";

/// Where looks are shown.
pub(super) struct Screen<'a> {
    reporter: &'a Reporter,
    /// Whether the second screen of a terminal is open.
    is_open: bool,
}

impl<'a> Screen<'a> {
    /// Takes the terminal, where standard output is one.
    pub(super) fn open(reporter: &'a Reporter) -> Result<Self> {
        let is_open = reporter.format() == Format::Text && output_is_terminal();
        if is_open {
            reporter.text(OPEN)?;
        }
        Ok(Self { reporter, is_open })
    }

    pub(super) fn show(&self, look: &Look) -> Result<()> {
        if !self.is_open {
            return self.reporter.data(look, || text(look, output_width()) + "\n\n");
        }
        let height = output_height().unwrap_or(usize::MAX).saturating_sub(1);
        let text = text(look, output_width());
        let lines: Vec<String> = text
            .lines()
            .take(height)
            .map(|line| format!("{line}{CLEAR_LINE}\n"))
            .collect();
        self.reporter
            .text(&format!("{HOME}{}{CLEAR_BELOW}", lines.concat()))
    }

    /// Gives the terminal back.
    pub(super) fn close(mut self) -> Result<()> {
        if std::mem::take(&mut self.is_open) {
            self.reporter.text(CLOSE)?;
        }
        Ok(())
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        if self.is_open {
            // After an error: whoever closed the terminal does not see it anyway.
            let _ = self.reporter.text(CLOSE);
        }
    }
}

/// A look as lines.
fn text(look: &Look, width: Option<usize>) -> String {
    let mut parts = vec![format!(
        "project {}: {} joined rows so far",
        look.project, look.joined
    )];
    let services = look.services.iter().map(|line| {
        vec![
            line.service.clone(),
            line.state.to_owned(),
            line.restarts.to_string(),
            line.port.map_or_else(|| "-".to_owned(), |port| port.to_string()),
        ]
    });
    part(
        &mut parts,
        &["SERVICE", "STATE", "RESTARTS", "PORT"],
        services,
        width,
    );
    let topics = look.topics.iter().map(|topic| {
        vec![
            topic.topic.clone(),
            topic.records.to_string(),
            topic
                .per_second
                .map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}")),
        ]
    });
    part(&mut parts, &["TOPIC", "RECORDS", "PER SECOND"], topics, width);
    let lags = look.lags.iter();
    let lags = lags.map(|lag| vec![lag.group.clone(), lag.topic.clone(), lag.lag.to_string()]);
    part(&mut parts, &["GROUP", "TOPIC", "LAG"], lags, width);
    let rows = look.rows.iter();
    let rows = rows.map(|row| vec![row.host.clone(), row.proc.clone(), row.file.clone()]);
    part(&mut parts, &["HOST", "PROC", "FILE"], rows, width);
    parts.extend(look.trouble.iter().map(|trouble| format!("trouble: {trouble}")));
    parts.join("\n\n")
}

fn part(
    parts: &mut Vec<String>,
    headers: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
    width: Option<usize>,
) {
    let rows: Vec<Vec<String>> = rows.collect();
    if !rows.is_empty() {
        parts.push(table(headers, &rows, width));
    }
}
