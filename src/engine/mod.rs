//! Where the services run. An engine is a trait with several implementations, a fake among them.
//!
//! An engine starts, stops and observes; it does not decide (that is [`crate::plan`]) and does not ask for
//! health (that is [`crate::health`]).

pub mod fake;
pub mod native;

use std::path::PathBuf;
use std::pin::Pin;

use crate::error::Result;
use crate::plan::{Observed, ServiceSpec};
use crate::stack::ServiceName;

/// A future of an [`Engine`], boxed so that engines can be chosen at run time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Starts, stops and observes the services of one project. Every future ends by a deadline of its own.
pub trait Engine: Send + Sync {
    /// What there is.
    fn observe(&self) -> Answer<'_, Observed>;

    /// Makes ready for services: starts the supervisor, where there is one.
    fn open(&self) -> Answer<'_, ()>;

    /// Starts a service that is not running. It need not be healthy when this returns.
    fn start<'a>(&'a self, spec: &'a ServiceSpec) -> Answer<'a, ()>;

    /// Tells the engine that a service was healthy: from now on it is started again when it ends unasked.
    fn prove<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()>;

    /// Stops a service: gracefully, then by force once its grace is over.
    fn stop<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()>;

    /// Ends a process that nobody looks after any more.
    fn end_leftover<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()>;

    /// Stops everything, dependents first, and removes what belongs to running services. Data stays.
    fn close(&self) -> Answer<'_, ()>;

    /// Stops being patient: what is being stopped is killed now.
    fn hurry(&self) -> Answer<'_, ()>;

    /// Where a service writes its log.
    fn log(&self, service: &ServiceName) -> ServiceLog;

    /// The command line that runs `argv` on `host`, for the terminal or the pipes of the caller; without
    /// `argv`, that of a shell.
    fn exec_command<'a>(&'a self, host: &'a ServiceName, argv: &'a [String]) -> Answer<'a, HostCommand>;
}

/// The log of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceLog {
    /// The file.
    pub path: PathBuf,
    /// Where the current run begins in it.
    pub run_starts_at: u64,
}

/// A command line with all it needs to run on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCommand {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The whole environment.
    pub environment: Vec<(String, String)>,
    /// The working folder.
    pub folder: PathBuf,
}

/// How a command on a host ended, and what it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// The exit status; 128 plus the number for a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// Runs commands on a monitored host, as its user would at a shell there.
pub trait HostExec: Send + Sync {
    /// Runs `argv` on `host` in its home folder, without input, and collects what it writes.
    /// Dropping the future ends the command and its children.
    fn exec(&self, host: &ServiceName, argv: &[&str]) -> impl Future<Output = Result<ExecOutput>> + Send;
}
