//! `osqdemo restart`: stop one service, start it again, wait until it is healthy.

use std::sync::Arc;
use std::time::Duration;

use crate::cli::RestartArgs;
use crate::commands::project::{Project, Request};
use crate::commands::{CommandError, Context};
use crate::error::Result;
use crate::execute::{Execution, ExecutionSettings};
use crate::plan::Plan;
use crate::state::ProjectLock;

/// How long the service may take to be healthy again.
const LIMIT: Duration = Duration::from_secs(60);

/// Fails when the project is not running, or the service does not come back.
pub(super) async fn run(context: Context, arguments: RestartArgs) -> Result<()> {
    let project = Project::open(&context)?;
    let service = project.stack.named(&arguments.service)?.name.clone();
    let not_running = || CommandError::NotRunning {
        project: context.settings.project.value.clone(),
    };
    if !project.folder.exists()? {
        return Err(not_running().into());
    }
    let _lock = ProjectLock::take(&project.folder, "restart")?;
    let observed = project.engine.observe().await?;
    if !observed.is_running() {
        return Err(not_running().into());
    }
    let resolved = project.resolve(&Request::as_it_is(&project)?).await?;
    if let Some(gone) = resolved.osqueryd_gone {
        context.reporter.emit(gone);
    }
    // What is seen with what starting takes: images too.
    let observed = resolved.engine.observe().await?;
    let plan = Plan::restart(&resolved.desired, &observed, &service);
    let execution = Execution::new(ExecutionSettings {
        engine: resolved.engine,
        prober: resolved.prober,
        events: Arc::new(context.reporter.clone()),
        shutdown: context.shutdown.clone(),
        desired: resolved.desired,
        limit: LIMIT,
    });
    execution.run(&plan, &[]).await
}
