//! How the extension ends: always in the same way.

use std::time::Duration;

use osquery_protocol::fake::{FakeExtension, FakeOsqueryd};
use osquery_protocol::plugin::LoggerRequest;
use rustix::process::Signal;

use crate::world::{Extension, PATIENCE, World, line, log, until};

/// Lines that are in memory when the end comes: the broker is slow, but not too slow for the time that an end has.
const LINES: usize = 50;

fn with_lines_in_memory(world: &World) -> (FakeOsqueryd, Extension, FakeExtension) {
    world.topic("processes");
    let (osqueryd, process, extension) = world.running();
    world
        .cluster
        .broker_round_trip_time(1, Duration::from_millis(100))
        .unwrap();
    for number in 0..LINES {
        log(
            &extension,
            LoggerRequest::Line(line("processes", &format!("/{number}")).into()),
        );
    }
    (osqueryd, process, extension)
}

fn everything_arrived(world: &World, process: &mut Extension, extension: &FakeExtension) {
    let status = process.end();
    assert_eq!(status.code(), Some(0), "{}", process.log());
    assert!(
        process.log().contains(&format!("delivered={LINES}")),
        "{}",
        process.log()
    );
    assert!(!extension.socket.exists());
    world.cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
    assert_eq!(world.records("processes", LINES).len(), LINES);
}

#[test]
fn a_signal_flushes_and_takes_leave() {
    for signal in [Signal::TERM, Signal::INT] {
        let world = World::configured();
        let (osqueryd, mut process, extension) = with_lines_in_memory(&world);
        process.signal(signal);
        everything_arrived(&world, &mut process, &extension);
        assert_eq!(osqueryd.deregistered(), [extension.uuid]);
    }
}

#[test]
fn osquerys_shutdown_flushes_and_takes_leave() {
    let world = World::configured();
    let (osqueryd, mut process, extension) = with_lines_in_memory(&world);
    extension.shutdown().unwrap();
    everything_arrived(&world, &mut process, &extension);
    assert_eq!(osqueryd.deregistered(), [extension.uuid]);
}

#[test]
fn lines_are_still_taken_while_it_flushes() {
    let world = World::configured();
    let (_osqueryd, mut process, extension) = with_lines_in_memory(&world);
    process.signal(Signal::TERM);
    process.wait_for_log("ending");
    log(&extension, LoggerRequest::Line(line("processes", "/last").into()));
    assert_eq!(process.end().code(), Some(0));
    world.cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
    let last = world.records("processes", LINES + 1).pop().unwrap();
    assert_eq!(last.1, line("processes", "/last").into_bytes());
}

#[test]
fn osqueryds_death_ends_it() {
    let world = World::configured();
    let (osqueryd, mut process, extension) = with_lines_in_memory(&world);
    osqueryd.stop();
    everything_arrived(&world, &mut process, &extension);
}

#[test]
fn a_killed_extension_comes_back() {
    let world = World::configured();
    world.topic("processes");
    let (osqueryd, mut process, killed) = world.running();
    process.signal(Signal::KILL);
    process.end();
    let _second = world.start();
    // The name is taken until osqueryd notices.
    until("a refused registration", || osqueryd.registration_attempts() > 1);
    osqueryd.drop_extension(killed.uuid);
    let extension = osqueryd.wait_for_extension("confluent", PATIENCE).unwrap();
    log(
        &extension,
        LoggerRequest::Line(line("processes", "/again").into()),
    );
    assert_eq!(world.records("processes", 1).len(), 1);
}

#[test]
fn brokers_that_never_come_do_not_keep_it_and_lose_nothing() {
    let world = World::configured();
    world.topic("processes");
    let mut configuration = world.configuration();
    configuration["config"]["bootstrap.servers"] = "127.0.0.1:1".into();
    world.configure(&configuration);
    let (osqueryd, mut process, extension) = world.running();
    log(&extension, LoggerRequest::Line(line("processes", "/kept").into()));
    process.signal(Signal::TERM);
    assert_eq!(process.end().code(), Some(0));
    process.wait_for_log("the rest is in the spool for the next start left=1");

    world.configure(&world.configuration());
    let _second = world.start();
    osqueryd.wait_for_extension("confluent", PATIENCE).unwrap();
    assert_eq!(
        world.records("processes", 1)[0].1,
        line("processes", "/kept").into_bytes()
    );
}

#[test]
fn without_a_spool_lines_end_with_the_process() {
    let world = World::configured();
    let mut configuration = world.configuration();
    configuration["config"]["bootstrap.servers"] = "127.0.0.1:1".into();
    configuration["spool"] = "off".into();
    world.configure(&configuration);
    let (_osqueryd, mut process, extension) = world.running();
    log(&extension, LoggerRequest::Line(line("processes", "/lost").into()));
    let started = std::time::Instant::now();
    process.signal(Signal::TERM);
    assert_eq!(process.end().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(11));
    process.wait_for_log("Kafka did not take every line in time; the rest is lost left=1");
    assert!(!world.spool().exists());
}
