//! Images of registries through the real binary, a real Docker engine and a real registry: policies, the lock file,
//! mirrors, archives, and no word to a network when everything is here.

#[path = "support/docker.rs"]
mod docker_support;
#[path = "support/faulty_proxy.rs"]
mod faulty_proxy;
#[path = "support/pulling.rs"]
mod pulling;
#[path = "support/registry.rs"]
mod registry;
mod support;
#[path = "support/system_calls.rs"]
mod system_calls;

use std::fs;

use docker_support::docker;
use faulty_proxy::Fault;
use pulling::{Pulling, architecture, texts};
use registry::layer;
use support::{InTime, World};
use system_calls::{can_watch, connections_of};

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
    assert_eq!(pulling.listed("digests"), serde_json::json!([pulling.push()]));

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
fn nobody_on_a_network_is_asked_when_everything_is_here() {
    let Some(pulling) = Pulling::new(Fault::None) else {
        return;
    };
    if !can_watch() {
        return;
    }
    pulling.succeed(&["pull"]);
    let asked = pulling.registry.asked();
    for arguments in [
        &["images"][..],
        &["images", "pull"],
        &["images", "lock"],
        &["doctor", "--engine", "docker"],
        &["up", "--engine", "docker", "--dry-run"],
    ] {
        let (output, addresses) = connections_of(&pulling.command(arguments));
        let addresses: Vec<&str> = addresses
            .iter()
            .map(String::as_str)
            // glibc asks for a cache of names, which is a local socket.
            .filter(|address| *address != "/var/run/nscd/socket")
            // The doctor reaches itself to see that loopback works; who else is there, the registry counts.
            .filter(|address| !(arguments[0] == "doctor" && address.starts_with("127.0.0.1:")))
            .collect();
        assert_eq!(
            addresses,
            ["/var/run/docker.sock"],
            "{arguments:?}: {:?}",
            texts(&output)
        );
    }
    assert_eq!(pulling.registry.asked(), asked, "the daemon asks nobody either");
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
    let digest = pulling.push();
    assert!(lock.contains(&digest), "{lock}");
    assert_eq!(pulling.listed("lock"), "matches");
    // Another lock file is in force with every form of the verb.
    let other = pulling.world.home().join("other.lock");
    for arguments in [&["images"][..], &["images", "list"]] {
        let arguments = [&["--json"], arguments].concat();
        let mut command = pulling.command(&arguments);
        let output = command.env("OSQDEMO_IMAGES_LOCK", &other).in_time();
        let (stdout, stderr) = texts(&output);
        let document: serde_json::Value = serde_json::from_str(&stdout).expect(&stderr);
        assert_eq!(document["images"][0]["lock"], "unlocked", "{arguments:?}");
    }
    // By its digest now, whatever the tag has become.
    let layers = [layer("another", 1)];
    let moved = pulling
        .registry
        .push(&pulling.name, "1", &architecture(), &layers);
    pulling.succeed(&["pull", "--pull", "always"]);
    assert_eq!(pulling.listed("digests"), serde_json::json!([digest]));
    // Somebody else pulls what the tag has become: that is not used, and put right.
    docker(&["pull", "-q", &pulling.image]);
    assert_eq!(pulling.listed("digests"), serde_json::json!([moved]));
    let stderr = pulling.fail(&["pull", "--pull", "never"]);
    assert!(
        stderr.contains(&format!("{moved} instead of {digest}")),
        "{stderr}"
    );
    pulling.succeed(&["pull"]);
    assert_eq!(pulling.listed("lock"), "matches");

    let wrong = format!("sha256:{}", "0".repeat(64));
    let id = pulling.listed("id").as_str().expect("an id").to_owned();
    let text = lock.replace(&digest, &wrong).replace(&id, &wrong);
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
    let registry = pulling.registry.address.clone();
    pulling.image = pulling.image.replace(&format!("{registry}/"), "");
    pulling.write_stack(&[&pulling.image]);
    pulling.succeed(&["pull", "--registry", &registry]);
    assert_eq!(pulling.listed("state"), "present");
    pulling.succeed(&["lock"]);
    pulling.succeed(&["pull", "--pull", "never"]);
    // The variable says the same.
    docker(&["rmi", "-f", &pulling.image]);
    let output = pulling
        .images(&["pull"])
        .env("OSQDEMO_REGISTRY", format!("{registry}/"))
        .in_time();
    assert!(output.status.success(), "{}", texts(&output).1);
    assert_eq!(pulling.listed("lock"), "matches");
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
