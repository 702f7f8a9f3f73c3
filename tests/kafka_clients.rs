//! One Kafka client of each kind against `osqdemo serve broker`: what of `scripts/clients.sh` takes less than two minutes.
//!
//! `make test` has the script install them. Where none is, this says so and is skipped, and in CI it fails; one that cannot
//! be had just now is named.

#[path = "support/docker.rs"]
mod docker_support;
mod support;

use std::io::Write;
use std::path::Path;
use std::process::Command;

use support::InTime;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/clients.sh");
/// Where the last of the quick ones is.
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/clients/quick");

#[test]
fn a_client_of_each_kind_does_all_that_it_can() {
    let installed = Path::new(INSTALLED).exists() || std::env::var("CI").as_deref() == Ok("true");
    if !docker_support::is_there(
        installed,
        "Kafka client (`scripts/clients.sh --quick --fetch` gets them)",
    ) {
        return;
    }
    let output = Command::new(SCRIPT)
        .args([env!("CARGO_BIN_EXE_osqdemo"), "--quick"])
        .in_time();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let of_clients = told.lines().filter_map(|line| line.strip_prefix("clients: "));
    let (missing, ran): (Vec<_>, Vec<_>) = of_clients.partition(|line| line.contains("NOT RUN"));
    for line in missing {
        // Past the test harness, which hides what a passing test prints.
        let _ = writeln!(std::io::stderr(), "\n*** NOT RUN: {line} ***");
    }
    assert!(!ran.is_empty(), "{told}");
}
