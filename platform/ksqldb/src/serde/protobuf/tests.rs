//! Columns of every type through messages and back, and files that others have registered.
//!
//! Long because each test brings the file of its messages, written out.

use osqdemo_protobuf::{File, Linked};
use proptest::prelude::*;

use super::super::registered::{InferredType, Names};
use super::super::tests::{any_type, columns_of, named, rows, wanted};
use super::{Nulls, RecordReader, RecordWriter, declare, infer, text};
use crate::types::{SqlType, StructField};
use crate::value::Value;

fn file(text: &str) -> Linked {
    File::parse(text).unwrap().link(&[]).unwrap()
}

fn inferred(text: &str, full_name: Option<&str>, nulls: Nulls) -> Result<String, String> {
    infer(&file(text), full_name, Names::UpperCase, nulls).map(columns_of)
}

/// Reads one column of the file's record.
fn read(text: &str, column: &str, sql_type: SqlType, nulls: Nulls, bytes: &[u8]) -> Result<Value, String> {
    let columns = wanted(&[(column.to_owned(), sql_type)]);
    let reader = RecordReader::of_file(file(text), &columns, nulls);
    let mut row = [Value::Null];
    reader.read(bytes, &mut row).map_err(|error| error.reason)?;
    let [value] = row;
    Ok(value)
}

/// What comes back of a value: nothing where nothing says that it was null.
fn returned(value: &Value, sql_type: &SqlType, nulls: Nulls) -> Value {
    match (value, sql_type) {
        (Value::Null, SqlType::Array(_)) => Value::Array([].into()),
        (Value::Null, SqlType::Map(..)) => Value::map([]),
        (Value::Null, sql_type) if nulls == Nulls::Defaults => match sql_type {
            SqlType::Boolean => Value::Boolean(false),
            SqlType::Integer => Value::Integer(0),
            SqlType::Bigint => Value::Bigint(0),
            SqlType::Double => Value::Double(0.0),
            SqlType::String => Value::string(""),
            SqlType::Bytes => Value::Bytes([].into()),
            _ => Value::Null,
        },
        (Value::Struct(values), SqlType::Struct(fields)) => Value::Struct(
            values
                .iter()
                .zip(fields)
                .map(|(value, field)| returned(value, &field.sql_type, nulls))
                .collect(),
        ),
        (Value::Array(values), SqlType::Array(element)) => {
            let values = values.iter().map(|value| returned(value, element, nulls));
            Value::Array(values.collect())
        }
        (Value::Map(entries), SqlType::Map(_, of)) => {
            let entries = entries.iter();
            Value::map(entries.map(|(key, value)| (key.clone(), returned(value, of, nulls))))
        }
        (value, _) => value.clone(),
    }
}

fn any_nulls() -> impl Strategy<Value = Nulls> {
    prop_oneof![Just(Nulls::Defaults), Just(Nulls::Optional), Just(Nulls::Wrapper)]
}

proptest! {
    /// Whatever columns there are: either their file is refused for a reason, or rows come back.
    #[test]
    fn rows_read_back((types, row) in rows(any_type()), nulls in any_nulls(), with_registry: bool) {
        let columns = named(&types);
        let Ok(text) = declare(&columns, false, nulls, None) else { return Ok(()) };
        let (writer, reader) = if with_registry {
            (
                RecordWriter::of_file(&file(&text), None, &columns, nulls),
                RecordReader::of_file(file(&text), &wanted(&columns), nulls),
            )
        } else {
            (
                RecordWriter::of_columns(&columns, false, nulls),
                RecordReader::of_columns(&wanted(&columns), false, nulls).unwrap(),
            )
        };
        let Ok(writer) = writer else { return Ok(()) };
        let mut bytes = Vec::new();
        // Nulls in lists, and days of no calendar, cannot be written.
        if writer.write(&row, &mut bytes).is_err() { return Ok(()) }
        let mut back = vec![Value::Null; row.len()];
        prop_assert_eq!(reader.read(&bytes, &mut back), Ok(true));
        let expected: Vec<Value> = row
            .iter()
            .zip(&types)
            .map(|(value, sql_type)| returned(value, sql_type, nulls))
            .collect();
        prop_assert_eq!(back, expected);
    }

    /// What is registered for columns means the same columns.
    #[test]
    fn columns_are_inferred_again(types in proptest::collection::vec(any_type(), 1..5), nulls in any_nulls()) {
        // An entry's decimal says nothing of its digits, and a list of maps looks like a map.
        fn is_told(sql_type: &SqlType) -> bool {
            match sql_type {
                SqlType::Map(_, value) => {
                    !matches!(**value, SqlType::Decimal { .. } | SqlType::Array(_) | SqlType::Map(..)) && is_told(value)
                }
                SqlType::Array(element) => !matches!(**element, SqlType::Map(..)) && is_told(element),
                SqlType::Struct(fields) => fields.iter().all(|field| is_told(&field.sql_type)),
                _ => true,
            }
        }
        let columns = named(&types);
        let Ok(text) = declare(&columns, false, nulls, None) else { return Ok(()) };
        prop_assume!(types.iter().all(is_told));
        let fields = columns.into_iter().map(|(name, sql_type)| StructField { name, sql_type });
        prop_assert_eq!(
            infer(&file(&text), None, Names::UpperCase, nulls),
            Ok(InferredType::Columns(fields.collect()))
        );
    }

    #[test]
    fn any_bytes_are_read_or_refused(types in proptest::collection::vec(any_type(), 1..4), bytes: Vec<u8>) {
        let columns = named(&types);
        if let Ok(text) = declare(&columns, false, Nulls::Optional, None) {
            let file = file(&text);
            let reader = RecordReader::of_file(file.clone(), &wanted(&columns), Nulls::Optional);
            let mut row = vec![Value::Null; columns.len()];
            let _ = reader.read(&bytes, &mut row);
            let _ = super::text(&file, &bytes);
        }
    }
}

#[test]
fn files_are_those_of_kafka_connect() {
    let map = SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::Integer));
    let decimal = SqlType::Decimal {
        precision: 4,
        scale: 2,
    };
    let inner = StructField {
        name: "X".to_owned(),
        sql_type: SqlType::Array(Box::new(SqlType::Boolean)),
    };
    let columns = [
        ("A".to_owned(), SqlType::Integer),
        ("D".to_owned(), decimal),
        ("T".to_owned(), SqlType::Timestamp),
        ("S".to_owned(), SqlType::Struct(vec![inner])),
        ("M".to_owned(), map),
    ];
    let expected = r#"syntax = "proto3";

import "confluent/type/decimal.proto";
import "google/protobuf/timestamp.proto";

message ConnectDefault1 {
  int32 A = 1;
  confluent.type.Decimal D = 2 [(confluent.field_meta) = {
    params: [
      {
        value: "4",
        key: "precision"
      },
      {
        value: "2",
        key: "scale"
      }
    ]
  }];
  google.protobuf.Timestamp T = 3;
  ConnectDefault2 S = 4;
  repeated ConnectDefault3Entry M = 5;

  message ConnectDefault2 {
    repeated bool X = 1;
  }
  message ConnectDefault3Entry {
    string key = 1;
    int32 value = 2;
  }
}
"#;
    assert_eq!(
        declare(&columns, false, Nulls::Defaults, None).as_deref(),
        Ok(expected)
    );
    let simple = [("A".to_owned(), SqlType::String)];
    assert_eq!(
        declare(&simple, false, Nulls::Optional, Some("demo.Login")).as_deref(),
        Ok("syntax = \"proto3\";\npackage demo;\n\nmessage Login {\n  optional string A = 1;\n}\n")
    );
    assert_eq!(
        declare(&simple, false, Nulls::Wrapper, Some("ConnectDefault7")).as_deref(),
        Ok(
            "syntax = \"proto3\";\n\nimport \"google/protobuf/wrappers.proto\";\n\nmessage ConnectDefault1 {\n  \
             google.protobuf.StringValue A = 1;\n}\n"
        )
    );
}

#[test]
fn what_no_file_can_have_is_told() {
    let list = SqlType::Array(Box::new(SqlType::Array(Box::new(SqlType::Integer))));
    let refused = |name: &str, sql_type, full_name| {
        declare(&[(name.to_owned(), sql_type)], false, Nulls::Defaults, full_name).unwrap_err()
    };
    assert_eq!(refused("A", list, None), "Array cannot be nested");
    let map = SqlType::Map(Box::new(SqlType::Integer), Box::new(SqlType::Integer));
    assert!(refused("A", map, None).contains("MAP types with STRING keys"));
    assert_eq!(
        refused("a-b", SqlType::Integer, None),
        "\"a-b\" is not a valid identifier."
    );
    assert_eq!(
        refused("A", SqlType::Integer, Some("a..b")),
        "\"\" is not a valid identifier."
    );
}

#[test]
fn columns_come_of_whatever_a_registry_holds() {
    let text = r#"syntax = "proto3"; package site;
        import "google/protobuf/wrappers.proto";
        message Door {
          uint32 nr = 1; float width = 2; Colour colour = 3; Door next = 4; repeated Lock locks = 5;
          map<string, int64> counts = 6; map<int32, string> numbered = 7; optional bool open = 8;
          google.protobuf.Int32Value steps = 9; sfixed32 fixed = 10;
          oneof key { string text = 11; int32 number = 12; }
          enum Colour { RED = 0; GREEN = 1; }
          message Lock { bytes code = 1; }
        }
        message Other { string name = 1; repeated ListEntry lists = 2; }
        message ListEntry { string key = 1; repeated int32 value = 2; }"#;
    let common = "KEY_0 STRUCT<`TEXT` STRING, `NUMBER` INTEGER>, NR BIGINT, WIDTH DOUBLE, COLOUR STRING, \
                  LOCKS ARRAY<STRUCT<`CODE` BYTES>>, COUNTS MAP<STRING, BIGINT>, OPEN BOOLEAN";
    assert_eq!(
        inferred(text, None, Nulls::Defaults),
        Ok(format!("{common}, STEPS STRUCT<`VALUE` INTEGER>, FIXED INTEGER"))
    );
    assert_eq!(
        inferred(text, Some("site.Door"), Nulls::Wrapper),
        Ok(format!("{common}, STEPS INTEGER, FIXED INTEGER"))
    );
    assert_eq!(
        inferred(text, Some("Other"), Nulls::Defaults),
        Ok("NAME STRING, LISTS ARRAY<STRUCT<`KEY` STRING, `VALUE` ARRAY<INTEGER>>>".to_owned())
    );
    assert!(inferred(text, Some("Nobody"), Nulls::Defaults).is_err());
    assert!(inferred("syntax = \"proto3\"; message Empty {}", None, Nulls::Defaults).is_err());
    assert!(inferred("syntax = \"proto3\";", None, Nulls::Defaults).is_err());
}

#[test]
fn a_short_file_that_means_very_much_is_refused() {
    let mut text = "syntax = \"proto3\"; message M0 { string a = 1; }".to_owned();
    for depth in 1..40 {
        text += &format!("message M{depth} {{ M{0} a = 1; M{0} b = 2; }}", depth - 1);
    }
    let error = inferred(&text, Some("M39"), Nulls::Defaults).unwrap_err();
    assert!(error.contains("more than 20000 types"), "{error}");
    let mut text = "syntax = \"proto3\"; message M0 { string a = 1; }".to_owned();
    for depth in 1..10_000 {
        text += &format!("message M{depth} {{ M{} a = 1; }}", depth - 1);
    }
    let error = inferred(&text, Some("M9999"), Nulls::Defaults).unwrap_err();
    assert!(error.contains("more than 100 deep in one another"), "{error}");
}

const DOOR: &str = r#"syntax = "proto3";
    message First { int32 a = 1; }
    message Door {
      oneof key { string text = 1; int32 number = 2; }
      Colour colour = 3; repeated int32 many = 4; optional int32 maybe = 5; int32 plain = 6; uint64 large = 7;
      enum Colour { RED = 0; GREEN = 1; }
    }"#;

#[test]
fn records_say_which_message_they_are() {
    let field = |name: &str, sql_type| StructField {
        name: name.to_owned(),
        sql_type,
    };
    let key = SqlType::Struct(vec![
        field("TEXT", SqlType::String),
        field("NUMBER", SqlType::Integer),
    ]);
    // The second message of the file.
    let bytes = [&[2, 2][..], &[0x10, 7, 0x18, 1, 0x22, 2, 1, 2]].concat();
    let of = |column: &str, sql_type| read(DOOR, column, sql_type, Nulls::Defaults, &bytes);
    assert_eq!(
        of("KEY_0", key),
        Ok(Value::Struct([Value::Null, Value::Integer(7)].into()))
    );
    assert_eq!(of("COLOUR", SqlType::String), Ok(Value::string("GREEN")));
    let many = SqlType::Array(Box::new(SqlType::Integer));
    let numbers = Value::Array([Value::Integer(1), Value::Integer(2)].into());
    assert_eq!(of("MANY", many), Ok(numbers));
    assert_eq!(of("MAYBE", SqlType::Integer), Ok(Value::Null));
    assert_eq!(of("PLAIN", SqlType::Integer), Ok(Value::Integer(0)));
    assert_eq!(of("PLAIN", SqlType::String), Ok(Value::string("0")));
    assert_eq!(
        of("PLAIN", SqlType::Boolean),
        Err("Cannot deserialize type int32 as type boolean for path: ->PLAIN".to_owned())
    );
    assert_eq!(
        of("MANY", SqlType::Integer),
        Err("Cannot deserialize type array as type int32 for path: ->MANY".to_owned())
    );
    let nowhere = read(DOOR, "A", SqlType::Integer, Nulls::Defaults, &[2, 8, 1]);
    assert_eq!(nowhere, Err("the schema has no message at [4]".to_owned()));
    let cut = read(DOOR, "A", SqlType::Integer, Nulls::Defaults, &[0, 8]).unwrap_err();
    assert!(cut.starts_with("Error deserializing Protobuf message: "), "{cut}");
    assert_eq!(
        text(&file(DOOR), &bytes).as_deref(),
        Some("number: 7 colour: GREEN many: 1 many: 2")
    );
    assert_eq!(text(&file(DOOR), &[0, 8]), None);
}

#[test]
fn rows_are_written_with_a_file_of_somebody_else() {
    let key = SqlType::Struct(vec![
        StructField {
            name: "text".to_owned(),
            sql_type: SqlType::String,
        },
        StructField {
            name: "number".to_owned(),
            sql_type: SqlType::Integer,
        },
    ]);
    let columns = [
        ("key_0".to_owned(), key),
        ("colour".to_owned(), SqlType::String),
        ("large".to_owned(), SqlType::Bigint),
    ];
    let writer = RecordWriter::of_file(&file(DOOR), Some("Door"), &columns, Nulls::Defaults).unwrap();
    let written = |colour: &str| {
        let key = Value::Struct([Value::string("k"), Value::Null].into());
        let mut bytes = Vec::new();
        let row = [key, Value::string(colour), Value::Bigint(-1)];
        writer.write(&row, &mut bytes).map(|()| bytes)
    };
    let bytes = written("GREEN").unwrap();
    assert_eq!(
        text(&file(DOOR), &bytes).as_deref(),
        Some("text: \"k\" colour: GREEN large: 18446744073709551615")
    );
    assert_eq!(
        written("BLUE").unwrap_err().reason,
        "`BLUE` is no symbol of the enum of the field \"colour\""
    );
    let missing = [("nobody".to_owned(), SqlType::Integer)];
    let error = RecordWriter::of_file(&file(DOOR), None, &missing, Nulls::Defaults).unwrap_err();
    assert_eq!(
        error,
        "Schema from Schema Registry misses field with name: nobody"
    );
}

#[test]
fn a_lone_key_is_a_message_of_googles() {
    for (sql_type, value) in [
        (SqlType::Integer, Value::Integer(5)),
        (SqlType::Date, Value::Date(19_000)),
        (
            SqlType::Struct(vec![StructField {
                name: "A".to_owned(),
                sql_type: SqlType::Integer,
            }]),
            Value::Struct([Value::Integer(5)].into()),
        ),
    ] {
        let columns = [("K".to_owned(), sql_type.clone())];
        let writer = RecordWriter::of_columns(&columns, true, Nulls::Defaults).unwrap();
        let mut bytes = Vec::new();
        writer.write(std::slice::from_ref(&value), &mut bytes).unwrap();
        if sql_type != SqlType::Date {
            assert_eq!(bytes, [8, 5], "{sql_type}");
        }
        let reader = RecordReader::of_columns(&wanted(&columns), true, Nulls::Defaults).unwrap();
        let mut row = [Value::Null];
        assert_eq!(reader.read(&bytes, &mut row), Ok(true));
        assert_eq!(row, [value]);
    }
}

#[test]
fn numbers_that_would_take_the_machine_are_refused() {
    let declared = declare(
        &[(
            "D".to_owned(),
            SqlType::Decimal {
                precision: 4,
                scale: 2,
            },
        )],
        false,
        Nulls::Defaults,
        None,
    )
    .unwrap();
    let decimal = SqlType::Decimal {
        precision: 4,
        scale: 2,
    };
    // The value 1 with the scale i32::MAX.
    let scale = [0x18, 0xff, 0xff, 0xff, 0xff, 0x07];
    let message = [&[0x0a, 1, 1][..], &scale].concat();
    let bytes = [&[0, 0x0a, u8::try_from(message.len()).unwrap()][..], &message].concat();
    let error = read(&declared, "D", decimal, Nulls::Defaults, &bytes).unwrap_err();
    assert_eq!(error, "the scale 2147483647 of a decimal is too large");
}
