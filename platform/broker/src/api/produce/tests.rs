//! What an acknowledgement promises, by the settings of the topic.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka_protocol::messages::TopicName;

use super::*;
use crate::node::tests::{reopened, simulated};
use crate::storage::batch::tests::Sample;
use crate::storage::disk::simulated::SimulatedDisk;
use crate::topics::Commitment;
use crate::{commit, maintenance};

const LINES: StrBytes = StrBytes::from_static_str("lines");
const CALL: Call = Call {
    version: 9,
    client_id: StrBytes::from_static_str("producer"),
};
const NEVER: Duration = Duration::from_secs(1_000_000);

fn produce() -> ProduceRequest {
    let now_ms = osqdemo_clock::unix_ms();
    let batch = Sample::of(&["value"]).at(now_ms).encode();
    let partition = PartitionProduceData::default().with_records(Some(batch.into()));
    let topic = TopicProduceData::default()
        .with_name(TopicName(LINES))
        .with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_topic_data(vec![topic])
}

/// A broker that syncs nothing by itself, and a topic; with what syncs for it where that is asked.
fn broker(seed: u64, setting: (&str, &str)) -> (Arc<SimulatedDisk>, Arc<Node>, tempfile::TempDir) {
    let (disk, node, folder) = simulated(seed, |config| config.flush = FlushPolicy::Every(NEVER));
    let (name, value) = setting;
    let settings = BTreeMap::from([(name.to_owned(), value.to_owned())]);
    node.topics
        .create(&LINES, 1, settings, Commitment::Apply)
        .unwrap();
    (disk, node, folder)
}

/// How many records are there after a power cut.
fn left(disk: &Arc<SimulatedDisk>, node: Arc<Node>, folder: &tempfile::TempDir) -> i64 {
    drop(node);
    disk.cut_power();
    let node = reopened(disk, folder.path());
    node.topics.by_name(&LINES).unwrap().partitions[0].bounds().end
}

#[tokio::test]
async fn flush_messages_bounds_what_a_power_cut_takes() {
    let mut lost = 0;
    for seed in 0..40 {
        for (every, may_be_lost) in [("1", 0), ("3", 2), ("9223372036854775807", 10)] {
            let (disk, node, folder) = broker(seed, ("flush.messages", every));
            let syncing = tokio::spawn(commit::sync_as_asked(Arc::clone(&node)));
            let session = Session::of_anybody(Arc::clone(&node));
            for offset in 0..10 {
                let answer = handle(&session, &CALL, produce()).await.unwrap();
                let answered = &answer.responses[0].partition_responses[0];
                assert_eq!((answered.error_code, answered.base_offset), (NO_ERROR, offset));
            }
            node.shutdown.cancel();
            syncing.await.unwrap();
            drop(session);
            let left = left(&disk, node, &folder);
            assert!(left >= 10 - may_be_lost, "seed {seed}, every {every}: {left}");
            lost += i64::from(every.len() > 1 && left < 10);
        }
    }
    assert!(lost > 0, "a disk that loses nothing shows nothing");
}

#[tokio::test]
async fn flush_ms_bounds_how_long_a_record_waits_for_the_disk() {
    for seed in 0..20 {
        let (disk, node, folder) = broker(seed, ("flush.ms", "5"));
        let syncing = tokio::spawn(maintenance::flush_as_written(Arc::clone(&node)));
        let session = Session::of_anybody(Arc::clone(&node));
        for _ in 0..10 {
            handle(&session, &CALL, produce()).await.unwrap();
        }
        let partition = Arc::clone(&node.topics.by_name(&LINES).unwrap().partitions[0]);
        // Without the topic's setting it would take eleven days.
        let started = Instant::now();
        while partition.log().flushed_to() < 10 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(started.elapsed() < Duration::from_secs(60), "seed {seed}");
        }
        node.shutdown.cancel();
        syncing.await.unwrap();
        drop((session, partition));
        assert_eq!(left(&disk, node, &folder), 10, "seed {seed}");
    }
}
