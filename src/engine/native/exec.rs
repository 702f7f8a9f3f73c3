//! Runs commands on a native host: inside its namespaces through `nsenter`, or, without namespaces, with the
//! host's mark in their environment.

use std::env;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::process::ExitStatusExt;
use tokio::process::Command;

use crate::engine::native::host_folder::{read_spec, spec_file};
use crate::engine::native::isolation::Isolation;
use crate::engine::native::{NativeEngine, NativeError, running_process};
use crate::engine::{ExecOutput, HostCommand, Starts};
use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::process::{self, HOST_VARIABLE};
use crate::stack::ServiceName;
use crate::state::ProjectFolder;

/// A command cannot be run on a host.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The program that enters the host cannot be run.
    #[error("failed to run `{program}` for {host}: {source}")]
    Run {
        /// The program.
        program: String,
        /// The host.
        host: ServiceName,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Diagnose for ExecError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Internal
    }

    fn hints(&self) -> Vec<String> {
        vec!["`nsenter` comes with util-linux".to_owned()]
    }
}

/// The command line that runs `argv`, or a shell, on `host`.
pub(super) async fn command(
    engine: &NativeEngine,
    folder: &ProjectFolder,
    host: &ServiceName,
    argv: &[String],
) -> Result<HostCommand> {
    let path = spec_file(folder, host);
    if !path.exists() {
        return Err(NativeError::NotRunning {
            service: host.clone(),
        }
        .into());
    }
    let process = running_process(engine.records().await?, host)?;
    let spec = read_spec(&path)?;
    let mut command = Vec::new();
    let mut starts = Starts::Command;
    if spec.isolation == Isolation::Namespaces {
        starts = Starts::Entry;
        // The supervisor's child is `unshare`; its child is the first process of the host.
        let init = *process::children(process.pid)
            .first()
            .ok_or_else(|| NativeError::NotRunning {
                service: host.clone(),
            })?;
        command.extend([
            "nsenter".to_owned(),
            format!("--target={init}"),
            "--user".to_owned(),
            "--preserve-credentials".to_owned(),
            "--mount".to_owned(),
            "--uts".to_owned(),
            "--pid".to_owned(),
            format!("--wd={}", spec.home.display()),
            "--".to_owned(),
        ]);
    }
    let shell = shell();
    if argv.is_empty() {
        command.push(shell.clone());
    }
    command.extend(argv.iter().cloned());

    let mut environment: Vec<(String, String)> = ["PATH", "TERM", "COLORTERM", "LANG", "LC_ALL", "TZ"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?)))
        .collect();
    environment.extend(
        [
            ("HOME", spec.home.display().to_string()),
            ("USER", "root".to_owned()),
            ("LOGNAME", "root".to_owned()),
            ("HOSTNAME", spec.hostname.clone()),
            ("SHELL", shell),
            ("PS1", format!("\\u@{}:\\w\\$ ", spec.hostname)),
            (HOST_VARIABLE, spec.folder.display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    Ok(HostCommand {
        argv: command,
        environment,
        folder: spec.home,
        starts,
    })
}

/// The caller's shell, else bash, else sh.
fn shell() -> String {
    env::var("SHELL")
        .ok()
        .filter(|shell| Path::new(shell).exists())
        .or_else(|| Path::new("/bin/bash").exists().then(|| "/bin/bash".to_owned()))
        .unwrap_or_else(|| "/bin/sh".to_owned())
}

/// Runs `argv` on `host` and collects what it writes. Dropping the future ends the command.
pub(super) async fn run(
    engine: &NativeEngine,
    folder: &ProjectFolder,
    host: &ServiceName,
    argv: &[&str],
) -> Result<ExecOutput> {
    let argv: Vec<String> = argv.iter().map(|argument| (*argument).to_owned()).collect();
    let command = command(engine, folder, host, &argv).await?;
    let (program, arguments) = command
        .argv
        .split_first()
        .map_or(("", [].as_slice()), |(first, rest)| (first, rest));
    let failed = |source| ExecError::Run {
        program: program.to_owned(),
        host: host.clone(),
        source,
    };
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(command.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&command.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // `nsenter` and what it runs form a group of their own, which can be killed from outside.
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let group = GroupGuard(child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)));
    let output = child.wait_with_output().await.map_err(failed)?;
    group.release();
    let status = output.status;
    Ok(ExecOutput {
        code: status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal))
            .unwrap_or(-1),
        stdout: output.stdout,
        stderr: output.stderr,
    })
}

/// Kills a process group when it is dropped before the command has ended.
struct GroupGuard(Option<Pid>);

impl GroupGuard {
    fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for GroupGuard {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
