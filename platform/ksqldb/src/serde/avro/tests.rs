//! Columns of every type through Avro and back, and bytes that are nobody's.

use std::sync::Arc;

use osqdemo_avro::Schema;
use osqdemo_avro::write::{Blocks, write_branch, write_string};
use proptest::prelude::*;

use super::super::registered::{InferredType, Names};
use super::super::tests::{any_type, columns_of, named, rows, wanted};
use super::super::{DecoderColumn, Demand};
use super::{RecordReader, RecordWriter, declare, infer};
use crate::types::{SqlType, StructField};
use crate::value::Value;

const NAME: &str = "io.confluent.ksql.avro_schemas.KsqlDataSourceSchema";

/// The columns of a schema, as a statement would have them.
fn inferred(schema: &str) -> Result<String, String> {
    infer(&Schema::parse(schema).unwrap(), Names::UpperCase).map(columns_of)
}

/// Reads a record of one schema into columns.
fn read(schema: &str, columns: &[(&str, SqlType)], bytes: &[u8]) -> Result<Vec<Value>, String> {
    let schema = Arc::new(Schema::parse(schema).unwrap());
    let columns: Vec<_> = columns
        .iter()
        .map(|(name, sql_type)| ((*name).to_owned(), sql_type.clone()))
        .collect();
    let mut row = vec![Value::Null; columns.len()];
    let reader = RecordReader::new(schema, &wanted(&columns), false);
    reader.read(bytes, &mut row).map_err(|error| error.reason)?;
    Ok(row)
}

proptest! {
    /// Whatever columns there are: their schema is one, it says the same columns, and rows come back.
    #[test]
    fn rows_read_back(
        (types, row) in rows(any_type()),
        noise in proptest::collection::vec(any::<u8>(), 0..40)
    ) {
        let columns = named(&types);
        let text = declare(&columns, false, NAME).unwrap();
        let schema = Arc::new(Schema::parse(&text).unwrap());
        prop_assert_eq!(schema.canonical_text(), text, "it is written as a registry would write it");
        let fields = columns.iter().map(|(name, sql_type)| StructField {
            name: name.clone(),
            sql_type: sql_type.clone(),
        });
        prop_assert_eq!(infer(&schema, Names::UpperCase), Ok(InferredType::Columns(fields.collect())));

        let mut bytes = Vec::new();
        RecordWriter::new(&schema, &columns, false).unwrap().write(&row, &mut bytes).unwrap();
        let reader = RecordReader::new(Arc::clone(&schema), &wanted(&columns), false);
        let mut back = vec![Value::Null; row.len()];
        prop_assert!(reader.read(&bytes, &mut back).unwrap());
        prop_assert_eq!(&back[..], &row[..]);
        // What Avro's own decoder says of the bytes, and of each shorter part of them.
        prop_assert!(osqdemo_avro::decode(&schema, &bytes).is_ok());
        for length in 0..bytes.len() {
            let _ = reader.read(&bytes[..length], &mut back);
        }
        let _ = reader.read(&noise, &mut back);
    }
}

const MAP: &str = r#"{"type":"map","values":["null","string"]}"#;
const ENTRIES: &str = r#"{"type":"array","items":{"type":"record","name":"E","fields":[{"name":"key","type":"string"},{"name":"value","type":["null","string"]}],"connect.internal.type":"MapEntry"}}"#;

proptest! {
    /// However a map is written, its entries are the same in places of their own.
    #[test]
    fn entries_with_a_place_each_are_those_of_the_map(
        entries in proptest::option::of(proptest::collection::vec(
            (prop::sample::select(&["a", "b", "other"][..]), proptest::option::of("[xy]{0,3}")), 0..6)),
        written in prop::sample::select(&[MAP, ENTRIES][..]),
        bare: bool,
    ) {
        let map = format!(r#"["null",{written}]"#);
        let schema = match bare {
            true => map,
            false => format!(r#"{{"type":"record","name":"R","fields":[{{"name":"M","type":{map}}}]}}"#),
        };
        let schema = Arc::new(Schema::parse(&schema).unwrap());
        let mut bytes = Vec::new();
        write_branch(entries.is_some().into(), &mut bytes);
        if let Some(entries) = &entries {
            let mut blocks = Blocks::default();
            for (key, value) in entries {
                blocks.item(&mut bytes);
                write_string(key, &mut bytes);
                write_branch(value.is_some().into(), &mut bytes);
                value.iter().for_each(|value| write_string(value, &mut bytes));
            }
            blocks.end(&mut bytes);
        }
        let keys: [Arc<str>; 2] = ["a".into(), "b".into()];
        let read = |demand: Demand| {
            let mut row = vec![Value::Null; demand.places()];
            let column = DecoderColumn {
                name: "M".to_owned(),
                sql_type: SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::String)),
                target: Some((0, demand)),
            };
            let is_there = RecordReader::new(Arc::clone(&schema), &[column], bare).read(&bytes, &mut row);
            (is_there.unwrap(), row)
        };
        let (is_there, whole) = read(Demand::Whole);
        prop_assert!(is_there);
        let entry = |key: &Arc<str>| match &whole[0] {
            Value::Map(entries) => {
                let found = entries.iter().find(|(other, _)| other == key);
                found.map(|(_, value)| value.clone()).unwrap_or_default()
            }
            _ => Value::Null,
        };
        let expected = keys.iter().map(entry).collect();
        prop_assert_eq!(read(Demand::Each(keys.to_vec())), (is_there, expected));
    }
}

#[test]
fn a_lone_column_stands_by_itself() {
    let decimal = SqlType::Decimal {
        precision: 4,
        scale: 2,
    };
    for (sql_type, value) in [
        (SqlType::String, Value::string("x")),
        (
            SqlType::Array(Box::new(SqlType::Integer)),
            Value::Array(vec![Value::Integer(1)].into()),
        ),
        (decimal, Value::Decimal("1.25".parse().unwrap())),
    ] {
        let columns = named(std::slice::from_ref(&sql_type));
        let schema = Arc::new(Schema::parse(&declare(&columns, true, NAME).unwrap()).unwrap());
        assert_eq!(
            infer(&schema, Names::UpperCase),
            Ok(InferredType::Anonymous(sql_type))
        );
        let mut bytes = Vec::new();
        let writer = RecordWriter::new(&schema, &columns, true).unwrap();
        writer.write(std::slice::from_ref(&value), &mut bytes).unwrap();
        let mut row = vec![Value::Null];
        let reader = RecordReader::new(schema, &wanted(&columns), true);
        assert!(reader.read(&bytes, &mut row).unwrap());
        assert_eq!(row, [value]);
    }
}

#[test]
fn schemas_have_the_names_that_ksqldb_gives_them() {
    let map = SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::Integer));
    let columns = [("M".to_owned(), map)];
    assert_eq!(
        declare(&columns, false, "n.Root").unwrap(),
        r#"{"type":"record","name":"Root","namespace":"n","fields":[{"name":"M","type":["null",{"type":"array","items":{"type":"record","name":"Root_M","fields":[{"name":"key","type":["null","string"],"default":null},{"name":"value","type":["null","int"],"default":null}],"connect.internal.type":"MapEntry"},"connect.name":"n.Root_M"}],"default":null}],"connect.name":"n.Root"}"#
    );
    assert_eq!(
        declare(&[("D".to_owned(), SqlType::Date)], true, "n.Root").unwrap(),
        r#"{"type":"int","connect.name":"org.apache.kafka.connect.data.Date","logicalType":"date"}"#
    );
}

#[test]
fn columns_come_of_whatever_a_registry_holds() {
    assert_eq!(
        inferred(
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":["string","null"]},{"name":"b","type":{"type":"map","values":["null","long"]}},{"name":"c","type":["null","int","string"]},{"name":"d","type":{"type":"record","name":"Nested","fields":[{"name":"q","type":"float"}]}}]}"#
        ),
        Ok(
            "A STRING, B MAP<STRING, BIGINT>, C STRUCT<`INT` INTEGER, `STRING` STRING>, D STRUCT<`Q` DOUBLE>"
                .to_owned()
        )
    );
    assert_eq!(inferred(r#""long""#), Ok("BIGINT".to_owned()));
    assert!(inferred(r#""null""#).is_err());
    assert!(inferred(r#"{"type":"record","name":"R","fields":[]}"#).is_err());
    // What contains itself has no type in SQL.
    assert_eq!(
        inferred(
            r#"{"type":"record","name":"R","fields":[{"name":"n","type":"int"},{"name":"next","type":["null","R"]}]}"#
        ),
        Ok("N INTEGER".to_owned())
    );
}

#[test]
fn a_short_schema_that_means_very_much_is_refused() {
    let mut schema = r#"{"type":"record","name":"R0","fields":[{"name":"n","type":"int"}]}"#.to_owned();
    for depth in 1..20 {
        let inner = depth - 1;
        schema = format!(
            r#"{{"type":"record","name":"R{depth}","fields":[{{"name":"a","type":{schema}}},{{"name":"b","type":"R{inner}"}}]}}"#
        );
    }
    let error = inferred(&schema).unwrap_err();
    assert!(error.contains("more than 20000 types"), "{error}");
}

#[test]
fn other_writers_schemas_are_read_by_name() {
    let written = r#"{"type":"record","name":"R","fields":[{"name":"n","type":"int"},{"name":"host","type":"string"},{"name":"extra","type":{"type":"array","items":"string"}}]}"#;
    // n = 21, host = "h1", extra = ["x"]
    let bytes = [42, 4, b'h', b'1', 2, 2, b'x', 0];
    let columns = [
        ("HOST", SqlType::String),
        ("N", SqlType::Bigint),
        ("MISSING", SqlType::Double),
    ];
    let row = read(written, &columns, &bytes).unwrap();
    assert_eq!(row, [Value::string("h1"), Value::Bigint(21), Value::Null]);
    assert_eq!(
        read(written, &[("HOST", SqlType::Integer)], &bytes),
        Err("Cannot deserialize type string as type int32 for path: ->HOST".to_owned())
    );
    assert_eq!(
        read(written, &[("N", SqlType::String)], &bytes),
        Ok(vec![Value::string("21")])
    );
    assert!(
        read(written, &columns, &bytes[..7]).is_err(),
        "the end is missing"
    );
    let more = [&bytes[..], &[0]].concat();
    assert!(read(written, &columns, &more).is_err(), "there is more behind it");
}

#[test]
fn names_that_avro_cannot_have_are_named() {
    let refused = |name: &str| declare(&[(name.to_owned(), SqlType::Integer)], false, NAME).unwrap_err();
    assert_eq!(
        refused("9a"),
        "Schema is not compatible with Avro: Illegal initial character: 9a"
    );
    assert_eq!(
        refused("a b"),
        "Schema is not compatible with Avro: Illegal character in: a b"
    );
}
