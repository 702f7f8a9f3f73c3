//! How a look of `top` is shown: on a terminal in place of the one before, on a screen of its own that is put back at the
//! end; else below the one before.

use crate::error::Result;
use crate::report::Reporter;
use crate::report::output_size::{output_height, output_is_terminal, output_width};
use crate::report::table::table;
use crate::report::wrapping::wrap;
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
            return self
                .reporter
                .data(look, || text(look, output_width(), None) + "\n\n");
        }
        let height = output_height().map(|height| height.saturating_sub(1));
        let text = text(look, output_width(), height);
        let lines: Vec<String> = text
            .lines()
            .take(height.unwrap_or(usize::MAX))
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

/// A look as lines: of its longest parts no more rows than there is room for.
fn text(look: &Look, width: Option<usize>, height: Option<usize>) -> String {
    let mut parts = parts(look);
    loop {
        let text = whole(look, &parts, width);
        let is_too_high = height.is_some_and(|height| text.lines().count() > height);
        let longest = parts.iter_mut().max_by_key(|part| part.rows.len());
        match longest.filter(|part| is_too_high && part.rows.len() > 1) {
            Some(part) => {
                part.rows.pop();
                part.left_out += 1;
            }
            None => return text,
        }
    }
}

fn whole(look: &Look, parts: &[Part], width: Option<usize>) -> String {
    // A line that the terminal breaks would take a line that nobody counted.
    let within = |text: String| {
        let lines = wrap(&text, width.unwrap_or(usize::MAX), usize::MAX);
        let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
        lines.join("\n")
    };
    let mut texts = vec![within(format!(
        "project {}: {} joined rows since this began",
        look.project, look.joined
    ))];
    for part in parts.iter().filter(|part| !part.rows.is_empty()) {
        let mut text = table(part.headers, &part.rows, width);
        if part.left_out > 0 {
            text.push_str(&format!("\n… {} more", part.left_out));
        }
        texts.push(text);
    }
    let troubles = look.trouble.iter();
    texts.extend(troubles.map(|trouble| within(format!("trouble: {trouble}"))));
    texts.join("\n\n")
}

/// One of its tables.
struct Part {
    headers: &'static [&'static str],
    rows: Vec<Vec<String>>,
    /// How many rows had no room.
    left_out: usize,
}

impl Part {
    fn new(headers: &'static [&'static str], rows: impl Iterator<Item = Vec<String>>) -> Self {
        Self {
            headers,
            rows: rows.collect(),
            left_out: 0,
        }
    }
}

fn parts(look: &Look) -> [Part; 4] {
    let services = look.services.iter().map(|line| {
        vec![
            line.service.clone(),
            line.state.to_owned(),
            line.restarts.to_string(),
            line.port.map_or_else(|| "-".to_owned(), |port| port.to_string()),
        ]
    });
    let topics = look.topics.iter().map(|topic| {
        vec![
            topic.topic.clone(),
            topic.records.to_string(),
            topic
                .per_second
                .map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}")),
        ]
    });
    let lags = look.lags.iter();
    let lags = lags.map(|lag| vec![lag.group.clone(), lag.topic.clone(), lag.lag.to_string()]);
    let rows = look.rows.iter();
    let rows = rows.map(|row| vec![row.host.clone(), row.proc.clone(), row.file.clone()]);
    [
        Part::new(&["SERVICE", "STATE", "RESTARTS", "PORT"], services),
        Part::new(&["TOPIC", "RECORDS KEPT", "PER SECOND"], topics),
        Part::new(&["GROUP", "TOPIC", "LAG"], lags),
        Part::new(&["HOST", "PROC", "FILE"], rows),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::top::TopicRate;
    use crate::kafka::GroupLag;
    use crate::scenario::observation::JoinedRow;

    #[test]
    fn a_low_terminal_shows_something_of_each_part() {
        let topic = |number| TopicRate {
            topic: format!("topic_{number}"),
            records: 1,
            per_second: None,
        };
        let look = Look {
            schema_version: 1,
            project: "osqdemo".to_owned(),
            services: Vec::new(),
            topics: (0..30).map(topic).collect(),
            lags: vec![GroupLag {
                group: "a_group".to_owned(),
                topic: "topic_1".to_owned(),
                lag: 7,
            }],
            joined: 1,
            rows: vec![JoinedRow {
                host: "host2".to_owned(),
                proc: "/usr/bin/head".to_owned(),
                file: "/home/jay/myfile".to_owned(),
            }],
            trouble: vec!["the broker of this project is paused: somebody stopped it".to_owned()],
        };
        let shown = text(&look, Some(80), Some(23));
        assert!(shown.lines().count() <= 23, "{shown}");
        for part in ["topic_0", "a_group", "/usr/bin/head", " more"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(text(&look, Some(80), None).contains("topic_29"));
        let narrow = text(&look, Some(40), None);
        assert!(narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
        // Where there is no room at all, something is shown all the same.
        assert!(text(&look, Some(80), Some(1)).contains("osqdemo"));
    }
}
