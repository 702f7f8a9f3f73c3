//! Who depends on whom, by the manifests.

use std::fs;

use super::root;

/// The dependencies of a crate by its manifest, those of its tests aside.
fn dependencies(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).expect("a manifest");
    let mut is_inside = false;
    let mut names = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            is_inside = line == "[dependencies]" || line == "[build-dependencies]";
        } else if let Some(name) = line
            .split(['.', ' ', '='])
            .next()
            .filter(|name| is_inside && !name.is_empty())
        {
            names.push(name.to_owned());
        }
    }
    names
}

fn manifests(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder").flatten();
    entries
        .map(|entry| format!("{folder}/{}/Cargo.toml", entry.file_name().to_string_lossy()))
        .filter(|manifest| root().join(manifest).exists())
        .collect()
}

/// The name of the crate of a manifest.
fn name_of(manifest: &str) -> String {
    let text = fs::read_to_string(root().join(manifest)).expect("a manifest");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("name = \""))
        .expect("a name");
    line.trim_end_matches('"').to_owned()
}

#[test]
fn platform_and_hosts_know_neither_the_cli_nor_each_other() {
    for (folder, other) in [("platform", "hosts"), ("hosts", "platform")] {
        let foreign: Vec<String> = manifests(other)
            .iter()
            .map(|manifest| name_of(manifest))
            .collect();
        assert!(!manifests(folder).is_empty());
        for manifest in manifests(folder) {
            let names = dependencies(&manifest);
            assert!(
                !names.contains(&"osqdemo".to_owned()),
                "{manifest} depends on the CLI"
            );
            for name in &foreign {
                assert!(
                    !names.contains(name),
                    "{manifest} depends on `{name}` of `{other}/`"
                );
            }
        }
    }
}

#[test]
fn formats_know_neither_hosts_nor_platform() {
    let foreign = ["platform", "hosts"].map(manifests).concat();
    assert!(!manifests("formats").is_empty());
    for manifest in manifests("formats") {
        let names = dependencies(&manifest);
        let known = foreign.iter().map(|manifest| name_of(manifest));
        for name in known.chain(["osqdemo".to_owned()]) {
            assert!(!names.contains(&name), "{manifest} depends on `{name}`");
        }
    }
}

#[test]
fn what_hosts_and_platform_share_knows_nobody() {
    let known = ["platform", "hosts", "formats"].map(manifests).concat();
    for shared in ["clock", "kafka-bootstrap"] {
        let names = dependencies(&format!("{shared}/Cargo.toml"));
        for name in known
            .iter()
            .map(|manifest| name_of(manifest))
            .chain(["osqdemo".to_owned()])
        {
            assert!(!names.contains(&name), "`{shared}` depends on `{name}`");
        }
    }
}

#[test]
fn a_platform_service_does_not_know_the_others() {
    // What they share is no service: it only says who may call one.
    let services: Vec<String> = manifests("platform")
        .iter()
        .map(|manifest| name_of(manifest))
        .filter(|name| name != "osqdemo-callers")
        .collect();
    for manifest in manifests("platform") {
        let names = dependencies(&manifest);
        let own = name_of(&manifest);
        for service in services.iter().filter(|service| **service != own) {
            assert!(!names.contains(service), "{manifest} depends on `{service}`");
        }
    }
}

#[test]
fn the_cli_knows_no_thrift() {
    let names = dependencies("Cargo.toml");
    for name in [
        "thrift",
        "osquery-protocol",
        "osquery-agent",
        "osquery-confluent",
        "axum",
    ] {
        assert!(!names.contains(&name.to_owned()), "the CLI depends on `{name}`");
    }
}
