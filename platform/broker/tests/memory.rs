//! What hostile clients may cost, by an allocator that counts.

mod support;

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use peak_alloc::PeakAlloc;

use support::raw::{RawClient, batch};
use support::{TestBroker, eventually};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What one test takes is not counted for another.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A request of version `version` whose body begins with `claims`, and goes on with as much as a frame may have.
fn frame(key: i16, version: i16, flexible: bool, claims: &[u8], size: usize) -> BytesMut {
    let mut frame = BytesMut::with_capacity(size + 64);
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(1);
    frame.put_i16(-1);
    if flexible {
        frame.put_u8(0);
    }
    frame.put_slice(claims);
    frame.put_bytes(0, size);
    frame
}

/// A frame costs its size and what its elements really take, whatever lists it claims to have: 16 MiB of zeros are as
/// many elements as one could think up, and the largest element takes a few hundred bytes.
#[tokio::test(flavor = "multi_thread")]
async fn a_frame_costs_no_more_than_a_bounded_multiple_of_its_size() {
    const SIZE: usize = 16 << 20;
    const BOUND: usize = SIZE + (512 << 20);
    let _alone = ALONE.lock().await;
    let broker = TestBroker::start().await;
    let all = i32::MAX.to_be_bytes();
    let many = (1i32 << 20).to_be_bytes();
    let most = ((SIZE - 100) as i32).to_be_bytes();
    // Produce: no transactional id, acks, timeout, then the list of topics.
    let produce = |count: [u8; 4]| [&[0xff, 0xff, 0, 1, 0, 0, 0, 9][..], &count].concat();
    let compact = [0xff, 0xff, 0xff, 0x07];
    let frames = [
        frame(3, 0, false, &all, SIZE),
        frame(3, 0, false, &most, SIZE),
        frame(3, 0, false, &many, SIZE),
        frame(3, 9, true, &compact, SIZE),
        frame(3, 9, true, &[0x80, 0x80, 0x40], SIZE),
        frame(0, 3, false, &produce(all), SIZE),
        frame(0, 3, false, &produce(most), SIZE),
        frame(0, 3, false, &produce(many), SIZE),
        frame(0, 9, true, &[0, 0, 1, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0x07], SIZE),
        // CreateTopics and DescribeConfigs, whose lists hold lists.
        frame(19, 5, true, &compact, SIZE),
        frame(19, 4, false, &most, SIZE),
        frame(32, 4, true, &compact, SIZE),
    ];
    for (number, frame) in frames.iter().enumerate() {
        let mut client = RawClient::connect(&broker.bootstrap).await;
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        client.send_frame(frame).await;
        // Refused or answered: either way it is over then.
        client.read_frame().await;
        let cost = MEMORY.peak_usage().saturating_sub(before);
        assert!(cost < BOUND, "frame {number} takes {} MiB", cost >> 20);
    }
    broker.stop().await;
}

/// Readers that take nothing hold no more than answers may take together, however many they are, and it comes back when
/// they are gone.
#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_hold_a_bounded_amount_and_give_it_back() {
    const ANSWERS: usize = 16 << 20;
    const READERS: usize = 60;
    /// What connections, tasks and the runtime take besides.
    const REST: usize = 8 << 20;
    let _alone = ALONE.lock().await;
    let broker = TestBroker::start_with(|config| config.limits.answer_bytes = ANSWERS).await;
    let mut writer = RawClient::connect(&broker.bootstrap).await;
    let value = "x".repeat(900_000);
    for _ in 0..10 {
        let written = writer.produce("lines", batch(-1, 0, &[&value])).await;
        assert_eq!(written.error_code, 0);
    }
    let partition = FetchPartition::default().with_partition_max_bytes(i32::MAX);
    let topic = FetchTopic::default()
        .with_topic(TopicName(StrBytes::from_static_str("lines")))
        .with_partitions(vec![partition]);
    let fetch = FetchRequest::default()
        .with_max_bytes(i32::MAX)
        .with_topics(vec![topic]);
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut reader = RawClient::connect(&broker.bootstrap).await;
        // One answer does not fit what the system holds between the two.
        for _ in 0..10 {
            reader.send_request(11, &fetch).await;
        }
        readers.push(reader);
    }
    let held = || MEMORY.current_usage().saturating_sub(before);
    eventually("they hold what they may", async || held() > ANSWERS / 2).await;
    // Whoever reads is answered beside them.
    let mut good = RawClient::connect(&broker.bootstrap).await;
    let answer = good.call(11, fetch.clone()).await;
    assert!(answer.responses[0].partitions[0].records.is_some());
    drop((good, answer));
    let peak = MEMORY.peak_usage().saturating_sub(before);
    // Once as records, once more as frames.
    assert!(
        peak < 2 * ANSWERS + REST,
        "{READERS} readers hold {} MiB",
        peak >> 20
    );
    drop(readers);
    eventually("it comes back", async || held() < REST).await;
    broker.stop().await;
}
