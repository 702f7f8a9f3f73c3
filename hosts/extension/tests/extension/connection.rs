//! `--check --connect`: each way in which lines would not arrive, named with its fix.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use rdkafka::types::RDKafkaRespErr;

use crate::world::World;

/// Checks the world's configuration, changed by `change`: the exit code, and what was said.
fn check(world: &World, change: impl FnOnce(&mut serde_json::Value)) -> (Option<i32>, String) {
    let mut configuration = world.configuration();
    change(&mut configuration);
    world.configure(&configuration);
    world.check(&["--check", "--connect"])
}

#[test]
fn all_is_well() {
    let world = World::new();
    for topic in [
        "processes",
        "pack_ir_open_files",
        "osquery-default-topic",
        "osqdemo-dead-letters",
    ] {
        world.topic(topic);
    }
    let (code, text) = check(&world, |_| {});
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("ok: Kafka answers, without TLS and login; 1 brokers"),
        "{text}"
    );
    assert!(text.contains("ok: the topic `pack_ir_open_files`"), "{text}");
}

#[test]
fn topics_that_are_missing_or_forbidden_are_named() {
    let world = World::new();
    for topic in [
        "processes",
        "pack_ir_open_files",
        "osquery-default-topic",
        "osqdemo-dead-letters",
    ] {
        world.topic(topic);
    }
    let set = |topic, error| world.cluster.topic_error(topic, error).unwrap();
    set(
        "processes",
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    );
    set(
        "osqdemo-dead-letters",
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
    );
    let (code, text) = check(&world, |_| {});
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("failed: the topic `processes`"), "{text}");
    assert!(
        text.contains("hint: give the principal Write and Describe on it"),
        "{text}"
    );
    assert!(
        text.contains("failed: the topic `osqdemo-dead-letters`"),
        "{text}"
    );
    assert!(
        text.contains("hint: make it, unless the brokers make topics on demand"),
        "{text}"
    );
}

#[test]
fn names_and_ports_are_tried() {
    let world = World::new();
    let (code, text) = check(&world, |configuration| {
        configuration["config"]["bootstrap.servers"] = "no-such-host.invalid:9092,127.0.0.1:1".into();
    });
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("failed: the name `no-such-host.invalid`"), "{text}");
    assert!(
        text.contains("failed: a connection to `127.0.0.1` port 1: Connection refused"),
        "{text}"
    );
    assert!(text.contains("hint: is the broker up, the port right"), "{text}");
}

/// A certificate that signs itself, for a name and this machine's address, from and until so many days from now.
pub(crate) fn certificate(name: &str, days: (i64, i64)) -> (X509, PKey<Private>) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_pubkey(&key).unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64;
    let day = |days: i64| Asn1Time::from_unix(now + days * 86_400).unwrap();
    builder.set_not_before(&day(days.0)).unwrap();
    builder.set_not_after(&day(days.1)).unwrap();
    builder
        .append_extension(BasicConstraints::new().ca().build().unwrap())
        .unwrap();
    let names = SubjectAlternativeName::new()
        .dns(name)
        .ip("127.0.0.1")
        .build(&builder.x509v3_context(None, None))
        .unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

/// A port that speaks TLS with this certificate, and nothing behind it.
pub(crate) fn tls_port(certificate: &X509, key: &PKey<Private>) -> u16 {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate(certificate).unwrap();
    acceptor.set_private_key(key).unwrap();
    let acceptor = Arc::new(acceptor.build());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A handshake that the client breaks off is what these tests are about.
            drop(acceptor.accept(stream));
        }
    });
    port
}

/// What is said when the broker has this certificate, and the client trusts that one.
fn check_tls(served: &(X509, PKey<Private>), trusted: &X509) -> String {
    let world = World::new();
    let port = tls_port(&served.0, &served.1);
    let ca = world.folder.path().join("ca.pem");
    std::fs::write(&ca, trusted.to_pem().unwrap()).unwrap();
    let (code, text) = check(&world, |configuration| {
        let config = &mut configuration["config"];
        config["bootstrap.servers"] = format!("localhost:{port}").into();
        config["security.protocol"] = "ssl".into();
        config["ssl.ca.location"] = ca.display().to_string().into();
    });
    assert_eq!(code, Some(5), "{text}");
    assert!(
        text.contains("failed: TLS with `localhost`: the broker's certificate: "),
        "{text}"
    );
    text
}

#[test]
fn a_certificate_that_has_expired_is_told() {
    let served = certificate("localhost", (-10, -1));
    let text = check_tls(&served, &served.0);
    assert!(
        text.contains("the broker's certificate: certificate has expired\nhint: the broker's certificate needs to be renewed"),
        "{text}"
    );
}

#[test]
fn a_certificate_for_another_name_is_told() {
    let served = certificate("broker.example", (-1, 10));
    let text = check_tls(&served, &served.0);
    assert!(
        text.contains("hint: the broker's certificate is for another name"),
        "{text}"
    );
}

#[test]
fn a_certificate_that_nobody_trusts_is_told() {
    let (other, _) = certificate("localhost", (-1, 10));
    let text = check_tls(&certificate("localhost", (-1, 10)), &other);
    assert!(
        text.contains("hint: `ssl.ca.location` must name a file"),
        "{text}"
    );
}

#[test]
fn a_port_without_tls_is_told() {
    let world = World::new();
    let (code, text) = check(&world, |configuration| {
        configuration["config"]["security.protocol"] = "ssl".into();
    });
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("hint: does the port speak TLS"), "{text}");
}
