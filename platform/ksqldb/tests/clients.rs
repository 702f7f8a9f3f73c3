//! Clients that mean no good, or do not know better: what they may not do, and what it costs at most.

mod support;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use reqwest::Url;
use serde_json::{Value, json};
use support::{Broker, DEADLINE, Server, produce};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// The memory of this process, in KiB: the most it ever had.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn pages_of_other_origins_and_other_hosts_are_refused_whatever_they_send() {
    let broker = Broker::start().await;
    let server = Server::start_with(broker.address, |config| {
        config.allowed_hosts = vec!["ksql.example".to_owned()];
        config.allowed_origins = vec!["http://desk.example".to_owned()];
    })
    .await;
    server.ready().await;
    let sent = async |path: &str, headers: &[(&str, &str)]| {
        let mut request = server.http.post(server.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let create = "CREATE STREAM s (n INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);";
        let response = request
            .body(json!({"ksql": create}).to_string())
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    for headers in [
        &[("origin", "http://evil.example"), ("content-type", "text/plain")][..],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("host", "evil.example:8088")],
    ] {
        for path in [
            "/ksql",
            "/query",
            "/query-stream",
            "/close-query",
            "/inserts-stream",
        ] {
            let (status, body) = sent(path, headers).await;
            assert_eq!(status, 403, "{path} {headers:?}: {body}");
            assert!(body.contains("--allow-"), "{body}");
        }
    }
    let foreign = server
        .http
        .get(server.url("/info"))
        .header("host", "evil.example");
    assert_eq!(foreign.send().await.unwrap().status().as_u16(), 403);
    let streams = server.ksql("SHOW STREAMS;").await;
    assert_eq!(streams[0]["streams"], json!([]));

    // As `curl -d` sends it, under another of its names, from a page that was let in.
    let form = ("content-type", "application/x-www-form-urlencoded");
    assert_eq!(sent("/ksql", &[form, ("host", "ksql.example:8088")]).await.0, 200);
    let asked = server
        .http
        .request(reqwest::Method::OPTIONS, server.url("/ksql"))
        .header("origin", "http://desk.example")
        .header("access-control-request-method", "POST");
    let answer = asked.send().await.unwrap();
    assert_eq!(
        answer.headers()["access-control-allow-origin"],
        "http://desk.example"
    );
    server.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn connections_that_never_finish_their_request_are_closed() {
    let broker = Broker::start().await;
    let mut server = Server::start_with(broker.address, |config| {
        config.request_deadline = Duration::from_millis(300);
    })
    .await;
    server.ready().await;
    // A connection that is kept for the next request ends like any other that sends none.
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
    server.http = http.build().unwrap();
    let beginnings = [
        "",
        "PRI * HTT",
        "POST /ksql HTT",
        "POST /ksql HTTP/1.1\r\nHost: localhost\r\n",
        "POST /ksql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    ];
    let mut connections = Vec::new();
    for begin in beginnings.iter().cycle().take(200) {
        let mut connection = TcpStream::connect(server.address).await.unwrap();
        connection.write_all(begin.as_bytes()).await.unwrap();
        connections.push(connection);
    }
    assert_eq!(server.get("/info").await.0, 200);
    for mut connection in connections {
        let mut answer = Vec::new();
        let ended = timeout(DEADLINE, connection.read_to_end(&mut answer)).await;
        match ended.expect("the connection stays open") {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{answer}"
        );
    }
    // A query that sends nothing for longer is another matter.
    server
        .ksql("CREATE STREAM s (n INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);")
        .await;
    let mut rows = server.push("SELECT n FROM s EMIT CHANGES;", json!({})).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    server.ksql("INSERT INTO s VALUES (7);").await;
    assert_eq!(rows.row().await, json!([7]));
    server.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn a_request_cannot_take_the_machine() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    // Each ten times the one before: 10^12 bytes.
    let mut nested = "DEFINE v0 = '0123456789';".to_owned();
    for n in 1..12 {
        let value = format!("${{v{}}}", n - 1).repeat(10);
        nested += &format!("DEFINE v{n} = '{value}';");
    }
    let wide = "DEFINE w = '${v}${v}${v}${v}';".repeat(900);
    let wide = json!({"ksql": wide, "sessionVariables": {"v": "x".repeat(200_000)}});
    let many = json!({"ksql": "SHOW STREAMS;".repeat(100_000)});
    let partitions =
        "CREATE STREAM p (n INT) WITH (KAFKA_TOPIC='p', VALUE_FORMAT='JSON', PARTITIONS=2000000000);";
    let before = peak_memory();
    for (body, expected) in [
        (json!({"ksql": nested}), "more than 1048576 bytes"),
        (wide, "more than 8388608 bytes"),
        (many, "at most 1000"),
        (json!({"ksql": partitions}), "to 10000"),
    ] {
        let (status, answer) = server.post("/ksql", &body).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let message = answer["message"].as_str().unwrap();
        assert_eq!(status, 400, "{message}");
        assert!(message.contains(expected), "{message}");
        assert_eq!(server.post("/query", &body).await.0, 400);
    }
    let grown = peak_memory() - before;
    assert!(grown < 300_000, "{grown} KiB");
    let large = json!({"ksql": "x".repeat(3_000_000)});
    assert_eq!(server.post("/ksql", &large).await.0, 413);
    server.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn what_a_client_that_hangs_up_has_asked_for_is_left() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql("CREATE STREAM s (n INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);")
        .await;
    let body = json!({"ksql": "INSERT INTO s VALUES (1);".repeat(1_000)}).to_string();
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /ksql HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut rows = server.push("SELECT n FROM s EMIT CHANGES;", json!({})).await;
    connection.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(rows.row().await, json!([1]));
    drop(connection);
    // The end of the topic stands still, before all of it is there.
    let deadline = Instant::now() + DEADLINE;
    let end = async || {
        use rdkafka::consumer::{BaseConsumer, Consumer};
        let consumer: BaseConsumer = broker.client().create().unwrap();
        let ends = tokio::task::spawn_blocking(move || consumer.fetch_watermarks("s", 0, DEADLINE));
        ends.await.unwrap().unwrap().1
    };
    let mut last = end().await;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = end().await;
        if now == last {
            break;
        }
        last = now;
        assert!(Instant::now() < deadline);
    }
    assert!(last < 1_000, "{last}");
    server.stop().await;
    broker.stop().await;
}

/// A WebSocket as the older command lines open it.
async fn websocket(server: &Server, request: &Value) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
    let mut url = Url::parse(&server.url("/ws/query")).unwrap();
    url.set_scheme("ws").unwrap();
    url.query_pairs_mut()
        .append_pair("version", "1")
        .append_pair("request", &request.to_string());
    let connected = timeout(DEADLINE, connect_async(url.as_str())).await.unwrap();
    connected.unwrap().0
}

/// Its messages to the end, and what it is closed with.
async fn messages(socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>) -> (Vec<Value>, u16, String) {
    let mut messages = Vec::new();
    loop {
        let message = timeout(DEADLINE, socket.next()).await.unwrap().unwrap().unwrap();
        match message {
            Message::Text(text) => messages.push(serde_json::from_str(&text).unwrap()),
            Message::Close(close) => {
                let close = close.unwrap();
                return (messages, close.code.into(), close.reason.to_string());
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_gets_columns_then_rows_then_why_it_ends() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql("CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);")
        .await;
    produce(&broker.producer(), "s", Some("a"), r#"{"n": 7}"#).await;
    let earliest = json!({"auto.offset.reset": "earliest"});
    let columns = json!([
        {"name": "K", "schema": {"type": "STRING", "fields": null, "memberSchema": null}},
        {"name": "N", "schema": {"type": "INTEGER", "fields": null, "memberSchema": null}},
    ]);
    let row = json!({"row": {"columns": ["a", 7]}});
    let done = json!({"error": "done"});
    for sql in ["SELECT * FROM s EMIT CHANGES LIMIT 1;", "SELECT * FROM s;"] {
        let mut socket = websocket(&server, &json!({"ksql": sql, "streamsProperties": earliest})).await;
        let (got, code, reason) = messages(&mut socket).await;
        assert_eq!(got[1..], [row.clone(), done.clone()], "{sql}");
        assert_eq!(got[0][1], columns[1], "{sql}");
        assert_eq!(got[0][0]["name"], "K");
        assert_eq!((code, reason.as_str()), (1000, "done"));
    }
    let mut socket = websocket(&server, &json!({"ksql": "PRINT s FROM BEGINNING LIMIT 1;"})).await;
    let (got, code, _) = messages(&mut socket).await;
    assert!(
        got.iter()
            .any(|line| line.as_str().is_some_and(|line| line.contains("key: a"))),
        "{got:?}"
    );
    assert_eq!(code, 1000);

    // A client that goes away ends its query; the server that goes away ends the others in order.
    let endless = json!({"ksql": "SELECT n FROM s EMIT CHANGES;", "streamsProperties": earliest});
    let mut left = websocket(&server, &endless).await;
    let mut stays = websocket(&server, &endless).await;
    for socket in [&mut left, &mut stays] {
        for _ in 0..2 {
            timeout(DEADLINE, socket.next()).await.unwrap().unwrap().unwrap();
        }
    }
    drop(left);
    let begin = Instant::now();
    loop {
        let queries = server.ksql("SHOW QUERIES;").await;
        if queries[0]["queries"].as_array().unwrap().len() == 1 {
            break;
        }
        assert!(begin.elapsed() < DEADLINE, "{queries}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let stopping = tokio::spawn(server.stop());
    assert_eq!(messages(&mut stays).await, (vec![done], 1000, "done".to_owned()));
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_websocket_is_told_what_is_wrong_and_is_for_nobodys_page() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    for (sql, begin) in [
        (
            "SELECT * FROM nope EMIT CHANGES;",
            "Exception while preparing statement: NOPE does not exist.",
        ),
        ("SHOW STREAMS;", "Unexpected statement type"),
        ("SELEC 1;", "Error parsing query: line 1:1: Syntax Error"),
        ("", "Error parsing request: \"ksql\" field"),
        (
            "SHOW STREAMS; SHOW TABLES;",
            "Error parsing query: Expected exactly one KSQL statement; found 2 instead",
        ),
    ] {
        let mut socket = websocket(&server, &json!({"ksql": sql})).await;
        let (got, code, reason) = messages(&mut socket).await;
        let [message] = got.as_slice() else {
            panic!("{sql}: {got:?}");
        };
        let message = message["error"].as_str().unwrap();
        assert!(message.starts_with(begin), "{sql}: {message}");
        assert_eq!(code, 1003, "{sql}");
        let told = reason.trim_end_matches("...");
        assert!(
            reason.len() <= 123 && message.starts_with(told),
            "{sql}: {reason}"
        );
    }
    let url = server.url("/ws/query?request=%7B%7D").replacen("http", "ws", 1);
    let mut page = url.into_client_request().unwrap();
    page.headers_mut()
        .insert("origin", "http://evil.example".parse().unwrap());
    let refused = connect_async(page).await.unwrap_err().to_string();
    assert!(refused.contains("403"), "{refused}");
    let (status, _) = server.get("/ws/query?request=%7B%7D").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn so_many_websockets_and_no_more() {
    let broker = Broker::start().await;
    let server = Server::start_with(broker.address, |config| config.most_websockets = 1).await;
    server.ready().await;
    server
        .ksql("CREATE STREAM s (n INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);")
        .await;
    let endless = json!({"ksql": "SELECT n FROM s EMIT CHANGES;"});
    let mut first = websocket(&server, &endless).await;
    timeout(DEADLINE, first.next()).await.unwrap().unwrap().unwrap();
    let url = server.url("/ws/query?request=%7B%7D").replacen("http", "ws", 1);
    let refused = connect_async(url.as_str()).await.unwrap_err().to_string();
    assert!(refused.contains("429"), "{refused}");
    first.close(None).await.unwrap();
    let begin = Instant::now();
    while let Err(error) = connect_async(url.as_str()).await {
        assert!(begin.elapsed() < DEADLINE, "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
