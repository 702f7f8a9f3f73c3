//! What becomes of lines.

use std::time::{Duration, Instant};

use osquery_protocol::PluginRequest;
use osquery_protocol::plugin::LoggerRequest;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rustix::process::Signal;

use crate::world::{LOGGER, World, line, log};

#[test]
fn lines_arrive_byte_for_byte_under_their_topic_and_key() {
    let world = World::configured();
    for topic in [
        "processes",
        "pack_ir_open_files",
        "pack-ir-open_files",
        "osquery-default-topic",
        "unheard-of",
    ] {
        world.topic(topic);
    }
    let (_osqueryd, _process, extension) = world.running();

    let processes = [line("processes", "/bin/a"), line("processes", "/bin/b")];
    let packs = [line("pack_ir_open_files", "/x"), line("pack/ir/open_files", "/y")];
    let nameless = r#"{"hostIdentifier":"host1"}"#.to_owned();
    let unheard = line("unheard of", "/z");
    for line in processes.iter().chain(&packs).chain([&nameless, &unheard]) {
        log(&extension, LoggerRequest::Line(line.as_str().into()));
    }

    let host: Option<Vec<u8>> = Some(b"host1".to_vec());
    let expected = processes.map(|line| (host.clone(), line.into_bytes()));
    assert_eq!(world.records("processes", 2), expected);
    let [first, second] = packs.map(String::into_bytes);
    assert_eq!(
        world.records("pack_ir_open_files", 1),
        [(Some(b"/x".to_vec()), first)]
    );
    assert_eq!(
        world.records("pack-ir-open_files", 1),
        [(Some(b"/y".to_vec()), second)]
    );
    assert_eq!(
        world.records("osquery-default-topic", 1),
        [(None, nameless.into_bytes())]
    );
    assert_eq!(world.records("unheard-of", 1), [(None, unheard.into_bytes())]);
}

#[test]
fn bytes_that_are_not_utf8_arrive() {
    let world = World::configured();
    world.topic("processes");
    let (_osqueryd, _process, extension) = world.running();
    let snapshot =
        b"{\"snapshot\":[{\"cmdline\":\"caf\xe9 \xff\"}],\"action\":\"snapshot\",\"name\":\"processes\",\"hostIdentifier\":\"h\xfe\"}";
    log(&extension, LoggerRequest::Snapshot(snapshot.as_slice().into()));
    assert_eq!(
        world.records("processes", 1),
        [(Some(b"h\xfe".to_vec()), snapshot.to_vec())]
    );
}

#[test]
fn every_request_is_answered_with_success() {
    let world = World::configured();
    world.topic("processes");
    let (_osqueryd, process, extension) = world.running();
    for request in [
        LoggerRequest::Init("osqueryd".into()),
        LoggerRequest::Features,
        LoggerRequest::Status(r#"[{"s":0,"m":"x"}]"#.into()),
        LoggerRequest::Line("not json".into()),
        LoggerRequest::Line("".into()),
        LoggerRequest::Line(r#"{"name":["#.into()),
        LoggerRequest::Snapshot(vec![0, 0xff].into()),
        LoggerRequest::Event(line("processes", "/event").into()),
        LoggerRequest::Batch("not json".into()),
        LoggerRequest::Batch(
            serde_json::json!([line("processes", "/batch")])
                .to_string()
                .into(),
        ),
        LoggerRequest::Unknown,
    ] {
        log(&extension, request);
    }
    let status = extension.call(
        "logger",
        LOGGER,
        PluginRequest::from([("health".into(), "".into())]),
    );
    assert!(status.unwrap().status.is_success());
    let records = world.records("processes", 2);
    assert_eq!(records[0].1, line("processes", "/event").into_bytes());
    assert_eq!(records[1].1, line("processes", "/batch").into_bytes());
    process.wait_for_log("not an array of strings");
}

#[test]
fn a_snapshot_larger_than_kafka_takes_arrives_row_by_row() {
    let world = World::configured();
    world.topic("processes");
    let (_osqueryd, process, extension) = world.running();
    let row = format!("{{\"cmdline\":\"{}\"}}", "x".repeat(1000));
    let rows = vec![row.as_str(); 2000].join(",");
    let snapshot =
        format!(r#"{{"snapshot":[{rows}],"action":"snapshot","name":"processes","hostIdentifier":"host1"}}"#);
    log(&extension, LoggerRequest::Snapshot(snapshot.into()));
    let records = world.records("processes", 2000);
    let expected =
        format!(r#"{{"name":"processes","hostIdentifier":"host1","columns":{row},"action":"snapshot"}}"#);
    assert!(
        records
            .iter()
            .all(|(key, value)| { key.as_deref() == Some(b"host1") && value == expected.as_bytes() })
    );
    process.wait_for_log("row by row");
}

#[test]
fn what_cannot_be_split_is_counted_and_the_rest_goes_on() {
    let world = World::configured();
    world.topic("processes");
    let (_osqueryd, process, extension) = world.running();
    let huge = "x".repeat(20_000_000);
    log(&extension, LoggerRequest::Line(line("processes", &huge).into()));
    let batch = format!(
        r#"{{"diffResults":{{"removed":[{{"a":"{huge}"}}],"added":[{{"a":"small"}}]}},"name":"processes"}}"#
    );
    log(&extension, LoggerRequest::Line(batch.into()));
    assert_eq!(
        world.records("processes", 1)[0].1,
        br#"{"name":"processes","columns":{"a":"small"},"action":"added"}"#
    );
    process.wait_for_log("dead_lettered=2");
}

#[test]
fn each_query_that_loses_a_line_is_named_with_its_size() {
    let world = World::configured();
    let (_osqueryd, process, extension) = world.running();
    let lines = ["processes", "pack_ir_open_files"].map(|query| (query, line(query, &"x".repeat(2_000_000))));
    for (_, line) in &lines {
        log(&extension, LoggerRequest::Line(line.as_str().into()));
    }
    for (query, line) in lines {
        let named = format!("query={query} topic=\"{query}\" bytes={} times=1", line.len());
        process.wait_for_log(&named);
    }
}

#[test]
fn what_a_topic_refuses_for_good_is_a_dead_letter_as_it_came() {
    let world = World::configured();
    world.topic("processes");
    world.topic("osqdemo-dead-letters");
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    world.cluster.request_errors(RDKafkaApiKey::Produce, &[refusal]);
    let (_osqueryd, process, extension) = world.running();
    let snapshot = r#"{"snapshot":[{"a":"1"},{"a":"2"}],"action":"snapshot","name":"processes","hostIdentifier":"host1"}"#;
    log(&extension, LoggerRequest::Snapshot(snapshot.into()));
    world.until_delivered(&extension);
    let dead = world.all_records("osqdemo-dead-letters");
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(dead[0].value, snapshot.as_bytes());
    let headers = &dead[0].headers;
    let size = snapshot.len().to_string();
    for (name, value) in [
        ("osqdemo-topic", "processes"),
        ("osqdemo-query", "processes"),
        ("osqdemo-size", &size),
    ] {
        assert_eq!(headers[name], value, "{headers:?}");
    }
    assert!(
        headers["osqdemo-reason"].contains("Topic authorization failed"),
        "{headers:?}"
    );
    process.wait_for_log(&format!("query=processes topic=\"processes\" bytes={size} "));
    // What comes then is not refused any more.
    let next = line("processes", "/next");
    log(&extension, LoggerRequest::Line(next.as_str().into()));
    assert_eq!(world.records("processes", 1)[0].1, next.into_bytes());
    assert_eq!(world.statistic(&extension, "dead_lettered"), 1);
}

#[test]
fn a_huge_line_keeps_nobody_from_the_ping() {
    let world = World::configured();
    world.topic("processes");
    let (_osqueryd, mut process, extension) = world.running();
    let row = format!("{{\"cmdline\":\"{}\"}}", "x".repeat(1000));
    let rows = vec![row.as_str(); 10_000].join(",");
    let batch = format!(r#"{{"diffResults":{{"removed":[],"added":[{rows}]}},"name":"processes"}}"#);
    let logger = extension.clone();
    let logging = std::thread::spawn(move || log(&logger, LoggerRequest::Line(batch.into())));
    let mut slowest = Duration::ZERO;
    while !logging.is_finished() {
        let started = Instant::now();
        assert!(extension.ping().unwrap().is_success());
        slowest = slowest.max(started.elapsed());
    }
    logging.join().unwrap();
    assert!(slowest < Duration::from_secs(1), "a ping took {slowest:?}");
    // The mock cluster keeps only the last 5 MB, so the books have to say it.
    process.signal(Signal::TERM);
    assert_eq!(process.end().code(), Some(0));
    assert!(
        process
            .log()
            .contains("delivered=10000 dead_lettered=0 dropped=0"),
        "{}",
        process.log()
    );
}

#[test]
fn a_broker_that_is_away_delays_nobody_and_loses_nothing() {
    let world = World::configured();
    world.topic("processes");
    let (_osqueryd, _process, extension) = world.running();
    log(&extension, LoggerRequest::Line(line("processes", "/0").into()));
    world.records("processes", 1);
    world.broker_down();
    let started = Instant::now();
    for number in 1..=500 {
        log(
            &extension,
            LoggerRequest::Line(line("processes", &format!("/{number}")).into()),
        );
    }
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_secs(5), "500 lines took {elapsed:?}");
    world.broker_up();
    let records = world.records("processes", 501);
    for (number, (_, value)) in records.into_iter().enumerate() {
        assert_eq!(value, line("processes", &format!("/{number}")).into_bytes());
    }
}

#[test]
fn brokers_that_refuse_idempotence_get_lines_without() {
    let world = World::configured();
    world.topic("processes");
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    world
        .cluster
        .request_errors(RDKafkaApiKey::InitProducerId, &[refusal; 100]);
    let (_osqueryd, process, extension) = world.running();
    process.wait_for_log("librdkafka gave up; starting it anew");
    log(&extension, LoggerRequest::Line(line("processes", "/x").into()));
    assert_eq!(
        world.records("processes", 1)[0].1,
        line("processes", "/x").into_bytes()
    );
}
