//! What happens when something ends, is lost or comes late.
//!
//! Long because every test binary links the whole server, and each fault is shown with what was before and what comes
//! after it.

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::TopicPartitionList;
use serde_json::{Value, json};
use support::{Broker, DEADLINE, Server, next_record, produce, produce_at, value_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    support::run_child().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_broker_is_killed() {
    let any_port = ([127, 0, 0, 1], 0).into();
    let broker = Broker::start_process(tempfile::tempdir().unwrap(), any_port).await;
    let server = Server::start(&broker).await;
    server
        .ksql(
            "CREATE STREAM s (n BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1); \
             CREATE STREAM d AS SELECT n FROM s;",
        )
        .await;
    let mut rows = server.push("SELECT n FROM d EMIT CHANGES;", json!({})).await;
    let producer = broker.producer();
    for n in 0..50 {
        produce(&producer, "s", None, &json!({"n": n}).to_string()).await;
    }
    let (folder, address) = broker.stop().await;
    let broker = Broker::start_process(folder, address).await;
    for n in 50..100 {
        produce(&producer, "s", None, &json!({"n": n}).to_string()).await;
    }
    let mut missing: BTreeSet<i64> = (0..100).collect();
    while !missing.is_empty() {
        let row = rows.row().await;
        missing.remove(&row[0].as_i64().unwrap());
    }
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_can_be_deleted_and_made_again() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql("CREATE STREAM s (n BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);")
        .await;
    for round in 0..3 {
        server.ksql("CREATE STREAM d AS SELECT n FROM s;").await;
        server.ksql(&format!("INSERT INTO s VALUES ({round});")).await;
        assert_eq!(
            value_of(&next_record(&broker.reader("D")).await),
            json!({"N": round})
        );
        server.ksql("DROP STREAM d DELETE TOPIC;").await;
    }
    server.stop().await;
    broker.stop().await;
}

/// Both sides of a join lie in several partitions, an hour apart from end to end: reading one side ahead of the
/// other would let the rows it needs expire.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_over_history_reads_its_sides_in_step() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql(
            "CREATE STREAM a (k VARCHAR KEY, n BIGINT) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='JSON', PARTITIONS=3); \
             CREATE STREAM b (k VARCHAR KEY, n BIGINT) WITH (KAFKA_TOPIC='b', VALUE_FORMAT='JSON', PARTITIONS=3);",
        )
        .await;
    let producer = broker.producer();
    let start = 1_700_000_000_000;
    let minute = 60_000;
    for topic in ["a", "b"] {
        for n in 0..60_i64 {
            let (key, value) = (format!("key{n}"), json!({"n": n}).to_string());
            produce_at(&producer, topic, Some(&key), &value, Some(start + n * minute)).await;
        }
    }
    let sql = "SELECT a.k AS k, a.n AS n, b.n AS m FROM a JOIN b WITHIN 1 MINUTE GRACE PERIOD 0 SECONDS \
               ON a.k = b.k EMIT CHANGES LIMIT 60;";
    let mut rows = server.push(sql, json!({"auto.offset.reset": "earliest"})).await;
    let mut missing: BTreeSet<i64> = (0..60).collect();
    while !missing.is_empty() {
        let row = rows.row().await;
        assert_eq!(row[1], row[2]);
        missing.remove(&row[1].as_i64().unwrap());
    }
    assert_eq!(
        rows.line().await.as_deref(),
        Some("{\"finalMessage\":\"Limit Reached\"}]")
    );
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_of_several_partitions_is_rebuilt_after_a_crash() {
    let broker = Broker::start().await;
    let server = Server::start_process(&broker).await;
    server
        .ksql(
            "CREATE STREAM a (k VARCHAR KEY, n BIGINT) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='JSON', PARTITIONS=3); \
             CREATE STREAM b (k VARCHAR KEY, n BIGINT) WITH (KAFKA_TOPIC='b', VALUE_FORMAT='JSON', PARTITIONS=3); \
             CREATE STREAM j WITH (PARTITIONS=1) AS SELECT a.k AS k, a.n AS n, b.n AS m FROM a JOIN b \
             WITHIN 1 MINUTE GRACE PERIOD 1 MINUTE ON a.k = b.k;",
        )
        .await;
    let producer = broker.producer();
    for n in 0..20 {
        produce(
            &producer,
            "a",
            Some(&format!("key{n}")),
            &json!({"n": n}).to_string(),
        )
        .await;
    }
    produce(&producer, "b", Some("key0"), &json!({"n": 100}).to_string()).await;
    let sink = broker.reader("J");
    assert_eq!(value_of(&next_record(&sink).await), json!({"N": 0, "M": 100}));
    // Once the position is committed, the left side is not read again but for the state.
    let newest = committed_metadata(&broker, "_confluent-ksql-default_query_CSAS_J_2", "b").await;
    assert!(newest > 1_700_000_000_000, "{newest}");
    server.kill().await;

    let server = Server::start(&broker).await;
    for n in 1..20 {
        let value = json!({"n": 100 + n}).to_string();
        produce(&producer, "b", Some(&format!("key{n}")), &value).await;
    }
    let mut missing: BTreeSet<i64> = (1..20).collect();
    while !missing.is_empty() {
        let row = value_of(&next_record(&sink).await);
        assert_eq!(row["M"].as_i64().unwrap(), row["N"].as_i64().unwrap() + 100);
        missing.remove(&row["N"].as_i64().unwrap());
    }
    server.stop().await;
    broker.stop().await;
}

/// The newest timestamp that a query has committed for a topic, of whichever partition has one first.
async fn committed_metadata(broker: &Broker, group: &str, topic: &str) -> i64 {
    let consumer: BaseConsumer = broker.client().set("group.id", group).create().unwrap();
    let deadline = Instant::now() + DEADLINE;
    loop {
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_range(topic, 0, 2);
        let committed = consumer.committed_offsets(partitions, DEADLINE).unwrap();
        let newest = committed
            .elements()
            .iter()
            .find_map(|element| element.metadata().parse().ok());
        if let Some(newest) = newest {
            return newest;
        }
        assert!(Instant::now() < deadline, "{committed:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_quick_whatever_is_open() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql(
            "CREATE STREAM s (n BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1); \
             CREATE STREAM d AS SELECT n FROM s;",
        )
        .await;
    let mut rows = server.push("SELECT n FROM d EMIT CHANGES;", json!({})).await;
    server.ksql("INSERT INTO s VALUES (1);").await;
    assert_eq!(rows.row().await, json!([1]));
    let took = server.stop().await;
    assert_eq!(
        rows.line().await.as_deref(),
        Some("{\"finalMessage\":\"Query Completed\"}]")
    );
    // 300 ms on an idle machine; the tests share theirs.
    assert!(took < Duration::from_secs(1), "{took:?}");

    // The broker is gone: there is nobody to commit to.
    let server = Server::start(&broker).await;
    broker.stop().await;
    let took = server.stop().await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_holds_up_nobody() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql("CREATE STREAM s (t VARCHAR) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);")
        .await;
    let _lazy = server.push("SELECT t FROM s EMIT CHANGES;", json!({})).await;
    let mut eager = server.push("SELECT t FROM s EMIT CHANGES;", json!({})).await;
    let producer = broker.producer();
    let value = json!({"t": "x".repeat(100_000)}).to_string();
    for _ in 0..200 {
        produce(&producer, "s", None, &value).await;
        let row: Value = eager.row().await;
        assert_eq!(row[0].as_str().unwrap().len(), 100_000);
    }
    server.stop().await;
    broker.stop().await;
}

/// A real broker that comes back does not know its topics for a moment. An empty one in its place says the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_that_are_unknown_for_a_moment_end_no_query_and_repeat_nothing() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql(
            "CREATE STREAM s (n BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1); \
             CREATE STREAM d AS SELECT n FROM s;",
        )
        .await;
    let mut rows = server.push("SELECT n FROM s EMIT CHANGES;", json!({})).await;
    let producer = broker.producer();
    for n in 0..20 {
        produce(&producer, "s", None, &json!({"n": n}).to_string()).await;
        assert_eq!(rows.row().await, json!([n]));
    }
    // Nothing is under way: what the empty broker took would be gone with it.
    let sink = broker.reader("D");
    for n in 0..20 {
        assert_eq!(value_of(&next_record(&sink).await), json!({"N": n}));
    }
    drop((sink, producer));
    let (folder, address) = broker.stop().await;
    let empty = Broker::start_in(tempfile::tempdir().unwrap(), address).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    empty.stop().await;
    let broker = Broker::start_in(folder, address).await;
    let producer = broker.producer();
    for n in 20..40 {
        produce(&producer, "s", None, &json!({"n": n}).to_string()).await;
    }
    for n in 20..40 {
        assert_eq!(rows.row().await, json!([n]));
    }
    let sink = broker.reader("D");
    for n in 0..40 {
        assert_eq!(value_of(&next_record(&sink).await), json!({"N": n}));
    }
    let described = server.ksql("SHOW QUERIES EXTENDED;").await;
    let errors = &described[0]["queryDescriptions"][0]["queryErrors"];
    assert_eq!(errors, &json!([]), "{described}");
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_gone_for_good_ends_a_push_query() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql(
            "CREATE STREAM s (n BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1); \
             CREATE STREAM other (n BIGINT) WITH (KAFKA_TOPIC='other', VALUE_FORMAT='JSON', PARTITIONS=1);",
        )
        .await;
    let mut rows = server.push("SELECT n FROM s EMIT CHANGES;", json!({})).await;
    server.ksql("INSERT INTO s VALUES (1);").await;
    assert_eq!(rows.row().await, json!([1]));
    server.ksql("DROP STREAM s DELETE TOPIC;").await;
    let line = rows.line().await.unwrap();
    assert!(line.contains("errorMessage"), "{line}");
    server.stop().await;
    broker.stop().await;
}

/// What a crash repeats is bounded by records too, not by a second's worth of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_repeats_nothing_and_a_crash_a_bounded_number_of_records() {
    let broker = Broker::start().await;
    let server = Server::start_process(&broker).await;
    server
        .ksql(
            "CREATE STREAM s (n BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1); \
             CREATE STREAM d AS SELECT n FROM s;",
        )
        .await;
    let producer = broker.producer();
    let write = async |numbers: std::ops::Range<u32>| {
        let records: Vec<String> = numbers.map(|n| json!({"n": n}).to_string()).collect();
        let sent: Vec<_> = records
            .iter()
            .map(|value| {
                let record = rdkafka::producer::FutureRecord::<str, str>::to("s").payload(value);
                producer.send_result(record).map_err(|(error, _)| error).unwrap()
            })
            .collect();
        for delivery in sent {
            delivery.await.unwrap().unwrap();
        }
    };
    let sink = broker.reader("D");
    let mut copies = std::collections::BTreeMap::<i64, u32>::new();
    let mut read = async |until: i64| {
        while !copies.contains_key(&until) {
            let n = value_of(&next_record(&sink).await)["N"].as_i64().unwrap();
            *copies.entry(n).or_default() += 1;
        }
        copies.values().map(|count| u64::from(count - 1)).sum::<u64>()
    };
    write(0..60_000).await;
    assert_eq!(read(50_000).await, 0);
    server.kill().await;
    let server = Server::start(&broker).await;
    write(60_000..60_001).await;
    let repeated = read(60_000).await;
    // A commit of 5,000 records that is under way, as many behind it, and what is taken at a time.
    assert!(repeated <= 10_200, "{repeated}");

    // In the middle of more.
    let (_, before_stop) = tokio::join!(write(60_001..90_000), read(70_000));
    server.stop().await;
    let server = Server::start(&broker).await;
    write(90_000..90_001).await;
    assert_eq!(read(90_000).await, before_stop);
    server.stop().await;
    broker.stop().await;
}

/// The processor time a process has used, in ticks of 10 ms.
fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name, in parentheses, may have spaces in it.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// Clients that cannot connect try again more and more seldom, and whoever waits for them does not look on.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_costs_little() {
    let broker = Broker::start().await;
    let server = Server::start_process(&broker).await;
    server
        .ksql(
            "CREATE STREAM s (n BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=4); \
             CREATE STREAM d AS SELECT n FROM s; \
             CREATE TABLE c AS SELECT n, COUNT(*) AS times FROM s GROUP BY n;",
        )
        .await;
    let mut rows = server.push("SELECT n FROM s EMIT CHANGES;", json!({})).await;
    server.ksql("INSERT INTO s VALUES (1);").await;
    assert_eq!(rows.row().await, json!([1]));
    let (folder, address) = broker.stop().await;
    let process = server.process_id();
    // What follows the end of the connections is no part of it.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = cpu_ticks(process);
    let watched = Duration::from_secs(5);
    tokio::time::sleep(watched).await;
    let used = Duration::from_millis((cpu_ticks(process) - before) * 10);
    // 3 % of a core without optimization.
    assert!(used * 10 < watched, "{used:?} of {watched:?}");
    // It was not asleep either.
    let broker = Broker::start_in(folder, address).await;
    server.ksql("INSERT INTO s VALUES (2);").await;
    assert_eq!(rows.row().await, json!([2]));
    server.kill().await;
    broker.stop().await;
}

/// A record's headers as texts.
fn headers_of(record: &rdkafka::message::OwnedMessage) -> Vec<String> {
    use rdkafka::message::{Headers, Message};
    let headers = record.headers().into_iter().flat_map(Headers::iter);
    headers
        .map(|header| format!("{}={:?}", header.key, header.value.map(String::from_utf8_lossy)))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_and_old_times_are_carried_to_the_sink() {
    use rdkafka::message::{Header, Message, OwnedHeaders};
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql(
            "CREATE STREAM s (n BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1); \
             CREATE STREAM u (n BIGINT) WITH (KAFKA_TOPIC='u', VALUE_FORMAT='JSON', PARTITIONS=1); \
             CREATE STREAM d AS SELECT n FROM s; \
             CREATE STREAM j AS SELECT s.n AS n, s.n + 1 AS m FROM s JOIN u WITHIN 1 HOUR ON s.n = u.n;",
        )
        .await;
    let producer = broker.producer();
    let send = async |topic: &str, time: i64, headers: OwnedHeaders| {
        let record = rdkafka::producer::FutureRecord::<str, str>::to(topic)
            .payload("{\"n\":1}")
            .timestamp(time)
            .headers(headers);
        let sent = producer.send(record, DEADLINE).await;
        sent.map_err(|(error, _)| error).unwrap();
    };
    let header = |key, value| Header { key, value };
    let headers = OwnedHeaders::new()
        .insert(header("a", Some("1")))
        .insert(header("b", None))
        .insert(header("a", Some("2")));
    send("s", 1_000, headers).await;
    let written = next_record(&broker.reader("D")).await;
    assert_eq!(written.timestamp().to_millis(), Some(1_000));
    assert_eq!(
        headers_of(&written),
        [r#"a=Some("1")"#, "b=None", r#"a=Some("2")"#]
    );

    // Those of the record that came last, from whichever side, however old it is.
    let joined = broker.reader("J");
    send("u", 500, OwnedHeaders::new().insert(header("side", Some("u")))).await;
    let row = next_record(&joined).await;
    assert_eq!(row.timestamp().to_millis(), Some(1_000));
    assert_eq!(headers_of(&row), [r#"side=Some("u")"#]);
    send("s", 2_000, OwnedHeaders::new().insert(header("side", Some("s")))).await;
    let row = next_record(&joined).await;
    assert_eq!(row.timestamp().to_millis(), Some(2_000));
    assert_eq!(headers_of(&row), [r#"side=Some("s")"#]);
    server.stop().await;
    broker.stop().await;
}
