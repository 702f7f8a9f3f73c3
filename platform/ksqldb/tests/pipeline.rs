//! The original demo's statements, end to end: records in topics, rows at the HTTP client.
//!
//! Long because every test binary links the whole server, and all of these run the same statements over the same
//! records.

mod support;

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::producer::FutureRecord;
use serde_json::{Value, json};
use support::{Broker, Push, Server, next_record, produce, value_of};
use tokio::task::JoinSet;

const SOURCES: &str = "
    CREATE STREAM processes (name VARCHAR, hostIdentifier VARCHAR, unixTime BIGINT, action VARCHAR,
        columns MAP<VARCHAR, VARCHAR>) WITH (KAFKA_TOPIC='processes', VALUE_FORMAT='JSON', PARTITIONS=1);
    CREATE STREAM open_files (name VARCHAR, hostIdentifier VARCHAR, unixTime BIGINT, action VARCHAR,
        columns MAP<VARCHAR, VARCHAR>) WITH (KAFKA_TOPIC='open_files', VALUE_FORMAT='JSON', PARTITIONS=1);";
const PROC: &str = "create stream proc as select hostIdentifier as host, COLUMNS['name'] as name, \
    COLUMNS['pid'] as pid, COLUMNS['path'] as path from processes where COLUMNS ['name'] not like '%osqueryd%' \
    and COLUMNS ['name'] <> 'python' and COLUMNS ['name'] <> 'bash';";
const FILES: &str = "create stream files as select hostIdentifier as host, COLUMNS ['pid'] as pid, \
    COLUMNS ['path'] as path from OPEN_FILES where COLUMNS['path'] not like '%osquery%' and COLUMNS['path'] \
    not like '/proc/%' and COLUMNS['path'] not like '/dev/%' and len(COLUMNS['path']) <> 0;";
const JOIN: &str = "select p.host as host, p.path as proc, f.path as file from proc as p join files as f \
    within 1 minute on (f.pid=p.pid) emit changes;";

fn process(host: &str, name: &str, pid: u32) -> String {
    json!({
        "name": "processes", "hostIdentifier": host, "calendarTime": "Tue Nov 24 06:00:00 2026 UTC",
        "unixTime": 1_795_500_000, "epoch": 0, "counter": 1, "numerics": false, "action": "added",
        "columns": {"name": name, "pid": pid.to_string(), "path": format!("/usr/bin/{name}")},
    })
    .to_string()
}

fn open_file(host: &str, pid: u32, path: &str) -> String {
    json!({
        "name": "open_files", "hostIdentifier": host, "unixTime": 1_795_500_000, "action": "added",
        "columns": {"pid": pid.to_string(), "path": path, "fd": "3"},
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    support::run_child().await;
}

async fn declare(server: &Server) {
    let answers = server.ksql(&format!("{SOURCES}{PROC}{FILES}")).await;
    let messages: Vec<&str> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| answer["commandStatus"]["message"].as_str().unwrap())
        .collect();
    assert_eq!(
        messages,
        [
            "Stream created",
            "Stream created",
            "Created query with ID CSAS_PROC_2",
            "Created query with ID CSAS_FILES_3"
        ]
    );
    assert_eq!(answers[2]["commandId"], "stream/`PROC`/create");
    assert_eq!(answers[2]["commandSequenceNumber"], 2);
    assert_eq!(answers[2]["commandStatus"]["queryId"], "CSAS_PROC_2");
}

async fn join(server: &Server) -> Push {
    server.push(JOIN, json!({})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_original_statements_find_who_wrote_the_file() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    declare(&server).await;
    let mut rows = join(&server).await;
    assert!(
        rows.header.starts_with(r#"[{"header":{"queryId":"transient_P_"#)
            && rows
                .header
                .ends_with("\",\"schema\":\"`HOST` STRING, `PROC` STRING, `FILE` STRING\"}},\n"),
        "{}",
        rows.header
    );

    let producer = broker.producer();
    for (name, pid) in [("osqueryd", 7), ("bash", 7), ("head", 7), ("cat", 8)] {
        produce(
            &producer,
            "processes",
            Some("host2"),
            &process("host2", name, pid),
        )
        .await;
    }
    for path in ["/dev/urandom", "/proc/1/fd", "", "/home/jay/myfile"] {
        produce(
            &producer,
            "open_files",
            Some("host2"),
            &open_file("host2", 7, path),
        )
        .await;
    }
    assert_eq!(
        rows.line().await.unwrap(),
        "{\"row\":{\"columns\":[\"host2\",\"/usr/bin/head\",\"/home/jay/myfile\"]}},\n"
    );

    // The sink's records: upper-case names, no key, the input's timestamp.
    let record = next_record(&broker.reader("PROC")).await;
    assert_eq!(
        value_of(&record),
        json!({"HOST": "host2", "NAME": "head", "PID": "7", "PATH": "/usr/bin/head"})
    );
    assert_eq!(rdkafka::Message::key(&record), None);
    server.stop().await;
    assert_eq!(
        rows.line().await.as_deref(),
        Some("{\"finalMessage\":\"Query Completed\"}]")
    );
    assert_eq!(rows.line().await, None);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_and_queries_survive_kill_9_and_lose_nothing() {
    let broker = Broker::start().await;
    let server = Server::start_process(&broker).await;
    declare(&server).await;
    server.ksql("PAUSE CSAS_FILES_3;").await;
    let producer = broker.producer();
    produce(&producer, "processes", None, &process("host1", "before", 1)).await;
    let sink = broker.reader("PROC");
    assert_eq!(value_of(&next_record(&sink).await)["NAME"], "before");

    server.kill().await;
    // While no server runs.
    produce(&producer, "processes", None, &process("host1", "meanwhile", 2)).await;
    produce(
        &producer,
        "open_files",
        None,
        &open_file("host1", 2, "/tmp/meanwhile"),
    )
    .await;
    let server = Server::start(&broker).await;

    let answers = server.ksql("LIST STREAMS; LIST QUERIES;").await;
    let names: Vec<&Value> = answers[0]["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| &stream["name"])
        .collect();
    assert_eq!(names, ["FILES", "OPEN_FILES", "PROC", "PROCESSES"]);
    let states: Vec<(&Value, &Value)> = answers[1]["queries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|query| (&query["id"], &query["state"]))
        .collect();
    assert_eq!(
        states,
        [
            (&json!("CSAS_FILES_3"), &json!("PAUSED")),
            (&json!("CSAS_PROC_2"), &json!("RUNNING"))
        ]
    );
    // At least once: what was not committed before the crash may come again, but nothing is missing.
    loop {
        let record = next_record(&sink).await;
        match value_of(&record)["NAME"].as_str().unwrap() {
            "before" => {}
            name => {
                assert_eq!(name, "meanwhile");
                break;
            }
        }
    }
    server.ksql("RESUME CSAS_FILES_3;").await;
    let files = broker.reader("FILES");
    assert_eq!(value_of(&next_record(&files).await)["PATH"], "/tmp/meanwhile");
    let (_, status) = server.get("/status/stream/`PROC`/create").await;
    assert_eq!(
        status,
        r#"{"status":"SUCCESS","message":"Created query with ID CSAS_PROC_2","queryId":"CSAS_PROC_2"}"#
    );
    let answers = server.ksql("CREATE STREAM more AS SELECT host FROM proc;").await;
    // The pause and the resumption had numbers, too.
    assert_eq!(answers[0]["commandStatus"]["queryId"], "CSAS_MORE_6");
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_stop_repeats_nothing() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    declare(&server).await;
    let producer = broker.producer();
    let sink = broker.reader("PROC");
    for round in 0..3 {
        let name = format!("round{round}");
        produce(&producer, "processes", None, &process("host1", &name, round)).await;
        assert_eq!(value_of(&next_record(&sink).await)["NAME"], name.as_str());
    }
    let took = server.stop().await;
    assert!(took < Duration::from_millis(1500), "{took:?}");
    let server = Server::start(&broker).await;
    produce(&producer, "processes", None, &process("host1", "after", 9)).await;
    assert_eq!(value_of(&next_record(&sink).await)["NAME"], "after");
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_go_on_when_the_broker_comes_back() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    declare(&server).await;
    let mut rows = join(&server).await;
    let producer = broker.producer();
    produce(&producer, "processes", None, &process("host1", "head", 3)).await;
    assert_eq!(
        value_of(&next_record(&broker.reader("PROC")).await)["NAME"],
        "head"
    );
    let broker = broker.restart().await;
    let producer = broker.producer();
    produce(
        &producer,
        "open_files",
        None,
        &open_file("host1", 3, "/tmp/after"),
    )
    .await;
    assert_eq!(rows.row().await, json!(["host1", "/usr/bin/head", "/tmp/after"]));
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_persistent_join_remembers_across_a_restart() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    declare(&server).await;
    let answers = server
        .ksql(
            "CREATE STREAM blamed AS SELECT p.pid, p.host AS host, p.path AS proc, f.path AS file FROM proc AS p \
             JOIN files AS f WITHIN 1 MINUTE ON f.pid = p.pid EMIT CHANGES;",
        )
        .await;
    let warning = answers[0]["warnings"][0]["message"].as_str().unwrap();
    assert!(
        warning.starts_with("DEPRECATION NOTICE: Stream-stream joins"),
        "{warning}"
    );
    let producer = broker.producer();
    let sink = broker.reader("BLAMED");
    produce(&producer, "processes", None, &process("host1", "head", 5)).await;
    produce(
        &producer,
        "open_files",
        None,
        &open_file("host1", 5, "/tmp/first"),
    )
    .await;
    assert_eq!(value_of(&next_record(&sink).await)["FILE"], "/tmp/first");
    server.stop().await;

    let server = Server::start(&broker).await;
    produce(
        &producer,
        "open_files",
        None,
        &open_file("host1", 5, "/tmp/second"),
    )
    .await;
    let record = next_record(&sink).await;
    assert_eq!(value_of(&record)["FILE"], "/tmp/second");
    assert_eq!(rdkafka::Message::key(&record), Some(b"5".as_slice()));
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_ends_the_response() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    declare(&server).await;
    let producer = broker.producer();
    for name in ["one", "two", "three"] {
        produce(&producer, "processes", None, &process("host1", name, 1)).await;
    }
    let mut rows = server
        .push(
            "SELECT columns['name'] AS name FROM processes EMIT CHANGES LIMIT 2;",
            json!({"auto.offset.reset": "earliest"}),
        )
        .await;
    assert_eq!(rows.line().await.unwrap(), "{\"row\":{\"columns\":[\"one\"]}},\n");
    assert_eq!(rows.line().await.unwrap(), "{\"row\":{\"columns\":[\"two\"]}},\n");
    assert_eq!(
        rows.line().await.unwrap(),
        "{\"finalMessage\":\"Limit Reached\"}]"
    );
    assert_eq!(rows.line().await, None);

    let (status, body) = server
        .post(
            "/query-stream",
            &json!({
                "sql": "SELECT columns['name'] AS name FROM processes EMIT CHANGES LIMIT 1;",
                "properties": {"auto.offset.reset": "earliest"},
            }),
        )
        .await;
    assert_eq!(status, 200);
    let (metadata, rest) = body.split_once('\n').unwrap();
    let metadata: Value = serde_json::from_str(metadata).unwrap();
    assert_eq!(metadata["columnNames"], json!(["NAME"]));
    assert_eq!(metadata["columnTypes"], json!(["STRING"]));
    assert_eq!(rest, "[\"one\"]\n");

    let (status, body) = server
        .post(
            "/query",
            &json!({"ksql": "PRINT processes FROM BEGINNING LIMIT 1;"}),
        )
        .await;
    assert_eq!(status, 200);
    let lines: Vec<&str> = body.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "Key format: ¯\\_(ツ)_/¯ - no data processed",
            "Value format: JSON or KAFKA_STRING"
        ]
    );
    assert!(
        lines[2].starts_with("rowtime: ") && lines[2].ends_with(", partition: 0"),
        "{}",
        lines[2]
    );
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_query_ends_with_its_client_or_when_it_is_closed() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    declare(&server).await;
    let mut closed = join(&server).await;
    let abandoned = join(&server).await;
    assert_eq!(push_queries(&server).await.len(), 2);
    drop(abandoned);
    let deadline = Instant::now() + support::DEADLINE;
    while push_queries(&server).await.len() > 1 {
        assert!(Instant::now() < deadline, "the abandoned query still runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let id = push_queries(&server).await.remove(0);
    let (status, _) = server.post("/close-query", &json!({"queryId": id})).await;
    assert_eq!(status, 200);
    assert_eq!(
        closed.line().await.as_deref(),
        Some("{\"finalMessage\":\"Query Completed\"}]")
    );
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_are_added_are_read() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql(
            "CREATE STREAM grown (v INT) WITH (KAFKA_TOPIC='grown', VALUE_FORMAT='JSON', PARTITIONS=1);
             CREATE STREAM seen AS SELECT v FROM grown;",
        )
        .await;
    let admin: AdminClient<_> = broker.client().create().unwrap();
    let more = NewPartitions::new("grown", 2);
    admin
        .create_partitions([&more], &AdminOptions::new())
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    let record = FutureRecord::<str, str>::to("grown")
        .partition(1)
        .payload("{\"v\": 7}");
    broker.producer().send(record, support::DEADLINE).await.unwrap();
    let reader = broker.reader("SEEN");
    assert_eq!(value_of(&next_record(&reader).await), json!({"V": 7}));
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_room_for_a_hundred_push_queries_also_at_once() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    declare(&server).await;
    let client = reqwest::Client::new();
    let mut asked = JoinSet::new();
    for _ in 0..110 {
        let body = json!({"ksql": "SELECT * FROM processes EMIT CHANGES;"}).to_string();
        asked.spawn(client.post(server.url("/query")).body(body).send());
    }
    let mut running = Vec::new();
    let mut refused = 0;
    while let Some(answer) = asked.join_next().await {
        let answer = answer.unwrap().unwrap();
        if answer.status().is_success() {
            running.push(answer);
        } else {
            let error: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            assert_eq!(error["error_code"], 40003, "{error}");
            refused += 1;
        }
    }
    assert_eq!((running.len(), refused), (100, 10));
    drop(running);
    server.stop().await;
    broker.stop().await;
}

async fn push_queries(server: &Server) -> Vec<String> {
    let answers = server.ksql("LIST QUERIES;").await;
    let queries = answers[0]["queries"].as_array().unwrap();
    queries
        .iter()
        .filter(|query| query["queryType"] == "PUSH")
        .map(|query| query["id"].as_str().unwrap().to_owned())
        .collect()
}

/// What every tutorial does to see why a row is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_processing_log_is_a_stream_where_it_is_wanted() {
    let broker = Broker::start().await;
    for _ in 0..2 {
        let server = Server::start_with(broker.address, |config| config.processing_log_stream = true).await;
        server.ready().await;
        server
            .ksql("CREATE STREAM IF NOT EXISTS s (id INT, ok BOOLEAN) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);")
            .await;
        let mut why = server
            .push(
                "SELECT message->deserializationError->errorMessage AS why FROM KSQL_PROCESSING_LOG EMIT CHANGES;",
                json!({"auto.offset.reset": "earliest"}),
            )
            .await;
        let _rows = server.push("SELECT * FROM s EMIT CHANGES;", json!({})).await;
        produce(&broker.producer(), "s", None, r#"{"id": 1, "ok": "maybe"}"#).await;
        let row = why.row().await;
        assert!(row[0].as_str().unwrap().ends_with("path: $.OK"), "{row}");
        server.stop().await;
    }
    broker.stop().await;
}
