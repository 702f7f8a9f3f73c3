//! The state of a persistent query beyond its task: the changelogs of its stores.
//!
//! A changelog is a topic named as Kafka Streams names it, after the query's group and the store. Its records hold
//! the layout they were written with before the row: what another layout wrote is of no use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::KafkaError;
use tokio::time::{Instant, sleep};

use super::status::QueryStatus;
use crate::kafka::{Cluster, ClusterError, Reader, StartingPoint, TopicOptions};
use crate::plan::{QueryPlan, StoreStep};
use crate::task::Task;

/// How long a topic that was deleted may still be listed, and how often to look.
const DELETION: (Duration, Duration) = (Duration::from_secs(10), Duration::from_millis(20));

/// Why the state is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum StateError {
    /// The cluster did not do what it was asked for.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A changelog cannot be read.
    #[error("cannot read the changelogs: {0}")]
    Read(#[from] KafkaError),
    /// The state does not fit.
    #[error("{0}")]
    Excess(String),
    /// A changelog is still there.
    #[error("the changelog `{0}`, which was deleted, is still listed")]
    StillThere(String),
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
                let options = options(i32::try_from(partitions).unwrap_or(1));
                cluster.create_topic(topic, &options).await?;
            }
        }
        Ok(())
    }

    /// Makes the topics anew, where what is in them is of no use. The group's positions go first: with the old ones
    /// a later attempt would go on with empty state.
    pub(super) async fn make_anew(
        &self,
        cluster: &Cluster,
        group: &str,
        plan: &QueryPlan,
    ) -> Result<(), StateError> {
        cluster.delete_group(group).await?;
        for topic in self.topics.values() {
            cluster.delete_topic(topic).await?;
        }
        let deadline = Instant::now() + DELETION.0;
        loop {
            let listed = cluster.topics().await?;
            let Some(topic) = self.topics.values().find(|topic| listed.contains_key(*topic)) else {
                break;
            };
            if Instant::now() >= deadline {
                return Err(StateError::StillThere(topic.clone()));
            }
            sleep(DELETION.1).await;
        }
        self.make(cluster, plan).await
    }

    /// Fills a task's stores. `false`: what is there is of another layout, and the task's stores are empty.
    pub(super) async fn restore(
        &self,
        cluster: &Arc<Cluster>,
        group: &str,
        task: &mut Task,
        status: &QueryStatus,
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
        let all = reader.old_left();
        status.restore(0, all);
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
            if let Some(reason) = task.failure() {
                return Err(StateError::Excess(reason));
            }
            records += 1;
            if records.is_multiple_of(64) {
                status.restore(all - reader.old_left(), all);
                tokio::task::yield_now().await;
            }
        }
        task.restored();
        tracing::info!(records, "the state of {group} is restored");
        Ok(true)
    }
}

/// Compaction alone: windows of old records are as good as others, and a store tells which of its own are too old.
fn options(partitions: i32) -> TopicOptions {
    TopicOptions {
        partitions,
        replicas: 1,
        settings: vec![("cleanup.policy", "compact".to_owned())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_deleted_for_its_age() {
        assert_eq!(options(1).settings, [("cleanup.policy", "compact".to_owned())]);
    }
}
