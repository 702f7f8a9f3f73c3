//! `osqdemo doctor`: whether this machine can run the stack, and what to do where it cannot.

use serde_json::json;

use crate::commands::Context;
use crate::commands::project::Project;
use crate::doctor::{self, Status};
use crate::error::{Diagnose, Result};
use crate::events::SCHEMA_VERSION;
use crate::exit_code::ExitCode;

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

/// Runs the verb.
///
/// # Errors
/// When a check fails.
pub async fn run(context: Context) -> Result<()> {
    let project = Project::open(&context)?;
    let observed = project.engine.observe().await?;
    let checks = doctor::examine(&project.folder, &project.stack, &project.remembered, &observed).await;
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
