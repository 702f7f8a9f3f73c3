//! `osqdemo bundle` through the real binary: what is in the file, while the stack runs and when it does not, and that
//! no secret is.

#[path = "support/docker.rs"]
mod docker_support;
mod support;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use docker_support::{DockerStack, docker};
use support::{InTime, NativeStack, SERVICES};

const PLANTED: &str = "pl4nt3d-s3cr3t";

/// Unpacks a bundle and returns its folder.
fn unpacked(archive: &Path, folder: &Path) -> std::path::PathBuf {
    fs::create_dir_all(folder).expect("a folder");
    let status = Command::new("tar")
        .arg("-C")
        .arg(folder)
        .arg("-xf")
        .arg(archive)
        .status()
        .expect("tar");
    assert!(status.success());
    folder.join("osqdemo-bundle")
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("`{name}`: {error}"))
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).open(path).expect("a file");
    file.write_all(text.as_bytes()).expect("it is written");
}

#[test]
fn a_bundle_holds_what_a_report_needs_and_no_secret() {
    let stack = NativeStack::up();
    let project = stack.world.project();
    append(
        &project.join("logs/broker.log"),
        &format!(
            "sasl.jaas.config=Login required password=\"{PLANTED}\";\nfetching http://jay:{PLANTED}@registry/v2\n"
        ),
    );
    append(
        &project.join("hosts/host1/osquery/osqueryd.flags"),
        &format!("\n--tls_client_secret={PLANTED}\n"),
    );
    append(
        &project.join("hosts/host2/osquery/osquery_confluent_config.json"),
        &format!("\n{{\"sasl.password\": \"{PLANTED}\"}}\n"),
    );
    append(
        &project.join("events.jsonl"),
        &format!("{{\"event\":\"note\",\"text\":\"asking http://jay:{PLANTED}@registry\"}}\n"),
    );
    fs::write(
        stack.world.home().join("images.lock"),
        format!("{{\"schema_version\": 1, \"images\": {{}}, \"token\": \"{PLANTED}\"}}"),
    )
    .expect("a file");
    let outside = tempfile::tempdir().expect("a folder");
    let file = outside.path().join("report.tar");
    let file_text = file.display().to_string();

    let told = stack.succeed(&["bundle", "--output", &file_text]);
    assert_eq!(told.trim_end(), file_text);
    let mode = fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let bytes = fs::read(&file).expect("the file");
    assert!(!String::from_utf8_lossy(&bytes).contains(PLANTED));

    let bundle = unpacked(&file, &outside.path().join("running"));
    for service in SERVICES.into_iter().chain(["supervisor"]) {
        assert!(!read(&bundle, &format!("logs/{service}.log")).is_empty());
    }
    for (name, content) in [
        ("README.md", "| `plan.txt` |"),
        ("versions.json", "\"engine\": \"native\""),
        ("ps.json", "\"state\": \"running\""),
        ("doctor.json", "\"checks\""),
        ("plan.txt", "nothing to do"),
        ("endpoints.json", "127.0.0.1:"),
        ("topics.json", "open_files"),
        ("ksqldb/show-queries.json", "CSAS"),
        ("logs/broker.log", "http://[redacted]@registry/v2"),
        ("hosts/host1/osqueryd.flags", "--tls_client_secret=[redacted]"),
        (
            "hosts/host2/osquery_confluent_config.json",
            "{\"sasl.password\": \"[redacted]\"}",
        ),
        ("project/project.json", "\"native\""),
        ("events.jsonl", "\"note\":\"up\",\"services\":6"),
        ("events.jsonl", "http://[redacted]@registry"),
        ("images.lock", "\"token\": \"[redacted]\""),
    ] {
        let text = read(&bundle, name);
        assert!(text.contains(content), "`{name}` lacks `{content}`: {text}");
    }

    stack.succeed(&["down"]);
    stack.succeed(&["bundle", "--output", &file_text]);
    let bundle = unpacked(&file, &outside.path().join("stopped"));
    assert!(!read(&bundle, "logs/ksqldb-server.log").is_empty());
    assert!(read(&bundle, "plan.txt").contains("start broker (not running)"));
    let events = read(&bundle, "events.jsonl");
    assert!(events.contains("\"note\":\"down\""), "{events}");
    let readme = read(&bundle, "README.md");
    assert!(
        readme.contains("is not running") && !readme.contains(PLANTED),
        "{readme}"
    );
}

#[test]
fn a_bundle_of_containers_holds_what_is_in_them_and_what_is_kept_of_them() {
    let Some(stack) = DockerStack::new() else { return };
    // A secret in the environment of a container, and in what it writes.
    let text = include_str!("../compose/lite.yaml").replacen(
        "    command:\n      - serve\n",
        &format!(
            "    environment: {{BROKER_PASSWORD: {PLANTED}}}\n    \
             entrypoint: [sh, -c, 'echo fetching http://jay:{PLANTED}@registry; exec osqdemo \"$$@\"', sh]\n    \
             command:\n      - serve\n"
        ),
        1,
    );
    let stack_file = stack.world.home().join("stack.yaml");
    fs::write(&stack_file, text).expect("a file");
    let stack_file = stack_file.display().to_string();
    stack.succeed(&[&stack.up_arguments()[..], &["--stack-file", &stack_file]].concat());
    let host1 = stack.container("host1");
    let secret = format!("echo --tls_client_secret={PLANTED} >>/etc/osquery/osquery.flags");
    docker(&["exec", &host1, "sh", "-c", &secret]);
    // What has ended can be read all the same.
    docker(&["kill", &host1]);
    let lock = stack.world.home().join("mine.lock");
    fs::write(&lock, "{\"schema_version\": 1, \"images\": {}}").expect("a file");

    let outside = tempfile::tempdir().expect("a folder");
    let bundle_now = |name: &str, docker_host: Option<&str>| {
        let file = outside.path().join(name).with_extension("tar");
        let mut command = stack.command(&["bundle", "--output", &file.display().to_string()]);
        command.env("OSQDEMO_IMAGES_LOCK", &lock);
        if let Some(docker_host) = docker_host {
            command.env("DOCKER_HOST", docker_host);
        }
        let output = command.in_time();
        assert!(output.status.success(), "{}", stack.world.shown(&output));
        let bytes = fs::read(&file).expect("the file");
        assert!(!String::from_utf8_lossy(&bytes).contains(PLANTED), "{name}");
        unpacked(&file, &outside.path().join(name))
    };
    let holds = |bundle: &Path, files: &[(&str, &str)]| {
        for (name, content) in files {
            let text = read(bundle, name);
            assert!(text.contains(content), "`{name}` lacks `{content}`: {text}");
        }
    };

    let bundle = bundle_now("running", None);
    let inspection = format!("containers/{}.json", stack.container("broker"));
    holds(
        &bundle,
        &[
            ("versions.json", "\"engine\": \"docker\""),
            ("ps.json", "\"state\": \"exited\""),
            ("plan.txt", "start host1 again (ended unexpectedly"),
            ("topics.json", "processes"),
            (&inspection, "BROKER_PASSWORD=[redacted]"),
            ("logs/broker.log", "http://[redacted]@registry"),
            ("events.jsonl", "\"note\":\"up\",\"services\":6"),
            ("images.lock", "\"images\": {}"),
            ("hosts/host1/osquery.flags", "--tls_client_secret=[redacted]"),
            ("hosts/host2/osquery.flags", "--logger_plugin=confluent_logger"),
            ("hosts/host2/osquery_confluent_config.json", "schedule"),
            ("hosts/host2/extensions.load", "confluent.ext"),
        ],
    );

    stack.succeed(&["down"]);
    let what_is_kept = [
        ("events.jsonl", "\"note\":\"down\""),
        ("images.lock", "\"images\": {}"),
        ("hosts/image/osquery.flags", "--logger_plugin=confluent_logger"),
        ("project/project.json", "\"docker\""),
    ];
    let bundle = bundle_now("down", None);
    holds(&bundle, &what_is_kept);
    holds(
        &bundle,
        &[
            ("logs/broker.log", "http://[redacted]@registry"),
            ("plan.txt", "start broker (not running)"),
            ("README.md", "- `hosts/host1`: its container is not there"),
        ],
    );

    let nowhere = format!("unix://{}", outside.path().join("docker.sock").display());
    let bundle = bundle_now("away", Some(&nowhere));
    holds(&bundle, &what_is_kept);
    holds(
        &bundle,
        &[
            ("logs/broker.kept.log", "http://[redacted]@registry"),
            ("README.md", "- `plan.txt`: the Docker daemon at"),
        ],
    );
}
