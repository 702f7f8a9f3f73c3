//! Where paths lead: relative ones, programs of a folder that is not trusted, homes that are none.

use std::fs;
use std::path::Path;

use super::folder;
use crate::support::{FAKE, InTime, World};

#[test]
fn paths_are_relative_to_the_file() {
    let world = World::new();
    let folder = folder("stack-file = \"stacks/mine.yaml\"");
    fs::create_dir(folder.path().join("stacks")).expect("a folder");
    let lite = Path::new(env!("CARGO_MANIFEST_DIR")).join("compose/lite.yaml");
    fs::copy(lite, folder.path().join("stacks/mine.yaml")).expect("a stack file");
    let config = folder.path().join("osqdemo.toml").display().to_string();
    let shown = world.run(&["--config", &config, "up", "--engine", "fake", "--dry-run"]);
    assert!(shown.contains("start broker"), "{shown}");
}

#[test]
fn a_program_of_this_folder_is_told_before_it_counts() {
    let world = World::new();
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("osqdemo.toml"), "osqueryd = \"./mine\"").expect("a file");
    let told = "has a program run: `osqueryd` is `[FOLDER]/mine`";
    let up = world.run_in(folder.path(), &["up", "--engine", "fake"]);
    assert!(
        up.contains("warning: `osqdemo.toml` in this folder") && up.contains(told),
        "{up}"
    );
    // Whoever names the file, or the program, knows.
    let named = world.run_in(
        folder.path(),
        &["--config", "osqdemo.toml", "up", "--engine", "fake"],
    );
    assert!(!named.contains("has a program run"), "{named}");
    let typed = world.run_in(
        folder.path(),
        &["up", "--engine", "fake", "--osqueryd", "builtin"],
    );
    assert!(!typed.contains("has a program run"), "{typed}");
}

#[test]
fn a_relative_home_is_none() {
    let world = World::new();
    let output = world
        .command(&["ps"])
        .env_remove("OSQDEMO_HOME")
        .env_remove("XDG_STATE_HOME")
        .env("HOME", "relative")
        .in_time();
    let said = world.shown(&output);
    assert!(said.contains("exit code: 2"), "{said}");
    assert!(said.contains("error: no folder for the state: "), "{said}");
}

#[test]
fn a_relative_state_folder_of_the_desktop_is_ignored() {
    let world = World::new();
    let folder = tempfile::tempdir().expect("a folder");
    let output = world
        .command(&FAKE)
        .env_remove("OSQDEMO_HOME")
        .env("XDG_STATE_HOME", "state")
        .env("HOME", world.home())
        .current_dir(folder.path())
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", world.shown(&output));
    assert!(
        world
            .home()
            .join(".local/state/osqdemo/osqdemo/project.json")
            .exists()
    );
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0);
}
