//! Runs commands in the container of a host, through the API: collected for scenarios, or with the terminal or the
//! pipes of the caller.
//!
//! The API can start a command but not end one. So each carries a mark in its environment, which its children
//! inherit, and a second command ends whatever carries it.

use std::io::{IsTerminal, stdin, stdout};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::docker::connection::Connection;
use crate::engine::docker::error::DockerError;
use crate::engine::docker::labels::{self, Owner};
use crate::engine::docker::observe;
use crate::engine::docker::terminal::{self, RawMode};
use crate::engine::{CallerStreams, Entered, ExecOutput};
use crate::plan::ServiceState;
use crate::stack::ServiceName;
use crate::waiting::poll_within;

/// The variable that marks the processes of a command.
const MARK: &str = "OSQDEMO_EXEC";

/// Ends every process that carries a mark; `$1` is the mark.
const KILL: &str = r#"for process in /proc/[0-9]*; do
  if tr '\0' '\n' <"$process/environ" 2>/dev/null | grep -qxF "$1"; then kill -9 "${process#/proc/}"; fi
done 2>/dev/null; true"#;

/// How long the daemon may take to know how a command ended whose output is over.
const STATUS_LIMIT: Duration = Duration::from_secs(10);

/// How long to pause before it is asked again.
const STATUS_PAUSE: Duration = Duration::from_millis(10);

/// How long ending a command may take.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// How often to look whether the terminal has another size.
const RESIZE_LOOK: Duration = Duration::from_millis(250);

/// How much input is handed on at once, in bytes.
const CHUNK: usize = 16 * 1024;

/// Runs commands in one container.
#[derive(Clone)]
pub(super) struct Executor {
    connection: Connection,
    owner: Owner,
    host: ServiceName,
    container: String,
    kills: TaskTracker,
}

/// The streams of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Streams {
    /// Output only.
    Collected,
    /// The caller's pipes.
    Piped,
    /// The caller's terminal.
    Terminal,
}

impl Executor {
    /// For the container of a host.
    pub(super) fn new(connection: Connection, owner: &Owner, host: &ServiceName, kills: TaskTracker) -> Self {
        Self {
            connection,
            container: labels::container_name(owner, host),
            owner: owner.clone(),
            host: host.clone(),
            kills,
        }
    }

    /// Runs a command without input and collects what it writes.
    pub(super) async fn collect(&self, argv: &[String]) -> Result<ExecOutput, DockerError> {
        // What an earlier command left must be gone first: it may write to the file that this one removes.
        self.until_killed().await;
        let command = self.create(argv, Streams::Collected).await?;
        let guard = KillGuard::new(self, &command);
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let StartExecResults::Attached { mut output, .. } = self.start(&command, Streams::Collected).await?
        else {
            return Err(self.not_running());
        };
        while let Some(piece) = output.next().await {
            match piece.map_err(|error| DockerError::api("read the output of", self.object(), &error))? {
                LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                other => stdout.extend_from_slice(&other.into_bytes()),
            }
        }
        let code = self.status(&command).await?;
        guard.release();
        Ok(ExecOutput { code, stdout, stderr })
    }

    /// Runs a command, or a shell without one, for the terminal or the pipes of the caller.
    pub(super) async fn enter(
        &self,
        argv: &[String],
        caller: CallerStreams,
        asked_to_end: &CancellationToken,
    ) -> Result<Entered, DockerError> {
        let streams = if stdin().is_terminal() && stdout().is_terminal() {
            Streams::Terminal
        } else {
            Streams::Piped
        };
        let shell = ["bash".to_owned()];
        let command = self
            .create(if argv.is_empty() { &shell } else { argv }, streams)
            .await?;
        let guard = KillGuard::new(self, &command);
        let started = self.start(&command, streams).await?;
        let StartExecResults::Attached {
            mut output,
            mut input,
        } = started
        else {
            return Err(self.not_running());
        };
        let raw_mode = match streams {
            Streams::Terminal => Some(RawMode::enter()?),
            Streams::Collected | Streams::Piped => None,
        };
        let CallerStreams {
            mut stdout,
            mut stderr,
        } = caller;
        let showing = async {
            while let Some(piece) = output.next().await {
                let piece =
                    piece.map_err(|error| DockerError::api("read the output of", self.object(), &error))?;
                // A reader of ours that is gone is no concern of the command.
                let _ = match piece {
                    LogOutput::StdErr { message } => match stderr.write_all(&message).await {
                        Ok(()) => stderr.flush().await,
                        Err(error) => Err(error),
                    },
                    other => match stdout.write_all(&other.into_bytes()).await {
                        Ok(()) => stdout.flush().await,
                        Err(error) => Err(error),
                    },
                };
            }
            Ok(())
        };
        let handing_on = async {
            let mut stdin = tokio::io::stdin();
            let mut bytes = vec![0; CHUNK];
            while let Ok(count @ 1..) = stdin.read(&mut bytes).await {
                let Some(piece) = bytes.get(..count) else { break };
                if input.write_all(piece).await.is_err() || input.flush().await.is_err() {
                    break;
                }
            }
            let _ = input.shutdown().await;
            std::future::pending::<()>().await
        };
        tokio::select! {
            shown = showing => shown?,
            () = handing_on => {}
            () = asked_to_end.cancelled() => self.kill(&command.mark).await?,
            () = self.follow_size(&command, raw_mode.is_some()) => {}
        }
        drop(raw_mode);
        let code = self.status(&command).await?;
        guard.release();
        Ok(Entered::Ended(u8::try_from(code).unwrap_or(u8::MAX)))
    }

    /// Gives the command the terminal's size, and its new one whenever that changes; never returns.
    async fn follow_size(&self, command: &Command, has_terminal: bool) {
        if !has_terminal {
            return std::future::pending().await;
        }
        let mut known = None;
        let mut look = interval(RESIZE_LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            let size = terminal::size();
            if size == known {
                continue;
            }
            known = size;
            if let Some((width, height)) = size {
                let options = ResizeExecOptions { height, width };
                // The command may have ended just now.
                let _ = self.connection.docker.resize_exec(&command.id, options).await;
            }
        }
    }

    async fn create(&self, argv: &[String], streams: Streams) -> Result<Command, DockerError> {
        match observe::inspect(&self.connection, &self.container).await? {
            Some(inspection) => match observe::service(&inspection, &self.owner, None) {
                Some((_, seen)) if matches!(seen.state, ServiceState::Running { .. }) => {}
                Some((service, seen)) if matches!(seen.state, ServiceState::Paused { .. }) => {
                    return Err(DockerError::Paused { service });
                }
                _ => return Err(self.not_running()),
            },
            None => return Err(self.not_running()),
        }
        let mark = format!("{MARK}={}", nonce());
        let mut environment = vec![mark.clone()];
        let is_terminal = streams == Streams::Terminal;
        if is_terminal && let Ok(term) = std::env::var("TERM") {
            environment.push(format!("TERM={term}"));
        }
        let options = CreateExecOptions {
            attach_stdin: Some(streams != Streams::Collected),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(is_terminal),
            env: Some(environment),
            cmd: Some(argv.to_vec()),
            ..Default::default()
        };
        let request = self.connection.docker.create_exec(&self.container, options);
        let created = self
            .connection
            .answer("run a command in", &self.object(), request)
            .await?;
        Ok(Command { id: created.id, mark })
    }

    async fn start(&self, command: &Command, streams: Streams) -> Result<StartExecResults, DockerError> {
        let options = StartExecOptions {
            tty: streams == Streams::Terminal,
            ..Default::default()
        };
        let request = self.connection.docker.start_exec(&command.id, Some(options));
        self.connection
            .answer("run a command in", &self.object(), request)
            .await
    }

    /// How a command ended whose output is over.
    async fn status(&self, command: &Command) -> Result<i32, DockerError> {
        let look = || async {
            let request = self.connection.docker.inspect_exec(&command.id);
            let object = self.object();
            let answer = self.connection.answer("inspect a command in", &object, request);
            match answer.await {
                Ok(inspection) if inspection.running == Some(true) => None,
                Ok(inspection) => inspection
                    .exit_code
                    .map(|code| Ok(i32::try_from(code).unwrap_or(-1))),
                Err(error) => Some(Err(error)),
            }
        };
        let status = poll_within(STATUS_LIMIT, STATUS_PAUSE, look).await;
        status.unwrap_or_else(|| {
            Err(DockerError::TooSlow {
                action: "tell how a command ended in",
                object: self.object(),
                limit: STATUS_LIMIT,
            })
        })
    }

    /// Ends what carries the mark.
    async fn kill(&self, mark: &str) -> Result<(), DockerError> {
        let options = CreateExecOptions {
            cmd: Some(vec!["sh", "-c", KILL, "sh", mark]),
            attach_stdout: Some(true),
            ..Default::default()
        };
        let request = async {
            let created = self
                .connection
                .docker
                .create_exec(&self.container, options)
                .await?;
            let started = self.connection.docker.start_exec(&created.id, None).await?;
            if let StartExecResults::Attached { mut output, .. } = started {
                while output.next().await.is_some() {}
            }
            Ok(())
        };
        self.connection
            .answer_within(KILL_LIMIT, "end a command in", &self.object(), request)
            .await
    }

    /// Waits until the commands that were given up have ended.
    pub(super) async fn until_killed(&self) {
        self.kills.close();
        self.kills.wait().await;
        self.kills.reopen();
    }

    fn object(&self) -> String {
        format!("container {}", self.container)
    }

    fn not_running(&self) -> DockerError {
        DockerError::NotRunning {
            service: self.host.clone(),
        }
    }
}

/// A command that the daemon knows.
struct Command {
    id: String,
    mark: String,
}

/// Ends a command when it is dropped before the command has ended.
struct KillGuard {
    work: Option<(Executor, String)>,
}

impl KillGuard {
    fn new(executor: &Executor, command: &Command) -> Self {
        Self {
            work: Some((executor.clone(), command.mark.clone())),
        }
    }

    fn release(mut self) {
        self.work = None;
    }
}

impl Drop for KillGuard {
    fn drop(&mut self) {
        if let Some((executor, mark)) = self.work.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let kills = executor.kills.clone();
            kills.spawn_on(
                async move {
                    let _ = executor.kill(&mark).await;
                },
                &runtime,
            );
        }
    }
}

/// A text that no other command of this machine has.
fn nonce() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let now = jiff::Timestamp::now().as_nanosecond();
    format!(
        "{}-{now}-{}",
        process::id(),
        COUNTER.fetch_add(1, Ordering::Relaxed)
    )
}
