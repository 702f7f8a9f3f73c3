//! What a server wrote down, beside what was submitted.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::statement::Script;
use super::*;

const WANTED: &str = "create stream proc as select hostIdentifier as host, COLUMNS['pid'] as pid from \
                      processes where COLUMNS ['name'] not like '%osqueryd%';";
const FOUND: &str = "CREATE STREAM PROC WITH (CLEANUP_POLICY='delete', KAFKA_TOPIC='PROC', PARTITIONS=1) AS \
                     SELECT\n  PROCESSES.HOSTIDENTIFIER HOST,\n  PROCESSES.COLUMNS['pid'] PID\nFROM PROCESSES \
                     PROCESSES\nWHERE (NOT (PROCESSES.COLUMNS['name'] LIKE '%osqueryd%'))\nEMIT CHANGES;";

fn verdict(wanted: &str, found: &str, queries: Value) -> Option<Doubtful> {
    let statement = Script::parse(wanted).statements.remove(0);
    let description = json!({"type": "STREAM", "statement": found, "writeQueries": queries});
    judge(
        &statement,
        statement.created_name().unwrap(),
        &description,
        &Submitted::default(),
    )
}

fn running() -> Value {
    json!([{"id": "CSAS_PROC_4", "state": "RUNNING"}])
}

#[test]
fn the_servers_way_of_writing_is_the_same_definition() {
    assert_eq!(verdict(WANTED, FOUND, running()), None);
    let source = "CREATE STREAM IF NOT EXISTS `Odd` (a VARCHAR KEY, m MAP<VARCHAR, INTEGER>) WITH (kafka_topic='x', \
                  value_format='json', partitions=1);";
    let found = "CREATE STREAM `Odd` (A STRING KEY, M MAP<STRING, INT>) WITH (KAFKA_TOPIC='x', KEY_FORMAT='KAFKA', \
                 PARTITIONS=1, REPLICAS=1, VALUE_FORMAT='JSON');";
    assert_eq!(verdict(source, found, json!([])), None);
    let join = "CREATE STREAM j AS SELECT a.id, b.x FROM a JOIN b WITHIN 1 MINUTE ON a.id = b.id";
    let found = "CREATE STREAM J WITH (PARTITIONS=1) AS SELECT A.ID ID, B.X X FROM A A INNER JOIN B B WITHIN 1 \
                 MINUTES ON ((A.ID = B.ID)) EMIT CHANGES;";
    assert_eq!(verdict(&format!("{join};"), found, running()), None);
}

#[test]
fn what_a_server_made_of_our_own_statement_is_ours_however_it_is_written() {
    let written = "CREATE STREAM PROC AS FROM PROCESSES PICK HOSTIDENTIFIER CALLED HOST;";
    let found = |written: &str, queries: Value| json!({"type": "STREAM", "statement": written, "writeQueries": queries});
    let statement = Script::parse(WANTED).statements.remove(0);
    let mut submitted = Submitted::default();
    let judged = |submitted: &Submitted, written: &str, queries: Value| {
        judge(&statement, "proc", &found(written, queries), submitted)
    };
    let other = Some(doubtful("proc", "STREAM", Doubt::OtherDefinition));
    assert_eq!(judged(&submitted, written, running()), other);
    submitted.note("proc", &statement.text, written);
    assert_eq!(judged(&submitted, written, running()), None);
    // Somebody has put another in its place, or ended its query.
    assert_eq!(
        judged(&submitted, &written.replace("HOST;", "HOSTS;"), running()),
        other
    );
    assert_eq!(
        judged(&submitted, written, json!([])),
        Some(doubtful("proc", "STREAM", Doubt::QueryTerminated))
    );
}

/// What ksqlDB of Confluent Platform 7.9.8 wrote down of statements that were submitted to it.
#[test]
fn what_a_real_server_wrote_down_is_recognised() {
    let recorded = include_str!("../../../tests/fixtures/ksqldb-7.9.8/written_down.json");
    let recorded: Vec<BTreeMap<String, String>> = serde_json::from_str(recorded).unwrap();
    assert_eq!(recorded.len(), 8);
    for (place, statement) in recorded.iter().enumerate() {
        assert_eq!(
            verdict(&statement["submitted"], &statement["written"], running()),
            None,
            "{statement:?}"
        );
        let other = &recorded[(place + 4) % 8];
        assert!(
            verdict(&statement["submitted"], &other["written"], running()).is_some(),
            "{statement:?}"
        );
    }
}

#[test]
fn another_definition_is_told() {
    let compared = |operator: &str| format!("CREATE STREAM s AS SELECT a FROM t WHERE a {operator} 1;");
    assert_eq!(verdict(&compared("!="), &compared("<>"), running()), None);
    assert!(verdict(&compared("<"), &compared(">"), running()).is_some());
    assert!(verdict(&compared("<"), &compared("<="), running()).is_some());
    for other in [
        WANTED.replace("%osqueryd%", "%bash%"),
        WANTED.replace("COLUMNS['pid'] as pid", "COLUMNS['path'] as pid"),
        WANTED.replace(";", " and action = 'added';"),
        WANTED.replace(", COLUMNS['pid'] as pid", ""),
    ] {
        let doubt = verdict(&other, FOUND, running()).unwrap();
        assert_eq!(doubt, doubtful("proc", "STREAM", Doubt::OtherDefinition));
    }
    let source = "CREATE STREAM s (a INT) WITH (KAFKA_TOPIC='x', VALUE_FORMAT='JSON');";
    assert!(verdict(source, &source.replace("'x'", "'y'"), json!([])).is_some());
    assert!(verdict(source, &source.replace("a INT", "a INT, b INT"), json!([])).is_some());
    // The same words in another order, which the parser tells apart.
    let pair = "CREATE STREAM s AS SELECT c['pid'] AS pid, c['path'] AS path FROM t;";
    let swapped = "CREATE STREAM S AS SELECT T.C['path'] PID, T.C['pid'] PATH FROM T T EMIT CHANGES;";
    assert!(verdict(pair, swapped, running()).is_some());
}

#[test]
fn a_query_that_does_not_run_is_told() {
    assert_eq!(
        verdict(WANTED, FOUND, json!([])),
        Some(doubtful("proc", "STREAM", Doubt::QueryTerminated))
    );
    let query_id = "CSAS_PROC_4".to_owned();
    assert_eq!(
        verdict(WANTED, FOUND, json!([{"id": "CSAS_PROC_4", "state": "PAUSED"}])),
        Some(doubtful("proc", "STREAM", Doubt::QueryPaused { query_id }))
    );
}

#[test]
fn stopped_queries_are_found_in_a_listing() {
    let source = format!(
        "CREATE STREAM s (a INT) WITH (KAFKA_TOPIC='x'); {WANTED} CREATE STREAM files AS SELECT * FROM s;"
    );
    let statements = Script::parse(&source).statements;
    let told = |queries: Value| -> Vec<String> {
        let queries: Vec<&Value> = queries.as_array().unwrap().iter().collect();
        let stopped = stopped(&statements, &queries);
        stopped
            .iter()
            .map(|query| format!("{}: {}", query.name, query.doubt))
            .collect()
    };
    let query =
        |sink: &str, state: &str| json!({"id": format!("CSAS_{sink}_1"), "sinks": [sink], "state": state});
    assert_eq!(
        told(json!([query("PROC", "RUNNING"), query("FILES", "ERROR")])),
        [""; 0]
    );
    assert_eq!(
        told(json!([query("PROC", "PAUSED"), query("OTHER", "RUNNING"), {"id": "transient_1", "sinks": []}])),
        ["proc: its query is paused", "files: its query was terminated"]
    );
    // Old servers list queries without their state.
    assert_eq!(
        told(json!([{"id": "CSAS_PROC_1", "sinks": ["PROC"]}, {"id": "CSAS_FILES_1", "sinks": ["FILES"]}])),
        [""; 0]
    );
}

#[test]
fn what_the_server_does_not_tell_is_not_doubted() {
    assert_eq!(verdict(WANTED, "", running()), None);
    // A form that the parser does not read: the words are the same.
    let newer = "CREATE STREAM s AS SELECT a FROM t TABLESAMPLE 4 PERCENT;";
    assert_eq!(verdict(newer, newer, running()), None);
    assert!(verdict(newer, &newer.replace('4', "5"), running()).is_some());
    let statement = Script::parse(WANTED).statements.remove(0);
    assert_eq!(
        judge(
            &statement,
            "proc",
            &json!({"type": "STREAM"}),
            &Submitted::default()
        ),
        None
    );
}
