//! Holds the direction of the dependencies: who may know whom, who may print. Tests of a module may know more than it
//! does.

mod length;
mod manifests;
mod names;

use std::fs;
use std::path::{Path, PathBuf};

use names::Names;

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
    assert!(!files.is_empty(), "nothing in `{place}`");
    files
}

/// The path of a file in the repository.
fn shown(path: &Path) -> String {
    let path = path.strip_prefix(root()).expect("in the repository");
    path.display().to_string()
}

/// The files of modules that only tests have.
fn is_of_tests(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem == "tests" || stem.ends_with("_tests") || stem == "canned_server"
}

/// The module that a file below `src` is, from the crate's root.
fn module_of(path: &Path) -> Vec<String> {
    let inside = path.strip_prefix(root()).expect("in the repository");
    let inside = inside.strip_prefix("src").unwrap_or(inside).with_extension("");
    let mut module: Vec<String> = inside
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    if module
        .last()
        .is_some_and(|name| ["mod", "lib", "main"].contains(&name.as_str()))
    {
        module.pop();
    }
    module
}

/// Whether a name is that thing or something in it.
fn is_in(name: &str, thing: &str) -> bool {
    name.strip_prefix(thing)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Fails with every file of these places that names one of these things.
fn assert_unknown(places: &[&str], things: &[&str], except: &[&str]) {
    let mut found = Vec::new();
    for file in places.iter().flat_map(|place| rust_files(place)) {
        let path = shown(&file);
        if is_of_tests(&file) || except.iter().any(|exception| path.starts_with(exception)) {
            continue;
        }
        let names = Names::of(module_of(&file), &fs::read_to_string(&file).expect("a file"));
        let known = names
            .iter()
            .filter(|name| things.iter().any(|thing| is_in(name, thing)));
        found.extend(known.map(|name| format!("{path}: {name}")));
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// Fails with every file of these places whose text, comments aside, has one of these words.
fn assert_absent(places: &[&str], words: &[&str], except: &[&str]) {
    let mut found = Vec::new();
    for file in places.iter().flat_map(|place| rust_files(place)) {
        let path = shown(&file);
        if except.iter().any(|exception| path.starts_with(exception)) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a file");
        let code: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect();
        let code = code.join("\n");
        found.extend(
            words
                .iter()
                .filter(|word| code.contains(**word))
                .map(|word| format!("{path}: {word}")),
        );
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_spelling_of_a_path_hides_it() {
    let names = |text: &str| {
        let module = ["engine".to_owned(), "docker".to_owned()];
        let names = Names::of(module.to_vec(), text);
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    for text in [
        "use crate::{error::Error, report::{self as shown, raw}};",
        "use super::super::report;",
        "mod inner { use super::super::super::report::raw; }",
        "fn f() -> crate::report::Reporter { todo() }",
        "fn f() { crate::report::duration(x) }",
        "fn f() { println!(\"{}\", crate::report::duration(x)) }",
        "use crate::report::*;",
        "impl crate::report::Shown for Docker {}",
    ] {
        let found = names(text);
        assert!(found.contains("crate::report"), "{text}: {found}");
    }
    assert_eq!(names("#[cfg(test)] mod tests { use crate::report::raw; }"), "");
    assert_eq!(names("use std::{fs, net};"), "std::fs, std::net");
    assert!(is_in("crate::report::raw", "crate::report") && !is_in("crate::reports", "crate::report"));
}

#[test]
fn what_is_pure_stays_pure() {
    assert_unknown(
        &[
            "src/plan",
            "src/stack",
            "src/cli",
            "src/events",
            "src/error.rs",
            "src/exit_code.rs",
            "src/quantity.rs",
        ],
        &[
            "tokio",
            "rdkafka",
            "reqwest",
            "bollard",
            "std::fs",
            "std::net::TcpListener",
            "std::net::TcpStream",
            "std::net::UdpSocket",
            "std::process::Command",
        ],
        &[],
    );
}

#[test]
fn a_plan_knows_no_engine() {
    assert_unknown(
        &["src/plan", "src/stack", "src/events"],
        &[
            "crate::engine",
            "crate::execute",
            "crate::health",
            "crate::report",
            "crate::commands",
            "crate::settings",
            "crate::state",
            "crate::ports",
        ],
        &[],
    );
}

#[test]
fn engines_do_not_decide() {
    assert_unknown(
        &["src/engine"],
        &[
            "crate::execute",
            "crate::health",
            "crate::commands",
            "crate::doctor",
            "crate::ports",
            "crate::scenario",
            "crate::report",
            "crate::settings",
        ],
        &[],
    );
}

#[test]
fn what_engines_use_knows_no_renderer() {
    assert_unknown(
        &[
            "src/images",
            "src/ksqldb",
            "src/kafka",
            "src/state",
            "src/host_config",
        ],
        &[
            "crate::report",
            "crate::engine",
            "crate::execute",
            "crate::health",
            "crate::scenario",
            "crate::settings",
        ],
        &[],
    );
}

/// Who does something tells it as data to whoever listens, and knows nobody who shows it.
#[test]
fn what_works_knows_no_renderer() {
    assert_unknown(
        &[
            "src/execute",
            "src/scenario",
            "src/health",
            "src/doctor",
            "src/ports",
        ],
        &[
            "crate::report",
            "crate::settings",
            "crate::commands",
            "crate::cli",
        ],
        &[],
    );
}

#[test]
fn settings_know_no_verb_and_no_renderer() {
    assert_unknown(
        &["src/settings"],
        &[
            "crate::commands",
            "crate::report",
            "crate::execute",
            "crate::health",
            "crate::doctor",
        ],
        &[],
    );
}

/// What was typed is read in one place: a verb sees settings, not texts.
#[test]
fn verbs_parse_no_option() {
    assert_unknown(
        &["src/commands", "src/lib.rs"],
        &[
            "crate::settings::parse_duration",
            "crate::settings::parse_size",
            "crate::quantity::parse_duration",
            "crate::quantity::parse_size",
        ],
        &[],
    );
    assert_absent(
        &["src/commands"],
        &["EngineKind>()", "ProgramSource::parse", "ReportTarget::parse"],
        &[],
    );
}

#[test]
fn health_is_asked_of_any_engine() {
    assert_unknown(
        &["src/health"],
        &[
            "crate::engine::fake",
            "crate::engine::native",
            "crate::engine::docker",
            "crate::execute",
        ],
        &[],
    );
}

#[test]
fn ports_know_no_engine() {
    assert_unknown(
        &["src/ports", "src/process.rs", "src/waiting.rs"],
        &[
            "crate::engine",
            "crate::execute",
            "crate::health",
            "crate::report",
        ],
        &[],
    );
}

#[test]
fn only_the_docker_engine_names_bollard() {
    assert_unknown(
        &["src", "platform", "hosts", "formats"],
        &["bollard"],
        &["src/engine/docker"],
    );
}

/// Everybody else is a client of Kafka like any other.
#[test]
fn only_a_link_looks_into_kafkas_frames() {
    assert_unknown(&["src"], &["kafka_protocol"], &["src/link/addresses.rs"]);
}

#[test]
fn a_link_knows_no_fault() {
    assert_unknown(
        &["src/link"],
        &[
            "crate::chaos",
            "crate::commands",
            "crate::engine",
            "crate::execute",
            "crate::health",
            "crate::report",
            "crate::scenario",
            "crate::settings",
        ],
        &[],
    );
}

/// How long something took is no matter of the wall clock, which may be set meanwhile.
#[test]
fn a_scenario_asks_one_clock() {
    assert_absent(
        &["src/scenario"],
        &["Timestamp::now", "SystemTime::now"],
        &["src/scenario/steady_clock.rs"],
    );
}

#[test]
fn nobody_depends_on_the_verbs() {
    assert_unknown(&["src"], &["crate::commands"], &["src/commands", "src/lib.rs"]);
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
    assert_unknown(
        &["src"],
        &["tokio::signal"],
        &["src/shutdown.rs", "src/engine/native/host_init.rs"],
    );
}
