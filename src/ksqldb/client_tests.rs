use std::sync::Arc;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::canned_server::{Answer, CannedServer};
use super::super::statement::Script;
use super::*;
use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::ksqldb::rows::Item;

fn statement(source: &str) -> Statement {
    Script::parse(source).statements.remove(0)
}

async fn client(answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> (Client, CannedServer) {
    let server = CannedServer::start(answer).await;
    (Client::new(&server.url).unwrap(), server)
}

#[tokio::test]
async fn a_statement_is_sent_with_the_session_and_its_result_is_read() {
    let (client, server) = client(|_, _| {
        Answer::ok(
            json!([{
                "@type": "currentStatus",
                "statementText": "CREATE STREAM X …;",
                "commandId": "stream/`X`/create",
                "commandStatus": {"status": "SUCCESS", "message": "Stream created", "queryId": null},
                "commandSequenceNumber": 2,
                "warnings": [{"message": "old"}]
            }])
            .to_string(),
        )
    })
    .await;
    let entities = client
        .execute(&statement("CREATE STREAM x;"), &Session::from_earliest())
        .await
        .unwrap();
    assert_eq!(entities[0].kind(), "currentStatus");
    assert_eq!(entities[0].message(), Some("Stream created"));
    assert_eq!(entities[0].warnings().collect::<Vec<_>>(), ["old"]);
    assert_eq!(
        server.requests(),
        [(
            "/ksql".to_owned(),
            json!({
                "ksql": "CREATE STREAM x;",
                "streamsProperties": {"auto.offset.reset": "earliest"}
            })
        )]
    );
}

#[tokio::test]
async fn a_refusal_carries_the_code_and_the_message_of_both_versions() {
    for extra in ["", ",\"stackTrace\":[\"a\",\"b\"]"] {
        let (client, _server) = client(move |_, _| {
            Answer::status(
                400,
                format!(
                    r#"{{"@type":"statement_error","error_code":40001,"message":"line 1:1: nope","statementText":"x;","entities":[]{extra}}}"#
                ),
            )
        })
        .await;
        let error = client
            .execute(&statement("x;"), &Session::default())
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "ksqlDB: line 1:1: nope (40001)");
        assert_eq!(error.exit_code(), ExitCode::StatementRejected);
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn a_command_that_was_accepted_and_then_failed_is_a_refusal() {
    let (client, _server) = client(|_, _| {
        Answer::ok(r#"[{"@type":"currentStatus","statementText":"x;","commandStatus":{"status":"ERROR","message":"Cannot add stream 'X': A stream with the same name already exists"}}]"#)
    })
    .await;
    let error = client
        .execute(&statement("x;"), &Session::default())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Rejected(error) if error.is_already_exists()));
}

#[tokio::test]
async fn rows_stream_until_the_final_message() {
    let (client, server) = client(|_, _| {
        Answer::ok("[{\"header\":{\"queryId\":\"q\",\"schema\":\"`A` STRING\"}},\n\n{\"row\":{\"columns\":[\"ä\"]}},\n{\"finalMessage\":\"Limit Reached\"}]")
    })
    .await;
    let mut rows = client
        .query(
            &statement("SELECT a FROM s EMIT CHANGES LIMIT 1;"),
            &Session::default(),
        )
        .await
        .unwrap();
    assert_eq!(rows.header().await.unwrap().columns[0].name, "A");
    assert!(matches!(rows.next().await, Ok(Some(Item::Row(row))) if row.cells == [json!("ä").into()]));
    assert!(matches!(rows.next().await, Ok(Some(Item::Final(_)))));
    assert!(matches!(rows.next().await, Ok(None)));
    assert_eq!(server.requests()[0].0, "/query");
}

#[tokio::test]
async fn rows_that_are_cut_off_are_a_lost_connection() {
    for body in [
        "[{\"header\":{\"queryId\":\"q\",\"schema\":\"`A` STRING\"}},\n",
        "[{\"header\":{\"queryId\":\"q\",\"schema\":\"`A` STRING\"}},\n{\"row\":{\"col",
    ] {
        for cut in [true, false] {
            let (client, _server) = client(move |_, _| Answer {
                is_cut: cut,
                ..Answer::ok(body)
            })
            .await;
            let mut rows = client
                .query(&statement("SELECT a FROM s;"), &Session::default())
                .await
                .unwrap();
            rows.header().await.unwrap();
            let error = rows.next().await.unwrap_err();
            assert!(matches!(error, Error::Lost { .. }), "{error}");
            assert!(error.is_transient());
            assert!(matches!(rows.next().await, Ok(None)));
        }
    }
}

#[tokio::test]
async fn printed_lines_stream_as_text() {
    let (client, _server) =
        client(|_, _| Answer::ok("Key format: KAFKA_STRING\nrowtime: 1, key: a, value: {}\n")).await;
    let mut lines = client
        .query(&statement("PRINT 'processes';"), &Session::default())
        .await
        .unwrap();
    assert_eq!(
        lines.next().await.unwrap(),
        Some(Item::Line("Key format: KAFKA_STRING".to_owned()))
    );
}

#[tokio::test]
async fn information_is_read_from_both_versions() {
    let (recent, _server) = client(|path, _| match path {
        "/info" => Answer::ok(
            r#"{"KsqlServerInfo":{"version":"0.29.0","kafkaClusterId":"c","ksqlServiceId":"default_","serverStatus":"RUNNING"}}"#,
        ),
        "/healthcheck" => Answer::ok(r#"{"isHealthy":true,"details":{}}"#),
        _ => Answer::status(404, "Not Found"),
    })
    .await;
    assert_eq!(
        recent.info().await.unwrap(),
        ServerInfo {
            version: "0.29.0".to_owned(),
            status: Some("RUNNING".to_owned())
        }
    );
    assert!(recent.is_healthy().await.unwrap());

    let (old, _server) = client(|_, _| {
        Answer::ok(
            r#"{"KsqlServerInfo":{"version":"0.6.0","kafkaClusterId":"c","ksqlServiceId":"default_"}}"#,
        )
    })
    .await;
    assert_eq!(old.info().await.unwrap().status, None);
}

#[tokio::test]
async fn a_property_is_checked_by_name() {
    let (client, server) = client(|path, _| match path {
        "/is_valid_property/auto.offset.reset" => Answer::ok("true"),
        _ => Answer::status(
            400,
            r#"{"@type":"generic_error","error_code":40000,"message":"no such property"}"#,
        ),
    })
    .await;
    client.check_property("auto.offset.reset").await.unwrap();
    let error = client.check_property("a/b?").await.unwrap_err();
    assert_eq!(error.to_string(), "ksqlDB: no such property (40000)");
    assert_eq!(server.requests()[1].0, "/is_valid_property/a%2Fb%3F");
}

#[tokio::test]
async fn what_is_not_ksqldb_is_named() {
    let (client, server) = client(|path, _| match path {
        "/info" => Answer::status(404, "Not Found"),
        _ => Answer::ok("<html>"),
    })
    .await;
    let describe = |error: Error| error.to_string().replace(&server.url, "URL");
    insta::assert_snapshot!(
        describe(client.info().await.unwrap_err()),
        @"URL/info does not answer like ksqlDB: HTTP status 404 Not Found"
    );
    insta::assert_snapshot!(
        describe(client.is_healthy().await.unwrap_err()),
        @"URL/healthcheck does not answer like ksqlDB: expected value at line 1 column 1"
    );
}

#[tokio::test]
async fn an_absent_server_is_not_running() {
    let server = CannedServer::start(|_, _| Answer::ok("")).await;
    let url = server.url.clone();
    drop(server);
    // The listener closes when its task has ended.
    tokio::task::yield_now().await;
    let error = Client::new(&url).unwrap().info().await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::NotRunning);
    insta::assert_snapshot!(
        error.to_string().replace(&url, "URL"),
        @"cannot reach ksqlDB at URL: Connection refused (os error 111)"
    );
    insta::assert_debug_snapshot!(error.hints(), @r#"
    [
        "`osqdemo ps` says what runs, `osqdemo up` starts what is missing; what runs elsewhere has to answer there",
    ]
    "#);
}

#[test]
fn an_address_must_be_a_url() {
    for wrong in ["", "127.0.0.1:8088", "ftp://x", "http://"] {
        assert!(
            matches!(Client::new(wrong), Err(Error::InvalidUrl { .. })),
            "{wrong}"
        );
    }
    assert_eq!(Client::new("http://x:1/").unwrap().url(), "http://x:1");
}

/// Answers each request over TLS with the status that its credentials earn; none of it is secret from who trusts the
/// certificate.
async fn tls_server(folder: &Path) -> String {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.join("ca.pem"), issued.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust the certificate ends the connection.
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut request = Vec::new();
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    if stream.read_buf(&mut request).await.unwrap() == 0 {
                        return;
                    }
                }
                let head = String::from_utf8(request).unwrap();
                // `jay:pass word`
                let (status, body) = if head.contains("authorization: Basic amF5OnBhc3Mgd29yZA==") {
                    ("200 OK", r#"{"KsqlServerInfo":{"version":"0.29.0"}}"#)
                } else {
                    (
                        "401 Unauthorized",
                        r#"{"error_code":40100,"message":"Unauthorized"}"#,
                    )
                };
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                let _ = stream.shutdown().await;
            });
        }
    });
    format!("https://localhost:{port}")
}

#[tokio::test]
async fn a_server_may_want_tls_and_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let url = tls_server(folder.path()).await;
    let asked = async |password: Option<&str>, certificates: Option<&str>| {
        let service = HttpService {
            url: url.clone(),
            credentials: password.map(|password| Credentials {
                user: "jay".to_owned(),
                password: password.to_owned(),
            }),
            certificates: certificates.map(|name| folder.path().join(name)),
        };
        Client::of(&service)?.info().await
    };
    let info = asked(Some("pass word"), Some("ca.pem")).await.unwrap();
    assert_eq!(info.version, "0.29.0");
    for password in [None, Some("secret")] {
        let error = asked(password, Some("ca.pem")).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("does not let this client in (HTTP 401): Unauthorized"),
            "{error}"
        );
        assert!(!format!("{error:?}").contains("secret"));
        assert_eq!(error.exit_code(), ExitCode::Preflight);
    }
    let untrusted = asked(Some("pass word"), None).await.unwrap_err();
    assert!(matches!(untrusted, Error::Unreachable { .. }), "{untrusted}");
    assert!(untrusted.to_string().contains("certificate"), "{untrusted}");
    let missing = asked(None, Some("none.pem")).await.unwrap_err();
    assert_eq!(missing.exit_code(), ExitCode::Usage);
    fs::write(folder.path().join("empty.pem"), "").unwrap();
    let empty = asked(None, Some("empty.pem")).await.unwrap_err();
    assert!(empty.to_string().contains("holds no certificate"), "{empty}");
}
