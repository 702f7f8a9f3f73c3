//! A sequence of requests that a registry 7.9.8 was sent, and its answers, in order. A line without an answer is sent
//! because later ones follow from it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::support::Pair;

const RECORDED: &str = include_str!("recorded.jsonl");

#[derive(Deserialize)]
struct Exchange {
    request: String,
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    sent: Option<Value>,
    status: Option<u16>,
    content_type: Option<String>,
    body: Option<Value>,
}

/// Lists come in the order of a hash; the cluster's id is its own.
fn comparable(path: &str, mut body: Value) -> Value {
    if let Value::Array(items) = &mut body {
        items.sort_by_key(Value::to_string);
    }
    if path == "/v1/metadata/id" {
        body["scope"]["clusters"]["kafka-cluster"] = Value::Null;
    }
    body
}

#[tokio::test]
async fn answers_are_those_of_a_real_registry() {
    let pair = Pair::start().await;
    let mut different = Vec::new();
    let mut count = 0;
    for line in RECORDED.lines() {
        let exchange: Exchange = serde_json::from_str(line).expect("an exchange");
        let (method, path) = exchange.request.split_once(' ').expect("a method and a path");
        let body = exchange.sent.map(|sent| match sent {
            Value::String(text) => text,
            sent => sent.to_string(),
        });
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        if body.is_some() {
            headers.insert(
                "Content-Type".to_owned(),
                "application/vnd.schemaregistry.v1+json".to_owned(),
            );
        }
        for (name, value) in exchange.headers {
            match value {
                Some(value) => headers.insert(name, value),
                None => headers.remove(&name),
            };
        }
        let headers: Vec<(String, String)> = headers.into_iter().collect();
        let (status, content_type, text) = pair.registry.raw(method, path, &headers, body.clone()).await;
        let (Some(expected_status), Some(expected)) = (exchange.status, exchange.body) else {
            continue;
        };
        count += 1;
        let answered = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let (answered, expected) = (comparable(path, answered), comparable(path, expected));
        if (status, &content_type, &answered) != (expected_status, &exchange.content_type, &expected) {
            different.push(format!(
                "{} {}\n  expected {expected_status} {:?} {expected}\n  answered {status} {content_type:?} {answered}",
                exchange.request,
                body.unwrap_or_default(),
                exchange.content_type,
            ));
        }
    }
    assert!(
        different.is_empty(),
        "{} of {count}:\n{}",
        different.len(),
        different.join("\n")
    );
    assert!(count > 100, "only {count} answers");
}
