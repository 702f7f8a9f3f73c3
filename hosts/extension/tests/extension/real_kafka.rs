//! The extension and the real Apache Kafka, over TLS with each way to log in.
//!
//! `make test` has `scripts/kafka.sh` fetch Kafka from Maven Central; where it is not there, this says so and is skipped.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use osquery_protocol::plugin::LoggerRequest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::connection::certificate;
use crate::reading::{consumer, first_records, value_of};
use crate::world::{Started as _, World, is_there, line, log};

const VERSION: &str = "3.9.2";
/// Where `scripts/kafka.sh` keeps it.
const FETCHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-tools/kafka-3.9.2");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/kafka.sh");
/// A broker in Java takes its time on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(180);

/// A broker with a listener for tests, and one with TLS and logins.
struct Kafka {
    process: Child,
    folder: TempDir,
    plain: u16,
    secure: u16,
}

impl Kafka {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [plain, secure, controller] = free_ports();
        let (certificate, key) = certificate("localhost", (-1, 10));
        let ca = certificate.to_pem().unwrap();
        std::fs::write(folder.path().join("ca.pem"), &ca).unwrap();
        let key = key.private_key_to_pem_pkcs8().unwrap();
        let keystore = folder.path().join("keystore.pem");
        std::fs::write(&keystore, [key, ca].concat()).unwrap();
        let module = "org.apache.kafka.common.security";
        let log = std::fs::File::create(folder.path().join("kafka.log")).unwrap();
        let process = Command::new(SCRIPT)
            .args(["broker", VERSION])
            .arg(folder.path().join("kafka"))
            .arg(plain.to_string())
            .args(["--controller", &controller.to_string()])
            .args(["--scram", "SCRAM-SHA-256=[name=neha,password=swordfish]"])
            .arg(format!(
                "listeners=PLAINTEXT://127.0.0.1:{plain},SASL_SSL://localhost:{secure},CONTROLLER://127.0.0.1:{controller}"
            ))
            .arg("sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,OAUTHBEARER")
            // Who may write to what: everybody to every topic about which nothing is said.
            .arg("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer")
            .arg("allow.everyone.if.no.acl.found=true")
            .arg("super.users=User:ANONYMOUS")
            .arg("ssl.keystore.type=PEM")
            .arg(format!("ssl.keystore.location={}", keystore.display()))
            .arg(format!(
                "listener.name.sasl_ssl.plain.sasl.jaas.config={module}.plain.PlainLoginModule required user_jay=\"swordfish\";"
            ))
            .arg(format!(
                "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={module}.scram.ScramLoginModule required;"
            ))
            .arg(format!(
                "listener.name.sasl_ssl.oauthbearer.sasl.jaas.config={module}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";"
            ))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .started()
            .unwrap();
        let mut kafka = Self {
            process,
            folder,
            plain,
            secure,
        };
        let deadline = Instant::now() + START_PATIENCE;
        while [kafka.plain, kafka.secure]
            .iter()
            .any(|port| TcpStream::connect(("127.0.0.1", *port)).is_err())
        {
            let ended = kafka.process.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{ended:?}\n{}",
                kafka.log()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        kafka
    }

    /// From now on `principal` may describe the topic, and nobody may do anything else with it.
    fn only_describe(&self, principal: &str, topic: &str) {
        let status = Command::new(SCRIPT)
            .args(["tool", VERSION, "kafka.admin.AclCommand", "--add"])
            .args(["--bootstrap-server", &format!("127.0.0.1:{}", self.plain)])
            .args([
                "--allow-principal",
                principal,
                "--operation",
                "Describe",
                "--topic",
                topic,
            ])
            .stdout(Stdio::null())
            .finished()
            .map(|output| output.status)
            .unwrap();
        assert!(status.success(), "{status}\n{}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("kafka.log")).unwrap_or_default()
    }

    /// The first records of a topic.
    fn records(&self, topic: &str, count: usize) -> Vec<Vec<u8>> {
        let consumer = consumer(&format!("127.0.0.1:{}", self.plain));
        let messages = first_records(&consumer, topic, count, START_PATIENCE);
        messages.iter().map(value_of).collect()
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Three ports that nobody had a moment ago.
fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners
        .each_ref()
        .map(|listener| listener.local_addr().unwrap().port())
}

/// The original's file for a cloud, as shipped, with its blanks filled in.
fn cloud_configuration(kafka: &Kafka, password: &Path) -> Value {
    let text = include_str!("../../../image/cloud.example.json");
    let mut configuration: Value = serde_json::from_str(text).unwrap();
    let config = &mut configuration["config"];
    config["bootstrap.servers"] = format!("localhost:{}", kafka.secure).into();
    config["ssl.ca.location"] = kafka.folder.path().join("ca.pem").display().to_string().into();
    config["sasl.username"] = "jay".into();
    config["sasl.password"] = format!("${{file:{}}}", password.display()).into();
    configuration
}

/// An endpoint that gives everybody a token without a signature, which a broker of tests takes.
fn token_endpoint() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = Vec::new();
            while !request.ends_with(b"grant_type=client_credentials") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            let now = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap()
                .as_secs();
            let claims = json!({ "sub": "jun", "iat": now, "exp": now + 3600 }).to_string();
            let part = |text: &str| {
                openssl::base64::encode_block(text.as_bytes())
                    .replace('=', "")
                    .replace('+', "-")
                    .replace('/', "_")
            };
            let token = format!("{}.{}.", part(r#"{"alg":"none"}"#), part(&claims));
            let answer = json!({ "access_token": token, "expires_in": 3600 }).to_string();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{answer}",
                answer.len()
            )
            .unwrap();
        }
    });
    url
}

/// Whether Kafka was fetched, and can run.
fn has_kafka() -> bool {
    let fetched = Path::new(FETCHED).join("libs").is_dir();
    let java = Command::new("java")
        .arg("-version")
        .stderr(Stdio::null())
        .finished()
        .map(|output| output.status);
    is_there(
        fetched && java.is_ok_and(|status| status.success()),
        "Apache Kafka (`scripts/kafka.sh fetch` gets it)",
    )
}

#[test]
fn lines_arrive_over_tls_with_each_login() {
    if !has_kafka() {
        return;
    }
    let kafka = Kafka::start();
    let world = World::new();
    let password = world.folder.path().join("password");
    std::fs::write(&password, "swordfish\n").unwrap();
    let cloud = cloud_configuration(&kafka, &password);
    let oauth = json!({
        "sasl.mechanisms": "OAUTHBEARER",
        "enable.sasl.oauthbearer.unsecure.jwt": true,
        "sasl.oauthbearer.config": "principal=jun",
    });
    let oidc = json!({
        "sasl.mechanisms": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.token.endpoint.url": token_endpoint(),
        "sasl.oauthbearer.client.id": "osquery",
        "sasl.oauthbearer.client.secret": "swordfish",
    });
    let logins = [
        ("plain", json!({})),
        (
            "scram",
            json!({ "sasl.mechanisms": "SCRAM-SHA-256", "sasl.username": "neha" }),
        ),
        ("oauth", oauth),
        ("oidc", oidc),
    ];
    let osqueryd = world.osqueryd();
    let mut expected = Vec::new();
    for (name, changes) in logins {
        let mut configuration = cloud.clone();
        for (property, value) in changes.as_object().unwrap() {
            configuration["config"][property] = value.clone();
        }
        world.configure(&configuration);
        let mut process = world.start();
        let extension = osqueryd.wait_for_extension("confluent", START_PATIENCE).unwrap();
        let line = line("processes", &format!("/{name}"));
        log(&extension, LoggerRequest::Line(line.as_str().into()));
        expected.push(line.into_bytes());
        let arrived = kafka.records("processes", expected.len());
        assert_eq!(arrived, expected, "{name}\n{}", process.log());
        assert!(!process.log().contains("swordfish"));
        extension.shutdown().unwrap();
        assert_eq!(process.end().code(), Some(0));
    }

    world.configure(&cloud);
    let (_, text) = world.check(&["--check", "--connect"]);
    assert!(
        text.contains("ok: TLS with `localhost`\nok: TLS, and the login with PLAIN; 1 brokers"),
        "{text}"
    );
    assert!(text.contains("ok: the topic `processes`"), "{text}");
    kafka.only_describe("User:jay", "processes");
    let (code, text) = world.check(&["--check", "--connect"]);
    assert_eq!(code, Some(5), "{text}");
    assert!(
        text.contains("failed: the topic `processes`: this principal may describe it, and not write to it"),
        "{text}"
    );
    assert!(text.contains("hint: give the principal Write on it"), "{text}");
    std::fs::write(&password, "swordfish, but wrong\n").unwrap();
    let (code, text) = world.check(&["--check", "--connect"]);
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("failed: TLS, and the login with PLAIN: "), "{text}");
    assert!(
        text.contains("hint: are `sasl.username`, `sasl.password` and `sasl.mechanisms` those"),
        "{text}"
    );
}
