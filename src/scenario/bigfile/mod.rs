//! Scenario `bigfile`: a process on a host writes a large file; both joins must name host, process and file.
//!
//! Both push queries are opened first. Then `head` writes a file whose name no other run has, and what comes
//! along the pipeline is fed to [`Progress`] until it passes, fails, or the deadline comes. When the process
//! is gone before osquery has looked, the file is written again by a process that is held open. The file is
//! removed in every case.

mod leftovers;
mod progress;
mod reopening;
mod writer_watch;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::{self, Instant};

use leftovers::LOSS_SHOWS_WITHIN;
use reopening::Reopening;

pub use leftovers::remove_leftovers;

use super::error::ScenarioError;
use super::host_commands::{FilePlan, HomeFolder, HostCommands, Lifetime, NONCE_DIGITS};
use super::outcome::ScenarioReport;
use super::pipeline::{Pipeline, Seen};
use super::progress::{Expectation, Progress, Standing};
use super::steady_clock::SteadyClock;
use crate::engine::HostExec;
use crate::error::{Failure, Result};
use crate::events::{Detail, Listener, Stage, Warning};
use crate::exit_code::ExitCode;
use crate::shutdown::Shutdown;
use crate::stack::{Endpoints, ServiceName};

/// The name on the command line.
pub const NAME: &str = "bigfile";

/// How long after the end of the process osquery's lines about it may still come. They are made while it
/// lives, so this is only their way to the topic.
const PATIENCE: Duration = Duration::from_secs(3);

/// What to run.
#[derive(Debug, Clone)]
pub struct Bigfile {
    /// The service of the host that writes.
    pub host: ServiceName,
    /// The host as osquery names it.
    pub host_identifier: String,
    /// The size of the file in bytes.
    pub size: u64,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Finished {
    /// The report.
    pub report: ScenarioReport,
    /// Why it did not pass.
    pub failure: Option<Failure>,
}

/// Runs the scenario. Whatever happens, there is a report.
pub async fn run<E: HostExec>(
    bigfile: &Bigfile,
    endpoints: &Endpoints,
    exec: &E,
    events: &dyn Listener,
    shutdown: &Shutdown,
) -> Finished {
    let mut run = Run {
        bigfile,
        endpoints,
        commands: HostCommands {
            exec,
            host: &bigfile.host,
        },
        events,
        shutdown,
        deadline: Instant::now() + bigfile.timeout,
        clock: SteadyClock::start(),
        nonce: nonce(),
        plans: Vec::new(),
        progress: None,
        shown: HashSet::new(),
        waiting: None,
        trouble: Vec::new(),
    };
    let result = watched(bigfile, exec, Box::pin(run.execute())).await;
    run.clean_up().await;
    run.finish(result)
}

/// Ends the work as soon as what it relies on is lost: then whatever fails by it, that is the cause.
async fn watched<E: HostExec>(
    bigfile: &Bigfile,
    exec: &E,
    work: impl Future<Output = Result<()>> + Unpin,
) -> Result<()> {
    let mut losing = Box::pin(exec.until_lost(&bigfile.host));
    let failure = tokio::select! {
        biased;
        lost = &mut losing => return Err(ScenarioError::Lost { lost }.into()),
        result = work => match result {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        },
    };
    let may_be_its_effect = matches!(
        failure.diagnosis().exit_code(),
        ExitCode::Internal
            | ExitCode::Start
            | ExitCode::NotHealthy
            | ExitCode::NotRunning
            | ExitCode::StatementRejected
            | ExitCode::ScenarioFailed
    );
    if may_be_its_effect && let Ok(lost) = time::timeout(LOSS_SHOWS_WITHIN, losing).await {
        return Err(ScenarioError::Lost { lost }.into());
    }
    Err(failure)
}

struct Run<'a, E> {
    bigfile: &'a Bigfile,
    endpoints: &'a Endpoints,
    commands: HostCommands<'a, E>,
    events: &'a dyn Listener,
    shutdown: &'a Shutdown,
    deadline: Instant,
    clock: SteadyClock,
    nonce: String,
    /// Every file that may exist on the host, the current one last.
    plans: Vec<FilePlan>,
    /// That of the current attempt.
    progress: Option<Progress>,
    /// The stages that were shown as complete.
    shown: HashSet<Stage>,
    /// The stage that is shown as waited for, and since when.
    waiting: Option<(Stage, Instant)>,
    /// What went wrong on the way and was overcome, or was not.
    trouble: Vec<String>,
}

impl<E: HostExec> Run<'_, E> {
    async fn execute(&mut self) -> Result<()> {
        let home = self
            .bounded("the host answered", self.commands.home_folder())
            .await?;
        if home.free < self.bigfile.size {
            return Err(ScenarioError::TooLittleDisk {
                host: self.bigfile.host.to_string(),
                folder: home.path,
                free: home.free,
                size: self.bigfile.size,
            }
            .into());
        }
        if home.path.contains("osquery") {
            return Err(ScenarioError::HiddenFolder {
                host: self.bigfile.host.to_string(),
                folder: home.path,
            }
            .into());
        }
        let opening = Box::pin(Pipeline::open(self.endpoints, &self.clock, self.events));
        let mut pipeline = self.bounded("the push queries ran", opening).await?;
        if self.attempt(Lifetime::Natural, &home, &mut pipeline).await? == Attempt::TooShort {
            self.events.emit(Warning::WriterEndedEarly {
                host: self.bigfile.host.clone(),
            });
            // The second file may need the space of the first.
            self.bounded("the file was removed", self.commands.remove(&self.plans))
                .await?;
            self.attempt(Lifetime::Held, &home, &mut pipeline).await?;
        }
        Ok(())
    }

    /// Writes the file once and follows it through the pipeline.
    async fn attempt(
        &mut self,
        lifetime: Lifetime,
        home: &HomeFolder,
        pipeline: &mut Pipeline,
    ) -> Result<Attempt> {
        let plan = self.plan(lifetime, home);
        // Borrows what outlives the run, so that the run itself stays free to observe.
        let commands = HostCommands {
            exec: self.commands.exec,
            host: self.commands.host,
        };
        let mut writing = Box::pin(commands.write(&plan));
        let mut stopping = Box::pin(writer_watch::until_stopped(&commands, &plan));
        let now = self.clock.now();
        self.observe(|progress| progress.write_started(now));
        let mut is_writing = true;
        let mut is_released = lifetime == Lifetime::Natural;
        let mut give_up_at: Option<Instant> = None;
        let mut nudges = Reopening::new();
        loop {
            // What is seen comes last: however much comes along, nothing else waits for it.
            tokio::select! {
                biased;
                () = self.shutdown.token().cancelled() => return Err(self.shutdown.interrupted().into()),
                () = time::sleep_until(self.deadline) => {
                    let are_rows_there = self.progress.as_ref().is_some_and(Progress::are_rows_complete);
                    let before = if is_writing && are_rows_there { "the file was written" } else { "the joined rows arrived" };
                    return Err(self.timed_out(before).into());
                }
                written = &mut writing, if is_writing => {
                    is_writing = false;
                    give_up_at = Some(Instant::now() + PATIENCE);
                    self.measure(written, &commands, &plan).await?;
                }
                process = &mut stopping, if is_writing => {
                    let host = self.bigfile.host.to_string();
                    return Err(ScenarioError::WriterStopped { host, process }.into());
                }
                () = at(give_up_at), if lifetime == Lifetime::Natural && !self.was_seen() => {
                    return Ok(Attempt::TooShort);
                }
                () = at(nudges.at()) => pipeline.reopen(&nudges.take()),
                seen = pipeline.next() => {
                    let seen = seen?;
                    if let Seen::Row(join, ..) = &seen {
                        nudges.row(*join);
                    }
                    self.take(seen);
                }
            }
            let Some(progress) = &self.progress else {
                continue;
            };
            match progress.standing() {
                Standing::Passed => return Ok(Attempt::Passed),
                Standing::Failed(problem) => {
                    let reason = problem.reason;
                    return Err(ScenarioError::Failed { reason }.into());
                }
                Standing::Pending => {}
            }
            let are_rows_complete = progress.are_rows_complete();
            nudges.missing(!are_rows_complete && progress.has_passed_streams());
            if are_rows_complete && !is_released {
                is_released = true;
                self.bounded("the process was released", commands.release(&plan))
                    .await?;
            }
        }
    }

    /// Looks at what the process has left when it ended.
    async fn measure(
        &mut self,
        written: Result<()>,
        commands: &HostCommands<'_, E>,
        plan: &FilePlan,
    ) -> Result<()> {
        match written {
            Ok(()) => {
                let size = self.bounded("the file was measured", commands.size(plan)).await?;
                let now = self.clock.now();
                self.observe(|progress| progress.written(now, size));
            }
            Err(failure) => {
                let reason = failure.to_string();
                self.observe(|progress| progress.write_failed(reason));
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Names the file of the next attempt and forgets what was seen of the one before.
    fn plan(&mut self, lifetime: Lifetime, home: &HomeFolder) -> FilePlan {
        let suffix = match lifetime {
            Lifetime::Natural => "",
            Lifetime::Held => "-held",
        };
        let plan = FilePlan {
            name: format!("myfile-{}{suffix}", self.nonce),
            size: self.bigfile.size,
            lifetime,
        };
        self.plans.push(plan.clone());
        self.progress = Some(Progress::new(Expectation {
            host: self.bigfile.host_identifier.clone(),
            file: format!("{}/{}", home.path.trim_end_matches('/'), plan.name),
            size: plan.size,
        }));
        self.shown.clear();
        self.waiting = None;
        plan
    }

    fn take(&mut self, seen: Seen) {
        match seen {
            Seen::Sighting(sighting) => self.observe(|progress| progress.saw(sighting)),
            Seen::Row(join, row, at) => self.observe(|progress| progress.saw_row(join, row, at)),
            Seen::Trouble(join, reason) => {
                let text = format!("the {join} push query: {reason}");
                if self.trouble.last() != Some(&text) {
                    let join = join.to_string();
                    self.events.emit(Detail::PushQueryAway { join, reason });
                    self.trouble.push(text);
                }
            }
            Seen::Recovered(join) => self.events.emit(Detail::PushQueryBack {
                join: join.to_string(),
            }),
        }
    }

    fn was_seen(&self) -> bool {
        self.progress.as_ref().is_some_and(Progress::was_seen_by_osquery)
    }

    /// Feeds the state machine and shows what has changed by it.
    fn observe(&mut self, feed: impl FnOnce(&mut Progress)) {
        let Some(progress) = &mut self.progress else {
            return;
        };
        feed(progress);
        self.show_progress();
    }

    /// Runs a step of the scenario within its deadline, unless the user ends it.
    async fn bounded<T>(&self, before: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.shutdown.token().cancelled() => Err(self.shutdown.interrupted().into()),
            result = time::timeout_at(self.deadline, work) => {
                result.unwrap_or_else(|_| Err(self.timed_out(before).into()))
            }
        }
    }

    fn timed_out(&self, before: &str) -> ScenarioError {
        ScenarioError::TimedOut {
            before: before.to_owned(),
            after: self.bigfile.timeout,
            stuck: match &self.progress {
                Some(progress) => progress.stuck_at(),
                None => "the write has not been started".to_owned(),
            },
            trouble: self.trouble.clone(),
        }
    }
}

/// How an attempt ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Passed,
    /// The process was gone before osquery looked.
    TooShort,
}

/// Waits until a time that may not be set; for ever when it is not.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// A name that no other run has: the standard library's random hash keys, which need no further crate.
fn nonce() -> String {
    let random = RandomState::new().hash_one(std::process::id());
    format!("{:0NONCE_DIGITS$x}", random & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests;
