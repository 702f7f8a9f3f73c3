//! Events of a run, written to a topic as they happen: what a console shows of runs.
//!
//! Showing a run is not the run: where the topic cannot be written, the run goes on, and only that is told.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::Serialize;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{KafkaError, set_properties};
use crate::stack::Cluster;

/// The topic of runs.
const RUNS_TOPIC: &str = "osqdemo-runs";
/// How long the last records may take in the end.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Writes the events of one run.
pub struct Publisher {
    run: String,
    producer: FutureProducer,
    events: JoinHandle<Result<(), KafkaError>>,
}

impl Publisher {
    /// Writes what comes from `events`, each as JSON with the run's id as its key.
    ///
    /// # Errors
    /// When the addresses of the brokers are none.
    pub fn start<T: Serialize + Send + Sync + 'static>(
        cluster: &Cluster,
        run: String,
        mut events: Receiver<T>,
    ) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &cluster.bootstrap_servers)
            .set("client.id", "osqdemo")
            .set("message.timeout.ms", "10000");
        set_properties(&mut config, &cluster.properties);
        let producer: FutureProducer = config.create().map_err(|error| KafkaError::Client {
            bootstrap_servers: cluster.to_string(),
            reason: error.to_string(),
        })?;
        let (sending, key) = (producer.clone(), run.clone());
        let events = tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                send(&sending, &key, &event).await?;
            }
            Ok(())
        });
        Ok(Self {
            run,
            producer,
            events,
        })
    }

    /// Writes the last event; the channel of the others must be closed by now.
    ///
    /// # Errors
    /// When an event was not written, or not in time.
    pub async fn finish(self, last: &impl Serialize) -> Result<(), KafkaError> {
        let Self {
            run,
            producer,
            events,
        } = self;
        let writing = async {
            match events.await {
                Ok(written) => written?,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
            send(&producer, &run, last).await
        };
        timeout(FLUSH_LIMIT, writing)
            .await
            .unwrap_or_else(|_| Err(failed("not acknowledged in time".to_owned())))
    }
}

async fn send(producer: &FutureProducer, run: &str, event: &impl Serialize) -> Result<(), KafkaError> {
    let value = serde_json::to_vec(event).map_err(|error| failed(error.to_string()))?;
    let record = FutureRecord::to(RUNS_TOPIC).key(run).payload(&value);
    match producer.send(record, Duration::ZERO).await {
        Ok(_) => Ok(()),
        Err((error, _)) => Err(failed(error.to_string())),
    }
}

fn failed(reason: String) -> KafkaError {
    KafkaError::Write {
        topic: RUNS_TOPIC.to_owned(),
        reason,
    }
}
