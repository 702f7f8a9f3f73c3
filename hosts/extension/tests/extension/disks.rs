//! Disks that are full, read-only, or hang: real ones, each in a namespace of mounts of its own. osqueryd is answered
//! whatever they do, and what they took arrives.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use osquery_protocol::client::{ExtensionClient, extension_socket};
use osquery_protocol::fake::{FakeExtension, FakeOsqueryd};
use osquery_protocol::plugin::LoggerRequest;

use crate::world::{Extension, PATIENCE, Started as _, World, is_there, line, log, until};

fn numbered(number: u64) -> LoggerRequest {
    LoggerRequest::Line(line("processes", &format!("/{number}")).into())
}

/// Whether this user may have namespaces.
fn has_namespaces() -> bool {
    let works = Command::new("unshare")
        .args([
            "--map-root-user",
            "--mount",
            "mount",
            "-t",
            "tmpfs",
            "tmpfs",
            "/mnt",
        ])
        .stderr(Stdio::null())
        .finished()
        .map(|output| output.status)
        .is_ok_and(|status| status.success());
    is_there(works, "namespace of mounts (`unshare --map-root-user --mount`)")
}

/// Runs a command among the extension's mounts.
fn among_its_mounts(process: &Extension, command: &str) {
    let status = Command::new("nsenter")
        .args(["--preserve-credentials", "--user", "--mount", "--target"])
        .arg(process.pid().to_string())
        .args(["sh", "-c", command])
        .finished()
        .map(|output| output.status)
        .unwrap();
    assert!(status.success(), "{command}: {status}");
}

/// The numbers of the lines in the topic, in their order.
fn delivered(world: &World) -> Vec<String> {
    let records = world.all_records("processes").into_iter();
    records
        .map(|record| String::from_utf8(record.value).unwrap())
        .collect()
}

fn lines(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers
        .into_iter()
        .map(|number| line("processes", &format!("/{number}")))
        .collect()
}

#[test]
fn a_disk_that_is_full_takes_what_it_can_and_the_rest_is_counted() {
    if !has_namespaces() {
        return;
    }
    let world = World::configured();
    world.topic("processes");
    world.broker_down();
    let osqueryd = world.osqueryd();
    let process = world.start_on("mount -t tmpfs -o size=256k,mode=700 tmpfs \"$SPOOL\"");
    let extension = osqueryd.wait_for_extension("confluent", PATIENCE).unwrap();
    const LINES: u64 = 3000;
    for number in 0..LINES {
        log(&extension, numbered(number));
    }
    process.wait_for_log("the spool's disk does not take lines");
    let accepted = world.statistic(&extension, "accepted");
    let not_accepted = world.statistic(&extension, "not_accepted");
    assert!(accepted > 100 && not_accepted > 100, "{accepted} {not_accepted}");
    assert_eq!(accepted + not_accepted, LINES);
    world.broker_up();
    world.until_delivered(&extension);
    // The disk has room again, and is tried again.
    let mut number = LINES;
    until("a line that is accepted", || {
        log(&extension, numbered(number));
        number += 1;
        world.statistic(&extension, "accepted") > accepted
    });
    world.until_delivered(&extension);
    assert_eq!(delivered(&world), lines(0..number));
}

#[test]
fn a_disk_that_is_read_only_is_used_once_it_no_longer_is() {
    if !has_namespaces() {
        return;
    }
    let world = World::configured();
    world.topic("processes");
    let osqueryd = world.osqueryd();
    let mut process = world.start_on("mount -t tmpfs -o ro,mode=700 tmpfs \"$SPOOL\"");
    let extension = osqueryd.wait_for_extension("confluent", PATIENCE).unwrap();
    process.wait_for_log("cannot open the spool; lines are kept in memory");
    for number in 0..10 {
        log(&extension, numbered(number));
    }
    assert_eq!(world.statistic(&extension, "not_accepted"), 10);
    among_its_mounts(
        &process,
        &format!("mount -o remount,rw '{}'", world.spool().display()),
    );
    process.wait_for_log("the spool is open");
    for number in 10..20 {
        log(&extension, numbered(number));
    }
    assert_eq!(world.statistic(&extension, "accepted"), 10);
    world.until_delivered(&extension);
    assert_eq!(delivered(&world), lines(0..20));
    extension.shutdown().unwrap();
    assert_eq!(process.end().code(), Some(0));
}

/// Has each of one kind of the extension's calls take so long, until it is ended.
struct SlowDisk(Child);

const HANGS: Duration = Duration::from_secs(60);

impl SlowDisk {
    fn of(process: &Extension, call: &str, takes: Duration) -> Self {
        let micros = takes.as_micros();
        let tracer = Command::new("strace")
            .args(["-f", "-qq", "-e", &format!("trace={call}")])
            .args(["-e", &format!("inject={call}:delay_enter={micros}")])
            .args(["-o", "/dev/null", "-p", &process.pid().to_string()])
            .started()
            .unwrap();
        let status = format!("/proc/{}/status", process.pid());
        until("the tracer", || {
            let status = std::fs::read_to_string(&status).unwrap();
            !status.contains("TracerPid:\t0\n")
        });
        Self(tracer)
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn has_strace() -> bool {
    let works = Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .finished()
        .map(|output| output.status);
    is_there(
        works.is_ok_and(|status| status.success()),
        "strace (`scripts/test-tools.sh` gets it)",
    )
}

/// The extension with each line synced, after its first line.
fn syncing_each_line() -> (World, FakeOsqueryd, Extension, FakeExtension) {
    let world = World::configured();
    world.topic("processes");
    let mut configuration = world.configuration();
    configuration["spool"] = serde_json::json!({ "sync": "always" });
    world.configure(&configuration);
    let (osqueryd, process, extension) = world.running();
    log(&extension, numbered(0));
    (world, osqueryd, process, extension)
}

#[test]
fn a_line_is_answered_when_it_is_durable_if_that_was_chosen() {
    if !has_strace() {
        return;
    }
    const SYNC: Duration = Duration::from_millis(300);
    let (world, _osqueryd, process, extension) = syncing_each_line();
    let disk = SlowDisk::of(&process, "fdatasync", SYNC);
    for number in 1..4 {
        let began = Instant::now();
        log(&extension, numbered(number));
        assert!(
            began.elapsed() >= SYNC,
            "{number} was answered before it was synced"
        );
    }
    drop(disk);
    world.until_delivered(&extension);
    assert_eq!(world.statistic(&extension, "accepted"), 4);
    assert_eq!(world.statistic(&extension, "not_accepted"), 0);
}

#[test]
fn a_line_that_is_not_durable_in_time_is_answered_and_counted_once() {
    if !has_strace() {
        return;
    }
    let (world, _osqueryd, process, extension) = syncing_each_line();
    let disk = SlowDisk::of(&process, "fdatasync", HANGS);
    let began = Instant::now();
    log(&extension, numbered(1));
    assert!(began.elapsed() >= Duration::from_secs(2), "the disk has its time");
    let book = |name| world.statistic(&extension, name);
    assert_eq!((book("lines"), book("accepted"), book("not_accepted")), (2, 1, 1));
    process.wait_for_log("a line was answered before it was durable");
    drop(disk);
    // In the file it is all the same, and so it arrives.
    log(&extension, numbered(2));
    world.until_delivered(&extension);
    assert_eq!(delivered(&world), lines(0..3));
    assert_eq!((book("lines"), book("accepted"), book("not_accepted")), (3, 2, 1));
}

#[test]
fn a_disk_that_hangs_keeps_osqueryd_waiting_for_seconds_and_not_for_ever() {
    if !has_strace() {
        return;
    }
    let world = World::configured();
    world.topic("processes");
    let (_osqueryd, process, extension) = world.running();
    log(&extension, numbered(0));
    world.until_delivered(&extension);
    let disk = SlowDisk::of(&process, "pwrite64", HANGS);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| log(&extension, numbered(1)));
        // Others are answered meanwhile: osqueryd gives up an extension whose ping takes ten seconds.
        let socket = extension_socket(&world.socket(), extension.uuid);
        let ten = Duration::from_secs(10);
        for _ in 0..3 {
            let mut client = ExtensionClient::connect(&socket, ten).unwrap();
            assert!(client.ping().unwrap().is_success());
        }
        hanging.join().unwrap();
    });
    for number in 2..20 {
        log(&extension, numbered(number));
    }
    assert!(
        began.elapsed() < Duration::from_secs(50),
        "a write was waited for"
    );
    process.wait_for_log("the spool's disk hangs");
    drop(disk);
    process.wait_for_log("the spool's disk is back; what came meanwhile follows lines=18");
    world.until_delivered(&extension);
    assert_eq!(delivered(&world), lines(0..20));
    assert_eq!(world.statistic(&extension, "accepted"), 2);
    assert_eq!(world.statistic(&extension, "not_accepted"), 18);
}
