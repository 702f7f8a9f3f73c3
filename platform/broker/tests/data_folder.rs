//! What the broker finds in its data folder: what an earlier version left, and what somebody took away.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use osqdemo_broker::Error;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use support::{DEADLINE, TestBroker, config, send};

/// Every record's value, by topic and offset; reads each partition from its first offset to its end.
fn everything(broker: &TestBroker) -> BTreeMap<(String, i64), Vec<u8>> {
    let reader: BaseConsumer = broker.client().set("group.id", "everything").create().unwrap();
    let metadata = reader.fetch_metadata(None, DEADLINE).unwrap();
    let mut found = BTreeMap::new();
    for topic in metadata.topics() {
        let (low, high) = reader.fetch_watermarks(topic.name(), 0, DEADLINE).unwrap();
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic.name(), 0, Offset::Offset(low))
            .unwrap();
        reader.assign(&from).unwrap();
        let mut next = low;
        let started = Instant::now();
        while next < high {
            assert!(
                started.elapsed() < DEADLINE,
                "{} stops at {next} of {high}",
                topic.name()
            );
            // Nothing also stands for something the client has to do in between.
            let Some(message) = reader.poll(Duration::from_millis(100)) else {
                continue;
            };
            let message = message.unwrap();
            next = message.offset() + 1;
            let value = message.payload().unwrap_or_default().to_vec();
            found.insert((topic.name().to_owned(), message.offset()), value);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_of_version_0_1_0_comes_up_whole() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/0.1.0/lite.tar.gz");
    let folder = tempfile::tempdir().unwrap();
    let unpacked = Command::new("tar")
        .args(["--strip-components=3", "-xzf"])
        .arg(&kept)
        .arg("-C")
        .arg(folder.path())
        .arg("osqdemo/data/broker")
        .status()
        .unwrap();
    assert!(unpacked.success());
    let broker = TestBroker::start_in(folder, |_| {}).await;
    let read = |broker: TestBroker| async {
        tokio::task::spawn_blocking(move || (everything(&broker), broker))
            .await
            .unwrap()
    };
    let (first, broker) = read(broker).await;
    let topics: std::collections::BTreeSet<&String> = first.keys().map(|(topic, _)| topic).collect();
    for topic in ["processes", "open_files", "FILES", "PROC"] {
        assert!(topics.contains(&topic.to_owned()), "{topics:?}");
    }
    // It goes on in the new format, and comes up again with everything.
    send(&broker.producer(), "processes", "one more").await;
    let broker = broker.restart().await;
    let (second, broker) = read(broker).await;
    assert_eq!(second.len(), first.len() + 1);
    assert!(
        first
            .iter()
            .all(|(place, value)| second.get(place) == Some(value))
    );
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_list_of_topics_it_does_not_start_and_removes_nothing() {
    let broker = TestBroker::start().await;
    send(&broker.producer(), "lines", "kept").await;
    let (folder, _) = broker.stop().await;
    let catalog = folder.path().join("catalog.json");
    let text = fs::read(&catalog).unwrap();
    fs::remove_file(&catalog).unwrap();
    let error = osqdemo_broker::bind(config(folder.path())).await.unwrap_err();
    assert!(
        matches!(&error, Error::CatalogMissing { path, count: 1, .. } if *path == catalog),
        "{error}"
    );
    let hint = error.hint().unwrap();
    assert!(hint.contains("put") && hint.contains("move"), "{hint}");
    assert!(!catalog.exists(), "it would hide the next start's reason");
    // An older list that was put back does not know the topic: its records stay.
    let empty = String::from_utf8(text.clone()).unwrap();
    let at = empty.find("\"topics\"").unwrap();
    fs::write(&catalog, format!("{}\"topics\": {{}}}}", &empty[..at])).unwrap();
    let broker = osqdemo_broker::bind(config(folder.path())).await.unwrap();
    drop(broker);
    fs::write(&catalog, text).unwrap();
    let broker = TestBroker::start_in(folder, |_| {}).await;
    let (found, broker) = tokio::task::spawn_blocking(move || (everything(&broker), broker))
        .await
        .unwrap();
    assert_eq!(found.into_values().collect::<Vec<_>>(), [b"kept"]);
    broker.stop().await;
}
