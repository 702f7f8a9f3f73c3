//! What librdkafka clients see: produce, consume, groups, offsets.

mod support;

use std::time::{Duration, Instant};

use osqdemo_broker::FlushPolicy;
use rdkafka::Message;
use rdkafka::consumer::{CommitMode, Consumer};

use support::{TestBroker, receive, send, subscribed};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_produced_is_consumed_in_order() {
    let broker = TestBroker::start().await;
    let producer = broker.producer();
    for number in 0..100 {
        assert_eq!(send(&producer, "lines", &number.to_string()).await, (0, number));
    }
    let consumer = subscribed(broker.consumer("readers"), "lines");
    for (number, message) in receive(&consumer, 100).await.iter().enumerate() {
        assert_eq!(message.offset(), number as i64);
        assert_eq!(
            message.payload_view::<str>(),
            Some(Ok(number.to_string().as_str()))
        );
    }
    drop(consumer);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_committed_offsets_survive_a_restart() {
    let mut broker = TestBroker::start().await;
    let producer = broker.producer();
    for number in 0..10 {
        send(&producer, "lines", &number.to_string()).await;
    }
    let consumer = subscribed(broker.consumer("readers"), "lines");
    receive(&consumer, 10).await;
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    drop((consumer, producer));

    broker = broker.restart().await;
    assert_eq!(send(&broker.producer(), "lines", "ten").await, (0, 10));
    let consumer = subscribed(broker.consumer("readers"), "lines");
    let next = receive(&consumer, 1).await;
    assert_eq!(next[0].payload_view::<str>(), Some(Ok("ten")));
    drop(consumer);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_consumer_wakes_up_at_once() {
    let broker = TestBroker::start().await;
    let producer = broker.producer();
    send(&producer, "lines", "first").await;
    let consumer = subscribed(
        support::consumer(&broker.bootstrap, "readers", &[("fetch.wait.max.ms", "5000")]),
        "lines",
    );
    receive(&consumer, 1).await;
    let mut latencies = Vec::new();
    for _ in 0..50 {
        let started = Instant::now();
        send(&producer, "lines", "more").await;
        receive(&consumer, 1).await;
        latencies.push(started.elapsed());
    }
    latencies.sort_unstable();
    // A poll that sleeps would take its five seconds.
    assert!(latencies[25] < Duration::from_millis(250), "{latencies:?}");
    drop(consumer);
    let (_, took) = broker.stop().await;
    assert!(took < Duration::from_secs(2), "stopping took {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_batch_can_be_synced_before_it_is_acknowledged() {
    let broker = TestBroker::start_with(|config| config.flush = FlushPolicy::EveryBatch).await;
    let producer = broker.producer();
    for number in 0..20 {
        assert_eq!(send(&producer, "lines", "safe").await, (0, number));
    }
    let consumer = subscribed(broker.consumer("readers"), "lines");
    receive(&consumer, 20).await;
    drop(consumer);
    broker.stop().await;
}
