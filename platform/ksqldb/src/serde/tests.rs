//! Properties of the formats: what is written reads back, and no bytes make a reader panic.
//!
//! Long because every format is asked the same questions, and the answers are read side by side.

use std::sync::Arc;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use proptest::prelude::*;

use super::registered::InferredType;
use super::{Decoder, DecoderColumn, Demand, Encoder, Format, Presence, Wrapping};
use crate::types::{Column, Namespace, SqlType, StructField};
use crate::value::{Row, Value};

fn simple_type() -> impl Strategy<Value = SqlType> {
    prop_oneof![
        Just(SqlType::Boolean),
        Just(SqlType::Integer),
        Just(SqlType::Bigint),
        Just(SqlType::Double),
        (1..30_u32, 0..30_u32).prop_map(|(integer, scale)| SqlType::Decimal {
            precision: integer + scale,
            scale
        }),
        Just(SqlType::String),
        Just(SqlType::Bytes),
        Just(SqlType::Date),
        Just(SqlType::Time),
        Just(SqlType::Timestamp),
    ]
}

pub(super) fn any_type() -> impl Strategy<Value = SqlType> {
    simple_type().prop_recursive(2, 12, 3, |inner| {
        let fields = proptest::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            inner
                .clone()
                .prop_map(|element| SqlType::Array(Box::new(element))),
            inner.prop_map(|value| SqlType::Map(Box::new(SqlType::String), Box::new(value))),
            fields.prop_map(|types| SqlType::Struct(
                types
                    .into_iter()
                    .enumerate()
                    .map(|(index, sql_type)| StructField {
                        name: format!("F{index}"),
                        sql_type
                    })
                    .collect()
            )),
        ]
    })
}

/// Columns `C0`, `C1` … of these types.
pub(super) fn named(types: &[SqlType]) -> Vec<(String, SqlType)> {
    let types = types.iter().enumerate();
    types
        .map(|(place, sql_type)| (format!("C{place}"), sql_type.clone()))
        .collect()
}

/// All of these columns, each in its place.
pub(super) fn wanted(columns: &[(String, SqlType)]) -> Vec<DecoderColumn> {
    let columns = columns.iter().enumerate();
    columns
        .map(|(place, (name, sql_type))| DecoderColumn {
            name: name.clone(),
            sql_type: sql_type.clone(),
            target: Some((place, Demand::Whole)),
        })
        .collect()
}

/// What was inferred, as a statement would have it.
pub(super) fn columns_of(inferred: InferredType) -> String {
    match inferred {
        InferredType::Columns(fields) => {
            let fields = fields
                .iter()
                .map(|field| format!("{} {}", field.name, field.sql_type));
            fields.collect::<Vec<_>>().join(", ")
        }
        InferredType::Anonymous(sql_type) => sql_type.to_string(),
    }
}

fn value_of(sql_type: &SqlType) -> BoxedStrategy<Value> {
    let present = match sql_type {
        SqlType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        SqlType::Integer => any::<i32>().prop_map(Value::Integer).boxed(),
        SqlType::Bigint => any::<i64>().prop_map(Value::Bigint).boxed(),
        SqlType::Double => proptest::num::f64::NORMAL.prop_map(Value::Double).boxed(),
        SqlType::Decimal { precision, scale } => {
            let digits = "9".repeat(*precision as usize);
            let largest: i128 = digits.parse().unwrap_or(i128::MAX);
            let scale = i64::from(*scale);
            (-largest..=largest)
                .prop_map(move |digits| Value::Decimal(BigDecimal::from_bigint(BigInt::from(digits), scale)))
                .boxed()
        }
        SqlType::String => any::<String>().prop_map(Value::string).boxed(),
        SqlType::Bytes => any::<Vec<u8>>()
            .prop_map(|bytes| Value::Bytes(bytes.into()))
            .boxed(),
        SqlType::Date => any::<i32>().prop_map(Value::Date).boxed(),
        SqlType::Time => (0..=86_400_000_i32).prop_map(Value::Time).boxed(),
        SqlType::Timestamp => any::<i64>().prop_map(Value::Timestamp).boxed(),
        SqlType::Array(element) => proptest::collection::vec(value_of(element), 0..4)
            .prop_map(|elements| Value::Array(elements.into()))
            .boxed(),
        SqlType::Map(_, value) => proptest::collection::vec((any::<String>(), value_of(value)), 0..4)
            .prop_map(|entries| Value::map(entries.into_iter().map(|(key, value)| (Arc::from(key), value))))
            .boxed(),
        SqlType::Struct(fields) => {
            let values: Vec<_> = fields.iter().map(|field| value_of(&field.sql_type)).collect();
            values.prop_map(|values| Value::Struct(values.into())).boxed()
        }
    };
    prop_oneof![1 => Just(Value::Null), 6 => present].boxed()
}

pub(super) fn rows(sql_type: impl Strategy<Value = SqlType>) -> impl Strategy<Value = (Vec<SqlType>, Row)> {
    proptest::collection::vec(sql_type, 1..5).prop_flat_map(|types| {
        let values: Vec<_> = types.iter().map(value_of).collect();
        (Just(types), values)
    })
}

fn encoder(format: Format, wrapping: Wrapping, types: &[SqlType]) -> Encoder {
    let columns: Vec<_> = types
        .iter()
        .enumerate()
        .map(|(index, sql_type)| Column {
            name: format!("C{index}"),
            sql_type: sql_type.clone(),
            namespace: Namespace::Value,
        })
        .collect();
    Encoder::new(format, wrapping, columns.iter())
}

fn decoder(format: Format, wrapping: Wrapping, types: &[SqlType], wanted: bool) -> Decoder {
    let columns = types.iter().enumerate();
    let columns = columns.map(|(index, sql_type)| DecoderColumn {
        name: format!("C{index}"),
        sql_type: sql_type.clone(),
        target: wanted.then_some((index, Demand::Whole)),
    });
    Decoder::new(format, wrapping, columns.collect(), "")
}

fn round_trip(format: Format, wrapping: Wrapping, types: &[SqlType], row: &[Value]) -> Row {
    let mut back = vec![Value::Null; row.len()];
    let encoded = encoder(format, wrapping, types)
        .encode(row)
        .expect("the row can be written");
    if let Some(bytes) = encoded {
        let read = decoder(format, wrapping, types, true).decode(&bytes, &mut back);
        read.unwrap_or_else(|error| panic!("{}: {error}", String::from_utf8_lossy(&bytes)));
        // What no query wants is checked by the same rules.
        decoder(format, wrapping, types, false)
            .decode(&bytes, &mut [])
            .expect("what can be read can be checked");
    }
    back
}

/// Reads a record whose column `M` is a map: all of it, or the values of `a` and `b` alone.
fn read_map(format: Format, wrapping: Wrapping, bytes: &[u8], demand: Demand) -> Result<Row, String> {
    let mut row = vec![Value::Null; 2];
    let column = DecoderColumn {
        name: "M".to_owned(),
        sql_type: SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::String)),
        target: Some((0, demand)),
    };
    let decoder = Decoder::new(format, wrapping, vec![column], "");
    decoder.decode(bytes, &mut row).map_err(|error| error.reason)?;
    Ok(row)
}

/// JSON that is a map of texts, or looks like one.
fn map_text() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null"),
        Just("\"x\""),
        Just("\"a longer text, ä, of \\\"several\\\" parts\""),
        Just(" \"y\" "),
        Just("7"),
        Just("{\"a\":1}"),
        Just("[1,\"b\"]")
    ];
    let key = prop_oneof![Just("a"), Just("b"), Just("\\u0061"), Just("A"), Just("")];
    let entries = proptest::collection::vec((key, value), 0..5);
    let as_object = |entries: &[(&str, &str)]| {
        let members = entries.iter().map(|(key, value)| format!("\"{key}\":{value}"));
        let separator = if entries.len().is_multiple_of(2) {
            ","
        } else {
            ", "
        };
        format!("{{{}}}", members.collect::<Vec<_>>().join(separator))
    };
    let as_list = |entries: &[(&str, &str)]| {
        let members = entries
            .iter()
            .map(|(key, value)| format!("{{\"key\":\"{key}\",\"value\":{value}}}"));
        format!("[{}]", members.collect::<Vec<_>>().join(", "))
    };
    prop_oneof![
        8 => entries.clone().prop_map(move |entries| as_object(&entries)),
        2 => entries.prop_map(move |entries| as_list(&entries)),
        1 => Just("null".to_owned()),
        1 => Just("{\"a\":".to_owned()),
        1 => Just("5".to_owned()),
    ]
}

/// Columns, of which some differ in their case alone, and names that members may have.
const COLUMNS: [&str; 9] = [
    "HOST",
    "host",
    "PID",
    "IDENTIFIER",
    "HOSTIDENTIFIER",
    "HOST-IDENTIFIER-OF-ALL",
    "A[1]",
    "Ü",
    "TEMP",
];
const MEMBERS: [&str; 20] = [
    "HOST",
    "host",
    "Host",
    "PID",
    "pid",
    "pıd",
    "identifier",
    "hostIdentifier",
    "HOSTIDENTIFIER",
    "hostIdentifieR",
    "host-identifier-of-all",
    "HOST-identifier_of-all",
    "a[1]",
    "a{1}",
    "ü",
    "Ü",
    "temp",
    "ſ",
    "other",
    "",
];

const DELIMITED: Format = Format::Delimited { delimiter: ';' };

proptest! {
    #[test]
    fn the_entries_of_a_map_are_the_same_in_places_of_their_own(
        members in proptest::collection::vec((prop::sample::select(&["M", "m", "other"][..]), map_text()), 0..4),
        bare: bool,
        registered: bool,
    ) {
        let (format, prefix) = match registered {
            false => (Format::Json, &[][..]),
            true => (Format::JsonSr, &[0, 0, 0, 0, 1][..]),
        };
        let (wrapping, text) = match (bare, members.first()) {
            (true, Some((_, text))) => (Wrapping::Unwrapped, text.clone()),
            _ => {
                let members = members.iter().map(|(name, text)| format!("\"{name}\":{text}"));
                (Wrapping::Wrapped, format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
            }
        };
        let bytes = [prefix, text.as_bytes()].concat();
        let keys: [Arc<str>; 2] = ["a".into(), "b".into()];
        let whole = read_map(format, wrapping, &bytes, Demand::Whole);
        let expected = whole.map(|row| {
            let entry = |key: &Arc<str>| match &row[0] {
                Value::Map(entries) => {
                    let entry = entries.iter().find(|(other, _)| other == key);
                    entry.map(|(_, value)| value.clone()).unwrap_or_default()
                }
                _ => Value::Null,
            };
            keys.iter().map(entry).collect::<Row>()
        });
        prop_assert_eq!(read_map(format, wrapping, &bytes, Demand::Each(keys.to_vec())), expected, "{}", text);
    }

    #[test]
    fn a_member_belongs_to_the_column_of_its_name_or_of_its_upper_case(
        columns in proptest::sample::subsequence(COLUMNS.to_vec(), 1..=COLUMNS.len()).prop_shuffle(),
        members in proptest::collection::vec(prop::sample::select(&MEMBERS[..]), 0..12),
        escaped: bool,
    ) {
        let text = |name: &str| match escaped {
            true => name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
            false => name.to_owned(),
        };
        let numbered = members.iter().enumerate();
        let texts: Vec<String> = numbered
            .map(|(number, name)| format!("\"{}\" : \"{number}\"", text(name)))
            .collect();
        let column = |(place, name): (usize, &&str)| DecoderColumn {
            name: (*name).to_owned(),
            sql_type: SqlType::String,
            target: Some((place, Demand::Whole)),
        };
        let decoder_columns = columns.iter().enumerate().map(column).collect();
        let decoder = Decoder::new(Format::Json, Wrapping::Wrapped, decoder_columns, "");
        let mut row = vec![Value::Null; columns.len()];
        decoder.decode(format!("{{{}}}", texts.join(",")).as_bytes(), &mut row).expect("it is JSON");
        let expected: Row = columns
            .iter()
            .map(|column| {
                let exact = members.iter().rposition(|name| name == column);
                let folded = |name: &&str| !columns.contains(name) && name.to_uppercase() == **column;
                let number = exact.or_else(|| members.iter().rposition(folded));
                number.map_or(Value::Null, |number| Value::string(number.to_string()))
            })
            .collect();
        prop_assert_eq!(row, expected);
    }

    #[test]
    fn json_reads_back((types, row) in rows(any_type()), unwrapped: bool) {
        let wrapping = if unwrapped { Wrapping::Unwrapped } else { Wrapping::Wrapped };
        prop_assert_eq!(round_trip(Format::Json, wrapping, &types, &row), row);
    }

    #[test]
    fn delimited_reads_back((types, row) in rows(simple_type())) {
        // A lone NULL is an empty line, which is no record.
        prop_assume!(row != [Value::Null]);
        // Behind the first place an empty text is nothing at all, as in ksqlDB.
        let empty = |value: &Value| match value {
            Value::String(text) => text.is_empty(),
            Value::Bytes(bytes) => bytes.is_empty(),
            _ => false,
        };
        let expected: Row = row
            .iter()
            .enumerate()
            .map(|(place, value)| if place > 0 && empty(value) { Value::Null } else { value.clone() })
            .collect();
        prop_assert_eq!(round_trip(DELIMITED, Wrapping::Wrapped, &types, &row), expected);
    }

    #[test]
    fn kafka_reads_back(
        (sql_type, value) in prop_oneof![
            Just(SqlType::Integer), Just(SqlType::Bigint), Just(SqlType::Double), Just(SqlType::String),
            Just(SqlType::Bytes),
        ].prop_flat_map(|sql_type| (Just(sql_type.clone()), value_of(&sql_type)))
    ) {
        let back = round_trip(Format::Kafka, Wrapping::Unwrapped, &[sql_type], std::slice::from_ref(&value));
        prop_assert_eq!(back, [value]);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(
        bytes: Vec<u8>, text in r#"[\[\]{}:,"\\0-9.eE+\-a-zC0 ntu\n]{0,40}"#, types in proptest::collection::vec(any_type(), 1..4)
    ) {
        for format in [Format::Json, DELIMITED, Format::Kafka] {
            for wrapping in [Wrapping::Wrapped, Wrapping::Unwrapped] {
                let types = if format == Format::Kafka { &types[..1] } else { &types };
                let mut row = vec![Value::Null; types.len()];
                for input in [bytes.as_slice(), text.as_bytes()] {
                    let read = decoder(format, wrapping, types, true).decode(input, &mut row);
                    let checked = decoder(format, wrapping, types, false).decode(input, &mut []);
                    prop_assert_eq!(read.is_ok(), checked.is_ok());
                }
            }
        }
    }

    #[test]
    fn what_serde_json_reads_is_read(value in json()) {
        let text = value.to_string();
        let mut row = [Value::Null];
        let columns = decoder(Format::Json, Wrapping::Unwrapped, &[SqlType::String], true);
        let presence = columns.decode(text.as_bytes(), &mut row).expect("it is JSON");
        prop_assert_eq!(presence, Presence::Present);
        prop_assert_eq!(row[0].is_null(), value.is_null());
        if let (serde_json::Value::Object(_), Value::String(compact)) = (&value, &row[0]) {
            let again: serde_json::Value = serde_json::from_str(compact).expect("it is JSON");
            prop_assert_eq!(again, value);
        }
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let simple = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        // Halves, because serde_json does not read every number exactly.
        any::<i32>().prop_map(|number| serde_json::Value::from(f64::from(number) / 2.0)),
        any::<String>().prop_map(Into::into),
    ];
    simple.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            proptest::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

#[test]
fn what_is_not_finite_reads_back() {
    let row = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN].map(Value::Double);
    for format in [Format::Json, DELIMITED] {
        let back = round_trip(format, Wrapping::Wrapped, &vec![SqlType::Double; 3], &row);
        // Compared as text: not a number is not equal to itself.
        assert_eq!(format!("{back:?}"), format!("{row:?}"));
    }
}

#[test]
fn nesting_has_an_end() {
    let deep = "[".repeat(100_000);
    let columns = decoder(Format::Json, Wrapping::Unwrapped, &[SqlType::String], true);
    let error = columns
        .decode(deep.as_bytes(), &mut [Value::Null])
        .expect_err("it is too deep");
    assert!(error.reason.contains("256 deep"), "{error}");
}
