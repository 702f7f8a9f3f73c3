//! HTTP/2 without TLS, as ksqlDB's Java client speaks it: with prior knowledge.

mod support;

use axum::http::{Method, Request};
use bytes::Bytes;
use serde_json::{Value, json};
use support::{Broker, DEADLINE, Server, produce};
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
