//! What time does to transactions and their ids: what is open for too long is aborted, what nobody uses is forgotten.

use std::sync::{Mutex, MutexGuard, TryLockError};

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::ending::Fence;
use super::journal::write_down;
use super::{EXPIRY, Gate, MAX_IDS, RETRY_MS, Stores, Transactions, lock};
use crate::groups::transaction::{Change, Transaction};
use crate::storage::batch::marker::Outcome;

impl Transactions {
    /// Aborts what has taken too long, tries again what could not be marked, and forgets ids that nobody uses.
    ///
    /// When there is something to do next, in milliseconds since the epoch.
    pub(crate) fn expire(&self, stores: Stores<'_>, now_ms: i64) -> Option<i64> {
        let mut next = None::<i64>;
        let expiry = i64::try_from(EXPIRY.as_millis()).unwrap_or(i64::MAX);
        for (id, known) in stores.groups.transactions() {
            let is_idle = known.started_ms.is_none() && known.decisions.is_empty();
            if is_idle && known.changed_ms.saturating_add(expiry) <= now_ms {
                let gate = self.gate(&id);
                // Somebody uses it just now.
                if let Some(gate) = try_lock(&gate) {
                    let _ = self.forget(stores, &id, &known, &gate);
                }
                continue;
            }
            let gate = self.gate(&id);
            let mut gate = lock(&gate);
            let done = self.finish(stores, &id, &mut gate, now_ms).map(|_| ());
            let deadline = stores
                .groups
                .transaction(&id)
                .and_then(|known| known.deadline_ms());
            let done = match deadline {
                Some(deadline) if deadline <= now_ms => {
                    tracing::info!(transaction = ?id, "a transaction was open for too long and is aborted");
                    let aborted =
                        self.decide(stores, &id, &mut gate, Outcome::Abort, Fence::Producer, now_ms);
                    done.and(aborted.map(|_| ()))
                }
                Some(deadline) => {
                    next = Some(next.map_or(deadline, |next| next.min(deadline)));
                    done
                }
                None => done,
            };
            if done.is_err() {
                let again = now_ms.saturating_add(RETRY_MS);
                next = Some(next.map_or(again, |next| next.min(again)));
            }
        }
        next
    }

    /// Forgets an id with its gate, if nothing has changed since it was looked at.
    pub(super) fn forget(
        &self,
        stores: Stores<'_>,
        id: &StrBytes,
        seen: &Transaction,
        gate: &Gate,
    ) -> Result<bool, ResponseError> {
        let is_same = stores.groups.offsets().transaction(id) == Some(seen);
        if !is_same || gate.owes() {
            return Ok(false);
        }
        write_down(stores, id, Change::Forget)?;
        self.gates().remove(id);
        Ok(true)
    }

    /// Forgets the id unused for the longest when there are too many.
    pub(super) fn make_room(&self, stores: Stores<'_>) -> Result<(), ResponseError> {
        let mut known = stores.groups.transactions();
        if known.len() < MAX_IDS {
            return Ok(());
        }
        known.retain(|(_, known)| known.started_ms.is_none() && known.decisions.is_empty());
        known.sort_unstable_by_key(|(_, known)| known.changed_ms);
        for (id, seen) in known {
            // One that is used just now is not waited for: whoever uses it may wait for this one.
            let gate = self.gate(&id);
            let Some(gate) = try_lock(&gate) else {
                continue;
            };
            if self.forget(stores, &id, &seen, &gate)? {
                return Ok(());
            }
        }
        Err(ResponseError::CoordinatorNotAvailable)
    }
}

/// The gate, unless somebody holds it.
fn try_lock(gate: &Mutex<Gate>) -> Option<MutexGuard<'_, Gate>> {
    match gate.try_lock() {
        Ok(gate) => Some(gate),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
