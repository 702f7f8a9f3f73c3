//! What may become of a schema, a case a test.

use serde_json::json;

use super::cases::{DOOR, DOOR_WITHOUT_DEFAULT, code, schema};
use crate::support::Pair;

#[tokio::test]
async fn levels_are_those_of_the_subject_or_of_everything() {
    let Pair { registry, .. } = &Pair::start().await;
    registry.id("gate", DOOR).await;
    assert_eq!(code(&registry.get("/config/gate").await), (404, 40408));
    let general = registry.get("/config/gate?defaultToGlobal=true").await;
    assert_eq!(general, (200, json!({"compatibilityLevel": "BACKWARD"})));
    assert_eq!(
        registry
            .put("/config/gate", &json!({"compatibility": "none"}))
            .await
            .1,
        json!({"compatibility": "NONE"})
    );
    registry.id("gate", DOOR_WITHOUT_DEFAULT).await;
    assert_eq!(
        registry.delete("/config/gate").await,
        (200, json!({"compatibilityLevel": "NONE"}))
    );
    assert_eq!(code(&registry.get("/config/gate").await), (404, 40408));

    registry
        .put("/config/fu", &json!({"compatibility": "FULL"}))
        .await;
    registry.id("fu", DOOR_WITHOUT_DEFAULT).await;
    let refused = registry.register("fu", DOOR).await;
    assert_eq!(
        refused.1["message"],
        "Schema being registered is incompatible with an earlier schema for subject \"fu\", details: \
         [{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'open' at path '/fields/1' in the \
         old schema has no default value and is missing in the new schema', additionalInfo:'open'}, \
         {validateFields: 'false', compatibility: 'FULL'}]"
    );

    // Only what is asked in all versions notices what was once lost.
    let int = |more: &str| {
        format!(r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":"int"}}{more}]}}"#)
    };
    let (none, optional, required) = (
        int(""),
        int(r#",{"name":"b","type":"int","default":0}"#),
        int(r#",{"name":"b","type":"int"}"#),
    );
    let (gained, lost) = ([&none, &optional, &required], [&required, &optional, &none]);
    for (level, [first, second, third], last) in [
        ("BACKWARD", gained, 200),
        ("BACKWARD_TRANSITIVE", gained, 409),
        ("BACKWARD_TRANSITIVE", lost, 200),
        ("FORWARD", lost, 200),
        ("FORWARD_TRANSITIVE", lost, 409),
        ("FORWARD_TRANSITIVE", gained, 200),
        ("FULL", lost, 200),
        ("FULL_TRANSITIVE", lost, 409),
        ("NONE", gained, 200),
    ] {
        let subject = format!("{level}-{}", first.len());
        registry
            .put(&format!("/config/{subject}"), &json!({"compatibility": level}))
            .await;
        registry.id(&subject, first).await;
        registry.id(&subject, second).await;
        let (status, answer) = registry.register(&subject, third).await;
        assert_eq!(status, last, "{subject}: {answer}");
    }
}

#[tokio::test]
async fn compatibility_can_be_asked_before() {
    let Pair { registry, .. } = &Pair::start().await;
    registry.id("gate", DOOR).await;
    let body = schema(DOOR_WITHOUT_DEFAULT);
    let path = "/compatibility/subjects/gate/versions";
    assert_eq!(
        registry.post(&format!("{path}/latest"), &body).await,
        (200, json!({"is_compatible": false}))
    );
    let (_, verbose) = registry.post(&format!("{path}?verbose=true"), &body).await;
    assert_eq!(verbose["messages"].as_array().map(Vec::len), Some(4), "{verbose}");
    let unknown = registry
        .post("/compatibility/subjects/nope/versions/latest", &body)
        .await;
    assert_eq!(unknown, (200, json!({"is_compatible": true})));
    assert_eq!(
        code(&registry.post(&format!("{path}/7"), &body).await),
        (404, 40402)
    );
    assert_eq!(
        code(&registry.post(&format!("{path}/x"), &body).await),
        (422, 42202)
    );
    let json_schema = json!({"schema": "{}", "schemaType": "JSON"});
    let (_, other) = registry.post(&format!("{path}?verbose=true"), &json_schema).await;
    assert_eq!(
        other["messages"][0],
        "Incompatible because of different schema type"
    );
}
