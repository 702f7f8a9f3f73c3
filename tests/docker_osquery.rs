//! osquery's package in the hosts' image: from its signed repository, checked, and what happens where it cannot be
//! had or is not what it must be. The repository is one of the tests' own.

#[path = "support/apt_repository.rs"]
mod apt_repository;
#[path = "support/docker.rs"]
mod docker_support;
mod support;

use std::fs;
use std::process::{Command, Output};

use apt_repository::{AptRepository, VERSION};
use docker_support::{DockerStack, docker, image_tag};
use support::{InTime, two_free_ports};

/// Free ports, so that a stack that runs on this machine is not in the way.
const UP: [&str; 11] = [
    "up",
    "--engine",
    "docker",
    "--port",
    "broker=0",
    "--port",
    "ksqldb-server=0",
    "--port",
    "console=0",
    "--port",
    "schema-registry=0",
];

/// A stack whose images have a tag of their own, so that the hosts' image is never there before.
struct OsqueryStack {
    stack: DockerStack,
    tag: String,
}

impl OsqueryStack {
    fn new(name: &str) -> Option<Self> {
        let tag = format!("{}-{name}", image_tag());
        let stack = Self {
            stack: DockerStack::new()?,
            tag,
        };
        stack.remove_images();
        Some(stack)
    }

    fn command(&self, repository: &AptRepository, arguments: &[&str]) -> Command {
        let mut command = self.stack.command(arguments);
        command
            .env("OSQDEMO_IMAGE_TAG", &self.tag)
            .env("OSQDEMO_OSQUERY_REPOSITORY", &repository.url)
            .env("OSQDEMO_OSQUERY_KEY", &repository.fingerprint);
        command
    }

    /// Runs the binary; returns its exit code and what it wrote to standard error.
    fn run(&self, repository: &AptRepository, arguments: &[&str]) -> (Option<i32>, String) {
        shown(&self.command(repository, arguments).in_time())
    }

    fn up(&self, repository: &AptRepository, more: &[&str]) -> String {
        let (code, stderr) = self.run(repository, &[&UP[..], more].concat());
        assert_eq!(code, Some(0), "{stderr}");
        stderr
    }

    /// The image that host1 runs, and the osqueryd in it.
    fn host1(&self) -> (String, String) {
        let container = self.stack.container("host1");
        let image = docker(&["inspect", "--format", "{{.Config.Image}}", &container]).concat();
        let osqueryd = docker(&["exec", &container, "sh", "-c", "command -v osqueryd"]).concat();
        (image.replace(&self.tag, "TAG"), osqueryd)
    }

    fn remove_images(&self) {
        for name in ["host", "host-agent", "platform"] {
            let image = format!("osqdemo/{name}:{}", self.tag);
            // It may not be there.
            let _ = Command::new("docker").args(["rmi", "--force", &image]).output();
        }
        // What the engine keeps of the stage that fetches.
        let stage = "label=io.osqdemo.stage=package";
        docker(&["image", "prune", "--force", "--filter", stage]);
    }
}

impl Drop for OsqueryStack {
    fn drop(&mut self) {
        let _ = self.stack.output(&["down", "--volumes"]);
        self.remove_images();
    }
}

fn shown(output: &Output) -> (Option<i32>, String) {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), stderr)
}

/// Fails unless the build ended as one does whose package did not come: the cause, the way out, and nothing of apt.
fn assert_not_built(result: &(Option<i32>, String), parts: &[&str]) {
    let (code, stderr) = result;
    assert_eq!(*code, Some(12), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "`{part}` is missing: {stderr}");
    }
    assert!(stderr.contains("hint: "), "{stderr}");
    assert!(!stderr.contains("Err:1"), "{stderr}");
}

#[test]
fn only_the_signed_package_is_used() {
    let Some(stack) = OsqueryStack::new("signed") else {
        return;
    };
    let build = ["build", "--osqueryd", "osquery"];
    let other = AptRepository::start("5.0.0");
    assert_not_built(
        &stack.run(&other, &build),
        &[
            "error: osquery's package 5.23.1 cannot be had: Version '5.23.1-1.linux' for 'osquery' was not found",
        ],
    );

    let repository = AptRepository::start(VERSION);
    let mut command = stack.command(&repository, &build);
    command.env("OSQDEMO_OSQUERY_KEY", &other.fingerprint);
    let is_not_signed = format!(
        "NOT TRUSTED and was not used: `{}` is not signed by osquery's key {}",
        repository.url, other.fingerprint
    );
    assert_not_built(&shown(&command.in_time()), &[&is_not_signed]);

    // As a file, by its checksum.
    let with = |sha256: &str| stack.run(&repository, &[&build[..], &["--osquery-sha256", sha256]].concat());
    let (zeros, actual) = ("0".repeat(64), repository.package_sha256());
    let is_other = format!("the checksum of the package is {actual}, not {zeros}");
    assert_not_built(&with(&zeros), &["NOT TRUSTED", &is_other]);
    let (code, stderr) = with(&actual);
    assert_eq!(code, Some(0), "{stderr}");

    repository.tamper();
    assert_not_built(
        &stack.run(&repository, &[&build[..], &["--force"]].concat()),
        &[
            "NOT TRUSTED",
            "does not have the signed checksum: ",
            "Hash Sum mismatch",
        ],
    );
    let (code, stderr) = stack.run(&repository, &["build", "--osqueryd", "auto", "--force"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains("warning: the hosts run the built-in agent: osquery's package 5.23.1 is NOT TRUSTED"),
        "{stderr}"
    );
}

#[test]
fn the_agent_stands_in_until_osquery_is_asked_for_again() {
    let Some(stack) = OsqueryStack::new("auto") else {
        return;
    };
    let nobody = AptRepository::start(VERSION).url.clone();
    let repository = AptRepository::start(VERSION);
    let (broker, ksqldb) = two_free_ports();
    let file = stack.stack.world.stack_file(broker, ksqldb);
    let up = ["up", "--engine", "docker", "--stack-file", &file];
    let mut command = stack.command(&repository, &up);
    command.env("OSQDEMO_OSQUERY_REPOSITORY", nobody);
    let (code, stderr) = shown(&command.in_time());
    assert_eq!(code, Some(0), "{stderr}");
    // That the hosts run something else changes no port.
    assert_eq!(
        stack.stack.service("broker", "address"),
        format!("127.0.0.1:{broker}")
    );
    let warnings: Vec<&str> = stderr
        .lines()
        .filter(|line| line.contains("osquery's package"))
        .collect();
    assert_eq!(warnings.len(), 1, "{stderr}");
    assert!(
        warnings[0].starts_with(
            "warning: the hosts run the built-in agent: osquery's package 5.23.1 cannot be had: "
        ) && warnings[0].contains("Connection refused"),
        "{stderr}"
    );
    assert_eq!(
        stack.host1(),
        (
            "osqdemo/host-agent:TAG".to_owned(),
            "/usr/bin/osqueryd".to_owned()
        )
    );

    // It could be had by now, and nobody asks.
    let stderr = stack.up(&repository, &[]);
    assert!(
        stderr.contains("nothing to do: 6 services are healthy"),
        "{stderr}"
    );
    assert_eq!(repository.requests(), 0);
    // Nor where the settings file says what it said before; what was typed asks for it again.
    let settings = tempfile::NamedTempFile::new().expect("a file");
    fs::write(settings.path(), "osqueryd = \"auto\"\n").expect("a file");
    let stderr = stack.up(
        &repository,
        &["--config", settings.path().to_str().expect("a path")],
    );
    assert!(
        stderr.contains("nothing to do: 6 services are healthy"),
        "{stderr}"
    );
    assert_eq!(repository.requests(), 0);

    let stderr = stack.up(&repository, &["--osqueryd", "auto"]);
    assert!(stderr.contains("the hosts run osquery (5.23.1)"), "{stderr}");
    assert!(stderr.contains("up: 6 services are healthy"), "{stderr}");
    let osquery = (
        "osqdemo/host:TAG".to_owned(),
        "/opt/osquery/bin/osqueryd".to_owned(),
    );
    assert_eq!(stack.host1(), osquery);

    // The image is there: nothing is asked of the repository any more.
    let asked = repository.requests();
    assert!(asked > 0);
    for more in [&[][..], &["--osqueryd", "auto"], &["--osqueryd", "osquery"]] {
        let stderr = stack.up(&repository, more);
        assert!(
            stderr.contains("nothing to do: 6 services are healthy"),
            "{stderr}"
        );
    }
    assert_eq!(repository.requests(), asked);
    assert_eq!(stack.host1(), osquery);

    // Packs by name are those of the osquery in the image.
    let plan = |pack| {
        let mut command = stack.command(&repository, &["up", "--dry-run", "--pack", pack]);
        let output = command.in_time();
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            shown(&output),
        )
    };
    let (steps, ended) = plan("of-the-package");
    assert_eq!(ended.0, Some(0), "{}", ended.1);
    assert!(steps.contains("the host configuration changed"), "{steps}");
    let (_, (code, stderr)) = plan("of-the-pakage");
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("of-the-package"), "{stderr}");
    let format = "{{.ID}}";
    let image = format!("ancestor=osqdemo/host:{}", stack.tag);
    let left = docker(&[
        "ps",
        "--all",
        "--format",
        format,
        "--filter",
        &image,
        "--filter",
        "status=created",
    ]);
    assert!(left.is_empty(), "what they were read from is gone: {left:?}");
}
