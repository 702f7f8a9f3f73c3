//! Properties of expressions: what compiles has values of its type, and nothing panics.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Scope, ScopeColumn, compile};
use crate::serde::number::{parse_decimal, precision};
use crate::syntax::{parse_expression, parse_type};
use crate::types::SqlType;
use crate::value::{Row, Value};

const COLUMNS: &[(&str, &str)] = &[
    ("I", "INTEGER"),
    ("L", "BIGINT"),
    ("D", "DOUBLE"),
    ("C", "DECIMAL(6, 2)"),
    ("T", "STRING"),
    ("B", "BOOLEAN"),
    ("Y", "BYTES"),
    ("TS", "TIMESTAMP"),
    ("DT", "DATE"),
    ("TM", "TIME"),
    ("A", "ARRAY<INTEGER>"),
    ("M", "MAP<STRING, BIGINT>"),
    ("S", "STRUCT<X INTEGER, Z ARRAY<STRING>>"),
];

fn scope() -> Scope {
    let column = |(name, sql_type): &(&str, &str)| ScopeColumn {
        source: Some("SRC".to_owned()),
        name: (*name).to_owned(),
        sql_type: parse_type(sql_type).expect("a type"),
        is_key: false,
    };
    Scope {
        columns: COLUMNS.iter().map(column).collect(),
    }
}

fn row() -> Row {
    vec![
        Value::Integer(-7),
        Value::Bigint(5_000_000_000),
        Value::Double(2.5),
        Value::Decimal(parse_decimal("1234.50").expect("a number")),
        Value::string("te%_xt"),
        Value::Boolean(true),
        Value::Bytes(Arc::from(*b"ab")),
        Value::Timestamp(1_606_196_990_123),
        Value::Date(18_590),
        Value::Time(3_723_004),
        Value::Array(Arc::new([Value::Integer(1), Value::Null])),
        Value::map([(Arc::from("k"), Value::Bigint(1))]),
        Value::Struct(Arc::new([
            Value::Integer(3),
            Value::Array(Arc::new([Value::string("z")])),
        ])),
    ]
}

/// Whether a value is one of the type.
fn conforms(value: &Value, sql_type: &SqlType) -> bool {
    match (value, sql_type) {
        (Value::Null, _)
        | (Value::Boolean(_), SqlType::Boolean)
        | (Value::Integer(_), SqlType::Integer)
        | (Value::Bigint(_), SqlType::Bigint)
        | (Value::Double(_), SqlType::Double)
        | (Value::String(_), SqlType::String)
        | (Value::Bytes(_), SqlType::Bytes)
        | (Value::Date(_), SqlType::Date)
        | (Value::Time(_), SqlType::Time)
        | (Value::Timestamp(_), SqlType::Timestamp) => true,
        (
            Value::Decimal(number),
            SqlType::Decimal {
                precision: most,
                scale,
            },
        ) => number.fractional_digit_count() == i64::from(*scale) && precision(number) <= u64::from(*most),
        (Value::Array(elements), SqlType::Array(element)) => {
            elements.iter().all(|value| conforms(value, element))
        }
        (Value::Map(entries), SqlType::Map(_, value_type)) => {
            entries.iter().all(|(_, value)| conforms(value, value_type))
        }
        (Value::Struct(values), SqlType::Struct(fields)) => {
            values.len() == fields.len()
                && values
                    .iter()
                    .zip(fields)
                    .all(|(value, field)| conforms(value, &field.sql_type))
        }
        _ => false,
    }
}

/// Texts of expressions that are numbers, most of them.
fn number(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("I"),
        Just("L"),
        Just("D"),
        Just("C"),
        Just("0"),
        Just("3"),
        Just("(-2147483648)"),
        Just("9000000000"),
        Just("1.50"),
        Just("0.001"),
        Just("1e3"),
        Just("A[1]"),
        Just("A[-1]"),
        Just("M['k']"),
        Just("S->X"),
    ];
    let leaf = leaf.prop_map(str::to_owned);
    if depth == 0 {
        return leaf.boxed();
    }
    let operator = prop_oneof![Just("+"), Just("-"), Just("*"), Just("/"), Just("%")];
    let target = prop_oneof![
        Just("INTEGER"),
        Just("BIGINT"),
        Just("DOUBLE"),
        Just("DECIMAL(6, 2)"),
        Just("DECIMAL(3, 3)"),
    ];
    let inner = move || number(depth - 1);
    prop_oneof![
        2 => leaf,
        4 => (inner(), operator, inner()).prop_map(|(left, operator, right)| format!("({left} {operator} {right})")),
        1 => inner().prop_map(|value| format!("(- {value})")),
        2 => (prop_oneof![inner(), text(depth - 1)], target)
            .prop_map(|(value, target)| format!("CAST({value} AS {target})")),
        1 => (boolean(depth - 1), inner(), inner())
            .prop_map(|(when, then, other)| format!("CASE WHEN {when} THEN {then} ELSE {other} END")),
        1 => (array(depth - 1), inner()).prop_map(|(base, start)| format!("REDUCE({base}, {start}, (R, E) => R)")),
        1 => (array(depth - 1), inner())
            .prop_map(|(base, body)| format!("TRANSFORM({base}, E => {body})[1]")),
    ]
    .boxed()
}

fn text(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("T"),
        Just("''"),
        Just("'k'"),
        Just("'12'"),
        Just("' 1.5 '"),
        Just("'2020-01-02'"),
        Just("'1:2'"),
        Just("'yes'"),
        Just("S->Z[1]"),
    ];
    let leaf = leaf.prop_map(str::to_owned);
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = move || text(depth - 1);
    let anything = prop_oneof![
        number(depth - 1),
        boolean(depth - 1),
        temporal(depth - 1),
        array(depth - 1),
        Just("M".to_owned()),
        Just("S".to_owned()),
    ];
    prop_oneof![
        1 => leaf,
        2 => (inner(), inner()).prop_map(|(left, right)| format!("({left} + {right})")),
        2 => anything.prop_map(|value| format!("CAST({value} AS STRING)")),
        1 => (boolean(depth - 1), inner()).prop_map(|(when, then)| format!("CASE WHEN {when} THEN {then} END")),
    ]
    .boxed()
}

fn temporal(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![Just("TS"), Just("DT"), Just("TM")].prop_map(str::to_owned);
    if depth == 0 {
        return leaf.boxed();
    }
    let target = prop_oneof![Just("TIMESTAMP"), Just("DATE"), Just("TIME")];
    let value = prop_oneof![text(depth - 1), temporal(depth - 1)];
    prop_oneof![
        leaf,
        (value, target).prop_map(|(value, target)| format!("CAST({value} AS {target})")),
    ]
    .boxed()
}

fn boolean(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![Just("B"), Just("TRUE"), Just("(NULL IS NULL)")].prop_map(str::to_owned);
    if depth == 0 {
        return leaf.boxed();
    }
    let logic = prop_oneof![Just("AND"), Just("OR")];
    let comparison = || {
        prop_oneof![
            Just("="),
            Just("<>"),
            Just("<"),
            Just(">="),
            Just("IS DISTINCT FROM")
        ]
    };
    let inner = move || boolean(depth - 1);
    let numbers = move || (number(depth - 1), number(depth - 1));
    prop_oneof![
        1 => leaf,
        1 => (inner(), logic, inner()).prop_map(|(left, logic, right)| format!("({left} {logic} {right})")),
        2 => (numbers(), comparison()).prop_map(|((left, right), sign)| format!("({left} {sign} {right})")),
        1 => (text(depth - 1), comparison(), text(depth - 1))
            .prop_map(|(left, sign, right)| format!("({left} {sign} {right})")),
        1 => (temporal(depth - 1), comparison(), prop_oneof![temporal(depth - 1), text(depth - 1)])
            .prop_map(|(left, sign, right)| format!("({left} {sign} {right})")),
        1 => (text(depth - 1), text(depth - 1)).prop_map(|(value, pattern)| format!("({value} NOT LIKE {pattern})")),
        1 => (numbers(), number(depth - 1))
            .prop_map(|((value, low), high)| format!("({value} BETWEEN {low} AND {high})")),
        1 => numbers().prop_map(|(value, item)| format!("({value} NOT IN ({item}, NULL, 3))")),
        1 => inner().prop_map(|value| format!("(NOT {value})")),
        1 => text(depth - 1).prop_map(|value| format!("({value} IS NOT NULL)")),
    ]
    .boxed()
}

fn array(depth: u32) -> BoxedStrategy<String> {
    let leaf = Just("A".to_owned());
    if depth == 0 {
        return leaf.boxed();
    }
    let two = (number(depth - 1), number(depth - 1));
    prop_oneof![
        leaf,
        two.prop_map(|(first, second)| format!("ARRAY[{first}, NULL, {second}]")),
        (array(depth - 1), number(depth - 1))
            .prop_map(|(base, body)| format!("TRANSFORM({base}, E => {body})")),
        (array(depth - 1), boolean(depth - 1))
            .prop_map(|(base, body)| format!("FILTER({base}, E => {body})")),
        array(depth - 1).prop_map(|base| format!("CAST({base} AS ARRAY<STRING>)")),
    ]
    .boxed()
}

fn expression() -> BoxedStrategy<String> {
    let one = || prop_oneof![number(3), text(3), temporal(2), boolean(3), array(3)];
    prop_oneof![
        8 => one(),
        1 => (text(1), one()).prop_map(|(key, value)| format!("MAP({key} := {value})")),
        1 => (one(), one()).prop_map(|(first, second)| format!("STRUCT(X := {first}, Z := {second})->Z")),
        1 => one().prop_map(|value| format!("CAST(STRUCT(X := {value}) AS STRUCT<Z STRING, X STRING, W DATE>)")),
        1 => (text(1), number(1))
            .prop_map(|(key, value)| format!("TRANSFORM(M, (T, L) => {key}, (T, L) => {value})")),
    ]
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn values_are_of_the_type_that_was_said(text in expression(), nulls: bool) {
        let parsed = parse_expression(&text).expect("the text is an expression");
        let Ok(typed) = compile(&parsed, &scope(), "SELECT") else {
            return Ok(());
        };
        let row = if nulls { vec![Value::Null; COLUMNS.len()] } else { row() };
        let value = typed.expr.value(&row, &mut |_| {});
        match &typed.sql_type {
            None => prop_assert!(value.is_null()),
            Some(sql_type) => prop_assert!(conforms(&value, sql_type), "{value:?} is no {sql_type}"),
        }
    }
}
