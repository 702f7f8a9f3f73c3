//! A broker on free ports in a temporary folder, and librdkafka clients for it.
#![allow(
    dead_code,
    reason = "each test binary uses its own part of the support module"
)]

pub(crate) mod certificates;
pub(crate) mod raw;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use osqdemo_broker::{Config, Error, Listener, ListenerAddress};
use rdkafka::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedMessage;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::util::Timeout;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// No single step of a test takes longer, unless something is wrong.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A broker that runs in this process.
pub(crate) struct TestBroker {
    pub(crate) folder: TempDir,
    pub(crate) bootstrap: String,
    pub(crate) addresses: Vec<ListenerAddress>,
    /// Where the metrics are, when they are told.
    pub(crate) metrics: Option<SocketAddr>,
    configure: Arc<dyn Fn(&mut Config) + Send + Sync>,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), Error>>,
}

/// One listener on a free port of the loopback interface.
pub(crate) fn config(folder: &Path) -> Config {
    let mut config = Config::new(folder);
    config.listeners = vec![Listener::plaintext(
        "test",
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    )];
    config
}

impl TestBroker {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(configure: impl Fn(&mut Config) + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(folder, configure).await
    }

    pub(crate) async fn start_in(
        folder: TempDir,
        configure: impl Fn(&mut Config) + Send + Sync + 'static,
    ) -> Self {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_at(folder, Arc::new(configure), anywhere).await
    }

    async fn start_at(
        folder: TempDir,
        configure: Arc<dyn Fn(&mut Config) + Send + Sync>,
        address: SocketAddr,
    ) -> Self {
        let mut config = config(folder.path());
        config.listeners[0].bind = address;
        configure(&mut config);
        let broker = osqdemo_broker::bind(config).await.unwrap();
        let (addresses, metrics) = (broker.addresses(), broker.metrics_address());
        let bootstrap = addresses[0].local.to_string();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(broker.run(shutdown.clone()));
        Self {
            folder,
            bootstrap,
            addresses,
            metrics,
            configure,
            shutdown,
            running,
        }
    }

    /// Stops the broker and returns how long that took.
    pub(crate) async fn stop(self) -> (TempDir, Duration) {
        let started = Instant::now();
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
        (self.folder, started.elapsed())
    }

    /// Stops the broker and starts another on the same folder.
    pub(crate) async fn restart(self) -> Self {
        let configure = Arc::clone(&self.configure);
        let (folder, _) = self.stop().await;
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_at(folder, configure, anywhere).await
    }

    /// The same at the same address, so that clients go on.
    pub(crate) async fn restart_in_place(self) -> Self {
        let (configure, address) = (Arc::clone(&self.configure), self.addresses[0].local);
        let (folder, _) = self.stop().await;
        Self::start_at(folder, configure, address).await
    }

    pub(crate) fn client(&self) -> ClientConfig {
        client(&self.bootstrap)
    }

    pub(crate) fn producer(&self) -> FutureProducer {
        self.client()
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            .create()
            .unwrap()
    }

    pub(crate) fn consumer(&self, group: &str) -> StreamConsumer {
        consumer(&self.bootstrap, group, &[])
    }
}

pub(crate) fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

pub(crate) fn consumer(bootstrap: &str, group: &str, settings: &[(&str, &str)]) -> StreamConsumer {
    let mut config = client(bootstrap);
    config
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        // Members learn of a rebalance with their next heartbeat.
        .set("heartbeat.interval.ms", "100");
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

/// Sends one record and returns where it went.
pub(crate) async fn send(producer: &FutureProducer, topic: &str, value: &str) -> (i32, i64) {
    let record = FutureRecord::<str, str>::to(topic).payload(value);
    let delivery = producer.send(record, Timeout::After(DEADLINE)).await.unwrap();
    (delivery.partition, delivery.offset)
}

/// The next `count` records of whatever the consumer has subscribed to.
pub(crate) async fn receive(consumer: &StreamConsumer, count: usize) -> Vec<OwnedMessage> {
    let mut received = Vec::with_capacity(count);
    while received.len() < count {
        let message = tokio::time::timeout(DEADLINE, consumer.recv())
            .await
            .unwrap_or_else(|_| panic!("{} of {count} records arrived", received.len()));
        match message {
            Ok(message) => received.push(message.detach()),
            // Told while the broker is being started again; the client goes on by itself.
            Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure,
            )) => {}
            Err(error) => panic!("{error}"),
        }
    }
    received
}

/// Waits until `check` holds.
pub(crate) async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !check().await {
        assert!(started.elapsed() < DEADLINE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A consumer that has subscribed to `topic`.
pub(crate) fn subscribed(consumer: StreamConsumer, topic: &str) -> StreamConsumer {
    consumer.subscribe(&[topic]).unwrap();
    consumer
}
