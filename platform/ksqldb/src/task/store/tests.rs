use super::super::change::Bounds;
use super::*;

fn store(windows: Windows) -> Store {
    let step = StoreStep {
        name: "S".into(),
        windows,
        has_changelog: true,
        retention_ms: None,
    };
    Store::new(&step, 10_000)
}

fn count(store: &Store) -> usize {
    store.read().range(Bound::Unbounded, Bound::Unbounded).count()
}

/// Puts and removes with a context of its own; returns the failure and what went to the changelog.
fn change(
    store: &mut Store,
    what: impl FnOnce(&mut Store, &mut Context<'_>),
) -> (Option<String>, Vec<StoreChange>) {
    let (failure, collector) = collected(store, what);
    (failure, collector.changes)
}

/// The same with all that was collected.
fn collected(
    store: &mut Store,
    what: impl FnOnce(&mut Store, &mut Context<'_>),
) -> (Option<String>, super::super::Collector) {
    let mut collector = super::super::Collector::default();
    let (mut remaining, mut failure) = (None, None);
    what(
        store,
        &mut Context {
            collector: Some(&mut collector),
            remaining: &mut remaining,
            failure: &mut failure,
        },
    );
    (failure, collector)
}

#[test]
fn a_changelog_replayed_is_the_store() {
    for windows in [Windows::None, Windows::Time, Windows::Session] {
        let (mut first, mut second) = (store(windows), store(windows));
        let key = |name: &str, start: i64| {
            let window = Bounds {
                start,
                end: start + 10,
            };
            StoreKey::new(name.as_bytes(), windows, Some(window))
        };
        let (failure, changes) = change(&mut first, |store, context| {
            store.put(key("a", 0), &[Value::Integer(1)], 5, context);
            store.put(key("b", 0), &[Value::Integer(2)], 6, context);
            store.put(key("a", 0), &[Value::Integer(3)], 7, context);
            store.put(key("ab", 20), &[Value::Integer(4)], 8, context);
            store.remove(&key("b", 0), 9, context);
        });
        assert_eq!((failure, changes.len()), (None, 5));
        for change in &changes {
            assert!(second.restore(&change.key, change.value.as_deref(), change.timestamp));
        }
        let all = |store: &Store| -> Vec<(StoreKey, Row, i64)> {
            let rows = store.read();
            let all = rows.range(Bound::Unbounded, Bound::Unbounded);
            all.map(|(key, stored)| (key.clone(), stored.row(), stored.timestamp))
                .collect()
        };
        assert_eq!(all(&first), all(&second));
        assert_eq!(first.read().bytes(), second.read().bytes());
        assert_eq!(all(&first).len(), 2);
    }
}

/// The broker keeps the last row of each key: that a window is gone has to be told.
#[test]
fn the_changelog_is_told_which_windows_are_too_old() {
    let (mut first, mut second) = (store(Windows::Time), store(Windows::Time));
    let key = |start: i64| {
        let window = Bounds {
            start,
            end: start + 10,
        };
        StoreKey::new(*b"a", Windows::Time, Some(window))
    };
    let (_, collector) = collected(&mut first, |store, context| {
        for start in 0..20 {
            store.put(key(start), &[Value::Null], start, context);
            store.expire(0, start - 4, context);
        }
    });
    let told = collector.expired.iter().map(|change| change.key.clone());
    let gone = (0..15).map(|start| key(start).record(Windows::Time, 1));
    assert!(told.eq(gone) && collector.expired.iter().all(|change| change.value.is_none()));
    // Without the last of them, as after a crash, what is too old is not taken, and told again.
    second.keep_from(0, 15);
    for change in collector.changes.iter().chain(&collector.expired[..10]) {
        assert!(second.restore(&change.key, change.value.as_deref(), change.timestamp));
        assert!(count(&second) <= 5);
    }
    let (_, again) = collected(&mut second, |store, context| store.expire(0, 15, context));
    assert_eq!((count(&second), again.expired.len()), (5, 5));
}

#[test]
fn a_changelog_that_takes_too_much_is_told() {
    let (mut first, mut second) = (store(Windows::None), store(Windows::None));
    first.most_bytes = usize::MAX;
    let (_, changes) = change(&mut first, |store, context| {
        let text = Value::string("x".repeat(20_000));
        store.put(StoreKey::new(*b"a", Windows::None, None), &[text], 0, context);
    });
    assert_eq!(second.excess(), None);
    second.restore(&changes[0].key, changes[0].value.as_deref(), 0);
    assert!(
        second
            .excess()
            .is_some_and(|excess| excess.starts_with("the rows of store `S` take more than"))
    );
}

#[test]
fn old_windows_go_and_a_full_store_ends_the_query() {
    let mut store = store(Windows::Time);
    let key = |start: i64| {
        let window = Bounds {
            start,
            end: start + 10,
        };
        StoreKey::new(*b"a", Windows::Time, Some(window))
    };
    let (failure, _) = change(&mut store, |store, context| {
        for start in 0..20 {
            store.put(key(start), &[Value::Null], start, context);
            store.expire(0, start - 4, context);
        }
    });
    assert_eq!((failure, count(&store)), (None, 5));
    let (failure, _) = change(&mut store, |store, context| {
        let text = Value::string("x".repeat(20_000));
        store.put(key(30), &[text], 0, context);
    });
    assert!(failure.is_some_and(|failure| failure.starts_with("the rows of store `S` take more than")));
    store.clear();
    assert_eq!((count(&store), store.read().bytes()), (0, 0));
}
