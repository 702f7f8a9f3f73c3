//! What a command connects to, by its system calls: proof that it asks nobody on a network.

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

/// Runs a command and returns also where it and its children connected or sent to: `HOST:PORT`, or the path of a
/// socket.
pub(crate) fn watch(command: &Command) -> (Output, BTreeSet<String>) {
    let calls = NamedTempFile::new().expect("a file");
    let mut watched = Command::new("strace");
    watched
        .args(["-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o"])
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
