//! The client that writes, and what became of what it was given.
//!
//! `rdkafka`'s own `FutureProducer` polls in steps of 100 ms and spins through the last part of a millisecond of each: a
//! whole percent of a core, for nothing.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};
use tokio::sync::oneshot;

/// How long librdkafka is listened to at once; after this long the thread sees that nobody writes any more.
const POLL: Duration = Duration::from_secs(5);

/// A client that writes.
pub(super) type Writer = BaseProducer<Deliveries>;

/// Hands on what became of a record to whoever waits for it: the offset that it got, or why it got none.
pub(super) struct Deliveries;

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<oneshot::Sender<Result<i64, KafkaError>>>;

    fn delivery(&self, delivered: &DeliveryResult<'_>, waiting: Self::DeliveryOpaque) {
        let outcome = match delivered {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        };
        // Who gave up waiting does not want to know.
        let _ = waiting.send(outcome);
    }
}

/// Makes the client and the thread that listens to it, which ends soon after the client is let go.
pub(super) fn connect(config: &ClientConfig) -> Result<Arc<Writer>, KafkaError> {
    let writer = Arc::new(BaseProducer::from_config_and_context(config, Deliveries)?);
    let polled = Arc::downgrade(&writer);
    let listening = thread::Builder::new().name("producer-poll".to_owned());
    let spawned = listening.spawn(move || {
        while let Some(writer) = polled.upgrade() {
            writer.poll(POLL);
        }
    });
    spawned.map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
    Ok(writer)
}
