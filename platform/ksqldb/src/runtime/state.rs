//! The state of a persistent query beyond its task: the changelogs of its stores.
//!
//! A changelog is a topic named as Kafka Streams names it, after the query's group and the store. Its records hold
//! the layout they were written with before the row: what another layout wrote is of no use.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::error::KafkaError;

use crate::kafka::{Cluster, ClusterError, Reader, StartingPoint, TopicOptions};
use crate::plan::{QueryPlan, StoreStep, Windows};
use crate::task::Task;

/// A changelog of windows keeps them a day longer than the store does, as Kafka Streams has it.
const ADDITIONAL_RETENTION_MS: i64 = 24 * 60 * 60 * 1000;

/// Why the state is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum StateError {
    /// The cluster did not do what it was asked for.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A changelog cannot be read.
    #[error("cannot read the changelogs: {0}")]
    Read(#[from] KafkaError),
}

/// The changelogs of a query.
pub(super) struct Changelogs {
    /// The topic of each store.
    topics: BTreeMap<Arc<str>, String>,
    layout: [u8; 4],
}

impl Changelogs {
    /// The changelogs of a query of that group.
    pub(super) fn new(group: &str, plan: &QueryPlan) -> Self {
        let topic = |store: &StoreStep| format!("{group}-{}-changelog", store.name);
        Self {
            topics: plan
                .stores()
                .map(|store| (Arc::clone(&store.name), topic(store)))
                .collect(),
            layout: plan.layout().to_be_bytes(),
        }
    }

    /// The topic of a store.
    pub(super) fn topic(&self, store: &str) -> Option<&str> {
        self.topics.get(store).map(String::as_str)
    }

    /// A row as a record's value.
    pub(super) fn value(&self, row: &[u8]) -> Vec<u8> {
        [&self.layout, row].concat()
    }

    /// Makes the topics that are not there, with as many partitions as the inputs have.
    pub(super) async fn make(&self, cluster: &Cluster, plan: &QueryPlan) -> Result<(), StateError> {
        if self.topics.is_empty() {
            return Ok(());
        }
        let there = cluster.topics().await?;
        let partitions = plan
            .inputs()
            .iter()
            .filter_map(|input| there.get(&input.topic))
            .map(Vec::len)
            .max()
            .unwrap_or(1);
        for store in plan.stores() {
            if let Some(topic) = self.topic(&store.name)
                && !there.contains_key(topic)
            {
                let options = options(store, i32::try_from(partitions).unwrap_or(1));
                cluster.create_topic(topic, &options).await?;
            }
        }
        Ok(())
    }

    /// Fills a task's stores. `false`: what is there is of another layout, and the task's stores are empty.
    pub(super) async fn restore(
        &self,
        cluster: &Arc<Cluster>,
        group: &str,
        task: &mut Task,
    ) -> Result<bool, StateError> {
        let mut points = Vec::new();
        let mut stores: BTreeMap<&str, &str> = BTreeMap::new();
        let there = cluster.topics().await?;
        for (store, topic) in &self.topics {
            let partitions = there.get(topic).map_or(0, Vec::len);
            let watermarks = cluster
                .watermarks(topic, i32::try_from(partitions).unwrap_or(i32::MAX))
                .await?;
            let shared: Arc<str> = topic.as_str().into();
            stores.insert(topic, store);
            for (partition, (low, high)) in (0..).zip(watermarks) {
                if low < high {
                    points.push(StartingPoint {
                        topic: Arc::clone(&shared),
                        partition,
                        from: low,
                        new_from: low,
                        end: high,
                        newest_timestamp: None,
                        is_table: true,
                    });
                }
            }
        }
        if points.is_empty() {
            return Ok(true);
        }
        let consumer = Reader::consumer(cluster, &format!("{group}-restore"))?;
        let mut reader = Reader::open(cluster, consumer, &points).await?;
        let mut records = 0_u64;
        while let Some(record) = reader.next_old().await? {
            let row = match record.value.as_deref() {
                None => None,
                Some(value) => match value.strip_prefix(&self.layout) {
                    Some(row) => Some(row),
                    None => {
                        task.forget();
                        return Ok(false);
                    }
                },
            };
            let store = stores.get(&*record.topic).copied().unwrap_or_default();
            let key = record.key.as_deref().unwrap_or_default();
            if !task.restore_store(store, key, row, record.timestamp) {
                tracing::warn!("a record of `{}` belongs to no store", record.topic);
            }
            records += 1;
            if records.is_multiple_of(64) {
                tokio::task::yield_now().await;
            }
        }
        task.restored();
        tracing::info!(records, "the state of {group} is restored");
        Ok(true)
    }
}

fn options(store: &StoreStep, partitions: i32) -> TopicOptions {
    let settings = match (store.windows, store.retention_ms) {
        (Windows::None, _) | (_, None) => vec![("cleanup.policy", "compact".to_owned())],
        (_, Some(retention)) => {
            let retention = retention.saturating_add(ADDITIONAL_RETENTION_MS);
            vec![
                ("cleanup.policy", "compact,delete".to_owned()),
                ("retention.ms", retention.to_string()),
            ]
        }
    };
    TopicOptions {
        partitions,
        replicas: 1,
        settings,
    }
}
