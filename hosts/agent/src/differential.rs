//! The differential engine: which rows came and which went since a query's last run, as multisets.
//!
//! A run is computed first and committed afterwards, and only as far as its lines were acknowledged by the loggers. What
//! was not acknowledged is thus found again by the next run, also by that of a restarted agent: lines may be logged twice,
//! never not at all.
//!
//! Comparing and committing stand together here, because each is right only as the other's counterpart.

use std::collections::HashMap;

use osquery_protocol::result_log::EncodedRow;

use crate::result_store::{ResultStore, RowChange, StoreError, StoredQuery};

/// The state of every query, in memory as far as it was asked for, and on disk.
#[derive(Debug)]
pub(crate) struct Differential {
    store: ResultStore,
    queries: HashMap<String, Known>,
}

/// A query's rows of the last run.
#[derive(Debug, Default)]
struct Known {
    stored: Option<StoredQuery>,
    rows: HashMap<EncodedRow, Copies>,
}

/// How often a row was there last time, and how often it has been met in the run at hand.
#[derive(Debug, Clone, Copy, Default)]
struct Copies {
    before: u32,
    now: u32,
}

/// Which query ran, and what makes its rows comparable with those of its last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunIdentity<'query> {
    pub(crate) name: &'query str,
    pub(crate) sql: &'query str,
    pub(crate) epoch: u64,
}

/// Why a run is told: nothing before it counts, or the query is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// The query was never run.
    New,
    /// The epoch is another one.
    Epoch,
    /// The SQL is another one: its rows are compared with those of the old one and the counter goes on, as in osquery.
    Sql,
}

/// The outcome of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// How many runs with a difference there were since the first one, as osquery counts them.
    pub(crate) counter: u64,
    pub(crate) beginning: Option<Beginning>,
    /// In the order of their text.
    pub(crate) removed: Vec<EncodedRow>,
    /// In the order of the run.
    pub(crate) added: Vec<EncodedRow>,
}

impl Difference {
    /// All of it.
    pub(crate) fn whole(&self) -> Acknowledged {
        Acknowledged {
            removed: self.removed.len(),
            added: self.added.len(),
        }
    }

    /// The same difference in parts of at most so many rows, to be committed one after the other. There is always one.
    pub(crate) fn into_parts(self, rows: usize) -> Vec<Self> {
        let Self {
            counter,
            beginning,
            removed,
            added,
        } = self;
        let part = |removed: &[EncodedRow], added: &[EncodedRow]| Self {
            counter,
            beginning: None,
            removed: removed.to_vec(),
            added: added.to_vec(),
        };
        if removed.len() + added.len() <= rows {
            return vec![Self {
                counter,
                beginning,
                removed,
                added,
            }];
        }
        let removed_parts = removed.chunks(rows).map(|removed| part(removed, &[]));
        let mut parts: Vec<Self> = removed_parts
            .chain(added.chunks(rows).map(|added| part(&[], added)))
            .collect();
        // Only the first part begins anything; the others go on with it.
        if let Some(first) = parts.first_mut() {
            first.beginning = beginning;
        }
        parts
    }
}

/// How much of a run's difference is to be remembered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) removed: usize,
    pub(crate) added: usize,
}

impl Differential {
    pub(crate) fn new(store: ResultStore) -> Self {
        Self {
            store,
            queries: HashMap::new(),
        }
    }

    pub(crate) fn store(&self) -> &ResultStore {
        &self.store
    }

    /// Compares a run with the one before it. Nothing is remembered yet.
    pub(crate) fn compare(
        &mut self,
        run: RunIdentity<'_>,
        rows: Vec<EncodedRow>,
    ) -> Result<Difference, StoreError> {
        let known = self.known(run.name)?;
        let beginning = match &known.stored {
            None => Some(Beginning::New),
            // Rows of version 0.1.0 hold numbers as text: compared with them, every row would look changed twice.
            Some(stored) if stored.epoch != run.epoch || !stored.numerics => Some(Beginning::Epoch),
            Some(stored) if stored.sql != run.sql => Some(Beginning::Sql),
            Some(_) => None,
        };
        if matches!(beginning, Some(Beginning::New | Beginning::Epoch)) {
            return Ok(Difference {
                counter: 0,
                beginning,
                removed: Vec::new(),
                added: rows,
            });
        }
        let counter = known.stored.as_ref().map_or(0, |stored| stored.counter);
        let mut added = Vec::new();
        for row in rows {
            match known.rows.get_mut(&row) {
                Some(copies) if copies.now < copies.before => copies.now += 1,
                _ => added.push(row),
            }
        }
        let mut removed = Vec::new();
        for (row, copies) in &mut known.rows {
            removed.extend((copies.now..copies.before).map(|_| row.clone()));
            copies.now = 0;
        }
        removed.sort_unstable();
        let is_nothing = removed.is_empty() && added.is_empty();
        Ok(Difference {
            counter: if is_nothing { counter } else { counter + 1 },
            beginning,
            removed,
            added,
        })
    }

    /// What a run of a query on events gives: all of its rows, which were never there before and are not remembered. Its
    /// counter begins with 1, because 0 says that these are all rows there are.
    pub(crate) fn events(
        &mut self,
        run: RunIdentity<'_>,
        rows: Vec<EncodedRow>,
    ) -> Result<Difference, StoreError> {
        let stored = self.known(run.name)?.stored.as_ref();
        let before = stored.filter(|stored| stored.epoch == run.epoch);
        Ok(Difference {
            counter: before.map_or(0, |stored| stored.counter) + 1,
            beginning: before.is_none().then_some(Beginning::New),
            removed: Vec::new(),
            added: rows,
        })
    }

    /// Remembers a run as far as it was acknowledged. One without a difference changes nothing on disk.
    pub(crate) fn commit(
        &mut self,
        run: RunIdentity<'_>,
        difference: &Difference,
        acknowledged: Acknowledged,
    ) -> Result<(), StoreError> {
        if difference.beginning.is_none() && difference.whole() == Acknowledged::default() {
            return Ok(());
        }
        let forget = matches!(difference.beginning, Some(Beginning::New | Beginning::Epoch));
        let known = self.known(run.name)?;
        if forget {
            known.rows.clear();
        }
        let removed = difference.removed.iter().take(acknowledged.removed);
        let added = difference.added.iter().take(acknowledged.added);
        for row in removed.clone() {
            if let Some(copies) = known.rows.get_mut(row) {
                copies.before = copies.before.saturating_sub(1);
            }
        }
        for row in added.clone() {
            known.rows.entry(row.clone()).or_default().before += 1;
        }
        let stored = StoredQuery {
            sql: run.sql.to_owned(),
            numerics: true,
            epoch: run.epoch,
            counter: difference.counter,
        };
        let copies = |row| known.rows.get(row).map_or(0, |copies: &Copies| copies.before);
        let changes: Vec<RowChange<'_>> = removed
            .chain(added)
            .map(|row| RowChange {
                row,
                copies: copies(row),
            })
            .collect();
        let saved = self.store.save(run.name, &stored, forget, &changes);
        if let Some(known) = self.queries.get_mut(run.name) {
            known.stored = Some(stored);
            known.rows.retain(|_, copies| copies.before > 0);
        }
        if saved.is_err() {
            // What is in memory is ahead of the disk; the next run must begin from the disk's state.
            self.queries.remove(run.name);
        }
        saved
    }

    /// Drops from memory what is no longer scheduled. What is on disk stays, as osquery keeps it.
    pub(crate) fn keep_only(&mut self, scheduled: impl Fn(&str) -> bool) {
        self.queries.retain(|name, _| scheduled(name));
    }

    fn known(&mut self, name: &str) -> Result<&mut Known, StoreError> {
        if !self.queries.contains_key(name) {
            let rows = self.store.rows(name)?;
            let rows = rows
                .into_iter()
                .map(|(row, before)| (row, Copies { before, now: 0 }))
                .collect();
            let stored = self.store.query(name)?;
            self.queries.insert(name.to_owned(), Known { stored, rows });
        }
        Ok(self.queries.entry(name.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests;
