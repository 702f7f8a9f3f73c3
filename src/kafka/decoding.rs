//! Records whose schema a registry has, as JSON. Whoever looks at what topics hold need not know in which format it is.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use osqdemo_avro::{Schema, decode, to_json};
use osqdemo_protobuf::{Codec, DynamicMessage, Linked};
use osqdemo_registry_client::wire::{
    KEY_HEADER, SchemaId, VALUE_HEADER, split, split_message_indexes, with_header,
};
use osqdemo_registry_client::{Client, Credentials, SchemaType, Settings};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::Record;
use crate::stack::HttpService;

/// How soon a registry is asked again for a schema that it did not have: somebody may register it.
const UNKNOWN_PERIOD: Duration = Duration::from_secs(5);
/// How many schemas are known at once.
const MOST_KNOWN: usize = 1_000;
/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Decodes records by a registry.
#[derive(Clone)]
pub struct Decoder {
    client: Arc<Client>,
    known: Arc<Mutex<HashMap<SchemaId, Known>>>,
}

/// What an id stands for.
#[derive(Clone)]
enum Known {
    Avro(Arc<Schema>),
    /// What stands behind the id is text.
    Json,
    Protobuf(Linked),
    /// Nothing that can be read here, as of then.
    Nothing(Instant),
}

impl fmt::Debug for Decoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    /// One that asks that registry; none, where it has no address.
    pub fn new(registry: &HttpService) -> Option<Self> {
        let settings = Settings {
            timeout: LIMIT,
            retries: 1,
            ..registry_settings(registry)
        };
        Some(Self {
            client: Arc::new(Client::new(settings).ok()?),
            known: Arc::default(),
        })
    }

    /// The record with its key and value as JSON, each where it begins with the id of a schema or a header names that;
    /// else as it is.
    pub async fn decoded(&self, record: &Record) -> Record {
        let mut decoded = record.clone();
        for (part, name) in [(&mut decoded.key, KEY_HEADER), (&mut decoded.value, VALUE_HEADER)] {
            let header = record.headers.iter().rfind(|(header, _)| header == name);
            let header = header.map(|(_, value)| value.as_slice());
            if let Some(bytes) = part
                && let Some(json) = self.json(&with_header(bytes, header)).await
            {
                *bytes = json;
            }
        }
        decoded
    }

    async fn json(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (id, data) = split(bytes).ok()?;
        match self.schema(id).await {
            Known::Avro(schema) => {
                let value = decode(&schema, data).ok()?;
                Some(to_json(&schema, &value).to_string().into_bytes())
            }
            Known::Json => Some(data.to_vec()),
            Known::Protobuf(file) => {
                let (path, data) = split_message_indexes(data).ok()?;
                let mut message = DynamicMessage::new(file.message_at(&path)?);
                message.merge(data).ok()?;
                let json = osqdemo_protobuf::to_json(&message);
                Some(json.to_string().into_bytes())
            }
            Known::Nothing(_) => None,
        }
    }

    async fn schema(&self, id: SchemaId) -> Known {
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match lock().get(&id) {
            Some(Known::Nothing(since)) if since.elapsed() >= UNKNOWN_PERIOD => {}
            Some(known) => return known.clone(),
            None => {}
        }
        let client = Arc::clone(&self.client);
        let found = spawn_blocking(move || look_up(&client, id)).await;
        let known = found
            .ok()
            .flatten()
            .unwrap_or_else(|| Known::Nothing(Instant::now()));
        let mut all = lock();
        if all.len() >= MOST_KNOWN {
            all.clear();
        }
        all.insert(id, known.clone());
        known
    }
}

/// How a registry is reached.
pub fn registry_settings(registry: &HttpService) -> Settings {
    let credentials = registry.credentials.as_ref();
    Settings {
        credentials: credentials.map(|known| Credentials::Basic {
            user: known.user.clone(),
            password: known.password.clone(),
        }),
        certificates: registry
            .certificates
            .as_ref()
            .map(|file| file.display().to_string()),
        ..Settings::new(&registry.url)
    }
}

fn look_up(client: &Client, id: SchemaId) -> Option<Known> {
    let schema = client.schema(id, None).ok()?;
    match schema.schema_type {
        SchemaType::Avro => client.avro(id, None).ok().map(Known::Avro),
        SchemaType::Json => Some(Known::Json),
        SchemaType::Protobuf => {
            let used = client.referenced(id, &schema).ok()?;
            Linked::of(&schema.schema, used).ok().map(Known::Protobuf)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ksqldb::canned_server::{Answer, CannedServer};

    fn record(value: &[u8]) -> Record {
        Record {
            topic: "t".to_owned(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: Some(b"host1".to_vec()),
            value: Some(value.to_vec()),
            headers: Vec::new(),
        }
    }

    #[tokio::test]
    async fn what_begins_with_an_id_is_decoded_and_all_else_stays() {
        let server = CannedServer::start(|path, _| match path {
            "/schemas/ids/1" => Answer::ok(r#"{"schema":"\"string\""}"#),
            "/schemas/ids/2" => Answer::ok(r#"{"schema":"{}","schemaType":"JSON"}"#),
            "/schemas/ids/3" => Answer::ok(
                r#"{"schema":"import \"door.proto\"; message A {} message B { message C { optional Door door = 1; optional bytes raw = 2; } }","schemaType":"PROTOBUF","references":[{"name":"door.proto","subject":"door","version":1}]}"#,
            ),
            "/subjects/door/versions/1?deleted=true" => Answer::ok(
                r#"{"subject":"door","version":1,"id":4,"schema":"message Door { optional int32 nr = 1; }","schemaType":"PROTOBUF"}"#,
            ),
            "/schemas/ids/5" => Answer::ok(r#"{"schema":"message {","schemaType":"PROTOBUF"}"#),
            "/schemas/guids/07070707-0707-0707-0707-070707070707" => Answer::ok(r#"{"schema":"\"string\""}"#),
            _ => Answer::status(404, r#"{"error_code":40403,"message":"Schema not found"}"#),
        })
        .await;
        let decoder = Decoder::new(&HttpService::open(&server.url)).unwrap();
        for (bytes, expected) in [
            (b"\0\0\0\0\x01\x04hi".as_slice(), b"\"hi\"".as_slice()),
            (b"\0\0\0\0\x02{\"a\":1}", b"{\"a\":1}"),
            // The first message in the second one of the file.
            (
                b"\0\0\0\0\x03\x04\x02\0\x0a\x02\x08\x07\x12\x01\xff",
                br#"{"door":{"nr":7},"raw":"/w=="}"#,
            ),
            (b"\0\0\0\0\x03\0", b"{}"),
            // A message that is not there, bytes that are none, a file that is none.
            (b"\0\0\0\0\x03\x02\x08", b"\0\0\0\0\x03\x02\x08"),
            (b"\0\0\0\0\x03xx", b"\0\0\0\0\x03xx"),
            (b"\0\0\0\0\x05\0", b"\0\0\0\0\x05\0"),
            (
                b"\x01\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x04hi",
                b"\"hi\"",
            ),
            (b"\0\0\0\0\x09xx", b"\0\0\0\0\x09xx"),
            // Foreign bytes behind an id that is known, and what has none.
            (b"\0\0\0\0\x01\x10hi", b"\0\0\0\0\x01\x10hi"),
            (b"{\"a\":1}", b"{\"a\":1}"),
            (b"\0\0", b"\0\0"),
        ] {
            let decoded = decoder.decoded(&record(bytes)).await;
            assert_eq!(decoded.value.as_deref(), Some(expected));
            assert_eq!(decoded.key.as_deref(), Some(b"host1".as_slice()));
        }
        // The same in a header, where nothing stands before the data.
        let mut headed = record(b"\x04hi");
        headed.headers = vec![(VALUE_HEADER.to_owned(), [&[1][..], &[7; 16]].concat())];
        let decoded = decoder.decoded(&headed).await;
        assert_eq!(decoded.value.as_deref(), Some(b"\"hi\"".as_slice()));
        assert_eq!(decoded.key, headed.key);
        let asked = server.requests().len();
        decoder.decoded(&record(b"\0\0\0\0\x01\x04hi")).await;
        assert_eq!(
            server.requests().len(),
            asked,
            "what is known is not asked for again"
        );
    }
}
