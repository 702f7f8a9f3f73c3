//! Apache Kafka's own `kafka-dump-log` reads the files of the broker.
//!
//! `scripts/kafka.sh` fetches it from Maven Central. Where it is neither there already nor must be (`CI`), there is
//! nothing to test with.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use rdkafka::producer::FutureProducer;
use support::{TestBroker, send};

const VERSION: &str = "3.9.2";
const KAFKA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/kafka.sh");
const FETCHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-tools/kafka-3.9.2");

fn logs(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            logs(&path, found);
        } else if path.extension().is_some_and(|suffix| suffix == "log") {
            found.push(path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_dump_log_reads_what_was_written() {
    if !Path::new(FETCHED).exists() && std::env::var_os("CI").is_none() {
        return;
    }
    let broker = TestBroker::start().await;
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for codec in codecs {
        let producer: FutureProducer = broker
            .client()
            .set("compression.type", codec)
            .set("enable.idempotence", "true")
            .create()
            .unwrap();
        let value = format!("{codec} {}", "value ".repeat(50));
        send(&producer, "lines", &value).await;
    }
    let (folder, _) = broker.stop().await;
    let mut files = Vec::new();
    logs(folder.path(), &mut files);
    assert_eq!(files.len(), 1, "{files:?}");
    let output = Command::new(KAFKA)
        .args(["tool", VERSION, "kafka.tools.DumpLogSegments"])
        .args(["--deep-iteration", "--print-data-log", "--files"])
        .arg(&files[0])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for (offset, codec) in codecs.iter().enumerate() {
        let batch = format!("baseOffset: {offset} lastOffset: {offset} count: 1 ");
        let found = text.lines().find(|line| line.starts_with(&batch)).expect(&batch);
        assert!(
            found.contains("isvalid: true") && found.contains(&format!("compresscodec: {codec}")),
            "{found}"
        );
        let record = format!("payload: {codec} value");
        assert!(text.contains(&record), "{text}");
    }
    assert!(!text.contains("Found"), "{text}");
}
