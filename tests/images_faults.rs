//! Pulls from a registry with the faults that real ones have, and from one that is guarded: the real binary, a real
//! Docker engine and a real registry.

#[path = "support/docker.rs"]
mod docker_support;
#[path = "support/faulty_proxy.rs"]
mod faulty_proxy;
#[path = "support/pulling.rs"]
mod pulling;
#[path = "support/registry.rs"]
mod registry;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use docker_support::docker;
use faulty_proxy::Fault;
use pulling::{LARGE, LIMIT, Pulling, architecture, texts};
use registry::{Guard, PASSWORD, USER, basic_credentials, digest, layer};
use rustix::process::Signal;
use serde_json::Value;
use support::{InTime, eventually, on_terminal, signal};

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
        assert_eq!(stderr.matches("\"news\":\"retrying\"").count(), 2, "{stderr}");
        assert_eq!(stderr.matches("\"pause_ms\":").count(), 2, "{stderr}");
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
    let Some(pulling) = Pulling::new(Fault::None) else {
        return;
    };
    let missing = pulling.image.replace(":1", ":2");
    pulling.write_stack(&[&missing]);
    let stderr = pulling.fail(&["pull"]);
    assert!(
        stderr.contains(&format!(
            "failed to pull `{missing}`: the registry has no such image"
        )),
        "{stderr}"
    );
    assert!(stderr.contains("hint: check the name and the tag"), "{stderr}");
    // Docker itself looks ahead, then asks.
    assert!(
        pulling.registry.asked() <= 2,
        "{} requests",
        pulling.registry.asked()
    );
}

#[test]
fn a_missing_platform_is_told_in_plain_words() {
    let Some(pulling) = Pulling::without_image(Guard::Open) else {
        return;
    };
    let (name, layers) = (pulling.name.clone(), [pulling.layer.clone()]);
    pulling.registry.push_list(&name, "1", "s390x", &layers);
    let stderr = pulling.fail(&["pull"]);
    assert!(
        stderr.contains("it is not published for this machine's architecture"),
        "{stderr}"
    );
    let platform = format!("there is no such image for linux/{}", architecture());
    assert!(stderr.contains(&platform), "{stderr}");
    let (status, message) = pulling.diagnosis();
    assert_eq!(status, "fail", "{message}");
    assert!(
        message.contains("its registry has it for linux/s390x, and this Docker engine runs"),
        "{message}"
    );

    // An image that is alone in the registry says only in its configuration for which machine it is.
    pulling.registry.push(&name, "1", "s390x", &layers);
    let stderr = pulling.fail(&["pull"]);
    assert!(
        stderr.contains("is for linux/s390x, and this Docker engine runs linux/"),
        "{stderr}"
    );
    let (status, message) = pulling.diagnosis();
    assert_eq!(status, "fail", "{message}");
    assert!(
        message.contains("is for linux/s390x, and this Docker engine runs"),
        "{message}"
    );
}

#[test]
fn doctor_knows_images_that_are_not_here() {
    let Some(pulling) = Pulling::new(Fault::None) else {
        return;
    };
    let (status, message) = pulling.diagnosis();
    assert_eq!(status, "pass", "{message}");
    let published = format!(
        "is not here yet; its registry has it for linux/{}",
        architecture()
    );
    assert_eq!(message, published);

    pulling.registry.set(Fault::Hangs);
    let (status, message) = pulling.diagnosis();
    assert_eq!(status, "warn", "{message}");
    assert!(
        message.contains("is not here; whether it can be pulled is not known"),
        "{message}"
    );

    pulling.registry.set(Fault::None);
    pulling.succeed(&["pull"]);
    let asked = pulling.registry.asked();
    let (status, message) = pulling.diagnosis();
    assert_eq!(status, "pass", "{message}");
    assert_eq!(message, format!("is here, for linux/{}", architecture()));
    assert_eq!(pulling.registry.asked(), asked, "no registry is asked");
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
fn a_layer_that_breaks_off_is_fetched_again() {
    for fault in [Fault::LayerCut(1), Fault::LayerUnavailable(1)] {
        let Some(pulling) = Pulling::new(fault) else {
            return;
        };
        pulling.succeed(&["pull"]);
        assert_eq!(pulling.registry.fetched(&pulling.layer), 2, "{fault:?}");
    }
}

#[test]
fn a_registry_that_hangs_is_given_up() {
    let Some(pulling) = Pulling::new(Fault::Hangs) else {
        return;
    };
    let stderr = pulling.fail(&["pull", "--pull-silence", "1s"]);
    let silent = format!("`{}` was silent for 1.0 s", pulling.registry.address);
    assert!(stderr.contains(&silent), "{stderr}");

    // In the middle of a layer, too.
    pulling.registry.set(Fault::LayerHangs(0));
    let stderr = pulling.fail(&["pull", "--pull-silence", "1s"]);
    assert!(stderr.contains(&silent), "{stderr}");
}

#[test]
fn on_a_terminal_each_layer_has_a_line() {
    let Some(pulling) = Pulling::without_image(Guard::Open) else {
        return;
    };
    let large = layer(&pulling.name, LARGE);
    let layers = [large.clone()];
    pulling
        .registry
        .push(&pulling.name, "1", &architecture(), &layers);
    pulling.registry.set(Fault::LayerHangs(0));
    // Longer than a busy daemon takes to begin with a layer.
    let pull = pulling.images(&["pull", "--pull-silence", "5s"]);
    let screen = on_terminal(&pull, 100);
    let id = digest(&large).replace("sha256:", "");
    let line = format!("    layer {} downloading", &id[..12]);
    let with_bytes = screen.split(&line).skip(1).any(|rest| {
        rest.lines()
            .next()
            .is_some_and(|rest| rest.contains(" of 257.50 KiB"))
    });
    assert!(with_bytes, "{screen}");
    assert!(screen.contains("0 of 1 layers"), "{screen}");
}

#[test]
fn a_pull_goes_on_after_an_interrupt() {
    let Some(pulling) = Pulling::new(Fault::LayerHangs(LARGE)) else {
        return;
    };
    // Another image on top of the first one.
    let large = layer("large", LARGE + 1);
    let layers = [pulling.layer.clone(), large.clone()];
    pulling
        .registry
        .push(&pulling.name, "2", &architecture(), &layers);
    let other = pulling.image.replace(":1", ":2");
    pulling.write_stack(&[&pulling.image, &other]);
    let child = pulling
        .images(&["pull"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    eventually("one image is there, and the other is not", LIMIT, || {
        pulling.listed("state") == "present" && pulling.registry.fetched(&large) > 0
    });
    signal(child.id(), Signal::INT);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(texts(&output).0, "", "nothing is told as done");

    pulling.registry.set(Fault::None);
    pulling.succeed(&["pull"]);
    docker(&["image", "inspect", &other]);
    docker(&["rmi", "-f", &other]);
    assert_eq!(
        pulling.registry.fetched(&pulling.layer),
        1,
        "what was there is not fetched again"
    );
    assert_eq!(pulling.registry.fetched(&large), 2);
}

#[test]
fn dockers_credentials_and_helpers_are_honoured() {
    let Some(pulling) = Pulling::without_image(Guard::Password) else {
        return;
    };
    pulling.push();
    let stderr = pulling.fail(&["pull"]);
    assert!(
        stderr.contains("the registry does not let us pull it"),
        "{stderr}"
    );
    let hint = format!("`docker login {}`", pulling.registry.address);
    assert!(stderr.contains(&hint), "{stderr}");

    let config = pulling.world.home().join("config.json");
    let auth = basic_credentials();
    let registry = &pulling.registry.address;
    fs::write(
        &config,
        format!(r#"{{"auths": {{"{registry}": {{"auth": "{auth}"}}}}}}"#),
    )
    .expect("a file");
    let (stdout, stderr) = pulling.succeed(&["-vv", "pull"]);
    assert!(!format!("{stdout}{stderr}").contains(PASSWORD), "{stderr}");
    // `doctor` asks with the same credentials.
    docker(&["rmi", "-f", &pulling.image]);
    let (status, message) = pulling.diagnosis();
    assert_eq!(status, "pass", "{message}");

    write_program(
        &pulling.world.home().join("docker-credential-osqdemo-test"),
        &format!(
            "#!/bin/sh\ncat >/dev/null\necho '{{\"Username\": \"{USER}\", \"Secret\": \"{PASSWORD}\"}}'\n"
        ),
    );
    fs::write(&config, r#"{"credsStore": "osqdemo-test"}"#).expect("a file");
    let path = format!(
        "{}:{}",
        pulling.world.home().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let output = pulling.images(&["pull"]).env("PATH", path).in_time();
    assert!(output.status.success(), "{}", texts(&output).1);
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
}

impl Pulling {
    /// What `doctor` says of the image: verdict and message.
    fn diagnosis(&self) -> (String, String) {
        let output = self
            .command(&["doctor", "--json", "--engine", "docker"])
            .in_time();
        let (stdout, stderr) = texts(&output);
        let document: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stderr}"));
        let checks = document["checks"].as_array().expect("checks");
        let check = checks
            .iter()
            .find(|check| {
                check["name"]
                    .as_str()
                    .is_some_and(|name| name.starts_with("image "))
            })
            .unwrap_or_else(|| panic!("{stdout}"));
        let text = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
        (text("status"), text("message"))
    }
}
