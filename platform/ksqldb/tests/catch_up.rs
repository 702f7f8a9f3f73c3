//! Queries that catch up: which of them is faster changes no row.

mod support;

use rdkafka::Message as _;
use rdkafka::producer::FutureRecord;
use serde_json::json;
use support::{Broker, DEADLINE, Server, next_record};

const WITHIN_MS: i64 = 60_000;
const SPAN_MS: i64 = 6 * 60 * 60 * 1000;

/// Times from 0 to the end of the span.
fn times(step: i64) -> impl Iterator<Item = i64> {
    (0..SPAN_MS / step).map(move |number| number * step)
}

/// The statements are there, and all records are, before the server: the query over the shorter topic is done long
/// before the other, and yet no joined row is missing, and none is there twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_of_what_two_queries_write_misses_nothing() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql(
            "CREATE STREAM many (pid STRING, n BIGINT) WITH (kafka_topic='many', value_format='JSON', partitions=1);
             CREATE STREAM few (pid STRING, n BIGINT) WITH (kafka_topic='few', value_format='JSON', partitions=1);",
        )
        .await;
    let producer = broker.producer();
    let mut deliveries = Vec::new();
    let (many, few): (Vec<i64>, Vec<i64>) = (times(2_000).collect(), times(18_000).collect());
    for (topic, times) in [("many", &many), ("few", &few)] {
        for time in times {
            let value = json!({"PID": (time / 2_000 % 5).to_string(), "N": time}).to_string();
            let record = FutureRecord::<str, str>::to(topic)
                .payload(&value)
                .timestamp(*time + 1);
            deliveries.push(producer.send_result(record).unwrap());
        }
    }
    for delivery in deliveries {
        delivery.await.unwrap().unwrap();
    }
    let mut expected: Vec<(i64, i64)> = Vec::new();
    for one in &many {
        let near = few.iter().filter(|other| (*other - one).abs() <= WITHIN_MS);
        let same = near.filter(|other| **other / 2_000 % 5 == one / 2_000 % 5);
        expected.extend(same.map(|other| (*one, *other)));
    }
    let statements = "CREATE STREAM p AS SELECT pid, n FROM many WHERE n >= 0;
        CREATE STREAM f AS SELECT pid, n FROM few;
        CREATE STREAM j AS SELECT p.pid AS pid, p.n AS a, f.n AS b FROM p
            JOIN f WITHIN 1 MINUTE GRACE PERIOD 1 MINUTE ON p.pid = f.pid;";
    let body = json!({"ksql": statements, "streamsProperties": {"auto.offset.reset": "earliest"}});
    let (status, answer) = server.post("/ksql", &body).await;
    assert_eq!(status, 200, "{answer}");

    let reader = broker.reader("J");
    let mut joined: Vec<(i64, i64)> = Vec::new();
    let began = std::time::Instant::now();
    while joined.len() < expected.len() {
        assert!(
            began.elapsed() < 4 * DEADLINE,
            "{} of {} rows",
            joined.len(),
            expected.len()
        );
        let message = next_record(&reader).await;
        let value: serde_json::Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
        joined.push((value["A"].as_i64().unwrap(), value["B"].as_i64().unwrap()));
    }
    joined.sort_unstable();
    assert_eq!(joined, expected);
    server.stop().await;
    broker.stop().await;
}
