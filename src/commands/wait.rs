//! `osqdemo wait`: returns once the services are healthy.

use std::sync::Arc;

use crate::cli::WaitArgs;
use crate::commands::project::{Project, Request};
use crate::commands::{CommandError, Context};
use crate::error::Result;
use crate::events::Note;
use crate::execute::{Execution, ExecutionSettings};
use crate::plan::Plan;
use crate::settings::WaitSettings;
use crate::stack::ServiceName;

/// Fails when the project is not running, or a service ends or is not healthy in time.
pub(super) async fn run(context: Context, arguments: WaitArgs) -> Result<()> {
    let settings = WaitSettings::resolve(arguments)?;
    let project = Project::open(&context)?;
    for name in &settings.services {
        project.stack.named(name)?;
    }
    let observed = project.engine.observe().await?;
    if !observed.is_running() {
        return Err(CommandError::NotRunning {
            project: context.settings.project.value.clone(),
        }
        .into());
    }
    let resolved = project.resolve(&Request::as_it_is(&project)?).await?;
    let is_asked_for = |name: &ServiceName| {
        settings.services.is_empty() || settings.services.iter().any(|asked| asked == name.as_str())
    };
    let services: Vec<ServiceName> = resolved
        .desired
        .iter()
        .map(|spec| spec.name.clone())
        .filter(is_asked_for)
        .collect();
    let execution = Execution::new(ExecutionSettings {
        engine: resolved.engine,
        prober: resolved.prober,
        events: Arc::new(context.reporter.clone()),
        shutdown: context.shutdown.clone(),
        desired: resolved.desired,
        limit: settings.limit.value,
    });
    execution.run(&Plan::default(), &services).await?;
    context.reporter.emit(Note::Healthy { services });
    Ok(())
}
