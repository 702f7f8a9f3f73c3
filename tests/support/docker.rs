//! What the tests of the Docker engine share: a project with a name and ports of its own on the real engine, and
//! proof that it leaves nothing behind.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::{InTime, World, eventually};

/// Containers are made one stack at a time: two of them would only wait for each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

static COUNTER: AtomicUsize = AtomicUsize::new(0);

/// Whether an engine answers. Without one the test is skipped, loudly; where CI promises one, it fails.
pub(crate) fn engine_answers() -> bool {
    let answers = Command::new("docker")
        .args(["version", "--format", "{{.Server.Version}}"])
        .output()
        .is_ok_and(|output| output.status.success());
    is_there(answers, "Docker engine")
}

/// Says loudly that a test is skipped for want of something; fails where CI promises it.
pub(crate) fn is_there(is_there: bool, what: &str) -> bool {
    if !is_there {
        assert!(
            env::var("CI").as_deref() != Ok("true"),
            "there is no {what}, and CI must have one"
        );
        // Past the test harness, which hides what a passing test prints.
        let _ = writeln!(
            std::io::stderr(),
            "\n*** SKIPPED: there is no {what}; {:?} did not run ***",
            thread::current().name().unwrap_or_default()
        );
    }
    is_there
}

/// Runs the `docker` command, which must succeed; returns its output's lines.
pub(crate) fn docker(arguments: &[&str]) -> Vec<String> {
    let output = Command::new("docker")
        .args(arguments)
        .output()
        .expect("docker runs");
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(str::to_owned).collect()
}

/// Pauses a container. On a busy machine the runtime now and then gives up freezing it ("unable to freeze"), and is asked
/// again.
pub(crate) fn pause(container: &str) {
    eventually("the container is paused", Duration::from_secs(60), || {
        let paused = Command::new("docker").args(["pause", container]).output();
        let paused = paused.expect("docker runs");
        let stderr = String::from_utf8_lossy(&paused.stderr);
        let gave_up = stderr.contains("unable to freeze");
        assert!(
            paused.status.success() || gave_up,
            "docker pause {container}: {stderr}"
        );
        !gave_up
    });
}

/// Makes the images under the names that a stack pins, out of the real programs where they can be had; quick once they
/// are there.
pub(crate) fn make_real_images(stack: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/real-images.sh");
    let output = Command::new(script)
        .args([stack, env!("CARGO_BIN_EXE_osqdemo")])
        .output()
        .expect("bash runs");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The tag of the images of these tests: other builds of osqdemo that share the daemon have their own.
pub(crate) fn image_tag() -> String {
    let mut hasher = DefaultHasher::new();
    env!("CARGO_MANIFEST_DIR").hash(&mut hasher);
    format!("test-{:016x}", hasher.finish())
}

/// The images that a reference matches, as lines of this format, sorted: the engine lists them in any order.
pub(crate) fn images(format: &str, reference: &str) -> Vec<String> {
    let mut images = docker(&["images", "--no-trunc", "--format", format, reference]);
    images.sort();
    images
}

/// A project on the Docker engine, taken down at the end of the test.
pub(crate) struct DockerStack {
    /// Where its state is.
    pub(crate) world: World,
    /// Its name: no other test has it.
    pub(crate) project: String,
    _turn: MutexGuard<'static, ()>,
}

impl DockerStack {
    /// A project that is not up yet, with its images built; nothing where no engine answers.
    pub(crate) fn new() -> Option<Self> {
        if !engine_answers() {
            return None;
        }
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let base = Command::new("docker")
            .args(["image", "inspect", "debian:bookworm-slim"])
            .output()
            .expect("docker runs");
        assert!(
            base.status.success(),
            "no base image: run scripts/base-image.sh first"
        );
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let stack = Self {
            world: World::new(),
            project: format!("osqt{}-{number}", std::process::id()),
            _turn: turn,
        };
        stack.succeed(&["build", "--osqueryd", "builtin"]);
        Some(stack)
    }

    /// A project that is up.
    pub(crate) fn up() -> Option<Self> {
        let stack = Self::new()?;
        stack.succeed(&stack.up_arguments());
        Some(stack)
    }

    /// `up` on the Docker engine with ports that are free.
    pub(crate) fn up_arguments(&self) -> [&'static str; 13] {
        [
            "up",
            "--engine",
            "docker",
            "--osqueryd",
            "builtin",
            "--port",
            "broker=0",
            "--port",
            "ksqldb-server=0",
            "--port",
            "console=0",
            "--port",
            "schema-registry=0",
        ]
    }

    /// The binary with these arguments, on this project.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(arguments);
        command
            .env("OSQDEMO_PROJECT", &self.project)
            .env("OSQDEMO_IMAGE_TAG", image_tag());
        command
    }

    /// Runs the binary.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).in_time()
    }

    /// Runs the binary, which must succeed; returns standard output and standard error.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> (String, String) {
        let output = self.output(arguments);
        let (stdout, stderr) = (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        assert!(output.status.success(), "{arguments:?}: {stdout}\n{stderr}");
        (stdout, stderr)
    }

    /// The name of a service's container.
    pub(crate) fn container(&self, service: &str) -> String {
        format!("{}-{service}-1", self.project)
    }

    /// The id of a service's container.
    pub(crate) fn id(&self, service: &str) -> String {
        docker(&["inspect", "--format", "{{.Id}}", &self.container(service)]).concat()
    }

    /// When a service's container was started last.
    pub(crate) fn started_at(&self, service: &str) -> String {
        let format = "{{.State.StartedAt}}";
        docker(&["inspect", "--format", format, &self.container(service)]).concat()
    }

    /// A field of a service in `ps`.
    pub(crate) fn service(&self, name: &str, field: &str) -> Value {
        let document: Value =
            serde_json::from_str(&self.succeed(&["--json", "ps"]).0).expect("a JSON document");
        let services = document["services"].as_array().expect("services");
        let service = services
            .iter()
            .find(|service| service["service"] == name)
            .expect("the service");
        service[field].clone()
    }

    /// What the engine has with the label of this project: containers, networks and volumes.
    pub(crate) fn labelled(&self) -> [Vec<String>; 3] {
        let filter = format!("label=io.osqdemo.project={}", self.project);
        [
            docker(&["ps", "-a", "--format", "{{.Names}}", "--filter", &filter]),
            docker(&["network", "ls", "--format", "{{.Name}}", "--filter", &filter]),
            docker(&["volume", "ls", "--format", "{{.Name}}", "--filter", &filter]),
        ]
    }

    /// Fails unless nothing of the project runs.
    pub(crate) fn assert_nothing_runs(&self) {
        let [containers, networks, _] = self.labelled();
        assert!(containers.is_empty(), "{containers:?} are left");
        assert!(networks.is_empty(), "{networks:?} are left");
    }
}

impl Drop for DockerStack {
    fn drop(&mut self) {
        let output = self.output(&["down", "--volumes"]);
        if !thread::panicking() {
            assert!(output.status.success(), "{}", self.world.shown(&output));
            assert_eq!(self.labelled(), [const { Vec::<String>::new() }; 3]);
            let folder = self.world.home().join(&self.project);
            assert!(!folder.exists(), "the project's folder is left");
        }
    }
}
