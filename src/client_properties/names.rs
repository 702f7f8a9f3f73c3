//! Which names stand for what.

use super::error::Reason;

/// Where Kafka listens.
pub(super) const SERVERS: &str = "bootstrap.servers";

/// Where the Schema Registry answers.
pub(super) const REGISTRY_URL: &str = "schema.registry.url";

/// Where the ksqlDB server answers.
pub(super) const KSQLDB_URL: &str = "ksqldb.url";

/// The names of a service that speaks HTTP.
pub(super) struct ServiceNames {
    pub(super) url: &'static str,
    pub(super) credentials: &'static str,
    pub(super) certificates: &'static str,
}

pub(super) const REGISTRY: ServiceNames = ServiceNames {
    url: REGISTRY_URL,
    credentials: "basic.auth.user.info",
    certificates: "schema.registry.ssl.ca.location",
};

pub(super) const KSQLDB: ServiceNames = ServiceNames {
    url: KSQLDB_URL,
    credentials: "ksqldb.basic.auth.user.info",
    certificates: "ksqldb.ssl.ca.location",
};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Where Kafka listens.
    Servers,
    /// A property of connections to Kafka.
    Connection,
    /// The same, and its value is a path.
    File,
    /// A part of what is known of the Schema Registry.
    Registry(Part),
    /// A part of what is known of the ksqlDB server.
    Ksqldb(Part),
    /// What files of providers say besides, and each of our clients has its own way with.
    Ours,
}

/// A part of what is known of a service that speaks HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Url,
    Credentials,
    CredentialsSource,
    Certificates,
}

/// How names of librdkafka's properties of connections begin.
const CONNECTIONS: [&str; 8] = [
    "security.protocol",
    "sasl.",
    "ssl.",
    "enable.ssl.",
    "enable.sasl.",
    "socket.",
    "broker.address.",
    "client.dns.",
];

/// What files of providers say besides: how one application of theirs consumes and produces.
const PASSED_OVER: [&str; 4] = ["client.id", "acks", "session.timeout.ms", "client.rack"];

/// Names of Kafka's clients in Java, and what librdkafka has in their place.
const JAVA: [(&str, &str); 5] = [
    ("sasl.jaas.config", "sasl.username` and `sasl.password"),
    ("ssl.truststore.location", "ssl.ca.location"),
    ("ssl.truststore.password", "ssl.ca.location"),
    (
        "ssl.keystore.type",
        "ssl.keystore.location` for PKCS#12, or `ssl.key.location",
    ),
    ("ssl.truststore.certificates", "ssl.ca.pem"),
];

/// What a name stands for.
pub(super) fn meaning(name: &str) -> Result<Meaning, Reason> {
    if let Some((_, ours)) = JAVA.iter().find(|(java, _)| *java == name) {
        return Err(Reason::Java {
            name: name.to_owned(),
            instead: ours,
        });
    }
    Ok(match name {
        SERVERS | "metadata.broker.list" => Meaning::Servers,
        REGISTRY_URL => Meaning::Registry(Part::Url),
        "basic.auth.user.info" | "schema.registry.basic.auth.user.info" => {
            Meaning::Registry(Part::Credentials)
        }
        "basic.auth.credentials.source" | "schema.registry.basic.auth.credentials.source" => {
            Meaning::Registry(Part::CredentialsSource)
        }
        "schema.registry.ssl.ca.location" => Meaning::Registry(Part::Certificates),
        KSQLDB_URL => Meaning::Ksqldb(Part::Url),
        "ksqldb.basic.auth.user.info" => Meaning::Ksqldb(Part::Credentials),
        "ksqldb.ssl.ca.location" => Meaning::Ksqldb(Part::Certificates),
        name if PASSED_OVER.contains(&name) => Meaning::Ours,
        name if CONNECTIONS.iter().any(|begin| name.starts_with(begin)) => {
            if name.ends_with(".location") {
                Meaning::File
            } else {
                Meaning::Connection
            }
        }
        name => {
            return Err(Reason::NotConnection {
                name: name.to_owned(),
            });
        }
    })
}
