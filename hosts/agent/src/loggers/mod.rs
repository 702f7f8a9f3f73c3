//! Handing lines to the logger plugins, until each of them has acknowledged each line.
//!
//! osqueryd ends with code 78 when a logger fails once, and has forgotten the rows by then. Here a line is kept and
//! retried with growing pauses, for at most [`Patience::limit`]; the rows it is about are remembered as logged only
//! afterwards, so nothing is lost when the agent gives up, is ended or is killed.

mod filesystem;

use std::path::Path;
use std::time::{Duration, Instant};

use osquery_protocol::plugin::LoggerRequest;
use osquery_protocol::result_log::calendar_time;
use serde_json::json;

use self::filesystem::FileLogger;
use crate::extensions::{PluginError, Plugins};
use crate::flags::Flags;
use crate::shutdown::Shutdown;
use crate::status_log::{StatusLine, StatusLog};

/// The bit of a logger's features that asks for status lines.
const LOG_STATUS: i32 = 1;
/// The name osqueryd gives itself when it initialises a logger.
const PROCESS_NAME: &str = "osqueryd";

/// All loggers of `--logger_plugin`.
#[derive(Debug)]
pub(crate) struct Loggers {
    loggers: Vec<Logger>,
    plugins: Option<Plugins>,
    patience: Patience,
    shutdown: Shutdown,
    status: StatusLog,
}

/// How long a line that is not acknowledged is tried again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// The first pause; each further one is twice as long.
    pub(crate) first_pause: Duration,
    pub(crate) longest_pause: Duration,
    /// After this the agent gives up and ends with code 78, as osqueryd does at once.
    pub(crate) limit: Duration,
    /// How long after it was asked to end the agent still hands over lines.
    pub(crate) limit_at_shutdown: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(2),
            limit: Duration::from_secs(300),
            limit_at_shutdown: Duration::from_secs(2),
        }
    }
}

/// One line of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ResultLine {
    /// Of a differential query.
    Event(Vec<u8>),
    /// Of a snapshot.
    Snapshot(Vec<u8>),
}

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Every logger has it.
    Acknowledged,
    /// The agent is to end, and a logger does not have it.
    CutShort,
    /// A logger has refused it for too long.
    GivenUp { reason: String },
}

#[derive(Debug)]
enum Logger {
    File(FileLogger),
    Extension { name: String, wants_status: bool },
}

/// Loggers that cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoggerError {
    #[error("cannot activate the logger plugin `{name}`: neither the agent nor an extension has it")]
    Unknown { name: String },
    #[error("cannot activate the logger plugin `filesystem`: {source}")]
    Filesystem { source: filesystem::FileLoggerError },
}

impl Loggers {
    /// Finds the loggers `--logger_plugin` names. `has_plugin` waits for an extension's.
    pub(crate) fn activate(
        flags: &Flags,
        plugins: Option<Plugins>,
        shutdown: &Shutdown,
        status: &StatusLog,
        has_plugin: impl Fn(&str) -> bool,
    ) -> Result<Self, LoggerError> {
        let mut loggers = Vec::new();
        let names = flags
            .logger_plugin
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        for name in names.filter(|_| !flags.disable_logging) {
            if name == "filesystem" {
                let logger = FileLogger::open(Path::new(&flags.logger_path));
                loggers.push(Logger::File(
                    logger.map_err(|source| LoggerError::Filesystem { source })?,
                ));
            } else if has_plugin(name) {
                loggers.push(Logger::Extension {
                    name: name.to_owned(),
                    wants_status: false,
                });
            } else {
                return Err(LoggerError::Unknown {
                    name: name.to_owned(),
                });
            }
        }
        let mut loggers = Self {
            loggers,
            plugins,
            patience: Patience::default(),
            shutdown: shutdown.clone(),
            status: status.clone(),
        };
        loggers.initialise();
        Ok(loggers)
    }

    /// Hands a line to every logger.
    pub(crate) fn deliver(&self, line: &ResultLine) -> Delivery {
        if self.is_cut_short() {
            return Delivery::CutShort;
        }
        for logger in &self.loggers {
            let delivery = self.deliver_to(logger, line);
            if delivery != Delivery::Acknowledged {
                return delivery;
            }
        }
        Delivery::Acknowledged
    }

    /// Hands the agent's own lines to the loggers that want them. As with osqueryd, nobody looks whether they arrive.
    pub(crate) fn relay_status(&self, host_identifier: &str) {
        let lines = self.status.drain();
        if lines.is_empty() {
            return;
        }
        let mut text = None;
        for logger in &self.loggers {
            match (logger, &self.plugins) {
                (Logger::File(file), _) => file.write_status(&lines),
                (
                    Logger::Extension {
                        name,
                        wants_status: true,
                    },
                    Some(plugins),
                ) => {
                    let text = text.get_or_insert_with(|| status_text(&lines, host_identifier));
                    let request = LoggerRequest::Status(text.as_str().into());
                    // A failure is not logged: that would be another line to relay.
                    let _ = plugins.ask("logger", name, request.into_request());
                }
                (Logger::Extension { .. }, _) => {}
            }
        }
    }

    /// Tells extensions' loggers who they log for, and asks what they want.
    fn initialise(&mut self) {
        let mut any_wants_status = false;
        for logger in &mut self.loggers {
            any_wants_status |= matches!(logger, Logger::File(_));
            let (Logger::Extension { name, wants_status }, Some(plugins)) = (logger, &self.plugins) else {
                continue;
            };
            let features = plugins
                .ask(
                    "logger",
                    name,
                    LoggerRequest::Init(PROCESS_NAME.into()).into_request(),
                )
                .and_then(|_| plugins.ask("logger", name, LoggerRequest::Features.into_request()));
            match features {
                Ok(response) => *wants_status = i32::from(response.status.code) & LOG_STATUS != 0,
                Err(error) => self
                    .status
                    .warning(&format!("The logger {name} does not say what it wants: {error}")),
            }
            any_wants_status |= *wants_status;
        }
        if !any_wants_status {
            self.status.stop_keeping();
        }
    }

    fn is_cut_short(&self) -> bool {
        self.shutdown
            .age()
            .is_some_and(|age| age >= self.patience.limit_at_shutdown)
    }

    fn deliver_to(&self, logger: &Logger, line: &ResultLine) -> Delivery {
        let started = Instant::now();
        let mut pause = self.patience.first_pause;
        let mut failed = false;
        loop {
            let reason = match self.attempt(logger, line) {
                Ok(()) => {
                    if failed {
                        self.status.info(&format!(
                            "{} takes lines again after {:?}",
                            logger.name(),
                            started.elapsed()
                        ));
                    }
                    return Delivery::Acknowledged;
                }
                Err(reason) => reason,
            };
            if !failed {
                failed = true;
                self.status.warning(&format!(
                    "A line was not logged and is kept until it is: {reason}"
                ));
            }
            if self.is_cut_short() {
                return Delivery::CutShort;
            }
            if started.elapsed() >= self.patience.limit {
                return Delivery::GivenUp { reason };
            }
            self.pause(logger, pause);
            pause = (pause * 2).min(self.patience.longest_pause);
        }
    }

    /// Waits before the next attempt, or until the extension is back.
    fn pause(&self, logger: &Logger, pause: Duration) {
        // The wish to end must not turn the pauses into a busy loop: from then on it is not waited for any more.
        let never = Shutdown::default();
        let shutdown = if self.shutdown.is_requested() {
            &never
        } else {
            &self.shutdown
        };
        match (logger, &self.plugins) {
            (Logger::Extension { name, .. }, Some(plugins)) if !plugins.is_registered("logger", name) => {
                plugins.wait_for("logger", name, pause, shutdown);
            }
            _ => {
                shutdown.wait(pause);
            }
        }
    }

    fn attempt(&self, logger: &Logger, line: &ResultLine) -> Result<(), String> {
        match logger {
            Logger::File(file) => file.write(line).map_err(|error| error.to_string()),
            Logger::Extension { name, .. } => {
                let request = match line {
                    ResultLine::Event(line) => LoggerRequest::Line(line.as_slice().into()),
                    ResultLine::Snapshot(line) => LoggerRequest::Snapshot(line.as_slice().into()),
                };
                let Some(plugins) = &self.plugins else {
                    return Err(format!("extensions are off, and `{name}` would be one's"));
                };
                plugins
                    .call("logger", name, request.into_request())
                    .map(drop)
                    .map_err(|error: PluginError| error.to_string())
            }
        }
    }
}

impl Logger {
    fn name(&self) -> &str {
        match self {
            Self::File(_) => "The logger filesystem",
            Self::Extension { name, .. } => name,
        }
    }
}

/// The array osqueryd sends: severity, file, line, message, host, and the time twice.
fn status_text(lines: &[StatusLine], host_identifier: &str) -> String {
    let lines: Vec<_> = lines
        .iter()
        .map(|line| {
            json!({
                "s": line.severity as u8,
                "f": line.file,
                "i": line.line,
                "m": line.message,
                "h": host_identifier,
                "c": calendar_time(line.unix_time),
                "u": line.unix_time,
            })
        })
        .collect();
    serde_json::Value::Array(lines).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status_log::Severity;

    #[test]
    fn status_lines_are_osquerys() {
        let line = StatusLine {
            severity: Severity::Info,
            file: "interface.cpp".into(),
            line: 137,
            message: "Registering extension (rec, 22716)".into(),
            unix_time: 1_795_495_589,
        };
        assert_eq!(
            status_text(&[line], "vm"),
            r#"[{"s":0,"f":"interface.cpp","i":137,"m":"Registering extension (rec, 22716)","h":"vm","c":"Tue Nov 24 04:46:29 2026 UTC","u":1795495589}]"#
        );
    }

    #[test]
    fn an_unknown_logger_is_named() {
        let flags = Flags {
            logger_plugin: "confluent_logger".into(),
            ..Flags::default()
        };
        let error = Loggers::activate(&flags, None, &Shutdown::default(), &StatusLog::default(), |_| {
            false
        })
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot activate the logger plugin `confluent_logger`: neither the agent nor an extension has it"
        );
    }

    #[test]
    fn a_line_that_cannot_be_written_is_given_up_after_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let flags = Flags {
            logger_path: path.display().to_string(),
            ..Flags::default()
        };
        let shutdown = Shutdown::default();
        let mut loggers =
            Loggers::activate(&flags, None, &shutdown, &StatusLog::default(), |_| false).unwrap();
        loggers.patience = Patience {
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(5),
            limit: Duration::from_millis(30),
            limit_at_shutdown: Duration::from_millis(10),
        };
        assert_eq!(
            loggers.deliver(&ResultLine::Event(b"{}".to_vec())),
            Delivery::Acknowledged
        );
        std::fs::remove_dir_all(&path).unwrap();
        assert!(matches!(
            loggers.deliver(&ResultLine::Event(b"{}".to_vec())),
            Delivery::GivenUp { .. }
        ));
        shutdown.request();
        assert_eq!(
            loggers.deliver(&ResultLine::Event(b"{}".to_vec())),
            Delivery::CutShort
        );
        std::fs::create_dir(&path).unwrap();
        let late = loggers.deliver(&ResultLine::Event(b"{}".to_vec()));
        assert_eq!(late, Delivery::CutShort, "the time for last lines is over");
    }
}
