//! The exit codes of `osqdemo`: one documented type, shown in `--help` and in the README.

use std::process;

/// What the process tells its caller. The numbers are part of the public interface and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything asked for was done; a scenario passed.
    Ok = 0,
    /// An error of osqdemo itself, or one that no other code names.
    Internal = 1,
    /// The command line, the settings or an input file are wrong.
    Usage = 2,
    /// The machine cannot run the stack: a port in use, too little disk, another `up` at work.
    Preflight = 10,
    /// An image could not be pulled.
    Pull = 11,
    /// An image could not be built.
    Build = 12,
    /// A service could not be started, or ended before it was ready.
    Start = 13,
    /// A service was started but was not healthy before the deadline.
    NotHealthy = 14,
    /// ksqlDB rejected a statement.
    StatementRejected = 15,
    /// The stack (or the service asked for) is not running.
    NotRunning = 16,
    /// The scenario ran and its expectation does not hold.
    ScenarioFailed = 20,
    /// The scenario's expected rows did not arrive before the deadline.
    ScenarioTimedOut = 21,
    /// What a host was to run (`exec`) is no program, or may not be run. As of a shell.
    NotRunnable = 126,
    /// A host does not have the command that it was to run (`exec`). As of a shell.
    NoCommand = 127,
    /// Interrupted from the terminal (SIGINT).
    Interrupted = 130,
    /// Asked to end (SIGTERM).
    Terminated = 143,
}

impl ExitCode {
    /// Every code with what it means, in the order of the numbers: the source of `--help`.
    pub const DOCUMENTED: &[(Self, &str)] = &[
        (Self::Ok, "done; a scenario passed, or faults were stood"),
        (Self::Internal, "internal error"),
        (Self::Usage, "wrong command line, settings or input file"),
        (
            Self::Preflight,
            "the machine cannot run the stack (port in use, disk, no Docker, another `up`)",
        ),
        (Self::Pull, "an image could not be pulled"),
        (Self::Build, "an image could not be built"),
        (Self::Start, "a service could not be started"),
        (Self::NotHealthy, "a service was not healthy in time"),
        (Self::StatementRejected, "ksqlDB rejected a statement"),
        (Self::NotRunning, "the stack or the service is not running"),
        (
            Self::ScenarioFailed,
            "the scenario failed, or faults were not stood",
        ),
        (
            Self::ScenarioTimedOut,
            "the scenario timed out, or a part was not well again in time",
        ),
        (Self::NotRunnable, "`exec`: the host cannot run that"),
        (Self::NoCommand, "`exec`: the host has no such command"),
        (Self::Interrupted, "interrupted (SIGINT)"),
        (Self::Terminated, "terminated (SIGTERM)"),
    ];
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented_once_in_the_order_of_the_numbers() {
        // A new code fails to compile here until it has a place.
        let place = |code: ExitCode| match code {
            ExitCode::Ok => 0,
            ExitCode::Internal => 1,
            ExitCode::Usage => 2,
            ExitCode::Preflight => 3,
            ExitCode::Pull => 4,
            ExitCode::Build => 5,
            ExitCode::Start => 6,
            ExitCode::NotHealthy => 7,
            ExitCode::StatementRejected => 8,
            ExitCode::NotRunning => 9,
            ExitCode::ScenarioFailed => 10,
            ExitCode::ScenarioTimedOut => 11,
            ExitCode::NotRunnable => 12,
            ExitCode::NoCommand => 13,
            ExitCode::Interrupted => 14,
            ExitCode::Terminated => 15,
        };
        let places: Vec<usize> = ExitCode::DOCUMENTED
            .iter()
            .map(|(code, _)| place(*code))
            .collect();
        assert_eq!(places, (0..=15).collect::<Vec<_>>());
        assert!(ExitCode::DOCUMENTED.is_sorted_by_key(|(code, _)| *code as u8));
    }
}
