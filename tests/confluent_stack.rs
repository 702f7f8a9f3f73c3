//! Stack `confluent` through the real binary on a real Docker engine: order, environment, probes, memory, failures and
//! verbs, on a real ZooKeeper and a real broker, with ours in place of what is Confluent's alone
//! (`scripts/real-images.sh`).

#[path = "support/docker.rs"]
mod docker_support;
#[path = "support/faulty_proxy.rs"]
mod faulty_proxy;
#[path = "support/killed_broker.rs"]
mod killed_broker;
#[path = "support/registry.rs"]
mod registry;
mod support;
#[path = "support/system_calls.rs"]
mod system_calls;

use std::fs;
use std::process::Command;
use std::time::Duration;

use docker_support::{DockerStack, docker, is_there, make_real_images};
use registry::{Guard, Registry, registry_is_there};
use support::eventually;
use system_calls::{can_watch, connections_of};

const SERVICES: [&str; 7] = [
    "zookeeper",
    "broker",
    "schema-registry",
    "ksqldb-server",
    "control-center",
    "host1",
    "host2",
];

/// Far more than any step takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A project, with the images of the stack made where they are not there; nothing where no engine answers.
fn with_images() -> Option<DockerStack> {
    let stack = DockerStack::new()?;
    make_real_images("confluent");
    Some(stack)
}

/// The images of Confluent Platform, as the stack pins them; Connect's is optional.
fn pinned_images() -> Vec<&'static str> {
    include_str!("../compose/confluent.yaml")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("image: "))
        .filter(|image| image.starts_with("confluentinc/") && !image.contains("connect"))
        .collect()
}

/// Puts a stand-in into the registry, with a layer that no other image has.
fn push_variant(stack: &DockerStack, registry: &Registry, image: &str, content: &str) {
    let folder = stack.world.home().join("variant");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("content"), registry::layer(content, 1 << 20)).expect("a file");
    let file = format!("FROM {image}\nCOPY content /variant\n");
    fs::write(folder.join("Dockerfile"), file).expect("a file");
    let name = format!("{}/{image}", registry.inner);
    docker(&["build", "-q", "-t", &name, &folder.display().to_string()]);
    docker(&["push", "-q", &name]);
    docker(&["rmi", &name]);
}

fn up_arguments() -> Vec<String> {
    let mut arguments: Vec<String> = ["up", "--stack", "confluent", "--osqueryd", "builtin"]
        .map(str::to_owned)
        .to_vec();
    for service in SERVICES.iter().take(5) {
        arguments.extend(["--port".to_owned(), format!("{service}=0")]);
    }
    arguments
}

fn up(stack: &DockerStack, more: &[&str]) -> (String, String) {
    let arguments = up_arguments();
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    arguments.extend(more);
    stack.succeed(&arguments)
}

#[test]
fn control_center_can_be_left_out() {
    let Some(stack) = with_images() else { return };
    let mut arguments = up_arguments();
    arguments.truncate(arguments.len() - 2);
    let less = ["--pull", "never", "--without", "control-center"].map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().chain(&less).map(String::as_str).collect();
    let (_, stderr) = stack.succeed(&arguments);
    assert!(stderr.contains("up: 6 services are healthy"), "{stderr}");
    let names = || {
        docker(&[
            "ps",
            "--format",
            "{{.Names}}",
            "--filter",
            &format!("name={}-", stack.project),
        ])
    };
    let is_there = || names().iter().any(|name| name.contains("control-center"));
    assert!(!is_there(), "{:?}", names());
    assert_eq!(stack.service("control-center", "state"), "left_out");
    let output = stack.output(&["open", "--print"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("`control-center` is left out"), "{stderr}");
    let (images, _) = stack.succeed(&["images"]);
    assert!(!images.contains("control-center"), "{images}");
    let (plan, _) = stack.succeed(&["up", "--dry-run"]);
    assert!(!plan.contains("control-center"), "it is remembered: {plan}");

    stack.succeed(&[
        "up",
        "--without",
        "none",
        "--pull",
        "never",
        "--port",
        "control-center=0",
    ]);
    assert!(is_there(), "{:?}", names());
    let (plan, _) = stack.succeed(&["up", "--without", "control-center", "--dry-run"]);
    let stopped = "stop control-center (left out by `without`)";
    assert!(plan.contains(stopped), "{plan}");
    stack.succeed(&["up", "--without", "control-center", "--pull", "never"]);
    assert!(!is_there(), "{:?}", names());
}

#[test]
fn the_whole_cycle_leaves_nothing() {
    let Some(stack) = with_images() else { return };
    // Nothing is pulled: no registry can be asked.
    let (stdout, stderr) = up(&stack, &["--pull", "never"]);
    assert!(stdout.contains("host1, host2"), "{stdout}");
    assert!(stderr.contains("up: 7 services are healthy"), "{stderr}");
    let begins = |service: &str| {
        stderr
            .find(&format!("{service}: starting"))
            .unwrap_or_else(|| panic!("{service} is not started: {stderr}"))
    };
    let is_healthy = |service: &str| {
        stderr
            .find(&format!("{service}: healthy"))
            .unwrap_or_else(|| panic!("{service} is not healthy: {stderr}"))
    };
    for (first, then) in [
        ("zookeeper", "broker"),
        ("broker", "schema-registry"),
        ("schema-registry", "ksqldb-server"),
        ("ksqldb-server", "control-center"),
        ("broker", "host1"),
    ] {
        assert!(
            is_healthy(first) < begins(then),
            "{first} before {then}: {stderr}"
        );
    }

    let (stdout, stderr) = stack.succeed(&["scenario", "bigfile", "--size", "16M"]);
    assert!(
        stdout.contains("passed: both joins name host2"),
        "{stdout}{stderr}"
    );

    // Heaps fit into their containers, and the advertised address follows the published port.
    for (service, variable) in [
        ("broker", "KAFKA_HEAP_OPTS"),
        ("control-center", "CONTROL_CENTER_HEAP_OPTS"),
    ] {
        let container = stack.container(service);
        let environment = docker(&[
            "inspect",
            "-f",
            "{{range .Config.Env}}{{println .}}{{end}}",
            &container,
        ]);
        let heap = environment
            .iter()
            .find_map(|line| line.strip_prefix(&format!("{variable}=-Xms")))
            .and_then(|options| options.split('m').next())
            .and_then(|size| size.parse::<u64>().ok())
            .unwrap_or_else(|| panic!("no heap in {environment:?}"));
        let limit: u64 = docker(&["inspect", "-f", "{{.HostConfig.Memory}}", &container])
            .concat()
            .parse()
            .expect("a number");
        assert!(
            heap << 20 < limit && heap >= 512,
            "{service}: {heap} MiB of {limit}"
        );
    }
    let address = stack.service("broker", "address");
    let environment = docker(&[
        "inspect",
        "-f",
        "{{range .Config.Env}}{{println .}}{{end}}",
        &stack.container("broker"),
    ]);
    let advertised = format!(
        "KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://broker:29092,PLAINTEXT_HOST://{}",
        address.as_str().expect("an address")
    );
    assert!(environment.contains(&advertised), "{environment:?}");

    // The stack is remembered, and repaired where it differs.
    let (_, stderr) = stack.succeed(&["up"]);
    assert!(
        stderr.contains("nothing to do: 7 services are healthy"),
        "{stderr}"
    );
    docker(&["kill", &stack.container("schema-registry")]);
    eventually("the registry ended", LIMIT, || {
        stack.service("schema-registry", "state") != "running"
    });
    let before = stack.started_at("zookeeper");
    let (_, stderr) = stack.succeed(&["up"]);
    assert!(
        stderr.contains("schema-registry: starting (ended unexpectedly"),
        "{stderr}"
    );
    assert_eq!(stack.started_at("zookeeper"), before, "the others are left alone");
    stack.succeed(&["wait"]);

    // ZooKeeper holds the dead broker's place for a while, and the broker that is back knows no topic at first.
    killed_broker::is_stood(&stack);
    stack.succeed(&["down", "--volumes"]);
    assert_eq!(stack.labelled(), [const { Vec::<String>::new() }; 3]);
}

#[test]
fn a_service_that_cannot_start_is_reported_cause_first() {
    let Some(stack) = with_images() else { return };
    let file = stack.world.home().join("broken.yaml");
    let text = include_str!("../compose/confluent.yaml")
        // The word is not allowed, so ZooKeeper never says that it is well.
        .replace("whitelist=ruok,srvr", "whitelist=srvr");
    std::fs::write(&file, text).expect("a file");
    let file = file.display().to_string();
    let mut arguments = vec!["up", "--stack-file", &file, "--osqueryd", "builtin"];
    let ports: Vec<String> = SERVICES
        .iter()
        .take(5)
        .map(|service| format!("{service}=0"))
        .collect();
    for port in &ports {
        arguments.extend(["--port", port]);
    }
    let output = stack.output(&arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(14), "{stderr}");
    let cause = stderr
        .find("error: zookeeper cannot be healthy: `ruok`: ruok is not executed because it is not in the whitelist.")
        .unwrap_or_else(|| panic!("{stderr}"));
    let taken_back = stderr
        .find("stopping what this run started")
        .unwrap_or_else(|| panic!("{stderr}"));
    assert!(cause < taken_back, "{stderr}");
    assert!(
        stderr.contains("hint: allow both words in the stack file"),
        "{stderr}"
    );
    stack.assert_nothing_runs();
}

#[test]
fn everything_comes_from_a_registry_once() {
    let Some(stack) = with_images() else { return };
    let images = pinned_images();
    let are_ours = images.iter().all(|image| {
        let label = "{{index .Config.Labels \"io.osqdemo.stand-in\"}}";
        docker(&["image", "inspect", "-f", label, image]).concat() == "yes"
    });
    if !is_there(are_ours, "place for stand-ins: real images have their names")
        || !registry_is_there()
        || !can_watch()
    {
        return;
    }
    let broker_image = images
        .iter()
        .find(|image| image.contains("cp-server:"))
        .expect("a broker");
    let registry = Registry::start(Guard::Open);
    // Ends before the registry, which removes the images that its containers run.
    let stack = stack;
    for image in &images {
        push_variant(&stack, &registry, image, &format!("{image} of {}", stack.project));
    }
    docker(&[&["rmi", "-f"], &images[..]].concat());

    let (_, stderr) = up(&stack, &["-v", "--registry", &registry.address]);
    for image in &images {
        let begun = format!("{image}: pulling (not on this machine)");
        assert!(stderr.contains(&begun), "{image}: {stderr}");
        let layer = stderr
            .lines()
            .any(|line| line.starts_with(&format!("{image}: layer ")) && line.ends_with(": pull complete"));
        assert!(layer, "{image}: {stderr}");
    }
    assert!(stderr.contains("up: 7 services are healthy"), "{stderr}");

    // Everything is here now: no registry is asked by the daemon, and nobody but it and the services by us.
    let asked = registry.asked();
    for arguments in [
        &["up"][..],
        &["up", "--dry-run"],
        &["doctor"],
        &["images"],
        &["images", "pull"],
        &["images", "lock"],
    ] {
        let mut command = stack.command(arguments);
        command.env("OSQDEMO_REGISTRY", &registry.address);
        let (output, addresses) = connections_of(&command);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        let strangers: Vec<&String> = addresses
            .iter()
            .filter(|address| {
                let is_service = address.starts_with("127.0.0.1:") && **address != registry.address;
                let is_local = address.starts_with('/');
                !is_service && !is_local
            })
            .collect();
        assert!(strangers.is_empty(), "{arguments:?}: {strangers:?}");
    }
    assert_eq!(registry.asked(), asked);

    // What is locked stays what it is, whatever becomes of its tag.
    push_variant(&stack, &registry, broker_image, "another");
    let before = stack.started_at("broker");
    let (_, stderr) = stack.succeed(&["up", "--pull", "always", "--registry", &registry.address]);
    assert!(
        stderr.contains("nothing to do: 7 services are healthy"),
        "{stderr}"
    );
    assert_eq!(stack.started_at("broker"), before);
    stack.succeed(&["down", "--volumes"]);
}

#[test]
fn compose_accepts_the_file() {
    let output = Command::new("docker-compose")
        .args(["-f", "compose/confluent.yaml", "config", "--quiet"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let Ok(output) = output else {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "no docker-compose, and CI must have one"
        );
        return;
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
