//! A broker, registries on it, and what a client sends.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use osqdemo_schema_registry::Config;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// No single step of a test takes longer, unless something is wrong.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A broker on a folder.
pub(crate) struct Broker {
    pub(crate) address: String,
    running: CancellationToken,
    task: JoinHandle<Result<(), osqdemo_broker::Error>>,
}

impl Broker {
    /// On a free port.
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::start_at(folder, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub(crate) async fn start_at(folder: &Path, bind: SocketAddr) -> Self {
        let mut config = osqdemo_broker::Config::new(folder);
        config.listeners = vec![osqdemo_broker::Listener::plaintext("test", bind)];
        let broker = osqdemo_broker::bind(config).await.expect("a broker");
        let address = broker.addresses()[0].local.to_string();
        let running = CancellationToken::new();
        let task = tokio::spawn(broker.run(running.clone()));
        Self {
            address,
            running,
            task,
        }
    }

    pub(crate) async fn stop(self) {
        self.running.cancel();
        timeout(DEADLINE, self.task)
            .await
            .expect("it ends")
            .expect("no panic")
            .expect("no error");
    }
}

/// A registry in threads of its own, so that it can end as if its process was killed.
pub(crate) struct Registry {
    pub(crate) url: String,
    client: Client,
    running: CancellationToken,
    task: Option<JoinHandle<Result<(), osqdemo_schema_registry::Error>>>,
    runtime: Option<Runtime>,
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Registry {
    /// A registry that has read its topic.
    pub(crate) async fn start(broker: &str) -> Self {
        let registry = Self::start_unready(broker).await;
        eventually("the registry is ready", async || {
            registry.get("/subjects").await.0 == 200
        })
        .await;
        registry
    }

    pub(crate) async fn start_unready(broker: &str) -> Self {
        let mut config = Config::new(SocketAddr::from(([127, 0, 0, 1], 0)), broker);
        config.write_deadline = DEADLINE;
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let binding = runtime.spawn(osqdemo_schema_registry::bind(config));
        let server = binding.await.expect("no panic").expect("an address");
        let url = format!("http://{}", server.address());
        let running = CancellationToken::new();
        let task = runtime.spawn(server.run(running.clone()));
        let client = Client::builder()
            .no_proxy()
            .timeout(DEADLINE)
            .build()
            .expect("a client");
        Self {
            url,
            client,
            running,
            task: Some(task),
            runtime: Some(runtime),
        }
    }

    /// The status of what is answered to a body that may be no JSON.
    pub(crate) async fn post_text(&self, path: &str, body: Vec<u8>) -> u16 {
        let request = self.client.post(format!("{}{path}", self.url));
        let request = request.header("content-type", "application/json").body(body);
        request.send().await.expect("an answer").status().as_u16()
    }

    /// Ends it, and says how it ended.
    pub(crate) async fn stop(self) -> Result<(), osqdemo_schema_registry::Error> {
        self.running.cancel();
        self.ended().await
    }

    /// How it ended by itself.
    pub(crate) async fn ended(mut self) -> Result<(), osqdemo_schema_registry::Error> {
        let task = self.task.take().expect("it was not waited for");
        timeout(DEADLINE, task).await.expect("it ends").expect("no panic")
    }

    /// Ends it at once, in the middle of whatever it does.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// A request as it is: status, content type, body.
    pub(crate) async fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: Option<String>,
    ) -> (u16, Option<String>, String) {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        let content_type = response.headers().get("content-type");
        let content_type = content_type.map(|value| value.to_str().expect("a text").to_owned());
        (status, content_type, response.text().await.expect("a body"))
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let headers = [(
            "content-type".to_owned(),
            "application/vnd.schemaregistry.v1+json".to_owned(),
        )];
        let headers = if body.is_some() { &headers[..] } else { &[] };
        let (status, _, text) = self.raw(method, path, headers, body.map(Value::to_string)).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        self.send("DELETE", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send("POST", path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send("PUT", path, Some(body)).await
    }

    /// Registers a schema.
    pub(crate) async fn register(&self, subject: &str, schema: &str) -> (u16, Value) {
        self.post(
            &format!("/subjects/{subject}/versions"),
            &json!({"schema": schema}),
        )
        .await
    }

    /// The id of a schema that can be registered.
    pub(crate) async fn id(&self, subject: &str, schema: &str) -> u64 {
        let (status, body) = self.register(subject, schema).await;
        assert_eq!(status, 200, "{body}");
        body["id"].as_u64().expect("an id")
    }
}

/// A broker with a registry.
pub(crate) struct Pair {
    pub(crate) registry: Registry,
    pub(crate) broker: Broker,
    pub(crate) folder: TempDir,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let broker = Broker::start(folder.path()).await;
        let registry = Registry::start(&broker.address).await;
        Self {
            registry,
            broker,
            folder,
        }
    }
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !holds().await {
        assert!(Instant::now() < until, "never: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Key and value of every record in `_schemas`, from its beginning to its end of now.
pub(crate) fn stored(broker: &str) -> Vec<(String, Option<String>)> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker)
        .set("group.id", "test")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let (_, end) = consumer
        .fetch_watermarks("_schemas", 0, DEADLINE)
        .expect("an end");
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset("_schemas", 0, Offset::Beginning)
        .expect("a partition");
    consumer.assign(&assignment).expect("an assignment");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut records = Vec::new();
    loop {
        let message = consumer.poll(DEADLINE).expect("a record").expect("no error");
        records.push((
            text(message.key().unwrap_or_default()),
            message.payload().map(text),
        ));
        if message.offset() + 1 >= end {
            return records;
        }
    }
}

/// Writes a record into `_schemas`, as somebody else.
pub(crate) async fn write(broker: &str, key: &str, value: Option<&str>) {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .create()
        .expect("a producer");
    let record = FutureRecord {
        partition: Some(0),
        payload: value,
        ..FutureRecord::to("_schemas").key(key)
    };
    producer.send(record, DEADLINE).await.expect("it is written");
}
