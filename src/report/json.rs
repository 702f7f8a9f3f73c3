//! Events as JSON lines on standard error, one object an event.

use std::io::{self, Write};

use jiff::Timestamp;

use crate::events::{Change, Event, Line};
use crate::report::Renderer;
use crate::settings::Verbosity;
use crate::stack::project::ProjectName;

/// One JSON object a line.
pub(super) struct JsonLines {
    verbosity: Verbosity,
}

impl JsonLines {
    pub(super) fn new(verbosity: Verbosity) -> Self {
        Self { verbosity }
    }

    fn is_shown(&self, event: &Event) -> bool {
        match event {
            Event::Failed(_) => true,
            _ if self.verbosity == Verbosity::Quiet => false,
            Event::Detail(_) => self.verbosity >= Verbosity::Verbose,
            Event::PartProgress { news, .. } => {
                news.change == Change::Doing && self.verbosity >= Verbosity::Verbose
            }
            Event::Began { .. } | Event::Ended { .. } => false,
            _ => true,
        }
    }
}

impl Renderer for JsonLines {
    fn event(&mut self, event: &Event, _project: Option<&ProjectName>) {
        if !self.is_shown(event) {
            return;
        }
        let line = Line::at(Timestamp::now(), None, event.clone());
        if let Ok(text) = serde_json::to_string(&line) {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }
}
