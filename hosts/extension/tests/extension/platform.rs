//! The broker and the Schema Registry of this repository, and what can stand between the registry and its clients.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use apache_avro::reader::datum::GenericDatumReader;
use osqdemo_registry_client::wire::{SchemaId, split};
use osqdemo_registry_client::{Client, Settings};
use osqdemo_schema_registry::Config;
use rdkafka::consumer::Consumer as _;
use rdkafka::message::Message as _;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::reading::{consumer, first_records, headers_of, value_of};
use crate::world::{PATIENCE, until};

/// An address of this machine at which nobody else's connections begin, so that its port is free again after a pause.
const APART: [u8; 4] = [127, 0, 77, 1];

/// A broker, a registry that can be killed, and the door in front of it.
pub(crate) struct Platform {
    runtime: Option<Runtime>,
    /// That of the registry, so that it can end as if its process was killed.
    registry: Option<Runtime>,
    door: Option<JoinHandle<()>>,
    /// Where clients are told that the registry is.
    pub(crate) door_address: SocketAddr,
    /// Where it is.
    registry_address: SocketAddr,
    pub(crate) broker: String,
    _folder: TempDir,
}

/// What happens to who comes to the door.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Door {
    /// It is let through.
    Open,
    /// There is no door.
    Gone,
    /// It is sent away.
    Shut,
    /// It waits for an answer.
    Silent,
    /// It is let through after so long.
    Late(Duration),
    /// It gets this status, and this text.
    Answers(&'static str, &'static str),
}

/// A record of a topic.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Vec<u8>,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Platform {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let mut config = osqdemo_broker::Config::new(folder.path());
        config.default_partitions = 1;
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        config.listeners = vec![osqdemo_broker::Listener::plaintext("test", anywhere)];
        let broker = runtime.block_on(osqdemo_broker::bind(config)).unwrap();
        let address = broker.addresses()[0].local.to_string();
        runtime.spawn(broker.run(CancellationToken::new()));
        let door = runtime
            .block_on(TcpListener::bind(SocketAddr::from((APART, 0))))
            .unwrap();
        let mut platform = Self {
            door_address: door.local_addr().unwrap(),
            runtime: Some(runtime),
            registry: None,
            door: None,
            registry_address: SocketAddr::from(([127, 0, 0, 1], 0)),
            broker: address,
            _folder: folder,
        };
        drop(door);
        platform.start_registry();
        platform
    }

    /// Starts the registry, waits until it has read its topic, and opens the door to it.
    pub(crate) fn start_registry(&mut self) {
        let config = Config::new(SocketAddr::from(([127, 0, 0, 1], 0)), &self.broker);
        let runtime = Runtime::new().unwrap();
        let registry = runtime.block_on(osqdemo_schema_registry::bind(config)).unwrap();
        self.registry_address = registry.address();
        runtime.spawn(registry.run(CancellationToken::new()));
        self.registry = Some(runtime);
        let client = self.client();
        until("the registry", || client.subjects().is_ok());
        self.set_door(Door::Open);
    }

    /// Ends the registry in the middle of whatever it does.
    pub(crate) fn kill_registry(&mut self) {
        self.registry.take().expect("it runs").shutdown_background();
    }

    /// From now on. Whoever is inside is put out.
    pub(crate) fn set_door(&mut self, door: Door) {
        let runtime = self.runtime.as_ref().expect("it runs");
        if let Some(former) = self.door.take() {
            former.abort();
            let _ = runtime.block_on(former);
        }
        if matches!(door, Door::Gone) {
            return;
        }
        let listener = runtime.block_on(TcpListener::bind(self.door_address)).unwrap();
        self.door = Some(runtime.spawn(stand_at(listener, door, self.registry_address)));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.door_address)
    }

    /// A client that goes through no door.
    pub(crate) fn client(&self) -> Client {
        Client::new(Settings {
            retries: 0,
            ..Settings::new(format!("http://{}", self.registry_address))
        })
        .unwrap()
    }

    /// Asks the registry for something that a client of ours has no word for.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.registry_address))
            .header("content-type", "application/json")
            .body(body.to_owned())
            .unwrap();
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let mut answer = agent.run(request).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert!(answer.status().is_success(), "{method} {path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Waits for `count` records, and insists that there are no more.
    pub(crate) fn records(&self, topic: &str, count: usize) -> Vec<Record> {
        let consumer = consumer(&self.broker);
        let messages = first_records(&consumer, topic, count, PATIENCE);
        let (_, end) = consumer.fetch_watermarks(topic, 0, PATIENCE).unwrap();
        assert_eq!(usize::try_from(end).unwrap(), count, "records in `{topic}`");
        messages
            .into_iter()
            .map(|message| Record {
                key: message.key().map(<[u8]>::to_vec),
                value: value_of(&message),
                headers: headers_of(&message),
            })
            .collect()
    }

    /// Reads a value as any consumer would: by the id in front of it, with the schema that the registry has, by Apache's
    /// Avro. What the schema has as null is left out.
    pub(crate) fn read(&self, value: &[u8]) -> (u32, Value) {
        let (schema, mut data) = split(value).unwrap();
        let SchemaId::Id(id) = schema else {
            panic!("{schema:?}")
        };
        let schema = self.client().schema(schema, None).unwrap();
        let schema = apache_avro::Schema::parse_str(&schema.schema).unwrap();
        let reader = GenericDatumReader::builder(&schema).build().unwrap();
        let read = reader.read_value(&mut data).unwrap();
        assert!(data.is_empty(), "{} bytes are left", data.len());
        let mut read: Value = read.try_into().unwrap();
        if let Some(object) = read.as_object_mut() {
            object.retain(|_, value| !value.is_null());
        }
        (id, read)
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        for runtime in self.registry.take().into_iter().chain(self.runtime.take()) {
            runtime.shutdown_background();
        }
    }
}

async fn stand_at(listener: TcpListener, door: Door, registry: SocketAddr) {
    let mut inside = JoinSet::new();
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            continue;
        };
        match door {
            Door::Gone | Door::Shut => drop(stream),
            Door::Silent => _ = inside.spawn(async move { until_closed(stream).await }),
            Door::Answers(status, text) => {
                _ = inside.spawn(async move {
                    read_request(&mut stream).await;
                    let length = text.len();
                    let answer = format!(
                        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
                    );
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
            Door::Open | Door::Late(_) => {
                _ = inside.spawn(async move {
                    if let Door::Late(time) = door {
                        tokio::time::sleep(time).await;
                    }
                    if let Ok(mut registry) = TcpStream::connect(registry).await {
                        let _ = tokio::io::copy_bidirectional(&mut stream, &mut registry).await;
                    }
                });
            }
        }
    }
}

async fn until_closed(mut stream: TcpStream) {
    let mut bytes = [0; 1024];
    while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
}

/// Reads a request to its end: a connection that is closed with something unread takes the answer with it.
async fn read_request(stream: &mut TcpStream) {
    let mut request = String::new();
    let mut byte = [0];
    while !request.ends_with("\r\n\r\n") && stream.read_exact(&mut byte).await.is_ok() {
        request.push(char::from(byte[0]));
    }
    let length = request
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    let _ = stream.read_exact(&mut body).await;
}
