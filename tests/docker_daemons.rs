//! Daemons that cannot be used, one a test: what each verb says, with which exit code, and that none of them waits
//! for ever. The daemons are sockets of the test's own.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use support::{InTime, World};

/// The verbs that ask the daemon.
const VERBS: [&[&str]; 4] = [&["up", "--engine", "docker"], &["ps"], &["down"], DOCTOR];

const DOCTOR: &[&str] = &["doctor", "--engine", "docker"];

/// A project that runs on the Docker engine, as far as it remembers.
struct Surroundings {
    world: World,
}

impl Surroundings {
    fn new() -> Self {
        let world = World::new();
        fs::create_dir(world.project()).expect("a folder");
        // Ports that nobody has, so that only the daemon is wrong.
        let remembered = r#"{"engine":"docker","ports":{"broker":1,"ksqldb-server":2}}"#;
        fs::write(world.project().join("project.json"), remembered).expect("a file");
        Self { world }
    }

    fn socket(&self) -> PathBuf {
        self.world.home().join("docker.sock")
    }

    /// The binary, with nothing of the machine's own Docker in its environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(arguments);
        for name in ["DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY"] {
            command.env_remove(name);
        }
        command
            .env("HOME", self.world.home())
            .env("DOCKER_CONFIG", self.world.home().join("docker"))
            .env("DOCKER_HOST", format!("unix://{}", self.socket().display()));
        command
    }

    /// Fails unless every verb says so, ends with exit code 10, and has a hint.
    fn every_verb_says(&self, change: impl Fn(&mut Command), expected: &str) {
        for verb in VERBS {
            let mut command = self.command(verb);
            change(&mut command);
            let output = command.in_time();
            assert_says(verb, &self.world.shown(&output), expected);
        }
    }

    /// The same, of a daemon that gives everybody this answer.
    fn every_verb_says_of_answer(&self, answer: &str, expected: &str) {
        let listener = UnixListener::bind(self.socket()).expect("a socket");
        let answer = answer.to_owned();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                give(connection, &answer);
            }
        });
        self.every_verb_says(|_| {}, expected);
    }
}

/// Fails unless a verb ended with exit code 10, said so and had a hint.
fn assert_says(verb: &[&str], shown: &str, expected: &str) {
    assert!(shown.starts_with("exit code: 10\n"), "{verb:?}: {shown}");
    assert!(shown.contains(expected), "{verb:?}, wanted `{expected}`: {shown}");
    assert!(shown.contains("hint: "), "{verb:?}: {shown}");
}

/// Reads a request without a body and gives the answer.
fn give(mut connection: UnixStream, answer: &str) {
    let mut request = Vec::new();
    let mut bytes = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        match connection.read(&mut bytes) {
            Ok(count @ 1..) => request.extend_from_slice(bytes.get(..count).unwrap_or_default()),
            _ => return,
        }
    }
    // A client that is gone is no concern of the daemon.
    let _ = connection.write_all(answer.as_bytes());
}

fn http(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn there_is_none() {
    Surroundings::new().every_verb_says(|_| {}, "does not answer: there is no such socket");
}

#[test]
fn it_has_stopped() {
    let surroundings = Surroundings::new();
    drop(UnixListener::bind(surroundings.socket()).expect("a socket"));
    surroundings.every_verb_says(|_| {}, "does not answer: nobody listens there");
}

#[test]
fn it_lets_nobody_in() {
    if rustix::process::geteuid().is_root() {
        // Root is let in everywhere: another user asks.
        let surroundings = Surroundings::new();
        let home = surroundings.world.home();
        let _listener = UnixListener::bind(surroundings.socket()).expect("a socket");
        fs::set_permissions(surroundings.socket(), fs::Permissions::from_mode(0o600)).expect("a mode");
        for path in [home.to_owned(), surroundings.world.project()] {
            std::os::unix::fs::chown(&path, Some(65534), Some(65534)).expect("an owner");
        }
        // The binary may be where only root gets to.
        let binary = home.join("program");
        fs::copy(env!("CARGO_BIN_EXE_osqdemo"), &binary).expect("a copy");
        for verb in VERBS {
            let own = surroundings.command(verb);
            let mut command = Command::new(&binary);
            command.args(own.get_args());
            for (name, value) in own.get_envs() {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            let output = std::os::unix::process::CommandExt::uid(&mut command, 65534).in_time();
            let shown = surroundings.world.shown(&output);
            assert_says(verb, &shown, "permission to speak to the Docker daemon");
            assert!(shown.contains("hint: join the group of the socket"), "{shown}");
        }
    } else {
        let surroundings = Surroundings::new();
        let _listener = UnixListener::bind(surroundings.socket()).expect("a socket");
        fs::set_permissions(surroundings.socket(), fs::Permissions::from_mode(0o000)).expect("a mode");
        surroundings.every_verb_says(|_| {}, "permission to speak to the Docker daemon");
    }
}

#[test]
fn it_accepts_and_never_answers() {
    // All at once, each on a project of its own, for each has to wait.
    let of_docker = VERBS.map(|verb| (verb, Surroundings::new()));
    let on_no_engine = Surroundings::new();
    fs::remove_dir_all(on_no_engine.world.project()).expect("the folder");
    let cases = of_docker.into_iter().chain([(DOCTOR, on_no_engine)]);
    let waiting = cases.map(|(verb, surroundings)| {
        let listener = UnixListener::bind(surroundings.socket()).expect("a socket");
        let mut command = surroundings.command(verb);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        (verb, command.spawn().expect("it starts"), surroundings, listener)
    });
    let waiting: Vec<_> = waiting.collect();
    for (verb, process, surroundings, listener) in waiting {
        let output = process.wait_with_output().expect("it ends");
        let expected = "does not answer: no answer within 10 s";
        assert_says(verb, &surroundings.world.shown(&output), expected);
        // Whoever got no answer once does not ask again.
        listener.set_nonblocking(true).expect("a mode");
        assert_eq!(
            std::iter::from_fn(|| listener.accept().ok()).count(),
            1,
            "{verb:?}"
        );
    }
}

#[test]
fn it_is_only_starting() {
    let answer = http(
        "503 Service Unavailable",
        r#"{"message":"Docker Desktop is starting"}"#,
    );
    Surroundings::new().every_verb_says_of_answer(&answer, "does not answer: Docker Desktop is starting");
}

#[test]
fn it_is_too_old() {
    let answer = http("200 OK", r#"{"Version":"1.12.6","ApiVersion":"1.24"}"#);
    Surroundings::new()
        .every_verb_says_of_answer(&answer, "is too old: it speaks API 1.24, and 1.40 is needed");
}

#[test]
fn it_is_something_else() {
    let strangers = [
        (http("404 Not Found", "no such page"), "HTTP status 404"),
        (http("200 OK", "<html></html>"), "not what a daemon answers"),
        (http("200 OK", "{}"), "it names no version of the API"),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), "not a Docker daemon: "),
        (String::new(), "not a Docker daemon: "),
    ];
    for (answer, expected) in strangers {
        Surroundings::new().every_verb_says_of_answer(&answer, expected);
    }
}

#[test]
fn it_wants_tls() {
    let answer = http(
        "400 Bad Request",
        "Client sent an HTTP request to an HTTPS server.\n",
    );
    let expected = "is reached by TLS, which osqdemo does not speak";
    Surroundings::new().every_verb_says_of_answer(&answer, expected);
    let secured = |command: &mut Command| {
        command
            .env("DOCKER_HOST", "tcp://127.0.0.1:2376")
            .env("DOCKER_TLS_VERIFY", "1");
    };
    Surroundings::new().every_verb_says(secured, expected);
}

#[test]
fn it_is_elsewhere() {
    let at = |address: &'static str| {
        move |command: &mut Command| {
            command.env("DOCKER_HOST", address);
        }
    };
    let expected = "is of a kind that osqdemo does not speak to";
    Surroundings::new().every_verb_says(at("ssh://jay@build"), expected);
    Surroundings::new().every_verb_says(at("/var/run/docker.sock"), expected);
}

#[test]
fn its_context_does_not_exist() {
    let lost = |command: &mut Command| {
        command.env_remove("DOCKER_HOST").env("DOCKER_CONTEXT", "lost");
    };
    Surroundings::new().every_verb_says(
        lost,
        "the Docker context `lost` cannot be used: there is no such context",
    );
}
