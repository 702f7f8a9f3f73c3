//! The pieces of a bundle that are there whether the stack runs or not: versions, files, checks, the plan.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::commands::bundle::{PIECE_LIMIT, within};
use crate::commands::project::{PortsRequest, Project, Request};
use crate::commands::{Context, doctor};
use crate::engine::EngineKind;
use crate::engine::docker::{Connection, DockerError, PullSettings};
use crate::error::Result;
use crate::events::SCHEMA_VERSION;
use crate::plan::Plan;
use crate::state::ProjectFolder;

/// How much of a file is read, in bytes. Ours are not larger.
const LARGEST_FILE: u64 = 1024 * 1024;

/// The versions of all that takes part.
pub(super) async fn add_versions(bundle: &mut Bundle, project: Option<&Project>) {
    let system = rustix::system::uname();
    let mut versions = json!({
        "osqdemo": env!("CARGO_PKG_VERSION"),
        "system": system.sysname().to_string_lossy(),
        "kernel": system.release().to_string_lossy(),
        "machine": system.machine().to_string_lossy(),
        "engine": project.map(|project| project.kind.to_string()),
    });
    if project.is_some_and(|project| project.kind == EngineKind::Docker) {
        let facts = Box::pin(async {
            let connection = Connection::open().await?;
            let facts = connection.facts().await?;
            Ok::<_, DockerError>((connection, facts))
        });
        match within(PIECE_LIMIT, facts).await {
            Ok((connection, facts)) => {
                versions["docker"] = json!({
                    "daemon": connection.daemon.to_string(),
                    "api_version": connection.api.to_string(),
                    "architecture": connection.architecture,
                    "memory_bytes": facts.memory,
                    "cgroups": facts.cgroups,
                    "containers_root": facts.root.to_string(),
                });
            }
            Err(reason) => bundle.miss("versions.json (docker)", &reason),
        }
    }
    bundle.add_json("versions.json", "the versions of all that takes part", versions);
}

/// What the project keeps in files.
pub(super) fn add_files(bundle: &mut Bundle, context: &Context) {
    let folder = ProjectFolder::new(&context.settings.home, &context.settings.project);
    add_file(
        bundle,
        "project/project.json",
        "what the project remembers between runs",
        &folder.remembered_file(),
    );
    add_file(
        bundle,
        "project/services.json",
        "what the supervisor wrote about itself and its services",
        &folder.services_file(),
    );
    match &context.settings.file {
        Some(file) => add_file(bundle, "osqdemo.toml", "the settings file", &file.path),
        None => bundle.miss("osqdemo.toml", "there is none"),
    }
    add_file(
        bundle,
        "events.jsonl",
        "what the runs of the verbs did: one JSON object a line, the newest last",
        &folder.events_file(),
    );
    let earlier = folder.earlier_events_file();
    if earlier.exists() {
        add_file(bundle, "events.jsonl.1", "the same of the runs before", &earlier);
    }
}

/// The lock file of the images that is in force.
pub(super) fn add_lock(bundle: &mut Bundle, path: &Path) {
    let what = format!("the lock file of the images, `{}`", path.display());
    add_file(bundle, "images.lock", &what, path);
}

/// What `osqdemo doctor` says.
pub(super) async fn add_checks(bundle: &mut Bundle, project: &Project) {
    let checks = Box::pin(async {
        let observed = project.engine.observe().await;
        let pull = PullSettings::usual();
        doctor::checks(project, project.kind, &BTreeMap::new(), observed, &pull).await
    });
    match within(PIECE_LIMIT, checks).await {
        Ok(checks) => bundle.add_json(
            "doctor.json",
            "whether this machine can run the stack",
            json!({ "schema_version": SCHEMA_VERSION, "checks": checks }),
        ),
        Err(reason) => bundle.miss("doctor.json", &reason),
    }
}

/// What `osqdemo up` would do now.
pub(super) async fn add_plan(bundle: &mut Bundle, project: &Project) {
    let plan = Box::pin(async {
        let request = Request {
            ports: PortsRequest::Choose(BTreeMap::new()),
            ..Request::as_it_is(project)?
        };
        let resolved = project.resolve(&request).await?;
        let observed = resolved.engine.observe().await?;
        Result::Ok(Plan::make_of(&project.stack, &resolved.desired, &observed))
    });
    let what = "what `osqdemo up` would do now, and why";
    match within(PIECE_LIMIT, plan).await {
        Ok(plan) if plan.is_empty() => bundle.add_text("plan.txt", what, "nothing to do\n"),
        Ok(plan) => bundle.add_text("plan.txt", what, &plan.to_string()),
        Err(reason) => bundle.miss("plan.txt", &reason),
    }
}

pub(super) fn add_file(bundle: &mut Bundle, name: &str, what: &str, path: &Path) {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return bundle.miss(name, "there is none"),
        Err(error) => return bundle.miss(name, &error.to_string()),
    };
    add_content(bundle, name, what, &text);
}

/// The text of a file. The structure of a document tells more secrets than its text does.
pub(super) fn add_content(bundle: &mut Bundle, name: &str, what: &str, text: &str) {
    match serde_json::from_str::<Value>(text) {
        Ok(document) => bundle.add_json(name, what, document),
        Err(_) => bundle.add_text(name, what, text),
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_FILE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
