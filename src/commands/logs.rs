//! `osqdemo logs`: what the services wrote, also those of an earlier run.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::cli::LogsArgs;
use crate::commands::Context;
use crate::commands::project::Project;
use crate::commands::ps::NoProject;
use crate::engine::{Engine, Follow, LogReading};
use crate::error::{Diagnose, Result};
use crate::events::SCHEMA_VERSION;
use crate::exit_code::ExitCode;
use crate::report::printable::printable_line;
use crate::stack::ServiceName;

/// How many pieces of a log may wait to be shown.
const WAITING: usize = 16;

#[derive(Debug, thiserror::Error)]
#[error("a task that shows a log ended unexpectedly: {source}")]
struct TaskEnded {
    source: tokio::task::JoinError,
}

impl Diagnose for TaskEnded {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Internal
    }
}

/// Fails when a service is unknown or a log cannot be read.
pub(super) async fn run(context: Context, arguments: LogsArgs) -> Result<()> {
    let project = Project::open(&context)?;
    let names: Vec<ServiceName> = if arguments.services.is_empty() {
        let names = project.stack.services.iter().map(|service| service.name.clone());
        names.chain([ServiceName::new("supervisor")]).collect()
    } else {
        let known = |name: &String| match project.stack.service(name) {
            Some(service) => Ok(service.name.clone()),
            None if name == "supervisor" => Ok(ServiceName::new("supervisor")),
            // What it wrote before is still there.
            None if project.stack.is_left_out(&ServiceName::new(name)) => Ok(ServiceName::new(name)),
            None => Err(project.stack.no_service(name)),
        };
        arguments
            .services
            .iter()
            .map(known)
            .collect::<std::result::Result<_, _>>()?
    };
    if !project.folder.is_project() && project.engine.observe().await?.services.is_empty() {
        return Err(NoProject::of(&project.folder).into());
    }
    let width = names
        .iter()
        .map(|name| name.as_str().len())
        .max()
        .unwrap_or_default();
    let logs = names.into_iter().map(|service| Log {
        service,
        width,
        partial: Vec::new(),
    });
    if arguments.follow {
        return follow(&context, &project.engine, logs, arguments.tail).await;
    }
    let reading = LogReading {
        follow: Follow::No,
        last: arguments.tail,
    };
    for log in logs {
        log.show_all(&context, &*project.engine, reading).await?;
    }
    Ok(())
}

/// Shows all logs at the same time, until the user ends it.
async fn follow(
    context: &Context,
    engine: &Arc<dyn Engine>,
    logs: impl Iterator<Item = Log>,
    last: Option<u64>,
) -> Result<()> {
    let reading = LogReading {
        follow: Follow::Yes,
        last,
    };
    let mut tasks = JoinSet::new();
    for log in logs {
        let (context, engine) = (context.clone(), Arc::clone(engine));
        tasks.spawn(async move { log.show_all(&context, &*engine, reading).await });
    }
    loop {
        tokio::select! {
            Some(ended) = tasks.join_next() => ended.map_err(|source| TaskEnded { source })??,
            // As with `tail`, a signal is how it is ended: no error, and the exit code tells of it.
            () = context.shutdown.token().cancelled() => return Ok(()),
            else => return Ok(()),
        }
    }
}

/// A log that is being shown.
struct Log {
    service: ServiceName,
    /// How wide the longest name of a service is.
    width: usize,
    /// The begin of a line whose end is not written yet.
    partial: Vec<u8>,
}

impl Log {
    async fn show_all(mut self, context: &Context, engine: &dyn Engine, reading: LogReading) -> Result<()> {
        let service = self.service.clone();
        let (pieces, mut arriving) = mpsc::channel(WAITING);
        let reading = engine.log(&service, reading, pieces);
        let showing = async {
            while let Some(piece) = arriving.recv().await {
                self.show_new(context, &piece)?;
            }
            self.show_rest(context)
        };
        tokio::try_join!(reading, showing).map(drop)
    }

    /// Shows the lines that are whole by now.
    fn show_new(&mut self, context: &Context, piece: &[u8]) -> Result<()> {
        self.partial.extend_from_slice(piece);
        let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(());
        };
        let rest = self.partial.split_off(end + 1);
        let whole = std::mem::replace(&mut self.partial, rest);
        whole
            .split_inclusive(|byte| *byte == b'\n')
            .try_for_each(|line| self.show(context, line))
    }

    /// Shows a last line that has no end.
    fn show_rest(&mut self, context: &Context) -> Result<()> {
        if self.partial.is_empty() {
            return Ok(());
        }
        let line = std::mem::take(&mut self.partial);
        self.show(context, &line)
    }

    fn show(&self, context: &Context, line: &[u8]) -> Result<()> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\n', '\r']);
        let (service, width) = (self.service.as_str(), self.width);
        context.reporter.data(
            &json!({ "schema_version": SCHEMA_VERSION, "service": service, "line": line }),
            || format!("{service:width$} | {}", printable_line(line)),
        )
    }
}
