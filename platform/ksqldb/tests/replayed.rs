//! The demo's statements and others, in order, asked of a real ksqlDB 7.9.8: its answers, field by field.
//! `docs/ksqldb.md` lists what differs on purpose.

mod support;

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};
use support::{Broker, Registry, Server};

const DEMO: &str = include_str!("recorded/demo.jsonl");
const FORMATS: &str = include_str!("recorded/formats.jsonl");
const STATEMENTS: &str = include_str!("recorded/statements.jsonl");

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A text without what differs from run to run: ids, times, addresses.
fn plain(text: &str) -> String {
    static RUN: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r"_\d+(_\d+)?\b", "_N"),
            (r"127\.0\.0\.1:\d+", "HOST:PORT"),
            (r"localhost:\d+", "HOST:PORT"),
            (r"KsqlConfig@[0-9a-f]+", "KsqlConfig@N"),
            (r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3} Z", "TIME"),
        ]
        .map(|(pattern, with)| (Regex::new(pattern).unwrap(), with))
        .into()
    });
    RUN.iter().fold(text.to_owned(), |text, (pattern, with)| {
        pattern.replace_all(&text, *with).into_owned()
    })
}

/// An answer without what differs from run to run; lists of named things in the order of their texts.
fn normal(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(plain(text)),
        Value::Array(items) => {
            let mut items: Vec<_> = items.iter().map(normal).collect();
            // Fields have an order; other named things and names have none.
            let is_hashed = |item: &Value| {
                let named = ["name", "id"].iter().any(|key| item.get(key).is_some());
                item.is_string() || (named && item.get("schema").is_none())
            };
            if items.iter().all(is_hashed) {
                items.sort_by_key(ToString::to_string);
            }
            Value::Array(items)
        }
        Value::Object(members) => {
            let told = members.iter().map(|(name, value)| {
                let value = match name.as_str() {
                    "commandSequenceNumber" => json!("NUMBER"),
                    "kafkaClusterId" | "kafka-cluster" => json!("CLUSTER"),
                    _ => normal(value),
                };
                (plain(name), value)
            });
            Value::Object(told.collect())
        }
        other => other.clone(),
    }
}

/// Where an answer is not the recorded one.
fn differences(place: &str, recorded: &Value, given: &Value, found: &mut Vec<String>) {
    match (recorded, given) {
        // Descriptions are the real server's own; `docs/ksqldb.md` says why some texts are not the same.
        (Value::String(text), _) if text == "…" => {}
        (Value::Object(recorded), Value::Object(given)) => {
            for (name, value) in recorded {
                match given.get(name) {
                    Some(other) => differences(&format!("{place}.{name}"), value, other, found),
                    None => found.push(format!("{place}.{name} is missing, not {value}")),
                }
            }
            let more = given.keys().filter(|name| !recorded.contains_key(*name));
            found.extend(more.map(|name| format!("{place}.{name} is too many: {}", given[name])));
        }
        (Value::Array(recorded), Value::Array(given)) if recorded.len() == given.len() => {
            for (index, (value, other)) in recorded.iter().zip(given).enumerate() {
                differences(&format!("{place}[{index}]"), value, other, found);
            }
        }
        (Value::Array(recorded), Value::Array(given)) => {
            let missing: Vec<_> = recorded.iter().filter(|item| !given.contains(item)).collect();
            let more: Vec<_> = given.iter().filter(|item| !recorded.contains(item)).collect();
            found.push(format!(
                "{place} has {} items, not {}: missing {missing:?}, too many {more:?}",
                given.len(),
                recorded.len()
            ));
        }
        _ if recorded == given => {}
        _ => found.push(format!("{place} is {given}, not {recorded}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_is_answered_as_recorded() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let mut wrong = Vec::new();
    for line in lines(DEMO) {
        let request = line["request"].as_str().unwrap();
        let (method, path) = request.split_once(' ').unwrap();
        let sent = match line.get("ksql") {
            Some(ksql) => {
                let mut body = json!({"ksql": ksql});
                if let Some(properties) = line.get("streamsProperties") {
                    body["streamsProperties"] = properties.clone();
                }
                body
            }
            None => line.get("sent").cloned().unwrap_or_default(),
        };
        let mut request = match method {
            "GET" => client.get(server.url(path)),
            _ => client.post(server.url(path)).body(match &sent {
                Value::String(text) => text.clone(),
                body => body.to_string(),
            }),
        };
        if let Some(accept) = line.get("accept") {
            request = request.header("accept", accept.as_str().unwrap());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let content_type = response.headers().get("content-type");
        let content_type = content_type.map(|value| value.to_str().unwrap().to_owned());
        let body = response.text().await.unwrap();

        let mut found = Vec::new();
        if json!(status) != line["status"] {
            found.push(format!("status {status}: {body}"));
        }
        match line.get("content-type") {
            Some(Value::String(recorded)) if content_type.as_ref() != Some(recorded) => {
                found.push(format!("content type {content_type:?}, not {recorded}"));
            }
            Some(Value::Null) if content_type.is_some() => {
                found.push(format!("content type {content_type:?}, not none"));
            }
            _ => {}
        }
        if let Some(raw) = line.get("raw") {
            let (given, recorded) = (plain(&body), plain(raw.as_str().unwrap()));
            if given != recorded {
                found.push(format!("{given}\n  not {recorded}"));
            }
        } else {
            let given = serde_json::from_str(&body).unwrap_or(Value::String(body));
            differences("", &normal(&line["body"]), &normal(&given), &mut found);
        }
        if !found.is_empty() {
            wrong.push(format!("{method} {path} {sent}:\n  {}", found.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_answered_as_recorded() {
    let broker = Broker::start().await;
    // Nobody is there.
    let server = Server::start_with(broker.address, |config| {
        "http://localhost:1".clone_into(&mut config.connect_url);
    })
    .await;
    server.ready().await;
    let topics = [
        ("s", 1),
        ("t", 1),
        ("u", 1),
        ("p", 1),
        ("a", 1),
        ("s2", 2),
        ("w", 1),
        ("x", 1),
    ];
    for (topic, partitions) in topics {
        server
            .ksql(&format!(
                "CREATE STREAM made (a INT) WITH (kafka_topic='{topic}', value_format='JSON', \
                 partitions={partitions}, retention_ms=-1); DROP STREAM made;"
            ))
            .await;
    }
    let mut wrong = Vec::new();
    for line in lines(STATEMENTS) {
        if let Some(setup) = line.get("setup") {
            let (status, body) = server.post("/ksql", &json!({"ksql": setup})).await;
            if status != 200 {
                wrong.push(format!("{setup}\n  {body}"));
            }
            continue;
        }
        let path = line["path"].as_str().unwrap();
        let mut statement = line["sql"].as_str().unwrap().to_owned();
        if statement.contains(SOURCE_TABLES_QUERY) {
            statement = statement.replace(SOURCE_TABLES_QUERY, &query_of(&server, "CST_ST_").await);
        }
        let properties = line.get("properties").cloned().unwrap_or_else(|| json!({}));
        let asked = json!({"ksql": statement, "streamsProperties": properties});
        let request = server.http.post(server.url(path));
        let request = request.header("accept", "application/vnd.ksql.v1+json");
        let response = request.body(asked.to_string()).send().await.unwrap();
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap();
        let mut found = Vec::new();
        if json!(status) != line["status"] {
            found.push(format!("status {status}, not {}: {body}", line["status"]));
        }
        if let Some(messages) = line.get("messages") {
            let answers = body.as_array().into_iter().flatten();
            let given = answers.map(|answer| {
                let status = &answer["commandStatus"]["message"];
                let told = [status, &answer["message"], &answer["@type"]];
                told.into_iter().find(|told| !told.is_null()).cloned()
            });
            let given = Value::Array(given.flatten().collect());
            differences("messages", &normal(messages), &normal(&given), &mut found);
        } else if let Some(rows) = line.get("rows") {
            differences("rows", &normal(rows), &normal(&body), &mut found);
        } else {
            for (recorded, given) in [
                ("type", "@type"),
                ("code", "error_code"),
                ("message", "message"),
                ("statementText", "statementText"),
            ] {
                differences(
                    recorded,
                    &normal(&line[recorded]),
                    &normal(&body[given]),
                    &mut found,
                );
            }
        }
        if !found.is_empty() {
            wrong.push(format!("{statement}\n  {}", found.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.stop().await;
    broker.stop().await;
}

/// The number in a query's id is a place in the command topic, which held more there.
const SOURCE_TABLES_QUERY: &str = "CST_ST_125";

/// The id of the query that begins so.
async fn query_of(server: &Server, beginning: &str) -> String {
    let answers = server.ksql("SHOW QUERIES;").await;
    let queries = answers[0]["queries"].as_array().unwrap();
    let mut ids = queries.iter().map(|query| query["id"].as_str().unwrap());
    ids.find(|id| id.starts_with(beginning)).unwrap().to_owned()
}

/// The registry had other schemas before: the next one's id was that.
const FIRST_ID: u32 = 73;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_about_registered_schemas_are_answered_as_recorded() {
    let broker = Broker::start().await;
    let registry = Registry::start(&broker).await;
    let import = json!({"mode": "IMPORT"});
    registry.ask("PUT", "/mode/before", Some(&import)).await;
    let before =
        json!({"schema": r#"{"type":"fixed","name":"Before","size":1}"#, "id": FIRST_ID - 1, "version": 1});
    let (status, answer) = registry
        .ask("POST", "/subjects/before/versions", Some(&before))
        .await;
    assert_eq!(status, 200, "{answer}");
    let server = Server::start_registered(&broker, &registry.url()).await;
    for topic in ["inf", "an", "smp"] {
        let declared = format!(
            "CREATE STREAM made (a INT) WITH (kafka_topic='{topic}', value_format='JSON', partitions=1, \
             retention_ms=-1); DROP STREAM made;"
        );
        server.ksql(&declared).await;
    }
    let mut wrong = Vec::new();
    for line in lines(FORMATS) {
        let asked = line
            .get("ksql")
            .or(line.get("registry"))
            .unwrap()
            .as_str()
            .unwrap();
        let (status, body) = if line.get("ksql").is_some() {
            let body = json!({"ksql": asked, "streamsProperties": {"auto.offset.reset": "earliest"}});
            let (status, body) = server.post("/ksql", &body).await;
            (status, serde_json::from_str(&body).unwrap())
        } else {
            let (method, path) = asked.split_once(' ').unwrap();
            registry.ask(method, path, line.get("sent")).await
        };
        let mut found = Vec::new();
        differences("status", &line["status"], &json!(status), &mut found);
        differences("", &normal(&line["body"]), &normal(&body), &mut found);
        if !found.is_empty() {
            wrong.push(format!("{asked}:\n  {}", found.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.stop().await;
    registry.stop().await;
    broker.stop().await;
}
