//! Logging in at the broker of this repository, over TLS.

use std::net::SocketAddr;
use std::path::Path;

use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::symm::Cipher;
use openssl::x509::X509;
use osqdemo_broker::{ClientCertificates, Listener, Mechanism, Secret, Tls, User};
use osquery_protocol::fake::FakeExtension;
use osquery_protocol::plugin::LoggerRequest;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::connection::certificate;
use crate::reading::{consumer, first_records, value_of};
use crate::world::{PATIENCE, World, line, log};

const RIGHT: &str = "swordfish";
const WRONG: &str = "hunter22";

/// Logs fifty lines, and returns them.
fn log_fifty(extension: &FakeExtension) -> Vec<String> {
    let lines: Vec<String> = (0..50)
        .map(|number| line("processes", &format!("/{number}")))
        .collect();
    for line in &lines {
        log(extension, LoggerRequest::Line(line.as_str().into()));
    }
    lines
}

/// A broker with two listeners: one over TLS that asks for a login or a certificate, and one for whoever reads what arrived.
struct Broker {
    runtime: Option<Runtime>,
    guarded: SocketAddr,
    open: SocketAddr,
    _folder: TempDir,
}

impl Broker {
    fn start(certificate: &Path, key: &Path, clients: ClientCertificates, mechanisms: &[Mechanism]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = osqdemo_broker::Config::new(folder.path());
        config.default_partitions = 1;
        config.security.users = vec![User {
            name: "osquery".to_owned(),
            password: Secret::new(RIGHT),
        }];
        config.listeners = vec![
            Listener {
                tls: Some(Tls {
                    certificate: certificate.to_owned(),
                    key: key.to_owned(),
                    clients,
                }),
                mechanisms: mechanisms.to_vec(),
                ..Listener::plaintext("guarded", anywhere)
            },
            Listener::plaintext("open", anywhere),
        ];
        let broker = runtime.block_on(osqdemo_broker::bind(config)).unwrap();
        let [guarded, open] = [0, 1].map(|listener| broker.addresses()[listener].local);
        runtime.spawn(broker.run(CancellationToken::new()));
        Self {
            runtime: Some(runtime),
            guarded,
            open,
            _folder: folder,
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[test]
fn lines_wait_for_the_right_password_and_a_wrong_one_is_told() {
    let world = World::new();
    let path = |name: &str| world.folder.path().join(name);
    let (served, key) = certificate("localhost", (-1, 10));
    std::fs::write(path("broker.pem"), served.to_pem().unwrap()).unwrap();
    std::fs::write(path("broker.key"), key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    std::fs::write(path("right"), RIGHT).unwrap();
    std::fs::write(path("wrong"), WRONG).unwrap();
    let broker = Broker::start(
        &path("broker.pem"),
        &path("broker.key"),
        ClientCertificates::Ignored,
        &[Mechanism::ScramSha256],
    );
    let with_password = |file: &str| {
        let mut configuration = world.configuration();
        configuration["config"] = json!({
            "bootstrap.servers": broker.guarded.to_string(),
            "security.protocol": "SASL_SSL",
            "sasl.mechanisms": "SCRAM-SHA-256",
            "sasl.username": "osquery",
            "sasl.password": format!("${{file:{}}}", path(file).display()),
            "ssl.ca.location": path("broker.pem"),
        });
        configuration
    };

    world.configure(&with_password("wrong"));
    let (code, text) = world.check(&["--check", "--connect"]);
    assert_eq!(code, Some(5), "{text}");
    assert!(
        text.contains("failed: TLS, and the login with SCRAM-SHA-256: "),
        "{text}"
    );
    assert!(
        text.contains("hint: are `sasl.username`, `sasl.password` and `sasl.mechanisms` those"),
        "{text}"
    );

    let (_osqueryd, process, extension) = world.running();
    let lines = log_fifty(&extension);
    process.wait_for_log("Authentication");
    assert_eq!(world.statistic(&extension, "waiting"), 50);

    world.configure(&with_password("right"));
    world.until_delivered(&extension);
    let consumer = consumer(&broker.open.to_string());
    let records = first_records(&consumer, "processes", lines.len(), PATIENCE);
    let values: Vec<Vec<u8>> = records.iter().map(value_of).collect();
    assert_eq!(
        values,
        lines.into_iter().map(String::into_bytes).collect::<Vec<_>>()
    );
    for password in [RIGHT, WRONG] {
        assert!(!process.log().contains(password));
    }
}

/// Lines are logged while the broker's certificate is this one, and arrive once it is another.
fn lines_wait_for_another_certificate(served: &(X509, PKey<Private>), told: &str) {
    let world = World::new();
    let path = |name: &str| world.folder.path().join(name);
    let start = |name: &str, (certificate, key): &(X509, PKey<Private>)| {
        let (pem, key_path) = (path(&format!("{name}.pem")), path(&format!("{name}.key")));
        std::fs::write(&pem, certificate.to_pem().unwrap()).unwrap();
        std::fs::write(&key_path, key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        Broker::start(&pem, &key_path, ClientCertificates::Ignored, &[])
    };
    let wrong = start("wrong", served);
    let right = start("right", &certificate("localhost", (-1, 10)));
    let towards = |broker: &Broker, name: &str| {
        let mut configuration = world.configuration();
        configuration["config"] = json!({
            "bootstrap.servers": format!("localhost:{}", broker.guarded.port()),
            "broker.address.family": "v4",
            "security.protocol": "SSL",
            "ssl.ca.location": path(&format!("{name}.pem")),
        });
        configuration
    };
    world.configure(&towards(&wrong, "wrong"));
    let (_osqueryd, process, extension) = world.running();
    let lines = log_fifty(&extension);
    // librdkafka does not say what is wrong with it; the check does.
    process.wait_for_log("certificate verify failed");
    let (code, text) = world.check(&["--check", "--connect"]);
    assert!(code == Some(5) && text.contains(told), "{code:?} {text}");
    assert_eq!(world.statistic(&extension, "waiting"), 50);
    assert_eq!(world.statistic(&extension, "accepted"), 50);

    world.configure(&towards(&right, "right"));
    world.until_delivered(&extension);
    let consumer = consumer(&right.open.to_string());
    let records = first_records(&consumer, "processes", lines.len(), PATIENCE);
    let values: Vec<Vec<u8>> = records.iter().map(value_of).collect();
    let expected: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
    assert_eq!(values, expected);
}

#[test]
fn lines_wait_while_the_brokers_certificate_has_expired() {
    lines_wait_for_another_certificate(&certificate("localhost", (-10, -1)), "certificate has expired");
}

#[test]
fn lines_wait_while_the_brokers_certificate_is_for_another_name() {
    lines_wait_for_another_certificate(&certificate("broker.example", (-1, 10)), "is for another name");
}

/// A certificate for a client, signed by this one, and its key.
fn client_certificate((issuer, issuers_key): &(X509, PKey<Private>)) -> (X509, PKey<Private>) {
    let (own, key) = certificate("host1", (-1, 10));
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(own.subject_name()).unwrap();
    builder.set_issuer_name(issuer.subject_name()).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(own.not_before()).unwrap();
    builder.set_not_after(own.not_after()).unwrap();
    builder.sign(issuers_key, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

#[test]
fn lines_arrive_under_a_certificate_of_the_client() {
    let world = World::new();
    let path = |name: &str| world.folder.path().join(name);
    let (served, key) = certificate("localhost", (-1, 10));
    std::fs::write(path("broker.pem"), served.to_pem().unwrap()).unwrap();
    std::fs::write(path("broker.key"), key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    let (own, own_key) = client_certificate(&(served, key));
    let locked = own_key
        .private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), RIGHT.as_bytes())
        .unwrap();
    std::fs::write(path("client.pem"), own.to_pem().unwrap()).unwrap();
    std::fs::write(path("client.key"), locked).unwrap();
    std::fs::write(path("password"), RIGHT).unwrap();
    let broker = Broker::start(
        &path("broker.pem"),
        &path("broker.key"),
        ClientCertificates::Required(path("broker.pem")),
        &[],
    );
    let mut configuration = world.configuration();
    configuration["config"] = json!({
        "bootstrap.servers": broker.guarded.to_string(),
        "security.protocol": "SSL",
        "ssl.ca.location": path("broker.pem"),
    });
    world.configure(&configuration);
    let (code, text) = world.check(&["--check", "--connect"]);
    assert_eq!(code, Some(5), "without one: {text}");

    configuration["config"]["ssl.certificate.location"] = json!(path("client.pem"));
    configuration["config"]["ssl.key.location"] = json!(path("client.key"));
    configuration["config"]["ssl.key.password"] = json!(format!("${{file:{}}}", path("password").display()));
    world.configure(&configuration);
    let (code, text) = world.check(&["--check", "--connect"]);
    assert_eq!(code, Some(0), "{text}");
    let (_osqueryd, process, extension) = world.running();
    let line = line("processes", "/bin/true");
    log(&extension, LoggerRequest::Line(line.as_str().into()));
    world.until_delivered(&extension);
    let consumer = consumer(&broker.open.to_string());
    let records = first_records(&consumer, "processes", 1, PATIENCE);
    assert_eq!(value_of(&records[0]), line.into_bytes());
    assert!(!process.log().contains(RIGHT));
}
