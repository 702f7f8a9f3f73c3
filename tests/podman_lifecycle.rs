//! The Docker engine on podman: the real binary on a real podman that has a socket, a store and a configuration of its
//! own, so that nothing of the user's is touched.

mod support;

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use support::{InTime, World, eventually, signal};

/// Far more than any step takes, also where podman has to copy every layer.
const LIMIT: Duration = Duration::from_secs(120);

/// A podman that serves the Docker API, and a project on it.
struct Podman {
    world: World,
    store: PathBuf,
    service: Child,
}

impl Podman {
    /// Nothing where there is no podman: the test is skipped, loudly; where CI promises one, it fails.
    fn new() -> Option<Self> {
        if !succeeds(Command::new("podman").arg("--version")) {
            assert!(
                env::var("CI").as_deref() != Ok("true"),
                "podman is not installed, and CI must have it: run scripts/podman.sh first"
            );
            let text = "\n*** SKIPPED: podman is not installed; its tests did not run ***";
            // Past the test harness, which hides what a passing test prints.
            let _ = writeln!(std::io::stderr(), "{text}");
            return None;
        }
        let world = World::new();
        let store = world.home().join("podman");
        fs::create_dir(&store).expect("a folder");
        fs::write(store.join("containers.conf"), configuration()).expect("a file");
        let service = podman(&store)
            .args(["system", "service", "--time=0"])
            .arg(address(&store))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("podman starts");
        let podman = Self {
            world,
            store,
            service,
        };
        eventually("podman listens", LIMIT, || {
            podman.store.join("podman.sock").exists()
        });
        podman.take_base_image();
        Some(podman)
    }

    /// The base image, from the Docker engine that has it, else from its registry.
    fn take_base_image(&self) {
        let image = "debian:bookworm-slim";
        let archive = self.store.join("base.tar");
        let saved = succeeds(Command::new("docker").args(["save", image, "-o"]).arg(&archive));
        let mut command = podman(&self.store);
        if saved {
            command.args(["load", "-i"]).arg(&archive);
        } else {
            command.args(["pull", image]);
        }
        let output = command.output().expect("podman runs");
        assert!(output.status.success(), "{}", self.world.shown(&output));
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.world
            .command(arguments)
            .env("DOCKER_HOST", address(&self.store))
            .env("OSQDEMO_PROJECT", "podtest")
            .in_time()
    }

    /// Runs the binary, which must succeed; returns standard output and standard error.
    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let shown = self.world.shown(&output);
        assert!(output.status.success(), "{arguments:?}: {shown}");
        shown
    }

    /// Runs podman, which must succeed; returns what it wrote.
    fn podman(&self, arguments: &[&str]) -> String {
        let output = podman(&self.store).args(arguments).output().expect("podman runs");
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            self.world.shown(&output)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn state(&self, service: &str, field: &str) -> String {
        let format = format!("{{{{.State.{field}}}}}");
        self.podman(&["inspect", "--format", &format, &format!("podtest-{service}-1")])
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.output(&["down", "--volumes"]);
        signal(self.service.id(), Signal::TERM);
        let _ = self.service.wait();
        // Its files belong to users of a namespace.
        let _ = podman(&self.store).args(["system", "reset", "--force"]).output();
        if !thread::panicking() {
            eventually("podman's watchers have ended", LIMIT, || !is_watched(&self.store));
        }
    }
}

fn address(store: &Path) -> String {
    format!("unix://{}", store.join("podman.sock").display())
}

fn podman(store: &Path) -> Command {
    let mut command = Command::new("podman");
    command
        .arg("--root")
        .arg(store.join("root"))
        .arg("--runroot")
        .arg(store.join("run"))
        .env("CONTAINERS_CONF", store.join("containers.conf"));
    command
}

/// Whether a process of podman's still has to do with the store.
fn is_watched(store: &Path) -> bool {
    let store = store.display().to_string();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.into_iter().any(|process| {
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(&store)
    })
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Limits below those of any machine, for podman's own may not be set everywhere; and runc where it is there, for crun
/// refuses machines with both versions of cgroups.
fn configuration() -> String {
    let runtime = if succeeds(Command::new("runc").arg("--version")) {
        "runtime = \"runc\"\n"
    } else {
        ""
    };
    // podman's watcher of a command stays so many seconds after it.
    format!(
        "[containers]\n\
         default_ulimits = [\"nofile=4096:4096\", \"nproc=4096:4096\"]\n\
         [engine]\n\
         exit_command_delay = 3\n\
         {runtime}"
    )
}

#[test]
fn the_whole_cycle_leaves_nothing() {
    let Some(podman) = Podman::new() else { return };
    let networks = podman.podman(&["network", "ls", "--quiet"]);
    let stdout = podman.succeed(&[
        "doctor",
        "--engine",
        "docker",
        "--port",
        "broker=1",
        "--port",
        "ksqldb-server=2",
    ]);
    assert!(stdout.contains("pass  Docker daemon: podman "), "{stdout}");
    podman.succeed(&[
        "up",
        "--engine",
        "docker",
        "--osqueryd",
        "builtin",
        "--timeout",
        "120s",
        "--port",
        "broker=0",
        "--port",
        "ksqldb-server=0",
        "--port",
        "console=0",
        "--port",
        "schema-registry=0",
    ]);
    let shown = podman.succeed(&["scenario", "bigfile", "--size", "8M"]);
    assert!(shown.contains("passed: both joins name host2"), "{shown}");
    let shown = podman.succeed(&["up"]);
    assert!(shown.contains("nothing to do: 6 services are healthy"), "{shown}");

    let before = podman.state("broker", "StartedAt");
    signal(
        podman.state("broker", "Pid").parse().expect("a pid"),
        Signal::KILL,
    );
    eventually("the broker runs again", LIMIT, || {
        podman.state("broker", "Status") == "running" && podman.state("broker", "StartedAt") != before
    });
    podman.succeed(&["wait"]);
    podman.podman(&["kill", "podtest-host1-1"]);
    eventually("host1 has ended", LIMIT, || {
        podman.state("host1", "Status") == "exited"
    });
    assert_eq!(
        podman.succeed(&["up", "--dry-run"]),
        "exit code: 0\n----- stdout -----\n1. start host1 again (ended unexpectedly: killed by signal 9 (SIGKILL))\n\
         ----- stderr -----\n"
    );
    podman.succeed(&["up"]);
    let output = podman.output(&["exec", "host1", "--", "sh", "-c", "exit 7"]);
    assert_eq!(output.status.code(), Some(7), "{}", podman.world.shown(&output));

    podman.succeed(&["down", "--volumes"]);
    assert_eq!(podman.podman(&["ps", "--all", "--quiet"]), "");
    assert_eq!(podman.podman(&["volume", "ls", "--quiet"]), "");
    assert_eq!(podman.podman(&["network", "ls", "--quiet"]), networks);
}
