//! Streams whose formats have schemas in a registry, end to end: with a real broker and a real registry, which may be
//! away.
//!
//! Long because every test binary links the whole server, and all of these need the same registry, topics and
//! readers.

mod support;

use osqdemo_avro::{Schema, Value as Avro, decode, encode};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};
use support::{Broker, DEADLINE, Registry, Server, next_record, value_of};
use tokio::net::TcpListener;

/// A record's bytes: the id of its schema before the data.
fn framed(id: u32, data: &[u8]) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], data].concat()
}

async fn write(producer: &FutureProducer, topic: &str, value: &[u8]) {
    let record = FutureRecord::<str, [u8]>::to(topic).payload(value);
    producer.send(record, DEADLINE).await.unwrap();
}

/// The value of an Avro record, with the schema that the registry has under its id.
async fn read(registry: &Registry, bytes: &[u8]) -> Avro {
    assert_eq!(bytes[0], 0, "{bytes:?}");
    let id = u32::from_be_bytes(bytes[1..5].try_into().unwrap());
    let (status, answer) = registry.ask("GET", &format!("/schemas/ids/{id}"), None).await;
    assert_eq!(status, 200, "{answer}");
    let schema = Schema::parse(answer["schema"].as_str().unwrap()).unwrap();
    decode(&schema, &bytes[5..]).unwrap()
}

fn some(value: Avro) -> Avro {
    Avro::Union(1, Box::new(value))
}

fn text(value: &str) -> Avro {
    some(Avro::String(value.to_owned()))
}

/// The messages of the processing log, as far as there are any.
async fn log_entry(server: &Server) -> String {
    let mut log = server
        .push(
            "SELECT message->deserializationError->errorMessage, message->deserializationError->cause FROM \
             KSQL_PROCESSING_LOG EMIT CHANGES LIMIT 1;",
            json!({"auto.offset.reset": "earliest"}),
        )
        .await;
    log.row().await.to_string()
}

/// `{"name":"Line","fields":[…]}` with a text and a number.
fn line_schema() -> Value {
    json!({"type": "record", "name": "Line", "namespace": "site", "fields": [
        {"name": "host", "type": "string"},
        {"name": "columns", "type": {"type": "map", "values": "string"}},
        {"name": "n", "type": "int"},
    ]})
}

fn line(id: u32, host: &str, n: i32) -> Vec<u8> {
    let schema = Schema::parse(&line_schema().to_string()).unwrap();
    let value = Avro::Record(vec![
        Avro::String(host.to_owned()),
        Avro::Map(vec![("pid".to_owned(), Avro::String("7".to_owned()))]),
        Avro::Int(n),
    ]);
    let mut data = Vec::new();
    encode(&schema, &value, &mut data).unwrap();
    framed(id, &data)
}

async fn topic(server: &Server, name: &str) {
    let made = format!(
        "CREATE STREAM made (a INT) WITH (kafka_topic='{name}', value_format='JSON', partitions=1); DROP STREAM made;"
    );
    server.ksql(&made).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_is_read_without_being_told_its_columns_and_its_sink_has_a_schema() {
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let server = Server::start_registered(&broker, &registry.url()).await;
    topic(&server, "lines").await;
    let id = registry.register("lines-value", &line_schema()).await;
    server
        .ksql(
            "CREATE STREAM lines WITH (kafka_topic='lines', value_format='AVRO'); \
             SET 'auto.offset.reset'='earliest'; \
             CREATE STREAM found WITH (key_format='AVRO') AS SELECT host, columns['pid'] AS pid, n FROM lines \
             PARTITION BY host; \
             CREATE STREAM told WITH (value_format='JSON', key_format='KAFKA') AS SELECT * FROM found;",
        )
        .await;
    let producer = broker.producer();
    // Foreign bytes, an id that nobody has registered, data that end too soon: the next line comes all the same.
    for bytes in [&b"{}"[..], &framed(id + 1000, b""), &framed(id, &[40])] {
        write(&producer, "lines", bytes).await;
    }
    write(&producer, "lines", &line(id, "h1", 21)).await;

    let sink = next_record(&broker.reader("FOUND")).await;
    assert_eq!(
        read(&registry, sink.key().unwrap()).await,
        Avro::String("h1".to_owned())
    );
    let value = read(&registry, sink.payload().unwrap()).await;
    assert_eq!(value, Avro::Record(vec![text("7"), some(Avro::Int(21))]));
    assert_eq!(registry.latest("FOUND-key").await, json!("string"));
    let schema = registry.latest("FOUND-value").await;
    assert_eq!(schema["name"], "KsqlDataSourceSchema");
    assert_eq!(
        schema["fields"],
        json!([
            {"name": "PID", "type": ["null", "string"], "default": null},
            {"name": "N", "type": ["null", "int"], "default": null},
        ])
    );
    let print = json!({"ksql": "PRINT 'FOUND' FROM BEGINNING LIMIT 1;"});
    let (status, printed) = server.post("/query", &print).await;
    assert_eq!(status, 200, "{printed}");
    assert!(
        printed.starts_with("Key format: AVRO\nValue format: AVRO\nrowtime: "),
        "{printed}"
    );
    assert!(
        printed.contains(r#"key: h1, value: {"PID": "7", "N": 21}, partition: 0"#),
        "{printed}"
    );
    // What is written here is read here.
    let told = next_record(&broker.reader("TOLD")).await;
    assert_eq!(told.key(), Some(&b"h1"[..]));
    assert_eq!(value_of(&told), json!({"PID": "7", "N": 21}));
    server.stop().await;
    registry.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_inserted_have_the_schemas_of_their_stream() {
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let server = Server::start_registered(&broker, &registry.url()).await;
    server
        .ksql(
            "CREATE STREAM my_rows (a INT KEY, b STRING KEY, d DECIMAL(4,2), m MAP<STRING, INT>, ts TIMESTAMP) WITH \
             (kafka_topic='rows', format='AVRO', partitions=1); \
             INSERT INTO my_rows VALUES (1, 'x', 1.25, MAP('k' := 2), '1970-01-01T00:00:01');",
        )
        .await;
    let record = next_record(&broker.reader("rows")).await;
    let key = read(&registry, record.key().unwrap()).await;
    assert_eq!(key, Avro::Record(vec![some(Avro::Int(1)), text("x")]));
    let entry = Avro::Record(vec![text("k"), some(Avro::Int(2))]);
    let columns = vec![
        some(Avro::Bytes(vec![125])),
        some(Avro::Array(vec![entry])),
        some(Avro::Long(1000)),
    ];
    let value = read(&registry, record.payload().unwrap()).await;
    assert_eq!(value, Avro::Record(columns));
    assert_eq!(registry.latest("rows-key").await["name"], "MyRowsKey");

    // Of a row that leaves some out, these are null.
    server
        .ksql("INSERT INTO my_rows (a, b, d) VALUES (2, 'y', 2.5);")
        .await;
    let mut rows = server
        .push(
            "SELECT * FROM my_rows EMIT CHANGES LIMIT 2;",
            json!({"auto.offset.reset": "earliest"}),
        )
        .await;
    assert_eq!(
        rows.row().await,
        json!([1, "x", 1.25, {"k": 2}, "1970-01-01T00:00:01.000"])
    );
    assert_eq!(rows.row().await, json!([2, "y", 2.50, null, null]));

    server
        .ksql(
            "CREATE STREAM logins (id INT) WITH (KAFKA_TOPIC='logins', VALUE_FORMAT='AVRO', \
             VALUE_SCHEMA_FULL_NAME='demo.Login', PARTITIONS=1);",
        )
        .await;
    let schema = registry.latest("logins-value").await;
    assert_eq!(
        (&schema["namespace"], &schema["name"]),
        (&json!("demo"), &json!("Login"))
    );

    // Somebody deletes a subject: the next row that is inserted registers its schema anew.
    registry.ask("DELETE", "/subjects/rows-value", None).await;
    server.ksql("INSERT INTO my_rows (a, b) VALUES (3, 'z');").await;
    assert_eq!(
        registry.latest("rows-value").await["name"],
        "KsqlDataSourceSchema"
    );

    // A key whose schema is another one's is not written.
    server
        .ksql("CREATE STREAM other (a STRING KEY, d INT) WITH (kafka_topic='rows', format='AVRO');")
        .await;
    let (status, error) = server.refused("INSERT INTO other VALUES ('z', 1);").await;
    let message = error["message"].as_str().unwrap();
    assert_eq!(status, 400, "{message}");
    assert!(
        message.contains("ksqlDB generated schema would overwrite existing key schema."),
        "{message}"
    );
    server.stop().await;
    registry.stop().await;
    broker.stop().await;
}

/// Schemas that a statement names by their ids: columns have the names that stand there, and results are written so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_may_name_schemas_by_their_ids() {
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let server = Server::start_registered(&broker, &registry.url()).await;
    let record = |name: &str, fields: Value| json!({"type": "record", "name": name, "fields": fields});
    // A key without a name is the column `ROWKEY`.
    let key = json!("string");
    let key_id = registry.register("shared-key", &key).await;
    let value = record(
        "Seen",
        json!([
            {"name": "who", "type": "string"},
            {"name": "n", "type": "long"},
            {"name": "more", "type": ["null", "string"], "default": null},
        ]),
    );
    let value_id = registry.register("shared-value", &value).await;
    server
        .ksql(&format!(
            "CREATE STREAM doors WITH (kafka_topic='doors', partitions=1, key_format='AVRO', key_schema_id={key_id}, \
             value_format='AVRO', value_schema_id={value_id}); \
             CREATE STREAM copied WITH (key_schema_id={key_id}, value_schema_id={value_id}) AS \
             SELECT ROWKEY, `who`, `n` + 1 AS `n` FROM doors; \
             CREATE STREAM told WITH (format='JSON') AS SELECT * FROM copied;"
        ))
        .await;
    // They are registered for the topics, as what they are.
    for (subject, schema, id) in [
        ("doors-key", &key, key_id),
        ("doors-value", &value, value_id),
        ("COPIED-key", &key, key_id),
        ("COPIED-value", &value, value_id),
    ] {
        let (status, answer) = registry
            .ask("GET", &format!("/subjects/{subject}/versions/latest"), None)
            .await;
        assert_eq!((status, &answer["id"]), (200, &json!(id)), "{subject}: {answer}");
        assert_eq!(&registry.latest(subject).await, schema, "{subject}");
    }
    server
        .ksql("INSERT INTO doors (ROWKEY, `who`, `n`) VALUES ('door 7', 'jay', 41);")
        .await;
    let door = Avro::String("door 7".to_owned());
    for (topic, n) in [("doors", 41), ("COPIED", 42)] {
        let written = next_record(&broker.reader(topic)).await;
        assert_eq!(read(&registry, written.key().unwrap()).await, door, "{topic}");
        let seen = Avro::Record(vec![
            Avro::String("jay".to_owned()),
            Avro::Long(n),
            Avro::Union(0, Box::new(Avro::Null)),
        ]);
        let bytes = written.payload().unwrap();
        assert_eq!(read(&registry, bytes).await, seen, "{topic}");
        assert_eq!(bytes[1..5], value_id.to_be_bytes(), "{topic}");
    }
    let told = next_record(&broker.reader("TOLD")).await;
    assert_eq!(told.key(), Some(&b"\"door 7\""[..]));
    assert_eq!(value_of(&told), json!({"who": "jay", "n": 42}));
    server.stop().await;
    registry.stop().await;
    broker.stop().await;
}

/// Newer serializers write nothing before the data: a header has the GUID of the schema.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_may_name_the_schema() {
    use osqdemo_registry_client::wire::{VALUE_HEADER, guid, header_value};
    use rdkafka::message::{Header, Headers, OwnedHeaders};
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let server = Server::start_registered(&broker, &registry.url()).await;
    let guid_of = async |subject: &str, kind: &str, text: &str| {
        let body = json!({"schema": text, "schemaType": kind});
        let path = format!("/subjects/{subject}/versions");
        let (status, answer) = registry.ask("POST", &path, Some(&body)).await;
        assert_eq!(status, 200, "{answer}");
        let address = format!("{}/schemas/ids/{}", registry.url(), answer["id"]);
        let asked = server
            .http
            .get(address)
            .header("confluent-accept-unknown-properties", "true");
        let schema: Value = asked.send().await.unwrap().json().await.unwrap();
        guid(schema["guid"].as_str().unwrap()).unwrap()
    };
    let avro = guid_of("a-value", "AVRO", &line_schema().to_string()).await;
    let messages = "syntax = \"proto3\"; message Door { int32 nr = 1; } message Line { string host = 1; }";
    let protobuf = guid_of("p-value", "PROTOBUF", messages).await;
    let json = guid_of(
        "j-value",
        "JSON",
        r#"{"type":"object","properties":{"host":{"type":"string"}}}"#,
    )
    .await;
    server
        .ksql(
            "CREATE STREAM a (host STRING) WITH (kafka_topic='a', value_format='AVRO', partitions=1); \
             CREATE STREAM p (host STRING) WITH (kafka_topic='p', value_format='PROTOBUF', partitions=1); \
             CREATE STREAM j (host STRING) WITH (kafka_topic='j', value_format='JSON_SR', partitions=1); \
             CREATE STREAM text (host STRING) WITH (kafka_topic='j', value_format='JSON'); \
             CREATE STREAM of_a WITH (value_format='AVRO') AS SELECT host FROM a; \
             CREATE STREAM of_p WITH (value_format='JSON') AS SELECT host FROM p; \
             CREATE STREAM of_j WITH (value_format='JSON') AS SELECT host FROM j; \
             CREATE STREAM of_text AS SELECT host FROM text; \
             CREATE STREAM of_of_a WITH (value_format='JSON') AS SELECT host FROM of_a;",
        )
        .await;
    let producer = broker.producer();
    let write = async |topic: &str, header: &[u8], data: &[u8]| {
        let headers = [(VALUE_HEADER, header), ("seq", b"7")];
        let headers = headers
            .into_iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(value),
                })
            });
        let record = FutureRecord::<str, [u8]>::to(topic)
            .payload(data)
            .headers(headers);
        producer.send(record, DEADLINE).await.unwrap();
    };
    let mut data = line(0, "h1", 1);
    data.drain(..5);
    // One that nobody has registered.
    write("a", &header_value([7; 16]), &data).await;
    write("a", &header_value(avro), &data).await;
    // Which message it is stands behind the GUID: the second one.
    let second = [&header_value(protobuf)[..], &[2, 2]].concat();
    write("p", &second, b"\x0a\x02h2").await;
    write("j", &header_value(json), br#"{"host":"h3"}"#).await;
    for (topic, host) in [
        ("OF_OF_A", "h1"),
        ("OF_P", "h2"),
        ("OF_J", "h3"),
        ("OF_TEXT", "h3"),
    ] {
        let record = next_record(&broker.reader(topic)).await;
        assert_eq!(value_of(&record), json!({"HOST": host}), "{topic}");
    }
    // What is written has an id of its own before it, and no word about the schema that was read.
    let written = next_record(&broker.reader("OF_A")).await;
    assert_eq!(
        read(&registry, written.payload().unwrap()).await,
        Avro::Record(vec![text("h1")])
    );
    let headers: Vec<_> = written
        .headers()
        .unwrap()
        .iter()
        .map(|header| header.key)
        .collect();
    assert_eq!(headers, ["seq"]);
    for (topic, format, shown) in [
        ("p", "PROTOBUF", r#"host: "h2""#),
        ("j", "JSON_SR", r#"{"host":"h3"}"#),
    ] {
        let print = json!({"ksql": format!("PRINT '{topic}' FROM BEGINNING LIMIT 1;")});
        let (status, printed) = server.post("/query", &print).await;
        assert_eq!(status, 200, "{printed}");
        assert!(
            printed.contains(&format!("Value format: {format}\n")) && printed.contains(shown),
            "{printed}"
        );
    }
    server.stop().await;
    registry.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_stands_behind_the_id_of_its_schema() {
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let server = Server::start_registered(&broker, &registry.url()).await;
    topic(&server, "doors").await;
    let schema = json!({"type": "object", "properties": {
        "nr": {"type": "integer"},
        "open": {"oneOf": [{"type": "null"}, {"type": "boolean"}]},
    }});
    let body = json!({"schemaType": "JSON", "schema": schema.to_string()});
    let (status, answer) = registry
        .ask("POST", "/subjects/doors-value/versions", Some(&body))
        .await;
    assert_eq!(status, 200, "{answer}");
    let id = u32::try_from(answer["id"].as_u64().unwrap()).unwrap();
    server
        .ksql(
            "CREATE STREAM doors WITH (kafka_topic='doors', value_format='JSON_SR'); \
             SET 'auto.offset.reset'='earliest'; \
             CREATE STREAM told WITH (format='JSON_SR') AS SELECT nr, open, MAP('k' := nr) AS m FROM doors \
             PARTITION BY nr; \
             CREATE STREAM again WITH (value_format='JSON') AS SELECT * FROM told;",
        )
        .await;
    let producer = broker.producer();
    write(&producer, "doors", br#"{"nr":1}"#).await;
    write(&producer, "doors", &framed(id, br#"{"nr":2,"open":true}"#)).await;
    let record = next_record(&broker.reader("TOLD")).await;
    assert_eq!(&record.key().unwrap()[5..], b"2");
    assert_eq!(
        &record.payload().unwrap()[5..],
        br#"{"OPEN":true,"M":[{"key":"k","value":2}]}"#
    );
    let key = registry.latest("TOLD-key").await;
    assert_eq!(
        key,
        json!({"oneOf": [{"type": "null"}, {"type": "integer", "connect.type": "int64"}]})
    );
    let open = &registry.latest("TOLD-value").await["properties"]["OPEN"];
    assert_eq!(
        *open,
        json!({"connect.index": 0, "oneOf": [{"type": "null"}, {"type": "boolean"}]})
    );
    let again = next_record(&broker.reader("AGAIN")).await;
    assert_eq!(value_of(&again), json!({"OPEN": true, "M": {"k": 2}}));

    server
        .ksql("CREATE STREAM rows (a INT) WITH (kafka_topic='rows', value_format='JSON_SR', partitions=1); INSERT INTO rows VALUES (1);")
        .await;
    let record = next_record(&broker.reader("rows")).await;
    assert_eq!(&record.payload().unwrap()[5..], br#"{"A":1}"#);
    server.stop().await;
    registry.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protobuf_messages_stand_behind_the_id_of_their_file() {
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let server = Server::start_registered(&broker, &registry.url()).await;
    topic(&server, "doors").await;
    let register = async |subject: &str, text: &str, references: Value| {
        let body = json!({"schemaType": "PROTOBUF", "schema": text, "references": references});
        let path = format!("/subjects/{subject}/versions");
        let (status, answer) = registry.ask("POST", &path, Some(&body)).await;
        assert_eq!(status, 200, "{answer}");
        u32::try_from(answer["id"].as_u64().unwrap()).unwrap()
    };
    let latest = async |subject: &str| {
        let path = format!("/subjects/{subject}/versions/latest");
        let (_, answer) = registry.ask("GET", &path, None).await;
        answer["schema"].as_str().unwrap_or_default().to_owned()
    };
    register(
        "lock",
        "syntax = \"proto3\"; message Lock { string maker = 1; }",
        json!([]),
    )
    .await;
    let id = register(
        "doors-value",
        "syntax = \"proto3\"; import \"lock.proto\"; \
         message Door { int32 nr = 1; Lock lock = 2; map<string, int32> counts = 3; } message Other { int32 nr = 1; }",
        json!([{"name": "lock.proto", "subject": "lock", "version": 1}]),
    )
    .await;
    server
        .ksql(
            "CREATE STREAM doors WITH (kafka_topic='doors', value_format='PROTOBUF'); \
             SET 'auto.offset.reset'='earliest'; \
             CREATE STREAM told WITH (format='PROTOBUF') AS SELECT nr, lock->maker AS maker, counts FROM doors \
             PARTITION BY nr; \
             CREATE STREAM again WITH (value_format='JSON', key_format='KAFKA') AS SELECT * FROM told;",
        )
        .await;
    let producer = broker.producer();
    // No message, an id of nobody, a message that the file does not have, data that end too soon: the next line comes.
    for bytes in [
        &b"\0"[..],
        &framed(id + 1000, b"\0"),
        &framed(id, &[2, 8]),
        &framed(id, &[0, 8]),
    ] {
        write(&producer, "doors", bytes).await;
    }
    write(
        &producer,
        "doors",
        &framed(id, b"\0\x08\x07\x12\x03\x0a\x01m\x1a\x05\x0a\x01k\x10\x02"),
    )
    .await;
    let record = next_record(&broker.reader("TOLD")).await;
    assert_eq!(&record.key().unwrap()[5..], [0, 8, 7]);
    assert_eq!(
        &record.payload().unwrap()[5..],
        b"\0\x0a\x01m\x12\x05\x0a\x01k\x10\x02"
    );
    assert_eq!(
        latest("TOLD-key").await,
        "syntax = \"proto3\";\n\nmessage ConnectDefault1 {\n  int32 NR = 1;\n}\n"
    );
    assert_eq!(
        latest("TOLD-value").await,
        "syntax = \"proto3\";\n\nmessage ConnectDefault1 {\n  string MAKER = 1;\n  repeated ConnectDefault2Entry COUNTS = \
         2;\n\n  message ConnectDefault2Entry {\n    string key = 1;\n    int32 value = 2;\n  }\n}\n"
    );
    let again = next_record(&broker.reader("AGAIN")).await;
    assert_eq!(again.key(), Some(&7_i32.to_be_bytes()[..]));
    assert_eq!(value_of(&again), json!({"MAKER": "m", "COUNTS": {"k": 2}}));
    let print = json!({"ksql": "PRINT 'TOLD' FROM BEGINNING LIMIT 1;"});
    let (_, printed) = server.post("/query", &print).await;
    assert!(
        printed.contains("Key format: PROTOBUF\nValue format: PROTOBUF\n"),
        "{printed}"
    );
    assert!(
        printed.contains(r#"key: NR: 7, value: MAKER: "m" COUNTS { key: "k" value: 2 }, partition: 0"#),
        "{printed}"
    );

    // Null is told apart where the statement wants it, and a row of a lone key reads back without a registry.
    server
        .ksql(
            "CREATE STREAM rows (k INT KEY, a INT, b STRING) WITH (kafka_topic='rows', key_format='PROTOBUF_NOSR', \
             value_format='PROTOBUF', value_protobuf_nullable_representation='OPTIONAL', partitions=1); \
             INSERT INTO rows (k, b) VALUES (3, '');",
        )
        .await;
    let record = next_record(&broker.reader("rows")).await;
    assert_eq!(record.key(), Some(&[8, 3][..]));
    assert_eq!(&record.payload().unwrap()[5..], [0, 0x12, 0]);
    assert_eq!(
        latest("rows-value").await,
        "syntax = \"proto3\";\n\nmessage ConnectDefault1 {\n  optional int32 A = 1;\n  optional string B = 2;\n}\n"
    );
    let mut rows = server
        .push(
            "SELECT * FROM rows EMIT CHANGES LIMIT 1;",
            json!({"auto.offset.reset": "earliest"}),
        )
        .await;
    assert_eq!(rows.row().await, json!([3, null, ""]));

    for (statement, expected) in [
        (
            "CREATE STREAM x (a INT) WITH (kafka_topic='rows', value_format='PROTOBUF', wrap_single_value=false);",
            "Format 'PROTOBUF' does not support 'WRAP_SINGLE_VALUE' set to 'false'.",
        ),
        (
            "CREATE STREAM x (a INT) WITH (kafka_topic='rows', value_format='JSON', \
             value_protobuf_nullable_representation='OPTIONAL');",
            "Property VALUE_PROTOBUF_NULLABLE_REPRESENTATION can only be enabled with protobuf format",
        ),
        (
            "CREATE STREAM x WITH (kafka_topic='doors', value_format='AVRO');",
            "Value schema is not in the expected format. You may want to set VALUE_FORMAT to 'PROTOBUF'.\ntopic: \
             doors\nexpected format: AVRO\nactual format from Schema Registry: PROTOBUF",
        ),
        (
            "CREATE STREAM x WITH (kafka_topic='doors', value_format='PROTOBUF', value_schema_full_name='Nobody');",
            "Unable to verify if the value schema for topic: doors is compatible with ksqlDB.\nReason: the schema has no \
             message `Nobody`",
        ),
    ] {
        let (status, error) = server.refused(statement).await;
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(expected), "{status}: {message}");
    }
    server.stop().await;
    registry.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_waits_for_a_registry_that_is_away_and_loses_nothing() {
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let server = Server::start_registered(&broker, &registry.url()).await;
    topic(&server, "lines").await;
    let id = registry.register("lines-value", &line_schema()).await;
    server
        .ksql(
            "CREATE STREAM lines WITH (kafka_topic='lines', value_format='AVRO'); \
             SET 'auto.offset.reset'='earliest'; \
             CREATE STREAM hosts AS SELECT host FROM lines;",
        )
        .await;
    let producer = broker.producer();
    write(&producer, "lines", &line(id, "h1", 1)).await;
    let sink = broker.reader("HOSTS");
    let host = |record: OwnedMessage, registry: Registry| async move {
        let value = read(&registry, record.payload().unwrap()).await;
        (value, registry)
    };
    let (value, registry) = host(next_record(&sink).await, registry).await;
    assert_eq!(value, Avro::Record(vec![text("h1")]));

    // Another version's id, which the query has not seen.
    let mut wider = line_schema();
    let fields = wider["fields"].as_array_mut().unwrap();
    fields.push(json!({"name": "more", "type": "int", "default": 0}));
    let wider = registry.register("lines-value", &wider).await;
    let address = registry.stop().await;
    let mut bytes = line(wider, "h2", 2);
    bytes.push(2);
    write(&producer, "lines", &bytes).await;
    // What it knows it knows; that one waits. Nothing else does.
    let (status, error) = server
        .refused("CREATE STREAM again WITH (kafka_topic='lines', value_format='AVRO');")
        .await;
    let message = error["message"].as_str().unwrap();
    assert_eq!((status, &error["error_code"]), (400, &json!(40001)), "{message}");
    assert!(
        message.starts_with(
            "Schema registry fetch for topic value request failed for topic: lines\nCaused by: "
        ),
        "{message}"
    );
    let (_, error) = server
        .refused("CREATE STREAM again (a INT) WITH (kafka_topic='again', value_format='AVRO', partitions=1);")
        .await;
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("Could not get latest schema for subject again-value\nCaused by: "),
        "{message}"
    );
    server
        .ksql("CREATE STREAM plain (a INT) WITH (kafka_topic='plain', value_format='JSON', partitions=1);")
        .await;

    // The server goes and comes back, and the query with it: it waits where it was.
    server.stop().await;
    let server = Server::start_registered(&broker, &format!("http://{address}")).await;
    let registry = Registry::start_at(&broker, address).await;
    let (value, registry) = host(next_record(&sink).await, registry).await;
    assert_eq!(value, Avro::Record(vec![text("h2")]));
    server.stop().await;
    registry.stop().await;
    broker.stop().await;
}

/// A registry that answers 500 at first, and then is one: what it does not say now, it may say later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_fails_for_a_while_costs_a_query_no_row() {
    use axum::Router;
    use axum::http::StatusCode;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let server = Server::start_registered(&broker, &registry.url()).await;
    let id = registry.register("lines-value", &line_schema()).await;
    server
        .ksql(
            "CREATE STREAM lines (host STRING) WITH (kafka_topic='lines', value_format='AVRO', partitions=1); \
             CREATE STREAM hosts WITH (value_format='JSON') AS SELECT host FROM lines;",
        )
        .await;
    let address = registry.stop().await;
    // In its place: one whose store is broken.
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let broken = Router::new().fallback(async move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let error = r#"{"error_code":50001,"message":"Error in the backend data store"}"#;
        (StatusCode::INTERNAL_SERVER_ERROR, error)
    });
    let listener = TcpListener::bind(address).await.unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, broken).await });
    write(&broker.producer(), "lines", &line(id, "h1", 1)).await;
    let deadline = std::time::Instant::now() + DEADLINE;
    while asked.load(Ordering::Relaxed) < 3 {
        assert!(
            std::time::Instant::now() < deadline,
            "the query does not ask again"
        );
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let (status, error) = server
        .refused("ASSERT SCHEMA SUBJECT 'x' TIMEOUT 1 SECOND;")
        .await;
    assert_eq!(status, 417, "{error}");
    let (status, error) = server
        .refused("CREATE STREAM more WITH (kafka_topic='lines', value_format='AVRO');")
        .await;
    let message = error["message"].as_str().unwrap();
    assert!(
        status == 400 && message.contains("status 500 Error in the backend data store"),
        "{message}"
    );
    let described = server.ksql("SHOW QUERIES EXTENDED;").await;
    assert_eq!(described[0]["queryDescriptions"][0]["state"], "RUNNING");
    serving.abort();
    let _ = serving.await;
    let registry = Registry::start_at(&broker, address).await;
    let row = next_record(&broker.reader("HOSTS")).await;
    assert_eq!(value_of(&row), json!({"HOST": "h1"}));
    server.stop().await;
    registry.stop().await;
    broker.stop().await;
}

/// Each with its reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_record_is_told_in_the_processing_log() {
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let server = Server::start_with(broker.address, |config| {
        config.schema_registry = Some(osqdemo_registry_client::Settings::new(registry.url()));
        config.processing_log_stream = true;
    })
    .await;
    server.ready().await;
    topic(&server, "lines").await;
    let id = registry.register("lines-value", &line_schema()).await;
    let other = registry.register("lines-value-text", &json!("string")).await;
    let body = json!({"schemaType": "JSON", "schema": "{}"});
    let (_, answer) = registry
        .ask("POST", "/subjects/lines-json/versions", Some(&body))
        .await;
    let json = u32::try_from(answer["id"].as_u64().unwrap()).unwrap();
    server
        .ksql(
            "CREATE STREAM lines (host STRING) WITH (kafka_topic='lines', value_format='AVRO'); \
             CREATE STREAM hosts AS SELECT host FROM lines;",
        )
        .await;
    let producer = broker.producer();
    let wrong: [(&[u8], String); 6] = [
        (b"\0\0", "2 bytes are too few".to_owned()),
        (b"{\"host\":1}", "Unknown magic byte!".to_owned()),
        (&framed(id + 1000, b""), format!("Schema {} not found", id + 1000)),
        (
            &framed(other, b"\x02h"),
            format!("the schema {other} is not one of the subject `lines-value`"),
        ),
        (
            &framed(json, b"{}"),
            format!("the schema {json} is not one of the subject `lines-value`"),
        ),
        (
            &framed(id, &[40]),
            "a length of 20 where 0 bytes are left".to_owned(),
        ),
    ];
    let mut log = server
        .push(
            "SELECT message->deserializationError->errorMessage, message->deserializationError->cause FROM \
             KSQL_PROCESSING_LOG EMIT CHANGES;",
            json!({"auto.offset.reset": "earliest"}),
        )
        .await;
    for (bytes, reason) in wrong {
        write(&producer, "lines", bytes).await;
        let entry = log.row().await.to_string();
        assert!(entry.contains(&reason), "{reason}: {entry}");
    }
    write(&producer, "lines", &line(id, "h1", 1)).await;
    let row = next_record(&broker.reader("HOSTS")).await;
    assert_eq!(
        read(&registry, row.payload().unwrap()).await,
        Avro::Record(vec![text("h1")])
    );
    drop(log);
    server.stop().await;
    registry.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_told_in_the_processing_log() {
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let server = Server::start_with(broker.address, |config| {
        config.schema_registry = Some(osqdemo_registry_client::Settings::new(registry.url()));
        config.processing_log_stream = true;
    })
    .await;
    server.ready().await;
    topic(&server, "lines").await;
    let id = registry.register("elsewhere-value", &line_schema()).await;
    server
        .ksql(
            "CREATE STREAM lines (host STRING) WITH (kafka_topic='lines', value_format='AVRO'); \
             SET 'auto.offset.reset'='earliest'; \
             CREATE STREAM hosts AS SELECT host FROM lines;",
        )
        .await;
    // A schema of another subject, as Kafka Connect's converters want it.
    write(&broker.producer(), "lines", &line(id, "h1", 1)).await;
    let entry = log_entry(&server).await;
    assert!(
        entry.contains(&format!(
            "the schema {id} is not one of the subject `lines-value`"
        )),
        "{entry}"
    );
    server.stop().await;
    registry.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_registry_statements_say_what_is_missing() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    for (statement, message) in [
        (
            "CREATE STREAM a (a INT) WITH (kafka_topic='a', value_format='AVRO', partitions=1);",
            "Cannot create topic 'a' with format AVRO without configuring 'ksql.schema.registry.url'",
        ),
        (
            "CREATE STREAM logins (id INT) WITH (KAFKA_TOPIC='logins', VALUE_FORMAT='AVRO', \
             VALUE_SCHEMA_FULL_NAME='demo.Login', PARTITIONS=1);",
            "Cannot create topic 'logins' with format AVRO without configuring 'ksql.schema.registry.url'",
        ),
        (
            "CREATE STREAM a WITH (kafka_topic='a', value_format='AVRO');",
            "Schema registry fetch for topic value request failed for topic: a\n\
             Caused by: KSQL is not configured to use a schema registry. To enable it, please\n\tset \
             ksql.schema.registry.url\n\
             Caused by: KSQL is not configured to use a schema registry. To enable it, please\n\tset \
             ksql.schema.registry.url",
        ),
    ] {
        let (status, error) = server.refused(statement).await;
        assert_eq!((status, &error["error_code"]), (428, &json!(42801)), "{error}");
        assert_eq!(error["message"], message);
    }
    let (status, error) = server.refused("ASSERT SCHEMA SUBJECT 's';").await;
    assert_eq!((status, &error["error_code"]), (417, &json!(41700)));
    assert_eq!(
        error["message"],
        "Cannot check schema existence: KSQL is not configured to use a schema registry. To enable it, please set \
         ksql.schema.registry.url"
    );
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_never_answers_holds_up_nobody_else() {
    let broker = Broker::start().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let server = Server::start_registered(&broker, &url).await;
    topic(&server, "lines").await;
    let asks = server.refused("CREATE STREAM lines WITH (kafka_topic='lines', value_format='AVRO');");
    let others = async {
        // It has asked.
        let (connection, _) = silent.accept().await.unwrap();
        let listed = server.ksql("SHOW STREAMS;").await;
        (listed, connection)
    };
    let ((status, error), (listed, _connection)) = tokio::join!(asks, others);
    assert_eq!(listed[0]["streams"], json!([]));
    let message = error["message"].as_str().unwrap();
    assert_eq!(status, 400, "{message}");
    assert!(
        message.starts_with(
            "Schema registry fetch for topic value request failed for topic: lines\nCaused by: "
        ),
        "{message}"
    );
    server.stop().await;
    broker.stop().await;
}
