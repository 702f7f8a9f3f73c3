//! Where a query's records go: to the producer that all share, or into transactions of its own.

use std::sync::Arc;

use rdkafka::error::KafkaError;

use crate::kafka::{Deliveries, OutgoingRecord, RecordProducer, TransactionalProducer};

/// How many records may be under way to the sink before reading waits for them.
const MOST_UNDER_WAY: usize = 10_000;

/// Takes the records of a query.
pub(super) enum Outlet {
    /// At least once: each record is acknowledged by itself.
    Shared {
        producer: Arc<RecordProducer>,
        /// The records under way.
        deliveries: Arc<Deliveries>,
    },
    /// Exactly once: records count with the positions of what they were made from, or not at all.
    Transactions(TransactionalProducer),
}

impl Outlet {
    /// Hands over a record.
    pub(super) async fn send(&mut self, record: OutgoingRecord<'_>) -> Result<(), KafkaError> {
        match self {
            Self::Shared { producer, deliveries } => producer.send(record, deliveries).await,
            Self::Transactions(producer) => {
                while !producer.send(record)? {
                    producer.make_room().await?;
                }
                Ok(())
            }
        }
    }

    /// Waits while too many records are under way; fails where one has failed.
    pub(super) async fn ease(&self) -> Result<(), String> {
        match self {
            Self::Shared { deliveries, .. } if deliveries.outstanding() > MOST_UNDER_WAY => {
                deliveries.settle(MOST_UNDER_WAY / 2).await
            }
            // A transaction waits for all of its records when it is committed.
            Self::Shared { .. } | Self::Transactions(_) => Ok(()),
        }
    }

    /// The deliveries up to now; further ones are counted apart.
    pub(super) fn take_deliveries(&mut self) -> Arc<Deliveries> {
        match self {
            Self::Shared { deliveries, .. } => {
                let further = deliveries.further();
                std::mem::replace(deliveries, further)
            }
            Self::Transactions(_) => Arc::default(),
        }
    }

    /// Waits until nothing is under way; fails where a record has failed.
    pub(super) async fn settle(&self) -> Result<(), String> {
        match self {
            Self::Shared { deliveries, .. } => deliveries.settle(0).await,
            Self::Transactions(_) => Ok(()),
        }
    }
}
