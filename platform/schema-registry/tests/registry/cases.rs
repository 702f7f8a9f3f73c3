//! What clients rely on, a case a test.

use osqdemo_protobuf::File;
use serde_json::{Value, json};

use crate::support::{Pair, Registry};

const DOOR: &str =
    r#"{"type":"record","name":"Door","namespace":"site","fields":[{"name":"nr","type":"int"}]}"#;
const DOOR_WITH_DEFAULT: &str = r#"{"type":"record","name":"Door","namespace":"site","fields":[{"name":"nr","type":"int"},{"name":"open","type":"boolean","default":false}]}"#;
const DOOR_WITHOUT_DEFAULT: &str = r#"{"type":"record","name":"Door","namespace":"site","fields":[{"name":"nr","type":"int"},{"name":"open","type":"boolean"}]}"#;

fn code(answer: &(u16, Value)) -> (u16, u64) {
    (answer.0, answer.1["error_code"].as_u64().unwrap_or_default())
}

fn schema(text: &str) -> Value {
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

#[tokio::test]
async fn versions_are_deleted_softly_first() {
    let Pair { registry, .. } = &Pair::start().await;
    registry.id("door", DOOR).await;
    registry.id("door", DOOR_WITH_DEFAULT).await;
    assert_eq!(
        registry.delete("/subjects/door/versions/2").await,
        (200, json!(2))
    );
    assert_eq!(registry.get("/subjects/door/versions").await.1, json!([1]));
    assert_eq!(
        registry.get("/subjects/door/versions?deleted=true").await.1,
        json!([1, 2])
    );
    assert_eq!(
        registry.get("/subjects/door/versions?deletedOnly=true").await.1,
        json!([2])
    );
    assert_eq!(
        code(&registry.delete("/subjects/door/versions/2").await),
        (404, 40406)
    );
    assert_eq!(registry.get("/schemas/ids/2").await.0, 200);
    assert_eq!(
        code(&registry.delete("/subjects/door/versions/1?permanent=true").await),
        (404, 40407)
    );
    assert_eq!(
        registry.delete("/subjects/door/versions/2?permanent=true").await,
        (200, json!(2))
    );
    assert_eq!(
        registry.get("/subjects/door/versions?deleted=true").await.1,
        json!([1])
    );
    assert_eq!(code(&registry.get("/schemas/ids/2").await), (404, 40403));
    // Its id is not given to anybody else.
    assert_eq!(registry.id("door", DOOR_WITH_DEFAULT).await, 3);
}

#[tokio::test]
async fn a_subject_is_deleted_softly_first() {
    let Pair { registry, .. } = &Pair::start().await;
    registry.id("sd", DOOR).await;
    registry.id("sd", DOOR_WITH_DEFAULT).await;
    assert_eq!(
        code(&registry.delete("/subjects/sd?permanent=true").await),
        (404, 40405)
    );
    assert_eq!(registry.delete("/subjects/sd").await, (200, json!([1, 2])));
    assert_eq!(registry.get("/subjects").await.1, json!([]));
    assert_eq!(registry.get("/subjects?deleted=true").await.1, json!(["sd"]));
    assert_eq!(code(&registry.delete("/subjects/sd").await), (404, 40404));
    // Registered again, it has its old id and a version that was never given.
    assert_eq!(registry.id("sd", DOOR).await, 1);
    assert_eq!(registry.get("/subjects/sd/versions").await.1, json!([3]));
    assert_eq!(
        code(&registry.get("/subjects/sd/versions/1?deleted=true").await),
        (404, 40402)
    );
    registry
        .put("/config/sd", &json!({"compatibility": "FULL"}))
        .await;
    registry.delete("/subjects/sd").await;
    assert_eq!(
        registry.delete("/subjects/sd?permanent=true").await,
        (200, json!([2, 3]))
    );
    assert_eq!(code(&registry.delete("/subjects/sd").await), (404, 40401));
    assert_eq!(code(&registry.get("/config/sd").await), (404, 40408));
    assert_eq!(
        (
            registry.id("sd", DOOR).await,
            registry.get("/subjects/sd/versions").await.1
        ),
        (3, json!([1]))
    );
}

#[tokio::test]
async fn what_others_refer_to_stays() {
    let Pair { registry, .. } = &Pair::start().await;
    let a = r#"{"type":"record","name":"A","namespace":"n","fields":[{"name":"i","type":"int"}]}"#;
    let b = r#"{"type":"record","name":"B","namespace":"n","fields":[{"name":"a","type":"A"}]}"#;
    registry.id("ra", a).await;
    let references = json!([{"name": "n.A", "subject": "ra", "version": -1}]);
    let sent = json!({"schema": b, "references": references});
    assert_eq!(
        registry.post("/subjects/rb/versions", &sent).await,
        (200, json!({"id": 2}))
    );
    let resolved = r#"{"type":"record","name":"B","namespace":"n","fields":[{"name":"a","type":{"type":"record","name":"A","fields":[{"name":"i","type":"int"}]}}]}"#;
    let (_, shown) = registry.get("/subjects/rb/versions/1?format=resolved").await;
    assert_eq!(
        (&shown["schema"], &shown["references"][0]["version"]),
        (&json!(resolved), &json!(1))
    );
    assert_eq!(
        registry.get("/subjects/rb/versions/1?format=zzz").await.1["schema"],
        b
    );
    // The same schema with everything written out is the same schema.
    assert_eq!(registry.id("rb", resolved).await, 2);
    assert_eq!(
        registry.get("/subjects/ra/versions/1/referencedby").await.1,
        json!([2])
    );
    for path in ["/subjects/ra", "/subjects/ra/versions/1"] {
        let refused = registry.delete(path).await;
        assert_eq!(code(&refused), (422, 42206), "{refused:?}");
    }
    registry.delete("/subjects/rb").await;
    assert_eq!(registry.delete("/subjects/ra").await.0, 200);
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
async fn a_protobuf_file_is_given_out_as_a_descriptor() {
    let Pair { registry, .. } = &Pair::start().await;
    let door = "syntax = \"proto3\"; package site; message Door { int32 nr = 1; }";
    let house = "syntax = \"proto3\"; package site; import \"door.proto\"; message House { Door door = 1; }";
    let file = |text: &str| File::parse(text).unwrap();
    let sent = json!({"schema": door, "schemaType": "PROTOBUF"});
    registry.post("/subjects/door/versions", &sent).await;
    let references = json!([{"name": "door.proto", "subject": "door", "version": 1}]);
    let sent = json!({"schema": house, "schemaType": "PROTOBUF", "references": references});
    registry.post("/subjects/house/versions", &sent).await;
    for (path, text) in [
        ("/subjects/door/versions/1", door),
        ("/schemas/ids/1", door),
        ("/subjects/house/versions/latest", house),
    ] {
        let imports = match text == house {
            true => vec![("door.proto".to_owned(), file(door))],
            false => Vec::new(),
        };
        let shown = registry.get(&format!("{path}?format=serialized")).await.1;
        let schema = shown["schema"].as_str().unwrap();
        assert!(!schema.contains("proto3"), "{path}: {schema}");
        let (found, expected) = (file(schema), file(text).link(&imports).unwrap().serialized());
        assert!(found.says_the_same(&file(&expected)), "{path}: {schema}");
        assert_eq!(registry.get(path).await.1["schema"], text);
    }
    // What imports a file that is not there has no descriptor, and an Avro schema has none either.
    let alone = json!({"schema": house, "schemaType": "PROTOBUF"});
    registry.post("/subjects/alone/versions", &alone).await;
    registry.id("avro", DOOR).await;
    for subject in ["alone", "avro"] {
        let path = format!("/subjects/{subject}/versions/1");
        let plain = registry.get(&path).await;
        assert_eq!(registry.get(&format!("{path}?format=serialized")).await, plain);
    }
}

#[tokio::test]
async fn json_schema_and_protobuf_are_kept_and_found() {
    let Pair { registry, .. } = &Pair::start().await;
    let json_schema = json!({"schema": r#"{ "type" : "object", "properties": {"a": {"type":"string"}} }"#, "schemaType": "JSON"});
    assert_eq!(
        registry.post("/subjects/js/versions", &json_schema).await,
        (200, json!({"id": 1}))
    );
    let shown = registry.get("/subjects/js/versions/1").await.1;
    let expected = json!({"subject": "js", "version": 1, "id": 1, "schemaType": "JSON", "schema": r#"{"type":"object","properties":{"a":{"type":"string"}}}"#});
    assert_eq!(shown, expected);
    let described = json!({"schema": r#"{"type":"object","title":"t","properties":{"a":{"type":"string"}}}"#, "schemaType": "JSON"});
    assert_eq!(
        registry.post("/subjects/js/versions", &described).await,
        (200, json!({"id": 2}))
    );
    let changed = r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}}}"#;
    let changed = json!({"schema": changed, "schemaType": "JSON"});
    let (status, refusal) = registry.post("/subjects/js/versions", &changed).await;
    let message = refusal["message"].as_str().unwrap();
    assert_eq!((status, &refusal["error_code"]), (409, &json!(409)), "{message}");
    assert!(
        message.contains("PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"),
        "{message}"
    );
    assert!(message.contains("#/properties/b"), "{message}");
    // The other way round it may go.
    let smaller = json!({"schema": r#"{"type":"object"}"#, "schemaType": "JSON"});
    let compatibility = "/compatibility/subjects/js/versions/latest";
    assert_eq!(
        registry.post(compatibility, &smaller).await,
        (200, json!({"is_compatible": true}))
    );
    assert_eq!(
        code(
            &registry
                .post(
                    "/subjects/js/versions",
                    &json!({"schema": "[", "schemaType": "JSON"})
                )
                .await
        ),
        (422, 42201)
    );
    let proto = "syntax = \"proto3\";\n\nmessage Door {\n  int32 nr = 1;\n}\n";
    let protobuf = json!({"schema": proto, "schemaType": "PROTOBUF"});
    assert_eq!(
        registry.post("/subjects/pb/versions", &protobuf).await,
        (200, json!({"id": 3}))
    );
    assert_eq!(
        registry.get("/schemas/ids/3").await.1,
        json!({"schema": proto, "schemaType": "PROTOBUF"})
    );
    assert_eq!(registry.post("/subjects/pb", &protobuf).await.1["id"], 3);
    // The same file with other blanks is the same file.
    let same = json!({"schema": proto.replace('\n', " "), "schemaType": "PROTOBUF"});
    assert_eq!(
        registry.post("/subjects/pb/versions", &same).await,
        (200, json!({"id": 3}))
    );
    let changed = json!({"schema": proto.replace("int32", "string"), "schemaType": "PROTOBUF"});
    let (status, refusal) = registry.post("/subjects/pb/versions", &changed).await;
    let message = refusal["message"].as_str().unwrap();
    assert_eq!((status, &refusal["error_code"]), (409, &json!(409)), "{message}");
    assert!(message.contains("FIELD_SCALAR_KIND_CHANGED"), "{message}");
    let grown = proto.replace("nr = 1;", "nr = 1;\n  string name = 2;");
    let grown = json!({"schema": grown, "schemaType": "PROTOBUF"});
    assert_eq!(
        registry.post("/subjects/pb/versions", &grown).await,
        (200, json!({"id": 4}))
    );
    let broken = json!({"schema": "message {", "schemaType": "PROTOBUF"});
    assert_eq!(
        code(&registry.post("/subjects/pb/versions", &broken).await),
        (422, 42201)
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
