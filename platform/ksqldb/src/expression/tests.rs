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

fn leaf() -> impl Strategy<Value = String> {
    let column = (0..COLUMNS.len()).prop_map(|place| COLUMNS[place].0.to_owned());
    let literal = prop_oneof![
        Just("NULL"),
        Just("TRUE"),
        Just("0"),
        Just("3"),
        Just("(-2147483648)"),
        Just("9000000000"),
        Just("1.50"),
        Just("0.001"),
        Just("1e3"),
        Just("''"),
        Just("'k'"),
        Just("'12'"),
        Just("'2020-01-02'"),
        Just("'1:2'"),
    ];
    prop_oneof![3 => column, 2 => literal.prop_map(str::to_owned)]
}

fn expression() -> impl Strategy<Value = String> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let operator = prop_oneof![
            Just("+"), Just("-"), Just("*"), Just("/"), Just("%"), Just("="), Just("<>"), Just("<"), Just(">="),
            Just("AND"), Just("OR"), Just("IS DISTINCT FROM"), Just("LIKE"), Just("NOT LIKE"),
        ];
        let target = prop_oneof![
            (0..COLUMNS.len()).prop_map(|place| COLUMNS[place].1.to_owned()),
            Just("DECIMAL(3, 3)".to_owned()),
            Just("ARRAY<STRING>".to_owned()),
            Just("STRUCT<Z STRING, X BIGINT, W DATE>".to_owned()),
        ];
        let one = inner.clone();
        let two = || (inner.clone(), inner.clone());
        let three = || (inner.clone(), inner.clone(), inner.clone());
        prop_oneof![
            4 => (two(), operator).prop_map(|((left, right), operator)| format!("({left} {operator} {right})")),
            2 => (one.clone(), target).prop_map(|(value, target)| format!("CAST({value} AS {target})")),
            1 => two().prop_map(|(base, index)| format!("{base}[{index}]")),
            1 => one.clone().prop_map(|base| format!("{base}->X")),
            1 => one.clone().prop_map(|value| format!("(NOT {value})")),
            1 => one.clone().prop_map(|value| format!("(- {value})")),
            1 => one.clone().prop_map(|value| format!("({value} IS NOT NULL)")),
            1 => three().prop_map(|(value, low, high)| format!("({value} BETWEEN {low} AND {high})")),
            1 => three().prop_map(|(value, first, second)| format!("({value} NOT IN ({first}, {second}))")),
            1 => three().prop_map(|(when, then, other)| format!("CASE WHEN {when} THEN {then} ELSE {other} END")),
            1 => two().prop_map(|(first, second)| format!("ARRAY[{first}, {second}]")),
            1 => two().prop_map(|(key, value)| format!("MAP({key} := {value})")),
            1 => two().prop_map(|(first, second)| format!("STRUCT(X := {first}, Z := {second})")),
            1 => two().prop_map(|(base, body)| format!("TRANSFORM({base}, I => {body})")),
            1 => two().prop_map(|(base, body)| format!("FILTER({base}, (T, L) => {body})")),
            1 => three().prop_map(|(base, start, body)| format!("REDUCE({base}, {start}, (L, I) => {body})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn values_are_of_the_type_that_was_said(text in expression(), nulls: bool) {
        let parsed = parse_expression(&text).expect("the text is an expression");
        let Ok(typed) = compile(&parsed, &scope(), "SELECT") else {
            return Ok(());
        };
        let row = if nulls { vec![Value::Null; COLUMNS.len()] } else { row() };
        let Ok(value) = typed.expr.evaluate(&row, &[]) else {
            return Ok(());
        };
        match &typed.sql_type {
            None => prop_assert!(value.is_null()),
            Some(sql_type) => prop_assert!(conforms(&value, sql_type), "{value:?} is no {sql_type}"),
        }
    }
}
