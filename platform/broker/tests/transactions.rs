//! Transactions as librdkafka's producers and consumers see them.

mod support;

use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeTransactionsRequest, ListOffsetsRequest, ListTransactionsRequest,
    ProducerId, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};

use osqdemo_broker::FlushPolicy;
use support::raw::{RawClient, error};
use support::{DEADLINE, TestBroker, eventually, receive, send, subscribed};

/// A producer with a transactional id, ready to begin.
async fn transactional(broker: &TestBroker, id: &str, settings: &[(&str, &str)]) -> FutureProducer {
    let mut config = broker.client();
    config.set("transactional.id", id).set("linger.ms", "0");
    for (name, value) in settings {
        config.set(*name, *value);
    }
    let producer: FutureProducer = config.create().unwrap();
    call(&producer, |producer| producer.init_transactions(DEADLINE))
        .await
        .unwrap();
    producer
}

/// Does what waits for an answer where waiting is allowed.
async fn call<T: Send + 'static>(
    producer: &FutureProducer,
    act: impl FnOnce(&FutureProducer) -> T + Send + 'static,
) -> T {
    let producer = producer.clone();
    tokio::task::spawn_blocking(move || act(&producer)).await.unwrap()
}

async fn commit(producer: &FutureProducer) -> Result<(), KafkaError> {
    call(producer, |producer| producer.commit_transaction(DEADLINE)).await
}

async fn abort(producer: &FutureProducer) -> Result<(), KafkaError> {
    call(producer, |producer| producer.abort_transaction(DEADLINE)).await
}

fn reader(broker: &TestBroker, group: &str, isolation: &str) -> StreamConsumer {
    let settings = [("isolation.level", isolation)];
    subscribed(support::consumer(&broker.bootstrap, group, &settings), "lines")
}

async fn values(consumer: &StreamConsumer, count: usize) -> Vec<String> {
    let received = receive(consumer, count).await;
    let values = received.iter().map(|message| message.payload_view::<str>());
    values.map(|value| value.unwrap().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_committed_is_read_by_who_asks_for_that() {
    for flush in [FlushPolicy::EveryBatch, FlushPolicy::default()] {
        let broker = match flush {
            FlushPolicy::EveryBatch => {
                TestBroker::start_with(|config| config.flush = FlushPolicy::EveryBatch).await
            }
            FlushPolicy::Every(_) => TestBroker::start().await,
        };
        send(&broker.producer(), "lines", "before").await;
        let producer = transactional(&broker, "mine", &[]).await;
        let committed = reader(&broker, "committed", "read_committed");
        let everything = reader(&broker, "everything", "read_uncommitted");
        assert_eq!(values(&committed, 1).await, ["before"]);

        producer.begin_transaction().unwrap();
        send(&producer, "lines", "withdrawn").await;
        send(&broker.producer(), "lines", "beside").await;
        assert_eq!(values(&everything, 3).await, ["before", "withdrawn", "beside"]);
        // Nothing behind an open transaction comes.
        let early = tokio::time::timeout(Duration::from_millis(300), committed.recv()).await;
        assert!(early.is_err(), "{early:?}");
        abort(&producer).await.unwrap();
        assert_eq!(values(&committed, 1).await, ["beside"]);

        producer.begin_transaction().unwrap();
        for value in ["one", "two"] {
            send(&producer, "lines", value).await;
        }
        commit(&producer).await.unwrap();
        assert_eq!(values(&committed, 2).await, ["one", "two"]);
        assert_eq!(values(&everything, 2).await, ["one", "two"]);
        // From the beginning, too.
        let again = reader(&broker, "again", "read_committed");
        assert_eq!(values(&again, 4).await, ["before", "beside", "one", "two"]);
        drop((committed, everything, again));
        broker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_committed_with_the_transaction_or_not_at_all() {
    let mut broker = TestBroker::start().await;
    for value in ["a", "b", "c"] {
        send(&broker.producer(), "lines", value).await;
    }
    let consumer = reader(&broker, "readers", "read_committed");
    receive(&consumer, 3).await;
    let producer = transactional(&broker, "mine", &[]).await;
    let committed = || {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition("lines", 0);
        let found = consumer.committed_offsets(wanted, DEADLINE).unwrap();
        found.elements()[0].offset()
    };
    for (offset, commits, expected) in [
        (1, false, Offset::Invalid),
        (2, true, Offset::Offset(2)),
        (3, false, Offset::Offset(2)),
    ] {
        producer.begin_transaction().unwrap();
        send(&producer, "copies", "copy").await;
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset("lines", 0, Offset::Offset(offset))
            .unwrap();
        let group = consumer.group_metadata().unwrap();
        let sent = call(&producer, move |producer| {
            producer.send_offsets_to_transaction(&offsets, &group, DEADLINE)
        });
        sent.await.unwrap();
        if commits {
            commit(&producer).await.unwrap();
        } else {
            abort(&producer).await.unwrap();
        }
        assert_eq!(committed(), expected);
    }
    drop(consumer);
    broker = broker.restart().await;
    let consumer = reader(&broker, "readers", "read_committed");
    assert_eq!(values(&consumer, 1).await, ["c"]);
    drop(consumer);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_producer_shuts_the_old_one_out_and_ends_its_transaction() {
    let broker = TestBroker::start().await;
    let old = transactional(&broker, "mine", &[]).await;
    old.begin_transaction().unwrap();
    send(&old, "lines", "of the old one").await;
    let new = transactional(&broker, "mine", &[]).await;
    new.begin_transaction().unwrap();
    send(&new, "lines", "of the new one").await;
    let refused = commit(&old).await.unwrap_err();
    assert!(
        matches!(refused, KafkaError::Transaction(ref error) if error.is_fatal()
            && error.code() == RDKafkaErrorCode::Fenced),
        "{refused:?}"
    );
    commit(&new).await.unwrap();
    let consumer = reader(&broker, "readers", "read_committed");
    assert_eq!(values(&consumer, 1).await, ["of the new one"]);
    drop(consumer);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_takes_too_long_is_aborted() {
    let broker = TestBroker::start().await;
    let producer = transactional(&broker, "mine", &[("transaction.timeout.ms", "1000")]).await;
    producer.begin_transaction().unwrap();
    send(&producer, "lines", "too late").await;
    send(&broker.producer(), "lines", "behind it").await;
    let consumer = reader(&broker, "readers", "read_committed");
    assert_eq!(values(&consumer, 1).await, ["behind it"]);
    assert!(commit(&producer).await.is_err());
    drop(consumer);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_goes_on_when_the_broker_was_started_anew() {
    // The client goes on at the same address.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let folder = tempfile::tempdir().unwrap();
    let start = async |folder: &tempfile::TempDir| {
        let mut config = support::config(folder.path());
        config.listeners[0].bind.set_port(port);
        let broker = osqdemo_broker::bind(config).await.unwrap();
        let shutdown = tokio_util::sync::CancellationToken::new();
        (tokio::spawn(broker.run(shutdown.clone())), shutdown)
    };
    let bootstrap = format!("127.0.0.1:{port}");
    let (running, shutdown) = start(&folder).await;
    let mut config = support::client(&bootstrap);
    config.set("transactional.id", "mine").set("linger.ms", "0");
    let producer: FutureProducer = config.create().unwrap();
    call(&producer, |producer| producer.init_transactions(DEADLINE))
        .await
        .unwrap();
    producer.begin_transaction().unwrap();
    send(&producer, "lines", "one").await;
    shutdown.cancel();
    running.await.unwrap().unwrap();

    let (running, shutdown) = start(&folder).await;
    send(&producer, "lines", "two").await;
    commit(&producer).await.unwrap();
    let settings = [("isolation.level", "read_committed")];
    let consumer = subscribed(support::consumer(&bootstrap, "readers", &settings), "lines");
    assert_eq!(values(&consumer, 2).await, ["one", "two"]);
    drop(consumer);
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_listed_and_described() {
    let broker = TestBroker::start().await;
    let producer = transactional(&broker, "mine", &[]).await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    producer.begin_transaction().unwrap();
    send(&producer, "lines", "value").await;
    let id = TransactionalId(StrBytes::from_static_str("mine"));
    let describe = DescribeTransactionsRequest::default().with_transactional_ids(vec![id]);
    let found = client.call(0, describe.clone()).await;
    let found = &found.transaction_states[0];
    assert_eq!(found.error_code, 0);
    assert_eq!(found.transaction_state.as_str(), "Ongoing");
    assert_eq!(found.topics[0].partitions, [0]);
    let listed = client
        .call(1, ListTransactionsRequest::default().with_duration_filter(-1))
        .await;
    assert_eq!(listed.transaction_states.len(), 1);
    let other = ListTransactionsRequest::default()
        .with_duration_filter(-1)
        .with_producer_id_filters(vec![ProducerId(found.producer_id.0 + 1)]);
    assert!(client.call(1, other).await.transaction_states.is_empty());
    // A regular expression matches whole ids.
    for (pattern, expected) in [("m.*", 1), ("min", 0), ("", 1)] {
        let request = ListTransactionsRequest::default()
            .with_duration_filter(-1)
            .with_transactional_id_pattern(Some(StrBytes::from_static_str(pattern)));
        let listed = client.call(2, request).await.transaction_states;
        assert_eq!(listed.len(), expected, "{pattern}");
    }
    let wrong = ListTransactionsRequest::default()
        .with_transactional_id_pattern(Some(StrBytes::from_static_str("(")));
    let code = client.call(2, wrong).await.error_code;
    assert_eq!(error(code), Some(ResponseError::InvalidRegularExpression));
    commit(&producer).await.unwrap();
    eventually("it is complete", async || {
        let found = client.call(0, describe.clone()).await;
        found.transaction_states[0].transaction_state.as_str() == "CompleteCommit"
    })
    .await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_reads_only_what_is_committed_is_sent_behind_an_open_transaction() {
    let broker = TestBroker::start().await;
    let producer = transactional(&broker, "mine", &[]).await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    producer.begin_transaction().unwrap();
    send(&producer, "lines", "value").await;
    // By a time, and of the largest time.
    for timestamp in [0, -3] {
        for (isolation, expected) in [(0, 0), (1, -1)] {
            assert_eq!(offset_at(&mut client, timestamp, isolation).await, expected);
        }
    }
    commit(&producer).await.unwrap();
    assert_eq!(offset_at(&mut client, 0, 1).await, 0);
    // The marker may be later than the record.
    assert!(offset_at(&mut client, -3, 1).await >= 0);
    broker.stop().await;
}

/// The producers of `lines`, as DescribeProducers tells them: id, epoch, last sequence, where the open transaction begins.
async fn producers(client: &mut RawClient) -> Vec<(i64, i32, i32, i64)> {
    let topic = TopicRequest::default()
        .with_name(TopicName(StrBytes::from_static_str("lines")))
        .with_partition_indexes(vec![0]);
    let request = DescribeProducersRequest::default().with_topics(vec![topic]);
    let mut answer = client.call(0, request).await;
    let partition = answer.topics.remove(0).partitions.remove(0);
    assert_eq!((partition.error_code, partition.partition_index), (0, 0));
    let told = partition.active_producers.into_iter().map(|producer| {
        assert!(producer.last_timestamp > 0);
        (
            producer.producer_id.0,
            producer.producer_epoch,
            producer.last_sequence,
            producer.current_txn_start_offset,
        )
    });
    let mut told: Vec<_> = told.collect();
    told.sort_unstable();
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_are_described_with_what_they_have_open() {
    let broker = TestBroker::start().await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    let idempotent = broker.producer();
    for value in ["one", "two", "three"] {
        send(&idempotent, "lines", value).await;
    }
    let [(first, epoch, sequence, open)] = producers(&mut client).await[..] else {
        panic!("one producer");
    };
    assert_eq!((epoch, sequence, open), (0, 2, -1));
    // Of the second who takes the transactional id: the epoch counts them.
    drop(transactional(&broker, "mine", &[]).await);
    let producer = transactional(&broker, "mine", &[]).await;
    producer.begin_transaction().unwrap();
    for value in ["four", "five"] {
        send(&producer, "lines", value).await;
    }
    let all = producers(&mut client).await;
    let [idempotent, (second, epoch, sequence, open)] = all[..] else {
        panic!("two producers, not {all:?}");
    };
    assert_eq!(idempotent, (first, 0, 2, -1));
    assert!(second > first);
    assert_eq!((epoch, sequence, open), (1, 1, 3));
    commit(&producer).await.unwrap();
    eventually("nothing is open", async || {
        producers(&mut client).await.iter().all(|(.., open)| *open == -1)
    })
    .await;
    let missing = TopicRequest::default()
        .with_name(TopicName(StrBytes::from_static_str("none")))
        .with_partition_indexes(vec![0]);
    let request = DescribeProducersRequest::default().with_topics(vec![missing]);
    let answer = client.call(0, request).await;
    let code = answer.topics[0].partitions[0].error_code;
    assert_eq!(error(code), Some(ResponseError::UnknownTopicOrPartition));
    broker.stop().await;
}

async fn offset_at(client: &mut RawClient, timestamp: i64, isolation: i8) -> i64 {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default()
        .with_name(TopicName(StrBytes::from_static_str("lines")))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default()
        .with_isolation_level(isolation)
        .with_topics(vec![topic]);
    let response = client.call(7, request).await;
    response.topics[0].partitions[0].offset
}
