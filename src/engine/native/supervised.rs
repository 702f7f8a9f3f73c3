//! Looks after one service: starts its process, starts it again with back-off when it ends unasked, stops it
//! when told to.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::engine::native::control::{Record, ServiceProcess};
use crate::engine::native::supervisor::{Proven, Supervised, Supervisor};
use crate::plan::{Exit, ObservedService, ServiceState};
use crate::process::{self, ProcessId};
use crate::waiting::before_next_try;

/// The pause before the first new start; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two starts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A service that ran so many times as long as it would have to wait now is taken to be sound again: what is killed
/// now and then comes back at once, and what cannot run waits for most of the time.
const SOUND_AFTER: u32 = 10;

/// The longest that this may take.
const SOUND_AT_LAST: Duration = Duration::from_secs(30);

/// A process together with the pipe that keeps it alive.
struct Running {
    child: Child,
    /// The only write end of the service's standard input: dropped to end it.
    lifeline: Option<ChildStdin>,
    id: ProcessId,
    log_starts_at: u64,
    since: Instant,
}

/// Starts a service and a task that looks after it.
///
/// # Errors
/// When its program or its log cannot be opened.
pub(super) fn look_after(supervisor: &Arc<Supervisor>, process: ServiceProcess) -> io::Result<()> {
    let running = start(&process)?;
    let service = process.service.clone();
    let supervised = Supervised {
        record: Record {
            service: ObservedService {
                state: ServiceState::Running { pid: running.id.pid },
                config_hash: process.config_hash.clone(),
                port: process.port,
                started_at: jiff::Timestamp::now().as_millisecond(),
                restarts: 0,
                last_exit: None,
                host_config: process.host_config.clone(),
                container: None,
            },
            process: Some(running.id),
            log_starts_at: running.log_starts_at,
            marked_host: process.marked_host.clone(),
            stop_grace_ms: process.stop_grace_ms,
        },
        proven: Proven::NotYet,
        stop: CancellationToken::new(),
        gone: CancellationToken::new(),
        process: process.clone(),
    };
    let (stop, gone) = (supervised.stop.clone(), supervised.gone.clone());
    supervisor.services().insert(service, supervised);
    supervisor.write_records_or_warn();
    let supervisor = Arc::clone(supervisor);
    // Not joined by handle: `gone` tells when it is over, however it ends, and the supervisor waits for that
    // before it ends.
    let gone = gone.drop_guard();
    tokio::spawn(async move {
        let _gone = gone;
        run(&supervisor, &process, running, &stop).await;
    });
    Ok(())
}

/// Runs the service until it is stopped.
async fn run(supervisor: &Supervisor, process: &ServiceProcess, first: Running, stop: &CancellationToken) {
    let mut running = first;
    let mut pause = FIRST_PAUSE;
    loop {
        info!("{}: process {} started", process.service, running.id.pid);
        let exit = tokio::select! {
            exit = running.child.wait() => exit,
            () = stop.cancelled() => {
                end(supervisor, process, running).await;
                return;
            }
        };
        sweep(process);
        let exit = exit.map_or(Exit::Code(-1), as_exit);
        warn!(
            "{}: process {} ended unasked: {exit}",
            process.service, running.id.pid
        );
        pause = pause_after(running.since.elapsed(), pause);
        let mut is_tried_again = true;
        note(supervisor, process, |supervised| {
            let service = &mut supervised.record.service;
            // One crash may be chance, two are not.
            is_tried_again =
                supervised.proven == Proven::Yes || (service.restarts == 0 && exit != Exit::Code(0));
            service.state = if is_tried_again {
                ServiceState::Restarting { exit }
            } else {
                ServiceState::Exited { exit }
            };
        });
        if !is_tried_again {
            // Whoever started it is told; trying again would only hide why it cannot run.
            stop.cancelled().await;
            return;
        }
        running = loop {
            tokio::select! {
                () = before_next_try(pause) => {}
                () = stop.cancelled() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            match start(process) {
                Ok(running) => break running,
                Err(error) => warn!("{}: its program cannot be started: {error}", process.service),
            }
        };
        note(supervisor, process, |supervised| {
            supervised.record.service.state = ServiceState::Running { pid: running.id.pid };
            supervised.record.service.started_at = jiff::Timestamp::now().as_millisecond();
            supervised.record.service.restarts += 1;
            supervised.record.service.last_exit = Some(exit);
            supervised.record.process = Some(running.id);
            supervised.record.log_starts_at = running.log_starts_at;
        });
    }
}

/// Changes the record of a service.
fn note(supervisor: &Supervisor, process: &ServiceProcess, change: impl FnOnce(&mut Supervised)) {
    if let Some(supervised) = supervisor.services().get_mut(&process.service) {
        change(supervised);
    }
    supervisor.write_records_or_warn();
}

fn start(process: &ServiceProcess) -> io::Result<Running> {
    let log = OpenOptions::new().create(true).append(true).open(&process.log)?;
    let log_starts_at = log.metadata()?.len();
    let (program, arguments) = process
        .argv
        .split_first()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(&process.environment)
        .current_dir(&process.folder)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()?;
    // Taken out, because waiting for the child would close it.
    let lifeline = child.stdin.take();
    let pid = child.id().unwrap_or_default();
    // It cannot have been reaped yet, so `/proc` still knows it unless it is a zombie already.
    let id = ProcessId::of(pid).unwrap_or(ProcessId { pid, start_time: 0 });
    Ok(Running {
        child,
        lifeline,
        id,
        log_starts_at,
        since: Instant::now(),
    })
}

/// Ends a process: closes its lifeline and sends SIGTERM, and kills it when its grace is over.
async fn end(supervisor: &Supervisor, process: &ServiceProcess, mut running: Running) {
    drop(running.lifeline.take());
    // The child is not reaped yet, so the pid is still its own.
    let pid = running
        .child
        .id()
        .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    if let Some(pid) = pid {
        let _ = kill_process(pid, Signal::TERM);
        // What somebody stopped sees the signal, and the end of its input, only once it goes on.
        let _ = kill_process_group(pid, Signal::CONT);
    }
    let grace = Duration::from_millis(process.stop_grace_ms);
    let is_gone = tokio::select! {
        ended = timeout(grace, running.child.wait()) => ended.is_ok(),
        () = supervisor.hurry.cancelled() => false,
    };
    if !is_gone {
        warn!(
            "{}: killed: it did not end within {} ms, or there is a hurry",
            process.service, process.stop_grace_ms
        );
        if let Some(pid) = pid {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = running.child.wait().await;
    }
    sweep(process);
    info!("{}: process {} stopped", process.service, running.id.pid);
}

/// A host without namespaces can leave processes behind; those with namespaces take all of theirs along.
fn sweep(process: &ServiceProcess) {
    if let Some(folder) = &process.marked_host {
        process::kill_marked(folder);
    }
}

/// The pause before a service is started again that ran for so long, where `pause` was its turn.
fn pause_after(ran: Duration, pause: Duration) -> Duration {
    let is_sound = ran >= (pause * SOUND_AFTER).min(SOUND_AT_LAST);
    if is_sound { FIRST_PAUSE } else { pause }
}

fn as_exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses of a service that ends each time after it ran for so long, in milliseconds.
    fn pauses(ran: Duration) -> Vec<u128> {
        let mut pause = FIRST_PAUSE;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let now = pause_after(ran, pause);
            pauses.push(now.as_millis());
            pause = (now * 2).min(LONGEST_PAUSE);
        }
        pauses
    }

    #[test]
    fn who_cannot_run_waits_longer_each_time_and_who_is_killed_now_and_then_does_not() {
        let longer = [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000];
        assert_eq!(pauses(Duration::from_millis(50)), longer);
        assert_eq!(pauses(Duration::from_secs(3)), [100; 9]);
        // It had come to the longest pause before.
        assert_eq!(pause_after(Duration::from_secs(29), LONGEST_PAUSE), LONGEST_PAUSE);
        assert_eq!(pause_after(Duration::from_secs(30), LONGEST_PAUSE), FIRST_PAUSE);
    }
}
