//! A real broker in the tests of this folder.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::producer::{FutureProducer, FutureRecord};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Arrival, Cluster, Reader, Record, StartingPoint, TopicOptions};

/// No single step of a test takes longer, unless something is wrong.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

pub(super) struct TestBroker {
    pub(super) cluster: Arc<Cluster>,
    producer: FutureProducer,
    _running: DropGuard,
    _folder: TempDir,
}

impl TestBroker {
    /// A broker with topics of one partition.
    pub(super) async fn with(topics: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = osqdemo_broker::Config::new(folder.path());
        config.listeners = vec![osqdemo_broker::Listener::plaintext(
            "test",
            SocketAddr::from(([127, 0, 0, 1], 0)),
        )];
        let broker = osqdemo_broker::bind(config).await.unwrap();
        let address = broker.addresses()[0].local.to_string();
        let running = CancellationToken::new();
        tokio::spawn(broker.run(running.clone()));
        let cluster = Arc::new(Cluster::new(&address, &[]).unwrap());
        let broker = Self {
            producer: cluster.client_config("test").create().unwrap(),
            cluster,
            _running: running.drop_guard(),
            _folder: folder,
        };
        for topic in topics {
            broker.create(topic).await;
        }
        broker
    }

    pub(super) async fn create(&self, topic: &str) {
        let options = TopicOptions {
            partitions: 1,
            replicas: 1,
            settings: Vec::new(),
        };
        self.cluster.create_topic(topic, &options).await.unwrap();
    }

    /// The first values of a topic.
    pub(super) async fn values(&self, topic: &str, count: usize) -> Vec<String> {
        let records = self.records(topic, count).await.into_iter();
        records
            .map(|record| String::from_utf8(record.value.unwrap()).unwrap())
            .collect()
    }

    /// The first records of a topic.
    pub(super) async fn records(&self, topic: &str, count: usize) -> Vec<Record> {
        let start = StartingPoint {
            topic: topic.into(),
            partition: 0,
            from: 0,
            new_from: 0,
            end: 0,
            newest_timestamp: None,
            is_table: false,
        };
        let consumer = Reader::consumer(&self.cluster, "values").unwrap();
        let mut reader = Reader::open(&self.cluster, consumer, &[start]).await.unwrap();
        let mut records = Vec::new();
        while records.len() < count {
            let arrival = timeout(DEADLINE, reader.next()).await.expect("no record in time");
            let (Arrival::New(record) | Arrival::Replayed(record)) = arrival.unwrap();
            records.push(record);
        }
        records
    }

    pub(super) async fn write(&self, topic: &str, value: &str, timestamp: i64) {
        let record = FutureRecord::<str, str>::to(topic)
            .payload(value)
            .timestamp(timestamp);
        self.producer
            .send(record, DEADLINE)
            .await
            .map_err(|(error, _)| error)
            .unwrap();
    }
}
