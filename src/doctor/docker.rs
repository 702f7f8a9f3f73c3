//! Whether a Docker daemon is there that can run the stack.

use std::path::Path;

use crate::doctor::{Check, Status, machine, memory_for};
use crate::engine::docker::image::{ImageSources, OsqueryChoice};
use crate::engine::docker::{Connection, DaemonFacts, Support};
use crate::error::{Diagnose, Failure};
use crate::stack::{ImageRef, Stack};

/// The oldest API that has all we use: Docker 19.03.
const OLDEST_API: (u32, u32) = (1, 40);

/// The image that ours are made from.
const BASE_IMAGE: &str = "debian:bookworm-slim";

/// How far the daemon's clock may be from ours, in milliseconds: hosts are healthy by the time of their records.
const LARGEST_SKEW_MS: i64 = 5_000;

/// All checks of the daemon; when it does not answer, that is the only one.
pub(super) async fn check(home: &Path, stack: &Stack) -> Vec<Check> {
    let connection = match Connection::open().await {
        Ok(connection) => connection,
        Err(error) => return vec![failed("Docker daemon", &error.into())],
    };
    let facts = match connection.facts().await {
        Ok(facts) => facts,
        Err(error) => return vec![failed("Docker daemon", &error.into())],
    };
    let mut checks = vec![
        pass(
            "Docker daemon",
            format!("version {} at `{}`", facts.version, connection.endpoint),
        ),
        check_api(&facts),
        check_images(&facts),
        check_memory(&facts, stack),
    ];
    checks.extend(facts.folder.as_deref().map(|folder| Check {
        category: "docker",
        ..machine::check_disk(folder)
    }));
    checks.extend(check_clock(&facts));
    match connection.has_image(&ImageRef::new(BASE_IMAGE)).await {
        Ok(true) => checks.push(pass("base image", format!("`{BASE_IMAGE}` is there"))),
        Ok(false) => checks.push(warn(
            "base image",
            format!("`{BASE_IMAGE}` is not there; the first build fetches it"),
            Some("where nothing can be fetched, `scripts/base-image.sh` makes it".to_owned()),
        )),
        Err(error) => checks.push(failed("base image", &error.into())),
    }
    match connection.projects(None).await {
        Ok(projects) => {
            let others = projects.into_iter().filter(|(leftover, _)| {
                leftover.home != home || !home.join(leftover.project.as_str()).exists()
            });
            checks.extend(others.map(|(leftover, containers)| {
                warn(
                    &format!("project {}", leftover.project),
                    format!(
                        "{containers} containers of another state home are there (`{}`)",
                        leftover.home.display()
                    ),
                    Some(format!(
                        "to remove it: `OSQDEMO_HOME={} osqdemo --project {} down --volumes`",
                        leftover.home.display(),
                        leftover.project
                    )),
                )
            }));
        }
        Err(error) => checks.push(failed("other projects", &error.into())),
    }
    checks
}

fn check_api(facts: &DaemonFacts) -> Check {
    let version = facts
        .api_version
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let text = format!("version {}", facts.api_version);
    match version {
        Some(version) if version < OLDEST_API => Check {
            status: Status::Fail,
            fix: Some("update Docker to 19.03 or later".to_owned()),
            ..pass("Docker API", format!("{text} is too old"))
        },
        _ => pass("Docker API", text),
    }
}

fn check_images(facts: &DaemonFacts) -> Check {
    let choice = OsqueryChoice {
        osqueryd: "builtin".to_owned(),
        sha256: None,
        unavailable: None,
    };
    match ImageSources::find(&choice, &facts.architecture, None) {
        Ok(_) => pass("images", format!("can be made for {}", facts.architecture)),
        // The programs may still be compiled for the images, which only `up` is told.
        Err(failure) => Check {
            status: Status::Warn,
            ..failed("images", &failure)
        },
    }
}

fn check_memory(facts: &DaemonFacts, stack: &Stack) -> Check {
    let needed = stack.services.iter().map(|service| service.memory).sum::<u64>() >> 20;
    let total = facts.memory >> 20;
    let text = format!("the daemon's machine has {total} MiB, the stack needs about {needed} MiB");
    if facts.memory_limits == Support::No {
        warn(
            "memory",
            format!("{text}; the daemon cannot hold containers to their limits"),
            None,
        )
    } else {
        match memory_for(stack, facts.memory) {
            Err(error) => failed("memory", &error.into()),
            Ok(Some(tight)) => warn("memory", tight, None),
            Ok(None) => pass("memory", text),
        }
    }
}

fn check_clock(facts: &DaemonFacts) -> Option<Check> {
    let skew = facts.clock_skew_ms?;
    Some(if skew.abs() > LARGEST_SKEW_MS {
        let fix = "set the clock of Docker's machine, or restart it";
        let text = format!("the daemon's clock is {} s from this one", skew / 1000);
        warn("clock", text, Some(fix.to_owned()))
    } else {
        pass("clock", "the daemon has the same time".to_owned())
    })
}

fn pass(name: &str, message: String) -> Check {
    Check {
        category: "docker",
        name: name.to_owned(),
        status: Status::Pass,
        message,
        fix: None,
    }
}

fn warn(name: &str, message: String, fix: Option<String>) -> Check {
    Check {
        status: Status::Warn,
        fix,
        ..pass(name, message)
    }
}

fn failed(name: &str, failure: &Failure) -> Check {
    let diagnosis: &dyn Diagnose = failure.diagnosis();
    Check {
        status: Status::Fail,
        fix: diagnosis.hints().into_iter().next(),
        ..pass(name, diagnosis.to_string())
    }
}
