//! Images of registries, through the real binary and a real Docker engine, from a registry with the faults that real
//! ones have.

#[path = "support/docker.rs"]
mod docker_support;
#[path = "support/fake_registry.rs"]
mod fake_registry;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use docker_support::{docker, engine_answers};
use fake_registry::{FakeRegistry, Fault, base64};
use rustix::process::Signal;
use serde_json::Value;
use support::{World, eventually, signal};

/// Far more than any step takes.
const LIMIT: Duration = Duration::from_secs(30);

static COUNTER: AtomicUsize = AtomicUsize::new(0);

/// A registry, and a stack file that takes its one image.
struct Pulling {
    world: World,
    registry: FakeRegistry,
    /// The image as the stack file names it.
    image: String,
}

impl Pulling {
    /// Nothing where no engine answers.
    fn new(fault: Fault) -> Option<Self> {
        if !engine_answers() {
            return None;
        }
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("osqdemo-test/pull-{}-{number}", std::process::id());
        let registry = FakeRegistry::start(&name, &architecture(), fault);
        let image = format!("{}/{name}:1", registry.address);
        let pulling = Self {
            world: World::new(),
            registry,
            image,
        };
        pulling.write_stack();
        Some(pulling)
    }

    fn write_stack(&self) {
        let text = format!(
            "services:\n  one:\n    image: {}\n    stop_grace_period: 1s\n    x-osqdemo: {{role: service, probe: kafka, \
             deadline: 1s, memory: 1M}}\n",
            self.image
        );
        fs::write(self.stack_file(), text).expect("a file");
    }

    fn stack_file(&self) -> PathBuf {
        self.world.home().join("stack.yaml")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(&["images", "--stack-file"]);
        command
            .arg(self.stack_file())
            .args(arguments)
            // Credentials of the machine have no part in this.
            .env("DOCKER_CONFIG", self.world.home())
            .env("DOCKER_HOST", "unix:///var/run/docker.sock");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it runs")
    }

    fn succeed(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "{arguments:?}: {stdout}\n{stderr}");
        (stdout, stderr)
    }

    /// Runs the binary, which must fail as a pull; returns standard error.
    fn fail(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (stdout, stderr) = texts(&output);
        assert_eq!(
            output.status.code(),
            Some(11),
            "{arguments:?}: {stdout}\n{stderr}"
        );
        stderr
    }

    /// The one image in `list`.
    fn listed(&self, field: &str) -> Value {
        let mut arguments = vec!["--json"];
        arguments.push("list");
        let document: Value = serde_json::from_str(&self.succeed(&arguments).0).expect("a document");
        document["images"][0][field].clone()
    }
}

impl Drop for Pulling {
    fn drop(&mut self) {
        // It may not be there.
        let _ = Command::new("docker").args(["rmi", "-f", &self.image]).output();
    }
}

fn texts(output: &Output) -> (String, String) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

fn architecture() -> String {
    docker(&["version", "--format", "{{.Server.Arch}}"]).concat()
}

#[test]
fn what_is_there_is_not_asked_for_again() {
    let Some(pulling) = Pulling::new(Fault::None) else {
        return;
    };
    assert_eq!(pulling.listed("state"), "missing");
    let stderr = pulling.fail(&["pull", "--pull", "never"]);
    assert!(stderr.contains("`--pull never` forbids to pull it"), "{stderr}");
    assert_eq!(pulling.registry.asked(), 0);

    let (stdout, stderr) = pulling.succeed(&["-v", "pull"]);
    assert_eq!(stdout, format!("{}\n", pulling.image));
    assert!(stderr.contains("pull complete"), "each layer is told: {stderr}");
    assert!(stderr.contains(&format!("{}: pulled", pulling.image)), "{stderr}");
    assert_eq!(pulling.listed("state"), "present");
    assert_eq!(
        pulling.listed("digests"),
        serde_json::json!([pulling.registry.digest])
    );

    let asked = pulling.registry.asked();
    for policy in ["missing", "never"] {
        let (_, stderr) = pulling.succeed(&["pull", "--pull", policy]);
        assert!(stderr.contains("on this machine"), "{stderr}");
    }
    assert_eq!(pulling.registry.asked(), asked, "no registry is asked");
    pulling.succeed(&["pull", "--pull", "always"]);
    assert!(pulling.registry.asked() > asked);
}

#[test]
fn rate_limits_and_faults_that_pass_are_waited_for() {
    for (fault, reason) in [
        (
            Fault::RateLimited(2),
            "the registry limits how often it may be asked",
        ),
        (Fault::Unavailable(2), "the registry or the way to it had a fault"),
    ] {
        let Some(pulling) = Pulling::new(fault) else {
            return;
        };
        let (_, stderr) = pulling.succeed(&["--json", "pull"]);
        assert_eq!(stderr.matches(reason).count(), 2, "{stderr}");
        assert!(stderr.contains("trying again in"), "{stderr}");
    }
}

#[test]
fn a_rate_limit_that_stays_ends_in_words_and_a_hint() {
    let Some(pulling) = Pulling::new(Fault::RateLimited(u32::MAX)) else {
        return;
    };
    let stderr = pulling.fail(&["pull"]);
    assert!(
        stderr.contains("in 5 attempts: the registry limits how often it may be asked"),
        "{stderr}"
    );
    let hint = format!(
        "hint: `docker login {}` raises the limit",
        pulling.registry.address
    );
    assert!(stderr.contains(&hint), "{stderr}");
}

#[test]
fn what_will_not_change_is_asked_for_once() {
    let Some(pulling) = Pulling::new(Fault::NotFound) else {
        return;
    };
    let stderr = pulling.fail(&["pull"]);
    assert!(stderr.contains("the registry has no such image"), "{stderr}");
    // Docker itself looks ahead, then asks.
    assert!(
        pulling.registry.asked() <= 2,
        "{} requests",
        pulling.registry.asked()
    );
}

#[test]
fn a_missing_platform_is_told_in_plain_words() {
    let Some(pulling) = Pulling::new(Fault::OtherPlatforms) else {
        return;
    };
    let stderr = pulling.fail(&["pull"]);
    assert!(
        stderr.contains("it is not published for this machine's architecture"),
        "{stderr}"
    );
    let platform = format!("there is no such image for linux/{}", architecture());
    assert!(stderr.contains(&platform), "{stderr}");

    let Some(pulling) = Pulling::new(Fault::ForeignImage) else {
        return;
    };
    let stderr = pulling.fail(&["pull"]);
    assert!(
        stderr.contains("is for linux/s390x, and this Docker engine runs linux/"),
        "{stderr}"
    );
}

#[test]
fn an_error_in_the_middle_of_a_good_answer_is_one() {
    let Some(pulling) = Pulling::new(Fault::WrongLayer) else {
        return;
    };
    let stderr = pulling.fail(&["pull"]);
    assert!(
        stderr.contains("what the registry sent is not what its digest says"),
        "{stderr}"
    );
    assert_eq!(pulling.listed("state"), "missing");
}

#[test]
fn a_registry_that_hangs_is_given_up() {
    let Some(pulling) = Pulling::new(Fault::Hangs) else {
        return;
    };
    let stderr = pulling.fail(&["pull", "--pull-silence", "1s"]);
    let silent = format!("`{}` was silent for 1.0 s", pulling.registry.address);
    assert!(stderr.contains(&silent), "{stderr}");
}

#[test]
fn an_interrupt_ends_a_pull() {
    let Some(pulling) = Pulling::new(Fault::Hangs) else {
        return;
    };
    let mut child = pulling
        .command(&["pull"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    eventually("the registry is asked", LIMIT, || pulling.registry.asked() > 0);
    signal(child.id(), Signal::INT);
    let mut ended = None;
    eventually("it ends", LIMIT, || {
        ended = child.try_wait().expect("a child");
        ended.is_some()
    });
    assert_eq!(ended.and_then(|status| status.code()), Some(130));
}

#[test]
fn the_lock_file_holds_what_the_daemon_reports_and_is_held_to() {
    let Some(pulling) = Pulling::new(Fault::None) else {
        return;
    };
    let lock_file = pulling.world.home().join("images.lock");
    let stderr = pulling.fail(&["lock"]);
    assert!(stderr.contains("is not on this machine"), "{stderr}");
    assert!(!lock_file.exists(), "nothing is invented");
    pulling.succeed(&["pull"]);
    pulling.succeed(&["lock"]);
    let lock = fs::read_to_string(&lock_file).expect("the lock file");
    assert!(lock.contains(&pulling.registry.digest), "{lock}");
    assert_eq!(pulling.listed("lock"), "matches");
    // By its digest now.
    pulling.succeed(&["pull", "--pull", "always"]);

    let wrong = format!("sha256:{}", "0".repeat(64));
    let id = pulling.listed("id").as_str().expect("an id").to_owned();
    let text = lock
        .replace(&pulling.registry.digest, &wrong)
        .replace(&id, &wrong);
    fs::write(&lock_file, text).expect("a file");
    assert_eq!(pulling.listed("lock"), "differs");
    let stderr = pulling.fail(&["pull", "--pull", "never"]);
    assert!(stderr.contains("is not the one of the lock file"), "{stderr}");
    assert!(stderr.contains(&wrong), "{stderr}");
    let stderr = pulling.fail(&["pull"]);
    assert!(stderr.contains("the registry has no such image"), "{stderr}");
}

#[test]
fn a_mirror_stands_in_for_the_registry_of_the_name() {
    let Some(mut pulling) = Pulling::new(Fault::None) else {
        return;
    };
    let mirrored = pulling.image.clone();
    let registry = pulling.registry.address.clone();
    pulling.image = mirrored.replace(&format!("{registry}/"), "");
    pulling.write_stack();
    pulling.succeed(&["pull", "--registry", &registry]);
    assert_eq!(pulling.listed("state"), "present");
    pulling.succeed(&["lock"]);
    pulling.succeed(&["pull", "--pull", "never"]);
    docker(&["rmi", "-f", &mirrored]);
}

#[test]
fn dockers_credentials_and_helpers_are_honoured() {
    let Some(pulling) = Pulling::new(Fault::Wants("jay", "hush-hush")) else {
        return;
    };
    let stderr = pulling.fail(&["pull"]);
    assert!(
        stderr.contains("the registry does not let us pull it"),
        "{stderr}"
    );
    let hint = format!("`docker login {}`", pulling.registry.address);
    assert!(stderr.contains(&hint), "{stderr}");

    let config = pulling.world.home().join("config.json");
    let auth = base64("jay:hush-hush");
    let registry = &pulling.registry.address;
    fs::write(
        &config,
        format!(r#"{{"auths": {{"{registry}": {{"auth": "{auth}"}}}}}}"#),
    )
    .expect("a file");
    let (stdout, stderr) = pulling.succeed(&["-vv", "pull"]);
    assert!(!format!("{stdout}{stderr}").contains("hush-hush"), "{stderr}");

    docker(&["rmi", "-f", &pulling.image]);
    write_program(
        &pulling.world.home().join("docker-credential-osqdemo-test"),
        "#!/bin/sh\ncat >/dev/null\necho '{\"Username\": \"jay\", \"Secret\": \"hush-hush\"}'\n",
    );
    fs::write(&config, r#"{"credsStore": "osqdemo-test"}"#).expect("a file");
    let path = format!(
        "{}:{}",
        pulling.world.home().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let output = pulling
        .command(&["pull"])
        .env("PATH", path)
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", texts(&output).1);
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
}

#[test]
fn images_travel_in_a_file() {
    let Some(pulling) = Pulling::new(Fault::None) else {
        return;
    };
    let file = pulling.world.home().join("images.tar").display().to_string();
    let stderr = pulling.fail(&["save", &file]);
    assert!(stderr.contains("is not on this machine"), "{stderr}");
    pulling.succeed(&["pull"]);
    pulling.succeed(&["lock"]);
    pulling.succeed(&["save", &file]);
    docker(&["rmi", "-f", &pulling.image]);
    assert_eq!(pulling.listed("state"), "missing");
    let (stdout, _) = pulling.succeed(&["load", &file]);
    assert_eq!(stdout, format!("{}\n", pulling.image));
    let asked = pulling.registry.asked();
    // The registry's digest is lost on the way; its id says that it is the locked one.
    pulling.succeed(&["pull", "--pull", "never"]);
    assert_eq!(pulling.listed("lock"), "matches");
    assert_eq!(pulling.registry.asked(), asked);

    let stderr = pulling.fail(&["load", "/nonexistent/images.tar"]);
    assert!(
        stderr.contains("failed to read `/nonexistent/images.tar`"),
        "{stderr}"
    );
    fs::write(&file, "this is no archive").expect("a file");
    let stderr = pulling.fail(&["load", &file]);
    assert!(stderr.contains(&format!("failed to load `{file}`")), "{stderr}");
}

#[test]
fn arguments_that_cannot_be_are_usage_errors() {
    let world = World::new();
    for (arguments, message) in [
        (
            ["up", "--pull", "sometimes"],
            "`sometimes` is not one of `never`, `missing`, `always`",
        ),
        (
            ["up", "--registry", "https://x"],
            "`https://x` is not a registry, such as `mirror.example.org` or `127.0.0.1:5000/proxy`",
        ),
        (
            ["up", "--stack", "cloudy"],
            "stack `cloudy` is not available in this version",
        ),
        (
            ["up", "--stack-file", "/nonexistent.yaml"],
            "failed to read the stack file `/nonexistent.yaml`",
        ),
    ] {
        let output = world.output(&arguments);
        let (_, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(message), "{stderr}");
    }
    let output = world.output(&["up", "--stack", "confluent", "--engine", "native"]);
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("stack `confluent` runs in containers only, not on engine `native`"),
        "{stderr}"
    );
}
