use std::net::SocketAddr;

use osqdemo_avro::{Value, decode, encode};
use osqdemo_registry_client::wire::{SchemaId, split, write_id};
use osqdemo_registry_client::{Client, Reference, Schema, SchemaType, Settings};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const DOOR: &str =
    r#"{"type":"record","name":"Door","namespace":"site","fields":[{"name":"nr","type":"int"}]}"#;

/// A broker and a registry.
struct Running {
    url: String,
    runtime: Option<Runtime>,
    _folder: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Running {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = osqdemo_broker::Config::new(folder.path());
        config.listeners = vec![osqdemo_broker::Listener::plaintext("test", anywhere)];
        let url = runtime.block_on(async {
            let broker = osqdemo_broker::bind(config).await.unwrap();
            let address = broker.addresses()[0].local.to_string();
            tokio::spawn(broker.run(CancellationToken::new()));
            let registry = osqdemo_schema_registry::Config::new(anywhere, address);
            let registry = osqdemo_schema_registry::bind(registry).await.unwrap();
            let url = format!("http://{}", registry.address());
            tokio::spawn(registry.run(CancellationToken::new()));
            url
        });
        Self {
            url,
            runtime: Some(runtime),
            _folder: folder,
        }
    }

    /// A client that waits for as long as the registry starts.
    fn client(&self) -> Client {
        Client::new(Settings {
            retries: 30,
            ..Settings::new(&self.url)
        })
        .unwrap()
    }

    fn end(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

#[test]
fn data_are_written_and_read_also_when_the_registry_is_gone() {
    let running = Running::start();
    let (writer, reader) = (running.client(), running.client());
    let schema = Schema::avro(DOOR);
    let id = writer.register("doors/value", &schema, false).unwrap();
    let parsed = writer.avro(SchemaId::Id(id), None).unwrap();
    let door = Value::Record(vec![Value::Int(7)]);
    let record = || {
        let mut record = Vec::new();
        write_id(
            writer.register("doors/value", &schema, false).unwrap(),
            &mut record,
        );
        encode(&parsed, &door, &mut record).unwrap();
        record
    };
    let read = |record: &[u8]| {
        let (id, data) = split(record).unwrap();
        decode(&reader.avro(id, Some("doors/value")).unwrap(), data).unwrap()
    };
    assert_eq!(read(&record()), door);
    running.end();
    assert_eq!(read(&record()), door);
}

#[test]
fn references_are_followed() {
    let running = Running::start();
    let client = running.client();
    client.register("door", &Schema::avro(DOOR), false).unwrap();
    let house = Schema {
        schema: r#"{"type":"record","name":"House","fields":[{"name":"door","type":"site.Door"}]}"#
            .to_owned(),
        schema_type: SchemaType::Avro,
        references: vec![Reference {
            name: "site.Door".to_owned(),
            subject: "door".to_owned(),
            version: 1,
        }],
    };
    let id = client.register("house", &house, false).unwrap();
    let parsed = client.avro(SchemaId::Id(id), None).unwrap();
    assert!(
        parsed
            .resolved_text()
            .contains(r#""namespace":"site","fields":[{"name":"nr","type":"int"}]"#)
    );
    assert_eq!(client.lookup("house", &house, true, false).unwrap().version, 1);
    assert_eq!(
        (client.subjects().unwrap(), client.versions("house").unwrap()),
        (vec!["door".to_owned(), "house".to_owned()], vec![1])
    );
}

#[test]
fn a_schema_is_normalized_where_that_is_asked_for() {
    let running = Running::start();
    let client = running.client();
    let door = DOOR.strip_suffix('}').unwrap();
    let written = format!(r#"{door},"b":"2","a":"1"}}"#);
    let sorted = format!(r#"{door},"a":"1","b":"2"}}"#);
    for (subject, normalize, kept) in [("as-it-is", false, &written), ("normalized", true, &sorted)] {
        let schema = Schema::avro(&written);
        let id = client.register(subject, &schema, normalize).unwrap();
        let version = client.version(subject, None).unwrap();
        assert_eq!((version.id, &version.schema.schema), (id, kept), "{subject}");
        assert_eq!(client.lookup(subject, &schema, normalize, false).unwrap().id, id);
    }
}

#[test]
fn a_schema_is_found_by_its_guid() {
    let running = Running::start();
    let client = running.client();
    let id = client.register("door", &Schema::avro(DOOR), false).unwrap();
    let guid = client.guid(id).unwrap().expect("it is told");
    let found = running.client().avro(SchemaId::Guid(guid), None).unwrap();
    let by_id = client.avro(SchemaId::Id(id), None).unwrap();
    assert_eq!(found.canonical_text(), by_id.canonical_text());
    let error = client.schema(SchemaId::Guid([7; 16]), None).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn refusals_and_what_is_not_there_are_told_apart() {
    let running = Running::start();
    let client = running.client();
    assert!(client.latest("door").unwrap_err().is_not_found());
    client.register("door", &Schema::avro(DOOR), false).unwrap();
    assert_eq!(client.latest("door").unwrap().version, 1);
    assert_eq!(client.level("door").unwrap(), "BACKWARD");
    let changed = Schema::avro(DOOR.replace("\"int\"", "\"string\""));
    let messages = client.incompatibilities("door", &changed).unwrap();
    assert!(messages[0].contains("TYPE_MISMATCH"), "{messages:?}");
    let refused = client.register("door", &changed, false).unwrap_err();
    assert!(!refused.is_away() && !refused.is_not_found());
    assert!(refused.to_string().ends_with("error code: 409"), "{refused}");
    assert!(client.schema(SchemaId::Id(999), None).unwrap_err().is_not_found());
    // A later registration is seen at once by the client that made it.
    let wider = Schema::avro(DOOR.replace("\"int\"", "\"long\""));
    client.register("door", &wider, false).unwrap();
    assert_eq!(client.latest("door").unwrap().version, 2);
    let json = Schema {
        schema: "{}".to_owned(),
        schema_type: SchemaType::Json,
        references: Vec::new(),
    };
    let id = client.register("json", &json, false).unwrap();
    let error = client.avro(SchemaId::Id(id), None).unwrap_err();
    assert!(error.to_string().contains("it is of the type Json"), "{error}");
}
