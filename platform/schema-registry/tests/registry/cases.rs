//! What clients rely on, a case a test.

use serde_json::{Value, json};

use crate::support::{Pair, Registry};

pub(super) const DOOR: &str =
    r#"{"type":"record","name":"Door","namespace":"site","fields":[{"name":"nr","type":"int"}]}"#;
pub(super) const DOOR_WITH_DEFAULT: &str = r#"{"type":"record","name":"Door","namespace":"site","fields":[{"name":"nr","type":"int"},{"name":"open","type":"boolean","default":false}]}"#;
pub(super) const DOOR_WITHOUT_DEFAULT: &str = r#"{"type":"record","name":"Door","namespace":"site","fields":[{"name":"nr","type":"int"},{"name":"open","type":"boolean"}]}"#;

pub(super) fn code(answer: &(u16, Value)) -> (u16, u64) {
    (answer.0, answer.1["error_code"].as_u64().unwrap_or_default())
}

pub(super) fn schema(text: &str) -> Value {
    json!({"schema": text})
}

#[tokio::test]
async fn a_schema_is_registered_once() {
    let Pair { registry, .. } = &Pair::start().await;
    assert_eq!(registry.get("/subjects").await, (200, json!([])));
    assert_eq!(
        registry.register("door-value", DOOR).await,
        (200, json!({"id": 1}))
    );
    assert_eq!(
        registry.register("door-value", DOOR).await,
        (200, json!({"id": 1}))
    );
    let shuffled = r#" { "namespace":"site", "fields":[ {"type":"int", "name":"nr"} ], "name":"Door", "type":"record" }"#;
    assert_eq!(registry.id("door-value", shuffled).await, 1);
    assert_eq!(registry.id("gate-value", DOOR).await, 1);
    assert_eq!(registry.get("/subjects/door-value/versions").await.1, json!([1]));
    assert_eq!(registry.id("door-value", DOOR_WITH_DEFAULT).await, 2);
    let subjects = json!([{"subject": "door-value", "version": 1}, {"subject": "gate-value", "version": 1}]);
    assert_eq!(registry.get("/schemas/ids/1/versions").await, (200, subjects));
    let refused = registry.register("gate-value", DOOR_WITHOUT_DEFAULT).await;
    assert_eq!(code(&refused), (409, 409));
    let message = refused.1["message"].as_str().unwrap();
    assert!(
        message.contains("gate-value") && message.contains("READER_FIELD_MISSING_DEFAULT_VALUE"),
        "{message}"
    );
    assert_eq!(registry.get("/subjects/gate-value/versions").await.1, json!([1]));
}

#[tokio::test]
async fn a_version_is_named_by_its_number_or_as_the_latest() {
    let Pair { registry, .. } = &Pair::start().await;
    registry.id("door-value", DOOR).await;
    registry.id("door-value", DOOR_WITH_DEFAULT).await;
    for latest in ["latest", "LATEST", "-1"] {
        let (status, body) = registry
            .get(&format!("/subjects/door-value/versions/{latest}"))
            .await;
        assert_eq!(
            (status, &body["version"], &body["id"]),
            (200, &json!(2), &json!(2)),
            "{latest}"
        );
    }
    for wrong in ["0", "x", "-2", "2147483648"] {
        let answer = registry
            .get(&format!("/subjects/door-value/versions/{wrong}"))
            .await;
        assert_eq!(code(&answer), (422, 42202), "{wrong}");
    }
    assert_eq!(
        code(&registry.get("/subjects/door-value/versions/99").await),
        (404, 40402)
    );
    assert_eq!(
        code(&registry.get("/subjects/nope/versions/1").await),
        (404, 40401)
    );
    let text = registry
        .raw("GET", "/subjects/door-value/versions/1/schema", &[], None)
        .await;
    assert_eq!(text.2, DOOR);
    assert_eq!(
        registry.raw("GET", "/schemas/ids/1/schema", &[], None).await.2,
        DOOR
    );
}

#[tokio::test]
async fn what_is_no_schema_is_refused_with_the_code_that_clients_know() {
    let Pair { registry, .. } = &Pair::start().await;
    for body in [
        schema("{"),
        json!({"schema": DOOR, "schemaType": "XML"}),
        json!({}),
        schema("  "),
    ] {
        assert_eq!(
            code(&registry.post("/subjects/x/versions", &body).await),
            (422, 42201),
            "{body}"
        );
    }
    assert_eq!(
        code(&registry.send("POST", "/subjects/x/versions", None).await),
        (422, 422)
    );
    assert_eq!(registry.get("/subjects").await.1, json!([]));
    let reference = json!([{"name": "site.Door", "subject": "nono", "version": 1}]);
    let refused = registry
        .post(
            "/subjects/x/versions",
            &json!({"schema": "\"site.Door\"", "references": reference}),
        )
        .await;
    assert_eq!(code(&refused), (422, 42201));
    assert_eq!(
        refused.1["message"],
        "Invalid schema {subject=x,version=null,id=null,schemaType=AVRO,references=[{name='site.Door', \
         subject='nono', version=1}],metadata=null,ruleSet=null,schema=\"site.Door\",schemaTags=null} with refs \
         [{name='site.Door', subject='nono', version=1}] of type AVRO, details: No schema reference found for subject \
         \"nono\" and version 1"
    );
}

#[tokio::test]
async fn normalizing_is_asked_for_as_python_asks() {
    let Pair { registry, .. } = &Pair::start().await;
    let with = |more: &str| {
        format!(r#"{{"type":"record","name":"P","fields":[{{"name":"f","type":"int"}}],{more}}}"#)
    };
    let (one, other) = (
        schema(&with(r#""pa":"1","pb":"2""#)),
        schema(&with(r#""pb":"2","pa":"1""#)),
    );
    let first = registry.post("/subjects/no/versions?normalize=True", &one).await;
    assert_eq!(
        registry
            .post("/subjects/no/versions?normalize=True", &other)
            .await,
        first
    );
    assert_eq!(
        registry
            .post("/subjects/no/versions?normalize=False", &other)
            .await,
        first
    );
    let looked_up = registry
        .post("/subjects/no?normalize=False&deleted=False", &other)
        .await;
    assert_eq!((looked_up.0, &looked_up.1["id"]), (200, &first.1["id"]));
}

#[tokio::test]
async fn modes_say_what_may_be_changed() {
    let Pair { registry, .. } = &Pair::start().await;
    registry.id("ro", DOOR).await;
    assert_eq!(
        registry.put("/mode/ro", &json!({"mode": "READONLY"})).await,
        (200, json!({"mode": "READONLY"}))
    );
    let refused = registry.register("ro", DOOR_WITH_DEFAULT).await;
    assert_eq!(code(&refused), (422, 42205));
    assert_eq!(
        refused.1["message"],
        "Subject ro in context  is in read-only mode"
    );
    // What is registered already needs no change.
    assert_eq!(registry.id("ro", DOOR).await, 1);
    assert_eq!(code(&registry.delete("/subjects/ro").await), (422, 42205));
    assert_eq!(
        registry.delete("/mode/ro").await,
        (200, json!({"mode": "READONLY"}))
    );
    assert_eq!(registry.id("ro", DOOR_WITH_DEFAULT).await, 2);
    assert_eq!(
        code(&registry.put("/mode/ro", &json!({"mode": "IMPORT"})).await),
        (422, 42205)
    );

    assert_eq!(registry.put("/mode/imp", &json!({"mode": "IMPORT"})).await.0, 200);
    let import =
        |id: u32, version: u32, schema: &str| json!({"schema": schema, "id": id, "version": version});
    let string = r#"{"type":"record","name":"I","fields":[]}"#;
    assert_eq!(
        registry
            .post("/subjects/imp/versions", &import(70, 1, string))
            .await,
        (200, json!({"id": 70}))
    );
    assert_eq!(registry.id("oth", "\"long\"").await, 71);
    let overwriting = registry
        .post("/subjects/imp/versions", &import(70, 2, "\"bytes\""))
        .await;
    assert_eq!(
        overwriting.1["message"],
        "Overwrite new schema with id 70 in context  is not permitted."
    );
    assert_eq!(
        code(
            &registry
                .post("/subjects/idd/versions", &import(500, 1, "\"int\""))
                .await
        ),
        (422, 42205)
    );
    assert_eq!(code(&registry.register("imp", "\"int\"").await), (422, 42205));
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let Pair { registry, .. } = &Pair::start().await;
    for subject in ["door", "gate", "hatch"] {
        registry.id(subject, DOOR).await;
    }
    registry.id("door", DOOR_WITH_DEFAULT).await;
    assert_eq!(
        registry.get("/subjects?subjectPrefix=do").await.1,
        json!(["door"])
    );
    assert_eq!(
        registry.get("/subjects?offset=1&limit=1").await.1,
        json!(["gate"])
    );
    let (_, latest) = registry.get("/schemas?subjectPrefix=do&latestOnly=true").await;
    assert_eq!(
        (latest.as_array().map(Vec::len), &latest[0]["version"]),
        (Some(1), &json!(2))
    );
    assert_eq!(registry.get("/schemas").await.1.as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn a_subject_may_hold_anything_that_can_be_encoded() {
    let Pair { registry, .. } = &Pair::start().await;
    let path = "/subjects/a%2Fb%20c%25.%3A/versions";
    assert_eq!(registry.post(path, &schema(DOOR)).await, (200, json!({"id": 1})));
    assert_eq!(registry.get("/subjects").await.1, json!(["a/b c%.:"]));
    assert_eq!(registry.get(path).await.1, json!([1]));
    assert_eq!(registry.delete("/subjects/a%2Fb%20c%25.%3A").await.1, json!([1]));
}

#[tokio::test]
async fn contexts_have_ids_of_their_own() {
    let Pair { registry, .. } = &Pair::start().await;
    registry.id("other", "\"int\"").await;
    assert_eq!(registry.id("%3A.lab%3Adoor-value", DOOR).await, 1);
    assert_eq!(registry.get("/contexts").await.1, json!([".", ".lab"]));
    for context in ["lab", ".lab"] {
        let listed = registry.get(&format!("/contexts/{context}/subjects")).await;
        assert_eq!(listed.1, json!([":.lab:door-value"]));
    }
    assert_eq!(
        registry.get("/contexts/lab/schemas/ids/1").await.1["schema"],
        DOOR
    );
    assert_eq!(registry.get("/schemas/ids/1").await.1["schema"], "\"int\"");
    assert_eq!(
        registry
            .get("/schemas/ids/1?subject=%3A.lab%3Adoor-value")
            .await
            .1["schema"],
        DOOR
    );
    // Settings of a context hold for its subjects.
    registry
        .put("/contexts/lab/config", &json!({"compatibility": "NONE"}))
        .await;
    registry.id("%3A.lab%3Adoor-value", DOOR_WITHOUT_DEFAULT).await;
}

#[tokio::test]
async fn newer_clients_fall_back() {
    let Pair { registry, .. } = &Pair::start().await;
    let (status, body) = registry
        .get("/associations/resources/-/t?resourceType=topic&associationType=value")
        .await;
    assert_eq!((status, &body["error_code"]), (404, &json!(404)));
    // Who knows more fields is told the GUID, and finds the schema by it.
    let headers = [
        (
            "confluent-accept-unknown-properties".to_owned(),
            "true".to_owned(),
        ),
        ("content-type".to_owned(), "application/json".to_owned()),
    ];
    let sent = Some(schema(DOOR).to_string());
    let (_, _, text) = registry.raw("POST", "/subjects/g/versions", &headers, sent).await;
    let registered: Value = serde_json::from_str(&text).unwrap();
    let guid = registered["guid"].as_str().expect("a GUID");
    assert_eq!(
        registry.get(&format!("/schemas/guids/{guid}")).await.1["schema"],
        DOOR
    );
    assert_eq!(
        registry.get(&format!("/schemas/guids/{guid}/ids")).await.1,
        json!([{"context": ".", "id": 1}])
    );
}

#[tokio::test]
async fn a_page_of_another_origin_is_not_answered() {
    let Pair { registry, .. } = &Pair::start().await;
    let refused = |name: &str, value: &str| {
        let headers = [(name.to_owned(), value.to_owned())];
        async move { registry.raw("GET", "/subjects", &headers, None).await }
    };
    for (name, value, switch) in [
        ("origin", "http://evil.example", "--allow-origin"),
        ("host", "evil.example", "--allow-host"),
    ] {
        let (status, _, body) = refused(name, value).await;
        assert!(status == 403 && body.contains(switch), "{status} {body}");
    }
}

#[tokio::test]
async fn requests_are_told_by_their_ids() {
    let Pair { registry, .. } = &Pair::start().await;
    let url = format!("{}/subjects", registry.url);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client
        .get(&url)
        .header("X-Request-ID", "mine")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["x-request-id"], "mine");
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"].len(), 36);
}

#[tokio::test]
async fn large_schemas_and_bodies_are_answered() {
    let Pair { registry, .. } = &Pair::start().await;
    let fields = |count: usize| {
        let fields: Vec<String> = (0..count)
            .map(|n| format!(r#"{{"name":"f{n}","type":"int","default":0}}"#))
            .collect();
        format!(
            r#"{{"type":"record","name":"L","fields":[{}]}}"#,
            fields.join(",")
        )
    };
    assert_eq!(registry.id("large", &fields(10_000)).await, 1);
    assert_eq!(registry.id("large", &fields(10_001)).await, 2);
    let text = |length: usize| {
        format!(
            r#"{{"type":"record","name":"T","doc":"{}","fields":[]}}"#,
            "x".repeat(length)
        )
    };
    assert_eq!(registry.id("text", &text(900_000)).await, 3);
    let too_large = registry.register("text", &text(2_000_000)).await;
    assert_eq!(code(&too_large), (422, 42209));
    assert_eq!(
        code(&registry.register("text", &text(17 << 20)).await),
        (400, 400)
    );
    check_still_there(registry).await;
}

async fn check_still_there(registry: &Registry) {
    assert_eq!(registry.get("/subjects").await.1, json!(["large", "text"]));
}
