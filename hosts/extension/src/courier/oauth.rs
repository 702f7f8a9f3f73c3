//! Tokens for SASL/OAUTHBEARER: asked of a token endpoint with the client's credentials (`sasl.oauthbearer.method=oidc`),
//! or made here without a signature, for brokers of tests.
//!
//! librdkafka can ask an endpoint itself only with libcurl, which is not compiled in; its properties mean the same here.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use osquery_configuration::regular_file;
use rdkafka::client::OAuthToken;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use crate::configuration::ConfigurationError;

/// How long the endpoint may take.
const ENDPOINT_PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of an answer.
const ANSWER_LIMIT: u64 = 256 * 1024;
/// How long a token lasts when nobody says so.
const DEFAULT_LIFE: Duration = Duration::from_secs(3600);
/// Where distributions keep the certificates that they trust.
pub(crate) const CERTIFICATES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

const METHOD: &str = "sasl.oauthbearer.method";
const ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";
const CLIENT_ID: &str = "sasl.oauthbearer.client.id";
const CLIENT_SECRET: &str = "sasl.oauthbearer.client.secret";
const SCOPE: &str = "sasl.oauthbearer.scope";
const EXTENSIONS: &str = "sasl.oauthbearer.extensions";
const CA: &str = "https.ca.location";
const UNSIGNED: &str = "enable.sasl.oauthbearer.unsecure.jwt";
/// What librdkafka is not told, because it would refuse it or do it itself.
const TAKEN: [&str; 6] = [METHOD, ENDPOINT, CLIENT_ID, CLIENT_SECRET, SCOPE, CA];

/// Where tokens come from.
#[derive(Clone, Debug)]
pub(crate) enum TokenSource {
    Endpoint(Box<TokenEndpoint>),
    /// Unsigned ones, of what `sasl.oauthbearer.config` says.
    Unsigned,
    /// Nowhere.
    Nowhere,
}

#[derive(Clone, Debug)]
pub(crate) struct TokenEndpoint {
    url: String,
    client_id: String,
    client_secret: String,
    scope: Option<String>,
    ca: Option<String>,
}

/// Why there is no token. Neither a secret nor a token is in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the token endpoint `{url}`: {reason}")]
    Endpoint { url: String, reason: String },
    #[error("cannot read `{CA}`: {reason}")]
    Certificates { reason: String },
    #[error("`{METHOD}` must be `oidc`; `{UNSIGNED}` is for tests")]
    Nowhere,
    #[error("the token has no `sub`")]
    NoSubject,
    #[error("`sasl.oauthbearer.config` says nothing of `principal`")]
    NoPrincipal,
}

impl TokenSource {
    /// Takes what is about tokens out of the properties.
    pub(crate) fn take(properties: &mut BTreeMap<String, String>) -> Result<Self, ConfigurationError> {
        let is_oidc = properties
            .get(METHOD)
            .is_some_and(|method| method.eq_ignore_ascii_case("oidc"));
        if !is_oidc {
            let is_enabled = properties.get(UNSIGNED).is_some_and(|enabled| enabled == "true");
            return Ok(if is_enabled { Self::Unsigned } else { Self::Nowhere });
        }
        let wrong = |property: &str, reason: &str| ConfigurationError::Property {
            property: property.to_owned(),
            reason: reason.to_owned(),
        };
        if properties.contains_key(EXTENSIONS) {
            return Err(wrong(
                EXTENSIONS,
                "SASL extensions cannot be sent along with a token of an endpoint",
            ));
        }
        let mut take = |name: &str| properties.remove(name).filter(|value| !value.is_empty());
        let mut values = TAKEN.map(|name| (name, take(name)));
        let mut value = |name: &str| {
            values
                .iter_mut()
                .find(|(known, _)| *known == name)
                .and_then(|(_, value)| value.take())
        };
        let mut needed = |name: &'static str| {
            value(name).ok_or_else(|| wrong(name, "it must be there with the method `oidc`"))
        };
        Ok(Self::Endpoint(Box::new(TokenEndpoint {
            url: needed(ENDPOINT)?,
            client_id: needed(CLIENT_ID)?,
            client_secret: needed(CLIENT_SECRET)?,
            scope: value(SCOPE),
            ca: value(CA),
        })))
    }

    /// A token. `config` is `sasl.oauthbearer.config`.
    pub(crate) fn token(&self, config: Option<&str>) -> Result<OAuthToken, TokenError> {
        match self {
            Self::Endpoint(endpoint) => endpoint.ask(),
            Self::Unsigned => unsigned(config.unwrap_or_default()),
            Self::Nowhere => Err(TokenError::Nowhere),
        }
    }
}

impl TokenEndpoint {
    /// Asks with the client's credentials (RFC 6749, 4.4).
    fn ask(&self) -> Result<OAuthToken, TokenError> {
        let failed = |reason: String| TokenError::Endpoint {
            url: self.url.clone(),
            reason,
        };
        let credentials = BASE64_STANDARD.encode(format!("{}:{}", self.client_id, self.client_secret));
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        let answer = self
            .agent()?
            .post(&self.url)
            .header("authorization", &format!("Basic {credentials}"))
            .header("accept", "application/json")
            .send_form(form);
        let mut answer = answer.map_err(|error| failed(error.to_string()))?;
        let body = answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_vec();
        let body = body.map_err(|error| failed(error.to_string()))?;
        let body: Value =
            serde_json::from_slice(&body).map_err(|_| failed("its answer is not JSON".to_owned()))?;
        let token = body["access_token"].as_str();
        let token = token.ok_or_else(|| failed("its answer has no `access_token`".to_owned()))?;
        let claims = claims(token).unwrap_or_default();
        let principal = claims["sub"].as_str().ok_or(TokenError::NoSubject)?;
        let expires_in = body["expires_in"].as_u64().map(Duration::from_secs);
        let end = match claims["exp"].as_i64() {
            Some(seconds) => seconds.saturating_mul(1000),
            None => unix_ms(expires_in.unwrap_or(DEFAULT_LIFE)),
        };
        Ok(OAuthToken {
            token: token.to_owned(),
            principal_name: principal.to_owned(),
            lifetime_ms: end,
        })
    }

    fn agent(&self) -> Result<Agent, TokenError> {
        let mut tls = TlsConfig::builder().provider(TlsProvider::NativeTls);
        let found = CERTIFICATES
            .into_iter()
            .find(|path| std::path::Path::new(path).exists());
        if let Some(path) = self.ca.as_deref().or(found) {
            let unreadable = |reason: String| TokenError::Certificates { reason };
            let pem = regular_file::read(Path::new(path)).map_err(|error| unreadable(error.to_string()))?;
            let certificates =
                openssl::x509::X509::stack_from_pem(&pem).map_err(|error| unreadable(error.to_string()))?;
            let certificates: Vec<Certificate<'static>> = certificates
                .iter()
                .filter_map(|certificate| Certificate::from_pem(&certificate.to_pem().ok()?).ok())
                .collect();
            tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
        }
        let config = Agent::config_builder()
            .timeout_global(Some(ENDPOINT_PATIENCE))
            .tls_config(tls.build())
            .build();
        Ok(config.into())
    }
}

/// A token without a signature, as librdkafka makes it: `principal=NAME scope=A lifeSeconds=600`.
fn unsigned(config: &str) -> Result<OAuthToken, TokenError> {
    let get = |name: &str| {
        let mut pairs = config.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let principal = get("principal").ok_or(TokenError::NoPrincipal)?;
    let life = get("lifeSeconds").and_then(|seconds| seconds.parse().ok());
    let life = life.map_or(DEFAULT_LIFE, Duration::from_secs);
    let (now, end) = (unix_ms(Duration::ZERO), unix_ms(life));
    let mut claims = json!({ "sub": principal, "iat": now / 1000, "exp": end / 1000 });
    if let Some(scope) = get("scope") {
        claims["scope"] = scope.into();
    }
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    Ok(OAuthToken {
        token: format!("{}.{}.", part(json!({ "alg": "none" })), part(claims)),
        principal_name: principal.to_owned(),
        lifetime_ms: end,
    })
}

/// What a token says; nothing of it is verified, that is the broker's part.
fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(payload.trim_end_matches('='))
        .ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn unix_ms(from_now: Duration) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from((now + from_now).as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn properties(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    /// An endpoint that gives one answer, and what it was asked.
    fn endpoint(answer: &'static str) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let asked = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"scope=kafka") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            write!(stream, "{answer}").unwrap();
            String::from_utf8(request).unwrap()
        });
        (url, asked)
    }

    fn source(url: &str) -> TokenSource {
        let mut given = properties(&[
            (METHOD, "OIDC"),
            (ENDPOINT, url),
            (CLIENT_ID, "osquery"),
            (CLIENT_SECRET, "swordfish"),
            (SCOPE, "kafka"),
            ("sasl.mechanisms", "OAUTHBEARER"),
        ]);
        let source = TokenSource::take(&mut given).unwrap();
        assert_eq!(given, properties(&[("sasl.mechanisms", "OAUTHBEARER")]));
        source
    }

    #[test]
    fn an_endpoint_is_asked_with_the_clients_credentials() {
        // {"sub":"jay","exp":2000000000}
        let (url, asked) = endpoint(
            "HTTP/1.1 200 OK\r\ncontent-length: 80\r\n\r\n{\"access_token\":\"eyJhbGciOiJub25lIn0.eyJzdWIiOiJqYXkiLCJleHAiOjIwMDAwMDAwMDB9.\"}",
        );
        let token = source(&url).token(None).unwrap();
        assert_eq!(
            (token.principal_name.as_str(), token.lifetime_ms),
            ("jay", 2_000_000_000_000)
        );
        let asked = asked.join().unwrap();
        assert!(asked.starts_with("POST /token "), "{asked}");
        let basic = BASE64_STANDARD.encode("osquery:swordfish");
        assert!(asked.contains(&format!("Basic {basic}")), "{asked}");
        assert!(
            asked.ends_with("grant_type=client_credentials&scope=kafka"),
            "{asked}"
        );
    }

    #[test]
    fn an_endpoint_that_refuses_is_told_without_the_secret() {
        let (url, _asked) = endpoint("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
        let error = source(&url).token(None).map(drop).unwrap_err().to_string();
        assert!(error.contains("/token`") && error.contains("401"), "{error}");
        assert!(!error.contains("swordfish"), "{error}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut given = properties(&[(METHOD, "oidc"), (ENDPOINT, "https://x/")]);
        let error = TokenSource::take(&mut given).map(drop).unwrap_err().to_string();
        assert!(error.contains(CLIENT_ID), "{error}");
    }

    #[test]
    fn an_unsigned_token_says_who_it_is_for() {
        let token = TokenSource::Unsigned
            .token(Some("principal=jun lifeSeconds=60 scope=s"))
            .unwrap();
        let claims = claims(&token.token).unwrap();
        assert_eq!((&claims["sub"], &claims["scope"]), (&"jun".into(), &"s".into()));
        assert_eq!(claims["exp"].as_i64(), Some(token.lifetime_ms / 1000));
        assert!(TokenSource::Unsigned.token(None).is_err());
        let nobody_asked = TokenSource::take(&mut properties(&[])).unwrap();
        assert!(nobody_asked.token(Some("principal=jun")).is_err());
        let tests = TokenSource::take(&mut properties(&[(UNSIGNED, "true")])).unwrap();
        assert!(tests.token(Some("principal=jun")).is_ok());
    }
}
