//! `osqdemo smoke` through the real binary: from nothing to nothing, one exit code, one report.

mod support;

use std::fs;
use std::net::TcpListener;

use support::{World, a_listener};

#[test]
fn the_whole_stack_natively() {
    let world = World::new();
    let report = world.home().join("smoke.xml");
    let report_argument = format!("junit={}", report.display());
    // Usual ports that are in use are no obstacle.
    let ((_broker, broker), (_ksqldb, ksqldb)) = (a_listener(), a_listener());
    let file = world.stack_file(broker, ksqldb);
    let output = world.output(&[
        "smoke",
        "--engine",
        "native",
        "--osqueryd",
        "builtin",
        "--stack-file",
        &file,
        "--size",
        "1M",
        "--report",
        &report_argument,
    ]);
    let shown = world.shown(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert!(shown.contains("smoke: passed"), "{shown}");
    let report = fs::read_to_string(report).expect("a report");
    for part in [
        r#"failures="0" errors="0""#,
        r#"<testcase name="doctor" classname="osqdemo.smoke""#,
        r#"<testcase name="broker" classname="osqdemo.smoke.up.service""#,
        r#"classname="osqdemo.smoke.up.statement""#,
        r#"<testcase name="joined row" classname="osqdemo.smoke.scenario.stage""#,
        r#"<testcase name="down" classname="osqdemo.smoke""#,
    ] {
        assert!(report.contains(part), "no {part} in {report}");
    }
    assert!(!world.project().exists(), "nothing is left");
}

#[test]
fn a_failed_check_ends_it_and_is_in_the_report() {
    let world = World::new();
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    let broker = format!("broker={}", holder.local_addr().expect("an address").port());
    let report = world.home().join("smoke.xml");
    let report_argument = format!("junit={}", report.display());
    let output = world.output(&[
        "smoke",
        "--engine",
        "native",
        "--osqueryd",
        "builtin",
        "--port",
        &broker,
        "--port",
        "ksqldb-server=0",
        "--port",
        "console=0",
        "--port",
        "schema-registry=0",
        "--report",
        &report_argument,
    ]);
    let shown = world.shown(&output);
    assert_eq!(output.status.code(), Some(10), "{shown}");
    let report = fs::read_to_string(report).expect("a report");
    assert!(
        report.contains(r#"<failure message="1 check failed""#),
        "{report}"
    );
    assert_eq!(report.matches("an earlier phase failed").count(), 2, "{report}");
}

#[test]
fn a_report_of_another_form_is_a_usage_error() {
    let world = World::new();
    let output = world.output(&["smoke", "--report", "xml=x"]);
    let shown = world.shown(&output);
    assert_eq!(output.status.code(), Some(2), "{shown}");
    assert!(
        shown.contains("`xml=x` is not of the form `junit=FILE`"),
        "{shown}"
    );
}
