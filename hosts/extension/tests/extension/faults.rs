//! What goes wrong around the extension, and what must hold nevertheless: an accepted line arrives, in its order, and
//! what arrives twice has the same name.
//!
//! Long because there is a test for each fault, and all of them are told in the same few words.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use osquery_protocol::PluginRequest;
use osquery_protocol::fake::FakeExtension;
use osquery_protocol::plugin::LoggerRequest;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rustix::process::Signal;

use crate::world::{LOGGER, PATIENCE, Record, Started as _, World, line, log, until};

/// The number of a line that [`numbered`] made.
fn number_of(record: &Record) -> u64 {
    let text = String::from_utf8_lossy(&record.value);
    let digits = text
        .split("\"path\":\"/")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_else(|| panic!("{text}"))
}

fn numbered(number: u64) -> LoggerRequest {
    LoggerRequest::Line(line("processes", &format!("/{number}")).into())
}

/// Logs lines until one is not answered; the number of those that were.
fn log_until_it_fails(extension: &FakeExtension, from: u64, stop: &AtomicBool) -> u64 {
    let mut number = from;
    while !stop.load(Ordering::Relaxed) {
        match extension.log(LOGGER, numbered(number)) {
            Ok(status) if status.is_success() => number += 1,
            _ => break,
        }
    }
    number
}

/// Everything up to `accepted` is there, in its order; repeats have the name of what they repeat.
fn verify(records: &[Record], accepted: impl IntoIterator<Item = u64>) {
    let mut names: BTreeMap<&str, u64> = BTreeMap::new();
    let mut firsts = Vec::new();
    for record in records {
        let number = number_of(record);
        assert!(record.name.len() > 33, "it has no name: {:?}", record.headers);
        assert_eq!(record.headers["osqdemo-host"], "host1");
        assert_eq!(record.headers["osqdemo-query"], "processes");
        match names.insert(&record.name, number) {
            None => firsts.push(number),
            Some(former) => assert_eq!(former, number, "one name for two lines"),
        }
    }
    assert!(
        firsts.is_sorted_by(|a, b| a < b),
        "out of order, or twice under different names: {firsts:?}"
    );
    for number in accepted {
        assert!(firsts.binary_search(&number).is_ok(), "the line {number} is lost");
    }
}

/// Asks for the extension's statistics until that is not answered; how often it was.
fn query_until_it_fails(extension: &FakeExtension) -> u64 {
    let generate = || PluginRequest::from([("action".into(), "generate".into())]);
    let mut answers = 0;
    while extension
        .call("table", "confluent_extension_stats", generate())
        .is_ok()
    {
        answers += 1;
    }
    answers
}

/// The extension is ended while it takes lines and is queried, again and again.
fn end_again_and_again(sync: &str, times: u64, signal: Signal) {
    let world = World::configured();
    world.topic("processes");
    let mut configuration = world.configuration();
    configuration["spool"] = serde_json::json!({ "sync": sync });
    world.configure(&configuration);
    let osqueryd = world.osqueryd();
    let mut accepted = Vec::new();
    let (mut number, mut queries) = (0, 0);
    for turn in 0..times {
        // Every third time no broker is there.
        match turn % 3 {
            1 => world.broker_down(),
            _ => world.broker_up(),
        }
        let mut process = world.start();
        let extension = osqueryd
            .wait_for_extension("confluent", PATIENCE)
            .expect("a registration");
        let stop = AtomicBool::new(false);
        let end = thread::scope(|scope| {
            let logging = scope.spawn(|| log_until_it_fails(&extension, number, &stop));
            let querying = scope.spawn(|| query_until_it_fails(&extension));
            // Another moment each time; which one is of no importance.
            thread::sleep(Duration::from_millis(3 + turn * 17 % 90));
            process.signal(signal);
            let status = process.end();
            if signal == Signal::TERM {
                assert_eq!(status.code(), Some(0), "{}", process.log());
            }
            queries += querying.join().unwrap();
            logging.join().unwrap()
        });
        accepted.extend(number..end);
        // The line that was not answered may be there or not; its number is not used again.
        number = end + 1;
        osqueryd.drop_extension(extension.uuid);
    }
    world.broker_up();
    let process = world.start();
    let extension = osqueryd
        .wait_for_extension("confluent", PATIENCE)
        .expect("a registration");
    world.until_delivered(&extension);
    let records = world.all_records("processes");
    assert!(
        accepted.len() as u64 > times,
        "{} lines\n{}",
        accepted.len(),
        process.log()
    );
    assert!(queries > 0, "none was under way");
    verify(&records, accepted);
}

/// A number that `make soak` raises.
fn soaked(variable: &str, usual: u64) -> u64 {
    let number = std::env::var(variable).ok();
    number.map_or(usual, |number| number.parse().expect("a number"))
}

/// Kills under one choice of `sync`: of the three together 20, and as many rounds of that as are asked for. A round has a
/// cluster of its own, because the mock forgets what is older than a few megabytes, and then takes repeats for lines.
fn kill_in_rounds(sync: &str, times: u64) {
    for _ in 0..soaked("OSQDEMO_SOAK_KILLS", 20).div_ceil(20) {
        end_again_and_again(sync, times, Signal::KILL);
    }
}

#[test]
fn kills_lose_nothing_with_the_default_sync() {
    kill_in_rounds("interval", 8);
}

#[test]
fn kills_lose_nothing_when_each_line_is_synced() {
    kill_in_rounds("always", 6);
}

#[test]
fn kills_lose_nothing_when_nothing_is_synced() {
    kill_in_rounds("process", 6);
}

#[test]
fn ends_in_order_lose_nothing_under_any_choice_of_sync() {
    for sync in ["interval", "always", "process"] {
        // The second time no broker is there.
        end_again_and_again(sync, 3, Signal::TERM);
    }
}

/// Lines of 1,000 a second, as many seconds of them as `make soak` asks for, with the broker away. They come as fast as
/// they are taken.
fn stay_away(max_bytes: Option<u64>) -> (u64, u64, i64) {
    const BATCH: u64 = 500;
    let lines = 1000 * soaked("OSQDEMO_SOAK_AWAY_SECONDS", 20);
    let world = World::configured();
    world.topic("processes");
    let mut configuration = world.configuration();
    if let Some(max_bytes) = max_bytes {
        configuration["spool"] = serde_json::json!({ "max_bytes": max_bytes });
    }
    world.configure(&configuration);
    world.broker_down();
    let (_osqueryd, process, extension) = world.running();
    for first in (0..lines).step_by(BATCH as usize) {
        let batch: Vec<String> = (first..first + BATCH)
            .map(|number| line("processes", &format!("/{number}")))
            .collect();
        log(
            &extension,
            LoggerRequest::Batch(serde_json::json!(batch).to_string().into()),
        );
    }
    let count = |name| world.statistic(&extension, name);
    let (accepted, dropped) = (count("accepted"), count("dropped"));
    assert_eq!(accepted + dropped, lines, "{}", process.log());
    assert_eq!(count("waiting"), accepted);
    world.broker_up();
    let delivered = || world.statistic(&extension, "delivered");
    let mut before = delivered();
    // However many there are, some arrive within each wait.
    while world.statistic(&extension, "waiting") > 0 {
        until("progress", || {
            let now = delivered();
            std::mem::replace(&mut before, now) != now || now == accepted
        });
    }
    assert_eq!(delivered(), accepted);
    (accepted, dropped, world.end_of("processes"))
}

#[test]
fn a_long_absence_loses_nothing_that_the_spool_has_room_for() {
    let (accepted, dropped, end) = stay_away(Some(4 << 30));
    assert_eq!((accepted as i64, dropped), (end, 0));
}

#[test]
fn a_long_absence_loses_what_is_counted_and_nothing_else() {
    // The default has room for some 25 minutes of such lines; a shorter absence gets less.
    let is_soak = std::env::var_os("OSQDEMO_SOAK_AWAY_SECONDS").is_some();
    let (accepted, dropped, end) = stay_away((!is_soak).then_some(2 << 20));
    assert!(dropped > 0);
    assert_eq!(accepted as i64, end);
}

#[test]
fn memory_does_not_grow_with_what_waits() {
    const LINE: usize = 1000;
    const BATCH: usize = 500;
    let world = World::configured();
    world.topic("processes");
    world.broker_down();
    let (_osqueryd, process, extension) = world.running();
    let path = "x".repeat(LINE);
    let batch = serde_json::json!(vec![line("processes", &path); BATCH]).to_string();
    let wait = |batches: usize| {
        for _ in 0..batches {
            log(&extension, LoggerRequest::Batch(batch.as_str().into()));
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let few = wait(16);
    let many = wait(64);
    assert_eq!(world.statistic(&extension, "waiting"), 80 * BATCH as u64);
    assert!(world.statistic(&extension, "spool_bytes") > (80 * BATCH * LINE) as u64);
    // What is under way may have been less at first; what came since is 32 MB.
    assert!(many.saturating_sub(few) < 6 * 1024, "from {few} to {many} KiB");
}

#[test]
fn a_broker_that_is_away_at_the_start_gets_everything_later() {
    let world = World::configured();
    world.topic("processes");
    world.broker_down();
    let (_osqueryd, process, extension) = world.running();
    for number in 0..300 {
        log(&extension, numbered(number));
    }
    process.wait_for_log("no broker can be reached");
    world.broker_up();
    world.until_delivered(&extension);
    verify(&world.all_records("processes"), 0..300);
}

#[test]
fn a_broker_that_comes_and_goes_gets_everything_in_order() {
    let world = World::configured();
    world.topic("processes");
    let (_osqueryd, _process, extension) = world.running();
    let stop = AtomicBool::new(false);
    let accepted = thread::scope(|scope| {
        let logging = scope.spawn(|| log_until_it_fails(&extension, 0, &stop));
        for _ in 0..6 {
            thread::sleep(Duration::from_millis(150));
            world.broker_down();
            thread::sleep(Duration::from_millis(150));
            world.broker_up();
        }
        stop.store(true, Ordering::Relaxed);
        logging.join().unwrap()
    });
    world.until_delivered(&extension);
    let records = world.all_records("processes");
    // The mock cluster keeps the last megabytes; what it has must reach to the end without a gap.
    let first = number_of(&records[0]);
    verify(&records, first..accepted);
}

#[test]
fn a_broker_that_is_far_away_gets_everything_in_order() {
    let world = World::configured();
    world.topic("processes");
    let far = Duration::from_millis(200);
    world.cluster.broker_round_trip_time(1, far).unwrap();
    let (_osqueryd, _process, extension) = world.running();
    for number in 0..2000 {
        log(&extension, numbered(number));
    }
    world.until_delivered(&extension);
    world.cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
    verify(&world.all_records("processes"), 0..2000);
}

#[test]
fn a_server_that_never_answers_is_left_by_a_changed_configuration() {
    let world = World::configured();
    world.topic("processes");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut configuration = world.configuration();
    configuration["config"]["bootstrap.servers"] = silent.local_addr().unwrap().to_string().into();
    world.configure(&configuration);
    let (_osqueryd, _process, extension) = world.running();
    for number in 0..100 {
        log(&extension, numbered(number));
    }
    world.configure(&world.configuration());
    // Nobody asks for the configuration: the file is looked at.
    world.until_delivered(&extension);
    for number in 100..110 {
        log(&extension, numbered(number));
    }
    world.until_delivered(&extension);
    verify(&world.all_records("processes"), 0..110);
}

#[test]
fn lines_whose_topic_is_gone_for_a_moment_are_sent_again() {
    let world = World::configured();
    world.topic("processes");
    let mut configuration = world.configuration();
    // What is unknown is believed to be at once, as it is of a topic that librdkafka has known for long.
    configuration["config"]["topic.metadata.propagation.max.ms"] = 0.into();
    world.configure(&configuration);
    let (_osqueryd, process, extension) = world.running();
    log(&extension, numbered(0));
    world.until_delivered(&extension);
    world.broker_down();
    for number in 1..500 {
        log(&extension, numbered(number));
    }
    let unknown = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    world.cluster.topic_error("processes", unknown).unwrap();
    // Whatever comes first, a request with lines or one for what topics there are: the answer is the same.
    world
        .cluster
        .request_errors(RDKafkaApiKey::Produce, &[unknown; 1000]);
    world.broker_up();
    process.wait_for_log("lines wait and are sent again");
    world.cluster.clear_request_errors(RDKafkaApiKey::Produce);
    assert!(process.log().contains("topic=\"processes\""), "{}", process.log());
    world
        .cluster
        .topic_error("processes", RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR)
        .unwrap();
    world.until_delivered(&extension);
    verify(&world.all_records("processes"), 0..500);
}

#[test]
fn a_full_spool_loses_exactly_what_it_counts() {
    let world = World::configured();
    world.topic("processes");
    let mut configuration = world.configuration();
    configuration["spool"] = serde_json::json!({ "max_bytes": 1_048_576 });
    world.configure(&configuration);
    world.broker_down();
    let (_osqueryd, process, extension) = world.running();
    const LINES: u64 = 9000;
    for number in 0..LINES {
        log(&extension, numbered(number));
    }
    let dropped = world.statistic(&extension, "dropped");
    let accepted = world.statistic(&extension, "accepted");
    assert!(
        dropped > 0 && accepted + dropped == LINES,
        "{accepted} + {dropped}"
    );
    assert!(world.statistic(&extension, "spool_bytes") <= 1_048_576);
    process.wait_for_log("lines are dropped");
    world.broker_up();
    world.until_delivered(&extension);
    let records = world.all_records("processes");
    verify(&records, 0..accepted);
    assert_eq!(records.len() as u64, accepted);
}

#[test]
fn a_spool_that_cannot_be_had_stops_nobody() {
    let world = World::configured();
    world.topic("processes");
    // A file is in the folder's place.
    std::fs::write(world.spool(), "").unwrap();
    let (_osqueryd, process, extension) = world.running();
    for number in 0..10 {
        log(&extension, numbered(number));
    }
    process.wait_for_log("cannot open the spool");
    assert_eq!(world.statistic(&extension, "not_accepted"), 10);
    world.until_delivered(&extension);
    verify(&world.all_records("processes"), 0..10);
}

#[test]
fn two_extensions_do_not_share_a_spool() {
    let world = World::configured();
    let (_osqueryd, first, _extension) = world.running();
    let second = Command::new(env!("CARGO_BIN_EXE_confluent-ext"))
        .arg("--socket")
        .arg(world.socket())
        .env("OSQDEMO_SPOOL_DIR", world.spool())
        .env("OSQUERY_CONFIG", world.configuration_path())
        .finished()
        .unwrap();
    let text = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(3), "{text}");
    assert!(
        text.contains(&format!("is in use by the process {}", first.pid())),
        "{text}"
    );
    assert!(
        text.contains("hint: give each extension a folder of its own"),
        "{text}"
    );
}

#[test]
fn a_damaged_spool_costs_what_is_damaged() {
    let world = World::configured();
    world.topic("processes");
    world.broker_down();
    let (osqueryd, mut process, extension) = world.running();
    for number in 0..50 {
        log(&extension, numbered(number));
    }
    process.signal(Signal::KILL);
    process.end();
    osqueryd.drop_extension(extension.uuid);
    let segment = std::fs::read_dir(world.spool())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "log"))
        .unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    // The last line is torn, too.
    bytes.truncate(bytes.len() - 10);
    std::fs::write(&segment, bytes).unwrap();
    std::fs::write(world.spool().join("position"), "garbage").unwrap();
    let foreign = world.spool().join("00000000000000000900.log");
    std::fs::write(
        &foreign,
        "this is not a segment of a spool, and is long enough to be one",
    )
    .unwrap();

    world.broker_up();
    let process = world.start();
    let extension = osqueryd.wait_for_extension("confluent", PATIENCE).unwrap();
    log(&extension, numbered(100));
    world.until_delivered(&extension);
    let records = world.all_records("processes");
    verify(&records, [100]);
    assert_eq!(records.len(), 49, "one in the middle and one at the end are gone");
    process.wait_for_log("a part of the spool is damaged");
    process.wait_for_log("it is not a spool's file");
    until("the foreign file with another name", || !foreign.exists());
}
