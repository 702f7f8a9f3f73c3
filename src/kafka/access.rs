//! A cluster as it is asked without librdkafka, which has no call for everything: the same properties, followed by
//! ourselves. What is not understood of them is refused by name, and never passed over.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use osqdemo_broker::Secret;
use osqdemo_broker::asking::{self, Login, Secured, Securing, Stream};
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::stack::{Cluster, Properties};

/// Properties that change nothing of what is asked, or whom.
const WITHOUT_EFFECT: [&str; 5] = [
    "socket.",
    "broker.address.",
    "client.dns.",
    "enable.sasl.",
    "sasl.kerberos.",
];

/// The cluster, as it is asked.
///
/// # Errors
/// When a property is not understood.
pub(super) fn access(cluster: &Cluster) -> io::Result<asking::Cluster> {
    let properties = Given(&cluster.properties);
    let protocol = properties
        .get("security.protocol")
        .unwrap_or("plaintext")
        .to_ascii_lowercase();
    let (is_secured, logs_in) = match protocol.as_str() {
        "plaintext" => (false, false),
        "ssl" => (true, false),
        "sasl_plaintext" => (false, true),
        "sasl_ssl" => (true, true),
        other => return Err(wrong("security.protocol", format!("there is no `{other}`"))),
    };
    Ok(asking::Cluster {
        bootstrap: cluster.bootstrap_servers.clone(),
        tls: if is_secured {
            Some(Arc::new(Tls::new(&properties)?))
        } else {
            None
        },
        login: if logs_in { Some(login(&properties)?) } else { None },
    })
}

/// Properties by their names.
struct Given<'p>(&'p Properties);

impl Given<'_> {
    /// What is given last counts, as with librdkafka.
    fn get(&self, name: &str) -> Option<&str> {
        let mut given = self.0.0.iter().rev();
        given
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    fn is_false(&self, name: &str) -> bool {
        matches!(self.get(name), Some("false" | "f" | "0"))
    }

    /// Refuses what begins like that and is not among the known.
    fn refuse_others(&self, beginnings: &[&str], known: &[&str]) -> io::Result<()> {
        let unknown = self.0.0.iter().map(|(name, _)| name.as_str()).find(|name| {
            beginnings.iter().any(|begins| name.starts_with(begins))
                && !known.contains(name)
                && !WITHOUT_EFFECT.iter().any(|begins| name.starts_with(begins))
        });
        match unknown {
            Some(name) => Err(wrong(name, "this question cannot follow it")),
            None => Ok(()),
        }
    }
}

fn login(properties: &Given<'_>) -> io::Result<Login> {
    let mechanism = properties
        .get("sasl.mechanisms")
        .or(properties.get("sasl.mechanism"))
        .unwrap_or("GSSAPI");
    if mechanism == "OAUTHBEARER" {
        return token(properties);
    }
    properties.refuse_others(
        &["sasl."],
        &[
            "sasl.mechanisms",
            "sasl.mechanism",
            "sasl.username",
            "sasl.password",
        ],
    )?;
    let text = |name: &str| properties.get(name).ok_or_else(|| wrong(name, "it is missing"));
    let (user, password) = (
        text("sasl.username")?.to_owned(),
        Secret::new(text("sasl.password")?),
    );
    match mechanism {
        "PLAIN" => Ok(Login::Plain { user, password }),
        "SCRAM-SHA-256" => Ok(Login::ScramSha256 { user, password }),
        "SCRAM-SHA-512" => Ok(Login::ScramSha512 { user, password }),
        other => Err(wrong(
            "sasl.mechanisms",
            format!("this question cannot be asked with `{other}`"),
        )),
    }
}

/// A token that nobody has signed, as librdkafka makes them for tests.
fn token(properties: &Given<'_>) -> io::Result<Login> {
    const CONFIG: &str = "sasl.oauthbearer.config";
    properties.refuse_others(&["sasl."], &["sasl.mechanisms", "sasl.mechanism", CONFIG])?;
    let is_unsecured = "enable.sasl.oauthbearer.unsecure.jwt";
    if !matches!(properties.get(is_unsecured), Some("true" | "t" | "1")) {
        return Err(wrong(
            "sasl.mechanisms",
            "this question cannot fetch a token to log in with",
        ));
    }
    let (mut principal, mut claim, mut life) = (None, "sub", 3_600_u32);
    for pair in properties
        .get(CONFIG)
        .unwrap_or_default()
        .split_ascii_whitespace()
    {
        match pair.split_once('=') {
            Some(("principal", name)) => principal = Some(name),
            Some(("principalClaimName", name)) => claim = name,
            Some(("lifeSeconds", seconds)) => {
                life = seconds
                    .parse()
                    .map_err(|_| wrong(CONFIG, "`lifeSeconds` is no number"))?;
            }
            _ => {
                return Err(wrong(
                    CONFIG,
                    "only `principal`, `principalClaimName` and `lifeSeconds` are understood",
                ));
            }
        }
    }
    let principal = principal.ok_or_else(|| wrong(CONFIG, "it has no `principal`"))?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let claims = Map::from_iter([
        (claim.to_owned(), json!(principal)),
        ("iat".to_owned(), json!(now)),
        ("exp".to_owned(), json!(now + u64::from(life))),
    ]);
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let claims = URL_SAFE_NO_PAD.encode(Value::Object(claims).to_string());
    Ok(Login::Token(Secret::new(format!("{header}.{claims}."))))
}

/// TLS as the properties want it, over the OpenSSL that librdkafka has.
struct Tls {
    connector: SslConnector,
    verifies_name: bool,
}

impl Tls {
    fn new(properties: &Given<'_>) -> io::Result<Self> {
        properties.refuse_others(
            &["ssl.", "enable.ssl."],
            &[
                "ssl.ca.location",
                "ssl.ca.pem",
                "ssl.certificate.location",
                "ssl.certificate.pem",
                "ssl.key.location",
                "ssl.key.pem",
                "ssl.key.password",
                "ssl.keystore.location",
                "ssl.keystore.password",
                "ssl.cipher.suites",
                "ssl.curves.list",
                "ssl.sigalgs.list",
                "ssl.endpoint.identification.algorithm",
                "enable.ssl.certificate.verification",
            ],
        )?;
        let mut builder = SslConnector::builder(SslMethod::tls_client())
            .map_err(|error| wrong("security.protocol", error))?;
        trust(&mut builder, properties)?;
        identify(&mut builder, properties)?;
        if let Some(list) = properties.get("ssl.cipher.suites") {
            let set = builder.set_cipher_list(list);
            set.map_err(|error| wrong("ssl.cipher.suites", error))?;
        }
        if let Some(list) = properties.get("ssl.curves.list") {
            let set = builder.set_groups_list(list);
            set.map_err(|error| wrong("ssl.curves.list", error))?;
        }
        if let Some(list) = properties.get("ssl.sigalgs.list") {
            let set = builder.set_sigalgs_list(list);
            set.map_err(|error| wrong("ssl.sigalgs.list", error))?;
        }
        if properties.is_false("enable.ssl.certificate.verification") {
            builder.set_verify(SslVerifyMode::NONE);
        }
        let names = properties.get("ssl.endpoint.identification.algorithm");
        Ok(Self {
            connector: builder.build(),
            verifies_name: names != Some("none"),
        })
    }

    async fn shake_hands(&self, host: &str, stream: TcpStream) -> io::Result<Box<dyn Stream>> {
        let configured = self.connector.configure().and_then(|mut configuration| {
            configuration.set_verify_hostname(self.verifies_name);
            configuration.into_ssl(host)
        });
        let ssl = configured.map_err(io::Error::other)?;
        let mut stream = SslStream::new(ssl, stream).map_err(io::Error::other)?;
        Pin::new(&mut stream).connect().await.map_err(|error| {
            let verdict = stream.ssl().verify_result();
            let reason = match verdict == openssl::x509::X509VerifyResult::OK {
                true => format!("TLS: {error}"),
                false => format!("the broker's certificate: {}", verdict.error_string()),
            };
            io::Error::new(io::ErrorKind::ConnectionRefused, reason)
        })?;
        Ok(Box::new(stream))
    }
}

/// Whose signatures are believed: only theirs, where somebody is named.
fn trust(builder: &mut SslConnectorBuilder, properties: &Given<'_>) -> io::Result<()> {
    let (name, pem) = if let Some(pem) = properties.get("ssl.ca.pem") {
        ("ssl.ca.pem", vec![pem.as_bytes().to_vec()])
    } else if let Some(path) = properties.get("ssl.ca.location").filter(|path| *path != "probe") {
        ("ssl.ca.location", files(Path::new(path))?)
    } else {
        // The one that was compiled in does not know where the system keeps them.
        if let Some(file) = openssl_probe::probe().cert_file {
            let set = builder.set_ca_file(file);
            set.map_err(|error| wrong("ssl.ca.location", error))?;
        }
        return Ok(());
    };
    let mut store = openssl::x509::store::X509StoreBuilder::new().map_err(|error| wrong(name, error))?;
    for pem in pem {
        let trusted = X509::stack_from_pem(&pem).map_err(|error| wrong(name, error))?;
        for certificate in trusted {
            store.add_cert(certificate).map_err(|error| wrong(name, error))?;
        }
    }
    builder.set_cert_store(store.build());
    Ok(())
}

/// What stands in a file, or in those of a folder.
fn files(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    let failed = |error: io::Error| wrong("ssl.ca.location", error);
    if !path.is_dir() {
        return Ok(vec![fs::read(path).map_err(failed)?]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_file() {
            found.push(fs::read(path).map_err(failed)?);
        }
    }
    Ok(found)
}

/// Who this client is, where the broker wants a certificate of it.
fn identify(builder: &mut SslConnectorBuilder, properties: &Given<'_>) -> io::Result<()> {
    let password = properties.get("ssl.key.password").unwrap_or_default();
    if let Some((name, pem)) = text_or_file(properties, "ssl.certificate.pem", "ssl.certificate.location")? {
        let chain = X509::stack_from_pem(&pem).map_err(|error| wrong(name, error))?;
        let mut chain = chain.into_iter();
        let own = chain.next().ok_or_else(|| wrong(name, "it has no certificate"))?;
        builder
            .set_certificate(&own)
            .map_err(|error| wrong(name, error))?;
        for certificate in chain {
            let added = builder.add_extra_chain_cert(certificate);
            added.map_err(|error| wrong(name, error))?;
        }
    }
    if let Some((name, pem)) = text_or_file(properties, "ssl.key.pem", "ssl.key.location")? {
        let key = PKey::private_key_from_pem_passphrase(&pem, password.as_bytes());
        let set = key.and_then(|key| builder.set_private_key(&key));
        set.map_err(|error| wrong(name, error))?;
    }
    let store = "ssl.keystore.location";
    if let Some(path) = properties.get(store) {
        let bytes = fs::read(path).map_err(|error| wrong(store, error))?;
        let password = properties.get("ssl.keystore.password").unwrap_or_default();
        let parsed = Pkcs12::from_der(&bytes).and_then(|store| store.parse2(password));
        let parsed = parsed.map_err(|error| wrong(store, error))?;
        if let (Some(certificate), Some(key)) = (parsed.cert, parsed.pkey) {
            let set = builder
                .set_certificate(&certificate)
                .and_then(|()| builder.set_private_key(&key));
            set.map_err(|error| wrong(store, error))?;
        }
        for certificate in parsed.ca.into_iter().flatten() {
            let added = builder.add_extra_chain_cert(certificate);
            added.map_err(|error| wrong(store, error))?;
        }
    }
    Ok(())
}

/// What one of two properties gives, and which.
fn text_or_file(
    properties: &Given<'_>,
    text: &'static str,
    file: &'static str,
) -> io::Result<Option<(&'static str, Vec<u8>)>> {
    if let Some(pem) = properties.get(text) {
        return Ok(Some((text, pem.as_bytes().to_vec())));
    }
    let read = properties.get(file).map(fs::read).transpose();
    let read = read.map_err(|error| wrong(file, error))?;
    Ok(read.map(|pem| (file, pem)))
}

impl Securing for Tls {
    fn secure<'a>(&'a self, host: &'a str, stream: TcpStream) -> Secured<'a> {
        Box::pin(self.shake_hands(host, stream))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tls")
    }
}

/// Names a property and what is wrong with it; never its value, which may be secret.
fn wrong(property: &str, reason: impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("`{property}`: {reason}"))
}

#[cfg(test)]
mod tests;
