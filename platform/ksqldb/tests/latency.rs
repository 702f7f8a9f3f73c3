//! Figures: how long a record takes through the pipeline, and what a server costs at rest.
//! Run with `cargo test --test latency -- --ignored --nocapture`.
#![allow(clippy::print_stdout, reason = "the figures are the result")]

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::{Broker, Server, produce};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    support::run_child().await;
}

async fn declare(server: &Server) {
    server
        .ksql(
            "CREATE STREAM left_in (id BIGINT, at VARCHAR) WITH (KAFKA_TOPIC='left_in', VALUE_FORMAT='JSON', PARTITIONS=1);
             CREATE STREAM right_in (id BIGINT, at VARCHAR) WITH (KAFKA_TOPIC='right_in', VALUE_FORMAT='JSON', PARTITIONS=1);
             CREATE STREAM l AS SELECT id, at FROM left_in WHERE at <> 'never';
             CREATE STREAM r AS SELECT id, at FROM right_in WHERE at <> 'never';",
        )
        .await;
}

fn print_quantiles(name: &str, mut samples: Vec<Duration>) {
    samples.sort_unstable();
    let at = |share: f64| {
        let index = (samples.len() as f64 * share) as usize;
        samples[index.min(samples.len() - 1)]
    };
    println!(
        "{name}: p50 {:?}, p99 {:?}, most {:?}",
        at(0.5),
        at(0.99),
        samples[samples.len() - 1]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; asserts nothing"]
async fn a_record_through_the_pipeline() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    declare(&server).await;
    let producer = broker.producer();
    let mut rows = server.push("SELECT id FROM l EMIT CHANGES;", json!({})).await;
    let mut samples = Vec::new();
    for id in 0..1000 {
        let began = Instant::now();
        produce(
            &producer,
            "left_in",
            None,
            &json!({"id": id, "at": "x"}).to_string(),
        )
        .await;
        assert_eq!(rows.row().await, json!([id]));
        if id >= 100 {
            samples.push(began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    print_quantiles("record -> topic -> CSAS -> topic -> push row", samples);

    let mut rows = server
        .push(
            "SELECT l.id AS id FROM l JOIN r WITHIN 1 MINUTE ON l.id = r.id EMIT CHANGES;",
            json!({}),
        )
        .await;
    let mut samples = Vec::new();
    for id in 0..1000 {
        produce(
            &producer,
            "left_in",
            None,
            &json!({"id": id, "at": "x"}).to_string(),
        )
        .await;
        let began = Instant::now();
        produce(
            &producer,
            "right_in",
            None,
            &json!({"id": id, "at": "x"}).to_string(),
        )
        .await;
        assert_eq!(rows.row().await, json!([id]));
        if id >= 100 {
            samples.push(began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    print_quantiles("record -> topic -> CSAS -> topic -> join -> push row", samples);
    println!("stop with an open push query: {:?}", server.stop().await);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; asserts nothing"]
async fn a_backlog() {
    const RECORDS: i64 = 50_000;
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql("CREATE STREAM s (id BIGINT, at VARCHAR) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);")
        .await;
    let producer = broker.producer();
    let mut sent = Vec::new();
    for id in 0..RECORDS {
        let value = json!({"id": id, "at": "x"}).to_string();
        let record = rdkafka::producer::FutureRecord::<str, str>::to("s").payload(&value);
        sent.push(producer.send_result(record).map_err(|(error, _)| error).unwrap());
    }
    for delivery in sent {
        delivery.await.unwrap().map_err(|(error, _)| error).unwrap();
    }
    let began = Instant::now();
    server
        .ksql("SET 'auto.offset.reset'='earliest'; CREATE STREAM d AS SELECT id, at FROM s WHERE id >= 0;")
        .await;
    let reader = broker.reader("D");
    for _ in 0..RECORDS {
        support::next_record(&reader).await;
    }
    let rate = RECORDS as f64 / began.elapsed().as_secs_f64();
    println!("backlog through one query to its topic: {rate:.0} records/s");
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; asserts nothing"]
async fn a_server_at_rest() {
    let broker = Broker::start().await;
    let began = Instant::now();
    let server = Server::start_process(&broker).await;
    println!("process to ready: {:?}", began.elapsed());
    let began = Instant::now();
    declare(&server).await;
    println!("two sources and two queries: {:?}", began.elapsed());
    let began = Instant::now();
    let _rows = server
        .push(
            "SELECT l.id AS id FROM l JOIN r WITHIN 1 MINUTE ON l.id = r.id EMIT CHANGES;",
            json!({}),
        )
        .await;
    println!("push query to header: {:?}", began.elapsed());
    let producer = broker.producer();
    let pid = server.process_id();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (before, began) = (cpu_ticks(pid), Instant::now());
    tokio::time::sleep(Duration::from_secs(10)).await;
    let idle = cpu_ticks(pid) - before;
    println!(
        "idle: {:.2} % of a core",
        idle as f64 / began.elapsed().as_secs_f64()
    );
    let (before, began) = (cpu_ticks(pid), Instant::now());
    for id in 0..10 {
        for topic in ["left_in", "right_in"] {
            produce(&producer, topic, None, &json!({"id": id, "at": "x"}).to_string()).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let busy = cpu_ticks(pid) - before;
    println!(
        "a record a second on each side: {:.2} % of a core",
        busy as f64 / began.elapsed().as_secs_f64()
    );
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in status
        .lines()
        .filter(|line| line.starts_with("VmRSS") || line.starts_with("Threads"))
    {
        println!("{line}");
    }
    server.kill().await;
    broker.stop().await;
}

/// The processor time a process has used, in ticks of 10 ms.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
