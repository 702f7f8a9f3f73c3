//! The agent's own log: lines in glog's format on stderr, and a bounded buffer of the same lines for the logger plugins
//! that ask for status logs.
//!
//! It knows nothing of loggers; the scheduler drains it every three seconds, as osqueryd does.

use std::collections::VecDeque;
use std::io::Write as _;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Lines kept for the loggers; when they are away for longer the oldest go, as in osqueryd's bounded buffer.
const KEPT_LINES: usize = 1000;

/// glog's severities, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    Info = 0,
    Warning = 1,
    Error = 2,
}

/// One line, as the logger plugins get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatusLine {
    pub(crate) severity: Severity,
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) message: String,
    pub(crate) unix_time: i64,
}

impl StatusLine {
    /// The line as it stands in a log of glog's, with its end.
    pub(crate) fn glog(&self) -> String {
        let time = Timestamp::from_second(self.unix_time).unwrap_or_default();
        glog_line(self.severity, time, &self.file, self.line, &self.message)
    }
}

/// A handle to the one log of the process.
#[derive(Debug, Clone, Default)]
pub(crate) struct StatusLog(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    verbose: AtomicBool,
    /// Off until a logger is known to want lines or not; see [`StatusLog::stop_keeping`].
    discard: AtomicBool,
    kept: Mutex<VecDeque<StatusLine>>,
}

impl StatusLog {
    pub(crate) fn set_verbose(&self, verbose: bool) {
        self.0.verbose.store(verbose, Ordering::Relaxed);
    }

    /// Only with `--verbose`: what happens on every run of every query.
    #[track_caller]
    pub(crate) fn verbose(&self, message: &dyn Fn() -> String) {
        if self.0.verbose.load(Ordering::Relaxed) {
            self.write(Severity::Info, &message());
        }
    }

    #[track_caller]
    pub(crate) fn info(&self, message: &str) {
        self.write(Severity::Info, message);
    }

    #[track_caller]
    pub(crate) fn warning(&self, message: &str) {
        self.write(Severity::Warning, message);
    }

    #[track_caller]
    pub(crate) fn error(&self, message: &str) {
        self.write(Severity::Error, message);
    }

    /// Takes the lines written since the last call.
    pub(crate) fn drain(&self) -> Vec<StatusLine> {
        self.0
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
            .collect()
    }

    /// No logger wants status lines: keep none.
    pub(crate) fn stop_keeping(&self) {
        self.0.discard.store(true, Ordering::Relaxed);
        self.drain();
    }

    #[track_caller]
    fn write(&self, severity: Severity, message: &str) {
        let location = Location::caller();
        let file = location.file().rsplit('/').next().unwrap_or_default();
        let now = osqdemo_clock::timestamp();
        let line = glog_line(severity, now, file, location.line(), message);
        // Nothing sensible can be done when stderr is gone.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
        if self.0.discard.load(Ordering::Relaxed) {
            return;
        }
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(StatusLine {
            severity,
            file: file.to_owned(),
            line: location.line(),
            message: message.to_owned(),
            unix_time: now.as_second(),
        });
    }
}

/// `I1124 04:46:29.123456  2271 scheduler.rs:137] message`
fn glog_line(severity: Severity, now: Timestamp, file: &str, line: u32, message: &str) -> String {
    let letter = match severity {
        Severity::Info => 'I',
        Severity::Warning => 'W',
        Severity::Error => 'E',
    };
    let local = now.to_zoned_datetime(TimeZone::system());
    format!(
        "{letter}{} {:>5} {file}:{line}] {message}\n",
        local.strftime("%m%d %H:%M:%S%.6f"),
        std::process::id()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_like_glogs() {
        let line = glog_line(Severity::Warning, Timestamp::now(), "scheduler.rs", 7, "slow");
        let (head, message) = line.split_once("] ").unwrap();
        assert_eq!(message, "slow\n");
        assert!(
            head.starts_with('W') && head.ends_with("scheduler.rs:7"),
            "{head}"
        );
        assert_eq!(
            head.split_whitespace().nth(1).unwrap().len(),
            "04:46:29.123456".len()
        );
    }

    #[test]
    fn lines_are_kept_until_drained_and_only_when_wanted() {
        let log = StatusLog::default();
        log.error("no such table: nothing");
        let lines = log.drain();
        assert_eq!(lines.len(), 1);
        assert_eq!(
            (lines[0].severity, lines[0].file.as_str()),
            (Severity::Error, "status_log.rs")
        );
        log.verbose(&|| "not shown".to_owned());
        assert!(log.drain().is_empty());
        log.stop_keeping();
        log.warning("gone");
        assert!(log.drain().is_empty());
    }
}
