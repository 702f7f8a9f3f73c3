//! Progress as JSON lines on standard error, one object an event, each with `schema_version` and `time`.

use std::io::{self, Write};

use serde::Serialize;

use crate::events::{Change, Event, SCHEMA_VERSION};
use crate::report::Renderer;
use crate::settings::Verbosity;

/// One JSON object a line.
pub(super) struct JsonLines {
    verbosity: Verbosity,
}

#[derive(Serialize)]
struct Line<'a> {
    schema_version: u32,
    /// When it happened: RFC 3339, UTC.
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

impl JsonLines {
    pub(super) fn new(verbosity: Verbosity) -> Self {
        Self { verbosity }
    }
}

impl Renderer for JsonLines {
    fn event(&mut self, event: &Event) {
        let is_shown = match event {
            Event::Detail { .. } => self.verbosity >= Verbosity::Verbose,
            Event::PartProgress { news, .. } => {
                news.change == Change::Doing && self.verbosity >= Verbosity::Verbose
            }
            _ => true,
        };
        if !is_shown {
            return;
        }
        let line = Line {
            schema_version: SCHEMA_VERSION,
            time: jiff::Timestamp::now().to_string(),
            event,
        };
        if let Ok(text) = serde_json::to_string(&line) {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }
}
