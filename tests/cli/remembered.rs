//! What is only remembered, where that may be why something fails.

use insta::assert_snapshot;

use crate::support::World;
use crate::up;

/// What an earlier `up` was asked for is not in front of the user, and may be why this one fails.
#[test]
fn a_failure_says_what_is_only_remembered() {
    let world = World::new();
    world.run(&up(&["--osqueryd", "/opt/osqueryd", "--statements", "none"]));
    let remembered = |what: &str| {
        let failed = world.run_with(("OSQDEMO_FAKE", what), &["up", "--timeout", "2s"]);
        world.run(&["down"]);
        let hints = failed.lines().filter(|line| line.contains("remembered"));
        hints.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
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
