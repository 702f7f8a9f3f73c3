//! A listener: where it is, what its clients are told of that, and what it asks of them.

use std::net::SocketAddr;
use std::path::PathBuf;

/// One socket and the address its clients are told to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// A name for logs and for [`crate::Broker::addresses`].
    pub name: String,
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// What clients are told to connect to; `None` means the address that was bound.
    pub advertised: Option<HostPort>,
    /// What the connection is encrypted with; `None` leaves it in the clear.
    pub tls: Option<Tls>,
    /// The ways a client may say who it is; without any, it need not.
    pub mechanisms: Vec<Mechanism>,
}

impl Listener {
    /// A listener that takes anybody, in the clear, and tells them the address that was bound.
    pub fn plaintext(name: impl Into<String>, bind: SocketAddr) -> Self {
        Self {
            name: name.into(),
            bind,
            advertised: None,
            tls: None,
            mechanisms: Vec::new(),
        }
    }

    /// What Kafka calls this kind of listener.
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        match (&self.tls, self.mechanisms.is_empty()) {
            (None, true) => "PLAINTEXT",
            (Some(_), true) => "SSL",
            (None, false) => "SASL_PLAINTEXT",
            (Some(_), false) => "SASL_SSL",
        }
    }
}

/// The files of a listener's TLS, all of them PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, followed by those that lead to its root.
    pub certificate: PathBuf,
    /// Its private key: PKCS #8, PKCS #1 or SEC 1, without a password.
    pub key: PathBuf,
    /// What becomes of certificates of clients.
    pub clients: ClientCertificates,
}

/// What a listener with TLS does about certificates of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCertificates {
    /// It does not ask for one.
    Ignored,
    /// Who has one that these roots have signed is known by its subject; who has none is anonymous.
    Requested(PathBuf),
    /// Who has none that these roots have signed is not let in.
    Required(PathBuf),
}

/// A way for a client to say who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mechanism {
    /// Name and password as they are (RFC 4616).
    Plain,
    /// A proof that the client knows the password (RFC 5802, RFC 7677).
    ScramSha256,
    /// The same over SHA-512.
    ScramSha512,
    /// A token that somebody else has signed (RFC 7628).
    OauthBearer,
}

impl Mechanism {
    /// All there are, as clients are told them.
    pub const ALL: [Self; 4] = [
        Self::Plain,
        Self::ScramSha256,
        Self::ScramSha512,
        Self::OauthBearer,
    ];

    /// Its name in SASL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

/// A host name or address with a port, as clients are told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Host name or IP address; one of IPv6 without its brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl HostPort {
    /// Reads `HOST:PORT`; `None` when it is no such thing, or the port is 0.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port: u16 = port.parse().ok()?;
        (!host.is_empty() && port != 0).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}
