//! Protobuf and JSON Schema, a case a test.

use osqdemo_protobuf::File;
use serde_json::json;

use super::cases::{DOOR, code};
use crate::support::Pair;

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
