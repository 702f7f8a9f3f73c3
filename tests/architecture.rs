//! Holds the direction of the dependencies: who may know whom, who may print.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below a folder of the repository, or a single file.
fn rust_files(place: &str) -> Vec<PathBuf> {
    fn collect(path: &Path, files: &mut Vec<PathBuf>) {
        if path.is_dir() {
            for entry in fs::read_dir(path).expect("a folder").flatten() {
                collect(&entry.path(), files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path.to_owned());
        }
    }
    let mut files = Vec::new();
    collect(&root().join(place), &mut files);
    files
}

/// The text of a file without comments: who is named there is not used.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a file");
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Fails with every place in which a word appears that must not.
fn assert_absent(places: &[&str], words: &[&str], except: &[&str]) {
    let mut found = Vec::new();
    for place in places {
        let files = rust_files(place);
        assert!(!files.is_empty(), "nothing in `{place}`");
        for file in files {
            let name = file
                .strip_prefix(root())
                .expect("in the repository")
                .display()
                .to_string();
            if except.iter().any(|exception| name.starts_with(exception)) {
                continue;
            }
            let code = code(&file);
            found.extend(
                words
                    .iter()
                    .filter(|word| code.contains(**word))
                    .map(|word| format!("{name}: {word}")),
            );
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn what_is_pure_stays_pure() {
    assert_absent(
        &[
            "src/plan",
            "src/stack",
            "src/cli",
            "src/events",
            "src/error.rs",
            "src/exit_code.rs",
        ],
        &[
            "tokio",
            "rdkafka",
            "reqwest",
            "bollard",
            "std::fs",
            "std::net::Tcp",
            "std::process::Command",
        ],
        &[],
    );
}

#[test]
fn a_plan_knows_no_engine() {
    assert_absent(
        &["src/plan", "src/stack", "src/events"],
        &[
            "crate::engine",
            "crate::execute",
            "crate::health",
            "crate::report",
            "crate::commands",
        ],
        &[],
    );
}

#[test]
fn engines_do_not_decide() {
    assert_absent(
        &["src/engine"],
        &[
            "crate::execute",
            "crate::health",
            "crate::commands",
            "crate::doctor",
            "crate::ports",
            "crate::scenario",
        ],
        &[],
    );
}

#[test]
fn only_the_docker_engine_names_bollard() {
    assert_absent(
        &["src", "platform", "hosts"],
        &["bollard"],
        &["src/engine/docker"],
    );
}

/// A test waits for a condition with a deadline: `eventually` is the one place that pauses between two looks.
#[test]
fn tests_do_not_sleep() {
    assert_absent(
        &["tests"],
        &["thread::sleep(", "time::sleep("],
        &["tests/support/mod.rs", "tests/architecture.rs"],
    );
}

#[test]
fn nobody_depends_on_the_verbs() {
    assert_absent(&["src"], &["crate::commands"], &["src/commands", "src/lib.rs"]);
}

#[test]
fn only_the_reporter_prints() {
    assert_absent(
        &["src"],
        &[
            "println!",
            "eprintln!",
            "print!(",
            "io::stdout()",
            "io::stderr()",
            "stdout().lock",
            "stderr().lock",
        ],
        &["src/report"],
    );
}

#[test]
fn signals_are_read_in_one_place() {
    // The first process of a host also has to know when its children end.
    assert_absent(
        &["src"],
        &["signal::unix"],
        &["src/shutdown.rs", "src/engine/native/host_init.rs"],
    );
}

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
fn a_platform_service_does_not_know_the_others() {
    let services: Vec<String> = manifests("platform")
        .iter()
        .map(|manifest| name_of(manifest))
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
        "kafka-protocol",
        "axum",
    ] {
        assert!(!names.contains(&name.to_owned()), "the CLI depends on `{name}`");
    }
}
