//! What the surroundings of a user get: completions for the shell, pages for `man`, addresses for the browser.

mod support;

use std::fs;
use std::process::Command;

use insta::assert_snapshot;
use serde_json::Value;
use support::{FAKE, World};

#[test]
fn completions() {
    let world = World::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = world.output(&["completions", shell]);
        assert!(output.status.success(), "{shell}");
        let script = String::from_utf8_lossy(&output.stdout);
        assert!(script.contains("scenario"), "{shell}");
        for hidden in ["probe", "supervise", "host-init", "until-stdin-closes"] {
            assert!(!script.contains(hidden), "{shell} offers `{hidden}`");
        }
    }
}

/// What bash offers for a line.
fn offered_by_bash(script: &str, line: &[&str]) -> Vec<String> {
    let words = line.join(" ");
    let last = line.len() - 1;
    let ask = format!(
        "{script}\nCOMP_WORDS=({words} ''); COMP_CWORD={}; _osqdemo osqdemo '' {}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        line.len(),
        line[last]
    );
    let output = Command::new("bash").args(["--norc", "-c", &ask]).output();
    let output = output.expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(str::to_owned).collect()
}

#[test]
fn bash_offers_the_verbs() {
    let world = World::new();
    let script = world.output(&["completions", "bash"]).stdout;
    let script = String::from_utf8_lossy(&script);
    let verbs = offered_by_bash(&script, &["osqdemo"]);
    for verb in ["up", "bundle", "scenario", "--project"] {
        assert!(verbs.iter().any(|offered| offered == verb), "{verb}: {verbs:?}");
    }
    let options = offered_by_bash(&script, &["osqdemo", "serve", "broker"]);
    assert!(
        options.iter().any(|offered| offered == "--advertise"),
        "{options:?}"
    );
    let scenarios = offered_by_bash(&script, &["osqdemo", "scenario"]);
    assert!(
        scenarios.iter().any(|offered| offered == "bigfile"),
        "{scenarios:?}"
    );
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
        world.shown(&command.output().expect("it runs"))
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
