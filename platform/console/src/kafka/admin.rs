//! What changes the cluster, and its settings.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::Serialize;

use super::{Cluster, KafkaError, REQUEST_TIMEOUT, Raw};

/// How often to look whether a changed setting is there, and how many times: brokers of a cluster hear of it one by one.
const LOOKS: (Duration, u32) = (Duration::from_millis(100), 20);

/// A setting of a topic or a broker.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Setting {
    pub(crate) name: String,
    /// None where it is a secret.
    pub(crate) value: Option<String>,
    /// Whether the topic or broker sets it itself.
    pub(crate) is_own: bool,
    pub(crate) is_read_only: bool,
    pub(crate) is_sensitive: bool,
}

impl Cluster {
    /// The settings of a topic.
    pub(crate) async fn topic_settings(&self, topic: &str) -> Result<Vec<Setting>, KafkaError> {
        self.settings(ResourceSpecifier::Topic(topic)).await
    }

    /// The settings of a broker.
    pub(crate) async fn broker_settings(&self, id: i32) -> Result<Vec<Setting>, KafkaError> {
        self.settings(ResourceSpecifier::Broker(id)).await
    }

    async fn settings(&self, of: ResourceSpecifier<'_>) -> Result<Vec<Setting>, KafkaError> {
        let described = self.admin()?.describe_configs([&of], &options()).await?;
        let described = described.into_iter().next();
        let resource = described
            .ok_or_else(|| KafkaError::Refused("an answer without settings".to_owned()))?
            .map_err(|code| refused_about(&of, code))?;
        let mut settings: Vec<Setting> = resource
            .entries
            .into_iter()
            .map(|entry| {
                let is_sensitive = entry.is_sensitive || names_a_secret(&entry.name);
                Setting {
                    is_own: matches!(
                        entry.source,
                        ConfigSource::DynamicTopic | ConfigSource::DynamicBroker | ConfigSource::StaticBroker
                    ),
                    value: if is_sensitive { None } else { entry.value },
                    name: entry.name,
                    is_read_only: entry.is_read_only,
                    is_sensitive,
                }
            })
            .collect();
        settings.sort_by(|one, other| (!one.is_own, &one.name).cmp(&(!other.is_own, &other.name)));
        Ok(settings)
    }

    /// Sets or (with no value) resets one setting of a topic. Kafka's older request replaces all settings of the topic,
    /// so those that it has go along.
    pub(crate) async fn set_topic_setting(
        &self,
        topic: &str,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), KafkaError> {
        let before = self.topic_settings(topic).await?;
        let kept = before
            .iter()
            .filter(|setting| setting.is_own && setting.name != name)
            .filter_map(|setting| Some((setting.name.as_str(), setting.value.as_deref()?)));
        let mut change = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for (name, value) in kept.chain(value.map(|value| (name, value))) {
            change = change.set(name, value);
        }
        self.admin()?.alter_configs([&change], &options()).await?;
        // The client library keeps to itself what the broker says about a single resource, so it is looked up.
        let was = value_of(&before, name);
        let mut look = tokio::time::interval(LOOKS.0);
        for _ in 0..LOOKS.1 {
            look.tick().await;
            let Ok(settings) = self.topic_settings(topic).await else {
                continue;
            };
            let is = value_of(&settings, name);
            let is_meant = is.as_deref().map(without_blanks) == value.map(without_blanks);
            if is_meant || (is != was && is.is_some() == value.is_some()) {
                return Ok(());
            }
        }
        Err(KafkaError::Refused(match value {
            Some(value) => format!("Kafka does not take `{value}` for `{name}` of topic `{topic}`"),
            None => format!("Kafka does not take back `{name}` of topic `{topic}`"),
        }))
    }

    /// Makes a topic.
    pub(crate) async fn create_topic(&self, name: &str, partitions: i32) -> Result<(), KafkaError> {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(-1));
        let created = self.admin()?.create_topics([&topic], &options()).await?;
        outcome(created, |code| format!("topic `{name}` was not made: {code}"))
    }

    /// Deletes a topic with its records.
    pub(crate) async fn delete_topic(&self, name: &str) -> Result<(), KafkaError> {
        let deleted = self.admin()?.delete_topics(&[name], &options()).await?;
        outcome(deleted, |code| format!("topic `{name}` was not deleted: {code}"))
    }

    /// Writes a record; the partition of `record` counts only where it is not negative. Returns partition and offset.
    pub(crate) async fn produce(&self, record: &Raw) -> Result<(i32, i64), KafkaError> {
        let producer: FutureProducer = self
            .config
            .clone()
            .set("acks", "all")
            .set("message.max.bytes", "10485760")
            .set("linger.ms", "0")
            .create()
            .map_err(|error| KafkaError::Client(error.to_string()))?;
        let mut headers = OwnedHeaders::new();
        for (key, value) in &record.headers {
            headers = headers.insert(Header {
                key,
                value: value.as_deref(),
            });
        }
        let mut message: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&record.topic).headers(headers);
        if record.partition >= 0 {
            message = message.partition(record.partition);
        }
        if let Some(key) = &record.key {
            message = message.key(key.as_slice());
        }
        if let Some(value) = &record.value {
            message = message.payload(value.as_slice());
        }
        let delivery = producer
            .send(message, Duration::ZERO)
            .await
            .map_err(|(error, _)| KafkaError::from(error))?;
        Ok((delivery.partition, delivery.offset))
    }

    fn admin(&self) -> Result<Arc<AdminClient<DefaultClientContext>>, KafkaError> {
        let admin = self
            .config
            .create()
            .map_err(|error| KafkaError::Client(error.to_string()))?;
        Ok(Arc::new(admin))
    }
}

/// A value as every broker would write it.
fn without_blanks(value: &str) -> String {
    value.split_whitespace().collect()
}

/// What is set for a name, where it is set.
fn value_of(settings: &[Setting], name: &str) -> Option<String> {
    let own = settings
        .iter()
        .find(|setting| setting.is_own && setting.name == name);
    own.and_then(|setting| setting.value.clone())
}

/// Whether a setting is a secret although the broker does not say so: those of other programs' kinds, which it does not
/// know, are passed through as they are.
fn names_a_secret(name: &str) -> bool {
    const WORDS: [&str; 9] = [
        "passw",
        "passphrase",
        "secret",
        "token",
        "credential",
        "jaas",
        "user.info",
        "ssl.key",
        "private.key",
    ];
    // A span of time, a place or a procedure of a secret is none.
    const ABOUT: [&str; 10] = [
        ".ms",
        ".class",
        ".uri",
        ".url",
        ".location",
        ".type",
        ".interval",
        ".algorithm",
        ".iterations",
        ".length",
    ];
    let name = name.to_ascii_lowercase();
    let is_about = ABOUT.iter().any(|end| name.ends_with(end));
    !is_about && WORDS.iter().any(|word| name.contains(word))
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(REQUEST_TIMEOUT))
        .operation_timeout(Some(REQUEST_TIMEOUT))
}

fn refused_about(what: &ResourceSpecifier<'_>, code: rdkafka::types::RDKafkaErrorCode) -> KafkaError {
    match what {
        ResourceSpecifier::Topic(topic) => KafkaError::Refused(format!("topic `{topic}`: {code}")),
        ResourceSpecifier::Broker(id) => KafkaError::Refused(format!("broker {id}: {code}")),
        ResourceSpecifier::Group(group) => KafkaError::Refused(format!("group `{group}`: {code}")),
    }
}

fn outcome(
    results: Vec<rdkafka::admin::TopicResult>,
    text: impl Fn(rdkafka::types::RDKafkaErrorCode) -> String,
) -> Result<(), KafkaError> {
    match results.into_iter().next() {
        Some(Err((_, code))) => Err(KafkaError::Refused(text(code))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::names_a_secret;

    #[test]
    fn a_secret_is_known_by_its_name() {
        for name in [
            "ssl.key.password",
            "listener.name.sasl_ssl.plain.sasl.jaas.config",
            "confluent.license.token",
            "basic.auth.user.info",
            "ssl.truststore.PASSWORD",
        ] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in [
            "retention.ms",
            "delegation.token.expiry.time.ms",
            "ssl.keystore.location",
            "sasl.login.class",
            "ssl.keymanager.algorithm",
            "password.encoder.iterations",
            "compression.type",
        ] {
            assert!(!names_a_secret(name), "{name}");
        }
    }
}
