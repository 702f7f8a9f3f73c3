use proptest::prelude::*;
use serde_json::json;

use super::*;

fn show(body: Value, width: usize) -> String {
    entity_text(&Entity::try_from(body).unwrap(), Some(width))
}

fn streams() -> Value {
    json!({"@type": "streams", "statementText": "LIST STREAMS;", "warnings": [], "streams": [
        {"type": "STREAM", "name": "PROCESSES", "topic": "processes", "keyFormat": "KAFKA", "valueFormat": "JSON", "isWindowed": false},
        {"type": "STREAM", "name": "PROC", "topic": "PROC", "keyFormat": "KAFKA", "valueFormat": "JSON", "isWindowed": false}
    ]})
}

#[test]
fn what_was_asserted_is_told_in_a_sentence() {
    let of = |kind: &str, more: Value| {
        let mut body = json!({"@type": kind, "statementText": "ASSERT …;", "warnings": []});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        show(body, 80)
    };
    assert_eq!(
        of("assert_topic", json!({"topicName": "t", "exists": true})),
        "Topic t exists."
    );
    assert_eq!(
        of("assert_topic", json!({"topicName": "t", "exists": false})),
        "Topic t does not exist."
    );
    let schema = json!({"subject": "s-value", "id": 7, "exists": true});
    assert_eq!(
        of("assert_schema", schema),
        "Schema with subject s-value, ID 7 exists."
    );
    let schema = json!({"subject": null, "id": 7, "exists": false});
    assert_eq!(of("assert_schema", schema), "Schema with ID 7 does not exist.");
}

#[test]
fn streams_at_two_widths() {
    insta::assert_snapshot!(show(streams(), 80), @r"
        NAME       TOPIC      KEY FORMAT  VALUE FORMAT  WINDOWED
        ─────────  ─────────  ──────────  ────────────  ────────
        PROCESSES  processes  KAFKA       JSON          false
        PROC       PROC       KAFKA       JSON          false
        ");
    insta::assert_snapshot!(show(streams(), 40), @r"
        NAME          PROCESSES
        TOPIC         processes
        KEY FORMAT    KAFKA
        VALUE FORMAT  JSON
        WINDOWED      false

        NAME          PROC
        TOPIC         PROC
        KEY FORMAT    KAFKA
        VALUE FORMAT  JSON
        WINDOWED      false
        ");
}

#[test]
fn lists_of_0_6_and_empty_ones() {
    insta::assert_snapshot!(show(json!({"@type": "streams", "streams": [{"type": "STREAM", "name": "A", "topic": "a", "format": "JSON"}]}), 80), @r"
        NAME  TOPIC  KEY FORMAT  VALUE FORMAT  WINDOWED
        ────  ─────  ──────────  ────────────  ────────
        A     a                  JSON
        ");
    insta::assert_snapshot!(show(json!({"@type": "tables", "tables": []}), 80), @"no tables");
    insta::assert_snapshot!(show(json!({"@type": "type_list", "types": {}}), 80), @"no types");
    let address = json!({"type": "STRUCT", "fields": [
            {"name": "STREET", "schema": {"type": "STRING", "fields": null, "memberSchema": null}},
            {"name": "ZIP", "schema": {"type": "INTEGER", "fields": null, "memberSchema": null}}
        ], "memberSchema": null});
    insta::assert_snapshot!(show(json!({"@type": "type_list", "types": {"ADDR": address}}), 80), @r"
        TYPE  SCHEMA
        ────  ───────────────────────────────────
        ADDR  STRUCT<STREET VARCHAR, ZIP INTEGER>
        ");
}

#[test]
fn a_description() {
    let body = json!({"@type": "sourceDescription", "sourceDescription": {
            "name": "PROC", "windowType": null, "readQueries": [], "type": "STREAM", "topic": "PROC",
            "writeQueries": [{"queryString": "CREATE STREAM PROC AS\n  SELECT 1;", "sinks": ["PROC"], "id": "CSAS_PROC_5", "statusCount": {"RUNNING": 1}, "queryType": "PERSISTENT", "state": "RUNNING"}],
            "fields": [
                {"name": "K", "schema": {"type": "STRING", "fields": null, "memberSchema": null}, "type": "KEY"},
                {"name": "M", "schema": {"type": "MAP", "memberSchema": {"type": "ARRAY", "memberSchema": {"type": "STRUCT", "fields": [{"name": "D", "schema": {"type": "DECIMAL", "parameters": {"precision": 4, "scale": 2}}}]}}}}
            ],
            "timestamp": "", "statistics": "", "errorStats": "", "keyFormat": "KAFKA", "valueFormat": "JSON", "statement": "CREATE STREAM PROC AS\n  SELECT 1;"
        }, "warnings": [{"message": "old,\nand tired"}]});
    insta::assert_snapshot!(show(body.clone(), 80), @r"
        Name          PROC
        Type          STREAM
        Topic         PROC
        Key format    KAFKA
        Value format  JSON
        Statement     CREATE STREAM PROC AS SELECT 1;

        FIELD  TYPE
        ─────  ────────────────────────────────────────────
        K      VARCHAR (key)
        M      MAP<VARCHAR, ARRAY<STRUCT<D DECIMAL(4, 2)>>>

        Queries that write it
        QUERY ID     TYPE        STATE      SINK  QUERY
        ───────────  ──────────  ─────────  ────  ───────────────────────────────
        CSAS_PROC_5  PERSISTENT  RUNNING:1  PROC  CREATE STREAM PROC AS SELECT 1;
        warning: old, and tired
        ");
    let narrow = show(body, 30);
    assert!(
        narrow.contains("Statement     CREATE STREAM\n              PROC AS SELECT\n              1;\n"),
        "{narrow}"
    );
}

#[test]
fn messages_and_unknown_answers() {
    insta::assert_snapshot!(show(json!({"@type": "currentStatus", "commandStatus": {"status": "SUCCESS", "message": "Stream created"}}), 40), @"Stream created");
    insta::assert_snapshot!(show(json!({"@type": "terminate_query", "queryId": "transient_1", "wasTerminated": true}), 40), @"Query transient_1 terminated.");
    insta::assert_snapshot!(show(json!({"@type": "new_thing", "a": [1]}), 40), @r#"
        {
          "@type": "new_thing",
          "a": [
            1
          ]
        }
        "#);
}

proptest! {
    #[test]
    fn no_answer_is_a_panic(kind in prop::sample::select(vec![
        "streams", "tables", "kafka_topics", "queries", "sourceDescription", "source_descriptions",
        "queryDescription", "properties", "function_names", "describe_function", "currentStatus", "type_list",
    ]), field in prop::sample::select(vec![
        "streams", "topics", "queries", "sourceDescription", "properties", "functions", "fields",
    ]), width in 0_usize..90, wrong in prop::sample::select(vec![
        json!(null), json!([]), json!([1, null, {"fields": [{"schema": 3}]}]), json!({"fields": 1}), json!("x"),
    ])) {
        show(json!({"@type": kind, field: wrong}), width);
    }
}
