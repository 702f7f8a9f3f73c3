//! How transactions end: a decision that is synced first, the markers that follow from it, and who their producer is from
//! then on.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::journal::{find, known, new_producer_id, sync, write_down};
use super::recovery::{recover_id, settle_now};
use super::{Ended, Gate, LAST_EPOCH, MAX_DECISIONS, Producer, Protocol, Stores, Transactions, lock};
use crate::groups::transaction::{Change, Transaction};
use crate::storage::batch::marker::Outcome;
use crate::topics::partition::Partition;

impl Transactions {
    /// Ends a transaction.
    pub(crate) fn end(
        &self,
        stores: Stores<'_>,
        (id, producer): (&StrBytes, Producer),
        (outcome, protocol): (Outcome, Protocol),
        now_ms: i64,
    ) -> Result<Ended, ResponseError> {
        let gate = self.gate_of(stores, id)?;
        let mut gate = lock(&gate);
        let marked = self.finish(stores, id, &mut gate, now_ms)?;
        if protocol == Protocol::Two {
            let of = (id, producer);
            return self.end_with_epoch(stores, of, &mut gate, (outcome, marked), now_ms);
        }
        let known = known(stores, id, producer)?;
        if known.started_ms.is_some() {
            let marked = self.decide(stores, id, &mut gate, outcome, Fence::Nobody, now_ms)?;
            return Ok(Ended { marked, producer });
        }
        // Asked for once more, because the answer was lost.
        if known.outcome == Some(outcome) {
            return Ok(Ended { marked, producer });
        }
        Err(ResponseError::InvalidTxnState)
    }

    /// Ends a transaction of the second protocol: its producer goes on with another epoch.
    fn end_with_epoch(
        &self,
        stores: Stores<'_>,
        (id, (producer_id, epoch)): (&StrBytes, Producer),
        gate: &mut Gate,
        (outcome, mut marked): (Outcome, Vec<Arc<Partition>>),
        now_ms: i64,
    ) -> Result<Ended, ResponseError> {
        let known = stores.groups.transaction(id);
        let known = known.ok_or(ResponseError::InvalidProducerIdMapping)?;
        let is_open = known.started_ms.is_some();
        let was_last = (known.previous_id, known.epoch, epoch) == (Some(producer_id), 0, LAST_EPOCH);
        if was_last && !is_open && known.outcome == Some(outcome) {
            // Asked for once more by who does not know its new number yet.
            sync(stores)?;
        } else if known.producer_id != producer_id {
            return Err(ResponseError::InvalidProducerIdMapping);
        } else if known.epoch == epoch {
            match outcome {
                _ if is_open => {
                    marked = self.decide(stores, id, gate, outcome, Fence::Producer, now_ms)?;
                }
                // Nothing was sent that came here. Something may be on its way, which must not begin another one.
                Outcome::Abort => give_up(stores, id, &known, now_ms)?,
                Outcome::Commit => return Err(ResponseError::InvalidTxnState),
            }
        } else if is_open || (known.previous_epoch, known.outcome) != (Some(epoch), Some(outcome)) {
            return Err(ResponseError::ProducerFenced);
        } else {
            // Asked for once more, because the answer was lost, or the sync has failed.
            sync(stores)?;
        }
        gate.unsure = false;
        let producer = renewed(stores, id, now_ms)?;
        Ok(Ended { marked, producer })
    }

    /// Decides how an open transaction ends, for good, and marks it in its partitions.
    pub(super) fn decide(
        &self,
        stores: Stores<'_>,
        id: &StrBytes,
        gate: &mut Gate,
        outcome: Outcome,
        fence: Fence,
        now_ms: i64,
    ) -> Result<Vec<Arc<Partition>>, ResponseError> {
        self.finish(stores, id, gate, now_ms)?;
        let known = stores
            .groups
            .transaction(id)
            .ok_or(ResponseError::InvalidProducerIdMapping)?;
        if known.decisions.len() >= MAX_DECISIONS {
            settle_now(stores, id, &known)?;
        }
        let ends = known.partitions.iter().filter_map(|(topic, index)| {
            let found = stores.topics.by_name(topic)?;
            let end = found.partition(*index)?.bounds().end;
            Some((topic.to_string(), *index, end))
        });
        let (epoch, previous) = match fence {
            Fence::Nobody => (known.epoch, known.previous_epoch),
            Fence::Producer => (known.epoch.saturating_add(1), Some(known.epoch)),
        };
        let change = Change::Decide {
            producer_id: known.producer_id,
            outcome,
            epoch,
            previous,
            ends: ends.collect(),
            at: now_ms,
        };
        write_down(stores, id, change)?;
        gate.unmarked = true;
        sync(stores)?;
        self.finish(stores, id, gate, now_ms)
    }

    /// Does what was left to be done for an id: ends what is open of what was decided, and aborts what may have lost a
    /// part. The partitions that markers of the last decision went to.
    pub(super) fn finish(
        &self,
        stores: Stores<'_>,
        id: &StrBytes,
        gate: &mut Gate,
        now_ms: i64,
    ) -> Result<Vec<Arc<Partition>>, ResponseError> {
        if !gate.owes() {
            return Ok(Vec::new());
        }
        // Should the sync have failed, nothing is marked before it has succeeded.
        sync(stores)?;
        if gate.unrecovered {
            recover_id(stores, id, now_ms)?;
            gate.unrecovered = false;
        }
        let Some(known) = stores.groups.transaction(id) else {
            return Ok(Vec::new());
        };
        let mut marked = Vec::new();
        if gate.unmarked
            && let Some(decision) = known.decisions.last()
        {
            for (topic, index) in decision.ends.keys() {
                let Some((topic, partition)) = find(stores, topic, *index) else {
                    continue;
                };
                let producer = (decision.producer_id, known.epoch);
                let ended =
                    partition.end_transaction(producer, decision.outcome, now_ms, topic.settings.log());
                match ended {
                    Ok(true) => marked.push(partition),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(transaction = ?id, topic = %topic.name, partition = index, %error, "cannot mark the end of a transaction; it is tried again");
                        return Err(ResponseError::ConcurrentTransactions);
                    }
                }
            }
        }
        gate.unmarked = false;
        if std::mem::take(&mut gate.doomed) && known.started_ms.is_some() {
            let aborted = self.decide(stores, id, gate, Outcome::Abort, Fence::Producer, now_ms);
            gate.doomed = aborted.is_err();
            marked.extend(aborted?);
        }
        Ok(marked)
    }
}

/// Who the producer of an id is, after its epoch grew: one with another number where it has had its last.
pub(super) fn renewed(stores: Stores<'_>, id: &StrBytes, now_ms: i64) -> Result<Producer, ResponseError> {
    let known = stores.groups.transaction(id);
    let known = known.ok_or(ResponseError::InvalidProducerIdMapping)?;
    if known.epoch <= LAST_EPOCH {
        return Ok((known.producer_id, known.epoch));
    }
    let producer_id = new_producer_id(stores)?;
    let change = Change::Init {
        producer_id,
        epoch: 0,
        previous: None,
        previous_id: Some(known.producer_id),
        timeout_ms: known.timeout_ms,
        outcome: known.outcome,
        at: now_ms,
    };
    write_down(stores, id, change)?;
    sync(stores)?;
    Ok((producer_id, 0))
}

/// Aborts what is not open, as far as is known: what is still on its way, or was lost, is none of the next transaction.
pub(super) fn give_up(
    stores: Stores<'_>,
    id: &StrBytes,
    known: &Transaction,
    now_ms: i64,
) -> Result<(), ResponseError> {
    let change = Change::Init {
        producer_id: known.producer_id,
        epoch: known.epoch.saturating_add(1),
        previous: Some(known.epoch),
        previous_id: None,
        timeout_ms: known.timeout_ms,
        outcome: Some(Outcome::Abort),
        at: now_ms,
    };
    write_down(stores, id, change)?;
    sync(stores)
}

/// Whether the producer of a transaction is shut out with its end, but for who learns of its next epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fence {
    Nobody,
    Producer,
}
