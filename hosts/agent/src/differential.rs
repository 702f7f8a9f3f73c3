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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RUN: RunIdentity<'static> = RunIdentity {
        name: "q",
        sql: "select 1",
        epoch: 0,
    };
    const ALL: Acknowledged = Acknowledged {
        removed: usize::MAX,
        added: usize::MAX,
    };

    fn row(number: u8) -> EncodedRow {
        EncodedRow::from_bytes(format!("{{\"n\":\"{number}\"}}").into_bytes())
    }

    fn rows(numbers: &[u8]) -> Vec<EncodedRow> {
        numbers.iter().map(|&number| row(number)).collect()
    }

    fn engine() -> Differential {
        Differential::new(ResultStore::in_memory().unwrap())
    }

    fn run(engine: &mut Differential, identity: RunIdentity<'_>, numbers: &[u8]) -> Difference {
        let difference = engine.compare(identity, rows(numbers)).unwrap();
        engine.commit(identity, &difference, ALL).unwrap();
        difference
    }

    #[test]
    fn counters_and_epochs_are_osquerys() {
        let mut engine = engine();
        let first = run(&mut engine, RUN, &[1, 2]);
        assert_eq!(
            (first.counter, first.beginning, first.added.len()),
            (0, Some(Beginning::New), 2)
        );
        let second = run(&mut engine, RUN, &[2, 3]);
        assert_eq!((second.counter, second.beginning), (1, None));
        assert_eq!((second.removed, second.added), (rows(&[1]), rows(&[3])));
        // A run without a difference does not count.
        for _ in 0..3 {
            assert_eq!(run(&mut engine, RUN, &[2, 3]).counter, 1);
        }
        assert_eq!(run(&mut engine, RUN, &[3]).counter, 2);
        let epoch = run(&mut engine, RunIdentity { epoch: 9, ..RUN }, &[2, 3]);
        assert_eq!((epoch.counter, epoch.beginning), (0, Some(Beginning::Epoch)));
        assert_eq!((epoch.removed.len(), epoch.added.len()), (0, 2));
        let sql = RunIdentity {
            epoch: 9,
            sql: "select 2",
            ..RUN
        };
        let changed = run(&mut engine, sql, &[3, 4]);
        assert_eq!((changed.counter, changed.beginning), (1, Some(Beginning::Sql)));
        assert_eq!((changed.removed, changed.added), (rows(&[2]), rows(&[4])));
        // The SQL is another one without a difference: that is remembered, and told once.
        let again = RunIdentity {
            sql: "select 3",
            ..sql
        };
        let told = run(&mut engine, again, &[3, 4]);
        assert_eq!((told.counter, told.beginning), (1, Some(Beginning::Sql)));
        assert_eq!(run(&mut engine, again, &[3, 4]).beginning, None);
    }

    #[test]
    fn events_are_counted_from_1_also_by_the_next_agent() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Differential::new(ResultStore::open(folder.path()).unwrap());
        let log = |engine: &mut Differential, epoch: u64| {
            let identity = RunIdentity { epoch, ..RUN };
            let events = engine.events(identity, rows(&[1, 1])).unwrap();
            assert_eq!((events.added.len(), events.removed.len()), (2, 0));
            engine.commit(identity, &events, Acknowledged::default()).unwrap();
            events.counter
        };
        let mut engine = open();
        assert_eq!((log(&mut engine, 0), log(&mut engine, 0)), (1, 2));
        drop(engine);
        let mut engine = open();
        assert_eq!((log(&mut engine, 0), log(&mut engine, 9)), (3, 1));
    }

    #[test]
    fn copies_of_a_row_are_counted() {
        let mut engine = engine();
        run(&mut engine, RUN, &[1, 1, 1]);
        let less = run(&mut engine, RUN, &[1]);
        assert_eq!((less.removed, less.added), (rows(&[1, 1]), rows(&[])));
        let more = run(&mut engine, RUN, &[1, 1]);
        assert_eq!((more.removed, more.added), (rows(&[]), rows(&[1])));
    }

    #[test]
    fn a_restart_goes_on_where_the_last_run_was_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Differential::new(ResultStore::open(folder.path()).unwrap());
        let mut engine = open();
        run(&mut engine, RUN, &[1, 2]);
        let cut = engine.compare(RUN, rows(&[3, 4])).unwrap();
        engine
            .commit(RUN, &cut, Acknowledged { removed: 2, added: 1 })
            .unwrap();
        drop(engine);
        let rest = run(&mut open(), RUN, &[3, 4]);
        assert_eq!((rest.counter, rest.beginning), (2, None));
        assert_eq!((rest.removed, rest.added), (rows(&[]), rows(&[4])));
        assert!(run(&mut open(), RUN, &[3, 4]).added.is_empty());
    }

    #[test]
    fn a_run_that_is_not_committed_never_was() {
        let mut engine = engine();
        run(&mut engine, RUN, &[1]);
        let lost = engine.compare(RUN, rows(&[2])).unwrap();
        assert_eq!(engine.compare(RUN, rows(&[2])).unwrap(), lost);
    }

    /// Applies a difference to a multiset.
    fn apply(old: &[EncodedRow], difference: &Difference) -> Vec<EncodedRow> {
        let mut new = old.to_vec();
        for row in &difference.removed {
            let at = new
                .iter()
                .position(|known| known == row)
                .expect("only a row that was there can go");
            new.remove(at);
        }
        new.extend(difference.added.iter().cloned());
        new.sort_unstable();
        new
    }

    proptest! {
        #[test]
        fn committing_in_parts_is_committing_at_once(
            old in prop::collection::vec(0u8..8, 0..20),
            new in prop::collection::vec(0u8..8, 0..20),
            rows_in_a_part in 1usize..6,
        ) {
            let mut engine = engine();
            run(&mut engine, RUN, &old);
            // Another epoch forgets the old rows with its first part, and with no other.
            for identity in [RUN, RunIdentity { epoch: 1, ..RUN }] {
                let difference = engine.compare(identity, rows(&new)).unwrap();
                let counter = difference.counter;
                for part in difference.into_parts(rows_in_a_part) {
                    prop_assert!(part.removed.len() + part.added.len() <= rows_in_a_part);
                    prop_assert_eq!(part.counter, counter);
                    engine.commit(identity, &part, part.whole()).unwrap();
                }
                let nothing = engine.compare(identity, rows(&new)).unwrap();
                prop_assert!(nothing.removed.is_empty() && nothing.added.is_empty());
                prop_assert_eq!(nothing.counter, counter);
            }
        }

        #[test]
        fn applying_the_difference_to_the_old_rows_gives_the_new(
            runs in prop::collection::vec(prop::collection::vec(0u8..6, 0..12), 1..6),
        ) {
            let mut engine = engine();
            let mut old = Vec::new();
            for numbers in runs {
                let difference = run(&mut engine, RUN, &numbers);
                let mut new = rows(&numbers);
                new.sort_unstable();
                prop_assert_eq!(apply(&old, &difference), new.clone());
                // Nothing comes and goes at once.
                prop_assert!(difference.removed.iter().all(|row| !difference.added.contains(row)));
                old = new;
            }
        }
    }

    proptest! {
        // Each case opens a database on disk twice.
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// A logger takes so many lines of each run and refuses the next one, as one on a full disk does; and agents come and go.
        #[test]
        fn no_row_goes_that_was_not_told_to_be_there(
            runs in prop::collection::vec(
                (prop::collection::vec(0u8..5, 0..10), 0usize..12, any::<bool>()), 1..8),
            rows_in_a_part in 1usize..6,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let open = || Differential::new(ResultStore::open(folder.path()).unwrap());
            let mut engine = Some(open());
            let mut told: HashMap<EncodedRow, i32> = HashMap::new();
            for (numbers, takes, restarts) in runs {
                let engine_now = engine.get_or_insert_with(open);
                let mut left = takes;
                for part in engine_now.compare(RUN, rows(&numbers)).unwrap().into_parts(rows_in_a_part) {
                    let mut take = |rows: &[EncodedRow], change: i32| {
                        let taken = left.min(rows.len());
                        left -= taken;
                        for row in &rows[..taken] {
                            *told.entry(row.clone()).or_default() += change;
                        }
                        taken
                    };
                    let acknowledged = Acknowledged { removed: take(&part.removed, -1), added: take(&part.added, 1) };
                    prop_assert!(told.values().all(|copies| *copies >= 0), "{told:?}");
                    if acknowledged != Acknowledged::default() || acknowledged == part.whole() {
                        engine_now.commit(RUN, &part, acknowledged).unwrap();
                    }
                    if acknowledged != part.whole() {
                        break;
                    }
                }
                if restarts {
                    engine = None;
                }
            }
            // The logger is well again: what it was told adds up to what is there.
            let engine = engine.get_or_insert_with(open);
            let last = run(engine, RUN, &[1, 1, 4]);
            for (rows, change) in [(&last.removed, -1), (&last.added, 1)] {
                for row in rows {
                    *told.entry(row.clone()).or_default() += change;
                }
            }
            told.retain(|_, copies| *copies != 0);
            prop_assert_eq!(told, HashMap::from([(row(1), 2), (row(4), 1)]));
        }

        #[test]
        fn what_was_not_acknowledged_comes_again(
            old in prop::collection::vec(0u8..5, 0..10),
            new in prop::collection::vec(0u8..5, 0..10),
            removed in 0usize..10,
            added in 0usize..10,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut engine = Differential::new(ResultStore::open(folder.path()).unwrap());
            run(&mut engine, RUN, &old);
            let cut = engine.compare(RUN, rows(&new)).unwrap();
            let acknowledged = Acknowledged { removed: removed.min(cut.removed.len()), added: added.min(cut.added.len()) };
            engine.commit(RUN, &cut, acknowledged).unwrap();
            drop(engine);
            let mut engine = Differential::new(ResultStore::open(folder.path()).unwrap());
            let rest = engine.compare(RUN, rows(&new)).unwrap();
            let sorted = |rows: &[EncodedRow]| { let mut rows = rows.to_vec(); rows.sort_unstable(); rows };
            prop_assert_eq!(sorted(&rest.removed), sorted(&cut.removed[acknowledged.removed..]));
            prop_assert_eq!(sorted(&rest.added), sorted(&cut.added[acknowledged.added..]));
        }
    }
}
