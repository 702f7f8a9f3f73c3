//! What Prometheus reads, and who may.

mod support;

use std::collections::BTreeMap;

use support::{DEADLINE, TestBroker, receive, send, subscribed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Asks as a client would; the status line and the text.
async fn ask(address: std::net::SocketAddr, path: &str, host: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let question = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(question.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut answer))
        .await
        .expect("in time")
        .unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").expect("a head");
    (
        head.lines().next().unwrap_or_default().to_owned(),
        text.to_owned(),
    )
}

/// Every sample, after checking that each is of the family before it.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut family = "";
    let mut found = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap();
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(name.split('{').next(), Some(family), "{line}");
            let before = found.insert(name.to_owned(), value.parse().unwrap());
            assert!(before.is_none(), "{name} twice");
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_by_kafkas_names_what_came_and_went() {
    let broker = TestBroker::start_with(|config| config.metrics = Some("127.0.0.1:0".parse().unwrap())).await;
    let address = broker.metrics.expect("an address");
    let producer = broker.producer();
    for _ in 0..5 {
        send(&producer, "lines", "value").await;
    }
    let consumer = subscribed(broker.consumer("readers"), "lines");
    receive(&consumer, 5).await;
    let host = address.to_string();
    let (status, text) = ask(address, "/metrics", &host).await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    let samples = samples(&text);
    let of = |name: &str| *samples.get(name).unwrap_or_else(|| panic!("{name} in {text}"));
    for (name, value) in [
        (
            r#"kafka_server_brokertopicmetrics_messagesin_total{topic="lines"}"#,
            5.0,
        ),
        ("kafka_server_brokertopicmetrics_messagesin_total", 5.0),
        (r#"kafka_log_log_logendoffset{topic="lines",partition="0"}"#, 5.0),
        (
            r#"kafka_log_log_numlogsegments{topic="lines",partition="0"}"#,
            1.0,
        ),
        ("kafka_server_replicamanager_underreplicatedpartitions", 0.0),
        ("kafka_controller_kafkacontroller_globaltopiccount", 1.0),
        (
            "kafka_coordinator_group_groupmetadatamanager_numgroupsstable",
            1.0,
        ),
        (
            r#"kafka_server_group_coordinator_metrics_group_count{protocol="classic"}"#,
            1.0,
        ),
    ] {
        assert!((of(name) - value).abs() < f64::EPSILON, "{name} is {}", of(name));
    }
    let bytes = r#"kafka_server_brokertopicmetrics_bytesin_total{topic="lines"}"#;
    let size = r#"kafka_log_log_size{topic="lines",partition="0"}"#;
    assert!((of(bytes) - of(size)).abs() < f64::EPSILON, "{text}");
    // Whoever reads is sent all of it, and may be sent a part again.
    assert!(of(r#"kafka_server_brokertopicmetrics_bytesout_total{topic="lines"}"#) >= of(bytes));
    assert!(of(r#"kafka_network_requestmetrics_requests_total{request="Produce"}"#) >= 1.0);
    assert!(of("kafka_server_socketservermetrics_connection_count") >= 2.0);
    assert!(of("process_resident_memory_bytes") > 0.0);
    assert!(of("process_cpu_seconds_total") >= 0.0);

    let (status, text) = ask(address, "/metrics", "rebound.example").await;
    assert_eq!(status, "HTTP/1.1 403 Forbidden");
    assert!(
        text.contains("--allow-host") || text.contains("rebound.example"),
        "{text}"
    );
    assert_eq!(ask(address, "/", &host).await.0, "HTTP/1.1 404 Not Found");
    drop(consumer);
    broker.stop().await;
}
