//! Transactions after a restart, and how long a decision has to be remembered for that.

use std::collections::HashMap;

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::journal::{find, sync, write_down};
use super::{Restart, Stores, Transactions, lock};
use crate::groups::offsets::TopicPartition;
use crate::groups::transaction::{Change, Decision, Transaction};
use crate::storage::batch::marker::Outcome;
use crate::storage::log::{AppendError, CheckpointWhen};
use crate::topics::Topic;
use crate::topics::partition::Partition;

impl Transactions {
    /// Ends in the partitions what was decided before, and what nobody can decide any more. Whether all of it is done.
    ///
    /// What cannot be ended now is, for an id that is known, before anything else is done for that.
    pub(crate) fn recover(&self, stores: Stores<'_>, restart: Restart, now_ms: i64) -> bool {
        let known = stores.groups.transactions();
        // A decision may have been written by a process that was killed before it could sync it.
        if !known.is_empty()
            && let Err(code) = sync(stores)
        {
            tracing::error!(%code, "transactions stay open until the broker is started again");
            return false;
        }
        let mut all = true;
        let mut owners: HashMap<i64, &(StrBytes, Transaction)> = HashMap::new();
        for owner in &known {
            owners.insert(owner.1.producer_id, owner);
            for decision in &owner.1.decisions {
                owners.entry(decision.producer_id).or_insert(owner);
            }
        }
        for topic in stores.topics.all() {
            for (partition, index) in topic.partitions.iter().zip(0..) {
                let place = (topic.name.clone(), index);
                for (producer_id, first) in partition.open_transactions() {
                    let owner = owners.get(&producer_id).copied();
                    let known = owner.map(|(_, known)| known);
                    let left = Left { producer_id, first };
                    if let Err(error) = left.end(known, (&topic, &place, partition), restart, now_ms) {
                        all = false;
                        tracing::error!(topic = %topic.name, partition = index, %error, "cannot end a transaction; consumers of what is committed wait");
                        if let Some((id, _)) = owner {
                            lock(&self.gate(id)).unrecovered = true;
                        }
                    }
                }
            }
        }
        if restart == Restart::Broker {
            return all;
        }
        // Offsets that were lost are given out again: what was decided about them must not be taken for those.
        for (id, known) in known.iter().filter(|(_, known)| !known.decisions.is_empty()) {
            let gate = self.gate(id);
            let mut gate = lock(&gate);
            if gate.unrecovered {
                continue;
            }
            let settled = settle_now(stores, id, known).and_then(|()| sync(stores));
            if let Err(code) = settled {
                all = false;
                gate.unrecovered = true;
                tracing::error!(transaction = ?id, %code, "cannot settle a transaction; it is tried again");
            }
        }
        for (id, known) in &known {
            if known.started_ms.is_none() {
                lock(&self.gate(id)).unsure = true;
                continue;
            }
            tracing::info!(transaction = ?id, "the machine was started anew: a transaction that was open is aborted");
            let gate = self.gate(id);
            let mut gate = lock(&gate);
            gate.doomed = true;
            if let Err(code) = self.finish(stores, id, &mut gate, now_ms) {
                all = false;
                tracing::error!(transaction = ?id, %code, "cannot abort a transaction; it is tried again");
            }
        }
        all
    }

    /// Decisions whose markers are all written, by id: to be settled once those are on the disk itself.
    pub(crate) fn marked(&self, stores: Stores<'_>) -> Vec<(StrBytes, Vec<Decision>)> {
        let decided = stores.groups.transactions().into_iter();
        decided
            .filter(|(_, known)| !known.decisions.is_empty())
            .filter_map(|(id, _)| {
                let gate = self.gate(&id);
                let gate = lock(&gate);
                let decisions = stores.groups.transaction(&id)?.decisions;
                let is_marked = !gate.owes() && !decisions.is_empty();
                is_marked.then_some((id, decisions))
            })
            .collect()
    }

    /// Forgets decisions whose markers are on the disk itself.
    pub(crate) fn settle(&self, stores: Stores<'_>, marked: Vec<(StrBytes, Vec<Decision>)>) {
        for (id, decisions) in marked {
            let gate = self.gate(&id);
            let _gate = lock(&gate);
            // Others may be in their place by now: somebody else has settled them.
            let is_same = stores
                .groups
                .offsets()
                .transaction(&id)
                .is_some_and(|known| known.decisions.starts_with(&decisions));
            if is_same {
                let decisions = decisions.len();
                // Kept, they would only be looked at once more.
                let _ = write_down(stores, &id, Change::Settle { decisions });
            }
        }
    }
}

/// A transaction found open in a partition.
struct Left {
    producer_id: i64,
    /// Offset of its first record.
    first: i64,
}

impl Left {
    /// Ends it as it was decided, or aborts it; unless it goes on.
    fn end(
        &self,
        owner: Option<&Transaction>,
        (topic, place, partition): (&Topic, &TopicPartition, &Partition),
        restart: Restart,
        now_ms: i64,
    ) -> Result<(), AppendError> {
        let &Self { producer_id, first } = self;
        let decided = owner.and_then(|owner| owner.outcome_of(producer_id, place, first));
        let goes_on = restart == Restart::Broker
            && owner
                .is_some_and(|owner| owner.producer_id == producer_id && owner.partitions.contains(place));
        if decided.is_none() && goes_on {
            return Ok(());
        }
        let producer = (producer_id, partition.epoch_of(producer_id));
        let outcome = decided.unwrap_or(Outcome::Abort);
        partition.end_transaction(producer, outcome, now_ms, topic.settings.log())?;
        // Of what nobody knew, only the marker tells how it has ended: were it lost, the end of the producer's next
        // transaction would be taken for this one's. A partition that cannot be synced takes nothing more.
        let _ = partition.flush(CheckpointWhen::Never);
        Ok(())
    }
}

/// Does for one id what could not be done at the start. What it has open itself goes on, or is aborted by its decision.
pub(super) fn recover_id(stores: Stores<'_>, id: &StrBytes, now_ms: i64) -> Result<(), ResponseError> {
    let Some(known) = stores.groups.transaction(id) else {
        return Ok(());
    };
    for topic in stores.topics.all() {
        for (partition, index) in topic.partitions.iter().zip(0..) {
            let place = (topic.name.clone(), index);
            for (producer_id, first) in partition.open_transactions() {
                let is_ours = producer_id == known.producer_id
                    || known
                        .decisions
                        .iter()
                        .any(|decision| decision.producer_id == producer_id);
                if !is_ours || partition.is_retired() {
                    continue;
                }
                let left = Left { producer_id, first };
                let place = (&*topic, &place, &**partition);
                left.end(Some(&known), place, Restart::Broker, now_ms)
                    .map_err(|_| ResponseError::ConcurrentTransactions)?;
            }
        }
    }
    settle_now(stores, id, &known)?;
    sync(stores)
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
    if decisions == 0 {
        return Ok(());
    }
    write_down(stores, id, Change::Settle { decisions })
}
