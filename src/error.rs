//! How a failure reaches the user.
//!
//! Every module has its own `thiserror` enum with named fields. What those enums have in common is
//! [`Diagnose`]: an exit code, hints, and the log lines that matter. At the command edge they are all
//! carried by one [`Failure`], which the report module prints as `error: …`, its causes, its details and
//! its `hint: …` lines. Messages are lower-case fragments without a final period; literals stand in
//! backticks, values after a colon.

use std::error::Error;
use std::fmt;

use crate::exit_code::ExitCode;
use crate::stack::ServiceName;

/// What an error tells besides its message.
pub trait Diagnose: Error + Send + Sync + 'static {
    /// The process's exit code when this error ends it.
    fn exit_code(&self) -> ExitCode;

    /// What the user can do about it, one sentence each, without the `hint:` prefix.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }

    /// The service that failed, where it was one.
    fn service(&self) -> Option<&ServiceName> {
        None
    }

    /// Evidence to show below the message, such as the last log lines of a service.
    fn details(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Any error that ends a command.
#[derive(Debug)]
pub struct Failure(Box<dyn Diagnose>);

impl Failure {
    /// The error itself.
    pub fn diagnosis(&self) -> &dyn Diagnose {
        &*self.0
    }
}

impl Failure {
    /// The same failure, with what else the user can do about it.
    #[must_use]
    pub fn with_hints(self, more: Vec<String>) -> Self {
        if more.is_empty() {
            return self;
        }
        Hinted { failure: self, more }.into()
    }
}

/// A failure about which more is known where it ends than where it began.
#[derive(Debug)]
struct Hinted {
    failure: Failure,
    more: Vec<String>,
}

impl fmt::Display for Hinted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(formatter)
    }
}

impl Error for Hinted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.failure.diagnosis().source()
    }
}

impl Diagnose for Hinted {
    fn exit_code(&self) -> ExitCode {
        self.failure.diagnosis().exit_code()
    }

    fn hints(&self) -> Vec<String> {
        let mut hints = self.failure.diagnosis().hints();
        hints.extend(self.more.iter().cloned());
        hints
    }

    fn details(&self) -> Vec<String> {
        self.failure.diagnosis().details()
    }

    fn service(&self) -> Option<&ServiceName> {
        self.failure.diagnosis().service()
    }
}

impl<E: Diagnose> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The result of a command.
pub type Result<T> = std::result::Result<T, Failure>;
