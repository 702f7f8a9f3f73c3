//! Services that are left out.

use insta::assert_snapshot;

use super::{UP, states};
use crate::support::World;

#[test]
fn leaving_a_service_out() {
    let world = World::new();
    let up = |more: &[&'static str]| {
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
        world.run(&[&UP[..], &ports, more].concat())
    };
    up(&[]);
    assert_snapshot!(up(&["--without", "host1", "--dry-run"]), @r"
    exit code: 0
    ----- stdout -----
    1. stop host1 (left out by `without`)
    ----- stderr -----
    ");
    up(&["--without", "host1"]);
    assert_snapshot!(up(&["--dry-run"]), @r"
    exit code: 0
    ----- stdout -----
    nothing to do
    ----- stderr -----
    ");
    assert_eq!(
        states(&world, "osqdemo"),
        [
            "broker running",
            "schema-registry running",
            "ksqldb-server running",
            "console running",
            "host2 running",
            "host1 left out"
        ]
    );
    assert_snapshot!(world.run(&["restart", "host1"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: service `host1` is left out
    hint: `osqdemo up --without none` brings it back
    ");
    assert_snapshot!(world.run(&["exec", "broker"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `broker` is not a host
    hint: the host is host2
    ");
    assert_snapshot!(world.run(&["logs", "host1"]), @r"
    exit code: 0
    ----- stdout -----
    host1 | INFO fake service started
    ----- stderr -----
    ");
    assert_snapshot!(up(&["--without", "none", "--dry-run"]), @r"
    exit code: 0
    ----- stdout -----
    1. start host1 (not running)
    ----- stderr -----
    ");
    assert_snapshot!(up(&["--without", "broker"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: service `broker` cannot be left out: everything goes through it
    ");
    assert_snapshot!(up(&["--without", "hots1"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: there is no service `hots1` to leave out
    hint: did you mean `host1`?
    ");
    assert_snapshot!(world.run(&["up", "--stack", "confluent", "--without", "host1,schema-registry"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: service `schema-registry` cannot be left out: `ksqldb-server` and `control-center` need it
    ");
    assert_snapshot!(world.run(&["--project", "other", "open", "--print"]), @r"
    exit code: 16
    ----- stdout -----
    ----- stderr -----
    error: console is not running
    hint: start it with `osqdemo -p other up`
    ");
}
