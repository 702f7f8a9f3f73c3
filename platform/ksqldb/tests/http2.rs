//! HTTP/2 without TLS, as ksqlDB's Java client speaks it: with prior knowledge.

mod support;

use axum::http::{Method, Request};
use bytes::Bytes;
use rdkafka::consumer::Consumer;
use rdkafka::message::Message;
use serde_json::{Value, json};
use support::{Broker, DEADLINE, Registry, Server, next_record, produce, value_of};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_and_rows_over_http2() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);

    let request = |path: &str| {
        Request::builder()
            .method(Method::POST)
            .uri(format!("http://{}{path}", server.address))
            .body(())
            .unwrap()
    };
    let statement = "CREATE STREAM s (n BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);";
    let mut ready = client.clone().ready().await.unwrap();
    let (response, mut body) = ready.send_request(request("/ksql"), false).unwrap();
    body.send_data(Bytes::from(json!({"ksql": statement}).to_string()), true)
        .unwrap();
    let mut response = timeout(DEADLINE, response).await.unwrap().unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let answer = timeout(DEADLINE, response.body_mut().data())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer[0]["commandStatus"]["message"], "Stream created");

    let mut ready = client.clone().ready().await.unwrap();
    let (response, mut body) = ready.send_request(request("/query-stream"), false).unwrap();
    let query = json!({"sql": "SELECT n FROM s EMIT CHANGES;"});
    body.send_data(Bytes::from(query.to_string()), true).unwrap();
    let mut response = timeout(DEADLINE, response).await.unwrap().unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "application/vnd.ksqlapi.delimited.v1"
    );
    let metadata = timeout(DEADLINE, response.body_mut().data())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata).unwrap();
    assert_eq!(metadata["columnNames"], json!(["N"]));
    produce(&broker.producer(), "s", None, r#"{"n": 7}"#).await;
    let row = timeout(DEADLINE, response.body_mut().data())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(row, "[7]\n");

    server.stop().await;
    while let Some(end) = timeout(DEADLINE, response.body_mut().data()).await.unwrap() {
        assert_eq!(end.unwrap(), "");
    }
    connection.abort();
    broker.stop().await;
}

/// The schema of a row is registered again where somebody has deleted its subject while a client inserts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_outlive_the_subject_of_their_schema() {
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let server = Server::start_registered(&broker, &registry.url()).await;
    server
        .ksql("CREATE STREAM s (n INT) WITH (kafka_topic='s', value_format='AVRO', partitions=1);")
        .await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{}/inserts-stream", server.address))
        .body(())
        .unwrap();
    let mut ready = client.ready().await.unwrap();
    let (response, mut rows) = ready.send_request(request, false).unwrap();
    rows.send_data(Bytes::from_static(b"{\"target\":\"s\"}\n{\"n\":1}\n"), false)
        .unwrap();
    let mut response = timeout(DEADLINE, response).await.unwrap().unwrap();
    let mut acknowledged = async || {
        let data = timeout(DEADLINE, response.body_mut().data()).await.unwrap();
        let data = data.unwrap().unwrap();
        // Else the window is full after some thousand rows, in the middle of an acknowledgement.
        let window = response.body_mut().flow_control();
        window.release_capacity(data.len()).unwrap();
        let line: Value = serde_json::from_slice(&data).unwrap();
        assert_eq!(line["status"], "ok", "{line}");
    };
    acknowledged().await;
    let (status, _) = registry.ask("DELETE", "/subjects/s-value", None).await;
    assert_eq!(status, 200);
    let began = std::time::Instant::now();
    while registry.ask("GET", "/subjects", None).await.1 == json!([]) {
        assert!(began.elapsed() < DEADLINE, "nothing is registered");
        rows.send_data(Bytes::from_static(b"{\"n\":2}\n"), false).unwrap();
        acknowledged().await;
    }
    assert_eq!(registry.latest("s-value").await["fields"][0]["name"], "N");
    // A registry that is away ends no stream whose schema is known, however often it was looked for.
    registry.stop().await;
    let began = std::time::Instant::now();
    while began.elapsed() < std::time::Duration::from_millis(2_500) {
        rows.send_data(Bytes::from_static(b"{\"n\":3}\n"), false).unwrap();
        acknowledged().await;
    }
    server.stop().await;
    connection.abort();
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_inserted_and_acknowledged_one_by_one() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql("CREATE STREAM s (k VARCHAR KEY, n BIGINT, d DATE) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);")
        .await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = || {
        Request::builder()
            .method(Method::POST)
            .uri(format!("http://{}/inserts-stream", server.address))
            .body(())
            .unwrap()
    };

    let mut ready = client.clone().ready().await.unwrap();
    let (response, mut rows) = ready.send_request(request(), false).unwrap();
    rows.send_data(Bytes::from_static(b"{\"target\":\"s\"}\n"), false)
        .unwrap();
    let mut response = timeout(DEADLINE, response).await.unwrap().unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let mut acknowledged = async || {
        let data = timeout(DEADLINE, response.body_mut().data()).await.unwrap();
        data.map(|data| String::from_utf8(data.unwrap().to_vec()).unwrap())
    };
    // A row may come in parts.
    rows.send_data(Bytes::from_static(b"{\"K\":\"a\","), false)
        .unwrap();
    rows.send_data(Bytes::from_static(b"\"n\":1}\n"), false).unwrap();
    assert_eq!(
        acknowledged().await.as_deref(),
        Some("{\"seq\":0,\"status\":\"ok\"}\n")
    );
    let reader = broker.reader("s");
    let record = next_record(&reader).await;
    assert_eq!(record.key(), Some(&b"a"[..]));
    assert_eq!(value_of(&record), json!({"N": 1, "D": null}));
    rows.send_data(
        Bytes::from_static(b"{\"k\":\"b\",\"n\":\"no number\"}\n{\"k\":\"b\",\"n\":3}\n"),
        false,
    )
    .unwrap();
    let refused: Value = serde_json::from_str(&acknowledged().await.unwrap()).unwrap();
    assert_eq!(
        refused,
        json!({
            "@type": "InsertError",
            "status": "error",
            "seq": 1,
            "message": "Can't coerce a field of type class java.lang.String into type BIGINT",
            "error_code": 40000,
        })
    );
    // What fails ends it: the row behind is not written.
    assert_eq!(acknowledged().await.unwrap_or_default(), "");

    for (body, message) in [
        (
            "{\"target\":\"nope\"}\n",
            "Cannot insert values into an unknown stream/table: `NOPE`",
        ),
        ("{}\n", "Invalid JSON in request: missing field `target`"),
    ] {
        let mut ready = client.clone().ready().await.unwrap();
        let (response, mut rows) = ready.send_request(request(), false).unwrap();
        rows.send_data(Bytes::from(body), true).unwrap();
        let mut response = timeout(DEADLINE, response).await.unwrap().unwrap();
        assert_eq!(response.status().as_u16(), 400);
        let error = timeout(DEADLINE, response.body_mut().data())
            .await
            .unwrap()
            .unwrap();
        let error: Value = serde_json::from_slice(&error.unwrap()).unwrap();
        assert!(error["message"].as_str().unwrap().starts_with(message), "{error}");
    }
    let (_, high) = reader.fetch_watermarks("s", 0, DEADLINE).unwrap();
    assert_eq!(high, 1);
    server.stop().await;
    connection.abort();
    broker.stop().await;
}
