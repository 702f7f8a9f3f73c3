//! Whether a Docker daemon is there that can run the stack.

use std::path::Path;

use crate::doctor::{Check, Status, images, machine, memory_for};
use crate::engine::OsquerydChoice;
use crate::engine::docker::image::{ImageSources, OsqueryChoice};
use crate::engine::docker::{Connection, DaemonFacts, PROXY_VARIABLES, PullSettings, Root, Support};
use crate::error::{Diagnose, Failure};
use crate::stack::{ImageRef, Stack};

/// The image that ours are made from.
const BASE_IMAGE: &str = "debian:bookworm-slim";

/// How far the daemon's clock may be from ours, in milliseconds: hosts are healthy by the time of their records.
const LARGEST_SKEW_MS: i64 = 5_000;

/// All checks of the daemon; when it does not answer, that is the only one.
pub(super) async fn check(
    connection: &Connection,
    home: &Path,
    stack: &Stack,
    pull: &PullSettings,
) -> Vec<Check> {
    let facts = match connection.facts().await {
        Ok(facts) => facts,
        Err(error) => return vec![unanswered(&error.into())],
    };
    let mut checks = vec![
        check_daemon(connection),
        pass("Docker API", format!("version {}", connection.api)),
        check_builds(&connection.architecture),
        check_memory(&facts, stack),
        check_cgroups(&facts),
        pass("namespaces", facts.root.to_string()),
        check_proxy(&facts, &|name| std::env::var(name).ok()),
    ];
    checks.extend(images::check(connection, stack, pull).await);
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

/// A daemon that does not answer.
pub(super) fn unanswered(failure: &Failure) -> Check {
    failed("Docker daemon", failure)
}

fn check_daemon(connection: &Connection) -> Check {
    match connection.check_local() {
        Ok(()) => pass(
            "Docker daemon",
            format!("{} at `{}`", connection.daemon, connection.endpoint),
        ),
        Err(error) => unanswered(&error.into()),
    }
}

fn check_builds(architecture: &str) -> Check {
    let choice = OsqueryChoice {
        osqueryd: OsquerydChoice::Builtin,
        sha256: None,
        unavailable: None,
    };
    match ImageSources::find(&choice, architecture, None) {
        Ok(_) => pass("images", format!("can be made for {architecture}")),
        // The programs may still be compiled for the images, which only `up` is told.
        Err(failure) => Check {
            status: Status::Warn,
            ..failed("images", &failure)
        },
    }
}

fn check_memory(facts: &DaemonFacts, stack: &Stack) -> Check {
    let needed = stack.memory() >> 20;
    let Some(there) = facts.memory else {
        return warn(
            "memory",
            format!("the daemon does not tell how much it has; the stack needs about {needed} MiB"),
            None,
        );
    };
    let total = there >> 20;
    let text = format!("the daemon's machine has {total} MiB, the stack needs about {needed} MiB");
    match memory_for(stack, there) {
        Err(error) => failed("memory", &error.into()),
        Ok(Some(tight)) => warn("memory", tight.to_string(), None),
        Ok(None) => pass("memory", text),
    }
}

/// Control groups hold a container to its memory. Without them the stack runs, and so may one service over another.
fn check_cgroups(facts: &DaemonFacts) -> Check {
    if facts.memory_limits == Support::Yes {
        return pass("cgroups", facts.cgroups.clone());
    }
    let text = format!(
        "{}: the daemon cannot hold containers to their memory limits",
        facts.cgroups
    );
    let fix = match facts.root {
        Root::RootlessUser => {
            "boot with cgroup version 2 and delegate `memory` to users \
             (https://rootlesscontaine.rs/getting-started/common/cgroup2/)"
        }
        Root::Root | Root::Remapped => "boot with `cgroup_enable=memory`",
    };
    warn("cgroups", text, Some(fix.to_owned()))
}

/// Proxies are told by the names of their variables: an address may hold a password.
fn check_proxy(facts: &DaemonFacts, variable: &dyn Fn(&str) -> Option<String>) -> Check {
    let set: Vec<(&str, String)> = PROXY_VARIABLES
        .into_iter()
        .filter_map(|name| Some((name, variable(name).filter(|value| !value.is_empty())?)))
        .collect();
    let names: Vec<&str> = set.iter().map(|(name, _)| *name).collect();
    let daemon = match facts.proxies.as_slice() {
        [] => "the daemon pulls without one".to_owned(),
        proxies => format!("the daemon pulls through its own {}", proxies.join(" and ")),
    };
    let text = match names.as_slice() {
        [] => format!("none is set here; {daemon}"),
        names => format!(
            "handed on to builds and containers: {}; {daemon}",
            names.join(", ")
        ),
    };
    let is_of_this_machine = |(name, value): &(&str, String)| {
        !name.eq_ignore_ascii_case("NO_PROXY")
            && ["//localhost", "//127.", "@localhost", "@127.", "//[::1]"]
                .iter()
                .any(|host| value.contains(host))
    };
    match set.iter().find(|proxy| is_of_this_machine(proxy)) {
        Some((name, _)) => warn(
            "proxy",
            format!("{text}; `{name}` is on 127.0.0.1, which in a container is the container itself"),
            Some(format!(
                "let the proxy listen on an address that containers reach, and set `{name}` to it"
            )),
        ),
        None => pass("proxy", text),
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

pub(super) fn pass(name: &str, message: String) -> Check {
    Check {
        category: "docker",
        name: name.to_owned(),
        status: Status::Pass,
        message,
        fix: None,
    }
}

pub(super) fn warn(name: &str, message: String, fix: Option<String>) -> Check {
    Check {
        status: Status::Warn,
        fix,
        ..pass(name, message)
    }
}

pub(super) fn failed(name: &str, failure: &Failure) -> Check {
    let diagnosis: &dyn Diagnose = failure.diagnosis();
    Check {
        status: Status::Fail,
        fix: diagnosis.hints().into_iter().next(),
        ..pass(name, diagnosis.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> DaemonFacts {
        DaemonFacts {
            memory: Some(8 << 30),
            folder: None,
            memory_limits: Support::Yes,
            cgroups: "version 2, driver systemd".to_owned(),
            root: Root::Root,
            proxies: Vec::new(),
            clock_skew_ms: None,
        }
    }

    #[test]
    fn without_memory_limits_there_is_a_way_out() {
        assert_eq!(check_cgroups(&facts()).status, Status::Pass);
        for root in [Root::Root, Root::RootlessUser] {
            let check = check_cgroups(&DaemonFacts {
                memory_limits: Support::No,
                root,
                ..facts()
            });
            assert_eq!(check.status, Status::Warn);
            assert!(check.fix.is_some(), "{check:?}");
        }
    }

    #[test]
    fn a_clock_that_is_off_is_told() {
        let status = |skew| {
            let facts = DaemonFacts {
                clock_skew_ms: Some(skew),
                ..facts()
            };
            check_clock(&facts).map(|check| check.status)
        };
        assert_eq!(status(200), Some(Status::Pass));
        assert_eq!(status(-LARGEST_SKEW_MS - 1), Some(Status::Warn));
        assert_eq!(check_clock(&facts()), None);
    }

    #[test]
    fn proxies_are_told_without_their_passwords() {
        let proxy = |name: &str, value: &str| {
            let (name, value) = (name.to_owned(), value.to_owned());
            check_proxy(&facts(), &move |asked| (asked == name).then(|| value.clone()))
        };
        let check = proxy("HTTPS_PROXY", "http://jay:secret@proxy.example.org:3128");
        assert_eq!(check.status, Status::Pass);
        assert!(check.message.contains("containers: HTTPS_PROXY;"), "{check:?}");
        assert!(!format!("{check:?}").contains("secret"), "{check:?}");
        let check = proxy("http_proxy", "http://jay:secret@127.0.0.1:3128");
        assert_eq!(check.status, Status::Warn, "{check:?}");
        assert!(!format!("{check:?}").contains("secret"), "{check:?}");
        assert_eq!(proxy("NO_PROXY", "//127.0.0.1").status, Status::Pass);
    }
}
