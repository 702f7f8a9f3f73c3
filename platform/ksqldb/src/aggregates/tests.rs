use proptest::prelude::*;

use super::*;
use crate::types::SqlType;

fn aggregate(name: &str, sql_type: SqlType, literals: &[Value]) -> Aggregate {
    let mut types = vec![Some(sql_type)];
    let mut values = vec![None];
    for literal in literals {
        types.push(Some(match literal {
            Value::Boolean(_) => SqlType::Boolean,
            _ => SqlType::Integer,
        }));
        values.push(Some(literal.clone()));
    }
    resolve(name, &types, &values).unwrap().aggregate
}

fn with(aggregate: &Aggregate, state: Value, value: &Value, sequence: i64) -> Value {
    let arguments = std::slice::from_ref(value);
    aggregate.add(state, Input { arguments, sequence }).unwrap()
}

/// The results after each of the values.
fn results(aggregate: &Aggregate, values: &[Value]) -> Vec<Value> {
    let mut state = aggregate.start();
    let rows = (0..).zip(values);
    rows.map(|(sequence, value)| {
        state = with(aggregate, std::mem::take(&mut state), value, sequence);
        aggregate.result(&state)
    })
    .collect()
}

fn integers(numbers: &[i32]) -> Vec<Value> {
    numbers.iter().copied().map(Value::Integer).collect()
}

fn list(numbers: &[i32]) -> Value {
    Value::Array(integers(numbers).into())
}

const NULL: Value = Value::Null;

#[test]
fn nulls_are_skipped_or_kept_as_each_function_has_it() {
    let values = [NULL, Value::Integer(4), Value::Integer(5)];
    let of = |name: &str| results(&aggregate(name, SqlType::Integer, &[]), &values);
    assert_eq!(of("COUNT"), [0, 1, 2].map(Value::Bigint));
    assert_eq!(of("SUM"), integers(&[0, 4, 9]));
    assert_eq!(of("AVG"), [0.0, 4.0, 4.5].map(Value::Double));
    assert_eq!(of("MIN"), [NULL, Value::Integer(4), Value::Integer(4)]);
    assert_eq!(of("ATTR"), [NULL, NULL, NULL]);
    let values = [Value::Integer(2), NULL, Value::Integer(2)];
    let of = |name: &str| {
        results(&aggregate(name, SqlType::Integer, &[]), &values)
            .pop()
            .unwrap()
    };
    let array = |values: &[Value]| Value::Array(values.into());
    assert_eq!(of("COLLECT_LIST"), array(&values));
    assert_eq!(of("COLLECT_SET"), array(&values[..2]));
}

#[test]
fn the_earliest_and_the_latest() {
    let values = [NULL, Value::Integer(1), Value::Integer(2), Value::Integer(3)];
    let of = |name: &str, literals: &[Value]| {
        let aggregate = aggregate(name, SqlType::Integer, literals);
        results(&aggregate, &values)
    };
    let (one, two, three) = (Value::Integer(1), Value::Integer(2), Value::Integer(3));
    assert_eq!(
        of("EARLIEST_BY_OFFSET", &[]),
        [NULL, one.clone(), one.clone(), one.clone()]
    );
    assert_eq!(of("EARLIEST_BY_OFFSET", &[Value::Boolean(false)]), [NULL; 4]);
    assert_eq!(
        of("EARLIEST_BY_OFFSET", std::slice::from_ref(&two)),
        [list(&[]), list(&[1]), list(&[1, 2]), list(&[1, 2])]
    );
    assert_eq!(
        of("LATEST_BY_OFFSET", std::slice::from_ref(&two)),
        [list(&[]), list(&[1]), list(&[1, 2]), list(&[2, 3])]
    );
    assert_eq!(of("LATEST_BY_OFFSET", &[]), [NULL, one, two, three]);
}

#[test]
fn the_greatest_with_and_without_duplicates() {
    let values = integers(&[5, 5, 3, 9]);
    let of = |name: &str| {
        let aggregate = aggregate(name, SqlType::Integer, &[Value::Integer(2)]);
        results(&aggregate, &values)
    };
    assert_eq!(
        of("TOPK"),
        [list(&[5]), list(&[5, 5]), list(&[5, 5]), list(&[9, 5])]
    );
    assert_eq!(
        of("TOPKDISTINCT"),
        [list(&[5]), list(&[5]), list(&[5, 3]), list(&[9, 5])]
    );
    let dates = [Value::Date(1), Value::Date(3), Value::Date(2)];
    let latest = results(&aggregate("TOPK", SqlType::Date, &[Value::Integer(1)]), &dates);
    assert_eq!(latest[2], Value::Array([Value::Date(3)].into()));
}

#[test]
fn deviations() {
    let values = integers(&[10, 12, 13]);
    let of = |name: &str| results(&aggregate(name, SqlType::Integer, &[]), &values);
    assert_eq!(
        of("STDDEV_SAMPLE"),
        [0.0, std::f64::consts::SQRT_2, 1.527_525_231_651_946_5].map(Value::Double)
    );
    assert_eq!(
        of("STDDEV_SAMP"),
        [0.0, 2.0, 2.333_333_333_333_333].map(Value::Double)
    );
}

#[test]
fn many_different_values_are_estimated() {
    let aggregate = aggregate("COUNT_DISTINCT", SqlType::Integer, &[]);
    let mut state = aggregate.start();
    for number in 0..20_000 {
        state = with(&aggregate, state, &Value::Integer(number % 10_000), 0);
        if number == 999 {
            assert_eq!(aggregate.result(&state), Value::Bigint(1000));
        }
    }
    let Value::Bigint(estimate) = aggregate.result(&state) else {
        panic!("{state:?}");
    };
    assert!((estimate - 10_000).abs() < 300, "{estimate}");
}

#[test]
fn a_decimal_has_to_fit() {
    let sql_type = SqlType::Decimal {
        precision: 4,
        scale: 2,
    };
    let aggregate = aggregate("SUM", sql_type, &[]);
    let number = Value::Decimal("60.00".parse().unwrap());
    let state = with(&aggregate, aggregate.start(), &number, 0);
    let arguments = std::slice::from_ref(&number);
    let error = aggregate.add(
        state,
        Input {
            arguments,
            sequence: 1,
        },
    );
    assert_eq!(
        error.unwrap_err(),
        "Numeric field overflow: A field with precision 4 and scale 2 must round to an absolute value less than 10^2. Got 120.00"
    );
}

fn all() -> Vec<Aggregate> {
    let names = [
        "COUNT",
        "COUNT_DISTINCT",
        "SUM",
        "AVG",
        "MIN",
        "MAX",
        "COLLECT_LIST",
        "COLLECT_SET",
        "LATEST_BY_OFFSET",
        "EARLIEST_BY_OFFSET",
        "STDDEV_SAMP",
        "STDDEV_SAMPLE",
        "ATTR",
    ];
    let three = Value::Integer(3);
    let mut all: Vec<_> = names
        .iter()
        .map(|name| aggregate(name, SqlType::Integer, &[]))
        .collect();
    for name in ["TOPK", "TOPKDISTINCT", "LATEST_BY_OFFSET", "EARLIEST_BY_OFFSET"] {
        all.push(aggregate(name, SqlType::Integer, std::slice::from_ref(&three)));
    }
    all
}

/// Equal but for the last digits of doubles.
fn close(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Double(left), Value::Double(right)) => (left - right).abs() < 1e-6,
        _ => left == right,
    }
}

proptest! {
    /// Two stretches of rows merged are one stretch, wherever it is cut.
    #[test]
    fn merging_is_adding(values in prop::collection::vec(prop::option::of(-5..5_i32), 0..20), cut in 0..20_usize) {
        let values: Vec<Value> = values.into_iter().map(|value| value.map_or(NULL, Value::Integer)).collect();
        let cut = cut.min(values.len());
        for aggregate in all() {
            let add = |range: std::ops::Range<usize>| range.fold(aggregate.start(), |state, place| {
                with(&aggregate, state, &values[place], place as i64)
            });
            let whole = aggregate.result(&add(0..values.len()));
            let merged = aggregate.merge(add(0..cut), add(cut..values.len())).unwrap();
            let merged = aggregate.result(&merged);
            prop_assert!(close(&whole, &merged), "{aggregate:?}: {whole:?} {merged:?}");
        }
    }

    /// What was added and taken out again was never there.
    #[test]
    fn undoing_leaves_the_others(values in prop::collection::vec(prop::option::of(-5..5_i32), 1..20), out in 0..20_usize) {
        let values: Vec<Value> = values.into_iter().map(|value| value.map_or(NULL, Value::Integer)).collect();
        let out = &values[out % values.len()];
        for aggregate in all().into_iter().filter(Aggregate::can_undo) {
            // The row that is taken out comes last: lists keep the order of the others.
            let others = values.iter().fold(aggregate.start(), |state, value| with(&aggregate, state, value, 0));
            let state = with(&aggregate, others.clone(), out, 0);
            let input = Input { arguments: std::slice::from_ref(out), sequence: 0 };
            let undone = aggregate.result(&aggregate.undo(state, input).unwrap());
            let expected = aggregate.result(&others);
            prop_assert!(close(&undone, &expected), "{aggregate:?}: {undone:?} {expected:?}");
        }
    }
}
