//! A stack of its own for a measurement: a state folder that goes away, ports that are free.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use osqdemo::stack::Endpoints;
use serde_json::Value;
use tempfile::TempDir;

/// The binary under measurement.
const OSQDEMO: &str = env!("CARGO_BIN_EXE_osqdemo");

/// A project in a temporary state folder. Dropping it takes the stack down.
pub(crate) struct BenchStack {
    home: TempDir,
}

impl BenchStack {
    /// Nothing is started yet.
    pub(crate) fn new() -> Result<Self> {
        let home = tempfile::tempdir().context("failed to make a state folder")?;
        Ok(Self { home })
    }

    /// Runs a verb to its end and says how long it took.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<(Output, Duration)> {
        let begun = Instant::now();
        let output = Command::new(OSQDEMO)
            .args(arguments)
            .env("OSQDEMO_HOME", self.home.path())
            .env("OSQDEMO_PROJECT", "bench")
            .output()
            .with_context(|| format!("failed to run `{OSQDEMO}`"))?;
        let elapsed = begun.elapsed();
        if !output.status.success() {
            bail!(
                "`osqdemo {}` failed: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok((output, elapsed))
    }

    /// The state folder.
    pub(crate) fn home(&self) -> String {
        self.home.path().display().to_string()
    }

    /// Starts the stack on free ports, with the built-in agent.
    pub(crate) fn up(&self) -> Result<Duration> {
        let arguments = [
            "up",
            "--osqueryd",
            "builtin",
            "--port",
            "broker=0",
            "--port",
            "ksqldb-server=0",
        ];
        Ok(self.run(&arguments)?.1)
    }

    /// Where its clients connect, as `ps` tells.
    pub(crate) fn endpoints(&self) -> Result<Endpoints> {
        let (output, _) = self.run(&["--json", "ps"])?;
        let document: Value = serde_json::from_slice(&output.stdout)?;
        let address = |name: &str| {
            let services = document["services"].as_array();
            let service = services.and_then(|services| services.iter().find(|one| one["service"] == name));
            let address = service.and_then(|service| service["address"].as_str());
            address
                .map(str::to_owned)
                .with_context(|| format!("`ps` tells no address of {name}"))
        };
        Ok(Endpoints {
            bootstrap_servers: address("broker")?,
            ksqldb_url: address("ksqldb-server")?,
        })
    }
}

impl Drop for BenchStack {
    fn drop(&mut self) {
        // A stack that is already down answers with an error that nobody needs here.
        let _ = self.run(&["down", "--volumes"]);
    }
}
