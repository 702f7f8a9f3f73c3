//! Transactions after a restart, and how long a decision has to be remembered for that.

use std::collections::HashMap;

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::journal::{find, sync, write_down};
use super::{Fence, Restart, Stores, Transactions, lock};
use crate::groups::offsets::TopicPartition;
use crate::groups::transaction::{Change, Transaction};
use crate::storage::batch::marker::Outcome;
use crate::storage::log::CheckpointWhen;

impl Transactions {
    /// Ends in the partitions what was decided before, and what nobody can decide any more.
    pub(crate) fn recover(&self, stores: Stores<'_>, restart: Restart, now_ms: i64) {
        let known = stores.groups.transactions();
        // A decision may have been written by a process that was killed before it could sync it.
        if !known.is_empty()
            && let Err(code) = sync(stores)
        {
            tracing::error!(%code, "transactions stay open until the broker is started again");
            return;
        }
        let mut owners: HashMap<i64, &(StrBytes, Transaction)> = HashMap::new();
        for owner in &known {
            owners.insert(owner.1.producer_id, owner);
            for decision in &owner.1.decisions {
                owners.entry(decision.producer_id).or_insert(owner);
            }
        }
        for topic in stores.topics.all() {
            for (partition, index) in topic.partitions.iter().zip(0..) {
                for (producer_id, first) in partition.open_transactions() {
                    let place = (topic.name.clone(), index);
                    let owner = owners.get(&producer_id).map(|owner| &owner.1);
                    let decided = owner.and_then(|owner| owner.outcome_of(producer_id, &place, first));
                    let goes_on = restart == Restart::Broker
                        && owner.is_some_and(|owner| {
                            owner.producer_id == producer_id && owner.partitions.contains(&place)
                        });
                    if decided.is_none() && goes_on {
                        continue;
                    }
                    let epoch = partition.epoch_of(producer_id);
                    let outcome = decided.unwrap_or(Outcome::Abort);
                    let settings = topic.settings.log();
                    let ended = partition.end_transaction((producer_id, epoch), outcome, now_ms, settings);
                    if let Err(error) = ended {
                        tracing::error!(topic = %topic.name, partition = index, %error, "cannot end a transaction; consumers of what is committed wait until the broker is started again");
                    } else {
                        // Of what nobody knew, only the marker tells how it has ended: were it lost, the end of the
                        // producer's next transaction would be taken for this one's. A partition that cannot be
                        // synced takes nothing more.
                        let _ = partition.flush(CheckpointWhen::Never);
                    }
                }
            }
        }
        if restart == Restart::Broker {
            return;
        }
        // Offsets that were lost are given out again: what was decided about them must not be taken for those.
        for (id, known) in known.iter().filter(|(_, known)| !known.decisions.is_empty()) {
            let settled = settle_now(stores, id, known).and_then(|()| sync(stores));
            if let Err(code) = settled {
                tracing::error!(transaction = ?id, %code, "cannot settle a transaction");
            }
        }
        for (id, known) in &known {
            if known.started_ms.is_none() {
                continue;
            }
            tracing::info!(transaction = ?id, "the machine was started anew: a transaction that was open is aborted");
            let gate = self.gate(id);
            let mut gate = lock(&gate);
            if let Err(code) = self.decide(stores, id, &mut gate, Outcome::Abort, Fence::Producer, now_ms) {
                tracing::error!(transaction = ?id, %code, "cannot abort a transaction");
            }
        }
    }

    /// Decisions whose markers are all written, by id: to be settled once those are on the disk itself.
    pub(crate) fn marked(&self, stores: Stores<'_>) -> Vec<(StrBytes, usize)> {
        let decided = stores.groups.transactions().into_iter();
        decided
            .filter(|(_, known)| !known.decisions.is_empty())
            .filter_map(|(id, _)| {
                let gate = self.gate(&id);
                let gate = lock(&gate);
                let decisions = stores.groups.transaction(&id)?.decisions.len();
                let marked = decisions - usize::from(gate.unmarked).min(decisions);
                (marked > 0).then_some((id, marked))
            })
            .collect()
    }

    /// Forgets decisions whose markers are on the disk itself.
    pub(crate) fn settle(&self, stores: Stores<'_>, marked: Vec<(StrBytes, usize)>) {
        for (id, decisions) in marked {
            // Kept, they would only be looked at once more.
            let _ = write_down(stores, &id, Change::Settle { decisions });
        }
    }
}

/// Brings the markers of all decisions of an id to the disk, so that they can be forgotten.
pub(super) fn settle_now(
    stores: Stores<'_>,
    id: &StrBytes,
    known: &Transaction,
) -> Result<(), ResponseError> {
    let mut places: Vec<&TopicPartition> = known
        .decisions
        .iter()
        .flat_map(|decision| decision.ends.keys())
        .collect();
    places.sort_unstable();
    places.dedup();
    for (topic, index) in places {
        if let Some((_, partition)) = find(stores, topic, *index) {
            let flushed = partition.flush(CheckpointWhen::Never);
            flushed.map_err(|_| ResponseError::CoordinatorNotAvailable)?;
        }
    }
    let decisions = known.decisions.len();
    write_down(stores, id, Change::Settle { decisions })
}
