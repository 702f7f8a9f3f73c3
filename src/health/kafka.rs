//! A broker is healthy when it answers a Metadata request and has itself in the answer.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::health::{LastAnswer, POLL};

/// How long one Metadata request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);

/// Returns once the broker at `address` is healthy.
pub(super) async fn until_healthy(address: &str, last: &LastAnswer) {
    loop {
        match ask(address.to_owned()).await {
            Ok(()) => return,
            Err(answer) => last.set(answer),
        }
        sleep(POLL).await;
    }
}

async fn ask(address: String) -> Result<(), String> {
    // librdkafka waits before it connects again; a refused connection costs less when found out here.
    TcpStream::connect(&address)
        .await
        .map_err(|error| format!("connection to {address}: {error}"))?;
    let metadata = spawn_blocking(move || {
        let consumer: BaseConsumer = client(&address).create()?;
        consumer.fetch_metadata(None, REQUEST_LIMIT)
    });
    match metadata.await {
        Ok(Ok(metadata)) if metadata.brokers().is_empty() => Err("Metadata without a broker".to_owned()),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("Metadata request: {error}")),
        Err(error) => Err(format!("Metadata request: {error}")),
    }
}

/// The settings of a client that finds out fast.
pub(super) fn client(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", address)
        .set("client.id", "osqdemo-health")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200")
        .set("log_level", "0");
    config
}
