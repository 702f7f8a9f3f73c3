//! `osqdemo doctor`: whether this machine can run the stack, and what to do where it cannot.

use std::collections::BTreeMap;

use serde_json::json;

use crate::cli::DoctorArgs;
use crate::commands::Context;
use crate::commands::images::pull_settings;
use crate::commands::project::{DaemonPublishers, Project};
use crate::doctor::{self, Check, Outside, Status};
use crate::engine::EngineKind;
use crate::engine::docker::{Connection, PullSettings};
use crate::engine::native::programs;
use crate::error::{Diagnose, Failure, Result};
use crate::events::SCHEMA_VERSION;
use crate::exit_code::ExitCode;
use crate::host_config;
use crate::plan::Observed;
use crate::ports::{NoPublishers, Publishers};
use crate::settings::DoctorSettings;
use crate::stack::ServiceName;

#[derive(Debug, thiserror::Error)]
#[error("{}", match failed { 1 => "1 check failed".to_owned(), failed => format!("{failed} checks failed") })]
struct ChecksFailed {
    failed: usize,
}

impl Diagnose for ChecksFailed {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Preflight
    }
}

/// Fails when a check fails.
pub(super) async fn run(context: Context, arguments: DoctorArgs) -> Result<()> {
    let project = Project::open(&context)?;
    let settings = DoctorSettings::resolve(&arguments, &context.settings, &project.remembered)?;
    examine(&context, project, &settings).await
}

/// Checks what is settled already.
///
/// # Errors
/// As [`run`].
pub(super) async fn examine(context: &Context, project: Project, settings: &DoctorSettings) -> Result<()> {
    let DoctorSettings { target, images } = settings;
    let project = project.with_stack(&target.stack)?;
    let observed = project.engine.observe().await;
    let pull = pull_settings(images)?;
    let mut checks = checks(
        &project,
        target.engine.value,
        &target.asked_ports(),
        observed,
        &pull,
    )
    .await?;
    checks.extend(outside(&project).await?);
    let document = json!({ "schema_version": SCHEMA_VERSION, "checks": checks });
    context.reporter.data(&document, || {
        let mut text = String::new();
        for check in &checks {
            text.push_str(&format!(
                "{:<4}  {}: {}\n",
                check.status.word(),
                check.name,
                check.message
            ));
            if let Some(fix) = &check.fix {
                text.push_str(&format!("      hint: {fix}\n"));
            }
        }
        text
    })?;
    match checks.iter().filter(|check| check.status == Status::Fail).count() {
        0 => Ok(()),
        failed => Err(ChecksFailed { failed }.into()),
    }
}

/// The checks of what is outside of the stack.
async fn outside(project: &Project) -> Result<Vec<Check>> {
    let Some(kafka) = &project.stack.kafka else {
        return Ok(Vec::new());
    };
    let extension = programs::find_extension(&programs::own_path()?)?;
    let own = project.remembered.host_config.as_ref();
    let outside = Outside {
        kafka: project.cluster_at(kafka),
        host_configuration: host_config::text_for(own, kafka.as_str(), &project.kafka_properties(), None),
        topics: host_config::topics(own),
        ksqldb: project.remote_ksqldb(),
        registry: project.remote_registry(),
        extension: &extension,
    };
    Ok(outside.check().await)
}

/// The checks for an engine, with these ports as asked for.
pub(super) async fn checks(
    project: &Project,
    kind: EngineKind,
    asked: &BTreeMap<ServiceName, u16>,
    observed: Result<Observed>,
    pull: &PullSettings,
) -> Result<Vec<Check>> {
    let (folder, stack) = (&project.folder, &project.stack);
    if kind != EngineKind::Docker {
        let observed = observed?;
        let ports = project
            .choose_ports(kind, asked, &observed, &DaemonPublishers)
            .await?;
        return doctor::examine(folder, stack, &ports, &observed).await;
    }
    // A daemon that does not answer is one of the things to be told; what is wrong on another engine is not.
    let (observed, connection) = match observed {
        Err(failure) if project.kind == EngineKind::Docker => (Observed::nothing(), Err(failure)),
        observed => {
            let connection = Box::pin(Connection::open()).await;
            (
                observed.unwrap_or_else(|_| Observed::nothing()),
                connection.map_err(Failure::from),
            )
        }
    };
    // A daemon that did not answer is not asked again: one time-out is enough.
    let publishers: &dyn Publishers = match &connection {
        Ok(_) => &DaemonPublishers,
        Err(_) => &NoPublishers,
    };
    let ports = project.choose_ports(kind, asked, &observed, publishers).await?;
    let examined = doctor::examine_docker(folder, stack, &ports, &observed, pull, connection);
    Ok(Box::pin(examined).await)
}
