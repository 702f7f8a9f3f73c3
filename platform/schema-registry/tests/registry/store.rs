//! The topic: what is written into it, what of others is understood, and what a restart leaves.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use serde_json::{Value, json};

use crate::support::{Broker, Pair, Registry, eventually, stored, write};

#[tokio::test]
async fn records_are_those_of_a_real_registry() {
    let Pair {
        registry,
        broker,
        folder: _folder,
    } = Pair::start().await;
    registry.id("s", "\"int\"").await;
    registry.put("/config", &json!({"compatibility": "FULL"})).await;
    registry.put("/config/s", &json!({"compatibility": "NONE"})).await;
    registry.put("/mode/s", &json!({"mode": "READONLY"})).await;
    registry.delete("/mode/s").await;
    registry.delete("/subjects/s/versions/1").await;
    registry.delete("/subjects/s/versions/1?permanent=true").await;
    registry.id("%3A.lab%3As", "\"int\"").await;
    registry.delete("/subjects/%3A.lab%3As").await;
    let records = tokio::task::spawn_blocking(move || stored(&broker.address))
        .await
        .unwrap();
    let expected: &[(&str, Option<Value>)] = &[
        (r#"{"keytype":"NOOP","magic":0}"#, None),
        (
            r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#,
            Some(json!({"subject": "s", "version": 1, "id": 1, "schema": "\"int\"", "deleted": false})),
        ),
        (
            r#"{"keytype":"CONFIG","magic":0}"#,
            Some(json!({"compatibilityLevel": "FULL"})),
        ),
        (
            r#"{"keytype":"CONFIG","subject":"s","magic":0}"#,
            Some(json!({"subject": "s", "compatibilityLevel": "NONE"})),
        ),
        (
            r#"{"keytype":"MODE","subject":"s","magic":0}"#,
            Some(json!({"subject": "s", "mode": "READONLY"})),
        ),
        (r#"{"keytype":"MODE","subject":"s","magic":0}"#, None),
        (
            r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#,
            Some(json!({"subject": "s", "version": 1, "id": 1, "schema": "\"int\"", "deleted": true})),
        ),
        (
            r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#,
            None,
        ),
        (r#"{"keytype":"CONFIG","subject":"s","magic":0}"#, None),
        (
            r#"{"keytype":"CONTEXT","tenant":"default","context":".lab","magic":0}"#,
            Some(json!({"tenant": "default", "context": ".lab"})),
        ),
        (
            r#"{"keytype":"SCHEMA","subject":":.lab:s","version":1,"magic":1}"#,
            Some(json!({"subject": ":.lab:s", "version": 1, "id": 1, "schema": "\"int\"", "deleted": false})),
        ),
        (
            r#"{"keytype":"DELETE_SUBJECT","subject":":.lab:s","magic":0}"#,
            Some(json!({"subject": ":.lab:s", "version": 1})),
        ),
    ];
    let found: Vec<(&str, Option<Value>)> = records
        .iter()
        .map(|(key, value)| {
            let value = value
                .as_deref()
                .map(|value| serde_json::from_str(value).expect("JSON"));
            (key.as_str(), value)
        })
        .collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn records_of_others_count_and_garbage_does_not() {
    let Pair {
        registry,
        broker,
        folder: _folder,
    } = Pair::start().await;
    let schema_key = r#"{"keytype":"SCHEMA","subject":"foreign","version":1,"magic":1}"#;
    for (key, value) in [
        ("garbage", Some("{}")),
        (r#"{"keytype":"FOO","magic":0}"#, Some("{}")),
        (
            r#"{"keytype":"SCHEMA","subject":"broken","version":1,"magic":1}"#,
            Some("{"),
        ),
        (
            schema_key,
            Some(
                r#"{"subject":"foreign","version":1,"id":500,"md5":"x","schema":"\"int\"","deleted":false,"new":1}"#,
            ),
        ),
        // An id that means something else already.
        (
            r#"{"keytype":"SCHEMA","subject":"wrong","version":1,"magic":1}"#,
            Some(r#"{"subject":"wrong","version":1,"id":500,"schema":"\"long\"","deleted":false}"#),
        ),
    ] {
        write(&broker.address, key, value).await;
    }
    eventually("the foreign record is seen", async || {
        registry.get("/schemas/ids/500").await.0 == 200
    })
    .await;
    assert_eq!(registry.id("mine", "\"string\"").await, 501);
    assert_eq!(registry.get("/subjects").await.1, json!(["foreign", "mine"]));
    // What does not hold was taken out of the topic.
    let records = tokio::task::spawn_blocking(move || stored(&broker.address))
        .await
        .unwrap();
    let wrong = records
        .iter()
        .rfind(|(key, _)| key.contains("wrong"))
        .expect("a record");
    assert_eq!(wrong.1, None);
}

#[tokio::test]
async fn a_restart_changes_no_answer_and_ids_go_on() {
    let Pair {
        registry,
        broker,
        folder,
    } = Pair::start().await;
    registry.id("a", "\"int\"").await;
    registry.id("b", "\"long\"").await;
    registry.id("b", "\"double\"").await;
    registry.delete("/subjects/a").await;
    registry.put("/config/b", &json!({"compatibility": "FULL"})).await;
    registry.put("/mode/c", &json!({"mode": "READONLY"})).await;
    registry.id("%3A.lab%3Aa", "\"int\"").await;
    let paths = [
        "/subjects?deleted=true",
        "/subjects",
        "/schemas?deleted=true",
        "/schemas/ids/1",
        "/config/b",
        "/mode/c",
        "/contexts",
    ];
    let answers = async |registry: &Registry| {
        let mut answers = Vec::new();
        for path in paths {
            answers.push(registry.get(path).await);
        }
        answers
    };
    let before = answers(&registry).await;
    registry.stop().await.expect("a clean end");
    let registry = Registry::start(&broker.address).await;
    assert_eq!(answers(&registry).await, before);
    let address = broker.address.parse().expect("an address");
    broker.stop().await;
    let broker = Broker::start_at(folder.path(), address).await;
    // The same registry goes on when its broker comes back.
    eventually("it is registered", async || {
        registry.register("d", "\"bytes\"").await == (200, json!({"id": 4}))
    })
    .await;
    // Nothing that was answered means anything else now.
    for (path, (status, answer)) in paths.iter().zip(&before) {
        // The lists have the new subject as well.
        if !path.starts_with("/subjects") && !path.starts_with("/schemas?") {
            let now = registry.get(path).await;
            assert_eq!(now, (*status, answer.clone()), "{path}");
        }
    }
    let by_id = async |registry: &Registry| {
        let mut answers = Vec::new();
        for id in 1..=4 {
            answers.push(registry.get(&format!("/schemas/ids/{id}")).await);
        }
        answers
    };
    let texts = ["\"int\"", "\"long\"", "\"double\"", "\"bytes\""];
    let expected = texts.map(|text| (200, json!({"schema": text})));
    assert_eq!(by_id(&registry).await, expected);
    registry.stop().await.expect("a clean end");
    let registry = Registry::start(&broker.address).await;
    assert_eq!(by_id(&registry).await, expected);
    assert_eq!(registry.id("d2", "\"bytes\"").await, 4);
    assert_eq!(registry.id("e", "\"string\"").await, 5);
}

/// Somebody gives the registry another broker, or takes the topic away: it begins anew, and says nothing of before.
#[tokio::test]
async fn a_registry_whose_topic_is_empty_begins_anew() {
    let Pair {
        registry,
        broker,
        folder: _folder,
    } = Pair::start().await;
    registry.id("a", "\"int\"").await;
    registry.id("b", "\"long\"").await;
    registry.stop().await.expect("a clean end");
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &broker.address)
        .create()
        .unwrap();
    let deleted = admin.delete_topics(&["_schemas"], &AdminOptions::new()).await;
    assert_eq!(deleted.unwrap(), [Ok("_schemas".to_owned())]);
    let registry = Registry::start(&broker.address).await;
    assert_eq!(registry.get("/subjects?deleted=true").await, (200, json!([])));
    let (status, body) = registry.get("/schemas/ids/1").await;
    assert_eq!((status, &body["error_code"]), (404, &json!(40403)));
    assert_eq!(registry.id("b", "\"string\"").await, 1);
}
