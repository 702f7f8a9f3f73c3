//! `osqdemo exec`: a command, or a shell, on a host. It has the terminal, the signals and the last word on the exit
//! status; this process only stands by, to say what became of the host when the command ended with it.

mod attended;

use crate::cli::ExecArgs;
use crate::commands::Context;
use crate::commands::project::Project;
use crate::commands::server_watch::ServerWatch;
use crate::engine::loss::Reliance;
use crate::engine::{CallerStreams, Engine, Entered};
use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::report::raw;
use crate::stack::{Role, ServiceName};

/// Ends with what a shell ends with whose command is not there (127), or cannot be run (126). `$1` is the command.
const LOOK_FOR: &str = r#"set -f
case $1 in */*) [ -e "$1" ] || exit 127; [ -f "$1" ] && [ -x "$1" ] || exit 126; exit 0;; esac
status=127; IFS=:
for folder in $PATH; do
  [ -f "${folder:-.}/$1" ] || continue
  [ -x "${folder:-.}/$1" ] && exit 0
  status=126
done
exit $status"#;

/// The statuses of processes that SIGKILL and SIGTERM ended, as a shell tells them.
const KILLED: u8 = 128 + 9;
const TERMINATED: u8 = 128 + 15;

#[derive(Debug, thiserror::Error)]
enum ExecError {
    #[error("failed to run `{program}` for {host}: {source}")]
    Run {
        program: String,
        host: ServiceName,
        source: std::io::Error,
    },
    #[error("`{service}` is not a host")]
    NotAHost {
        service: ServiceName,
        hosts: Vec<String>,
    },
    #[error("{host} has no command `{program}`")]
    NoCommand { host: ServiceName, program: String },
    #[error("{host} cannot run `{program}`: it is no program, or may not be run")]
    NotRunnable { host: ServiceName, program: String },
}

impl Diagnose for ExecError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Run { .. } => ExitCode::Internal,
            Self::NotAHost { .. } => ExitCode::Usage,
            Self::NoCommand { .. } => ExitCode::NoCommand,
            Self::NotRunnable { .. } => ExitCode::NotRunnable,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Run { .. } => vec!["`nsenter` comes with util-linux".to_owned()],
            Self::NotAHost { hosts, .. } => match hosts.as_slice() {
                [] => vec!["all hosts are left out; `osqdemo up --without none` brings them back".to_owned()],
                [host] => vec![format!("the host is {host}")],
                hosts => vec![format!("the hosts are {}", hosts.join(" and "))],
            },
            // Quoted whole, as for a shell.
            Self::NoCommand { host, program } if program.contains(' ') => vec![format!(
                "a line for a shell is given to one: `osqdemo exec {host} -- sh -c '…'`"
            )],
            Self::NoCommand { host, .. } => {
                vec![format!("`osqdemo exec {host}` is a shell there, to look around")]
            }
            Self::NotRunnable { .. } => Vec::new(),
        }
    }
}

/// Fails when there is no such host, when it is not running, or when the command cannot be run.
pub(super) async fn run(context: Context, arguments: ExecArgs) -> Result<()> {
    let project = Project::open(&context)?;
    let host = host(&project, &arguments.host)?;
    if let Some(program) = arguments.command.first() {
        look_for(&*project.engine, &host, program).await?;
    }
    let watch = ServerWatch::of(project, Some(host.clone()), Reliance::ThisRun).await?;
    let status = Box::pin(entered(&context, watch.engine(), &host, &arguments.command)).await?;
    // Who asked the command to end himself needs no word about the host.
    let is_of_the_host = status == KILLED || status == TERMINATED && !context.shutdown.token().is_cancelled();
    if is_of_the_host && let Some(lost) = watch.cause(None).await {
        return Err(lost);
    }
    match status {
        0 => Ok(()),
        status => {
            #[expect(
                clippy::exit,
                reason = "the status is the command's, and the exit codes are ours"
            )]
            std::process::exit(i32::from(status));
        }
    }
}

fn host(project: &Project, name: &str) -> Result<ServiceName> {
    let service = project.stack.named(name)?;
    if service.role == Role::Host {
        return Ok(service.name.clone());
    }
    let hosts = project.stack.with_role(Role::Host);
    Err(ExecError::NotAHost {
        service: service.name.clone(),
        hosts: hosts.map(|host| host.name.to_string()).collect(),
    }
    .into())
}

/// Fails when the host does not have the program: what runs commands there would say so in words of its own.
async fn look_for(engine: &dyn Engine, host: &ServiceName, program: &str) -> Result<()> {
    let looked = engine
        .run_on_host(host, &["sh", "-c", LOOK_FOR, "sh", program])
        .await?;
    let (host, program) = (host.clone(), program.to_owned());
    match looked.code {
        127 => Err(ExecError::NoCommand { host, program }.into()),
        126 => Err(ExecError::NotRunnable { host, program }.into()),
        // A host that cannot even look for it says more when it is to run it.
        _ => Ok(()),
    }
}

/// Runs the command to its end; its exit status, 128 and the number for a signal.
async fn entered(context: &Context, engine: &dyn Engine, host: &ServiceName, argv: &[String]) -> Result<u8> {
    let shutdown = &context.shutdown;
    let (stdout, stderr) = raw::streams();
    let caller = CallerStreams {
        stdout: Box::new(stdout),
        stderr: Box::new(stderr),
    };
    match engine.enter(host, argv, caller, shutdown.token()).await? {
        Entered::Attend(command) => attended::run(&command, shutdown).await.map_err(|source| {
            ExecError::Run {
                program: command.argv.first().cloned().unwrap_or_default(),
                host: host.clone(),
                source,
            }
            .into()
        }),
        Entered::Ended(_) if shutdown.token().is_cancelled() => Err(shutdown.interrupted().into()),
        Entered::Ended(status) => Ok(status),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_program_is_looked_for_as_a_shell_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, mode: u32| {
            let path = folder.path().join(name);
            fs::write(&path, "#!/bin/sh\n").expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
            path.display().to_string()
        };
        let (runnable, plain) = (file("runnable", 0o755), file("plain", 0o644));
        let path = format!("/nowhere:{}", folder.path().display());
        let status = |program: &str| {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", LOOK_FOR, "sh", program]).env("PATH", &path);
            shell.status().expect("a shell").code()
        };
        for (program, expected) in [
            ("runnable", 0),
            (runnable.as_str(), 0),
            ("plain", 126),
            (plain.as_str(), 126),
            ("/", 126),
            ("nope", 127),
            ("/nowhere/nope", 127),
            ("cd", 127),
            ("", 127),
            ("-e", 127),
            ("*", 127),
            ("$(exit 3); a b", 127),
        ] {
            assert_eq!(status(program), Some(expected), "{program}");
        }
    }
}
