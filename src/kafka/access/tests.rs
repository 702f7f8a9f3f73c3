//! A broker that wants TLS and a login, asked in every way that librdkafka has for it.

use std::path::PathBuf;

use osqdemo_broker::{ClientCertificates, Config, Listener, Mechanism, TokenKeys, Tokens, User};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio_util::sync::CancellationToken;

use super::*;

const PASSWORD: &str = "pass, =word";

/// Files of certificates: an authority's, and what it has signed.
struct Certificates {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the tests");
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("a file");
        Self { folder, issuer }
    }

    /// Signs one of that name, which is the name of its files.
    fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let mut names = vec![name.to_owned()];
        if name == "localhost" {
            // What its clients are told.
            names.push("127.0.0.1".to_owned());
        }
        let params = CertificateParams::new(names).expect("a name");
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.issuer).expect("signed");
        let paths = (
            self.path(&format!("{name}.pem")),
            self.path(&format!("{name}.key")),
        );
        fs::write(&paths.0, signed.pem()).expect("a file");
        fs::write(&paths.1, key.serialize_pem()).expect("a file");
        paths
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The names of the groups, or why there are none: over the listener at `port`, with these properties.
async fn asked(port: u16, properties: &[(&str, &str)]) -> Result<(), String> {
    let cluster = Cluster {
        bootstrap_servers: format!("localhost:{port}"),
        properties: Properties(
            properties
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        ),
    };
    let access = access(&cluster).map_err(|error| error.to_string())?;
    let groups = asking::groups(&access).await.map_err(|error| error.to_string())?;
    assert_eq!(groups, [], "there are none");
    asking::sizes(&access).await.map_err(|error| error.to_string())?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_asked_as_its_properties_say() {
    let certificates = Certificates::new();
    let tls = |name: &str, clients| {
        let (certificate, key) = certificates.sign(name);
        Some(osqdemo_broker::Tls {
            certificate,
            key,
            clients,
        })
    };
    let listener = |name: &str, tls, mechanisms: &[Mechanism]| {
        let mut listener = Listener::plaintext(name, "127.0.0.1:0".parse().expect("an address"));
        listener.tls = tls;
        listener.mechanisms = mechanisms.to_vec();
        listener
    };
    let roots = certificates.path("ca.pem");
    let mut config = Config::new(certificates.path("data"));
    config.listeners = vec![
        listener(
            "both",
            tls("localhost", ClientCertificates::Ignored),
            &Mechanism::ALL,
        ),
        listener("login", None, &[Mechanism::ScramSha256]),
        listener(
            "certificate",
            tls("localhost", ClientCertificates::Required(roots.clone())),
            &[],
        ),
        listener("elsewhere", tls("elsewhere", ClientCertificates::Ignored), &[]),
    ];
    config.security.users = vec![User {
        name: "a,b=c".to_owned(),
        password: Secret::new(PASSWORD),
    }];
    config.security.tokens = Some(Tokens {
        keys: TokenKeys::Unsecured,
        issuer: None,
        audience: None,
        principal_claim: "sub".to_owned(),
    });
    let broker = osqdemo_broker::bind(config).await.expect("a broker");
    let ports: Vec<u16> = broker
        .addresses()
        .iter()
        .map(|address| address.local.port())
        .collect();
    let [both, login, certificate, elsewhere] = ports[..] else {
        panic!("there are others: {ports:?}")
    };
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(broker.run(shutdown.clone()));

    let roots = roots.display().to_string();
    let ca = ("ssl.ca.location", roots.as_str());
    let user = [("sasl.username", "a,b=c"), ("sasl.password", PASSWORD)];
    let secured = ("security.protocol", "SASL_SSL");
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let mechanism = ("sasl.mechanisms", mechanism);
        let known = asked(both, &[secured, mechanism, ca, user[0], user[1]]).await;
        assert_eq!(known, Ok(()), "{mechanism:?}");
        let wrong = [secured, mechanism, ca, user[0], ("sasl.password", "s3cret")];
        let refused = asked(both, &wrong).await.expect_err("the password is wrong");
        assert!(refused.contains("invalid credentials"), "{refused}");
        assert!(!refused.contains("s3cret"), "{refused}");
    }
    let token = ("sasl.oauthbearer.config", "principal=jay lifeSeconds=60");
    let unsecured = ("enable.sasl.oauthbearer.unsecure.jwt", "true");
    let bearer = ("sasl.mechanism", "OAUTHBEARER");
    assert_eq!(
        asked(both, &[secured, bearer, ca, unsecured, token]).await,
        Ok(())
    );
    let expired = ("sasl.oauthbearer.config", "principal=jay lifeSeconds=0");
    let refused = asked(both, &[secured, bearer, ca, unsecured, expired]).await;
    assert!(refused.is_err(), "the token has expired");

    let plaintext = ("security.protocol", "sasl_plaintext");
    let sha256 = ("sasl.mechanisms", "SCRAM-SHA-256");
    assert_eq!(asked(login, &[plaintext, sha256, user[0], user[1]]).await, Ok(()));
    let sha512 = ("sasl.mechanisms", "SCRAM-SHA-512");
    let refused = asked(login, &[plaintext, sha512, user[0], user[1]]).await;
    assert_eq!(
        refused,
        Err("the broker has no SCRAM-SHA-512, but SCRAM-SHA-256".to_owned())
    );

    let (own, key) = certificates.sign("jay");
    let (own, key) = (own.display().to_string(), key.display().to_string());
    let tls = ("security.protocol", "ssl");
    let own = [
        ("ssl.certificate.location", own.as_str()),
        ("ssl.key.location", key.as_str()),
    ];
    assert_eq!(asked(certificate, &[tls, ca, own[0], own[1]]).await, Ok(()));
    assert!(
        asked(certificate, &[tls, ca]).await.is_err(),
        "it has no certificate"
    );

    let refused = asked(elsewhere, &[tls, ca]).await.expect_err("another name");
    assert!(refused.contains("hostname mismatch"), "{refused}");
    let any_name = ("ssl.endpoint.identification.algorithm", "none");
    assert_eq!(asked(elsewhere, &[tls, ca, any_name]).await, Ok(()));
    let others = Certificates::new();
    let others = others.path("ca.pem").display().to_string();
    let others = ("ssl.ca.location", others.as_str());
    assert!(asked(elsewhere, &[tls, others, any_name]).await.is_err());
    let anybody = ("enable.ssl.certificate.verification", "false");
    assert_eq!(asked(elsewhere, &[tls, anybody, any_name]).await, Ok(()));

    shutdown.cancel();
    running.await.expect("the broker's end").expect("its last flush");
}

#[test]
fn what_cannot_be_followed_is_refused_by_name_and_without_its_value() {
    for (properties, expected) in [
        (&[("security.protocol", "tls")][..], "`security.protocol`"),
        (
            &[
                ("security.protocol", "sasl_ssl"),
                ("sasl.username", "x"),
                ("sasl.password", "s3cret"),
            ],
            "cannot be asked with `GSSAPI`",
        ),
        (
            &[
                ("security.protocol", "sasl_plaintext"),
                ("sasl.mechanism", "PLAIN"),
            ],
            "`sasl.username`: it is missing",
        ),
        (
            &[("security.protocol", "ssl"), ("ssl.crl.location", "s3cret")],
            "`ssl.crl.location`",
        ),
        (
            &[
                ("security.protocol", "ssl"),
                ("ssl.ca.pem", "s3cret"),
                ("ssl.key.pem", "s3cret"),
            ],
            "`ssl.key.pem`",
        ),
        (
            &[
                ("security.protocol", "ssl"),
                ("ssl.keystore.location", "/nonexistent"),
            ],
            "`ssl.keystore.location`",
        ),
        (
            &[
                ("security.protocol", "sasl_ssl"),
                ("sasl.mechanism", "OAUTHBEARER"),
                ("sasl.oauthbearer.client.secret", "s3cret"),
            ],
            "`sasl.oauthbearer.client.secret`",
        ),
    ] {
        let cluster = Cluster {
            bootstrap_servers: "localhost:1".to_owned(),
            properties: Properties(
                properties
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
            ),
        };
        let told = access(&cluster).expect_err(expected).to_string();
        assert!(told.contains(expected), "{told}");
        assert!(!told.contains("s3cret"), "{told}");
    }
}
