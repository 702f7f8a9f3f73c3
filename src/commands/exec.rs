//! `osqdemo exec`: a command, or a shell, on a host. Where it can, it takes the place of this process, so that
//! terminal, signals and exit status are its own.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::cli::ExecArgs;
use crate::commands::Context;
use crate::commands::project::Project;
use crate::engine::{CallerStreams, Entered};
use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::report::raw;
use crate::stack::{Role, ServiceName};

#[derive(Debug, thiserror::Error)]
#[error("failed to run `{program}` for {host}: {source}")]
struct ExecFailed {
    program: String,
    host: ServiceName,
    source: std::io::Error,
}

impl Diagnose for ExecFailed {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Internal
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{service}` is not a host")]
struct NotAHost {
    service: ServiceName,
    hosts: Vec<String>,
}

impl Diagnose for NotAHost {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self.hosts.as_slice() {
            [] => vec!["all hosts are left out; `osqdemo up --without none` brings them back".to_owned()],
            [host] => vec![format!("the host is {host}")],
            hosts => vec![format!("the hosts are {}", hosts.join(" and "))],
        }
    }
}

/// Runs the verb.
///
/// # Errors
/// When there is no such host, when it is not running, or when the command cannot be run.
pub async fn run(context: Context, arguments: ExecArgs) -> Result<()> {
    let project = Project::open(&context)?;
    let service = project.stack.named(&arguments.host)?;
    if service.role != Role::Host {
        return Err(NotAHost {
            service: service.name.clone(),
            hosts: project
                .stack
                .with_role(Role::Host)
                .map(|service| service.name.to_string())
                .collect(),
        }
        .into());
    }
    let host = service.name.clone();
    let shutdown = &context.shutdown;
    let (stdout, stderr) = raw::streams();
    let caller = CallerStreams {
        stdout: Box::new(stdout),
        stderr: Box::new(stderr),
    };
    let entered = project
        .engine
        .enter(&host, &arguments.command, caller, shutdown.token())
        .await?;
    let command = match entered {
        Entered::Become(command) => command,
        Entered::Ended(_) if shutdown.token().is_cancelled() => return Err(shutdown.interrupted().into()),
        Entered::Ended(0) => return Ok(()),
        Entered::Ended(status) => {
            #[expect(
                clippy::exit,
                reason = "the status is the command's, and the exit codes are ours"
            )]
            std::process::exit(i32::from(status));
        }
    };
    let (program, rest) = command
        .argv
        .split_first()
        .map_or(("", [].as_slice()), |(first, rest)| (first.as_str(), rest));
    let source = Command::new(program)
        .args(rest)
        .env_clear()
        .envs(command.environment)
        .current_dir(&command.folder)
        .exec();
    Err(ExecFailed {
        program: program.to_owned(),
        host,
        source,
    }
    .into())
}
