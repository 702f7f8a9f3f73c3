//! The README's commands run as written, and its table of exit codes is the real one.

#[path = "support/docker.rs"]
mod docker_support;
mod support;

use std::env;
use std::path::Path;
use std::process::Command;

use osqdemo::exit_code::ExitCode;
use support::{InTime, NativeStack, World};

const README: &str = include_str!("../README.md");
/// What the commands about containers have in common.
const CONTAINERS: &str = "--project boxes";
const CI: &str = include_str!("../.ci/run");

/// The commands of the fenced `sh` blocks, in order.
fn commands() -> Vec<&'static str> {
    let mut inside = false;
    let mut commands = Vec::new();
    for line in README.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside => commands.push(line),
            _ => {}
        }
    }
    commands
}

#[test]
fn every_command_is_run_here_or_by_ci() {
    for command in commands()
        .iter()
        .filter(|command| !command.starts_with("osqdemo "))
    {
        // CI installs below a folder of its own, so only what comes before the folder can be compared.
        let verb = command.split_once('=').map_or(*command, |(before, _)| before);
        assert!(verb.starts_with("make "), "nothing runs `{command}`");
        assert!(CI.contains(verb), "`.ci/run` does not run `{command}`");
    }
}

#[test]
fn the_commands_of_the_native_engine_run_in_order() {
    let stack = NativeStack::new();
    let folder = tempfile::tempdir().expect("a folder");
    run(&stack.world, folder.path(), |command| {
        !command.contains(CONTAINERS)
    });
    for report in ["report.xml", "report.json"] {
        assert!(folder.path().join(report).exists(), "`{report}` was not written");
    }
}

#[test]
fn the_commands_of_the_docker_engine_run_in_order() {
    if docker_support::engine_answers() {
        let folder = tempfile::tempdir().expect("a folder");
        run(&World::new(), folder.path(), |command| {
            command.contains(CONTAINERS)
        });
    }
}

/// Runs the README's `osqdemo` commands that are chosen, each within two minutes.
fn run(world: &World, folder: &Path, is_chosen: impl Fn(&str) -> bool) {
    let binaries = Path::new(env!("CARGO_BIN_EXE_osqdemo"))
        .parent()
        .expect("a folder");
    let path = format!("{}:{}", binaries.display(), env::var("PATH").expect("a PATH"));
    let chosen = commands()
        .into_iter()
        .filter(|command| command.starts_with("osqdemo ") && is_chosen(command));
    for command in chosen {
        let output = Command::new("timeout")
            .args(["120", "sh", "-c", command])
            .current_dir(folder)
            .env("PATH", &path)
            .env("OSQDEMO_HOME", world.home())
            .env_remove("OSQDEMO_PROJECT")
            // The hosts run the built-in agent: a test fetches nothing.
            .env("OSQDEMO_OSQUERY_REPOSITORY", "http://127.0.0.1:1")
            .env_remove("OSQDEMO_CONFIG")
            .output()
            .expect("timeout and a shell");
        assert!(output.status.success(), "`{command}`: {}", world.shown(&output));
    }
}

#[test]
fn the_settings_file_is_followed() {
    let (_, after) = README.split_once("```toml\n").expect("an example");
    let (example, _) = after.split_once("```").expect("its end");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("osqdemo.toml"), example).expect("a file");
    let world = World::new();
    let output = world
        .command(&["--json", "config", "show"])
        .current_dir(folder.path())
        .in_time();
    assert!(output.status.success(), "{}", world.shown(&output));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let settings = document["settings"].as_array().expect("settings");
    let of_file: Vec<&str> = settings
        .iter()
        .filter(|setting| setting["from"] == "file")
        .filter_map(|setting| setting["setting"].as_str())
        .collect();
    assert_eq!(
        of_file,
        [
            "project",
            "engine",
            "stack",
            "without",
            "ports.broker",
            "images.registry",
            "scenario.size"
        ]
    );
}

#[test]
fn the_exit_codes_are_the_real_ones() {
    for (code, meaning) in ExitCode::DOCUMENTED {
        let row = format!("| {} | {meaning} |", *code as u8);
        assert!(README.contains(&row), "the README lacks `{row}`");
    }
}
