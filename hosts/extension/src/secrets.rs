//! Keeps secrets out of everything that is shown.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Parts of a property's name that say its value is secret.
const TELLTALES: [&str; 7] = [
    "password",
    "secret",
    "token",
    "credential",
    "private",
    "key.pem",
    "oauthbearer.config",
];

/// Values shorter than this are not looked for in text: they would be found in everything.
const SHORTEST_SECRET: usize = 4;

/// Whether a librdkafka property holds a secret.
pub(crate) fn is_secret(property: &str) -> bool {
    let property = property.to_ascii_lowercase();
    TELLTALES.iter().any(|telltale| property.contains(telltale))
}

/// The secret values of a configuration.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Secrets {
    values: Vec<String>,
}

impl Secrets {
    /// Collects the secret ones of librdkafka's properties, and `more`.
    pub(crate) fn of(properties: &BTreeMap<String, String>, more: Vec<String>) -> Self {
        let secret = properties.iter().filter(|(name, _)| is_secret(name));
        let all = secret.map(|(_, value)| value.clone()).chain(more);
        Self {
            values: all.filter(|value| value.len() >= SHORTEST_SECRET).collect(),
        }
    }

    /// The text with every secret replaced by stars.
    pub(crate) fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for value in &self.values {
            if text.contains(value.as_str()) {
                text = Cow::Owned(text.replace(value.as_str(), "***"));
            }
        }
        text
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Secrets({})", self.values.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_properties_are_known_by_name() {
        for property in [
            "sasl.password",
            "ssl.key.password",
            "ssl.key.pem",
            "sasl.oauthbearer.client.secret",
        ] {
            assert!(is_secret(property), "{property}");
        }
        for property in [
            "sasl.username",
            "bootstrap.servers",
            "ssl.ca.location",
            "ssl.key.location",
        ] {
            assert!(!is_secret(property), "{property}");
        }
    }

    #[test]
    fn secrets_do_not_survive_in_text() {
        let properties = [("sasl.password", "hunter22"), ("sasl.username", "jay")];
        let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let secrets = Secrets::of(&properties.into(), vec!["from a file".to_owned()]);
        assert_eq!(secrets.redact("jay used hunter22, hunter22"), "jay used ***, ***");
        assert_eq!(secrets.redact("from a file"), "***");
        assert!(!format!("{secrets:?}").contains("hunter"));
    }
}
