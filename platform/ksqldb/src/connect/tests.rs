use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[test]
fn an_address_that_is_none_is_refused() {
    for url in ["", "connect:8083", "ftp://connect"] {
        let error = Connect::new(url).unwrap_err().to_string();
        assert!(
            error.contains("is not the URL of a Kafka Connect worker"),
            "{error}"
        );
    }
    let error = Connect::new("http://admin:secret@connect:8083")
        .unwrap_err()
        .to_string();
    assert!(
        !error.contains("secret") && error.contains("cannot stand in it"),
        "{error}"
    );
    assert!(Connect::new("https://connect:8083/api").is_ok());
}

#[tokio::test]
async fn nobody_there_is_told_as_javas_client_does() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let connect = Connect::new(&address).unwrap();
    assert_eq!(
        connect.names().await,
        Err(ConnectError::Away {
            address,
            reason: "Connection refused".to_owned()
        })
    );
}

/// A worker that gives one answer to whatever it is asked, and says how often it was.
async fn answering(status: &str, body: &str) -> (Connect, Arc<AtomicU32>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (Connect::new(&format!("http://{address}")).unwrap(), asked)
}

#[tokio::test]
async fn a_connector_is_there_whatever_it_is_called() {
    for name in ["rebalance", "momentarily", "Cannot complete request momentarily "] {
        let body =
            json!({"error_code": 409, "message": format!("Connector {name} already exists")}).to_string();
        let (connect, asked) = answering("409 Conflict", &body).await;
        let refused = connect.create(name, &Settings::new()).await.unwrap_err();
        assert!(!refused.passes());
        assert_eq!(refused, ConnectError::Refused { status: 409, body });
        assert_eq!(asked.load(Ordering::Relaxed), 1, "{name}");
    }
}

#[test]
fn a_worker_that_rebalances_will_be_done() {
    for message in [
        "Cannot complete request momentarily due to stale configuration (typically caused by a concurrent config change)",
        "Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway.",
        "Cannot complete request because of a conflicting operation (e.g. worker rebalance)",
        "Request cannot be completed because a rebalance is expected",
    ] {
        let body = json!({"error_code": 409, "message": message}).to_string();
        let refused = ConnectError::Refused { status: 409, body };
        assert!(refused.passes(), "{message}");
    }
}

#[tokio::test]
async fn what_a_worker_answers_is_not_why_it_does_not() {
    for told in ["Connection refused", "timed out"] {
        let (connect, _) = answering("200 OK", &json!(told).to_string()).await;
        let Err(ConnectError::Away { reason, .. }) = connect.names().await else {
            panic!("a text is no list of names");
        };
        assert!(reason.starts_with("not an answer of its: "), "{reason}");
    }
}
