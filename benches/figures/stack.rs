//! A stack of its own for a measurement: a state folder that goes away, ports that are free.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use osqdemo::stack::{Cluster, Endpoints, HttpService};
use serde_json::Value;
use tempfile::TempDir;

/// The binary under measurement.
pub(crate) const OSQDEMO: &str = env!("CARGO_BIN_EXE_osqdemo");

/// Where a stack runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// As processes.
    Native,
    /// As containers.
    Docker,
}

impl Engine {
    /// Its name on the command line, and before its figures.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Docker => "docker",
        }
    }
}

/// A project in a temporary state folder. Dropping it takes the stack down.
pub(crate) struct BenchStack {
    engine: Engine,
    home: TempDir,
}

impl BenchStack {
    /// Nothing is started yet.
    pub(crate) fn new(engine: Engine) -> Result<Self> {
        let home = tempfile::tempdir().context("failed to make a state folder")?;
        Ok(Self { engine, home })
    }

    /// Runs a verb to its end and says how long it took.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<(Output, Duration)> {
        self.run_program(Path::new(OSQDEMO), arguments)
    }

    /// The same with another build of the binary.
    pub(crate) fn run_program(&self, program: &Path, arguments: &[&str]) -> Result<(Output, Duration)> {
        let begun = Instant::now();
        let output = Command::new(program)
            .args(arguments)
            .env("OSQDEMO_HOME", self.home.path())
            .env("OSQDEMO_PROJECT", name())
            .env("OSQDEMO_IMAGE_TAG", name())
            .env_remove("OSQDEMO_ENGINE")
            .output()
            .with_context(|| format!("failed to run `{}`", program.display()))?;
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

    /// Starts the stack.
    pub(crate) fn up(&self) -> Result<Duration> {
        Ok(self.run(&self.up_arguments(&[]))?.1)
    }

    /// `up` on free ports, with the built-in agent.
    pub(crate) fn up_arguments<'a>(&self, more: &[&'a str]) -> Vec<&'a str> {
        let usual = [
            "--json",
            "up",
            "--engine",
            self.engine.name(),
            "--osqueryd",
            "builtin",
            "--port",
            "broker=0",
            "--port",
            "ksqldb-server=0",
            "--port",
            "console=0",
        ];
        usual.iter().chain(more).copied().collect()
    }

    /// Writes a host configuration that differs from any other number's in one line.
    pub(crate) fn write_host_config(&self, number: usize) -> Result<PathBuf> {
        let path = self.home.path().join("my.json");
        let (output, _) = self.run(&["host-config"])?;
        let text = String::from_utf8(output.stdout)?;
        let line = "\"description\": \"Local user accounts\"";
        let changed = text.replace(line, &format!("\"description\": \"Change {number}\""));
        if changed == text {
            bail!("the default configuration has no line `{line}` to change");
        }
        std::fs::write(&path, changed)?;
        Ok(path)
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
            kafka: Cluster::plain(address("broker")?),
            ksqldb: HttpService::open(address("ksqldb-server")?),
            registry: None,
        })
    }
}

impl Drop for BenchStack {
    fn drop(&mut self) {
        // A stack that is already down answers with an error that nobody needs here.
        let _ = self.run(&["down", "--volumes"]);
    }
}

/// The name of the project and the tag of its images: nobody else's.
pub(crate) fn name() -> String {
    format!("bench{}", std::process::id())
}
