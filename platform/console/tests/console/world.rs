//! A broker, a ksqlDB server and a console in this process, records to look at, and a client that asks as a page does.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// No single step of a test takes longer, unless something is wrong.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) console: SocketAddr,
    pub(crate) kafka: SocketAddr,
    pub(crate) http: reqwest::Client,
    registry: Option<String>,
    token: String,
    shutdown: CancellationToken,
    running: Vec<JoinHandle<()>>,
    _folder: TempDir,
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(false).await
    }

    /// The same with a Schema Registry.
    pub(crate) async fn with_registry() -> Self {
        Self::with(true).await
    }

    async fn with(has_registry: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shutdown = CancellationToken::new();
        let mut running = Vec::new();
        let mut config = osqdemo_broker::Config::new(folder.path());
        config.listeners[0].bind = any_port();
        let broker = osqdemo_broker::bind(config).await.unwrap();
        let kafka = broker.addresses()[0].local;
        let ended = shutdown.clone();
        running.push(tokio::spawn(async move { broker.run(ended).await.unwrap() }));
        let mut registry = None;
        if has_registry {
            let config = osqdemo_schema_registry::Config::new(any_port(), kafka.to_string());
            let server = osqdemo_schema_registry::bind(config).await.unwrap();
            registry = Some(format!("http://{}", server.address()));
            let ended = shutdown.clone();
            running.push(tokio::spawn(async move { server.run(ended).await.unwrap() }));
        }
        let mut config = osqdemo_ksqldb::Config::new(any_port(), kafka.to_string());
        config.schema_registry = registry.clone().map(osqdemo_registry_client::Settings::new);
        let ksqldb = osqdemo_ksqldb::bind(config).await.unwrap();
        let ksqldb_url = format!("http://{}", ksqldb.address());
        let ended = shutdown.clone();
        running.push(tokio::spawn(async move { ksqldb.run(ended).await.unwrap() }));
        let mut config = osqdemo_console::Config::new(any_port(), kafka.to_string());
        config.ksqldb_url = Some(ksqldb_url);
        config.registry_url.clone_from(&registry);
        let server = osqdemo_console::bind(config).await.unwrap();
        let console = server.address();
        let ended = shutdown.clone();
        running.push(tokio::spawn(async move { server.run(ended).await.unwrap() }));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut world = Self {
            console,
            kafka,
            http,
            registry,
            token: String::new(),
            shutdown,
            running,
            _folder: folder,
        };
        let page = world.get("/").await.text().await.unwrap();
        let (_, rest) = page.split_once("name=\"token\" content=\"").unwrap();
        rest.split('"').next().unwrap().clone_into(&mut world.token);
        world
            .until("ksqlDB answers", async || {
                let health = world.json("/api/health").await;
                health["ksqldb"] == "up" && health["kafka"] == "up"
            })
            .await;
        if let Some(registry) = &world.registry {
            let subjects = format!("{registry}/subjects");
            world
                .until("the registry answers", async || {
                    let answer = world.http.get(&subjects).send().await;
                    answer.is_ok_and(|answer| answer.status().is_success())
                })
                .await;
        }
        world
    }

    /// Stops everything and waits until it has ended.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        for running in self.running {
            timeout(DEADLINE, running)
                .await
                .expect("a service does not end")
                .unwrap();
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.console)
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        timeout(DEADLINE, self.http.get(self.url(path)).send())
            .await
            .expect(path)
            .unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        self.get(path).await.json().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        let request = self
            .http
            .request(Method::POST, self.url(path))
            .header("x-osqdemo-token", &self.token)
            .json(body);
        timeout(DEADLINE, request.send()).await.expect(path).unwrap()
    }

    /// Runs statements, which must succeed.
    pub(crate) async fn ksql(&self, statements: &str) -> Value {
        let body = json!({"ksql": statements, "properties": {"auto.offset.reset": "earliest"}});
        let response = self.post("/api/ksql", &body).await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert!(status.is_success(), "{body}");
        body
    }

    /// Registers an Avro schema, a version more of its subject.
    pub(crate) async fn register(&self, subject: &str, schema: &Value) {
        let registry = self.registry.as_ref().expect("a world with a registry");
        let request = self
            .http
            .post(format!("{registry}/subjects/{subject}/versions"))
            .json(&json!({"schema": schema.to_string()}));
        let response = timeout(DEADLINE, request.send()).await.expect(subject).unwrap();
        assert!(
            response.status().is_success(),
            "{}",
            response.text().await.unwrap()
        );
    }

    /// Writes records with these keys and values, in order; makes the topic.
    pub(crate) async fn produce(&self, topic: &str, records: &[(&str, Vec<u8>)]) {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", self.kafka.to_string())
            .set("message.max.bytes", "15000000")
            .set("linger.ms", "5")
            .create()
            .unwrap();
        let mut sent = Vec::new();
        for (key, value) in records {
            let record = FutureRecord::to(topic).key(*key).payload(value);
            sent.push(producer.send_result(record).unwrap());
        }
        for delivery in sent {
            delivery.await.unwrap().unwrap();
        }
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let begun = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        while !holds().await {
            assert!(begun.elapsed() < DEADLINE, "not in time: {what}");
            tick.tick().await;
        }
    }

    /// Opens an event stream and watches one thing on it.
    pub(crate) async fn watch(&self, wanted: Value) -> Events {
        let response = self.get("/api/live").await;
        let mut events = Events {
            response,
            pending: Vec::new(),
        };
        let page = events.next("page").await["page"].as_u64().unwrap();
        let mut body = json!({"id": 7});
        body.as_object_mut()
            .unwrap()
            .extend(wanted.as_object().unwrap().clone());
        let response = self.post(&format!("/api/live/{page}/watch"), &body).await;
        assert!(
            response.status().is_success(),
            "{}",
            response.text().await.unwrap()
        );
        events
    }
}

/// What a page is told.
pub(crate) struct Events {
    response: Response,
    pending: Vec<u8>,
}

impl Events {
    /// The body of the next event of a kind; others are passed over.
    pub(crate) async fn next(&mut self, kind: &str) -> Value {
        loop {
            let event = timeout(DEADLINE, self.any())
                .await
                .unwrap_or_else(|_| panic!("no event `{kind}` in time"));
            if event["type"] == kind {
                return event["body"].clone();
            }
            assert_ne!(event["type"], "end", "{event}");
        }
    }

    /// The next event of one of these kinds.
    pub(crate) async fn next_of(&mut self, kinds: &[&str]) -> (String, Value) {
        loop {
            let event = timeout(DEADLINE, self.any())
                .await
                .unwrap_or_else(|_| panic!("none of {kinds:?} in time"));
            let kind = event["type"].as_str().unwrap_or_default();
            if kinds.contains(&kind) {
                return (kind.to_owned(), event["body"].clone());
            }
        }
    }

    async fn any(&mut self) -> Value {
        loop {
            if let Some(end) = self.pending.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = self.pending.drain(..end + 2).collect();
                if let Some(data) = event.strip_prefix(b"data: ") {
                    return serde_json::from_slice(data).unwrap();
                }
                continue;
            }
            let chunk = self
                .response
                .chunk()
                .await
                .unwrap()
                .expect("the event stream has ended");
            self.pending.extend_from_slice(&chunk);
        }
    }
}

/// A result line as osquery writes it.
pub(crate) fn line(query: &str, host: &str, action: &str, columns: &Value) -> (&'static str, Vec<u8>) {
    let line = json!({
        "name": query, "hostIdentifier": host, "calendarTime": "Sat Nov 28 18:43:16 2026 UTC", "unixTime": 1_795_891_396,
        "epoch": 0, "counter": 1, "numerics": false, "columns": columns, "action": action,
    });
    let key = if host == "host1" { "host1" } else { "host2" };
    (key, line.to_string().into_bytes())
}

/// Lines of two hosts, one of which has a process with an open file.
pub(crate) async fn lines(world: &World) {
    let head =
        json!({"pid": "42", "name": "head", "path": "/usr/bin/head", "cmdline": "head -c 1G", "state": "R"});
    let init = json!({"pid": "1", "name": "init", "path": "/sbin/init", "cmdline": "init"});
    let file = json!({"pid": "42", "fd": "1", "path": "/home/jay/myfile"});
    let records = [
        line("processes", "host1", "added", &init),
        line("processes", "host2", "added", &init),
        line("processes", "host2", "added", &head),
    ];
    world.produce("processes", &records).await;
    world
        .produce("open_files", &[line("open_files", "host2", "added", &file)])
        .await;
}

/// The sources over them, and the precise streams.
pub(crate) async fn streams(world: &World) {
    for statements in [
        include_str!("../../../../ksql/01-sources.sql"),
        include_str!("../../../../ksql/03-precise.sql"),
    ] {
        let statements = statements.replace("SET 'auto.offset.reset'='earliest';", "");
        world.ksql(&statements).await;
    }
}
