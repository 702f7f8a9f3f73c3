//! What goes wrong around a registry.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{Broker, Pair, Registry, eventually};

#[tokio::test]
async fn a_killed_registry_loses_no_answered_schema() {
    let Pair {
        mut registry,
        broker,
        folder: _folder,
    } = Pair::start().await;
    let mut answered = BTreeMap::new();
    for round in 0..3 {
        let url = Arc::new(registry.url.clone());
        let mut clients = JoinSet::new();
        for client in 0..4 {
            let url = Arc::clone(&url);
            clients.spawn(async move {
                let http = reqwest::Client::builder().no_proxy().build().unwrap();
                let mut done = Vec::new();
                for number in 0.. {
                    let schema =
                        format!(r#"{{"type":"fixed","name":"F{round}x{client}x{number}","size":1}}"#);
                    let path = format!("{url}/subjects/s{round}x{client}x{number}/versions");
                    let sent = http.post(path).json(&json!({"schema": schema})).send().await;
                    match sent {
                        Ok(answer) if answer.status() == 200 => {
                            let Ok(body) = answer.json::<serde_json::Value>().await else {
                                break;
                            };
                            done.push((schema, body["id"].as_u64().unwrap()));
                        }
                        _ => break,
                    }
                }
                done
            });
        }
        eventually("some are registered", async || {
            registry
                .get("/subjects")
                .await
                .1
                .as_array()
                .is_some_and(|subjects| subjects.len() > 10 * (round + 1))
        })
        .await;
        registry.kill();
        while let Some(done) = clients.join_next().await {
            answered.extend(done.unwrap());
        }
        registry = Registry::start(&broker.address).await;
        let mut by_id = BTreeMap::new();
        for (schema, id) in &answered {
            assert_eq!(by_id.insert(*id, schema), None, "an id was given twice");
        }
    }
    assert!(answered.len() > 20, "{}", answered.len());
    for (schema, id) in answered {
        let (status, body) = registry.get(&format!("/schemas/ids/{id}")).await;
        assert_eq!((status, body["schema"].as_str()), (200, Some(schema.as_str())));
    }
}

#[tokio::test]
async fn of_two_registries_one_writes_and_the_other_says_so() {
    let Pair {
        registry: first,
        broker,
        folder: _folder,
    } = Pair::start().await;
    first.id("a", "\"int\"").await;
    let second = Registry::start(&broker.address).await;
    assert_eq!(second.id("b", "\"long\"").await, 2);
    eventually("the first one reads on", async || {
        first.get("/schemas/ids/2").await.0 == 200
    })
    .await;
    let (status, body) = first.register("c", "\"string\"").await;
    assert_eq!((status, &body["error_code"]), (500, &json!(50004)), "{body}");
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .contains("hint: stop one of the two"),
        "{body}"
    );
    // What needs no change is answered by both.
    assert_eq!(first.id("a", "\"int\"").await, 1);
    assert_eq!(second.id("c", "\"string\"").await, 3);
}

#[tokio::test]
async fn a_registry_waits_for_its_broker_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path()).await;
    let address = broker.address.clone();
    broker.stop().await;
    let registry = Registry::start_unready(&address).await;
    let (status, body) = registry.get("/subjects").await;
    assert_eq!((status, &body["error_code"]), (500, &json!(50001)));
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .contains("not read to its end yet"),
        "{body}"
    );
    let _broker = Broker::start_at(folder.path(), address.parse().unwrap()).await;
    eventually("it is ready", async || registry.get("/subjects").await.0 == 200).await;
    assert_eq!(registry.id("a", "\"int\"").await, 1);
}

#[tokio::test]
async fn a_topic_that_no_registry_can_use_is_named() {
    for (partitions, policy, reason) in [
        (2, "compact", "has 2 partitions"),
        (1, "delete", "has `cleanup.policy=delete`"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let broker = Broker::start(folder.path()).await;
        let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
            .set("bootstrap.servers", &broker.address)
            .create()
            .unwrap();
        let topic =
            NewTopic::new("_schemas", partitions, TopicReplication::Fixed(1)).set("cleanup.policy", policy);
        admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
        let ended = Registry::start_unready(&broker.address).await.ended().await;
        let error = ended.expect_err("it cannot run").to_string();
        assert!(
            error.contains("`_schemas`") && error.contains(reason) && error.contains("hint: "),
            "{error}"
        );
    }
}

#[tokio::test]
async fn clients_that_leave_early_leave_nothing_half_done() {
    let pair = Pair::start().await;
    let registry = &pair.registry;
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(std::time::Duration::from_micros(500))
        .build()
        .unwrap();
    for number in 0..50 {
        let body = json!({"schema": format!(r#"{{"type":"fixed","name":"F{number}","size":1}}"#)});
        // Whether it was answered in time is chance; what holds does not depend on it.
        let _ = http
            .post(format!("{}/subjects/s{number}/versions", registry.url))
            .json(&body)
            .send()
            .await;
    }
    assert_eq!(registry.register("last", "\"int\"").await.0, 200);
    let (_, schemas) = registry.get("/schemas").await;
    let mut ids: Vec<u64> = schemas
        .as_array()
        .unwrap()
        .iter()
        .map(|schema| schema["id"].as_u64().unwrap())
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[tokio::test]
async fn bodies_that_never_end_hold_so_much_and_no_more() {
    let Pair { registry, .. } = &Pair::start().await;
    let address = registry.url.trim_start_matches("http://");
    let body = vec![b'x'; 15 << 20];
    let mut stalled = Vec::new();
    for _ in 0..4 {
        let mut client = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /subjects/s/versions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len() + 1
        );
        client.write_all(head.as_bytes()).await.unwrap();
        client.write_all(&body).await.unwrap();
        stalled.push(client);
    }
    let refused = async || registry.post_text("/subjects/s/versions", body.clone()).await;
    eventually("there is no room for another one", async || {
        refused().await == 503
    })
    .await;
    assert_eq!(registry.get("/subjects").await, (200, json!([])));
    drop(stalled);
    eventually("there is room again", async || refused().await == 400).await;
}
