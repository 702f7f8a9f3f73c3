//! What a command asks of the system, by its system calls: proof that it asks nobody on a network, or when something is
//! on the disk.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use regex::Regex;
use tempfile::NamedTempFile;

/// Whether system calls can be watched. Without it the test is skipped, loudly; in CI it fails.
pub(crate) fn can_watch() -> bool {
    let works = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .status()
        .is_ok_and(|status| status.success());
    crate::docker_support::is_there(works, "strace (`scripts/test-tools.sh` gets it)")
}

/// Runs a command and returns also those of its and its children's calls that have these names, a line each.
pub(crate) fn watch(command: &Command, names: &str) -> (Output, String) {
    let calls = NamedTempFile::new().expect("a file");
    let mut watched = Command::new("strace");
    watched
        .args(["-f", "-qq", "-y", "-e", &format!("trace={names}"), "-o"])
        .arg(calls.path())
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => watched.env(name, value),
            None => watched.env_remove(name),
        };
    }
    let output = watched.output().expect("strace runs");
    let calls = fs::read_to_string(calls.path()).expect("the calls");
    (output, calls)
}

/// Runs a command and returns also where it and its children connected or sent to: `HOST:PORT`, or the path of a
/// socket.
pub(crate) fn connections_of(command: &Command) -> (Output, BTreeSet<String>) {
    let (output, calls) = watch(command, "connect,sendto,sendmsg,sendmmsg");
    let address = Regex::new(
        r#"sa_family=AF_(?:UNIX, sun_path=@?"(?<path>[^"]*)"|INET6?, sin6?_port=htons\((?<port>\d+)\).*?"(?<host>[^"]+)")"#,
    )
    .expect("a pattern");
    let addresses = address.captures_iter(&calls).map(|found| {
        found.name("path").map_or_else(
            || format!("{}:{}", &found["host"], &found["port"]),
            |path| path.as_str().to_owned(),
        )
    });
    (output, addresses.collect())
}
