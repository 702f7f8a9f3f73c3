//! What a real ksqlDB 7.9.8 answered to statements and records, asked again here. `docs/ksqldb.md` lists what differs on
//! purpose.

mod support;

use serde_json::{Value, json};
use support::{Broker, Server, produce_at};

const SETUP: &str = include_str!("recorded/setup.json");
const EXPRESSIONS: &str = include_str!("recorded/expressions.jsonl");
const REFUSALS: &str = include_str!("recorded/refusals.jsonl");
const RECORDS: &str = include_str!("recorded/records.jsonl");

/// So many expressions are asked for at a time.
const AT_A_TIME: usize = 32;

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A server with the stream that the statements are about, and its records where they are wanted.
async fn start(with_records: bool) -> (Broker, Server) {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    let setup: Value = serde_json::from_str(SETUP).unwrap();
    // The topic was there before, and keeps its records for ever.
    server
        .ksql(
            "CREATE STREAM made (a INT) WITH (kafka_topic='d', value_format='JSON', partitions=1, retention_ms=-1); \
             DROP STREAM made;",
        )
        .await;
    server.ksql(setup["ddl"].as_str().unwrap()).await;
    if with_records {
        let producer = broker.producer();
        for row in setup["rows"].as_array().unwrap() {
            let (key, value) = (row[0].as_str(), row[1].as_str().unwrap());
            produce_at(&producer, "d", key, value, row[2].as_i64()).await;
        }
    }
    (broker, server)
}

/// The status and the body of an answer of `/query`.
async fn query(server: &Server, sql: &str) -> (u16, Value) {
    let body = json!({"ksql": sql, "streamsProperties": {"auto.offset.reset": "earliest"}});
    let request = server
        .http
        .post(server.url("/query"))
        .header("accept", "application/vnd.ksql.v1+json")
        .body(body.to_string());
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

/// The types and the values of expressions, or why one of them is refused.
async fn evaluate(server: &Server, expressions: &[&str]) -> (u16, Value, Vec<(String, Vec<Value>)>) {
    let items = expressions.iter().enumerate();
    let items: Vec<_> = items
        .map(|(place, expression)| format!("{expression} AS r{place}"))
        .collect();
    let sql = format!("SELECT {} FROM d EMIT CHANGES LIMIT 6;", items.join(", "));
    let (status, body) = query(server, &sql).await;
    if status != 200 {
        return (status, body, Vec::new());
    }
    let schema = body[0]["header"]["schema"].as_str().unwrap();
    let results = (0..expressions.len()).map(|place| {
        let (_, after) = schema.split_once(&format!("`R{place}` ")).unwrap();
        let next = format!(", `R{}` ", place + 1);
        let sql_type = after.split_once(&next).map_or(after, |(own, _)| own);
        let rows = body.as_array().unwrap().iter().filter_map(|line| line.get("row"));
        let values = rows.map(|row| row["columns"][place].clone()).collect();
        (sql_type.to_owned(), values)
    });
    (status, Value::Null, results.collect())
}

/// Whether two values are the same; numbers need not have the same last digit.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_f64(), right.as_f64()) {
            (Some(left), Some(right)) => (left - right).abs() <= 1e-9 * left.abs().max(1.0),
            _ => left == right,
        },
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, value)| right.get(name).is_some_and(|other| same(value, other)))
        }
        _ => left == right,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expressions_have_the_recorded_types_and_values() {
    let (broker, server) = start(true).await;
    let (refused, taken): (Vec<_>, Vec<_>) = lines(EXPRESSIONS)
        .into_iter()
        .partition(|line| line.get("values").is_none());
    let mut wrong = Vec::new();
    for group in taken.chunks(AT_A_TIME) {
        let expressions: Vec<_> = group
            .iter()
            .map(|line| line["expression"].as_str().unwrap())
            .collect();
        let (status, body, results) = evaluate(&server, &expressions).await;
        assert_eq!(status, 200, "{expressions:?}: {body}");
        for (line, (sql_type, values)) in group.iter().zip(results) {
            let (wanted, recorded) = (line["type"].as_str().unwrap(), line["values"].clone());
            if sql_type != wanted || !same(&Value::Array(values.clone()), &recorded) {
                wrong.push(format!(
                    "{}: {sql_type} {values:?}, not {wanted} {recorded}",
                    line["expression"]
                ));
            }
        }
    }
    for line in refused {
        let expression = line["expression"].as_str().unwrap();
        let (status, body, _) = evaluate(&server, &[expression]).await;
        let message = line.get("message");
        let is_same = line["status"] == json!(status)
            && line["code"] == body["error_code"]
            && message.is_none_or(|message| *message == body["message"]);
        if !is_same {
            wrong.push(format!("{expression}: {status} {body}, not {line}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_statements_are_refused_with_the_recorded_codes_and_texts() {
    let (broker, server) = start(false).await;
    let mut wrong = Vec::new();
    for line in lines(REFUSALS) {
        let statement = line["ksql"].as_str().unwrap();
        let (status, body) = server.post("/ksql", &json!({"ksql": statement})).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        let mut differ = |what: &str, recorded: &Value, given: &Value| {
            // `docs/ksqldb.md` says why some are not the same.
            if recorded != given && recorded != "…" {
                wrong.push(format!("{statement}\n  {what} {given}\n  not {recorded}"));
            }
        };
        differ("status", &line["status"], &json!(status));
        differ("type", &line["type"], &body["@type"]);
        differ("code", &line["code"], &body["error_code"]);
        differ("message", &line["message"], &body["message"]);
        differ("text", &line["statementText"], &body["statementText"]);
        if status == 200 {
            server
                .ksql("DROP STREAM IF EXISTS o; DROP STREAM IF EXISTS x;")
                .await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_records_give_the_recorded_rows_or_none() {
    let (broker, server) = start(false).await;
    let mut lines = lines(RECORDS);
    let statement = lines.remove(0)["query"].as_str().unwrap().to_owned();
    let producer = broker.producer();
    for line in &lines {
        let key = line["key"].as_str();
        // A record without a value gives no row, and the last record tells the end.
        if let Some(value) = line["value"].as_str() {
            produce_at(&producer, "d", key, value, Some(1)).await;
        }
    }
    let recorded: Vec<_> = lines
        .iter()
        .map(|line| line["row"].clone())
        .filter(|row| !row.is_null())
        .collect();
    let limited = statement.replace(';', &format!(" LIMIT {};", recorded.len()));
    let (status, body) = query(&server, &limited).await;
    assert_eq!(status, 200, "{body}");
    let rows = body.as_array().unwrap().iter().filter_map(|line| line.get("row"));
    let rows: Vec<_> = rows.map(|row| row["columns"].clone()).collect();
    for (row, wanted) in rows.iter().zip(&recorded) {
        assert!(same(row, wanted), "{row} is not {wanted}");
    }
    assert_eq!(rows.len(), recorded.len());
    server.stop().await;
    broker.stop().await;
}
