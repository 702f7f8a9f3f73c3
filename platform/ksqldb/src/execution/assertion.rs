//! `ASSERT TOPIC`: a script waits until a topic is there, or learns that it is not.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::bounds::Patience;
use super::entity::Entity;
use super::executor::Executor;
use super::failure::{ErrorCode, Failure};
use super::topics::{Topic, Topics};
use crate::syntax::ast::{AssertTopic, Literal};

/// How long a topic is waited for where the statement does not say (`ksql.assert.topic.default.timeout.ms`).
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often the brokers are asked.
const POLL: Duration = Duration::from_millis(100);

impl Executor {
    /// Waits for what is asserted, as long as the statement says and the request lasts.
    pub(super) async fn assert_topic(
        &self,
        assertion: &AssertTopic,
        text: &str,
        patience: &Patience,
    ) -> Result<Entity, Failure> {
        let timeout = assertion
            .timeout
            .and_then(|timeout| u64::try_from(timeout.milliseconds()).ok());
        let until = Instant::now() + timeout.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
        loop {
            let topics = patience.wait_for(self.topics(text)).await??;
            let Err(message) = holds(assertion, &topics) else {
                return Ok(Entity::AssertTopic {
                    topic_name: assertion.topic.clone(),
                    exists: assertion.exists,
                });
            };
            if Instant::now() >= until {
                return Err(Failure::generic(ErrorCode::AssertionFailed, message));
            }
            patience.wait_for(sleep(POLL)).await?;
        }
    }
}

/// Whether an assertion holds, or why not.
fn holds(assertion: &AssertTopic, topics: &Topics) -> Result<(), String> {
    let name = &assertion.topic;
    match (topics.get(name), assertion.exists) {
        (None, true) => Err(format!("Topic {name} does not exist")),
        (Some(_), false) => Err(format!("Topic {name} exists")),
        (None, false) => Ok(()),
        (Some(topic), true) => is_as_asserted(assertion, topic),
    }
}

fn is_as_asserted(assertion: &AssertTopic, topic: &Topic) -> Result<(), String> {
    for (property, wanted) in &assertion.properties.0 {
        let found = match property.as_str() {
            "PARTITIONS" => topic.replicas.len(),
            "REPLICAS" => topic.replicas.first().copied().unwrap_or(0),
            _ => return Err(format!("Cannot assert unknown topic property: {property}")),
        };
        let wanted = match wanted {
            Literal::Integer(number) => number.to_string(),
            Literal::Bigint(number) => number.to_string(),
            Literal::String(text) => text.clone(),
            other => format!("{other:?}"),
        };
        if wanted != found.to_string() {
            return Err(format!(
                "Mismatched configuration for topic {}: For config {}, expected {wanted} got {found}",
                assertion.topic,
                property.to_lowercase()
            ));
        }
    }
    Ok(())
}
