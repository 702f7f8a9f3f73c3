//! `processing.guarantee=exactly_once_v2`: a server that is killed at any moment leaves nothing missing and nothing
//! twice for those who read what is committed.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::message::Message;
use rdkafka::producer::FutureRecord;
use serde_json::json;
use support::{Broker, Server, next_record, value_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    support::run_child().await;
}

/// How many records there are, and how many are written between two kills.
const RECORDS: i64 = 3_200;
const ROUND: i64 = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_again_and_again_repeats_nothing() {
    let broker = Broker::start().await;
    let mut server = Server::start_process(&broker).await;
    server
        .ksql(
            "CREATE STREAM s (g STRING, n BIGINT) WITH (kafka_topic='s', value_format='JSON', partitions=1);",
        )
        .await;
    let statements = "CREATE STREAM d AS SELECT g, n FROM s;
        CREATE TABLE o AS SELECT g, COUNT(*) AS c FROM d GROUP BY g;
        CREATE TABLE f AS SELECT g, COUNT(*) AS c FROM s
            WINDOW TUMBLING (SIZE 10 MILLISECONDS, GRACE PERIOD 0 MILLISECONDS) GROUP BY g EMIT FINAL;";
    let body = json!({"ksql": statements, "streamsProperties":
        {"processing.guarantee": "exactly_once_v2", "auto.offset.reset": "earliest"}});
    let (status, answer) = server.post("/ksql", &body).await;
    assert_eq!(status, 200, "{answer}");

    let producer = broker.producer();
    let mut wait = 7_u64;
    for first in (0..RECORDS).step_by(usize::try_from(ROUND).unwrap()) {
        let sent: Vec<_> = (first..first + ROUND)
            .map(|n| {
                let value = json!({"g": format!("g{}", n % 3), "n": n}).to_string();
                let record = FutureRecord::<str, str>::to("s").payload(&value).timestamp(1 + n);
                producer.send_result(record).map_err(|(error, _)| error).unwrap()
            })
            .collect();
        for delivery in sent {
            delivery.await.unwrap().unwrap();
        }
        // Some other moment each time: while it restores, in a transaction, during a commit.
        wait = wait * 31 % 251;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        server.kill().await;
        server = Server::start_process(&broker).await;
    }

    let copied = broker.reader("D");
    for n in 0..RECORDS {
        assert_eq!(value_of(&next_record(&copied).await)["N"], n);
    }
    let counted = broker.reader("O");
    let mut counts = BTreeMap::new();
    for _ in 0..RECORDS {
        let record = next_record(&counted).await;
        let count: &mut i64 = counts.entry(record.key().unwrap().to_vec()).or_default();
        *count += 1;
        assert_eq!(value_of(&record)["C"], *count, "{:?}", record.key());
    }
    // All windows but the last have closed.
    let mut closed = BTreeMap::new();
    for n in 0..RECORDS {
        let start = (1 + n) / 10 * 10;
        if start + 10 <= RECORDS {
            *closed.entry((format!("g{}", n % 3), start)).or_insert(0_i64) += 1;
        }
    }
    let last = broker.reader("F");
    while !closed.is_empty() {
        let record = next_record(&last).await;
        let (group, start) = record.key().unwrap().split_last_chunk().unwrap();
        let window = (
            String::from_utf8(group.to_vec()).unwrap(),
            i64::from_be_bytes(*start),
        );
        let expected = closed.remove(&window);
        assert_eq!(value_of(&record)["C"].as_i64(), expected, "{window:?}");
    }
    // What was refused or repeated would have come by now: the end of each topic is behind all of it.
    for reader in [copied, counted, last] {
        let more = tokio::time::timeout(Duration::from_millis(300), reader.recv()).await;
        assert!(more.is_err(), "{more:?}");
    }
    server.kill().await;
    broker.stop().await;
}

/// librdkafka takes 0 for no time, and would write that of now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_time_0_is_written_in_a_transaction_with_time_1() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    let statements = "CREATE STREAM s (n BIGINT) WITH (kafka_topic='s', value_format='JSON', partitions=1);
        CREATE STREAM plain AS SELECT n FROM s;
        SET 'processing.guarantee'='exactly_once_v2';
        CREATE STREAM once AS SELECT n FROM s;";
    server.ksql(statements).await;
    server
        .ksql("INSERT INTO s (ROWTIME, n) VALUES (0, 7); INSERT INTO s (ROWTIME, n) VALUES (2, 8);")
        .await;
    for (topic, times) in [("s", [0, 2]), ("PLAIN", [0, 2]), ("ONCE", [1, 2])] {
        let reader = broker.reader(topic);
        for (time, n) in times.into_iter().zip([7, 8]) {
            let record = next_record(&reader).await;
            assert_eq!(record.timestamp().to_millis(), Some(time), "{topic}");
            let value = value_of(&record);
            let told = value.get("N").or(value.get("n"));
            assert_eq!(told, Some(&json!(n)), "{topic}");
        }
    }
    server.stop().await;
    broker.stop().await;
}
