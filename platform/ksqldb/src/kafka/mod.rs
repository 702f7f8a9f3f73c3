//! The server's side of Kafka: one client for administration, one shared producer, a reader per query.
//!
//! Knows records, topics and offsets; knows nothing of SQL.

mod closing;
mod cluster;
mod context;
mod producer;
mod reader;
mod returned;
#[cfg(test)]
mod test_broker;
mod time_zero;
mod transaction;
mod writers;

pub(crate) use closing::ClosedElsewhere;
pub(crate) use cluster::{Cluster, ClusterError, TopicOptions};
pub(crate) use producer::{Deliveries, OutgoingRecord, RecordProducer};
pub(crate) use reader::{Arrival, Metadata, Position, Reader, StartingPoint};
pub(crate) use transaction::{Offsets, TransactionalProducer};
pub(crate) use writers::{Progress, Writers};

/// A consumer of a group, before it reads.
pub(crate) type GroupConsumer = rdkafka::consumer::StreamConsumer<context::Context>;

/// A record as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// The topic.
    pub(crate) topic: std::sync::Arc<str>,
    /// The partition.
    pub(crate) partition: i32,
    /// The offset.
    pub(crate) offset: i64,
    /// The timestamp in milliseconds; -1 where the broker knows none.
    pub(crate) timestamp: i64,
    /// The key.
    pub(crate) key: Option<Vec<u8>>,
    /// The value.
    pub(crate) value: Option<Vec<u8>>,
    /// The headers, in order.
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    /// How large its key and value are.
    fn bytes(&self) -> usize {
        let parts = [&self.key, &self.value].into_iter().flatten();
        parts.map(Vec::len).sum()
    }
}
