//! The REST API's contract: statuses, codes and exact bytes.
//!
//! Long because the answers are written out, byte for byte.

mod support;

use std::cell::Cell;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Broker, DEADLINE, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    support::run_child().await;
}

/// A connection beyond the most there may be waits for one of them to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_thousand_connections_wait() {
    let broker = Broker::start().await;
    let server = Server::start_process(&broker).await;
    // Requests that do not end: their connections stay.
    let watch = "GET /ws/query HTTP/1.1\r\nHost: localhost\r\n";
    let mut open = Vec::new();
    for _ in 0..1_000 {
        let mut connection = TcpStream::connect(server.address).await.unwrap();
        connection.write_all(watch.as_bytes()).await.unwrap();
        open.push(connection);
    }
    let mut late = TcpStream::connect(server.address).await.unwrap();
    let request = "GET /info HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    late.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let early = timeout(Duration::from_secs(1), late.read_to_end(&mut answer)).await;
    assert!(early.is_err(), "{}", String::from_utf8_lossy(&answer));
    // The client that waited for the server has connections, too.
    open.truncate(980);
    timeout(DEADLINE, late.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    drop(open);
    server.kill().await;
    broker.stop().await;
}

/// Requests whose statements are long wait for each other, and so does a short one behind them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_bytes_of_statements_are_worked_on_at_a_time() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    let request = |statement: &str, length: usize| {
        let comment = "x".repeat(length - statement.len());
        json!({"ksql": format!("{statement} --{comment}")})
    };
    let long = request("ASSERT TOPIC nope TIMEOUT 6 SECONDS;", 2 * 1024 * 1024 - 200);
    let short = request("SHOW STREAMS;", 1_000);
    let long = async || server.post("/ksql", &long).await;
    let is_done = Cell::new(false);
    let both = async {
        let both = tokio::join!(long(), long());
        is_done.set(true);
        both
    };
    // Answered at once, until both are at work, and then not before one of them is done.
    let shorts = async {
        let mut longest = Duration::ZERO;
        while !is_done.get() {
            let began = Instant::now();
            let (status, text) = server.post("/ksql", &short).await;
            assert_eq!(status, 200, "{text}");
            longest = longest.max(began.elapsed());
        }
        longest
    };
    let ((one, other), longest) = tokio::join!(both, shorts);
    assert_eq!((one.0, other.0), (417, 417), "{} {}", one.1, other.1);
    assert!(longest > Duration::from_secs(2), "{longest:?}");
    server.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn a_server_without_a_broker_says_that_it_is_initializing() {
    let broker = Broker::start().await;
    let (folder, address) = broker.stop().await;
    let server = Server::start_for(address).await;
    let (status, body) = server.get("/info").await;
    assert_eq!(status, 503);
    assert_eq!(
        body,
        r#"{"@type":"generic_error","error_code":50302,"message":"Server initializing"}"#
    );
    let (status, body) = server.get("/healthcheck").await;
    let health: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &health["isHealthy"]), (200, &json!(false)));
    assert_eq!(
        server.post("/ksql", &json!({"ksql": "list streams;"})).await.0,
        503
    );
    assert_eq!(server.get("/chc/live").await, (200, "{}".to_owned()));

    let broker = Broker::start_in(folder, address).await;
    server.ready().await;
    let (_, body) = server.get("/healthcheck").await;
    assert_eq!(
        body,
        r#"{"isHealthy":true,"details":{"metastore":{"isHealthy":true},"kafka":{"isHealthy":true},"commandRunner":{"isHealthy":true}},"serverState":"READY"}"#
    );
    server.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn small_endpoints_answer_as_ksqldb_does() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;

    let (status, body) = server.get("/info").await;
    let info: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(info["KsqlServerInfo"]["version"], "7.9.8");
    assert_eq!(info["KsqlServerInfo"]["ksqlServiceId"], "default_");
    assert_eq!(info["KsqlServerInfo"]["serverStatus"], "RUNNING");
    assert_ne!(info["KsqlServerInfo"]["kafkaClusterId"], "");

    let not_found = "<html><body><h1>Resource not found</h1></body></html>";
    assert_eq!(server.get("/nonsense").await, (404, not_found.to_owned()));
    assert_eq!(server.get("/clusterStatus").await, (404, String::new()));
    assert_eq!(server.get("/ksql").await, (405, String::new()));
    assert_eq!(server.post("/ksql", &json!({})).await, (200, "[]".to_owned()));
    assert_eq!(
        server.get("/is_valid_property/auto.offset.reset").await,
        (200, "true".to_owned())
    );
    assert_eq!(
        server.get("/is_valid_property/nonsense").await,
        (200, "true".to_owned())
    );
    let (status, body) = server.get("/is_valid_property/ksql.service.id").await;
    assert_eq!(status, 400);
    assert_eq!(
        body,
        r#"{"@type":"generic_error","error_code":40000,"message":"One or more properties overrides set locally are prohibited by the KSQL server (use UNSET to reset their default value): [ksql.service.id]"}"#
    );
    assert_eq!(
        server.get("/status").await,
        (200, r#"{"commandStatuses":{}}"#.to_owned())
    );
    let (status, body) = server.get("/status/stream/`X`/create").await;
    assert_eq!(status, 404);
    assert_eq!(
        body,
        r#"{"@type":"generic_error","error_code":40400,"message":"Command not found"}"#
    );
    let (_, body) = server.get("/v1/metadata").await;
    let metadata: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        metadata["clusterId"]["scope"]["clusters"]["ksql-cluster"],
        "default_"
    );
    assert_eq!(server.get("/chc/ready").await, (200, "{}".to_owned()));

    let no_redirect = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let response = no_redirect.get(server.url("/")).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 307);
    assert_eq!(response.headers()["location"], "/info");

    let response = server
        .http
        .post(server.url("/ksql"))
        .header("accept", "text/html")
        .body(r#"{"ksql":"list streams;"}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 406);

    server.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn bad_requests_get_ksqldbs_codes() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;

    let response = server
        .http
        .post(server.url("/ksql"))
        .body("{nonsense")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 400);
    let error: Value = response.json().await.unwrap();
    assert_eq!(
        (&error["@type"], &error["error_code"]),
        (&json!("generic_error"), &json!(40000))
    );
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("Invalid JSON in request: ")
    );

    let (status, error) = server.refused("list streams; selekt 1;").await;
    assert_eq!((status, &error["error_code"]), (400, &json!(40001)));
    assert_eq!(error["@type"], "statement_error");
    assert!(
        error["message"].as_str().unwrap().starts_with("line 1:15: "),
        "{error}"
    );
    assert_eq!(error["statementText"], "selekt 1;");
    assert_eq!(error["entities"], json!([]));

    let (status, error) = server.refused("list streams;\n run script 'x.sql';").await;
    assert_eq!((status, &error["error_code"]), (400, &json!(40001)));
    assert!(
        error["message"].as_str().unwrap().starts_with("line 2:2: "),
        "{error}"
    );

    let (status, error) = server.refused("select * from x emit changes;").await;
    assert_eq!((status, &error["error_code"]), (400, &json!(40002)));

    let (status, error) = server.refused("terminate NOTHING_1;").await;
    assert_eq!((status, &error["error_code"]), (400, &json!(40001)));
    assert_eq!(error["message"], "Unknown queryId: NOTHING_1");

    let (status, body) = server
        .post(
            "/ksql",
            &json!({"ksql": "list streams;", "streamsProperties": {"auto.offset.reset": "never"}}),
        )
        .await;
    assert_eq!(status, 400, "{body}");

    let (status, body) = server.post("/close-query", &json!({"queryId": "x"})).await;
    assert_eq!(status, 400);
    assert_eq!(
        body,
        r#"{"@type":"generic_error","error_code":40000,"message":"No query with id x"}"#
    );

    let (status, body) = server
        .post(
            "/ksql",
            &json!({"ksql": "list streams;", "commandSequenceNumber": 1000}),
        )
        .await;
    assert_eq!(status, 503);
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["error_code"], 50301);

    server.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn lists_of_an_empty_server_are_empty() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    let (_, body) = server
        .post(
            "/ksql",
            &json!({"ksql": "LIST STREAMS; SHOW QUERIES; SET 'auto.offset.reset'='earliest'; DEFINE a='b';"}),
        )
        .await;
    assert_eq!(
        body,
        concat!(
            r#"[{"@type":"streams","statementText":"LIST STREAMS;","streams":[],"warnings":[]},"#,
            r#"{"@type":"queries","statementText":"SHOW QUERIES;","queries":[],"warnings":[]}]"#
        )
    );
    let answers = server
        .ksql("LIST PROPERTIES; LIST FUNCTIONS; LIST VARIABLES; LIST TYPES; LIST ALL TOPICS;")
        .await;
    let kinds: Vec<&Value> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| &answer["@type"])
        .collect();
    assert_eq!(
        kinds,
        [
            "properties",
            "function_names",
            "variables",
            "type_list",
            "kafka_topics"
        ]
    );
    assert_eq!(
        answers[4]["topics"],
        json!([{"name": "_confluent-ksql-default__command_topic", "replicaInfo": [1]}])
    );
    server.stop().await;
    broker.stop().await;
}

/// Posts with an `Accept` header; returns the status, the content type and the body.
async fn post_accepting(server: &Server, path: &str, accept: &str, body: &Value) -> (u16, String, String) {
    let request = server
        .http
        .post(server.url(path))
        .header("accept", accept)
        .body(body.to_string());
    let response = request.send().await.unwrap();
    let content_type = response.headers().get("content-type");
    let content_type = content_type
        .map_or("", |value| value.to_str().unwrap())
        .to_owned();
    (
        response.status().as_u16(),
        content_type,
        response.text().await.unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_come_in_the_format_that_is_asked_for() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql(
            "CREATE STREAM s (n BIGINT, t VARCHAR) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1); \
             INSERT INTO s VALUES (1, 'a'); INSERT INTO s VALUES (2, NULL);",
        )
        .await;
    let sql = "SELECT n, t FROM s EMIT CHANGES LIMIT 2;";
    let earliest = json!({"auto.offset.reset": "earliest"});
    let query = json!({"ksql": sql, "streamsProperties": earliest});
    let query_stream = json!({"sql": sql, "properties": earliest});

    let rows = "{\"row\":{\"columns\":[1,\"a\"]}},\n{\"row\":{\"columns\":[2,null]}},\n\
                {\"finalMessage\":\"Limit Reached\"}]";
    for (path, accept, body) in [
        ("/query", "application/json", &query),
        ("/query", "application/vnd.ksql.v1+json", &query),
        ("/query-stream", "application/vnd.ksql.v1+json", &query_stream),
    ] {
        let (status, content_type, body) = post_accepting(&server, path, accept, body).await;
        assert_eq!(
            (status, content_type.as_str()),
            (200, "application/vnd.ksql.v1+json")
        );
        let (header, rest) = body.split_once('\n').unwrap();
        assert!(
            header.starts_with("[{\"header\":{\"queryId\":\"transient_S_"),
            "{header}"
        );
        assert!(
            header.ends_with("\",\"schema\":\"`N` BIGINT, `T` STRING\"}},"),
            "{header}"
        );
        assert_eq!(rest, rows, "{path} {accept}");
    }
    for (path, accept, body) in [
        ("/query", "application/vnd.ksqlapi.delimited.v1", &query),
        ("/query", "*/*", &query),
        ("/query-stream", "*/*", &query_stream),
    ] {
        let (status, content_type, body) = post_accepting(&server, path, accept, body).await;
        assert_eq!(
            (status, content_type.as_str()),
            (200, "application/vnd.ksqlapi.delimited.v1")
        );
        let (metadata, rest) = body.split_once('\n').unwrap();
        let metadata: Value = serde_json::from_str(metadata).unwrap();
        assert_eq!(metadata["columnNames"], json!(["N", "T"]));
        assert_eq!(metadata["columnTypes"], json!(["BIGINT", "STRING"]));
        assert_eq!(rest, "[1,\"a\"]\n[2,null]\n", "{path} {accept}");
    }
    let (status, _, body) = post_accepting(&server, "/query-stream", "application/json", &query_stream).await;
    assert_eq!(status, 200);
    let items: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(items[0]["columnNames"], json!(["N", "T"]));
    assert_eq!(
        (&items[1], &items[2], items.get(3)),
        (&json!([1, "a"]), &json!([2, null]), None)
    );
    for path in ["/query", "/query-stream"] {
        assert_eq!(post_accepting(&server, path, "text/html", &query).await.0, 406);
    }
    let print = json!({"sql": "PRINT s FROM BEGINNING LIMIT 1;"});
    assert_eq!(
        post_accepting(&server, "/query-stream", "application/json", &print)
            .await
            .0,
        406
    );
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_that_cannot_start_say_why() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql("CREATE STREAM s (n BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);")
        .await;
    let refused = async |path: &str, body: Value| {
        let (status, text) = server.post(path, &body).await;
        let error: Value = serde_json::from_str(&text).unwrap();
        (
            status,
            error["error_code"].as_u64().unwrap(),
            error["message"].as_str().unwrap().to_owned(),
        )
    };
    let (status, code, message) =
        refused("/query", json!({"ksql": "SELECT * FROM nothing EMIT CHANGES;"})).await;
    assert_eq!((status, code), (400, 40001));
    assert!(message.contains("NOTHING does not exist."), "{message}");
    let (status, code, message) = refused(
        "/query-stream",
        json!({"sql": "SELECT * FROM nothing EMIT CHANGES;"}),
    )
    .await;
    assert_eq!((status, code), (400, 40001));
    assert!(message.ends_with("NOTHING does not exist."), "{message}");
    let (status, code, message) = refused(
        "/query",
        json!({"ksql": "SELECT * FROM s EMIT CHANGES; SELECT * FROM s EMIT CHANGES;"}),
    )
    .await;
    assert_eq!((status, code), (400, 40000));
    assert_eq!(message, "Expected exactly one KSQL statement; found 2 instead");
    let (status, code, message) = refused("/query", json!({"ksql": "SHOW STREAMS;"})).await;
    assert_eq!((status, code), (400, 40000));
    assert_eq!(
        message,
        "Statement type `io.confluent.ksql.parser.KsqlParser$PreparedStatement' not supported for this resource"
    );
    let (status, code, message) = refused("/query-stream", json!({"sql": "SHOW STREAMS;"})).await;
    assert_eq!((status, code), (400, 40001));
    assert_eq!(
        message,
        "Neither a query nor a print statement\nStatement: SHOW STREAMS;"
    );
    let (status, _, message) = refused("/query", json!({"ksql": "PRINT S;"})).await;
    assert_eq!(status, 400);
    assert!(message.ends_with("Did you mean:\n\tprint s;"), "{message}");
    let (status, _, message) = refused("/query", json!({"ksql": "PRINT nothing;"})).await;
    assert_eq!(status, 400);
    assert!(message.starts_with("Could not find topic 'nothing'"), "{message}");
    let (status, code, _) = refused("/query", json!({"no": "statement"})).await;
    assert_eq!((status, code), (400, 40000));
    let (status, code, message) = refused("/inserts-stream", json!({"target": "S"})).await;
    assert_eq!((status, code), (400, 40004));
    assert_eq!(message, "This endpoint is only available when using HTTP2");
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_query_on_a_stream_ends_with_what_is_there() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql(
            "CREATE STREAM s (n BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=2); \
             INSERT INTO s VALUES (1); INSERT INTO s VALUES (2); INSERT INTO s VALUES (3);",
        )
        .await;
    let mut rows = server.push("SELECT n FROM s WHERE n > 1;", json!({})).await;
    let mut found = vec![rows.row().await, rows.row().await];
    found.sort_by_key(|row| row[0].as_i64());
    assert_eq!(found, [json!([2]), json!([3])]);
    assert_eq!(
        rows.line().await.as_deref(),
        Some("{\"finalMessage\":\"Query Completed\"}]")
    );
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn printing_takes_a_place_among_the_push_queries() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql("CREATE STREAM s (n INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);")
        .await;
    let print = || {
        let body = json!({"ksql": "PRINT s;"}).to_string();
        server.http.post(server.url("/query")).body(body).send()
    };
    let mut printing = Vec::new();
    for _ in 0..100 {
        let response = print().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        printing.push(response);
    }
    let response = print().await.unwrap();
    assert_eq!(response.status().as_u16(), 400);
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["error_code"], 40003, "{error}");
    // Whoever hangs up makes room.
    drop(printing);
    let deadline = std::time::Instant::now() + support::DEADLINE;
    while print().await.unwrap().status().as_u16() != 200 {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    server.stop().await;
    broker.stop().await;
}
