//! A real broker and a real server in this process, and clients for both.
//!
//! Long because each part starts what the next one needs: broker, registry, server, clients.
#![allow(
    dead_code,
    reason = "each test binary uses its own part of the support module"
)]
#![allow(
    clippy::print_stdout,
    reason = "a server in a process of its own tells its address on standard output"
)]

pub(crate) mod gate;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use osqdemo_ksqldb::{Config, Error};
use rdkafka::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// No single step of a test takes longer, unless something is wrong.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A broker, in this process unless it is to be killed.
pub(crate) struct Broker {
    pub(crate) folder: TempDir,
    pub(crate) address: SocketAddr,
    running: Running<osqdemo_broker::Error>,
}

enum Running<E> {
    Here(CancellationToken, JoinHandle<Result<(), E>>),
    Process(Child),
}

/// Names the broker's address for the process that [`run_child`] runs in: to serve it, or to use it.
const CHILD_BROKER: &str = "KSQLDB_TEST_BROKER";
/// Names the folder for a process that is a broker.
const CHILD_FOLDER: &str = "KSQLDB_TEST_BROKER_FOLDER";

/// What the test `child` of a test binary calls: a server or a broker until it is killed, where
/// [`Server::start_process`] or [`Broker::start_process`] asked for one, and nothing otherwise.
pub(crate) async fn run_child() {
    let Ok(broker) = std::env::var(CHILD_BROKER) else {
        return;
    };
    if let Ok(folder) = std::env::var(CHILD_FOLDER) {
        let broker = osqdemo_broker::bind(broker_config(Path::new(&folder), broker.parse().unwrap()))
            .await
            .unwrap();
        println!("\nlistening on {}", broker.addresses()[0].local);
        broker.run(CancellationToken::new()).await.unwrap();
        return;
    }
    let server = osqdemo_ksqldb::bind(Config::new(any_port(), broker))
        .await
        .unwrap();
    println!("\nlistening on {}", server.address());
    server.run(CancellationToken::new()).await.unwrap();
}

/// Starts this test binary's test `child`, and waits for its address.
async fn spawn_child(variables: &[(&str, String)]) -> (Child, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .envs(variables.iter().map(|(name, value)| (*name, value.as_str())))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    loop {
        let line = timeout(DEADLINE, lines.next_line())
            .await
            .expect("no address in time");
        let line = line.unwrap().expect("the process ended");
        if let Some(address) = line.strip_prefix("listening on ") {
            return (child, address.parse().unwrap());
        }
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn broker_config(folder: &Path, bind: SocketAddr) -> osqdemo_broker::Config {
    let mut config = osqdemo_broker::Config::new(folder);
    config.listeners = vec![osqdemo_broker::Listener::plaintext("test", bind)];
    config
}

impl Broker {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), any_port()).await
    }

    pub(crate) async fn start_in(folder: TempDir, bind: SocketAddr) -> Self {
        let config = broker_config(folder.path(), bind);
        Self::start_with(folder, config).await
    }

    /// Starts a broker that tells its clients another address than its own.
    pub(crate) async fn start_advertised(address: osqdemo_broker::HostPort) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = broker_config(folder.path(), any_port());
        config.listeners[0].advertised = Some(address);
        Self::start_with(folder, config).await
    }

    async fn start_with(folder: TempDir, config: osqdemo_broker::Config) -> Self {
        let broker = osqdemo_broker::bind(config).await.unwrap();
        let address = broker.addresses()[0].local;
        let shutdown = CancellationToken::new();
        let running = Running::Here(shutdown.clone(), tokio::spawn(broker.run(shutdown)));
        Self {
            folder,
            address,
            running,
        }
    }

    /// Starts a broker in a process of its own. The test binary needs a test `child` that calls [`run_child`].
    pub(crate) async fn start_process(folder: TempDir, bind: SocketAddr) -> Self {
        let variables = [
            (CHILD_BROKER, bind.to_string()),
            (CHILD_FOLDER, folder.path().to_str().unwrap().to_owned()),
        ];
        let (child, address) = spawn_child(&variables).await;
        Self {
            folder,
            address,
            running: Running::Process(child),
        }
    }

    /// Stops it, or kills its process with SIGKILL.
    pub(crate) async fn stop(self) -> (TempDir, SocketAddr) {
        match self.running {
            Running::Here(shutdown, running) => {
                shutdown.cancel();
                timeout(DEADLINE, running).await.unwrap().unwrap().unwrap();
            }
            Running::Process(mut child) => timeout(DEADLINE, child.kill()).await.unwrap().unwrap(),
        }
        (self.folder, self.address)
    }

    /// Stops it and starts another on the same folder and address.
    pub(crate) async fn restart(self) -> Self {
        let (folder, address) = self.stop().await;
        Self::start_in(folder, address).await
    }

    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.address.to_string())
            .set("linger.ms", "0")
            .set("reconnect.backoff.max.ms", "500");
        config
    }

    pub(crate) fn producer(&self) -> FutureProducer {
        self.client().create().unwrap()
    }

    /// Reads a topic with one partition from its beginning.
    pub(crate) fn reader(&self, topic: &str) -> StreamConsumer {
        let consumer: StreamConsumer = self
            .client()
            .set("group.id", format!("test-{topic}"))
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        let mut assignment = TopicPartitionList::new();
        assignment
            .add_partition_offset(topic, 0, Offset::Beginning)
            .unwrap();
        consumer.assign(&assignment).unwrap();
        consumer
    }
}

/// A Schema Registry in this process, over a broker.
pub(crate) struct Registry {
    pub(crate) address: SocketAddr,
    http: reqwest::Client,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), osqdemo_schema_registry::Error>>,
}

impl Registry {
    pub(crate) async fn start(broker: &Broker) -> Self {
        Self::start_at(broker, any_port()).await
    }

    /// Starts one and waits until it answers.
    pub(crate) async fn start_at(broker: &Broker, address: SocketAddr) -> Self {
        let config = osqdemo_schema_registry::Config::new(address, broker.address.to_string());
        let registry = osqdemo_schema_registry::bind(config).await.unwrap();
        let address = registry.address();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(registry.run(shutdown.clone()));
        let registry = Self {
            address,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            shutdown,
            running,
        };
        let deadline = Instant::now() + DEADLINE;
        while registry.ask("GET", "/subjects", None).await.0 != 200 {
            assert!(Instant::now() < deadline, "the registry is not ready in time");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        registry
    }

    /// Stops it; another may take its place.
    pub(crate) async fn stop(self) -> SocketAddr {
        self.shutdown.cancel();
        timeout(DEADLINE, self.running).await.unwrap().unwrap().unwrap();
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Asks it something; returns the status and the answer.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.url()));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/vnd.schemaregistry.v1+json")
                .body(body.to_string());
        }
        let response = timeout(DEADLINE, request.send())
            .await
            .expect("no answer in time");
        let response = response.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    /// Registers an Avro schema; returns its id.
    pub(crate) async fn register(&self, subject: &str, schema: &Value) -> u32 {
        let body = json!({"schema": schema.to_string()});
        let path = format!("/subjects/{subject}/versions");
        let (status, answer) = self.ask("POST", &path, Some(&body)).await;
        assert_eq!(status, 200, "{answer}");
        u32::try_from(answer["id"].as_u64().unwrap()).unwrap()
    }

    /// The latest schema of a subject.
    pub(crate) async fn latest(&self, subject: &str) -> Value {
        let (status, answer) = self
            .ask("GET", &format!("/subjects/{subject}/versions/latest"), None)
            .await;
        assert_eq!(status, 200, "{answer}");
        let text = answer["schema"].as_str().unwrap();
        serde_json::from_str(text).unwrap_or_else(|_| text.into())
    }
}

/// The next record of a reader.
pub(crate) async fn next_record(reader: &StreamConsumer) -> OwnedMessage {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match timeout(left, reader.recv()).await.expect("no record in time") {
            Ok(message) => return message.detach(),
            // The client recovers from a lost connection by itself.
            Err(_) => assert!(Instant::now() < deadline),
        }
    }
}

/// A record's value as JSON.
pub(crate) fn value_of(message: &OwnedMessage) -> Value {
    serde_json::from_slice(message.payload().unwrap()).unwrap()
}

/// Writes a record and waits for its acknowledgement.
pub(crate) async fn produce(producer: &FutureProducer, topic: &str, key: Option<&str>, value: &str) {
    produce_at(producer, topic, key, value, None).await;
}

/// Writes a record with a timestamp.
pub(crate) async fn produce_at(
    producer: &FutureProducer,
    topic: &str,
    key: Option<&str>,
    value: &str,
    timestamp: Option<i64>,
) {
    let mut record = FutureRecord::<str, str>::to(topic).payload(value);
    if let Some(key) = key {
        record = record.key(key);
    }
    if let Some(timestamp) = timestamp {
        record = record.timestamp(timestamp);
    }
    producer
        .send(record, DEADLINE)
        .await
        .map_err(|(error, _)| error)
        .unwrap();
}

/// A server, in this process unless it is to be killed.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) http: reqwest::Client,
    running: Running<Error>,
}

impl Server {
    /// Starts a server and waits until it is ready.
    pub(crate) async fn start(broker: &Broker) -> Self {
        let server = Self::start_for(broker.address).await;
        server.ready().await;
        server
    }

    /// Starts a server that has a Schema Registry, and waits until it is ready.
    pub(crate) async fn start_registered(broker: &Broker, registry: &str) -> Self {
        let server = Self::start_with(broker.address, |config| {
            config.schema_registry = Some(osqdemo_registry_client::Settings::new(registry));
        })
        .await;
        server.ready().await;
        server
    }

    pub(crate) async fn start_for(broker: SocketAddr) -> Self {
        Self::start_with(broker, |_| {}).await
    }

    /// Starts a server that is configured in some way, without waiting until it is ready.
    pub(crate) async fn start_with(broker: SocketAddr, configure: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(any_port(), broker.to_string());
        configure(&mut config);
        let server = osqdemo_ksqldb::bind(config).await.unwrap();
        let address = server.address();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(server.run(shutdown.clone()));
        Self::at(address, Running::Here(shutdown, running))
    }

    /// Starts a server in a process of its own, and waits until it is ready. The test binary needs a test `child`
    /// that calls [`run_child`].
    pub(crate) async fn start_process(broker: &Broker) -> Self {
        let (child, address) = spawn_child(&[(CHILD_BROKER, broker.address.to_string())]).await;
        let server = Self::at(address, Running::Process(child));
        server.ready().await;
        server
    }

    /// Starts another program's server, by its `serve ksqldb`, and waits until it is ready.
    pub(crate) async fn start_program(program: &Path, broker: &Broker) -> Self {
        let port = std::net::TcpListener::bind(any_port()).unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let child = Command::new(program)
            .args(["serve", "ksqldb", "--listen", &address.to_string()])
            .args(["--bootstrap-servers", &broker.address.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let server = Self::at(address, Running::Process(child));
        server.listens().await;
        server.ready().await;
        server
    }

    /// Waits until somebody listens at the server's address.
    async fn listens(&self) {
        let deadline = Instant::now() + DEADLINE;
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            assert!(Instant::now() < deadline, "the server does not listen in time");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn at(address: SocketAddr, running: Running<Error>) -> Self {
        Self {
            address,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            running,
        }
    }

    /// The id of a server's process.
    pub(crate) fn process_id(&self) -> u32 {
        match &self.running {
            Running::Process(child) => child.id().expect("the process runs"),
            Running::Here(..) => std::process::id(),
        }
    }

    /// Kills a server's process with SIGKILL.
    pub(crate) async fn kill(self) {
        let Running::Process(mut child) = self.running else {
            panic!("not a process");
        };
        timeout(DEADLINE, child.kill()).await.unwrap().unwrap();
    }

    /// Waits until the server runs.
    pub(crate) async fn ready(&self) {
        let deadline = Instant::now() + DEADLINE;
        while self.get("/info").await.0 != 200 {
            assert!(Instant::now() < deadline, "the server is not ready in time");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Asks it to stop and waits until it has; returns how long that took.
    pub(crate) async fn stop(self) -> Duration {
        let Running::Here(shutdown, running) = self.running else {
            panic!("a process is killed");
        };
        let began = Instant::now();
        shutdown.cancel();
        timeout(DEADLINE, running).await.unwrap().unwrap().unwrap();
        began.elapsed()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let response = self.http.get(self.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, String) {
        let request = self.http.post(self.url(path)).body(body.to_string());
        let response = timeout(DEADLINE, request.send())
            .await
            .expect("no response in time")
            .unwrap();
        let status = response.status().as_u16();
        let text = timeout(DEADLINE, response.text()).await.expect("no body in time");
        (status, text.unwrap())
    }

    /// Executes statements that must succeed.
    pub(crate) async fn ksql(&self, statements: &str) -> Value {
        let (status, body) = self.post("/ksql", &json!({"ksql": statements})).await;
        assert_eq!(status, 200, "{statements}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Executes statements that must fail; returns the status and the error.
    pub(crate) async fn refused(&self, statements: &str) -> (u16, Value) {
        let (status, body) = self.post("/ksql", &json!({"ksql": statements})).await;
        assert_ne!(status, 200, "{statements}: {body}");
        (status, serde_json::from_str(&body).unwrap())
    }

    /// Opens a push query and reads its header.
    pub(crate) async fn push(&self, sql: &str, properties: Value) -> Push {
        let body = json!({"ksql": sql, "streamsProperties": properties});
        let request = self
            .http
            .post(self.url("/query"))
            .header("accept", "application/vnd.ksql.v1+json")
            .body(body.to_string());
        let response = timeout(DEADLINE, request.send())
            .await
            .expect("no response in time")
            .unwrap();
        let status = response.status().as_u16();
        if status != 200 {
            panic!("{status}: {}", response.text().await.unwrap());
        }
        let mut push = Push {
            response,
            buffer: String::new(),
            header: String::new(),
        };
        push.header = push.line().await.unwrap();
        push
    }
}

/// An open push query.
pub(crate) struct Push {
    response: reqwest::Response,
    buffer: String,
    /// The first line.
    pub(crate) header: String,
}

impl Push {
    /// The next line with its line feed, or what is left at the end; `None` after it.
    pub(crate) async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.find('\n') {
                return Some(self.buffer.drain(..=end).collect());
            }
            let chunk = timeout(DEADLINE, self.response.chunk())
                .await
                .expect("no row in time");
            match chunk.unwrap() {
                Some(bytes) => self.buffer.push_str(std::str::from_utf8(&bytes).unwrap()),
                None if self.buffer.is_empty() => return None,
                None => return Some(std::mem::take(&mut self.buffer)),
            }
        }
    }

    /// The columns of the next row.
    pub(crate) async fn row(&mut self) -> Value {
        let line = self.line().await.expect("the query has ended");
        let text = line.trim_end().trim_end_matches(',');
        let row: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        row["row"]["columns"].clone()
    }
}
