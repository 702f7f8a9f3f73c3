//! Transactions: batches in several partitions and offsets of groups that count together or not at all (KIP-98).
//!
//! A transaction is decided by one entry in the journal of offsets: what it commits of groups is in force with that
//! entry, and the markers in the partitions follow from it. The entry is synced before a marker is written, under every
//! flush policy, so that no power cut leaves one partition committed and another aborted. It is remembered until the
//! markers are on the disk as well: a new broker writes those that are missing. What was not decided when the machine
//! went down is aborted, for part of it may be lost; when only the broker went down, it goes on. Of the second protocol
//! (KIP-890), whose transactions begin with a batch, even the beginning may be lost: what comes first is refused then.
//!
//! Whatever is done for a transactional id is done one after the other, appending its batches included: so nothing gets
//! into a transaction that is over.

mod ending;
mod expiry;
mod journal;
mod recovery;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::Notify;

use self::ending::{Fence, give_up, renewed};
use self::journal::{check, known, new_producer_id, sync, write_down};
use crate::groups::Coordinator;
use crate::groups::offsets::{Committed, TopicPartition, entry_offset};
use crate::groups::transaction::{Change, Transaction, texts};
use crate::storage::batch::marker::Outcome;
use crate::topics::Topics;
use crate::topics::partition::Partition;

/// The longest time-out a producer may ask for; Kafka's own.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// An id that was not used for so long is forgotten; Kafka's own.
pub(crate) const EXPIRY: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Ids known at a time; of more, the one unused for the longest is forgotten.
const MAX_IDS: usize = 10_000;
/// Bytes of a transactional id, and of a group whose offsets a transaction commits; longer ones are refused.
const MAX_NAME_BYTES: usize = 1024;
/// Groups whose offsets one transaction may commit.
const MAX_GROUPS: usize = 1_000;
/// Decisions remembered until their markers are on the disk; with more, that is seen to at once.
const MAX_DECISIONS: usize = 32;
/// Markers that could not be written are tried again after this long, in milliseconds.
const RETRY_MS: i64 = 1_000;
/// Epochs end here; then the producer gets another id.
const LAST_EPOCH: i16 = i16::MAX - 1;

/// A producer: its id and its epoch.
pub(crate) type Producer = (i64, i16);

/// How a client and the broker speak of transactions, which is told by the versions of their requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// The client says which partitions and groups belong to a transaction, and keeps its epoch (KIP-98).
    One,
    /// They belong to it from the first batch or offset on, and with each end the producer gets another epoch, so that
    /// what comes late is none of the next transaction (KIP-890).
    Two,
}

impl Protocol {
    /// What Kafka calls the feature that says which one is spoken.
    pub(crate) const FEATURE: &'static str = "transaction.version";
    /// The largest version of that feature.
    pub(crate) const LATEST: i16 = 2;

    /// By the version of a request, of which clients of the second protocol send at least this one.
    pub(crate) fn of(version: i16, two_since: i16) -> Self {
        match version < two_since {
            true => Self::One,
            false => Self::Two,
        }
    }
}

/// What came of a transaction's end.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The partitions that were written to.
    pub(crate) marked: Vec<Arc<Partition>>,
    /// Who the producer is from now on.
    pub(crate) producer: Producer,
}

/// What transactions are about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stores<'a> {
    /// The partitions.
    pub(crate) topics: &'a Topics,
    /// The groups, and the journal of both their offsets and the transactions.
    pub(crate) groups: &'a Coordinator,
}

/// Whether what was written before may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    /// The machine has run on.
    Broker,
    /// The machine was started anew.
    Machine,
}

/// Where the transactions of a broker are seen to.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    gates: Mutex<HashMap<StrBytes, Arc<Mutex<Gate>>>>,
    /// Called when a transaction was begun, whose time may be over first.
    pub(crate) begun: Notify,
}

/// Held while something is done for an id.
#[derive(Debug, Default)]
struct Gate {
    /// Whether markers of the last decision are missing.
    unmarked: bool,
    /// Whether something was left open in partitions at the start that could not be ended then.
    unrecovered: bool,
    /// Whether the open transaction may have lost a part with the machine and could not be aborted at the start.
    doomed: bool,
    /// Whether none was open when the machine was started anew, as far as is known: that one had begun may have been lost.
    unsure: bool,
}

impl Gate {
    /// What joins a transaction by itself, the first time since the machine was started anew, may be the rest of one whose
    /// beginning was lost: its producer has to abort it, and learns of its next epoch then.
    fn be_sure(
        &mut self,
        stores: Stores<'_>,
        (id, known): (&StrBytes, &Transaction),
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        if !self.unsure || known.started_ms.is_some() {
            return Ok(());
        }
        give_up(stores, id, known, now_ms)?;
        self.unsure = false;
        Err(ResponseError::TransactionAbortable)
    }

    /// Whether something is to be done for the id before anything else.
    fn owes(&self) -> bool {
        self.unmarked || self.unrecovered || self.doomed
    }

    /// Whether it knows something that stands nowhere else.
    fn is_needed(&self) -> bool {
        self.owes() || self.unsure
    }
}

impl Transactions {
    /// A producer takes an id over; what it had open is aborted. The producer's new number.
    ///
    /// `current` is what the producer believes to be, when it goes on after an error.
    pub(crate) fn init(
        &self,
        stores: Stores<'_>,
        id: &StrBytes,
        timeout_ms: i32,
        current: Option<Producer>,
        now_ms: i64,
    ) -> Result<Producer, ResponseError> {
        let longest = i32::try_from(MAX_TIMEOUT.as_millis()).unwrap_or(i32::MAX);
        if !(1..=longest).contains(&timeout_ms) {
            return Err(ResponseError::InvalidTransactionTimeout);
        }
        if id.len() > MAX_NAME_BYTES {
            return Err(ResponseError::InvalidRequest);
        }
        let gate = self.gate(id);
        let mut gate = lock(&gate);
        self.finish(stores, id, &mut gate, now_ms)?;
        let mut outcome = None;
        let mut previous = current.map(|(_, epoch)| epoch);
        let producer = match stores.groups.transaction(id) {
            // Whatever it says it goes on with, as Kafka has it: its id was forgotten, or it never had one.
            None => {
                previous = None;
                self.make_room(stores)?;
                (new_producer_id(stores)?, 0)
            }
            Some(known) => {
                if let Some((producer_id, epoch)) = current {
                    let asks_again = known.previous_epoch == Some(epoch) && known.started_ms.is_none();
                    if producer_id == known.producer_id && asks_again {
                        return renewed(stores, id, now_ms);
                    }
                    if (producer_id, epoch) != (known.producer_id, known.epoch) {
                        return Err(ResponseError::ProducerFenced);
                    }
                }
                outcome = known.outcome;
                if known.started_ms.is_some() {
                    outcome = Some(Outcome::Abort);
                    self.decide(stores, id, &mut gate, Outcome::Abort, Fence::Producer, now_ms)?;
                }
                if known.epoch >= LAST_EPOCH {
                    (new_producer_id(stores)?, 0)
                } else {
                    (known.producer_id, known.epoch + 1)
                }
            }
        };
        let change = Change::Init {
            producer_id: producer.0,
            epoch: producer.1,
            previous,
            timeout_ms,
            previous_id: None,
            outcome,
            at: now_ms,
        };
        write_down(stores, id, change)?;
        // A producer that was fenced must not come back with the power.
        sync(stores)?;
        gate.unsure = false;
        Ok(producer)
    }

    /// Partitions and groups join a transaction, which begins with the first.
    pub(crate) fn add(
        &self,
        stores: Stores<'_>,
        (id, producer): (&StrBytes, Producer),
        partitions: &[TopicPartition],
        groups: &[StrBytes],
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        if groups.iter().any(|group| group.len() > MAX_NAME_BYTES) {
            return Err(ResponseError::InvalidGroupId);
        }
        let gate = self.gate_of(stores, id)?;
        let mut gate = lock(&gate);
        self.finish(stores, id, &mut gate, now_ms)?;
        let known = known(stores, id, producer)?;
        // Only what is new is written down, however often it is named.
        let partitions: BTreeSet<&TopicPartition> = partitions
            .iter()
            .filter(|found| !known.partitions.contains(*found))
            .collect();
        let groups: BTreeSet<&StrBytes> = groups
            .iter()
            .filter(|found| !known.groups.contains(*found))
            .collect();
        if partitions.is_empty() && groups.is_empty() {
            return Ok(());
        }
        self.join(stores, (id, &known), partitions, groups, now_ms)
    }

    /// Writes down what is new in a transaction, which begins with it if none is open.
    fn join<'a>(
        &self,
        stores: Stores<'_>,
        (id, known): (&StrBytes, &Transaction),
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
        groups: BTreeSet<&StrBytes>,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        if known.groups.len() + groups.len() > MAX_GROUPS {
            return Err(ResponseError::InvalidRequest);
        }
        let change = Change::Add {
            partitions: texts(partitions),
            groups: groups.into_iter().map(ToString::to_string).collect(),
            at: now_ms,
        };
        write_down(stores, id, change)?;
        if known.started_ms.is_none() {
            self.begun.notify_one();
        }
        Ok(())
    }

    /// Does something to a partition of an open transaction, which cannot end meanwhile; blocks on the disk while
    /// another request for the id does.
    pub(crate) fn within<T>(
        &self,
        stores: Stores<'_>,
        (id, producer): (&StrBytes, Producer),
        (partition, protocol): (&TopicPartition, Protocol),
        now_ms: i64,
        act: impl FnOnce() -> T,
    ) -> Result<T, ResponseError> {
        let gate = self.gate_of(stores, id)?;
        let mut gate = lock(&gate);
        self.finish(stores, id, &mut gate, now_ms)?;
        let belongs = {
            let offsets = stores.groups.offsets();
            let known = check(offsets.transaction(id), producer)?;
            known.partitions.contains(partition)
        };
        match protocol {
            _ if belongs => {}
            Protocol::One => return Err(ResponseError::InvalidTxnState),
            Protocol::Two => {
                let known = known(stores, id, producer)?;
                gate.be_sure(stores, (id, &known), now_ms)?;
                self.join(stores, (id, &known), [partition], BTreeSet::new(), now_ms)?;
            }
        }
        Ok(act())
    }

    /// Offsets of a group that are committed with the transaction.
    pub(crate) fn commit_offsets(
        &self,
        stores: Stores<'_>,
        (id, producer): (&StrBytes, Producer),
        (group, protocol): (&StrBytes, Protocol),
        offsets: &[(TopicPartition, Committed)],
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        if group.is_empty() || group.len() > MAX_NAME_BYTES {
            return Err(ResponseError::InvalidGroupId);
        }
        let gate = self.gate_of(stores, id)?;
        let mut gate = lock(&gate);
        self.finish(stores, id, &mut gate, now_ms)?;
        let known = known(stores, id, producer)?;
        match protocol {
            _ if known.groups.contains(group) => {}
            Protocol::One => return Err(ResponseError::InvalidTxnState),
            Protocol::Two => {
                gate.be_sure(stores, (id, &known), now_ms)?;
                self.join(stores, (id, &known), [], BTreeSet::from([group]), now_ms)?;
            }
        }
        let offsets = offsets.iter();
        let change = Change::Offsets {
            group: group.to_string(),
            at: now_ms,
            offsets: offsets
                .map(|(partition, committed)| entry_offset(partition, committed))
                .collect(),
        };
        write_down(stores, id, change)
    }

    /// The gate of an id that is known; of others none is made.
    fn gate_of(&self, stores: Stores<'_>, id: &StrBytes) -> Result<Arc<Mutex<Gate>>, ResponseError> {
        if stores.groups.offsets().transaction(id).is_none() {
            return Err(ResponseError::InvalidProducerIdMapping);
        }
        Ok(self.gate(id))
    }

    fn gate(&self, id: &StrBytes) -> Arc<Mutex<Gate>> {
        let mut gates = self.gates();
        if let Some(gate) = gates.get(id) {
            return Arc::clone(gate);
        }
        // Those that nobody holds and that know nothing can be made anew.
        if gates.len() >= 2 * MAX_IDS {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1 || lock(gate).is_needed());
        }
        // A copy: the id may be a part of a whole request.
        let id = StrBytes::from_string(id.to_string());
        Arc::clone(gates.entry(id).or_default())
    }

    fn gates(&self) -> MutexGuard<'_, HashMap<StrBytes, Arc<Mutex<Gate>>>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(gate: &Mutex<Gate>) -> MutexGuard<'_, Gate> {
    gate.lock().unwrap_or_else(PoisonError::into_inner)
}
