//! The README's commands run as written, and its table of exit codes is the real one.

mod support;

use std::env;
use std::path::Path;
use std::process::Command;

use osqdemo::exit_code::ExitCode;
use support::{NativeStack, UP};

const README: &str = include_str!("../README.md");
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
fn the_commands_run_in_order() {
    let stack = NativeStack::new();
    // The default ports may be in use on this machine: the project remembers others.
    stack.succeed(&UP);
    stack.succeed(&["down"]);
    let folder = tempfile::tempdir().expect("a folder");
    let binaries = Path::new(env!("CARGO_BIN_EXE_osqdemo"))
        .parent()
        .expect("a folder");
    let path = format!("{}:{}", binaries.display(), env::var("PATH").expect("a PATH"));
    for command in commands()
        .iter()
        .filter(|command| command.starts_with("osqdemo "))
    {
        let output = Command::new("timeout")
            .args(["120", "sh", "-c", command])
            .current_dir(folder.path())
            .env("PATH", &path)
            .env("OSQDEMO_HOME", stack.world.home())
            .env_remove("OSQDEMO_PROJECT")
            .output()
            .expect("timeout and a shell");
        assert!(
            output.status.success(),
            "`{command}`: {}",
            stack.world.shown(&output)
        );
    }
    for report in ["report.xml", "report.json"] {
        assert!(folder.path().join(report).exists(), "`{report}` was not written");
    }
}

#[test]
fn the_exit_codes_are_the_real_ones() {
    for (code, meaning) in ExitCode::DOCUMENTED {
        let row = format!("| {} | {meaning} |", *code as u8);
        assert!(README.contains(&row), "the README lacks `{row}`");
    }
}
