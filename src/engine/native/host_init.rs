//! The first process of a native host: gives the host its name and its `/etc`, runs its osqueryd, reaps what
//! is orphaned, and ends everything when its standard input does or when it is asked to.
//!
//! With namespaces it is process 1 of the host, so that its end is the end of every process there. Without,
//! the mark in the environment tells which processes belong to the host.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitOptions, kill_process, kill_process_group, set_child_subreaper, wait,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use crate::engine::native::host_folder::{HostSpec, read_spec};
use crate::engine::native::isolation::Isolation;
use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::parent_watch;
use crate::process::{self, HOST_VARIABLE};
use crate::shutdown::Shutdown;
use crate::state::remove_file;

/// Why a host cannot begin, or why it ended.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The host name cannot be set.
    #[error("failed to set the host name `{hostname}`: {source}")]
    Hostname {
        /// The name.
        hostname: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be put over another one.
    #[error("failed to mount `{}` over `{}`: {source}", file.display(), place.display())]
    Mount {
        /// The host's file.
        file: PathBuf,
        /// The file of the machine.
        place: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// osqueryd cannot be started.
    #[error("failed to run `{program}`: {source}")]
    Run {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// osqueryd ended by itself.
    #[error("`{program}` ended unasked: {status}")]
    Ended {
        /// The program.
        program: String,
        /// How.
        status: String,
    },
    /// The system does not tell about children.
    #[error("failed to wait for the processes of the host: {source}")]
    Wait {
        /// What the system said.
        source: io::Error,
    },
}

impl Diagnose for HostError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Start
    }
}

/// Runs a host until it is told to end.
///
/// # Errors
/// When it cannot begin, or when its osqueryd ends by itself.
pub async fn run(spec_file: &Path, shutdown: &Shutdown) -> Result<()> {
    let spec = read_spec(spec_file)?;
    let asked = parent_watch::watch();
    match spec.isolation {
        Isolation::Namespaces => furnish(&spec)?,
        Isolation::Marked { .. } => {
            // Orphans of the host come to us, as they would come to process 1.
            let _ = set_child_subreaper(Pid::from_raw(1));
        }
    }
    for path in &spec.stale {
        remove_file(path)?;
    }
    let mut children = signal(SignalKind::child()).map_err(|source| HostError::Wait { source })?;
    let osqueryd = start(&spec)?;
    loop {
        tokio::select! {
            _ = children.recv() => {
                if let Some(status) = reap(osqueryd) {
                    end_everything(&spec);
                    let program = spec.argv.first().cloned().unwrap_or_default();
                    return Err(HostError::Ended { program, status }.into());
                }
            }
            () = asked.cancelled() => break,
            () = shutdown.token().cancelled() => break,
        }
    }
    let _ = kill_process(osqueryd, Signal::TERM);
    // What somebody stopped sees the signal only once it goes on.
    let _ = kill_process_group(osqueryd, Signal::CONT);
    let deadline = Instant::now() + Duration::from_millis(spec.stop_grace_ms);
    loop {
        if reap(osqueryd).is_some() {
            break;
        }
        tokio::select! {
            _ = children.recv() => {}
            () = sleep_until(deadline) => {
                tracing::warn!("osqueryd did not end within {} ms: killed", spec.stop_grace_ms);
                let _ = kill_process(osqueryd, Signal::KILL);
                break;
            }
        }
    }
    end_everything(&spec);
    Ok(())
}

/// Gives the host its name and its `/etc`.
fn furnish(spec: &HostSpec) -> Result<()> {
    rustix::system::sethostname(spec.hostname.as_bytes()).map_err(|error| HostError::Hostname {
        hostname: spec.hostname.clone(),
        source: error.into(),
    })?;
    for (file, place) in &spec.mounts {
        // A machine without one of these files has nothing to put ours over.
        if place.exists() {
            rustix::mount::mount_bind(file, place).map_err(|error| HostError::Mount {
                file: file.clone(),
                place: place.clone(),
                source: error.into(),
            })?;
        }
    }
    Ok(())
}

fn start(spec: &HostSpec) -> Result<Pid> {
    let (program, arguments) = spec
        .argv
        .split_first()
        .map_or(("", [].as_slice()), |(first, rest)| (first, rest));
    let child = Command::new(program)
        .args(arguments)
        .env("HOME", &spec.home)
        .env("USER", "root")
        .env("LOGNAME", "root")
        .env(HOST_VARIABLE, &spec.folder)
        .envs(&spec.environment)
        .current_dir(&spec.home)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|source| HostError::Run {
            program: program.to_owned(),
            source,
        })?;
    // Not waited for through the handle: `reap` waits for every child.
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| {
        HostError::Wait {
            source: io::ErrorKind::InvalidData.into(),
        }
        .into()
    })
}

/// Reaps every child that ended, and tells how osqueryd did if it was among them.
fn reap(osqueryd: Pid) -> Option<String> {
    let mut ended = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == osqueryd {
            ended = Some(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => format!("exit status {code}"),
                (None, Some(signal)) => format!("killed by signal {signal}"),
                (None, None) => "stopped".to_owned(),
            });
        }
    }
    ended
}

/// Ends what is left. With namespaces our own end does it.
fn end_everything(spec: &HostSpec) {
    if let Isolation::Marked { .. } = spec.isolation {
        process::kill_marked(&spec.folder);
    }
    for path in &spec.stale {
        let _ = fs::remove_file(path);
    }
}
