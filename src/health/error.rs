//! Why a service is not healthy, with what to do about it.

use std::time::Duration;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::link::insertion::is_link;
use crate::plan::Exit;
use crate::quantity::duration;
use crate::stack::{Probe, ServiceName};

/// A service that is not healthy.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// It ended before it was healthy.
    #[error("{service} ended {}: {exit}", when(*after))]
    Ended {
        /// The service.
        service: ServiceName,
        /// How it ended.
        exit: Exit,
        /// How long it had been waited for; nothing when it had been healthy.
        after: Option<Duration>,
        /// The lines of its log that matter.
        log: Vec<String>,
    },
    /// Somebody paused it: it will not answer.
    #[error("{service} is paused: somebody stopped it without ending it")]
    Paused {
        /// The service.
        service: ServiceName,
    },
    /// It is not there any more.
    #[error("{service} is gone: it was stopped by somebody else")]
    Gone {
        /// The service.
        service: ServiceName,
    },
    /// It runs, and says that it will never be healthy as it is.
    #[error("{service} cannot be healthy: {answer}")]
    Hopeless {
        /// The service.
        service: ServiceName,
        /// What it answered.
        answer: String,
        /// What to do about it.
        way_out: String,
    },
    /// It runs, and is not healthy at the deadline.
    #[error("{service} was not healthy within {}", duration(*limit))]
    NotInTime {
        /// The service.
        service: ServiceName,
        /// What was asked.
        probe: Probe,
        /// The last answer.
        last_answer: String,
        /// How long it had, or all services together.
        limit: Duration,
        /// How long it was waited for.
        after: Duration,
        /// The lines of its log that matter.
        log: Vec<String>,
    },
}

impl Diagnose for HealthError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Ended { .. } | Self::Gone { .. } => ExitCode::Start,
            Self::Hopeless { .. } | Self::NotInTime { .. } | Self::Paused { .. } => ExitCode::NotHealthy,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Ended {
                service,
                exit: Exit::OutOfMemory { .. },
                ..
            } => vec![format!("give `{service}` a larger `mem_limit` in the stack file")],
            Self::Ended { service, log, .. } | Self::NotInTime { service, log, .. } => {
                hints(service, &log.join("\n"))
            }
            Self::Hopeless { way_out, .. } => vec![way_out.clone()],
            Self::Paused { .. } => vec!["`osqdemo up` lets it go on".to_owned()],
            Self::Gone { .. } => Vec::new(),
        }
    }

    fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Ended { service, .. }
            | Self::Paused { service }
            | Self::Gone { service }
            | Self::Hopeless { service, .. }
            | Self::NotInTime { service, .. } => Some(service),
        }
    }

    fn details(&self) -> Vec<String> {
        let with_log = |mut lines: Vec<String>, service: &ServiceName, log: &[String]| {
            if log.is_empty() {
                lines.push(format!("{service} wrote nothing"));
            } else {
                lines.push(format!("what {service} wrote last:"));
                lines.extend(log.iter().map(|line| format!("  {line}")));
            }
            lines
        };
        match self {
            Self::Ended { service, log, .. } => with_log(Vec::new(), service, log),
            Self::NotInTime {
                service,
                probe,
                last_answer,
                after,
                log,
                ..
            } => {
                let answer = if last_answer.is_empty() {
                    "none"
                } else {
                    last_answer
                };
                with_log(
                    vec![
                        format!("probe: {probe}, for {}", duration(*after)),
                        format!("last answer: {answer}"),
                    ],
                    service,
                    log,
                )
            }
            Self::Gone { .. } | Self::Paused { .. } | Self::Hopeless { .. } => Vec::new(),
        }
    }
}

fn when(after: Option<Duration>) -> String {
    match after {
        Some(after) => format!("after {} before it was healthy", duration(after)),
        None => "while others waited for it".to_owned(),
    }
}

/// What to do about a service whose log says this.
fn hints(service: &ServiceName, log: &str) -> Vec<String> {
    let mut hints = Vec::new();
    match log.lines().rev().find_map(Obstacle::in_line) {
        // Its port is picked by whoever starts it.
        Some(Obstacle::PortTaken) if is_link(service) => {
            hints.push("another process took its port: the same again picks another one".to_owned());
        }
        Some(Obstacle::PortTaken) => hints.push(format!(
            "another process took its port: `--port {service}=0` picks a free one"
        )),
        Some(Obstacle::DiskFull) => {
            hints.push("free some space, or set `OSQDEMO_HOME` to a folder on another disk".to_owned());
        }
        None => {}
    }
    hints.push(format!(
        "`osqdemo logs {service}` shows all it wrote; `osqdemo up --keep` leaves it as it is for a look; \
         `osqdemo bundle` writes everything for a report"
    ));
    hints
}

/// What the system refused a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    PortTaken,
    DiskFull,
}

impl Obstacle {
    /// What a line of a log ends with when the system refused something: the number of the error, as our services write
    /// it, or the exception of a service in Java. The same words in the midst of a line are somebody's prose.
    fn in_line(line: &str) -> Option<Self> {
        let line = line.trim_end();
        let ends = [
            (Self::PortTaken, "(os error 98)"),
            (Self::DiskFull, "(os error 28)"),
            (Self::PortTaken, "java.net.BindException: Address already in use"),
            (Self::DiskFull, "java.io.IOException: No space left on device"),
        ];
        ends.into_iter()
            .find_map(|(obstacle, end)| line.ends_with(end).then_some(obstacle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_line_tells_what_the_system_refused() {
        let told = Obstacle::in_line;
        let port = Some(Obstacle::PortTaken);
        assert_eq!(
            told("error: failed to listen on `[::]:1`: Address already in use (os error 98)"),
            port
        );
        assert_eq!(
            told("Caused by: java.net.BindException: Address already in use"),
            port
        );
        assert_eq!(
            told("write: No space left on device (os error 28)\r"),
            Some(Obstacle::DiskFull)
        );
        for prose in [
            "created topic `address already in use`",
            "(os error 98) is what a stream is called",
            "java.net.BindException: Address already in use, says `no space left`",
        ] {
            assert_eq!(told(prose), None, "{prose}");
        }
    }
}
