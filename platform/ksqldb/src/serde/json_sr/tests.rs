//! Columns of every type through JSON Schema and back, and schemas that others have registered.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::super::json::{FieldNames, Maps, Members, decode_bare, decode_members};
use super::super::registered::{InferredType, Names};
use super::super::tests::{any_type, columns_of, named, rows, wanted};
use super::super::{DecoderColumn, Demand};
use super::{RecordWriter, declare, infer};
use crate::types::{SqlType, StructField};
use crate::value::Value;

/// The columns of a schema, as a statement would have them.
fn inferred(schema: &Json) -> Result<String, String> {
    infer(schema, Names::UpperCase).map(columns_of)
}

proptest! {
    /// Whatever columns there are: their schema says the same columns, and rows come back.
    #[test]
    fn rows_read_back((types, row) in rows(any_type())) {
        let columns = named(&types);
        let schema: Json = serde_json::from_str(&declare(&columns, false, None)).unwrap();
        let fields = columns.iter().map(|(name, sql_type)| StructField {
            name: name.clone(),
            sql_type: sql_type.clone(),
        });
        prop_assert_eq!(infer(&schema, Names::UpperCase), Ok(InferredType::Columns(fields.collect())));

        let mut bytes = Vec::new();
        RecordWriter::new(&schema, &columns, false).write(&row, &mut bytes);
        let mut back = vec![Value::Null; row.len()];
        let read = decode_members(&bytes, Maps::ObjectsOrEntries, FieldNames::Any, &wanted(&columns), |place, _, value| {
            back[place] = value;
        });
        prop_assert_eq!(read, Ok(Members::Read));
        prop_assert_eq!(&back[..], &row[..]);
    }
}

#[test]
fn schemas_are_those_of_kafka_connect() {
    let map = SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::Integer));
    let columns = [("A".to_owned(), SqlType::Integer), ("M".to_owned(), map)];
    assert_eq!(
        declare(&columns, false, None),
        r#"{"type":"object","properties":{"A":{"connect.index":0,"oneOf":[{"type":"null"},{"type":"integer","connect.type":"int32"}]},"M":{"connect.index":1,"oneOf":[{"type":"null"},{"type":"array","items":{"type":"object","properties":{"key":{"connect.index":0,"oneOf":[{"type":"null"},{"type":"string"}]},"value":{"connect.index":1,"oneOf":[{"type":"null"},{"type":"integer","connect.type":"int32"}]}}},"connect.type":"map"}]}}}"#
    );
    let lone = [("K".to_owned(), SqlType::String)];
    assert_eq!(
        declare(&lone, true, None),
        r#"{"oneOf":[{"type":"null"},{"type":"string"}]}"#
    );
    let titled: Json = serde_json::from_str(&declare(&lone, false, Some("Mine"))).unwrap();
    assert_eq!(titled["title"], "Mine");
}

#[test]
fn maps_are_written_as_the_schema_has_them() {
    let map = SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::Integer));
    let columns = [("M".to_owned(), map)];
    let row = [Value::map(vec![("k".into(), Value::Integer(1))])];
    let written = |schema: &Json| {
        let mut bytes = Vec::new();
        RecordWriter::new(schema, &columns, false).write(&row, &mut bytes);
        String::from_utf8(bytes).unwrap()
    };
    let own = serde_json::from_str(&declare(&columns, false, None)).unwrap();
    assert_eq!(written(&own), r#"{"M":[{"key":"k","value":1}]}"#);
    let others = json!({"type": "object", "properties": {
        "M": {"type": "object", "connect.type": "map", "additionalProperties": {"type": "integer"}},
    }});
    assert_eq!(written(&others), r#"{"M":{"k":1}}"#);
    let put_together = json!({"allOf": [{"type": "object"}, others]});
    assert_eq!(written(&put_together), r#"{"M":{"k":1}}"#);
}

#[test]
fn columns_come_of_whatever_a_registry_holds() {
    let schema = json!({
        "type": "object",
        "$defs": {"door": {"type": "object", "properties": {"nr": {"type": "integer"}}}},
        "properties": {
            "b": {"connect.index": 1, "type": "string"},
            "a": {"connect.index": 0, "type": ["null", "number"]},
            "door": {"$ref": "#/$defs/door"},
            "self": {"$ref": "#"},
            "far": {"$ref": "https://example.org/door.json"},
            "colour": {"enum": ["red", "green"]},
            "list": {"type": "array", "items": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}},
            "any": {},
            "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
            "or": {"type": ["string", "integer"]},
            "or_object": {"type": ["string", "object"], "properties": {"nr": {"type": "integer"}}},
        },
    });
    assert_eq!(
        inferred(&schema),
        Ok("A DOUBLE, B STRING, DOOR STRUCT<`NR` BIGINT>, COLOUR STRING, LIST ARRAY<BOOLEAN>".to_owned())
    );
    assert_eq!(inferred(&json!({"type": "string"})), Ok("STRING".to_owned()));
    for nothing in [
        json!({}),
        json!(true),
        json!({"type": "object"}),
        json!({"$ref": "#"}),
    ] {
        assert!(inferred(&nothing).is_err(), "{nothing}");
    }
}

/// What has to hold besides narrows a value or gives an object more members; it takes no column away.
#[test]
fn what_is_put_together_is_one_type() {
    let schema = json!({
        "allOf": [{"$ref": "#/$defs/named"}, {"if": {"required": ["nr"]}, "then": {"required": ["name"]}}],
        "$defs": {
            "door": {"type": "object", "properties": {"nr": {"type": "integer"}, "name": {"type": "integer"}}},
            "named": {"allOf": [{"$ref": "#/$defs/door"}, {"properties": {"name": {"type": "string"}}}]},
        },
        "properties": {
            "house": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "boolean"}},
                      "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
            "short": {"type": "string", "allOf": [{"minLength": 1}, {"maxLength": 3}]},
            "word": {"type": "string", "oneOf": [{"const": "a"}, {"const": "b"}]},
            "whole": {"allOf": [{"minimum": 1}, {"type": "integer", "connect.type": "int32"}]},
            "maybe": {"connect.index": 0, "oneOf": [{"type": "null"}, {"$ref": "#/$defs/named"}]},
            "again": {"$ref": "#"},
        },
        "type": "object",
    });
    assert_eq!(
        inferred(&schema).as_deref(),
        Ok(
            "MAYBE STRUCT<`NR` BIGINT, `NAME` STRING>, HOUSE STRUCT<`A` STRING, `B` BOOLEAN>, SHORT STRING, WORD STRING, \
             WHOLE INTEGER, NR BIGINT, NAME STRING"
        )
    );
    // Each part counts once, however many ways lead to it.
    let mut definitions = serde_json::Map::new();
    definitions.insert("d0".to_owned(), json!({"properties": {"a": {"type": "string"}}}));
    for depth in 1..25 {
        let inner = json!({"$ref": format!("#/$defs/d{}", depth - 1)});
        definitions.insert(format!("d{depth}"), json!({"allOf": [inner, inner]}));
    }
    let schema = json!({"$defs": definitions, "$ref": "#/$defs/d24"});
    assert_eq!(inferred(&schema).as_deref(), Ok("A STRING"));
    // Looking at many of them again and again is refused.
    let parts: Vec<Json> = (0..1_000).map(|_| json!({"minProperties": 1})).collect();
    let members: serde_json::Map<String, Json> = (0..100)
        .map(|number| (format!("m{number}"), json!({"$ref": "#/$defs/many"})))
        .collect();
    let schema = json!({"$defs": {"many": {"properties": {"a": {"type": "string"}}, "allOf": parts}},
        "type": "object", "properties": members});
    let error = inferred(&schema).unwrap_err();
    assert!(error.contains("more than 20000 types"), "{error}");
}

#[test]
fn a_short_schema_that_means_very_much_is_refused() {
    let mut definitions = serde_json::Map::new();
    definitions.insert("d0".to_owned(), json!({"type": "string"}));
    for depth in 1..40 {
        let inner = json!({"$ref": format!("#/$defs/d{}", depth - 1)});
        let object = json!({"type": "object", "properties": {"a": inner, "b": inner}});
        definitions.insert(format!("d{depth}"), object);
    }
    let error = inferred(&json!({"$defs": definitions, "$ref": "#/$defs/d39"})).unwrap_err();
    assert!(error.contains("more than 20000 types"), "{error}");
}

#[test]
fn a_schema_of_a_long_way_of_references_is_refused() {
    let mut definitions = serde_json::Map::new();
    definitions.insert("d0".to_owned(), json!({"type": "string"}));
    for depth in 1..10_000 {
        let inner = json!({"$ref": format!("#/$defs/d{}", depth - 1)});
        definitions.insert(
            format!("d{depth}"),
            json!({"type": "object", "properties": {"a": inner}}),
        );
    }
    let error = inferred(&json!({"$defs": definitions, "$ref": "#/$defs/d9999"})).unwrap_err();
    assert!(error.contains("more than 100 deep in one another"), "{error}");
}

#[test]
fn maps_are_read_as_objects_and_as_entries() {
    let column = DecoderColumn {
        name: "M".to_owned(),
        sql_type: SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::Integer)),
        target: Some((0, Demand::Whole)),
    };
    let map = Value::map(vec![("k".into(), Value::Integer(1))]);
    for text in [r#"{"k":1}"#, r#"[{"key":"k","value":1},{"value":2}]"#] {
        let mut read = Value::Null;
        let store = |_, _, value| read = value;
        assert_eq!(
            decode_bare(text.as_bytes(), Maps::ObjectsOrEntries, &column, store),
            Ok(())
        );
        assert_eq!(read, map);
    }
    let entries = br#"[{"key":"k","value":1}]"#;
    assert!(decode_bare(entries, Maps::Objects, &column, |_, _, _| {}).is_err());
}
