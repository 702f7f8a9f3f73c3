//! What is looked up of transactions, and how changes to them are written down; with the codes that clients are told.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::{Producer, Stores};
use crate::groups::transaction::{Change, Transaction};
use crate::topics::Topic;
use crate::topics::partition::Partition;

/// What is known of an id, when it is its present producer who asks.
pub(super) fn known(
    stores: Stores<'_>,
    id: &StrBytes,
    producer: Producer,
) -> Result<Transaction, ResponseError> {
    check(stores.groups.offsets().transaction(id), producer).cloned()
}

pub(super) fn check(
    known: Option<&Transaction>,
    (producer_id, epoch): Producer,
) -> Result<&Transaction, ResponseError> {
    let known = known
        .filter(|known| known.producer_id == producer_id)
        .ok_or(ResponseError::InvalidProducerIdMapping)?;
    if known.epoch == epoch {
        Ok(known)
    } else {
        Err(ResponseError::ProducerFenced)
    }
}

pub(super) fn find(stores: Stores<'_>, topic: &StrBytes, index: i32) -> Option<(Arc<Topic>, Arc<Partition>)> {
    let topic = stores.topics.by_name(topic)?;
    let partition = Arc::clone(topic.partition(index)?);
    (!partition.is_retired()).then_some((topic, partition))
}

pub(super) fn new_producer_id(stores: Stores<'_>) -> Result<i64, ResponseError> {
    stores.topics.next_producer_id().map_err(|error| {
        tracing::error!(%error, "cannot reserve producer ids");
        ResponseError::CoordinatorNotAvailable
    })
}

pub(super) fn write_down(stores: Stores<'_>, id: &StrBytes, change: Change) -> Result<(), ResponseError> {
    stores.groups.change_transaction(id, change).map_err(|error| {
        tracing::error!(transaction = ?id, %error, "cannot write down a change of a transaction");
        ResponseError::CoordinatorNotAvailable
    })
}

/// Brings the journal to the disk.
pub(super) fn sync(stores: Stores<'_>) -> Result<(), ResponseError> {
    stores.groups.flush().map_err(|error| {
        tracing::error!(%error, "cannot bring transactions to the disk");
        ResponseError::CoordinatorNotAvailable
    })
}
