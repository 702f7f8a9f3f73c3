use super::*;

#[test]
fn an_answer_has_the_shape_of_its_type() {
    let entity = Entity::CurrentStatus {
        command_id: "stream/`PROC`/create".to_owned(),
        command_status: CommandStatus {
            status: "SUCCESS",
            message: "Stream created".to_owned(),
            query_id: None,
        },
        command_sequence_number: 6,
    };
    let answer = Answer::new("CREATE STREAM PROC;", entity).with_warnings(&["careful".to_owned()]);
    assert_eq!(
        serde_json::to_string(&answer).unwrap(),
        r#"{"@type":"currentStatus","statementText":"CREATE STREAM PROC;","commandId":"stream/`PROC`/create","commandStatus":{"status":"SUCCESS","message":"Stream created","queryId":null},"commandSequenceNumber":6,"warnings":[{"message":"careful"}]}"#
    );
}

#[test]
fn nested_types_are_described_inside_out() {
    let sql_type = SqlType::Map(
        Box::new(SqlType::String),
        Box::new(SqlType::Array(Box::new(SqlType::Decimal {
            precision: 4,
            scale: 1,
        }))),
    );
    assert_eq!(
        serde_json::to_string(&SchemaInfo::of_type(&sql_type)).unwrap(),
        r#"{"type":"MAP","fields":null,"memberSchema":{"type":"ARRAY","fields":null,"memberSchema":{"type":"DECIMAL","fields":null,"memberSchema":null,"parameters":{"precision":4,"scale":1}}}}"#
    );
}
