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
