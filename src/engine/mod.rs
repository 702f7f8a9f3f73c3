//! Where the services run. An engine is a trait with several implementations, a fake among them.
//!
//! An engine starts, stops and observes; it does not decide (that is [`crate::plan`]) and does not ask for
//! health (that is [`crate::health`]). One operation of a plan is one call.

pub mod docker;
pub mod fake;
mod kind;
pub mod log_file;
pub mod loss;
pub mod native;
mod osqueryd;

use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::Result;
use crate::events::StepNews;
use crate::plan::{Observed, ObservedService, ServiceSpec};
use crate::stack::{ImageRef, Recipe, ServiceName};

pub use kind::{EngineKind, UnknownEngine};
pub use osqueryd::OsquerydChoice;

/// A future of an [`Engine`], boxed so that engines can be chosen at run time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Starts, stops and observes the services of one project. Every future ends by a deadline of its own.
pub trait Engine: Send + Sync {
    /// What there is.
    fn observe(&self) -> Answer<'_, Observed>;

    /// What there is, as far as it can be told when [`Engine::observe`] fails because whoever looks after the services
    /// does not answer: what `down` goes by. Nothing where nobody else knows.
    fn last_known(&self) -> Option<Observed> {
        None
    }

    /// What there is of one service.
    fn observe_service<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, Option<ObservedService>>;

    /// How often it is worth asking what became of a service that is starting.
    fn pace(&self) -> Duration;

    /// Makes ready for services: starts the supervisor, or makes the network.
    fn open(&self) -> Answer<'_, ()>;

    /// Compiles the programs that images are made of, into an image of their own, and tells the news while it does.
    /// Dropping the future ends the work, as it does with the next two.
    fn compile_programs<'a>(&'a self, news: &'a News) -> Answer<'a, ()>;

    /// Makes an image from this repository.
    fn make_image<'a>(&'a self, image: &'a ImageRef, recipe: Recipe, news: &'a News) -> Answer<'a, ()>;

    /// Gets an image from its registry, which is asked whatever is there.
    fn pull_image<'a>(&'a self, image: &'a ImageRef, news: &'a News) -> Answer<'a, ()>;

    /// Starts a service of which nothing is there. It need not be healthy when this returns.
    fn start<'a>(&'a self, spec: &'a ServiceSpec) -> Answer<'a, ()>;

    /// Starts again what a service that ended has left, as it is.
    fn resume<'a>(&'a self, spec: &'a ServiceSpec) -> Answer<'a, ()>;

    /// Lets a service go on that somebody paused.
    fn unpause<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()>;

    /// Tells the engine that a service was healthy: from now on it is started again each time it ends unasked.
    /// Before, it is started again after its first failure only.
    fn prove<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()>;

    /// Stops a service: gracefully, then by force once its grace is over.
    fn stop<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()>;

    /// Removes what a service that ended has left; what it wrote is kept.
    fn remove<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()>;

    /// Ends a process that nobody looks after any more.
    fn end_leftover<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()>;

    /// Stops everything, dependents first, and removes what belongs to running services. Data stays.
    fn close(&self) -> Answer<'_, ()>;

    /// Stops being patient: what is being stopped is killed now.
    fn hurry(&self) -> Answer<'_, ()>;

    /// Removes what [`Engine::close`] leaves and that is not in the project's folder.
    fn remove_data(&self) -> Answer<'_, ()>;

    /// Sends what a service wrote, oldest first, in pieces of any size, also of an earlier run. Returns at its
    /// end; where it follows, only once nobody listens any more.
    fn log<'a>(
        &'a self,
        service: &'a ServiceName,
        reading: LogReading,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Answer<'a, ()>;

    /// The end of what a service wrote in its current run, for reports of failures.
    fn log_tail<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, String>;

    /// Runs `argv` on `host`, or a shell without `argv`, for the terminal or the pipes of the caller. Once
    /// `asked_to_end` is cancelled the command is ended.
    fn enter<'a>(
        &'a self,
        host: &'a ServiceName,
        argv: &'a [String],
        caller: CallerStreams,
        asked_to_end: &'a CancellationToken,
    ) -> Answer<'a, Entered>;

    /// Runs `argv` on `host` in its home folder, without input, and collects what it writes. Dropping the
    /// future ends the command and its children.
    fn run_on_host<'a>(&'a self, host: &'a ServiceName, argv: &'a [&'a str]) -> Answer<'a, ExecOutput>;

    /// The network between the services, where the engine makes one.
    fn network(&self) -> Option<&dyn Network> {
        None
    }
}

/// The network of a project, which services can be cut off from.
pub trait Network: Send + Sync {
    /// From now on the service and all others, and those who use it from outside, cannot reach each other.
    fn cut_off<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()>;

    /// Makes good a [`Network::cut_off`].
    fn rejoin<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()>;
}

/// Takes the latest news of something that takes long.
pub type News = dyn Fn(StepNews) + Send + Sync;

/// How a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogReading {
    /// Whether to wait for more.
    pub follow: Follow,
    /// How many of the last lines that are there; without a number, all of them.
    pub last: Option<u64>,
}

impl LogReading {
    /// All that is there.
    pub const ALL: Self = Self {
        follow: Follow::No,
        last: None,
    };
}

/// Whether to wait for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// For ever.
    Yes,
    /// Only what is there.
    No,
}

/// Where a command on a host that does not take the caller's place writes.
pub struct CallerStreams {
    /// The caller's standard output.
    pub stdout: Box<dyn AsyncWrite + Send + Unpin>,
    /// The caller's standard error.
    pub stderr: Box<dyn AsyncWrite + Send + Unpin>,
}

/// What came of entering a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entered {
    /// The caller is to run this command, with its own terminal and streams.
    Attend(HostCommand),
    /// The command ran and ended with this status.
    Ended(u8),
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
    /// What the program is.
    pub starts: Starts,
}

/// What is started to run a command on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starts {
    /// The command itself.
    Command,
    /// What enters the host, and has the command as its child.
    Entry,
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

    /// Returns once the host that was there when this began is not any more, or another service without which no line
    /// of it comes along. Dropping the future ends the watch. Whoever does not know waits for ever.
    fn until_lost(&self, _host: &ServiceName) -> impl Future<Output = Lost> + Send {
        std::future::pending()
    }
}

/// A service that is lost, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The service.
    pub service: ServiceName,
    /// Why.
    pub loss: loss::Loss,
}
