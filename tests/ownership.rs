//! Whose a project is: `sudo` after a user, a folder of somebody else's, a symbolic link in the place of a folder.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use support::{FAKE, World};

/// A user of this machine that is nobody's.
const USER: u32 = 65001;

/// A copy of the binary where every user reaches it.
fn program(world: &World) -> std::path::PathBuf {
    let program = world.home().join("osqdemo-binary");
    fs::copy(env!("CARGO_BIN_EXE_osqdemo"), &program).expect("a copy");
    program
}

/// Runs the binary as a user, with `HOME` and nothing else that names a folder.
fn run_as(world: &World, uid: u32, home: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("setpriv");
    command
        .args([
            format!("--reuid={uid}"),
            format!("--regid={uid}"),
            "--clear-groups".to_owned(),
        ])
        .arg(world.home().join("osqdemo-binary"))
        .args(arguments);
    for variable in [
        "OSQDEMO_HOME",
        "OSQDEMO_PROJECT",
        "XDG_STATE_HOME",
        "XDG_RUNTIME_DIR",
        "RUST_LOG",
    ] {
        command.env_remove(variable);
    }
    let output = command
        .env("HOME", home)
        .env("NO_COLOR", "1")
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .expect("setpriv runs");
    world.shown(&output)
}

#[test]
fn sudo_and_the_user_do_not_lock_each_other_out() {
    if !rustix::process::getuid().is_root() {
        // There is nobody else to be.
        return;
    }
    let world = World::new();
    fs::set_permissions(world.home(), fs::Permissions::from_mode(0o755)).expect("its mode");
    program(&world);
    let home = world.home().join("u");
    fs::create_dir(&home).expect("a folder");
    chown(&home, Some(USER), Some(USER)).expect("its owner");
    // As `sudo -E osqdemo up` before the user ever ran it: nothing in the user's home becomes root's.
    assert_snapshot!(run_as(&world, 0, &home, &FAKE), @r"
    exit code: 10
    ----- stdout -----
    ----- stderr -----
    error: `[HOME]/u` belongs to UID 65001, and this is user `root` (UID 0)
    hint: run this as UID 65001, without `sudo` or with it, as before; or set `OSQDEMO_HOME` to a folder of your own
    ");
    assert_eq!(fs::read_dir(&home).expect("the home").count(), 0);
    let up = run_as(&world, USER, &home, &FAKE);
    assert!(up.contains("exit code: 0"), "{up}");
    for verb in [
        &FAKE[..],
        &["ps"],
        &["down", "--volumes"],
        &["logs"],
        &["scenario", "bigfile"],
    ] {
        let said = run_as(&world, 0, &home, verb);
        assert!(said.contains("exit code: 10"), "{verb:?}: {said}");
        assert!(
            said.contains("belongs to UID 65001, and this is user `root` (UID 0)"),
            "{verb:?}: {said}"
        );
    }
    // The user's project is as it was.
    let project = home.join(".local/state/osqdemo/osqdemo");
    for entry in fs::read_dir(&project).expect("the project").flatten() {
        use std::os::unix::fs::MetadataExt;
        assert_eq!(entry.metadata().expect("it").uid(), USER, "{:?}", entry.path());
    }
    for verb in [&["ps"][..], &["down", "--volumes"]] {
        let said = run_as(&world, USER, &home, verb);
        assert!(said.contains("exit code: 0"), "{verb:?}: {said}");
    }
}

#[test]
fn what_others_own_or_can_write_is_not_followed() {
    let world = World::new();
    world.run(&FAKE);
    fs::set_permissions(world.project(), fs::Permissions::from_mode(0o777)).expect("its mode");
    assert_snapshot!(world.run(&["ps"]), @r"
    exit code: 10
    ----- stdout -----
    ----- stderr -----
    error: other users can write into `[HOME]/osqdemo`
    hint: look at what is in it, then `chmod go-w [HOME]/osqdemo`; or set `OSQDEMO_HOME` to a folder of your own
    ");
    fs::set_permissions(world.project(), fs::Permissions::from_mode(0o700)).expect("its mode");
    let elsewhere = world.home().join("elsewhere");
    fs::rename(world.project(), &elsewhere).expect("it can be moved");
    symlink(&elsewhere, world.project()).expect("a link");
    assert_snapshot!(world.run(&["down", "--volumes"]), @r"
    exit code: 10
    ----- stdout -----
    ----- stderr -----
    error: `[HOME]/osqdemo` is a symbolic link, not a folder
    hint: look at it, and remove it with `rm [HOME]/osqdemo`
    ");
    assert!(elsewhere.join("project.json").exists());
    if rustix::process::getuid().is_root() {
        fs::remove_file(world.project()).expect("the link");
        fs::rename(&elsewhere, world.project()).expect("it can be moved");
        chown(world.project(), Some(USER), Some(USER)).expect("its owner");
        let said = world.run(&FAKE);
        assert!(
            said.contains("exit code: 10") && said.contains("belongs to UID 65001"),
            "{said}"
        );
    }
}

#[test]
fn the_folder_for_sockets_is_no_link_and_nobody_elses() {
    let world = World::new();
    // So deep that the sockets do not fit into it.
    let deep = world.home().join("d".repeat(100));
    let runtime = world.home().join("run");
    let other = world.home().join("other");
    for folder in [&runtime, &other] {
        fs::create_dir(folder).expect("a folder");
    }
    symlink(&other, runtime.join("osqdemo")).expect("a link");
    let output = world
        .command(&[
            "up",
            "--port",
            "broker=0",
            "--port",
            "ksqldb-server=0",
            "--port",
            "console=0",
            "--port",
            "schema-registry=0",
        ])
        .env("OSQDEMO_HOME", &deep)
        .env("XDG_RUNTIME_DIR", &runtime)
        .output()
        .expect("it runs");
    let said = world.shown(&output);
    assert!(said.contains("exit code: 10"), "{said}");
    assert!(
        said.contains("error: `[HOME]/run/osqdemo` is a symbolic link, not a folder"),
        "{said}"
    );
    assert_eq!(fs::read_dir(&other).expect("the folder").count(), 0);
}

/// Without a folder of the session's, sockets go into one among the temporary files, where anybody could have been before.
#[test]
fn the_folder_for_sockets_among_temporary_files_is_ones_own() {
    /// A user of this machine that is nobody's, and no other test's.
    const STRANGER: u32 = 65_002;
    if !rustix::process::getuid().is_root() {
        // There is nobody else to be.
        return;
    }
    let world = World::new();
    fs::set_permissions(world.home(), fs::Permissions::from_mode(0o755)).expect("its mode");
    program(&world);
    let home = world.home().join("d".repeat(100));
    fs::create_dir(&home).expect("a folder");
    chown(&home, Some(STRANGER), Some(STRANGER)).expect("its owner");
    let folder = Path::new("/tmp/osqdemo-65002");
    let _ = fs::remove_file(folder);
    let _ = fs::remove_dir_all(folder);

    symlink(world.home(), folder).expect("a link");
    let said = run_as(&world, STRANGER, &home, &FAKE);
    assert!(said.contains("exit code: 10"), "{said}");
    assert!(
        said.contains("error: `/tmp/osqdemo-65002` is a symbolic link, not a folder"),
        "{said}"
    );
    fs::remove_file(folder).expect("the link");

    fs::create_dir(folder).expect("a folder of root's");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("its mode");
    let said = run_as(&world, STRANGER, &home, &FAKE);
    assert!(said.contains("exit code: 10"), "{said}");
    assert!(
        said.contains("error: `/tmp/osqdemo-65002` belongs to user `root` (UID 0)"),
        "{said}"
    );
    assert_eq!(fs::read_dir(folder).expect("the folder").count(), 0);
    fs::remove_dir(folder).expect("it is empty");

    let up = run_as(&world, STRANGER, &home, &FAKE);
    assert!(up.contains("exit code: 0"), "{up}");
    let made = fs::metadata(folder).expect("it is made");
    {
        use std::os::unix::fs::MetadataExt;
        assert_eq!((made.uid(), made.mode() & 0o777), (STRANGER, 0o700));
    }
    let down = run_as(&world, STRANGER, &home, &["down", "--volumes"]);
    assert!(down.contains("exit code: 0"), "{down}");
    let left = fs::read_dir(folder).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing is left in it");
    let _ = fs::remove_dir(folder);
}
