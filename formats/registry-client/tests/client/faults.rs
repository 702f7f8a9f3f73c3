use std::slice;
use std::time::{Duration, Instant};

use osqdemo_registry_client::{Client, ClientError, Credentials, Schema, Settings, SettingsError};

use crate::canned::Canned;

fn settings(url: &str) -> Settings {
    Settings {
        backoff: Duration::from_millis(1),
        timeout: Duration::from_secs(20),
        ..Settings::new(url)
    }
}

fn client(url: &str) -> Client {
    Client::new(settings(url)).unwrap()
}

#[test]
fn what_may_pass_is_tried_again() {
    let server = Canned::new(&[
        (
            "503 Service Unavailable",
            r#"{"error_code":503,"message":"starting"}"#,
        ),
        ("429 Too Many Requests", ""),
        ("500 Internal Server Error", "<html>"),
        ("200 OK", r#"{"id":7}"#),
    ]);
    let client = client(&server.url);
    assert_eq!(client.register("s", &Schema::avro("\"int\""), false), Ok(7));
    assert_eq!(server.requests().len(), 4);
    // What was learned is not asked again.
    assert_eq!(client.register("s", &Schema::avro("\"int\""), false), Ok(7));
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn what_does_not_pass_is_told_in_the_end() {
    let server = Canned::new(&[(
        "500 Internal Server Error",
        r#"{"error_code":50001,"message":"store"}"#,
    )]);
    let error = client(&server.url).subjects().unwrap_err();
    assert!(error.is_away(), "{error}");
    assert!(
        error.to_string().ends_with("does not answer: status 500 store"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_refusal_is_not_tried_again() {
    let refusal = r#"{"error_code":409,"message":"Schema being registered is incompatible"}"#;
    for status in ["409 Conflict", "422 Unprocessable Entity"] {
        let server = Canned::new(match status {
            "409 Conflict" => &[(
                "409 Conflict",
                r#"{"error_code":409,"message":"Schema being registered is incompatible"}"#,
            )],
            _ => &[(
                "422 Unprocessable Entity",
                r#"{"error_code":409,"message":"Schema being registered is incompatible"}"#,
            )],
        });
        let error = client(&server.url)
            .register("s", &Schema::avro("\"int\""), false)
            .unwrap_err();
        assert!(!error.is_away());
        assert!(
            matches!(&error, ClientError::Refused { code: 409, message, .. } if refusal.contains(message)),
            "{error}"
        );
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[test]
fn the_next_address_is_asked_when_one_does_not_answer() {
    let server = Canned::new(&[("200 OK", r#"["a"]"#)]);
    let mut both = settings("http://127.0.0.1:9");
    both.urls.push(server.url.clone());
    assert_eq!(Client::new(both).unwrap().subjects(), Ok(vec!["a".to_owned()]));
}

#[test]
fn who_answers_late_is_waited_for_as_long_as_was_said() {
    const LATE: Duration = Duration::from_secs(10);
    let answers = &[("200 OK", r#"["a"]"#)];
    let asked = |timeout, others: &[String]| {
        let slow = Canned::late(LATE, answers);
        let mut settings = settings(&slow.url);
        (settings.timeout, settings.retries) = (timeout, 0);
        settings.urls.extend_from_slice(others);
        Client::new(settings).unwrap().subjects()
    };
    let began = Instant::now();
    let short = Duration::from_secs(2);
    let prompt = Canned::new(answers);
    assert_eq!(
        asked(short, slice::from_ref(&prompt.url)),
        Ok(vec!["a".to_owned()])
    );
    let error = asked(short, &[]).unwrap_err();
    assert!(error.is_away(), "{error}");
    assert!(began.elapsed() < LATE, "{:?}", began.elapsed());
    assert_eq!(asked(6 * LATE, &[]), Ok(vec!["a".to_owned()]));
    assert!(began.elapsed() >= LATE, "{:?}", began.elapsed());
}

#[test]
fn nobody_there_is_away() {
    let error = Client::new(Settings {
        retries: 0,
        ..settings("http://127.0.0.1:9")
    })
    .unwrap()
    .subjects()
    .unwrap_err();
    assert!(error.is_away(), "{error}");
}

#[test]
fn another_server_on_the_port_is_no_registry() {
    for answer in [("200 OK", "<html>"), ("404 Not Found", "<html>")] {
        let server = Canned::new(match answer.0 {
            "200 OK" => &[("200 OK", "<html>")],
            _ => &[("404 Not Found", "<html>")],
        });
        let error = client(&server.url).subjects().unwrap_err();
        assert!(matches!(error, ClientError::Foreign { .. }), "{error}");
    }
}

#[test]
fn credentials_are_sent_and_never_shown() {
    let basic = Credentials::Basic {
        user: "me".to_owned(),
        password: "secret".to_owned(),
    };
    for (credentials, sent) in [
        (basic, "authorization: Basic bWU6c2VjcmV0\r\n"),
        (
            Credentials::Bearer("secret.token".to_owned()),
            "authorization: Bearer secret.token\r\n",
        ),
    ] {
        let server = Canned::new(&[("401 Unauthorized", "no"), ("200 OK", r#"["a"]"#)]);
        let settings = Settings {
            credentials: Some(credentials),
            ..settings(&server.url)
        };
        assert!(!format!("{settings:?}").contains("secret"));
        let client = Client::new(settings).unwrap();
        let error = client.subjects().unwrap_err();
        assert!(
            !error.is_away() && !error.to_string().contains("secret"),
            "{error}"
        );
        assert!(error.to_string().contains("hint: "), "{error}");
        assert_eq!(client.subjects(), Ok(vec!["a".to_owned()]));
        let requests = server.requests();
        assert!(
            requests.len() == 2 && requests.iter().all(|request| request.contains(sent)),
            "{requests:?}"
        );
    }
}

#[test]
fn a_registry_is_believed_by_its_certificate() {
    let (server, certificate) = Canned::tls(&[("200 OK", r#"["a"]"#)]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("registry.pem");
    std::fs::write(&file, certificate).unwrap();
    let trusting = |certificates: Option<&std::path::Path>, url: &str| {
        Client::new(Settings {
            certificates: certificates.map(|file| file.display().to_string()),
            credentials: Some(Credentials::Bearer("secret".to_owned())),
            retries: 0,
            ..settings(url)
        })
        .unwrap()
    };
    assert_eq!(
        trusting(Some(&file), &server.url).subjects(),
        Ok(vec!["a".to_owned()])
    );
    assert_eq!(server.requests().len(), 1);
    // The system's certificates do not have it, and it is nobody else's name. Such a registry is told nothing.
    let elsewhere = server.url.replace("localhost", "127.0.0.1");
    for client in [trusting(None, &server.url), trusting(Some(&file), &elsewhere)] {
        let error = client.subjects().unwrap_err();
        assert!(error.is_away(), "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn addresses_are_checked_at_once() {
    let wrong = |url: &str| {
        Client::new(Settings::new(url))
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(
        wrong("localhost:8081").as_deref(),
        Some("`localhost:8081` is not an address of the form `http://HOST:PORT`")
    );
    let with_secret = wrong("http://me:secret@host").expect("refused");
    assert!(!with_secret.contains("secret"), "{with_secret}");
    let none = Settings {
        urls: Vec::new(),
        ..Settings::new("")
    };
    assert_eq!(Client::new(none).err(), Some(SettingsError::NoUrl));
    let missing = Settings {
        certificates: Some("/nowhere".to_owned()),
        ..Settings::new("https://host")
    };
    assert!(
        Client::new(missing)
            .err()
            .expect("refused")
            .to_string()
            .contains("`/nowhere`")
    );
}
