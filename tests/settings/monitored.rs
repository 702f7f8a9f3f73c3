//! What the hosts monitor, as the file says it.

use std::fs;

use insta::assert_snapshot;

use super::{PORTS, UP, folder, shown};
use crate::host_config::write_own;
use crate::support::World;

#[test]
fn the_hosts_monitor_what_the_file_says() {
    let world = World::new();
    let folder = folder(&format!("host-config = \"conf/my.json\"\n\n{PORTS}"));
    let (conf, other) = (folder.path().join("conf"), folder.path().join("other"));
    write_own(&conf, 1);
    let other = write_own(&other, 2).display().to_string();
    let remove_line = || fs::write(folder.path().join("osqdemo.toml"), PORTS).expect("a file");
    let plan = |more: &[&'static str]| {
        let arguments = [&["up", "--dry-run"][..], more].concat();
        world.run_in(folder.path(), &arguments)
    };
    let ports = [
        "--port",
        "broker=0",
        "--port",
        "ksqldb-server=0",
        "--port",
        "console=0",
        "--port",
        "schema-registry=0",
    ];
    world.run(&[&UP[..], &ports, &["--host-config", &other]].concat());

    // The file wins over what is remembered, and a second time there is nothing to do.
    assert_eq!(shown(&world, folder.path(), "host-config"), "conf/my.json file");
    assert_snapshot!(plan(&[]), @r"
    exit code: 0
    ----- stdout -----
    1. stop host2 (the host configuration changed)
    2. stop host1 (the host configuration changed)
    3. start host1 (the host configuration changed), after 2
    4. start host2 (the host configuration changed), after 1
    ----- stderr -----
    ");
    let up = world.run_in(folder.path(), &["up"]);
    assert!(
        up.contains("the hosts have the configuration `[FOLDER]/conf/my.json`"),
        "{up}"
    );
    let nothing = plan(&[]);
    assert!(nothing.contains("\nnothing to do\n"), "{nothing}");
    let up = world.run_in(folder.path(), &["up"]);
    assert!(up.contains("nothing to do: 6 services are healthy"), "{up}");

    // What is typed wins over the file.
    let typed = plan(&["--host-config", "default"]);
    assert!(
        typed.contains("start host1 (the host configuration changed)"),
        "{typed}"
    );
    // What the file names is read again.
    write_own(&conf, 3);
    let changed = plan(&[]);
    assert!(
        changed.contains("start host1 (the host configuration changed)"),
        "{changed}"
    );
    fs::remove_dir_all(&conf).expect("the configuration");
    assert_snapshot!(plan(&[]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: failed to read the host configuration `conf/my.json`: No such file or directory (os error 2)
    hint: `osqdemo host-config` prints the default one, to begin with
    ");

    // A line that is removed stays in force; the default is a value as any other.
    remove_line();
    let nothing = plan(&[]);
    assert!(nothing.contains("\nnothing to do\n"), "{nothing}");
    assert_eq!(
        shown(&world, folder.path(), "host-config"),
        "[FOLDER]/conf/my.json remembered"
    );
    let default = format!("host-config = \"default\"\n\n{PORTS}");
    fs::write(folder.path().join("osqdemo.toml"), default).expect("a file");
    assert_eq!(shown(&world, folder.path(), "host-config"), "default file");
    let back = plan(&[]);
    assert!(
        back.contains("start host1 (the host configuration changed)"),
        "{back}"
    );
    world.run_in(folder.path(), &["up"]);
    remove_line();
    assert_eq!(shown(&world, folder.path(), "host-config"), "default default");
}
