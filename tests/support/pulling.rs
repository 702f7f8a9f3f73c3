//! A registry with an image, and a stack file that takes it: what tests of pulls begin with.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::docker_support::{docker, engine_answers};
use crate::faulty_proxy::Fault;
use crate::registry::{Guard, Registry, layer, registry_is_there};
use crate::support::InTime;
use crate::support::World;

/// Far more than any step takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// More than a configuration has and less than [`LARGE`]: bytes of a layer.
const SMALL: usize = 8 << 10;
/// Bytes of a layer that takes a while.
pub(crate) const LARGE: usize = 256 << 10;

static COUNTER: AtomicUsize = AtomicUsize::new(0);

pub(crate) struct Pulling {
    pub(crate) world: World,
    pub(crate) registry: Registry,
    /// What the registry calls the image, without a tag: no other test's image has this name.
    pub(crate) name: String,
    /// The image as the stack file names it.
    pub(crate) image: String,
    /// The image's one layer.
    pub(crate) layer: Vec<u8>,
}

impl Pulling {
    /// Nothing where there is no engine or no registry; the registry has no image yet.
    pub(crate) fn without_image(guard: Guard) -> Option<Self> {
        if !engine_answers() || !registry_is_there() {
            return None;
        }
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("osqdemo-test/pull-{}-{number}", std::process::id());
        let registry = Registry::start(guard);
        let image = format!("{}/{name}:1", registry.address);
        let pulling = Self {
            world: World::new(),
            registry,
            layer: layer(&name, SMALL),
            name,
            image,
        };
        pulling.write_stack(&[&pulling.image]);
        Some(pulling)
    }

    /// Nothing where there is no engine or no registry.
    pub(crate) fn new(fault: Fault) -> Option<Self> {
        let pulling = Self::without_image(Guard::Open)?;
        pulling.push();
        pulling.registry.set(fault);
        Some(pulling)
    }

    /// Puts the image into the registry; returns its digest.
    pub(crate) fn push(&self) -> String {
        let layers = [self.layer.clone()];
        self.registry.push(&self.name, "1", &architecture(), &layers)
    }

    /// A stack with a service for each image.
    pub(crate) fn write_stack(&self, images: &[&str]) {
        let services: String = images
            .iter()
            .enumerate()
            .map(|(number, image)| {
                format!(
                    "  service{number}:\n    image: {image}\n    stop_grace_period: 1s\n    x-osqdemo: {{role: \
                     service, probe: kafka, deadline: 1s, memory: 1M}}\n"
                )
            })
            .collect();
        fs::write(self.stack_file(), format!("services:\n{services}")).expect("a file");
    }

    pub(crate) fn stack_file(&self) -> PathBuf {
        self.world.home().join("stack.yaml")
    }

    /// The binary with a verb on the stack.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(arguments);
        command
            .arg("--stack-file")
            .arg(self.stack_file())
            // Credentials of the machine have no part in this.
            .env("DOCKER_CONFIG", self.world.home())
            .env("DOCKER_HOST", "unix:///var/run/docker.sock");
        command
    }

    /// `osqdemo images`.
    pub(crate) fn images(&self, arguments: &[&str]) -> Command {
        self.command(&[&["images"], arguments].concat())
    }

    pub(crate) fn succeed(&self, arguments: &[&str]) -> (String, String) {
        let output = self.images(arguments).in_time();
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "{arguments:?}: {stdout}\n{stderr}");
        (stdout, stderr)
    }

    /// Runs the binary, which must fail as a pull; returns standard error.
    pub(crate) fn fail(&self, arguments: &[&str]) -> String {
        let output = self.images(arguments).in_time();
        let (stdout, stderr) = texts(&output);
        assert_eq!(
            output.status.code(),
            Some(11),
            "{arguments:?}: {stdout}\n{stderr}"
        );
        stderr
    }

    /// A field of the first image in `images list`.
    pub(crate) fn listed(&self, field: &str) -> Value {
        let document: Value = serde_json::from_str(&self.succeed(&["--json", "list"]).0).expect("a document");
        document["images"][0][field].clone()
    }
}

impl Drop for Pulling {
    fn drop(&mut self) {
        // Also under a name without the registry. It may not be there.
        let _ = Command::new("docker").args(["rmi", "-f", &self.image]).output();
    }
}

pub(crate) fn texts(output: &Output) -> (String, String) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// The machine that the engine runs containers on.
pub(crate) fn architecture() -> String {
    docker(&["version", "--format", "{{.Server.Arch}}"]).concat()
}
