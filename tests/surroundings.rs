//! What the surroundings of a user get: completions for the shell, pages for `man`, addresses for the browser.

mod support;

use std::fs;
use std::process::Command;

use insta::assert_snapshot;
use serde_json::Value;
use support::{FAKE, InTime, World};

#[test]
fn completions() {
    let world = World::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = world.output(&["completions", shell]);
        assert!(output.status.success(), "{shell}");
        let script = String::from_utf8_lossy(&output.stdout);
        assert!(
            script.contains("COMPLETE") && script.contains("osqdemo"),
            "{shell}: {script}"
        );
    }
}

/// What bash is offered for the word behind these.
fn offered(world: &World, line: &[&str]) -> Vec<String> {
    offered_to("bash", world, line)
}

fn offered_to(shell: &str, world: &World, line: &[&str]) -> Vec<String> {
    let words: Vec<&str> = ["--", "osqdemo"]
        .iter()
        .chain(line)
        .chain(&[""])
        .copied()
        .collect();
    let output = world
        .command(&words)
        .env("COMPLETE", shell)
        .env("_CLAP_COMPLETE_INDEX", (line.len() + 1).to_string())
        .env("_CLAP_IFS", "\n")
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", world.shown(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_shell_is_offered_what_there_is() {
    let world = World::new();
    let has = |line: &[&str], wanted: &[&str]| {
        let offered = offered(&world, line);
        for word in wanted {
            assert!(
                offered.iter().any(|offered| offered == word),
                "{line:?}: {word} is not in {offered:?}"
            );
        }
        offered
    };
    let verbs = has(&[], &["up", "bundle", "scenario", "projects", "top"]);
    for hidden in ["probe", "supervise", "host-init"] {
        assert!(!verbs.iter().any(|verb| verb == hidden), "{verbs:?}");
    }
    has(&["scenario"], &["bigfile", "list"]);
    has(&["up", "--engine"], &["native", "docker"]);
    has(&["up", "--stack"], &["lite", "confluent"]);
    has(&["restart"], &["broker", "ksqldb-server", "host1"]);
    has(&["logs"], &["console", "supervisor"]);
    let hosts = has(&["exec"], &["host1", "host2"]);
    assert!(!hosts.iter().any(|host| host == "broker"), "{hosts:?}");
    has(&["scenario", "bigfile", "--host"], &["host1", "host2"]);
    let optional = has(&["up", "--with"], &["connect", "prometheus"]);
    assert!(
        !optional.iter().any(|name| name == "alertmanager"),
        "{optional:?}"
    );
    has(&["fault", "set", "partition"], &["host1", "ksqldb-server"]);
    world.run(&FAKE);
    has(&["--project"], &["osqdemo"]);
    // Each shell has a way of its own to write a word with what it means.
    for shell in ["bash", "zsh", "fish"] {
        let offered = offered_to(shell, &world, &["exec"]);
        let is_host = |word: &String| word.split([':', '\t']).next() == Some("host2");
        assert!(offered.iter().any(is_host), "{shell}: {offered:?}");
    }
}

/// Where cargo puts what it builds elsewhere, `make` takes it from there.
#[test]
fn make_looks_where_cargo_builds() {
    for goal in ["install", "demo"] {
        let make = Command::new("make")
            .args(["--dry-run", goal, "PREFIX=/nowhere"])
            .env("CARGO_TARGET_DIR", "/elsewhere/target")
            .env_remove("MAKEFLAGS")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("make runs");
        let told = String::from_utf8_lossy(&make.stdout);
        assert!(
            told.contains("/elsewhere/target/release/osqdemo"),
            "{goal}: {told}"
        );
        assert!(!told.contains(" target/release"), "{goal}: {told}");
    }
}

#[test]
fn bash_asks_for_completions() {
    let world = World::new();
    let script = world.output(&["completions", "bash"]).stdout;
    let script = String::from_utf8_lossy(&script);
    let ask = format!(
        "{script}\nCOMP_WORDS=(osqdemo exec ''); COMP_CWORD=2; COMP_TYPE=9; _clap_complete_osqdemo osqdemo '' exec; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_osqdemo"))
        .parent()
        .expect("a folder");
    let path = std::env::var("PATH").expect("a path");
    let output = Command::new("bash")
        .args(["--norc", "-c", &ask])
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("OSQDEMO_HOME", world.home())
        .output()
        .expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.lines().any(|line| line.trim() == "host2"), "{text}");
}

#[test]
fn help_in_short_and_at_length() {
    let world = World::new();
    let short = world.run(&["up", "-h"]);
    let long = world.run(&["up", "--help"]);
    assert!(long.contains("Examples:\n  osqdemo up "), "{long}");
    assert!(
        !short.contains("Examples:") && short.len() < long.len(),
        "{short}"
    );
    assert!(!world.run(&["-h"]).contains("Environment:"));
}

#[test]
fn the_manual_has_a_page_for_every_verb() {
    let world = World::new();
    let folder = world.home().join("share/man1");
    let folder_text = folder.display().to_string();
    let output = world.output(&["man", &folder_text]);
    assert!(output.status.success(), "{}", world.shown(&output));
    let mut pages: Vec<String> = fs::read_dir(&folder)
        .expect("the pages")
        .flatten()
        .map(|page| page.file_name().to_string_lossy().into_owned())
        .collect();
    pages.sort();
    for page in ["osqdemo.1", "osqdemo-up.1", "osqdemo-scenario-bigfile.1"] {
        assert!(pages.iter().any(|name| name == page), "{pages:?}");
    }
    let all: String = pages
        .iter()
        .map(|page| fs::read_to_string(folder.join(page)).expect("a page"))
        .collect();
    for hidden in ["host\\-init", "supervise", "until\\-stdin\\-closes"] {
        assert!(!all.contains(hidden), "the manual tells of `{hidden}`");
    }
    for page in &pages {
        let text = fs::read_to_string(folder.join(page)).expect("a page");
        assert!(text.contains(".SH EXAMPLES\n.nf\n"), "{page}: {text}");
    }
    let first = fs::read_to_string(folder.join("osqdemo.1")).expect("a page");
    for section in [
        "EXAMPLES\n.nf\n  osqdemo up ",
        "\"EXIT STATUS\"\n.nf\n  0 ",
        "\"ENVIRONMENT\"\n.nf\n  OSQDEMO_HOME ",
    ] {
        assert!(first.contains(&format!(".SH {section}")), "{section}: {first}");
    }
    let up = fs::read_to_string(folder.join("osqdemo-up.1")).expect("a page");
    assert!(
        up.contains(".SH EXAMPLES\n.nf\n") && up.contains("osqdemo up"),
        "{up}"
    );
    assert!(all.contains("OSQDEMO_HOME") && all.contains("a service was not healthy in time"));

    let file = world.home().join("file");
    fs::write(&file, "").expect("a file");
    assert_snapshot!(world.run(&["man", &file.display().to_string()]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: failed to write the manual into `[HOME]/file`: File exists (os error 17)
    hint: choose a folder that you can write to
    ");
}

/// A program that writes what it is called with into a file.
fn browser(world: &World, name: &str, code: u8) -> String {
    let program = world.home().join(name);
    let text = format!(
        "#!/bin/sh\necho {name} \"$@\" >>'{}'\nexit {code}\n",
        world.home().join("opened").display()
    );
    fs::write(&program, text).expect("a script");
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a program");
    program.display().to_string()
}

#[test]
fn open_hands_the_address_to_a_browser() {
    let world = World::new();
    let open = |browser: Option<&str>, arguments: &[&str]| {
        let mut command = world.command(&[&["open"], arguments].concat());
        for variable in ["BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"] {
            command.env_remove(variable);
        }
        if let Some(browser) = browser {
            command.env("BROWSER", browser);
        }
        world.shown(&command.in_time())
    };
    let opened = || fs::read_to_string(world.home().join("opened")).unwrap_or_default();
    assert_snapshot!(open(None, &["ksqldb-server"]), @r"
    exit code: 16
    ----- stdout -----
    ----- stderr -----
    error: ksqldb-server is not running
    hint: start it with `osqdemo up`
    ");
    world.run(&FAKE);
    let document: Value =
        serde_json::from_slice(&world.output(&["--json", "ps"]).stdout).expect("a JSON document");
    let address = document["services"][2]["address"].as_str().expect("an address");

    // Without a display it is only printed.
    assert_snapshot!(open(None, &["ksqldb-server"]), @r"
    exit code: 0
    ----- stdout -----
    http://127.0.0.1:[PORT]/
    ----- stderr -----
    ");
    let good = browser(&world, "good", 0);
    open(Some(&good), &["--print", "ksqldb-server"]);
    assert_eq!(opened(), "");
    assert_snapshot!(open(Some(&good), &["ksqldb-server"]), @r"
    exit code: 0
    ----- stdout -----
    http://127.0.0.1:[PORT]/
    ----- stderr -----
    ");
    assert_eq!(opened(), format!("good {address}/\n"));
    fs::remove_file(world.home().join("opened")).expect("it was there");

    // The first that takes it; `%s` is where the address goes.
    let bad = browser(&world, "bad", 4);
    open(
        Some(&format!("/no/such/browser:{bad}:{good} --new %s --tab")),
        &["ksqldb-server"],
    );
    assert_eq!(opened(), format!("bad {address}/\ngood --new {address}/ --tab\n"));
    assert_snapshot!(open(Some(&bad), &["ksqldb-server"]), @r"
    exit code: 0
    ----- stdout -----
    http://127.0.0.1:[PORT]/
    ----- stderr -----
    warning: no browser was opened: `[HOME]/bad` ended with exit status: 4
    ");
    assert_snapshot!(open(Some("/no/such/browser"), &["ksqldb-server"]), @r"
    exit code: 0
    ----- stdout -----
    http://127.0.0.1:[PORT]/
    ----- stderr -----
    warning: no browser was opened: `/no/such/browser`: No such file or directory (os error 2)
    ");

    assert_snapshot!(open(Some(&good), &[]), @r"
    exit code: 0
    ----- stdout -----
    http://127.0.0.1:[PORT]/
    ----- stderr -----
    ");
    assert_snapshot!(open(Some(&good), &["broker"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: service `broker` has no page to look at
    ");
    assert_snapshot!(open(Some(&good), &["control-center"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: there is no service `control-center`; the services are broker, schema-registry, ksqldb-server, console, host1, host2
    ");
}
