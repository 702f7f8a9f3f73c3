//! What the hosts do meanwhile: processes that hold a file open until osquery has told of both, and short ones in
//! between, each with a file whose name no other has.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::check::{Finding, FindingKind};
use super::history::Line;
use super::ledger::{Ledger, ReadUpTo, Seen};
use crate::engine::HostExec;
use crate::stack::ServiceName;

/// How long a process is held for its lines to come. Far longer than any recovery takes on a slow machine.
const SEEN_WITHIN: Duration = Duration::from_secs(120);

/// How long a process lives at most, in seconds: whoever was to end it may have been killed.
const LONGEST_LIFE: u64 = 600;

/// What a held process runs.
const PROGRAM: &str = "sleep";

/// How long to wait before a host that cannot be entered is tried again.
const NEXT_TRY: Duration = Duration::from_millis(200);

/// How long a command that only looks or removes may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

/// A host that works.
#[derive(Debug, Clone)]
pub struct Worker {
    /// The service.
    pub service: ServiceName,
    /// The name that its lines carry.
    pub identifier: String,
}

/// What a host did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// The host.
    pub host: String,
    /// Processes that were held until osquery had told of them and of their file.
    pub held: u64,
    /// Processes that ended with their host, or with its osqueryd, before that.
    pub cut_short: u64,
    /// Short processes: osquery may have missed them.
    pub short: u64,
    /// What must not be.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// A process that was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The line of its file.
    pub file: Line,
    /// The line of the process.
    pub process: Line,
}

/// How a held process ended.
enum Held {
    Told(Box<Told>),
    CutShort,
    Unseen,
    Over,
}

/// Works until it is told to stop.
pub async fn work<E: HostExec>(
    hosts: &E,
    worker: &Worker,
    marker: &str,
    ledger: &Ledger,
    stop: &CancellationToken,
) -> Work {
    let mut work = Work {
        host: worker.identifier.clone(),
        ..Work::default()
    };
    let mut number = 0_u64;
    while !stop.is_cancelled() {
        number += 1;
        let name = format!("{marker}{}-{number}", worker.service);
        match hold(hosts, worker, &name, ledger, stop, told).await {
            Held::Told(told) => {
                work.held += 1;
                work.findings
                    .extend(wrong(worker, &name, &told, pid_of(hosts, worker, &name).await));
            }
            Held::CutShort => {
                work.cut_short += 1;
                // There is nothing to look at: the engine starts the host again.
                let _ = timeout(NEXT_TRY, stop.cancelled()).await;
            }
            Held::Unseen => work.findings.push(unseen(worker, &name)),
            Held::Over => {}
        }
        ledger.forget(&name);
        let script = format!("head -c 4096 </dev/urandom >{name}-short; rm -f {name} {name}-short");
        if command(hosts, worker, &script).await.is_some() {
            work.short += 1;
        }
    }
    work
}

/// Holds one more process until it is all the way through: both its lines, and the row that joins them.
///
/// # Errors
/// What is missing, when it does not come.
pub async fn last_piece<E: HostExec>(
    hosts: &E,
    worker: &Worker,
    marker: &str,
    ledger: &Ledger,
    stop: &CancellationToken,
) -> Result<Option<Told>, Finding> {
    let name = format!("{marker}{}-last", worker.service);
    let deadline = Instant::now() + SEEN_WITHIN;
    while Instant::now() < deadline {
        let held = hold(hosts, worker, &name, ledger, stop, |seen, worker, name, since| {
            let told = told(seen, worker, name, since)?;
            let row = (name.to_owned(), told.file.pid.clone()?);
            seen.joined.contains(&row).then_some(told)
        });
        match held.await {
            Held::Told(told) => return Ok(Some(*told)),
            Held::Unseen => return Err(unseen(worker, &name)),
            Held::Over => return Ok(None),
            // Nothing is done to the host any more, so that it can be worked on.
            Held::CutShort => {
                let _ = timeout(NEXT_TRY, stop.cancelled()).await;
            }
        }
    }
    Err(unseen(worker, &name))
}

/// Removes what the run has left in the home of a host. Says whether the host could be asked.
pub async fn tidy<E: HostExec>(hosts: &E, worker: &Worker, marker: &str) -> Option<()> {
    command(hosts, worker, &format!("rm -f {marker}*"))
        .await
        .map(drop)
}

/// Runs a process that holds a file open until it is told of.
async fn hold<E: HostExec>(
    hosts: &E,
    worker: &Worker,
    name: &str,
    ledger: &Ledger,
    stop: &CancellationToken,
    told: impl Fn(&Seen, &Worker, &str, &ReadUpTo) -> Option<Told>,
) -> Held {
    let since = ledger.read_up_to();
    // `exec`, so that the shell is not a second process that holds the file.
    let script = format!("exec >{name}; echo $$; exec {PROGRAM} {LONGEST_LIFE}");
    let argv = ["sh", "-c", &script];
    tokio::select! {
        biased;
        () = stop.cancelled() => Held::Over,
        told = ledger.until(SEEN_WITHIN, |seen| told(seen, worker, name, &since)) => match told {
            Some(told) => Held::Told(Box::new(told)),
            None => Held::Unseen,
        },
        _ = hosts.exec(&worker.service, &argv) => Held::CutShort,
    }
}

/// Both lines of a process that began when so much had been read. Its time would be that of its host's clock, which may be
/// wrong.
fn told(seen: &Seen, worker: &Worker, name: &str, since: &ReadUpTo) -> Option<Told> {
    let file = seen.files.get(name)?;
    // Another host's pid says nothing here, so that a wrong host is found to be one below.
    let process = seen
        .processes
        .get(&(worker.identifier.clone(), file.pid.clone()?))
        .filter(|process| {
            let place = &process.place;
            let read = since.get(&(place.topic.clone(), place.partition));
            read.is_none_or(|read| place.offset >= *read)
        })
        // It was a shell before.
        .filter(|process| process.name.as_deref() == Some(PROGRAM))?;
    Some(Told {
        file: file.clone(),
        process: process.clone(),
    })
}

/// The pid that the process has written into its file.
async fn pid_of<E: HostExec>(hosts: &E, worker: &Worker, name: &str) -> Option<String> {
    let text = command(hosts, worker, &format!("cat {name}")).await?;
    Some(text.trim().to_owned()).filter(|pid| !pid.is_empty())
}

async fn command<E: HostExec>(hosts: &E, worker: &Worker, script: &str) -> Option<String> {
    let argv = ["sh", "-c", script];
    let output = timeout(COMMAND_LIMIT, hosts.exec(&worker.service, &argv))
        .await
        .ok()?
        .ok()?;
    (output.code == 0).then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What is wrong with what was told; `pid` is the truth, where the host still knew it.
fn wrong(worker: &Worker, name: &str, told: &Told, pid: Option<String>) -> Option<Finding> {
    let is_right_host = told.file.host.as_deref() == Some(&worker.identifier);
    let is_right_process = pid.is_none() || told.file.pid == pid;
    (!is_right_host || !is_right_process).then(|| Finding {
        kind: FindingKind::WrongRow,
        what: format!(
            "the line of `{name}` names process {} of {}; it was process {} of {}",
            told.file.pid.as_deref().unwrap_or("?"),
            told.file.host.as_deref().unwrap_or("?"),
            pid.as_deref().unwrap_or("?"),
            worker.identifier
        ),
        time_ms: told.file.time_ms,
        round: None,
    })
}

fn unseen(worker: &Worker, name: &str) -> Finding {
    Finding {
        kind: FindingKind::WorkUnseen,
        what: format!(
            "{} held `{name}` open for {} s, and not everything about it came along",
            worker.service,
            SEEN_WITHIN.as_secs()
        ),
        time_ms: Timestamp::now().as_millisecond(),
        round: None,
    }
}
