//! What waiting consumers cost, and what they are told of damage.

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;

use super::*;
use crate::node::tests::simulated;
use crate::storage::batch::HEADER_LEN;
use crate::storage::batch::tests::Sample;
use crate::storage::log::CheckpointWhen;
use crate::topics::Commitment;

const LINES: StrBytes = StrBytes::from_static_str("lines");
const CALL: Call = Call {
    version: 11,
    client_id: StrBytes::from_static_str("reader"),
};

fn fetch(offset: i64, min_bytes: usize) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_partition_max_bytes(i32::MAX);
    let topic = FetchTopic::default()
        .with_topic(TopicName(LINES))
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(3_600_000)
        .with_min_bytes(i32::try_from(min_bytes).unwrap())
        .with_max_bytes(i32::MAX)
        .with_topics(vec![topic])
}

/// Many wait for a hundred batches, which come one by one: each reads them once.
#[tokio::test]
async fn who_waits_for_much_reads_it_once() {
    const WAITING: u64 = 20;
    const BATCHES: usize = 100;
    let (disk, node, _folder) = simulated(1, |_| {});
    let topic = node
        .topics
        .create(&LINES, 1, std::collections::BTreeMap::new(), Commitment::Apply)
        .unwrap();
    let partition = &topic.partitions[0];
    let batch = Sample::of(&["value"]).encode();
    let append = || partition.append(&batch, 5_000, topic.settings.log()).unwrap();
    let before = disk.reads();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..WAITING {
        let session = Session::of_anybody(Arc::clone(&node));
        let request = fetch(0, BATCHES * batch.len());
        waiting.spawn(async move { handle(&session, &CALL, request).await });
    }
    for number in 0..BATCHES {
        append();
        // Whoever wants to look now, looks.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        let reads = disk.reads() - before;
        let is_last = number + 1 == BATCHES;
        assert!(
            is_last || reads <= WAITING,
            "{reads} reads after {number} batches"
        );
    }
    // Nobody waits for the end of its patience, an hour from now.
    let mut next = async || tokio::time::timeout(Duration::from_secs(60), waiting.join_next()).await;
    while let Some(answer) = next().await.expect("an answer in time") {
        let answer = answer.unwrap();
        let records = answer.responses[0].partitions[0].records.as_ref().unwrap();
        assert_eq!(records.len(), BATCHES * batch.len());
    }
    let reads = disk.reads() - before;
    assert!(reads <= 2 * WAITING, "{reads} reads");
    // What is measured is what was sent, however often it was looked at.
    let sent = WAITING * (BATCHES * batch.len()) as u64;
    assert_eq!(partition.traffic.so_far()[2], sent);
}

#[tokio::test]
async fn damage_is_answered_and_what_lies_beside_it_is_read() {
    let mut damages = 0;
    for seed in 0..80 {
        let (disk, node, _folder) = simulated(seed, |_| {});
        let topic = node
            .topics
            .create(&LINES, 1, std::collections::BTreeMap::new(), Commitment::Apply)
            .unwrap();
        let partition = &topic.partitions[0];
        let batch = Sample::of(&["value"]).encode();
        for _ in 0..10 {
            partition.append(&batch, 5_000, topic.settings.log()).unwrap();
        }
        partition.flush(CheckpointWhen::Always).unwrap();
        let (_, at) = disk.flip_bit(".log").unwrap();
        let (damaged, within) = ((at / batch.len()) as i64, at % batch.len());
        // The header leads to the next batch.
        if within < HEADER_LEN {
            continue;
        }
        damages += 1;
        let session = Session::of_anybody(Arc::clone(&node));
        for offset in 0..10 {
            let answer = handle(&session, &CALL, fetch(offset, 0)).await;
            let data = &answer.responses[0].partitions[0];
            if offset == damaged {
                assert_eq!(
                    data.error_code,
                    ResponseError::CorruptMessage.code(),
                    "seed {seed}"
                );
                continue;
            }
            assert_eq!(
                data.error_code, NO_ERROR,
                "seed {seed}, {offset}, damaged: {damaged}"
            );
            let header = BatchHeader::parse_whole(data.records.as_ref().unwrap()).unwrap();
            assert_eq!(header.base_offset, offset);
        }
    }
    assert!(damages > 5, "{damages}");
}
