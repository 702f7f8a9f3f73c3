use super::*;
use proptest::prelude::*;

fn empty() -> PackedRow<'static> {
    PackedRow(&[])
}

fn key(number: i64) -> Vec<u8> {
    bytes_of(&Value::Bigint(number), None).unwrap()
}

fn bytes_of(value: &Value, window: Option<Bounds>) -> Option<Vec<u8>> {
    let mut bytes = b"before".to_vec();
    look_up_by(value, window, &mut bytes).then_some(bytes)
}

fn times(store: &WindowStore, number: i64, from: i64, to: i64) -> Vec<i64> {
    store
        .range(&key(number), from, to)
        .map(|(time, _)| time)
        .collect()
}

#[test]
fn both_ends_are_included_and_late_rows_are_not_kept() {
    let mut store = WindowStore::new(10, 10);
    for time in [100, 95, 90, 89] {
        store.insert(&key(1), time, empty());
    }
    assert_eq!(times(&store, 1, 95, 100), [95, 100]);
    assert_eq!(times(&store, 1, 0, 200), [95, 100]);
    assert_eq!(times(&store, 2, 0, 200), [0_i64; 0]);
    store.insert(&key(1), 91, empty());
    assert_eq!(times(&store, 1, 0, 200), [91, 95, 100]);
    let mut nothing = WindowStore::new(0, 0);
    nothing.insert(&key(1), 5, empty());
    assert_eq!(nothing.len(), 0);
}

#[test]
fn old_rows_go_and_keys_with_them() {
    let mut store = WindowStore::new(1000, 1000);
    for time in 0..100_000 {
        store.insert(&key(time % 7 + time / 10_000 * 7), time, empty());
    }
    assert!(store.len() <= 1001 + 16, "{}", store.len());
    assert!(store.slots.len() <= 14 && store.stretches.len() <= 70);
}

#[test]
fn the_oldest_rows_make_room_but_none_of_the_window() {
    let mut store = WindowStore::new(100_000, 100);
    for time in 0..1_000 {
        store.insert(&key(time % 3), time, empty());
    }
    let full = store.bytes();
    assert!(store.let_go_before(900));
    assert!(store.bytes() < full && store.len() == 900, "{}", store.len());
    while store.let_go_before(900) {}
    assert_eq!((store.len(), store.bytes()), (100, full - 900 * taken(&[])));
    assert_eq!(times(&store, 0, 0, 905), [900, 903]);
    store.insert(&key(0), 850, empty());
    assert_eq!(store.len(), 100);
}

/// What a row takes that is the only one of its key: a process in a join, say.
#[test]
fn a_place_is_small() {
    assert_eq!(size_of::<Slot>(), 24);
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        (0..4_i32).prop_map(Value::Integer),
        (0..4_i32).prop_map(Value::Date),
        (0..4_i64).prop_map(Value::Bigint),
        prop::sample::select(vec![0.0, -0.0, 1.0, f64::NAN]).prop_map(Value::Double),
        "[ab]{0,2}".prop_map(Value::string),
        "[ab]{0,2}".prop_map(|text| Value::Bytes(text.as_bytes().into())),
        "[ab]{0,2}".prop_map(|text| Value::Array([Value::string(text)].into())),
    ]
}

proptest! {
    #[test]
    fn bytes_are_the_same_for_the_same_keys_alone(
        values in [value(), value()], starts in [prop::option::of(0..2_i64), prop::option::of(0..2_i64)]
    ) {
        let window = |start: Option<i64>| start.map(|start| Bounds { start, end: start + 1 });
        let [one, other] = [0, 1].map(|index| (&values[index], window(starts[index])));
        let is_same_key = JoinKey::of(one.0, one.1) == JoinKey::of(other.0, other.1);
        prop_assert_eq!(bytes_of(one.0, one.1) == bytes_of(other.0, other.1), is_same_key);
        prop_assert_eq!(bytes_of(one.0, one.1).is_none(), JoinKey::of(one.0, one.1).is_none());
    }

    #[test]
    fn it_holds_what_a_plain_list_holds(
        rows in proptest::collection::vec((0..3_i64, 0..400_i64), 0..80), retention in 0..200_i64
    ) {
        let mut store = WindowStore::new(retention, 20);
        let mut plain: Vec<(i64, i64, u8)> = Vec::new();
        let mut stream_time = i64::MIN;
        for (index, (number, time)) in (0_u8..).zip(rows) {
            store.insert(&key(number), time, PackedRow(&[index]));
            stream_time = stream_time.max(time);
            if time > stream_time - retention {
                plain.push((number, time, index));
            }
            for number in 0..3 {
                let mut expected: Vec<(i64, u8)> = plain
                    .iter()
                    .filter(|(other, time, _)| *other == number && *time > stream_time - retention)
                    .map(|(_, time, index)| (*time, *index))
                    .collect();
                // Rows of one time stay in the order they came.
                expected.sort_by_key(|(time, _)| *time);
                let key = key(number);
                let held: Vec<(i64, u8)> =
                    store.range(&key, 0, 1000).map(|(time, row)| (time, row.0[0])).collect();
                prop_assert_eq!(held, expected);
            }
        }
        store.insert(&key(9), i64::MAX / 2, empty());
        prop_assert!(retention == 0 || store.bytes() == taken(&[]) + key(9).len());
    }
}
