//! A configuration of one's own for the hosts, as containers: they get it, their image does not.

#[path = "support/docker.rs"]
mod docker_support;
#[path = "support/host_config.rs"]
mod host_config;
mod support;

use std::fs;

use docker_support::{DockerStack, docker, image_tag, images};
use host_config::{SECRET, write_own};
use serde_json::Value;
use support::{PLATFORM, SERVICES};

#[test]
fn hosts_monitor_what_the_user_says() {
    let Some(stack) = DockerStack::up() else { return };
    let tagged = format!("osqdemo/*:{}", image_tag());
    let images = || images("{{.ID}}", &tagged);
    let ids = || SERVICES.map(|service| stack.id(service));
    let folder = tempfile::tempdir().expect("a folder");
    let own = write_own(folder.path(), 1);
    let own = own.to_str().expect("a path");
    // A query that the hosts cannot run.
    let mut document: Value =
        serde_json::from_slice(&fs::read(own).expect("the configuration")).expect("JSON");
    document["source"]["schedule"]["unknown"] =
        serde_json::json!({ "query": "select * from no_such_table;", "interval": 1 });
    fs::write(own, document.to_string()).expect("a configuration");
    let (images_before, before) = (images(), ids());

    let (_, stderr) = stack.succeed(&["up", "--host-config", own]);
    assert!(
        stderr.contains("host1: stopping (the host configuration changed)"),
        "{stderr}"
    );
    let unknown = "`unknown`: no such table: no_such_table";
    assert_eq!(stderr.matches(unknown).count(), 1, "{stderr}");
    let looked_at = stack.succeed(&["-v", "ps"]).1;
    assert!(looked_at.contains(unknown), "{looked_at}");
    let document: Value = serde_json::from_str(&stack.succeed(&["--json", "ps"]).0).expect("JSON");
    assert_eq!(document["host_config_findings"][0]["place"], "unknown");
    let after = ids();
    assert_eq!(
        before[..PLATFORM],
        after[..PLATFORM],
        "the platform is left alone"
    );
    assert!(
        (PLATFORM..SERVICES.len()).all(|host| before[host] != after[host]),
        "both hosts are new"
    );
    assert_eq!(images(), images_before, "no image was made");
    for topic in ["uptime", "pack_people_who"] {
        stack.succeed(&["tail", topic, "--from-beginning", "-n", "1"]);
    }

    // The daemon has the secret in the hosts' files, which only root may read, and nowhere else.
    let configuration = "/etc/osquery/osquery_confluent_config.json";
    let shown = docker(&[
        "exec",
        &stack.container("host1"),
        "stat",
        "-c",
        "%a %U",
        configuration,
    ]);
    assert_eq!(shown, ["600 root"]);
    let mut seen = String::new();
    for image in &images_before {
        seen.push_str(&docker(&["history", "--no-trunc", image]).concat());
        seen.push_str(&docker(&["inspect", image]).concat());
        let in_image = docker(&["run", "--rm", "--entrypoint", "cat", image, "/etc/hostname"]);
        assert!(!in_image.is_empty(), "the image can be looked into");
        let look = format!("grep -rls {SECRET} /etc /usr /root /var 2>/dev/null | wc -l");
        let found = docker(&[
            "run",
            "--rm",
            "--user",
            "0",
            "--entrypoint",
            "sh",
            image,
            "-c",
            &look,
        ]);
        assert_eq!(found, ["0"], "{image}");
    }
    for service in SERVICES {
        seen.push_str(&docker(&["inspect", &stack.container(service)]).concat());
        seen.push_str(&docker(&["top", &stack.container(service)]).concat());
    }
    let bundle = folder.path().join("bundle.tar");
    stack.succeed(&["bundle", "-o", bundle.to_str().expect("a path")]);
    let bundle = String::from_utf8_lossy(&fs::read(&bundle).expect("a bundle")).into_owned();
    assert!(bundle.contains("select total_seconds from uptime;"));
    seen.push_str(&bundle);
    seen.push_str(&stack.succeed(&["logs"]).0);
    assert!(!seen.contains(SECRET), "a secret was shown");

    // A container that is made or started again has it, also when the file is gone.
    fs::remove_dir_all(folder.path().join("packs")).expect("the packs");
    fs::remove_file(own).expect("the file");
    assert_eq!(stack.succeed(&["up", "--dry-run"]).0, "nothing to do\n");
    docker(&["rm", "-f", &stack.container("host1")]);
    docker(&["kill", &stack.container("host2")]);
    let document: Value = serde_json::from_str(&stack.succeed(&["--json", "ps"]).0).expect("JSON");
    assert_eq!(document["host_config"], own);
    stack.succeed(&["up"]);
    for host in ["host1", "host2"] {
        let found = docker(&[
            "exec",
            &stack.container(host),
            "grep",
            "-c",
            "total_seconds",
            configuration,
        ]);
        assert_eq!(found, ["1"], "{host}");
    }

    let before = ids();
    stack.succeed(&["up", "--host-config", "default"]);
    let after = ids();
    assert_eq!(
        before[..PLATFORM],
        after[..PLATFORM],
        "the platform is left alone"
    );
    let found = docker(&[
        "exec",
        &stack.container("host1"),
        "grep",
        "-l",
        "processes",
        configuration,
    ]);
    assert_eq!(found, [configuration], "the image brings the default");
    assert_eq!(stack.succeed(&["up", "--dry-run"]).0, "nothing to do\n");
}
