//! What statements make, change and refuse.
//!
//! Long because every test binary links the whole server, and each statement is shown with what it leaves and what
//! it refuses.

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Broker, DEADLINE, Server, next_record, value_of};

const SOURCE: &str =
    "CREATE STREAM s (id VARCHAR KEY, n BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=2);";

async fn start() -> (Broker, Server) {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    (broker, server)
}

async fn stop(broker: Broker, server: Server) {
    server.stop().await;
    broker.stop().await;
}

async fn refusal(server: &Server, statements: &str) -> String {
    refusal_of(server, 40001, statements).await
}

/// The message of a refusal with that code; its first three digits are the status.
async fn refusal_of(server: &Server, code: u32, statements: &str) -> String {
    let (status, error) = server.refused(statements).await;
    assert_eq!(
        (u32::from(status), &error["error_code"]),
        (code / 100, &json!(code)),
        "{error}"
    );
    error["message"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_taken_once() {
    let (broker, server) = start().await;
    server.ksql(SOURCE).await;
    assert_eq!(
        refusal(&server, SOURCE).await,
        "Cannot add stream 'S': A stream with the same name already exists"
    );
    let answers = server
        .ksql(&SOURCE.replace("STREAM s", "STREAM IF NOT EXISTS s"))
        .await;
    assert_eq!(answers[0]["@type"], "warning_entity");
    assert_eq!(
        answers[0]["message"],
        "Cannot add stream `S`: A stream with the same name already exists."
    );
    server.ksql("CREATE STREAM d AS SELECT * FROM s;").await;
    assert_eq!(
        refusal(&server, "CREATE STREAM d AS SELECT * FROM s;").await,
        "Could not determine output schema for query due to error: Cannot add stream 'D': A stream with the same name already exists"
    );
    let answers = server
        .ksql("CREATE OR REPLACE STREAM d AS SELECT *, n + 1 AS m FROM s;")
        .await;
    assert_eq!(answers[0]["commandStatus"]["queryId"], "CSAS_D_1");
    let answers = server.ksql("DESCRIBE d; LIST QUERIES;").await;
    let fields: Vec<&Value> = answers[0]["sourceDescription"]["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| &field["name"])
        .collect();
    assert_eq!(fields, ["ID", "N", "M"]);
    assert_eq!(answers[1]["queries"].as_array().unwrap().len(), 1);
    stop(broker, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_topic_needs_partitions() {
    let (broker, server) = start().await;
    let message = refusal_of(
        &server,
        40000,
        "CREATE STREAM s (n BIGINT) WITH (KAFKA_TOPIC='gone', VALUE_FORMAT='JSON');",
    )
    .await;
    assert!(
        message.starts_with(
            "Topic 'gone' does not exist. If you want to create a new topic for the stream/table please re-run the \
             statement providing the required 'PARTITIONS' configuration in the WITH clause (and optionally 'REPLICAS'). \
             For example: CREATE STREAM S (N BIGINT) WITH (KAFKA_TOPIC='gone', KEY_FORMAT='KAFKA', PARTITIONS=2, VALUE_FORMAT='JSON');"
        ),
        "{message}"
    );
    let message = refusal_of(
        &server,
        50000,
        &SOURCE.replace("PARTITIONS=2", "PARTITIONS=1, REPLICAS=3"),
    )
    .await;
    assert_eq!(
        message,
        "Failed to guarantee existence of topic s\nCaused by: Unable to replicate the partition 3 time(s): The target \
         replication\n\tfactor of 3 cannot be reached because only 1 broker(s) are registered."
    );
    server.ksql(SOURCE).await;
    let message = refusal_of(
        &server,
        50000,
        &SOURCE.replace("STREAM s", "STREAM t").replace("=2", "=3"),
    )
    .await;
    assert!(
        message
            .starts_with("A Kafka topic with the name 's' already exists, with different partition/replica"),
        "{message}"
    );
    let answers = server
        .ksql("CREATE STREAM d AS SELECT * FROM s; SHOW TOPICS;")
        .await;
    assert_eq!(
        answers[0]["statementText"]
            .as_str()
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
        "CREATE STREAM D WITH (CLEANUP_POLICY='delete', KAFKA_TOPIC='D', PARTITIONS=2, REPLICAS=1, RETENTION_MS=604800000) AS SELECT * FROM S S EMIT CHANGES;"
    );
    assert_eq!(
        answers[1]["topics"],
        json!([{"name": "D", "replicaInfo": [1, 1]}, {"name": "s", "replicaInfo": [1, 1]}])
    );
    stop(broker, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_second_statement_leaves_nothing_of_the_first() {
    let (broker, server) = start().await;
    let (status, error) = server
        .refused(&format!("{SOURCE} CREATE STREAM d AS SELECT nothing FROM s;"))
        .await;
    assert_eq!((status, &error["error_code"]), (400, &json!(40001)));
    assert_eq!(error["entities"], json!([]));
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("NOTHING"), "{message}");
    let answers = server.ksql("LIST STREAMS; LIST TOPICS;").await;
    assert_eq!(answers[0]["streams"], json!([]));
    assert_eq!(answers[1]["topics"], json!([]));
    stop(broker, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_used_cannot_be_dropped() {
    let (broker, server) = start().await;
    server
        .ksql(&format!("{SOURCE} CREATE STREAM d AS SELECT * FROM s;"))
        .await;
    assert_eq!(
        refusal(&server, "DROP STREAM s;").await,
        "Cannot drop S.\nThe following streams and/or tables read from this source: [D].\n\
         You need to drop them before dropping S."
    );
    server.ksql("CREATE STREAM e (id VARCHAR KEY, n BIGINT) WITH (KAFKA_TOPIC='e', VALUE_FORMAT='JSON', PARTITIONS=1); \
                 INSERT INTO e SELECT * FROM d;").await;
    let message = refusal(&server, "DROP STREAM d;").await;
    assert!(
        message.contains("The following queries read from this source: [INSERTQUERY_3]."),
        "{message}"
    );
    let message = refusal(&server, "DROP STREAM e;").await;
    assert!(
        message.contains("The following queries write into this source: [INSERTQUERY_3]."),
        "{message}"
    );

    let answers = server
        .ksql("TERMINATE INSERTQUERY_3; DROP STREAM e; DROP STREAM d DELETE TOPIC;")
        .await;
    assert_eq!(answers[0]["commandId"], "terminate/INSERTQUERY_3/execute");
    assert_eq!(answers[0]["commandStatus"]["message"], "Query terminated.");
    assert_eq!(answers[2]["commandId"], "stream/D/drop");
    assert_eq!(
        answers[2]["commandStatus"]["message"],
        "Source `D` (topic: D) was dropped."
    );
    let answers = server.ksql("LIST QUERIES; LIST TOPICS;").await;
    assert_eq!(answers[0]["queries"], json!([]));
    let names: Vec<&Value> = answers[1]["topics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|topic| &topic["name"])
        .collect();
    assert_eq!(names, ["e", "s"]);

    assert_eq!(
        refusal(&server, "DROP STREAM d;").await,
        "Stream D does not exist."
    );
    let answers = server.ksql("DROP STREAM IF EXISTS d;").await;
    assert_eq!(
        answers[0]["commandStatus"]["message"],
        "Source `D` does not exist."
    );
    assert_eq!(
        refusal(&server, "DROP TABLE s;").await,
        "Incompatible data source type is stream, but statement was DROP table"
    );
    stop(broker, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inserted_values_reach_every_partition_and_its_queries() {
    let (broker, server) = start().await;
    server
        .ksql(&format!(
            "{SOURCE} CREATE STREAM d WITH (PARTITIONS=1) AS SELECT id, n * 2 AS n FROM s WHERE n > 1;"
        ))
        .await;
    assert_eq!(
        server
            .ksql("INSERT INTO s (id, n) VALUES ('a', 1); INSERT INTO s VALUES ('b', 21);")
            .await,
        json!([])
    );
    let record = next_record(&broker.reader("D")).await;
    assert_eq!(value_of(&record), json!({"N": 42}));
    assert_eq!(rdkafka::Message::key(&record), Some(b"b".as_slice()));
    let message = refusal_of(&server, 40000, "INSERT INTO nothing VALUES (1);").await;
    assert!(message.contains("NOTHING"), "{message}");
    stop(broker, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variables_and_properties_live_as_long_as_their_request() {
    let (broker, server) = start().await;
    server.ksql(SOURCE).await;
    server.ksql("INSERT INTO s VALUES ('a', 1);").await;
    server
        .ksql(
            "SET 'auto.offset.reset'='earliest'; DEFINE sink = 'early'; \
             CREATE STREAM ${sink} WITH (PARTITIONS=1) AS SELECT * FROM s;",
        )
        .await;
    let record = next_record(&broker.reader("EARLY")).await;
    assert_eq!(value_of(&record), json!({"N": 1}));
    let (status, body) = server
        .post(
            "/ksql",
            &json!({"ksql": "LIST VARIABLES; DESCRIBE ${what};", "sessionVariables": {"what": "early"}}),
        )
        .await;
    assert_eq!(status, 200, "{body}");
    let answers: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        answers[0]["variables"],
        json!([{"name": "what", "value": "early"}])
    );
    assert_eq!(answers[1]["sourceDescription"]["name"], "EARLY");
    assert_eq!(server.ksql("LIST VARIABLES;").await[0]["variables"], json!([]));
    stop(broker, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn descriptions_and_explanations() {
    let (broker, server) = start().await;
    server
        .ksql(&format!("{SOURCE} CREATE STREAM d AS SELECT id, n FROM s;"))
        .await;
    let answers = server
        .ksql(
            "DESCRIBE s EXTENDED; EXPLAIN CSAS_D_1; EXPLAIN SELECT n FROM s EMIT CHANGES; DESCRIBE FUNCTION len; \
             LIST STREAMS EXTENDED; LIST QUERIES EXTENDED;",
        )
        .await;
    let source = &answers[0]["sourceDescription"];
    assert_eq!(
        source["fields"],
        json!([
            {"name": "ID", "schema": {"type": "STRING", "fields": null, "memberSchema": null}, "type": "KEY"},
            {"name": "N", "schema": {"type": "BIGINT", "fields": null, "memberSchema": null}},
        ])
    );
    assert_eq!(
        (&source["partitions"], &source["replication"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(source["readQueries"][0]["id"], "CSAS_D_1");
    let query = &answers[1]["queryDescription"];
    assert_eq!(
        (&query["id"], &query["state"]),
        (&json!("CSAS_D_1"), &json!("RUNNING"))
    );
    assert_eq!(
        (&query["sources"], &query["sinks"]),
        (&json!(["S"]), &json!(["D"]))
    );
    assert_ne!(query["executionPlan"], "");
    // Without it ksqlDB's own command line cannot read the answer.
    assert_eq!(query["consumerGroupId"], "_confluent-ksql-default_query_CSAS_D_1");
    assert_eq!(query["tasksMetadata"].as_array().unwrap().len(), 2);
    assert_eq!(answers[2]["queryDescription"]["queryType"], "PUSH");
    assert_eq!(
        answers[2]["queryDescription"]["statementText"],
        "SELECT n FROM s EMIT CHANGES;"
    );
    assert_eq!(answers[3]["name"], "LEN");
    assert_eq!(
        answers[3]["functions"][0],
        json!({
            "arguments": [{"name": "input", "type": "VARCHAR", "description": "", "isVariadic": false}],
            "returnType": "INT",
            "description": "",
            "argumentTypes": ["VARCHAR"],
        })
    );
    assert_eq!(answers[4]["sourceDescriptions"].as_array().unwrap().len(), 2);
    assert_eq!(answers[5]["queryDescriptions"].as_array().unwrap().len(), 1);
    let message = refusal(&server, "DESCRIBE nothing;").await;
    assert_eq!(message, "Could not find STREAM/TABLE 'NOTHING' in the Metastore");
    stop(broker, server).await;
}

/// How far the queries of a source are, and what they have read and written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_queries_have_done_is_described() {
    let (broker, server) = start().await;
    server
        .ksql(&format!(
            "{SOURCE} CREATE STREAM d WITH (PARTITIONS=1) AS SELECT id, n FROM s;"
        ))
        .await;
    let described = async |name: &str| {
        let answers = server.ksql(&format!("DESCRIBE {name} EXTENDED;")).await;
        answers[0]["sourceDescription"].clone()
    };
    assert_eq!(described("d").await["statistics"], "");
    let sink = broker.reader("D");
    for n in 0..3 {
        server
            .ksql(&format!("INSERT INTO s (id, n) VALUES ('a', {n});"))
            .await;
        assert_eq!(value_of(&next_record(&sink).await), json!({"N": n}));
    }
    // A position is committed a second after the record.
    let deadline = Instant::now() + DEADLINE;
    let read = loop {
        let source = described("d").await;
        let summaries = &source["queryOffsetSummaries"];
        assert_eq!(summaries[0]["groupId"], "_confluent-ksql-default_query_CSAS_D_1");
        let topics = summaries[0]["topicSummaries"].as_array().unwrap();
        if let [topic] = topics.as_slice() {
            assert_eq!(topic["kafkaTopic"], "s");
            let offsets = topic["offsets"].as_array().unwrap();
            let sum = |what: &str| {
                offsets
                    .iter()
                    .map(|offset| offset[what].as_i64().unwrap())
                    .sum::<i64>()
            };
            let starts = sum("logStartOffset");
            if (starts, sum("logEndOffset"), sum("consumerOffset")) == (0, 3, 3) {
                break offsets.len();
            }
        }
        assert!(Instant::now() < deadline, "{source}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(read, 2, "partitions");
    // As the real server's own command line shows it: names to 16 places, numbers to 10.
    let written = described("d").await["statistics"].as_str().unwrap().to_owned();
    let (numbers, last) = written.split_once(" last-message: ").unwrap();
    assert!(numbers.starts_with("messages-per-sec:      0."), "{written}");
    assert!(numbers.contains("   total-messages:         3 "), "{written}");
    assert!(last.ends_with('Z'), "{written}");
    let read = described("s").await;
    assert_eq!(read["queryOffsetSummaries"], json!([]));
    let read = read["statistics"].as_str().unwrap().to_owned();
    assert!(read.starts_with("consumer-messages-per-sec:      0."), "{read}");
    assert!(read.contains(" consumer-total-messages:         3 "), "{read}");
    // At length of all of them, too, and not where only their names are asked for.
    let answers = server.ksql("SHOW STREAMS EXTENDED; DESCRIBE d;").await;
    let all = answers[0]["sourceDescriptions"].as_array().unwrap();
    let d = all.iter().find(|source| source["name"] == "D").unwrap();
    assert_eq!(
        d["queryOffsetSummaries"][0]["topicSummaries"][0]["kafkaTopic"],
        "s"
    );
    assert_eq!(answers[1]["sourceDescription"]["statistics"], "");
    stop(broker, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_skipped_and_logged() {
    let (broker, server) = start().await;
    server
        .ksql(&format!(
            "{SOURCE} CREATE STREAM d WITH (PARTITIONS=1) AS SELECT id, n FROM s;"
        ))
        .await;
    let producer = broker.producer();
    support::produce(&producer, "s", Some("a"), "{nonsense").await;
    support::produce(&producer, "s", Some("a"), r#"{"n": 5}"#).await;
    assert_eq!(value_of(&next_record(&broker.reader("D")).await), json!({"N": 5}));
    let entry = value_of(&next_record(&broker.reader("default_ksql_processing_log")).await);
    assert_eq!(entry["message"]["type"], 0);
    assert_eq!(entry["message"]["deserializationError"]["topic"], "s");
    assert_eq!(
        server.ksql("LIST QUERIES;").await[0]["queries"][0]["state"],
        "RUNNING"
    );
    stop(broker, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_whose_topic_is_deleted_says_so_and_harms_no_other() {
    let (broker, server) = start().await;
    server
        .ksql(&format!("{SOURCE} CREATE STREAM d AS SELECT id, n FROM s;"))
        .await;
    let admin: rdkafka::admin::AdminClient<_> = broker.client().create().unwrap();
    admin
        .delete_topics(&["s"], &rdkafka::admin::AdminOptions::new())
        .await
        .unwrap();
    let deadline = std::time::Instant::now() + support::DEADLINE;
    loop {
        let answers = server.ksql("LIST QUERIES EXTENDED;").await;
        let query = &answers[0]["queryDescriptions"][0];
        if query["state"] == "ERROR" {
            let reason = query["queryErrors"][0]["errorMessage"].as_str().unwrap();
            assert!(!reason.is_empty());
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{query}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    stop(broker, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_create_one_name_one_succeeds() {
    let (broker, server) = start().await;
    let body = json!({"ksql": SOURCE});
    let requests: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn(
                server
                    .http
                    .post(server.url("/ksql"))
                    .body(body.to_string())
                    .send(),
            )
        })
        .collect();
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(request.await.unwrap().unwrap().status().as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400, 400, 400, 400, 400, 400, 400]);
    let (status, body) = server
        .post(
            "/ksql",
            &json!({"ksql": "LIST STREAMS;", "commandSequenceNumber": 0}),
        )
        .await;
    assert_eq!(status, 200, "{body}");
    stop(broker, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_query_leaves_no_position_to_its_namesake() {
    let (broker, server) = start().await;
    server
        .ksql(&format!(
            "{SOURCE} CREATE STREAM t (id VARCHAR KEY, n BIGINT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON', PARTITIONS=1); \
             INSERT INTO s VALUES ('a', 1);"
        ))
        .await;
    let sink = broker.reader("t");
    for _ in 0..2 {
        let answers = server
            .ksql("SET 'auto.offset.reset'='earliest'; INSERT INTO t WITH (QUERY_ID='copy') SELECT * FROM s;")
            .await;
        assert_eq!(answers[0]["commandStatus"]["queryId"], "COPY");
        assert_eq!(value_of(&next_record(&sink).await), json!({"N": 1}));
        server.ksql("TERMINATE copy;").await;
    }
    stop(broker, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_is_made_like_its_input_and_one_that_is_not_is_refused() {
    use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
    use rdkafka::client::DefaultClientContext;
    let (broker, server) = start().await;
    server
        .ksql(&SOURCE.replace("PARTITIONS=2", "PARTITIONS=2, RETENTION_MS=-1"))
        .await;
    server
        .ksql("CREATE STREAM other (n BIGINT) WITH (KAFKA_TOPIC='D', VALUE_FORMAT='JSON', PARTITIONS=1);")
        .await;
    let (_, error) = server.refused("CREATE STREAM d AS SELECT * FROM s;").await;
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("A Kafka topic with the name 'D' already exists, with different partition/replica"),
        "{message}"
    );
    server.ksql("CREATE STREAM e AS SELECT * FROM s;").await;
    server
        .ksql("CREATE STREAM f WITH (RETENTION_MS=5000) AS SELECT * FROM s;")
        .await;
    // Of a join's inputs the left one counts.
    server
        .ksql(
            "CREATE STREAM left_one (id VARCHAR KEY, n INT) WITH \
             (KAFKA_TOPIC='l', VALUE_FORMAT='JSON', PARTITIONS=1, RETENTION_MS=7000); \
             CREATE STREAM right_one (id VARCHAR KEY, m INT) WITH \
             (KAFKA_TOPIC='r', VALUE_FORMAT='JSON', PARTITIONS=1, RETENTION_MS=9000);",
        )
        .await;
    let joined = server
        .ksql(
            "CREATE STREAM j AS SELECT left_one.id, n, m FROM left_one JOIN right_one WITHIN 1 HOUR \
             ON left_one.id = right_one.id;",
        )
        .await;
    let text = joined[0]["statementText"].as_str().unwrap();
    assert!(text.contains("RETENTION_MS=7000"), "{text}");
    // Windows of a table go when they are too old; a table's rows do not.
    for (declared, policy) in [
        (
            "CREATE TABLE g AS SELECT id, COUNT(*) AS c FROM s GROUP BY id;",
            "compact",
        ),
        (
            "CREATE TABLE w AS SELECT id, COUNT(*) AS c FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY id;",
            "compact,delete",
        ),
        (
            "CREATE TABLE v (id VARCHAR PRIMARY KEY, n INT) WITH (KAFKA_TOPIC='V', VALUE_FORMAT='JSON', \
             PARTITIONS=1, WINDOW_TYPE='SESSION');",
            "compact,delete",
        ),
    ] {
        let made = server.ksql(declared).await;
        let text = made[0]["statementText"].as_str().unwrap();
        assert!(text.contains(&format!("CLEANUP_POLICY='{policy}'")), "{text}");
    }
    let admin: AdminClient<DefaultClientContext> = broker.client().create().unwrap();
    for (topic, expected) in [("G", "compact"), ("W", "compact,delete"), ("V", "compact,delete")] {
        let (topic_of, options) = (ResourceSpecifier::Topic(topic), AdminOptions::new());
        let described = admin.describe_configs([&topic_of], &options);
        let described = described.await.unwrap().remove(0).unwrap();
        let policy = described.get("cleanup.policy").unwrap().value.clone();
        assert_eq!(policy.as_deref(), Some(expected), "{topic}");
    }
    for (topic, expected) in [("E", "-1"), ("F", "5000"), ("J", "7000")] {
        let (topic_of, options) = (ResourceSpecifier::Topic(topic), AdminOptions::new());
        let described = admin.describe_configs([&topic_of], &options);
        let described = described.await.unwrap().remove(0).unwrap();
        let retention = described.get("retention.ms").unwrap().value.clone();
        assert_eq!(retention.as_deref(), Some(expected), "{topic}");
    }
    stop(broker, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_by_itself_cannot_be_set() {
    let (broker, server) = start().await;
    let message = refusal_of(
        &server,
        40000,
        &SOURCE.replace("PARTITIONS=2", "PARTITIONS=2, CLEANUP_POLICY='compact'"),
    )
    .await;
    assert!(
        message.starts_with(
            "Invalid config variable in the WITH clause: CLEANUP_POLICY.\nThe CLEANUP_POLICY config"
        ),
        "{message}"
    );
    stop(broker, server).await;
}

/// What a session sets stands in for what statements leave open, and what was made so stays so after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_defaults_of_a_session_have_their_effect() {
    let (broker, server) = start().await;
    let ask = async |server: &Server, statements: &str| {
        let properties = json!({
            "ksql.persistence.default.format.key": "json",
            "ksql.persistence.default.format.value": "json",
            "ksql.persistence.wrap.single.values": "false",
            "ksql.output.topic.name.prefix": "made-",
        });
        let body = json!({"ksql": statements, "streamsProperties": properties});
        let (status, body) = server.post("/ksql", &body).await;
        assert_eq!(status, 200, "{statements}: {body}");
        serde_json::from_str::<Value>(&body).unwrap()
    };
    let made = ask(
        &server,
        "CREATE STREAM s (id VARCHAR KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1);
         CREATE STREAM two (id VARCHAR KEY, n INT, m INT) WITH (KAFKA_TOPIC='two', PARTITIONS=1);
         CREATE STREAM said (id VARCHAR KEY, n INT)
           WITH (KAFKA_TOPIC='said', PARTITIONS=1, KEY_FORMAT='KAFKA', VALUE_FORMAT='DELIMITED');
         CREATE STREAM d AS SELECT id, n + 1 AS n FROM s;
         CREATE STREAM e WITH (KAFKA_TOPIC='e', WRAP_SINGLE_VALUE=true) AS SELECT id, n FROM s;",
    )
    .await;
    let text = made[3]["statementText"].as_str().unwrap();
    assert!(text.contains("KAFKA_TOPIC='made-D'"), "{text}");
    // Without the settings: what they did is kept.
    server.stop().await;
    let server = Server::start(&broker).await;
    let listed = server.ksql("LIST STREAMS;").await;
    let formats = |name: &str| {
        let streams = listed[0]["streams"].as_array().unwrap();
        let stream = streams.iter().find(|stream| stream["name"] == name).unwrap();
        let told = ["topic", "keyFormat", "valueFormat"].map(|member| stream[member].as_str().unwrap());
        told.map(str::to_owned)
    };
    assert_eq!(formats("S"), ["s", "JSON", "JSON"]);
    assert_eq!(formats("TWO"), ["two", "JSON", "JSON"]);
    assert_eq!(formats("SAID"), ["said", "KAFKA", "DELIMITED"]);
    assert_eq!(formats("D"), ["made-D", "JSON", "JSON"]);
    assert_eq!(formats("E"), ["e", "JSON", "JSON"]);
    server
        .ksql("INSERT INTO s VALUES ('a', 1); INSERT INTO two VALUES ('a', 1, 2);")
        .await;
    for (topic, key, value) in [
        ("s", r#""a""#, "1"),
        ("two", r#""a""#, r#"{"N":1,"M":2}"#),
        ("made-D", r#""a""#, "2"),
        ("e", r#""a""#, r#"{"N":1}"#),
    ] {
        let record = next_record(&broker.reader(topic)).await;
        let bytes = [rdkafka::Message::key(&record), rdkafka::Message::payload(&record)];
        let texts = bytes.map(|bytes| String::from_utf8_lossy(bytes.unwrap()).into_owned());
        assert_eq!(texts, [key, value], "{topic}");
    }
    // Nothing is said, and nothing stands in for it.
    let message = refusal(
        &server,
        "CREATE STREAM x (n INT) WITH (KAFKA_TOPIC='x', PARTITIONS=1);",
    )
    .await;
    assert!(
        message.starts_with("Statement is missing the 'VALUE_FORMAT' property"),
        "{message}"
    );
    stop(broker, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_stream_is_not_replaced() {
    let (broker, server) = start().await;
    server
        .ksql(&SOURCE.replace("CREATE STREAM", "CREATE SOURCE STREAM"))
        .await;
    for again in ["CREATE OR REPLACE STREAM", "CREATE OR REPLACE SOURCE STREAM"] {
        let statement = SOURCE
            .replace("CREATE STREAM", again)
            .replace(", PARTITIONS=2", "");
        assert_eq!(
            refusal(&server, &statement).await,
            "Cannot add stream 'S': CREATE OR REPLACE is not supported on source streams.",
            "{again}"
        );
    }
    stop(broker, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ids_that_statements_set_and_the_writers_of_a_sink() {
    let (broker, server) = start().await;
    server
        .ksql(&format!("{SOURCE} CREATE STREAM o AS SELECT * FROM s;"))
        .await;
    for (id, message) in [
        (
            "a-b",
            "Query IDs may contain only alphanumeric characters and '_'. Got: 'A-B'",
        ),
        (
            "ctas_x",
            "Query IDs must not start with a reserved query ID prefix (INSERTQUERY_, CTAS_, CSAS_, CST_). Got 'CTAS_X'.",
        ),
    ] {
        let statement = format!("INSERT INTO o WITH (QUERY_ID='{id}') SELECT * FROM s;");
        assert_eq!(refusal(&server, &statement).await, message);
    }
    let answers = server
        .ksql("INSERT INTO o WITH (QUERY_ID='also') SELECT * FROM s; SHOW QUERIES;")
        .await;
    let own = answers[1]["queries"].as_array().unwrap();
    let own = own.iter().find(|query| query["id"] != "ALSO").unwrap();
    assert_eq!(
        refusal(&server, "CREATE OR REPLACE STREAM o AS SELECT * FROM s;").await,
        format!(
            "Could not determine output schema for query due to error: REPLACE for sink `O` is not supported because \
             there are multiple queries writing into it: [ALSO, {}]",
            own["id"].as_str().unwrap()
        )
    );
    assert_eq!(
        refusal(&server, "ALTER TABLE s ADD COLUMN q INT;").await,
        "Incompatible data source type is STREAM, but statement was ALTER TABLE"
    );
    stop(broker, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_streams_are_described_and_every_command_has_a_status() {
    let (broker, server) = start().await;
    server
        .ksql(&format!(
            "{SOURCE} CREATE STREAM d AS SELECT id, n FROM s;
             CREATE TABLE t (id INT PRIMARY KEY, n INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON', PARTITIONS=1);
             CREATE TYPE pair AS STRUCT<a INT, b INT>; TERMINATE CSAS_D_1; DROP STREAM d;
             CREATE STREAM e AS SELECT id, n FROM s;"
        ))
        .await;
    for (statement, extended) in [("DESCRIBE STREAMS;", false), ("DESCRIBE STREAMS EXTENDED;", true)] {
        let answers = server.ksql(statement).await;
        assert_eq!(answers[0]["@type"], "source_descriptions");
        let descriptions = answers[0]["sourceDescriptions"].as_array().unwrap();
        let told: Vec<_> = descriptions
            .iter()
            .map(|description| {
                let offsets = description["queryOffsetSummaries"].as_array().unwrap().len();
                (
                    description["name"].as_str().unwrap(),
                    description["partitions"].as_u64().unwrap(),
                    description["extended"].as_bool().unwrap(),
                    offsets,
                )
            })
            .collect();
        let offsets = usize::from(extended);
        assert_eq!(told, [("E", 2, extended, offsets), ("S", 2, extended, 0)]);
        for description in descriptions {
            let name = description["name"].as_str().unwrap();
            let alone = format!("{};", statement.replace("STREAMS", name).trim_end_matches(';'));
            let mut alone = server.ksql(&alone).await[0]["sourceDescription"].take();
            let mut description = description.clone();
            // A position may be committed between the two.
            for told in [&mut alone, &mut description] {
                told["queryOffsetSummaries"].take();
            }
            assert_eq!(alone, description, "{name}");
        }
    }
    // As in ksqlDB there is no such statement about tables.
    assert_eq!(
        refusal(&server, "DESCRIBE TABLES;").await,
        "Could not find STREAM/TABLE 'TABLES' in the Metastore"
    );
    let (status, body) = server.get("/status").await;
    assert_eq!(status, 200);
    let statuses: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        statuses,
        json!({"commandStatuses": {
            "stream/`D`/create": "SUCCESS",
            "stream/`E`/create": "SUCCESS",
            "stream/`S`/create": "SUCCESS",
            "stream/D/drop": "SUCCESS",
            "table/`T`/create": "SUCCESS",
            "terminate/CSAS_D_1/execute": "SUCCESS",
            "type/PAIR/create": "SUCCESS",
        }})
    );
    stop(broker, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_session_switches_off_is_refused() {
    let (broker, server) = start().await;
    server.ksql(SOURCE).await;
    let off = |name: &str, statement: &str| format!("SET '{name}'='false'; {statement}");
    let headers = "(k INT KEY, h BYTES HEADER('a')) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";
    for (kind, key) in [("Stream", "KEY"), ("Table", "PRIMARY KEY")] {
        let create = format!("CREATE {kind} x {}", headers.replace("KEY", key));
        assert_eq!(
            refusal(&server, &off("ksql.headers.columns.enabled", &create)).await,
            format!("Cannot create {kind} because schema with headers columns is disabled.")
        );
    }
    let table =
        "CREATE SOURCE TABLE x (k INT PRIMARY KEY, n INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";
    assert_eq!(
        refusal(&server, &off("ksql.source.table.materialization.enabled", table)).await,
        "Cannot execute command because source table materialization is disabled."
    );
    server.ksql(&format!("CREATE STREAM x {headers}")).await;
    stop(broker, server).await;
}
