//! The command log does not grow with what was dropped, and a restart finds everything all the same.

mod support;

use rdkafka::consumer::Consumer;
use serde_json::{Value, json};
use support::{Broker, DEADLINE, Server};

const LOG: &str = "_confluent-ksql-default__command_topic";

/// How many records the log holds.
fn held(broker: &Broker) -> i64 {
    let (low, high) = broker.reader(LOG).fetch_watermarks(LOG, 0, DEADLINE).unwrap();
    high - low
}

async fn start(broker: &Broker) -> Server {
    let server = Server::start_with(broker.address, |config| config.past_commands = 10).await;
    server.ready().await;
    server
}

/// Everything that commands make.
async fn all(server: &Server) -> Value {
    let answers = server
        .ksql("SHOW STREAMS; SHOW TYPES; SHOW QUERIES; DESCRIBE d; DESCRIBE s;")
        .await;
    let mut answers = answers.as_array().unwrap().clone();
    for answer in &mut answers {
        if let Some(queries) = answer.get_mut("queries") {
            queries.as_array_mut().unwrap().sort_by_key(ToString::to_string);
        }
    }
    json!(answers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_dropped_is_not_kept_and_what_exists_is() {
    let broker = Broker::start().await;
    let server = start(&broker).await;
    server
        .ksql(
            "CREATE TYPE address AS STRUCT<street STRING>;
             CREATE STREAM s (id INT KEY, n INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);
             CREATE STREAM d AS SELECT id, n FROM s;
             CREATE STREAM ended AS SELECT id, n FROM s;
             ALTER STREAM s ADD COLUMN a address;
             CREATE STREAM t (id INT KEY, n INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON', PARTITIONS=1);
             INSERT INTO t WITH (QUERY_ID='copy') SELECT id, n FROM s;
             INSERT INTO t WITH (QUERY_ID='gone') SELECT id, n FROM d;
             PAUSE copy; TERMINATE gone;",
        )
        .await;
    let queries = server.ksql("SHOW QUERIES;").await;
    let ended = queries[0]["queries"].as_array().unwrap().iter();
    let ended = ended
        .map(|query| query["id"].as_str().unwrap())
        .find(|id| id.starts_with("CSAS_ENDED"));
    server.ksql(&format!("TERMINATE {};", ended.unwrap())).await;
    for number in 0..30 {
        server
            .ksql(&format!(
                "CREATE STREAM passing AS SELECT id, n FROM d; DROP STREAM passing;
                 CREATE OR REPLACE STREAM d AS SELECT id, n FROM s WHERE n > {number};
                 RESUME copy; PAUSE copy;"
            ))
            .await;
    }
    // What exists takes twelve commands; as many again may be past, and ten.
    assert!(held(&broker) <= 40, "{}", held(&broker));
    let before = all(&server).await;
    let states: Vec<_> = before[2]["queries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|query| &query["state"])
        .collect();
    assert_eq!(states.len(), 2, "{before}");
    assert!(states.contains(&&json!("PAUSED")), "{before}");

    server.stop().await;
    for _ in 0..2 {
        restart(&broker, &before).await;
    }
    broker.stop().await;
}

/// Another server on the same log finds the same, and goes on.
async fn restart(broker: &Broker, before: &Value) {
    let server = start(broker).await;
    assert_eq!(all(&server).await, *before);
    for _ in 0..30 {
        server
            .ksql("CREATE STREAM passing (a address) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON'); DROP STREAM passing;")
            .await;
    }
    assert!(held(broker) <= 40, "{}", held(broker));
    server.stop().await;
}
