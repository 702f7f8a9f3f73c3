//! `osqdemo bundle`: everything that a report of a failure needs in one file, without secrets, also when nothing runs.
//! What cannot be had is noted in the file and ends nothing.

mod hosts;
mod live;
mod settled;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::time::timeout;

use crate::bundle::{Bundle, Missing};
use crate::cli::BundleArgs;
use crate::commands::Context;
use crate::commands::project::Project;
use crate::commands::ps::NoProject;
use crate::error::{Diagnose, Result};
use crate::events::{Detail, SCHEMA_VERSION};
use crate::exit_code::ExitCode;
use crate::output_file::OutputFile;
use crate::plan::Observed;
use crate::report::duration;
use crate::settings::{BundleSettings, Source};
use crate::state::ProjectFolder;

/// How long one piece may take: a daemon or a broker that hangs is a reason for a report.
const PIECE_LIMIT: Duration = Duration::from_secs(20);

/// The file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("failed to write the bundle `{}`: {source}", path.display())]
struct NotWritable {
    path: PathBuf,
    source: io::Error,
}

impl Diagnose for NotWritable {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec!["choose another file with `--output`".to_owned()]
    }
}

/// Fails when the file cannot be written.
pub(super) async fn run(context: Context, arguments: BundleArgs) -> Result<()> {
    check_named(&context).await?;
    let BundleSettings { output, lock_file } = BundleSettings::resolve(arguments, &context.settings);
    let path = output.unwrap_or_else(|| default_path(&context));
    let missing = write(&context, &path, &lock_file).await?;
    for Missing { name, reason } in &missing {
        context.reporter.emit(Detail::MissingInBundle {
            name: name.clone(),
            reason: reason.clone(),
        });
    }
    let names: Vec<&String> = missing.iter().map(|missing| &missing.name).collect();
    let document = json!({ "schema_version": SCHEMA_VERSION, "file": path, "missing": names });
    context.reporter.data(&document, || path.display().to_string())
}

/// Fails when the user names a project that is not there. Where none is named and none is there, it is about the machine:
/// why there is none may be what is to be reported.
async fn check_named(context: &Context) -> Result<()> {
    let folder = ProjectFolder::new(&context.settings.home, &context.settings.project.value);
    if context.settings.project.source == Source::Default || folder.is_project() {
        return Ok(());
    }
    // Who cannot be asked is a reason for a report, too.
    let Ok(project) = Project::open(context) else {
        return Ok(());
    };
    match project.engine.observe().await {
        Ok(seen) if seen.services.is_empty() && !seen.is_running() => Err(NoProject::of(&folder).into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Writes the file. Returns what is missing in it. `lock` is the lock file of the images.
///
/// # Errors
/// When the file cannot be written, or the user wants to end.
pub(super) async fn write(context: &Context, path: &Path, lock: &Path) -> Result<Vec<Missing>> {
    let bundle = tokio::select! {
        bundle = gather(context, lock) => bundle,
        () = context.shutdown.token().cancelled() => return Err(context.shutdown.interrupted().into()),
    };
    let now = Timestamp::now();
    let title = format!(
        "osqdemo {}: project {} at {now:.0}",
        env!("CARGO_PKG_VERSION"),
        context.settings.project
    );
    let archive = bundle.archive(&title, u64::try_from(now.as_second()).unwrap_or_default());
    archive
        .and_then(|archive| write_whole(path, &archive))
        .map_err(|source| NotWritable {
            path: path.to_owned(),
            source,
        })?;
    Ok(bundle.missing().to_vec())
}

async fn gather(context: &Context, lock: &Path) -> Bundle {
    let mut bundle = Bundle::default();
    let project = Project::open(context);
    settled::add_versions(&mut bundle, project.as_ref().ok()).await;
    settled::add_files(&mut bundle, context);
    settled::add_lock(&mut bundle, lock);
    let project = match project {
        Ok(project) => project,
        Err(failure) => {
            bundle.miss("ps.json, doctor.json, plan.txt, logs", &failure.to_string());
            return bundle;
        }
    };
    settled::add_checks(&mut bundle, &project).await;
    settled::add_plan(&mut bundle, &project).await;
    live::add_logs(&mut bundle, &project).await;
    hosts::add_hosts(&mut bundle, &project).await;
    live::add_containers(&mut bundle, &project).await;
    match observe(&project).await {
        Ok(observed) => {
            bundle.add_json(
                "ps.json",
                "the services and their state",
                super::ps::document(&project, &observed),
            );
            live::add_platform(&mut bundle, &project, &observed).await;
        }
        Err(reason) => bundle.miss("ps.json, topics.json, ksqldb", &reason),
    }
    bundle
}

async fn observe(project: &Project) -> std::result::Result<Observed, String> {
    within(PIECE_LIMIT, project.engine.observe()).await
}

/// The answer, or why there is none.
async fn within<T, E: std::fmt::Display>(
    limit: Duration,
    work: impl Future<Output = std::result::Result<T, E>>,
) -> std::result::Result<T, String> {
    match timeout(limit, work).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {}", duration(limit))),
    }
}

fn default_path(context: &Context) -> PathBuf {
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    PathBuf::from(format!("osqdemo-bundle-{}-{time}.tar", context.settings.project))
}

/// Writes the file whole or not at all; only its owner may read it, whatever is in it.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = OutputFile::at(path)?;
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file.writing())
        .and_then(|mut open| open.write_all(bytes));
    file.finish(written, |error| error)
}
