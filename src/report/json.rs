//! Progress as JSON lines on standard error, one object an event, each with `schema_version` and `time`.

use std::io::{self, Write};

use serde::Serialize;

use crate::events::{Event, SCHEMA_VERSION};
use crate::report::Renderer;
use crate::settings::Verbosity;

/// One JSON object a line.
pub(super) struct JsonLines {
    verbosity: Verbosity,
}

/// Something that happened, with its time.
#[derive(Serialize)]
pub(super) struct Line<T> {
    schema_version: u32,
    /// When it happened: RFC 3339, UTC.
    time: String,
    #[serde(flatten)]
    what: T,
}

impl<T> Line<T> {
    /// The line of something that happens now.
    pub(super) fn now(what: T) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            time: jiff::Timestamp::now().to_string(),
            what,
        }
    }
}

impl JsonLines {
    pub(super) fn new(verbosity: Verbosity) -> Self {
        Self { verbosity }
    }
}

impl Renderer for JsonLines {
    fn event(&mut self, event: &Event) {
        if matches!(event, Event::Detail { .. }) && self.verbosity < Verbosity::Verbose {
            return;
        }
        if let Ok(text) = serde_json::to_string(&Line::now(event)) {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }
}
