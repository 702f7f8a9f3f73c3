//! Who is let in: listeners with TLS and SASL, tried with librdkafka and with clients that mean no good.
//!
//! Long because each mechanism is tried by who is let in and by who is not, against the same listeners.

mod support;

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, ApiVersionsRequest, CreateAclsRequest,
    DescribeUserScramCredentialsRequest, MetadataRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use kafka_protocol::protocol::StrBytes;
use osqdemo_broker::{ClientCertificates, Config, Listener, Mechanism, Secret, Tls, TokenKeys, Tokens, User};
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::util::Timeout;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use support::certificates::Authority;
use support::raw::{RawClient, error};
use support::{DEADLINE, TestBroker, receive, send, subscribed};

fn listener(name: &str, tls: Option<Tls>, mechanisms: &[Mechanism]) -> Listener {
    Listener {
        tls,
        mechanisms: mechanisms.to_vec(),
        ..Listener::plaintext(name, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }
}

fn alice(config: &mut Config) {
    config.security.users = vec![User {
        name: "alice".to_owned(),
        password: Secret::new("wonderland"),
    }];
}

fn unsecured() -> Tokens {
    Tokens {
        keys: TokenKeys::Unsecured,
        issuer: None,
        audience: None,
        principal_claim: "sub".to_owned(),
    }
}

/// Settings of a client that knows the password.
fn as_alice(mechanism: &str) -> Vec<(String, String)> {
    let settings = match mechanism {
        "OAUTHBEARER" => vec![
            ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
            ("sasl.oauthbearer.config", "principal=alice"),
        ],
        _ => vec![("sasl.username", "alice"), ("sasl.password", "wonderland")],
    };
    let settings = settings.into_iter().chain([("sasl.mechanism", mechanism)]);
    settings
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// A client that writes down what goes wrong, and brings a token where it has one.
#[derive(Default)]
struct Listening {
    errors: Arc<Mutex<Vec<String>>>,
    token: Option<String>,
}

impl ClientContext for Listening {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn error(&self, error: KafkaError, reason: &str) {
        self.errors.lock().unwrap().push(format!("{error}: {reason}"));
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        Ok(OAuthToken {
            token: self.token.clone().ok_or("there is no token")?,
            principal_name: "alice".to_owned(),
            lifetime_ms: now_ms() + 600_000,
        })
    }
}

impl ConsumerContext for Listening {}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// Whether a client with those settings can ask for something; else what it complained about first that contains
/// `expected`.
async fn complaint(config: ClientConfig, context: Listening, expected: &'static str) -> String {
    let errors = Arc::clone(&context.errors);
    let polled = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer<Listening> = config.create_with_context(context).unwrap();
        let began = Instant::now();
        loop {
            let _ = consumer.poll(Duration::from_millis(50));
            let _ = consumer.fetch_metadata(Some("none"), Duration::from_millis(50));
            let told = errors.lock().unwrap().clone();
            if let Some(found) = told.iter().find(|told| told.contains(expected)) {
                return found.clone();
            }
            assert!(began.elapsed() < DEADLINE, "`{expected}` is not among {told:?}");
        }
    });
    polled.await.unwrap()
}

fn client(bootstrap: &str, protocol: &str, settings: &[(String, String)]) -> ClientConfig {
    let mut config = support::client(bootstrap);
    config.set("security.protocol", protocol);
    // Where a test is about being refused, it need not wait for a second try.
    config.set("reconnect.backoff.ms", "50");
    for (name, value) in settings {
        config.set(name, value);
    }
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mechanism_lets_in_who_knows_the_password_with_and_without_tls() {
    let authority = Authority::new();
    let tls = authority.tls(ClientCertificates::Ignored);
    let broker = TestBroker::start_with(move |config| {
        config.listeners = vec![
            listener("plain", None, &Mechanism::ALL),
            listener("encrypted", Some(tls.clone()), &Mechanism::ALL),
        ];
        alice(config);
        config.security.tokens = Some(unsecured());
    })
    .await;
    let (plain, encrypted) = (
        broker.addresses[0].local.to_string(),
        broker.addresses[1].local.to_string(),
    );
    let mut number = 0;
    for mechanism in Mechanism::ALL {
        for (bootstrap, protocol) in [(&plain, "SASL_PLAINTEXT"), (&encrypted, "SASL_SSL")] {
            let mut config = client(bootstrap, protocol, &as_alice(mechanism.name()));
            config.set("ssl.ca.pem", authority.root());
            config.set("acks", "all");
            let producer = config.create().unwrap();
            assert_eq!(send(&producer, "lines", protocol).await, (0, number));
            number += 1;
        }
    }
    // What came one way can be fetched another.
    let mut config = client(&encrypted, "SASL_SSL", &as_alice("SCRAM-SHA-512"));
    config.set("ssl.ca.pem", authority.root());
    config
        .set("group.id", "readers")
        .set("auto.offset.reset", "earliest");
    let consumer = subscribed(config.create().unwrap(), "lines");
    assert_eq!(receive(&consumer, 8).await.len(), 8);
    drop(consumer);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_is_told_why_as_far_as_that_is_theirs_to_know() {
    let authority = Authority::new();
    let tls = authority.tls(ClientCertificates::Ignored);
    let mechanisms = [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::OauthBearer];
    let broker = TestBroker::start_with(move |config| {
        config.listeners = vec![
            listener("sasl", None, &mechanisms),
            listener("tls", Some(tls.clone()), &[]),
            listener("open", None, &[]),
        ];
        alice(config);
        config.security.tokens = Some(Tokens {
            audience: Some("somebody else".to_owned()),
            ..unsecured()
        });
    })
    .await;
    let [sasl, tls, open] = [0, 1, 2].map(|at| broker.addresses[at].local.to_string());
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        for (user, password) in [("alice", "rabbit"), ("nobody", "wonderland")] {
            let mut config = client(&sasl, "SASL_PLAINTEXT", &as_alice(mechanism));
            config.set("sasl.username", user).set("sasl.password", password);
            let told = complaint(config, Listening::default(), "Authentication failed").await;
            assert!(
                told.contains("invalid credentials") && !told.contains("no such user"),
                "{told}"
            );
        }
    }
    let config = client(&sasl, "SASL_PLAINTEXT", &as_alice("SCRAM-SHA-512"));
    let told = complaint(config, Listening::default(), "nsupported").await;
    assert!(told.contains("PLAIN"), "it is told what there is: {told}");

    let mut settings: BTreeMap<_, _> = as_alice("OAUTHBEARER").into_iter().collect();
    settings.remove("enable.sasl.oauthbearer.unsecure.jwt");
    let settings: Vec<_> = settings.into_iter().collect();
    let context = Listening {
        token: Some("e30.e30.".to_owned()),
        ..Listening::default()
    };
    let config = client(&sasl, "SASL_PLAINTEXT", &settings);
    complaint(config, context, "invalid credentials").await;

    // The wrong protocol for the port, in every direction.
    let wrong = [
        (&tls, "PLAINTEXT"),
        (&open, "SSL"),
        (&sasl, "PLAINTEXT"),
        (&open, "SASL_PLAINTEXT"),
    ];
    for (bootstrap, protocol) in wrong {
        let mut config = client(bootstrap, protocol, &as_alice("PLAIN"));
        config.set("ssl.ca.pem", authority.root());
        complaint(config, Listening::default(), "").await;
    }
    let mut stranger = client(&tls, "SSL", &[]);
    stranger.set("ssl.ca.pem", Authority::new().root());
    complaint(stranger, Listening::default(), "certificate verify failed").await;

    let config = client(&open, "PLAINTEXT", &[]);
    assert_eq!(
        send(&config.create().unwrap(), "lines", "still here").await,
        (0, 0)
    );
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_client_certificate_has_to_be_one_of_ours() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let tls = ours.tls(ClientCertificates::Required(ours.roots()));
    let broker = TestBroker::start_with(move |config| {
        config.listeners = vec![listener("tls", Some(tls.clone()), &[])]
    })
    .await;
    let config = |signed: Option<support::certificates::Signed>| {
        let mut config = client(&broker.bootstrap, "SSL", &[]);
        config.set("ssl.ca.pem", ours.root());
        if let Some(signed) = signed {
            config.set("ssl.certificate.pem", signed.certificate);
            config.set("ssl.key.pem", signed.key);
        }
        config
    };
    complaint(config(None), Listening::default(), "certificate required").await;
    // What a client with another's certificate is told differs by version of TLS; in any case it is an alert.
    complaint(config(Some(theirs.sign("alice"))), Listening::default(), "alert").await;
    let producer = config(Some(ours.sign("alice"))).create().unwrap();
    assert_eq!(send(&producer, "lines", "let in").await, (0, 0));
    broker.stop().await;
}

/// Rules are about who a certificate says that its client is; who has none, where none is required, is nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_who_its_certificate_says() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let requested = ours.tls(ClientCertificates::Requested(ours.roots()));
    let required = ours.tls(ClientCertificates::Required(ours.roots()));
    let broker = TestBroker::start_with(move |config| {
        config.listeners = vec![
            listener("open", None, &[]),
            listener("requested", Some(requested.clone()), &[]),
            listener("required", Some(required.clone()), &[]),
        ];
    })
    .await;
    let [open, requested, required] = [0, 1, 2].map(|at| broker.addresses[at].local.to_string());
    send(&broker.producer(), "lines", "before there are rules").await;
    let rule = AclCreation::default()
        .with_resource_type(2)
        .with_resource_name(StrBytes::from_static_str("lines"))
        .with_resource_pattern_type(3)
        .with_principal(StrBytes::from_static_str("User:CN=alice"))
        .with_host(StrBytes::from_static_str("*"))
        .with_operation(4)
        .with_permission_type(3);
    let mut raw = RawClient::connect(&open).await;
    let request = CreateAclsRequest::default().with_creations(vec![rule]);
    assert_eq!(error(raw.call(3, request).await.results[0].error_code), None);

    let config = |bootstrap: &str, signed: Option<support::certificates::Signed>| {
        let mut config = client(bootstrap, "SSL", &[]);
        config.set("ssl.ca.pem", ours.root());
        if let Some(signed) = signed {
            config.set("ssl.certificate.pem", signed.certificate);
            config.set("ssl.key.pem", signed.key);
        }
        config
    };
    let write = async |bootstrap: &str, signed| {
        let producer: FutureProducer = config(bootstrap, signed).create().unwrap();
        let record = FutureRecord::<str, str>::to("lines").payload("value");
        let sent = producer.send(record, Timeout::After(DEADLINE)).await;
        sent.map(|_| ()).map_err(|(error, _)| error.rdkafka_error_code())
    };
    let refused = Err(Some(RDKafkaErrorCode::TopicAuthorizationFailed));
    for bootstrap in [&requested, &required] {
        assert_eq!(write(bootstrap, Some(ours.sign("alice"))).await, Ok(()));
        assert_eq!(write(bootstrap, Some(ours.sign("bob"))).await, refused);
    }
    assert_eq!(write(&requested, None).await, refused, "nobody has no rule");
    // One that somebody else has signed is no certificate here, also where none need be shown.
    let forged = config(&requested, Some(theirs.sign("alice")));
    complaint(forged, Listening::default(), "alert").await;
    broker.stop().await;
}

/// A key and the file that says so.
fn signing_key(folder: &std::path::Path) -> (EcdsaKeyPair, std::path::PathBuf) {
    let random = SystemRandom::new();
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random).unwrap();
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    let keys = format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"one","x":"{x}","y":"{y}"}}]}}"#);
    let path = folder.join("keys.json");
    std::fs::write(&path, keys).unwrap();
    (key, path)
}

fn token(key: &EcdsaKeyPair, holds: Duration) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let expires = (now + holds).as_secs_f64();
    let claims = format!(r#"{{"sub":"alice","aud":["kafka"],"exp":{expires}}}"#);
    let header = r#"{"alg":"ES256","kid":"one"}"#;
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_token_lets_in_until_it_expires() {
    let folder = tempfile::tempdir().unwrap();
    let (key, keys) = signing_key(folder.path());
    let broker = TestBroker::start_with(move |config| {
        config.listeners = vec![listener("tokens", None, &[Mechanism::OauthBearer])];
        config.security.tokens = Some(Tokens {
            keys: TokenKeys::Jwks(keys.clone()),
            audience: Some("kafka".to_owned()),
            ..unsecured()
        });
    })
    .await;
    let context = Listening {
        token: Some(token(&key, Duration::from_secs(600))),
        ..Listening::default()
    };
    let settings = [("sasl.mechanism".to_owned(), "OAUTHBEARER".to_owned())];
    let config = client(&broker.bootstrap, "SASL_PLAINTEXT", &settings);
    let asked = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer<Listening> = config.create_with_context(context).unwrap();
        let began = Instant::now();
        // The token is asked for where the client is polled.
        loop {
            let _ = consumer.poll(Duration::from_millis(20));
            match consumer.fetch_metadata(None, Duration::from_millis(500)) {
                Ok(metadata) => return metadata.brokers().len(),
                Err(error) => assert!(began.elapsed() < DEADLINE, "{error}"),
            }
        }
    });
    assert_eq!(asked.await.unwrap(), 1);

    // By hand: a token that has almost expired is for so long, then nothing but a new one is taken.
    let mut raw = RawClient::connect(&broker.bootstrap).await;
    let bring = async |raw: &mut RawClient, holds| {
        let handshake =
            SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("OAUTHBEARER"));
        assert_eq!(raw.call(1, handshake).await.error_code, 0);
        let message = format!("n,,\u{1}auth=Bearer {}\u{1}\u{1}", token(&key, holds));
        let answer = raw
            .call(
                1,
                SaslAuthenticateRequest::default().with_auth_bytes(message.into_bytes().into()),
            )
            .await;
        assert_eq!(answer.error_code, 0, "{answer:?}");
        answer.session_lifetime_ms
    };
    let lifetime = bring(&mut raw, Duration::from_secs(1)).await;
    assert!((1..=1000).contains(&lifetime), "{lifetime}");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let lifetime = bring(&mut raw, Duration::from_secs(1)).await;
    assert!(lifetime <= 1000);
    raw.call(9, MetadataRequest::default()).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    raw.send_request(9, &MetadataRequest::default()).await;
    assert!(raw.read_frame().await.is_none(), "the token has expired");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_before_the_client_is_known() {
    let broker = TestBroker::start_with(|config| {
        config.listeners = vec![listener("sasl", None, &[Mechanism::Plain])];
        alice(config);
    })
    .await;
    let handshake = |name| SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(name));
    let message = |bytes: &'static [u8]| SaslAuthenticateRequest::default().with_auth_bytes(bytes.into());
    let mut client = RawClient::connect(&broker.bootstrap).await;
    client.call(3, ApiVersionsRequest::default()).await;
    client.send_request(9, &MetadataRequest::default()).await;
    assert!(client.read_frame().await.is_none());

    let mut client = RawClient::connect(&broker.bootstrap).await;
    let early = client.call(1, message(b"\0alice\0wonderland")).await;
    assert_eq!(error(early.error_code), Some(ResponseError::IllegalSaslState));
    let unknown = client.call(1, handshake("GSSAPI")).await;
    assert_eq!(
        error(unknown.error_code),
        Some(ResponseError::UnsupportedSaslMechanism)
    );
    let offered: Vec<&str> = unknown.mechanisms.iter().map(|name| &**name).collect();
    assert_eq!(offered, ["PLAIN"]);
    assert_eq!(client.call(1, handshake("PLAIN")).await.error_code, 0);
    let known = client.call(1, message(b"\0alice\0wonderland")).await;
    assert_eq!((known.error_code, known.session_lifetime_ms), (0, 0));
    client.call(9, MetadataRequest::default()).await;

    // The oldest framing: after the handshake come messages with nothing around them but their length.
    let mut client = RawClient::connect(&broker.bootstrap).await;
    assert_eq!(client.call(0, handshake("PLAIN")).await.error_code, 0);
    client.send_frame(b"\0alice\0wonderland").await;
    assert_eq!(client.read_frame().await.as_deref(), Some(&b""[..]));
    client.call(9, MetadataRequest::default()).await;
    let mut client = RawClient::connect(&broker.bootstrap).await;
    assert_eq!(client.call(0, handshake("PLAIN")).await.error_code, 0);
    client.send_frame(b"\0alice\0rabbit").await;
    assert!(client.read_frame().await.is_none());

    // Nothing is tried twice over one connection, and no frame is larger than a token.
    let mut client = RawClient::connect(&broker.bootstrap).await;
    assert_eq!(client.call(1, handshake("PLAIN")).await.error_code, 0);
    let refused = client.call(1, message(b"\0alice\0rabbit")).await;
    assert_eq!(
        error(refused.error_code),
        Some(ResponseError::SaslAuthenticationFailed)
    );
    assert!(client.read_frame().await.is_none());
    let mut client = RawClient::connect(&broker.bootstrap).await;
    client
        .stream
        .write_all(&(1i32 << 20).to_be_bytes())
        .await
        .unwrap();
    assert!(client.read_frame().await.is_none());
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_go_on_is_not_waited_for_and_keeps_nobody_out() {
    let authority = Authority::new();
    let tls = authority.tls(ClientCertificates::Ignored);
    let broker = TestBroker::start_with(move |config| {
        config.listeners = vec![
            listener("sasl", None, &[Mechanism::Plain]),
            listener("tls", Some(tls.clone()), &[]),
        ];
        config.limits.handshakes = 2;
        config.limits.handshake = Duration::from_millis(500);
        alice(config);
    })
    .await;
    let [sasl, tls] = [0, 1].map(|at| broker.addresses[at].local.to_string());
    // The beginning of a ClientHello, of a request, and nothing at all.
    let beginnings: [(&str, &[u8]); 4] = [
        (&tls, &[0x16, 3, 1, 2, 0]),
        (&tls, &[]),
        (&sasl, &[0, 0, 0, 40, 0]),
        (&sasl, &[]),
    ];
    let mut slow = Vec::new();
    for (address, beginning) in beginnings {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        slow.push(stream);
    }
    for mut stream in slow {
        let closed = async {
            let mut bytes = [0; 64];
            while !matches!(stream.read(&mut bytes).await, Ok(0) | Err(_)) {}
        };
        tokio::time::timeout(DEADLINE, closed)
            .await
            .expect("it is closed");
    }
    let mut config = client(&tls, "SSL", &[]);
    config.set("ssl.ca.pem", authority.root());
    assert_eq!(send(&config.create().unwrap(), "lines", "let in").await, (0, 0));
    let config = client(&sasl, "SASL_PLAINTEXT", &as_alice("PLAIN"));
    assert_eq!(send(&config.create().unwrap(), "lines", "let in").await, (0, 1));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_are_told_by_name() {
    let authority = Authority::new();
    let tls = authority.tls(ClientCertificates::Ignored);
    let other = Authority::new().tls(ClientCertificates::Ignored);
    std::fs::write(authority.roots().with_file_name("empty.pem"), "").unwrap();
    let empty = authority.roots().with_file_name("empty.pem");
    let wrong = [
        (
            Tls {
                certificate: empty.clone(),
                ..tls.clone()
            },
            "empty.pem",
            "no certificate",
        ),
        (
            Tls {
                key: authority.roots(),
                ..tls.clone()
            },
            "roots.pem",
            "no private key",
        ),
        (
            Tls {
                key: other.certificate,
                ..tls.clone()
            },
            "broker.pem",
            "private key",
        ),
        (
            Tls {
                clients: ClientCertificates::Required(empty),
                ..tls.clone()
            },
            "empty.pem",
            "no certificate",
        ),
    ];
    for (tls, file, expected) in wrong {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path());
        config.listeners = vec![listener("tls", Some(tls), &[])];
        let told = osqdemo_broker::bind(config).await.unwrap_err().to_string();
        assert!(told.contains(file) && told.contains(expected), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_that_clients_make_are_let_in_until_they_are_forgotten() {
    let mut broker = TestBroker::start_with(|config| {
        config.listeners = vec![
            listener("open", None, &[]),
            listener("sasl", None, &[Mechanism::ScramSha256]),
        ];
        alice(config);
    })
    .await;
    // What the RFC's example (7677) makes of the password `pencil`.
    let decoded = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let salt = decoded("W22ZaJ0SNY7soEsUEjb6gQ==");
    let mut salted = vec![0; 32];
    let rounds = std::num::NonZeroU32::new(4096).unwrap();
    ring::pbkdf2::derive(
        ring::pbkdf2::PBKDF2_HMAC_SHA256,
        rounds,
        &salt,
        b"pencil",
        &mut salted,
    );
    let upsertion = |name: &'static str| {
        ScramCredentialUpsertion::default()
            .with_name(StrBytes::from_static_str(name))
            .with_mechanism(1)
            .with_iterations(4096)
            .with_salt(salt.clone().into())
            .with_salted_password(salted.clone().into())
    };
    let deletion = |name: &'static str| {
        ScramCredentialDeletion::default()
            .with_name(StrBytes::from_static_str(name))
            .with_mechanism(1)
    };
    let request = |upsertions, deletions| {
        AlterUserScramCredentialsRequest::default()
            .with_upsertions(upsertions)
            .with_deletions(deletions)
    };
    let alter = async |broker: &TestBroker, request: AlterUserScramCredentialsRequest| {
        let mut client = RawClient::connect(&broker.bootstrap).await;
        let results = client.call(0, request).await.results;
        results
            .iter()
            .map(|result| (result.user.to_string(), error(result.error_code)))
            .collect::<Vec<_>>()
    };
    let told = |name: &str, code| (name.to_owned(), code);
    let wrong = vec![
        upsertion("alice"),
        upsertion("user"),
        upsertion("twice"),
        upsertion("twice"),
        upsertion("few").with_iterations(4095),
        upsertion("many").with_iterations(16385),
        upsertion("short").with_salted_password(vec![0; 31].into()),
        upsertion("other").with_mechanism(3),
        upsertion(""),
    ];
    let unacceptable = Some(ResponseError::UnacceptableCredential);
    assert_eq!(
        alter(&broker, request(wrong, vec![deletion("nobody")])).await,
        [
            told("", unacceptable),
            told("alice", unacceptable),
            told("few", unacceptable),
            told("many", unacceptable),
            told("nobody", Some(ResponseError::ResourceNotFound)),
            told("other", Some(ResponseError::UnsupportedSaslMechanism)),
            told("short", unacceptable),
            told("twice", Some(ResponseError::DuplicateResource)),
            told("user", None),
        ]
    );

    broker = broker.restart().await;
    let mut raw = RawClient::connect(&broker.bootstrap).await;
    let described = raw
        .call(0, DescribeUserScramCredentialsRequest::default().with_users(None))
        .await;
    let names: Vec<&str> = described.results.iter().map(|result| &*result.user).collect();
    assert_eq!(names, ["alice", "user"]);
    let as_user = |broker: &TestBroker| {
        let mut config = client(
            &broker.addresses[1].local.to_string(),
            "SASL_PLAINTEXT",
            &as_alice("SCRAM-SHA-256"),
        );
        config.set("sasl.username", "user").set("sasl.password", "pencil");
        config
    };
    let producer = as_user(&broker).create().unwrap();
    assert_eq!(send(&producer, "lines", "let in").await, (0, 0));

    let forgotten = alter(&broker, request(Vec::new(), vec![deletion("user")])).await;
    assert_eq!(forgotten, [told("user", None)]);
    complaint(as_user(&broker), Listening::default(), "Authentication failed").await;
    broker.stop().await;
}
