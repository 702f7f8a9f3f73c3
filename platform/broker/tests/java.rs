//! Apache Kafka's own Java: its tool for log files reads the broker's, its clients run transactions on the broker.
//!
//! `scripts/kafka.sh` fetches it from Maven Central. Where it is neither there already nor must be (`CI`), this says so and
//! is skipped.

mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use rdkafka::consumer::Consumer;
use rdkafka::producer::{FutureProducer, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};
use support::{DEADLINE, TestBroker, receive, send, subscribed};

/// The two lines of releases that are in use.
const VERSIONS: [&str; 2] = ["3.9.2", "4.2.0"];
const KAFKA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/kafka.sh");
const FETCHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-tools");

/// Whether there is something to test with.
fn has_kafka() -> bool {
    let fetched = |version| Path::new(&format!("{FETCHED}/kafka-{version}")).exists();
    let has_it = std::env::var_os("CI").is_some() || VERSIONS.into_iter().all(fetched);
    if !has_it {
        // Past the test harness, which hides what a passing test prints.
        let _ = writeln!(
            std::io::stderr(),
            "\n*** SKIPPED: Apache Kafka is not fetched (`scripts/kafka.sh fetch`); {:?} did not run ***",
            std::thread::current().name().unwrap_or_default()
        );
    }
    has_it
}

/// Runs one of Kafka's tools to its end; what it prints.
async fn tool(version: &str, class: &str, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new(KAFKA)
        .args(["tool", version, class])
        .args(arguments)
        .kill_on_drop(true)
        .output();
    // A Java machine on a busy one takes its time to come up.
    let output = tokio::time::timeout(6 * DEADLINE, output)
        .await
        .expect("in time")
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{class} of {version}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

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
    if !has_kafka() {
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
    for commits in [true, false] {
        let producer: FutureProducer = broker.client().set("transactional.id", "mine").create().unwrap();
        let begun = producer.clone();
        let begun = tokio::task::spawn_blocking(move || begun.init_transactions(DEADLINE));
        begun.await.unwrap().unwrap();
        producer.begin_transaction().unwrap();
        send(&producer, "lines", "in a transaction").await;
        let ended = tokio::task::spawn_blocking(move || match commits {
            true => producer.commit_transaction(DEADLINE),
            false => producer.abort_transaction(DEADLINE),
        });
        ended.await.unwrap().unwrap();
    }
    let (folder, _) = broker.stop().await;
    let mut files = Vec::new();
    logs(folder.path(), &mut files);
    assert_eq!(files.len(), 1, "{files:?}");
    let file = files[0].to_str().unwrap();
    let arguments = ["--deep-iteration", "--print-data-log", "--files", file];
    let text = tool(VERSIONS[0], "kafka.tools.DumpLogSegments", &arguments).await;
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
    let markers = ["endTxnMarker: COMMIT", "endTxnMarker: ABORT"];
    assert!(markers.iter().all(|marker| text.contains(marker)), "{text}");
    assert!(
        !text.contains("Found") && !text.contains("isvalid: false"),
        "{text}"
    );
}

/// Reads in a group, and writes copies and offsets in transactions of ten, some of which it aborts.
#[tokio::test(flavor = "multi_thread")]
async fn javas_transactions_copy_every_record_once() {
    if !has_kafka() {
        return;
    }
    for version in VERSIONS {
        let broker = TestBroker::start().await;
        let producer = broker.producer();
        for number in 0..100 {
            send(&producer, "lines", &number.to_string()).await;
        }
        #[rustfmt::skip]
        let arguments = [
            "--broker-list", &broker.bootstrap, "--input-topic", "lines", "--input-partition", "0",
            "--output-topic", "copies", "--consumer-group", "copier", "--transactional-id", "copier",
            "--transaction-size", "10", "--enable-random-aborts", "--use-group-metadata",
        ];
        tool(
            version,
            "org.apache.kafka.tools.TransactionalMessageCopier",
            &arguments,
        )
        .await;
        let settings = [("isolation.level", "read_committed")];
        let consumer = support::consumer(&broker.bootstrap, "readers", &settings);
        let copies = receive(&subscribed(consumer, "copies"), 100).await;
        let copies = copies
            .iter()
            .map(|copy| copy.payload_view::<str>().unwrap().unwrap());
        let expected: Vec<String> = (0..100).map(|number: i32| number.to_string()).collect();
        assert_eq!(copies.collect::<Vec<_>>(), expected, "{version}");
        let observer = broker.consumer("copier");
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition("lines", 0);
        let committed = observer.committed_offsets(wanted, DEADLINE).unwrap();
        assert_eq!(committed.elements()[0].offset(), Offset::Offset(100), "{version}");
        broker.stop().await;
    }
}

/// Java's consumers of the newer group protocol read in a group whose partitions the broker assigns, and Kafka's own tool
/// shows it.
#[tokio::test(flavor = "multi_thread")]
async fn javas_consumers_leave_their_partitions_to_the_broker() {
    if !has_kafka() {
        return;
    }
    for version in VERSIONS {
        let broker = TestBroker::start().await;
        let producer = broker.producer();
        for number in 0..20 {
            send(&producer, "lines", &number.to_string()).await;
        }
        #[rustfmt::skip]
        let arguments = [
            "--bootstrap-server", &broker.bootstrap, "--topic", "lines", "--group-id", "readers",
            "--group-protocol", "consumer", "--group-remote-assignor", "range", "--max-messages", "20",
            "--reset-policy", "earliest",
        ];
        let events = tool(version, "org.apache.kafka.tools.VerifiableConsumer", &arguments).await;
        assert!(
            events.contains("\"name\":\"partitions_assigned\""),
            "{version}: {events}"
        );
        let command = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
        let server = ["--bootstrap-server", &broker.bootstrap];
        let list = tool(version, command, &[&server[..], &["--list", "--type"]].concat()).await;
        let listed = list
            .lines()
            .find(|line| line.starts_with("readers"))
            .unwrap_or("");
        assert!(listed.to_lowercase().contains("consumer"), "{version}: {list}");
        let describe = ["--describe", "--group", "readers"];
        let lag = tool(version, command, &[&server[..], &describe].concat()).await;
        let found = lag.lines().find(|line| line.contains("lines")).unwrap_or("");
        let words: Vec<&str> = found.split_whitespace().collect();
        assert_eq!(
            words.get(2..6),
            Some(&["0", "20", "20", "0"][..]),
            "{version}: {lag}"
        );
        broker.stop().await;
    }
}
