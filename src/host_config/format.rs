//! In which format the hosts publish their lines, and the demo's statements read them.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::HostConfig;
use crate::stack::{Credentials, HttpService};

/// In which format lines are records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineFormat {
    /// Each is the line itself.
    #[default]
    Json,
    /// Each is an Avro record, whose schema the registry of the stack has.
    Avro,
}

impl fmt::Display for LineFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Json => "json",
            Self::Avro => "avro",
        })
    }
}

/// A word that is no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of `json`, `avro`")]
pub struct UnknownFormat(String);

impl FromStr for LineFormat {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "json" => Ok(Self::Json),
            "avro" => Ok(Self::Avro),
            other => Err(UnknownFormat(other.to_owned())),
        }
    }
}

/// Tells what hosts are given from anything else that they could be; nothing for the default configuration in JSON.
/// `registry` is where hosts find the registry, where their lines are to be Avro.
pub fn identity(own: Option<&HostConfig>, registry: Option<&str>) -> Option<String> {
    let own = own.map(HostConfig::hash);
    let Some(registry) = registry else { return own };
    let text = format!("avro {registry} {}", own.unwrap_or_default());
    let digest = Sha256::digest(text);
    Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Has the lines of a configuration be Avro, by the registry of the stack. What it says of modes and of single queries stays.
pub(super) fn encode(document: &mut Value, registry: &HttpService) {
    let Some(root) = document.as_object_mut() else {
        return;
    };
    let mut reached = json!({ "url": registry.url });
    if let Some(Credentials { user, password }) = &registry.credentials {
        reached["basic.auth.user.info"] = Value::from(format!("{user}:{password}"));
    }
    if let Some(certificates) = &registry.certificates {
        reached["ssl.ca.location"] = Value::from(certificates.display().to_string());
    }
    root.insert("schema_registry".to_owned(), reached);
    let topics = root.entry("topics").or_insert_with(|| Value::Object(Map::new()));
    if let Some(topics) = topics.as_object_mut() {
        topics.insert("format".to_owned(), Value::from(LineFormat::Avro.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_config::text_for;
    use crate::stack::Properties;

    #[test]
    fn the_default_configuration_becomes_avro() {
        let text = text_for(
            None,
            "127.0.0.1:1",
            &Properties::default(),
            Some(&HttpService::open("http://127.0.0.1:2")),
        );
        let document: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(document["topics"], json!({ "format": "avro" }));
        assert_eq!(
            document["schema_registry"],
            json!({ "url": "http://127.0.0.1:2" })
        );
        assert_eq!(document["config"]["bootstrap.servers"], "127.0.0.1:1");
        assert!(!text_for(None, "127.0.0.1:1", &Properties::default(), None).contains("avro"));
    }

    #[test]
    fn what_the_users_own_says_of_queries_stays() {
        let mut document = json!({ "topics": { "mode": "record", "queries": { "q": { "format": "json" } } },
            "schema_registry": { "url": "http://theirs" } });
        encode(&mut document, &HttpService::open("http://ours"));
        assert_eq!(
            document,
            json!({ "topics": { "mode": "record", "queries": { "q": { "format": "json" } }, "format": "avro" },
                "schema_registry": { "url": "http://ours" } })
        );
    }

    #[test]
    fn a_registry_elsewhere_is_told_who_asks() {
        let mut document = json!({});
        let registry = HttpService {
            credentials: Some(Credentials {
                user: "jay".to_owned(),
                password: "a:b".to_owned(),
            }),
            certificates: Some("/ca.pem".into()),
            ..HttpService::open("https://theirs")
        };
        encode(&mut document, &registry);
        assert_eq!(
            document["schema_registry"],
            json!({ "url": "https://theirs", "basic.auth.user.info": "jay:a:b", "ssl.ca.location": "/ca.pem" })
        );
    }

    #[test]
    fn another_registry_or_format_is_another_identity() {
        let own = HostConfig {
            path: "/c.json".into(),
            document: Value::Null,
            findings: Vec::new(),
        };
        let all = [
            identity(None, None),
            identity(Some(&own), None),
            identity(None, Some("a")),
            identity(None, Some("b")),
            identity(Some(&own), Some("a")),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!((&all[0], different.len()), (&None, 5));
    }

    #[test]
    fn a_format_is_typed_as_it_is_shown() {
        for format in [LineFormat::Json, LineFormat::Avro] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!(
            "AVRO".parse::<LineFormat>().unwrap_err().to_string(),
            "`AVRO` is not one of `json`, `avro`"
        );
    }
}
