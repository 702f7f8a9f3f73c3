//! A reader on a real broker.

use super::*;
use crate::kafka::test_broker::{DEADLINE, TestBroker};

async fn open(broker: &TestBroker, starts: &[StartingPoint]) -> Reader {
    let consumer = Reader::consumer(&broker.cluster, "test").unwrap();
    Reader::open(&broker.cluster, consumer, starts).await.unwrap()
}

fn start(topic: &str, new_from: i64, end: i64) -> StartingPoint {
    StartingPoint {
        topic: topic.into(),
        partition: 0,
        from: 0,
        new_from,
        end,
        newest_timestamp: None,
        is_table: false,
    }
}

async fn next(reader: &mut Reader) -> String {
    let arrival = timeout(DEADLINE, reader.next()).await.expect("no record in time");
    let (kind, record) = match arrival.unwrap() {
        Arrival::Replayed(record) => ("replayed", record),
        Arrival::New(record) => ("new", record),
    };
    format!("{kind} {}", String::from_utf8(record.value.unwrap()).unwrap())
}

/// A partition that is silent for long, such as one of a broker that restarts, is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_ends_where_the_partition_does_and_not_with_a_clock() {
    let broker = TestBroker::with(&["a", "b"]).await;
    for n in 0..3 {
        broker.write("a", &format!("a{n}"), 1_000 + n).await;
        broker.write("b", &format!("b{n}"), 10 + n).await;
    }
    let mut reader = open(&broker, &[start("a", 2, 3), start("b", 2, 3)]).await;
    let mut silent = TopicPartitionList::new();
    silent.add_partition("a", 0);
    reader.consumer.pause(&silent).unwrap();
    // What a held may be what b's records need.
    let early = timeout(Duration::from_secs(3), reader.next()).await;
    assert!(early.is_err(), "{early:?}");
    reader.consumer.resume(&silent).unwrap();
    for expected in [
        "replayed b0",
        "replayed b1",
        "replayed a0",
        "replayed a1",
        "new b2",
        "new a2",
    ] {
        assert_eq!(next(&mut reader).await, expected);
    }
}

/// A query begins to read the moment before the first records come: the earlier one goes first, also where the client
/// has the later one first. A partition that stays silent holds up nobody for long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_record_waits_for_a_word_of_every_partition() {
    let broker = TestBroker::with(&["a", "b"]).await;
    broker.write("a", "a0", 1_000).await;
    broker.write("b", "b0", 2_000).await;
    let starts = [start("a", 0, 0), start("b", 0, 0)];
    let mut silent = TopicPartitionList::new();
    silent.add_partition("a", 0);

    let mut reader = open(&broker, &starts).await;
    reader.first_word = DEADLINE;
    reader.consumer.pause(&silent).unwrap();
    let early = timeout(Duration::from_secs(1), reader.next()).await;
    assert!(early.is_err(), "{early:?}");
    reader.consumer.resume(&silent).unwrap();
    for expected in ["new a0", "new b0"] {
        assert_eq!(next(&mut reader).await, expected);
    }

    reader.consumer.pause(&silent).unwrap();
    for lane in &mut reader.lanes {
        lane.was_heard = false;
    }
    reader.first_word = Duration::from_millis(1);
    reader.listens_until = None;
    broker.write("b", "b1", 3_000).await;
    assert_eq!(next(&mut reader).await, "new b1");
}

/// Compaction and transactions leave offsets without a record: nobody waits for those.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_without_a_record_are_not_waited_for() {
    let broker = TestBroker::with(&["a", "b"]).await;
    broker.write("a", "a0", 1_000).await;
    broker.write("b", "b0", 2_000).await;
    // As if there had been four records more.
    let mut reader = open(&broker, &[start("a", 5, 5), start("b", 0, 1)]).await;
    assert_eq!(next(&mut reader).await, "replayed a0");
    assert_eq!(next(&mut reader).await, "new b0");
    let mut reader = open(&broker, &[start("a", 0, 5)]).await;
    let old = timeout(DEADLINE, reader.next_old()).await.unwrap().unwrap();
    assert_eq!(old.and_then(|record| record.value).as_deref(), Some(&b"a0"[..]));
    assert!(
        timeout(DEADLINE, reader.next_old())
            .await
            .unwrap()
            .unwrap()
            .is_none()
    );
}
