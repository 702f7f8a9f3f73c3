//! What is only remembered, where that may be why something fails.

use insta::assert_snapshot;

use crate::support::World;
use crate::up;

/// What `up` says of its memory when this happens; the project is down after it.
fn said_of_memory(world: &World, what: &str) -> String {
    let up = ["up", "--engine", "fake", "--timeout", "2s"];
    let failed = world.run_with(("OSQDEMO_FAKE", what), &up);
    assert!(!failed.starts_with("exit code: 0\n"), "{failed}");
    world.run(&["down"]);
    // A port may be taken by another project's test meanwhile, which is told as well.
    let hints = failed
        .lines()
        .filter(|line| line.starts_with("hint: ") && line.contains("remembered"));
    hints.map(str::to_owned).collect::<Vec<_>>().join("\n")
}

/// What an earlier `up` was asked for is not in front of the user, and may be why this one fails.
#[test]
fn a_failure_says_what_is_only_remembered() {
    let world = World::new();
    world.run(&up(&["--osqueryd", "/opt/osqueryd", "--statements", "none"]));
    let remembered = |what: &str| said_of_memory(&world, what);
    world.run(&["down"]);
    assert_snapshot!(remembered("host1=never-healthy"), @"hint: `--osqueryd /opt/osqueryd` is remembered from the last `up`; `osqdemo up --osqueryd auto` takes it back");
    assert_snapshot!(remembered("ksqldb-server=never-healthy"), @"hint: `--statements none` is remembered from the last `up`; `osqdemo up --statements demo` takes it back");
    assert_eq!(
        remembered("console=never-healthy"),
        "",
        "it has nothing to do with either"
    );
    world.run(&["up", "--osqueryd", "auto"]);
    world.run(&["down"]);
    assert_eq!(remembered("host1=never-healthy"), "", "it was taken back");
}

/// What is left out may be missed by any other; a service that was added is told of where it is the one that fails.
#[test]
fn a_failure_says_which_services_are_only_remembered() {
    let world = World::new();
    let remembered = |what: &str| said_of_memory(&world, what);
    let choice = [
        "--stack",
        "confluent-8",
        "--with",
        "connect",
        "--without",
        "host1",
    ];
    let ports = [
        "broker",
        "ksqldb-server",
        "schema-registry",
        "control-center",
        "connect",
    ]
    .map(|service| format!("--port={service}=0"));
    let ports = ports.each_ref().map(String::as_str);
    let first = world.run(&[&["up", "--engine", "fake"], &choice[..], &ports].concat());
    assert!(first.starts_with("exit code: 0\n"), "{first}");
    world.run(&["down"]);
    assert_snapshot!(remembered("connect=never-healthy"), @r"
    hint: `--with connect` is remembered from the last `up`; `osqdemo up --with none` takes it back
    hint: `--without host1` is remembered from the last `up`; `osqdemo up --without none` takes it back
    ");
    assert_snapshot!(remembered("broker=never-healthy"), @"hint: `--without host1` is remembered from the last `up`; `osqdemo up --without none` takes it back");
}
