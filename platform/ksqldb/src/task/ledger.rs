//! What a task has done that is not committed, and in which order it becomes safe.
//!
//! First the output of the records before a position is acknowledged, then the position is committed, and only when
//! that is confirmed do the changelogs learn which windows have become too old: a restart from an earlier position
//! needs these windows still, and a commit that was sent may be lost.
//!
//! Knows no broker: it is told what happened there.

use super::StoreChange;

/// The records since the last commit, for positions of whatever kind.
#[derive(Debug)]
pub struct Ledger<P> {
    records: u64,
    expired: Vec<StoreChange>,
    closing: Option<Closing<P>>,
}

/// What a commit under way is about.
#[derive(Debug)]
struct Closing<P> {
    positions: P,
    records: u64,
    expired: Vec<StoreChange>,
}

impl<P> Default for Ledger<P> {
    fn default() -> Self {
        Self {
            records: 0,
            expired: Vec::new(),
            closing: None,
        }
    }
}

impl<P> Ledger<P> {
    /// Notes that a record was processed, and what the changelogs are to be told for it after the commit.
    pub fn add(&mut self, expired: &mut Vec<StoreChange>) {
        self.records += 1;
        self.expired.append(expired);
    }

    /// How many records were processed since positions to commit were last taken.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How many windows the changelogs have not been told of.
    pub fn expired(&self) -> usize {
        self.expired.len()
    }

    /// The positions that are to be committed once the output is acknowledged, where a commit is under way.
    pub fn closing(&self) -> Option<&P> {
        self.closing.as_ref().map(|closing| &closing.positions)
    }

    /// Begins a commit of everything so far. One that is under way is given up for it.
    pub fn close(&mut self, positions: P) {
        self.refuse();
        self.closing = Some(Closing {
            positions,
            records: std::mem::take(&mut self.records),
            expired: std::mem::take(&mut self.expired),
        });
    }

    /// The commit is confirmed. Returns what the changelogs are to be told now.
    pub fn confirm(&mut self) -> Vec<StoreChange> {
        self.closing
            .take()
            .map_or_else(Vec::new, |closing| closing.expired)
    }

    /// The commit did not come about: the next one is about the same and more.
    pub fn refuse(&mut self) {
        let Some(mut closing) = self.closing.take() else {
            return;
        };
        closing.expired.append(&mut self.expired);
        self.expired = closing.expired;
        self.records += closing.records;
    }
}
