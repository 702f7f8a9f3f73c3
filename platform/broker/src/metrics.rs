//! What is measured, and who may read it: `/metrics` for Prometheus.
//!
//! Names and labels are those that the JMX exporter gives Kafka's own (its rules `kafka-2_0_0.yml`), so that what was made
//! for Kafka shows this broker too. Counters count from the start of the process; all else is looked up when it is asked for.

pub(crate) mod endpoint;
mod text;

use std::sync::atomic::{AtomicU64, Ordering};

use kafka_protocol::messages::ApiKey;

/// More than there are requests.
const KEYS: usize = 128;

/// Requests that were answered, by what they ask.
#[derive(Debug)]
pub(crate) struct Requests([AtomicU64; KEYS]);

impl Default for Requests {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; KEYS])
    }
}

impl Requests {
    /// Counts one.
    pub(crate) fn count(&self, key: ApiKey) {
        if let Some(count) = self.0.get(key as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn of(&self, key: ApiKey) -> u64 {
        self.0
            .get(key as usize)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

/// What has gone in and out of a partition.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    records_in: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Traffic {
    /// Counts a batch that was written.
    pub(crate) fn came(&self, records: u64, bytes: usize) {
        self.records_in.fetch_add(records, Ordering::Relaxed);
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts what a consumer was sent.
    pub(crate) fn went(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Records in, bytes in, bytes out.
    pub(crate) fn so_far(&self) -> [u64; 3] {
        [&self.records_in, &self.bytes_in, &self.bytes_out].map(|count| count.load(Ordering::Relaxed))
    }
}
