//! What a real server wrote for these statements and records, sink by sink and record by record.

use serde_json::Value as Json;

use crate::script::{Record, World};

const RECORDED: &str = include_str!("../recorded/tables.jsonl");

/// A recorded key or value as bytes: text, or base64 where it is no text.
fn bytes(recorded: &Json) -> Option<Vec<u8>> {
    match recorded {
        Json::Null => None,
        Json::String(text) => Some(text.as_bytes().to_vec()),
        Json::Number(number) => {
            let number = i32::try_from(number.as_i64()?).ok()?;
            Some(number.to_be_bytes().to_vec())
        }
        other => {
            let text = other["base64"].as_str().expect("text, number or base64");
            Some(decoded(text))
        }
    }
}

fn decoded(base64: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    for chunk in base64.as_bytes().chunks(4) {
        let digits = chunk.iter().filter(|digit| **digit != b'=');
        let digits: Vec<u32> = digits
            .map(|digit| DIGITS.iter().position(|other| other == digit).unwrap() as u32)
            .collect();
        let number = digits
            .iter()
            .enumerate()
            .fold(0, |number, (place, digit)| number | digit << (18 - 6 * place));
        bytes.extend(&number.to_be_bytes()[1..digits.len()]);
    }
    bytes
}

/// Two values are equal as JSON, where they are JSON, or else byte by byte.
fn shown(bytes: Option<&[u8]>) -> Json {
    match bytes {
        None => Json::Null,
        Some(bytes) => serde_json::from_slice(bytes).unwrap_or_else(|_| format!("{:?}", bytes).into()),
    }
}

fn close(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Number(left), Json::Number(right)) => {
            let (left, right) = (left.as_f64().unwrap(), right.as_f64().unwrap());
            (left - right).abs() <= 1e-9 * left.abs().max(1.0)
        }
        (Json::Array(left), Json::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| close(left, right))
        }
        (Json::Object(left), Json::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, value)| right.get(name).is_some_and(|other| close(value, other)))
        }
        (left, right) => left == right,
    }
}

#[test]
fn every_sink_has_what_a_real_server_wrote() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    for line in RECORDED.lines() {
        let entry: Json = serde_json::from_str(line).unwrap();
        let Some(sinks) = entry["sinks"].as_object() else {
            continue;
        };
        let name = entry["name"].as_str().unwrap();
        let texts = |field: &str| -> Vec<String> {
            let texts = entry[field].as_array().unwrap().iter();
            texts.map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let mut world = World::default();
        for source in texts("sources") {
            world.execute(&source).expect("the sources are good");
        }
        let answers = entry["answers"].as_array();
        for (place, statement) in texts("statements").iter().enumerate() {
            let answer = answers
                .and_then(|answers| answers[place].as_str())
                .unwrap_or("200");
            match world.execute(statement) {
                Ok(()) if answer.starts_with("200") => {}
                Err(error) if !answer.starts_with("200") && answer.ends_with(&error.message) => {}
                other => wrong.push(format!("{name}: {other:?}, not {answer}")),
            }
        }
        for record in entry["records"].as_array().unwrap() {
            let value = match &record["value"] {
                Json::Null => None,
                Json::String(text) => Some(text.as_bytes().to_vec()),
                other => Some(other.to_string().into_bytes()),
            };
            world.send(Record {
                topic: record["topic"].as_str().unwrap().to_owned(),
                key: bytes(&record["key"]),
                value,
                timestamp: record["timestamp"].as_i64().unwrap(),
            });
        }
        for (topic, records) in sinks {
            compared += 1;
            let expected: Vec<_> = records
                .as_array()
                .into_iter()
                .flatten()
                .map(|record| {
                    let value = bytes(&record["value"]);
                    let timestamp = record["timestamp"].as_i64().unwrap();
                    (bytes(&record["key"]), shown(value.as_deref()), timestamp)
                })
                .collect();
            let written = world.written.iter().filter(|record| record.topic == *topic);
            let written: Vec<_> = written
                .map(|record| {
                    (
                        record.key.clone(),
                        shown(record.value.as_deref()),
                        record.timestamp,
                    )
                })
                .collect();
            let same = written.len() == expected.len()
                && written
                    .iter()
                    .zip(&expected)
                    .all(|(one, other)| one.0 == other.0 && one.2 == other.2 && close(&one.1, &other.1));
            // Of a histogram the order counts, too.
            let texts = |value: &Option<Vec<u8>>| {
                value
                    .as_deref()
                    .map(|text| String::from_utf8_lossy(text).into_owned())
            };
            let recorded = records.as_array().into_iter().flatten();
            let as_written = world.written.iter().filter(|record| record.topic == *topic);
            let same = same
                && (!name.contains("histogram")
                    || recorded
                        .map(|record| texts(&bytes(&record["value"])))
                        .eq(as_written.map(|record| texts(&record.value))));
            if !same {
                wrong.push(format!(
                    "{name}, {topic}:\n  expected {expected:?}\n  written  {written:?}"
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {compared}\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(compared >= 41, "{compared}");
}
