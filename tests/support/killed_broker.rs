//! A real broker that is killed in the middle of a scenario, and the proof that nothing was lost by it, and nothing doubled.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;

use crate::docker_support::{DockerStack, docker};
use crate::support::{self, eventually};

/// A broker in Java on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the scenario, kills the broker once the file is being written, and leaves it to the engine to start it again. Takes
/// the hosts' containers away at the end, so that what they wrote is all there.
pub(crate) fn is_stood(stack: &DockerStack) {
    let broker = stack.container("broker");
    let pid = docker(&["inspect", "--format", "{{.State.Pid}}", &broker]).concat();
    let mut scenario = stack.command(&[
        "--json",
        "scenario",
        "bigfile",
        "--size",
        "64M",
        "--timeout",
        "5m",
    ]);
    scenario.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = scenario.spawn().expect("it starts");
    let mut told = BufReader::new(running.stderr.take().expect("standard error"));
    let mut progress = String::new();
    while !progress.lines().last().is_some_and(is_writing) {
        let bytes = told.read_line(&mut progress).expect("a line");
        assert!(bytes > 0, "the file is never written: {progress}");
    }
    let killed_at = jiff::Timestamp::now();
    support::signal(pid.parse().expect("a pid"), rustix::process::Signal::KILL);
    std::io::Read::read_to_string(&mut told, &mut progress).expect("the rest");
    let output = running.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    if !output.status.success() {
        let logs = stack.output(&["logs", "ksqldb-server", "--tail", "200"]);
        let logs = String::from_utf8_lossy(&logs.stdout);
        panic!("{report:#}\n{progress}\n{logs}");
    }
    assert_eq!(report["verdict"], "passed", "{report:#}");
    let restarts = report["restarts"].as_array().expect("a list");
    let of_broker = restarts.iter().find(|restart| restart["service"] == "broker");
    let of_broker = of_broker.unwrap_or_else(|| panic!("the broker ended meanwhile: {report:#}"));
    assert!(
        of_broker["cause"].as_str().is_some_and(|cause| !cause.is_empty()),
        "{report:#}"
    );
    let stages = report["stages"].as_array().expect("stages");
    let last = stages.last().expect("a stage")["at"].as_str().expect("a time");
    let last: jiff::Timestamp = last.parse().expect("a time");
    assert!(
        last > killed_at,
        "it was over before the broker was killed: {report:#}"
    );

    // What happened is told by whoever looks. With ZooKeeper the first start ends, too: the dead broker is still on record.
    assert!(stack.service("broker", "restarts").as_u64() >= Some(1));
    let (_, told) = stack.succeed(&["ps"]);
    assert!(
        told.contains("warning: broker ended ") && told.contains("was started again"),
        "{told}"
    );
    stack.succeed(&["wait"]);

    let address = stack.service("broker", "address");
    let address = address.as_str().expect("an address");
    // Each topic waits by itself before its lines are sent again.
    eventually("what waited for the broker has come", PATIENCE, || {
        missing(&lines(address)).is_empty()
    });
    docker(&["stop", &stack.container("host1"), &stack.container("host2")]);
    let spools = lines(address);
    assert!(spools.len() >= 2, "two hosts have written: {spools:?}");
    assert_eq!(missing(&spools), Vec::<String>::new());
}

fn is_writing(event: &str) -> bool {
    let event: Value = serde_json::from_str(event).expect("an event");
    event["event"] == "step_finished" && event.to_string().contains("write_started")
}

/// The numbers of each spool's lines, of which none is there twice, over all topics of the hosts. ksqlDB's, in upper case,
/// have the headers of the lines that their rows were made of.
fn lines(address: &str) -> BTreeMap<String, BTreeSet<u64>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", "the-tests")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a client");
    let metadata = consumer.fetch_metadata(None, PATIENCE).expect("the topics");
    let mut partitions = TopicPartitionList::new();
    let mut expected = 0;
    for topic in metadata.topics().iter().filter(|topic| {
        topic
            .name()
            .starts_with(|letter: char| letter.is_ascii_lowercase())
    }) {
        for partition in topic.partitions() {
            let (low, high) = consumer
                .fetch_watermarks(topic.name(), partition.id(), PATIENCE)
                .expect("the ends of the log");
            if high > low {
                expected += high - low;
                partitions
                    .add_partition_offset(topic.name(), partition.id(), Offset::Beginning)
                    .expect("a partition");
            }
        }
    }
    consumer.assign(&partitions).expect("they are read");
    let mut spools: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for _ in 0..expected {
        let record = consumer
            .poll(PATIENCE)
            .expect("a record in time")
            .expect("a record");
        let (Some(spool), Some(number)) = (header(&record, "osqdemo-spool"), header(&record, "osqdemo-seq"))
        else {
            continue;
        };
        let is_new = spools
            .entry(spool.clone())
            .or_default()
            .insert(number.parse().expect("a number"));
        assert!(is_new, "line {number} of spool {spool} is there twice");
    }
    spools
}

/// What is missing before the last line of each spool, whose numbers begin with 1 and have no gap.
fn missing(spools: &BTreeMap<String, BTreeSet<u64>>) -> Vec<String> {
    let of_spool = |(spool, numbers): (&String, &BTreeSet<u64>)| {
        let last = numbers.last().copied().unwrap_or_default();
        let gaps: Vec<u64> = (1..last).filter(|number| !numbers.contains(number)).collect();
        (!gaps.is_empty()).then(|| format!("lines {gaps:?} of spool {spool}"))
    };
    spools.iter().filter_map(of_spool).collect()
}

fn header(record: &BorrowedMessage<'_>, name: &str) -> Option<String> {
    let headers = record.headers()?;
    let found = headers.iter().find(|header| header.key == name)?;
    Some(String::from_utf8_lossy(found.value?).into_owned())
}
