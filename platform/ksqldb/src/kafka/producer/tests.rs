use std::task::{Poll, Wake, Waker};

use super::*;
use crate::kafka::test_broker::{DEADLINE, TestBroker};

fn record(topic: &str) -> OutgoingRecord<'_> {
    OutgoingRecord {
        topic,
        key: None,
        value: Some(b"v"),
        timestamp: 1,
        headers: &[],
    }
}

/// librdkafka asks the brokers again and again about every topic it ever wrote to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_topic_does_not_come_back() {
    let broker = TestBroker::with(&["deleted", "kept"]).await;
    let mut config = RecordProducer::client_config(&broker.cluster);
    config.set("topic.metadata.refresh.interval.ms", "50");
    let producer = RecordProducer::with(config).unwrap();
    for topic in ["deleted", "kept"] {
        let sent = tokio::time::timeout(DEADLINE, producer.send_and_wait(record(topic)));
        sent.await.unwrap().unwrap();
    }
    broker.cluster.delete_topic("deleted").await.unwrap();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let topics = broker.cluster.topics().await.unwrap();
        assert_eq!(topics.keys().collect::<Vec<_>>(), ["kept"]);
    }
}

/// As after a restart of its broker: the topic is unknown at first, and what was written comes in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_wait_in_order_until_their_topic_is_known() {
    let broker = TestBroker::with(&["first"]).await;
    let mut config = RecordProducer::client_config(&broker.cluster);
    // Unknown is unknown at once, as it is of a topic that was known before.
    config.set("topic.metadata.propagation.max.ms", "0");
    let producer = RecordProducer::with(config).unwrap();
    let deliveries = Arc::default();
    let values: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    for (n, value) in values.iter().enumerate() {
        let value = Some(value.as_bytes());
        producer
            .send(
                OutgoingRecord {
                    value,
                    ..record("late")
                },
                &deliveries,
            )
            .await
            .unwrap();
        if n == 25 {
            // The first of them have come back by now.
            let deadline = std::time::Instant::now() + DEADLINE;
            while producer.returned.is_empty() {
                assert!(std::time::Instant::now() < deadline);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    assert_eq!(deliveries.outstanding(), 50);
    broker.create("late").await;
    tokio::time::timeout(DEADLINE, deliveries.settle(0))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(broker.values("late", 50).await, values);
}

/// In the order in which they were handed over, also among those that librdkafka writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_time_0_keeps_its_time_and_its_place() {
    let broker = TestBroker::with(&["t"]).await;
    let producer = RecordProducer::new(&broker.cluster).unwrap();
    let mut deliveries: Arc<Deliveries> = Arc::default();
    let times = [5, 0, 7, 0, 0, 3];
    for (n, timestamp) in times.into_iter().enumerate() {
        if n == 3 {
            // As when a commit begins.
            deliveries = deliveries.further();
        }
        let value = n.to_string();
        let record = OutgoingRecord {
            value: Some(value.as_bytes()),
            key: Some(b"k"),
            timestamp,
            headers: &[("h".to_owned(), Some(b"x".to_vec()))],
            ..record("t")
        };
        producer.send(record, &deliveries).await.unwrap();
    }
    let landing = producer.send_and_wait(OutgoingRecord {
        timestamp: 0,
        value: None,
        ..record("t")
    });
    tokio::time::timeout(DEADLINE, deliveries.settle(0))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(landing.await.unwrap(), Landing { offset: 6 });
    let records = broker.records("t", 7).await;
    let read: Vec<_> = records.iter().map(|record| record.timestamp).collect();
    assert_eq!(read, [5, 0, 7, 0, 0, 3, 0]);
    let values: Vec<_> = records.iter().map(|record| record.value.clone()).collect();
    let expected = (0..6).map(|n| Some(n.to_string().into_bytes()));
    assert_eq!(values, expected.chain([None]).collect::<Vec<_>>());
    assert_eq!(records[1].key.as_deref(), Some(&b"k"[..]));
    assert_eq!(records[1].headers, [("h".to_owned(), Some(b"x".to_vec()))]);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn who_waits_for_records_is_woken_when_few_enough_are_left_and_when_one_fails() {
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut context = std::task::Context::from_waker(&waker);
    let deliveries = Deliveries::default();
    deliveries.outstanding.store(6, Ordering::SeqCst);
    let mut settling = pin!(deliveries.settle(3));
    let landing = || Ok(Landing { offset: 0 });
    for finished in 1..=3 {
        assert!(settling.as_mut().poll(&mut context).is_pending());
        deliveries.finish(landing());
        assert_eq!(wakes.0.load(Ordering::SeqCst), finished / 3, "after {finished}");
    }
    assert_eq!(settling.as_mut().poll(&mut context), Poll::Ready(Ok(())));

    let mut settling = pin!(deliveries.settle(0));
    assert!(settling.as_mut().poll(&mut context).is_pending());
    deliveries.finish(Err("lost".to_owned()));
    assert_eq!(
        settling.as_mut().poll(&mut context),
        Poll::Ready(Err("lost".to_owned()))
    );
}

/// Also by one that librdkafka refuses at once, of which the thread that polls hears nothing.
#[test]
fn who_sends_again_is_woken_by_what_is_put_there() {
    let returned = Arc::new(ReturnedRecords::default());
    let waited = Arc::clone(&returned);
    let waiting = std::thread::spawn(move || waited.wait(DEADLINE));
    let (sender, _receiver) = oneshot::channel();
    let waiting_for = Waiting::Single(sender);
    let receipt = Box::new(Receipt {
        waiting: waiting_for,
        number: 0,
    });
    returned.put(Returned::of(record("t"), receipt));
    assert!(waiting.join().unwrap());
    assert!(!ReturnedRecords::default().wait(Duration::ZERO));
}
