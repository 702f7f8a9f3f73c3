//! The rows of a ksqlDB query as they come.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Sink;
use crate::api::Refusal;
use crate::server::App;

/// How many rows wait for a browser; older ones are left out first.
const WAITING: usize = 1000;
/// How many rows an event carries.
const BATCH: usize = 200;
/// How long rows are gathered.
const GATHER: Duration = Duration::from_millis(20);

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    sql: String,
    #[serde(default)]
    properties: Value,
}

pub(super) async fn run(app: &App, wanted: &Wanted, sink: &Sink) -> Result<(), Refusal> {
    let ksqldb = app.ksqldb()?;
    let properties = match &wanted.properties {
        Value::Null => json!({}),
        properties => properties.clone(),
    };
    let mut rows = ksqldb.query(&wanted.sql, &properties).await?;
    let mut waiting: VecDeque<Value> = VecDeque::new();
    let mut left_out = 0u64;
    let mut tick = interval(GATHER);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_over = false;
    let mut sent = Instant::now();
    loop {
        tokio::select! {
            row = rows.next(), if !is_over => match row? {
                Some(Value::Array(row)) => {
                    if waiting.len() == WAITING {
                        waiting.pop_front();
                        left_out += 1;
                    }
                    waiting.push_back(Value::Array(row));
                    // A single row does not wait for others.
                    if waiting.len() > 1 || sent.elapsed() < GATHER {
                        continue;
                    }
                }
                Some(body) if body.get("columnNames").is_some() => {
                    sink.send("header", body).await;
                    continue;
                }
                // ksqlDB tells its final message and errors as objects.
                Some(body) => {
                    sink.send("message", body).await;
                    continue;
                }
                None => is_over = true,
            },
            _ = tick.tick(), if !waiting.is_empty() => {}
        }
        while !waiting.is_empty() && (is_over || sink.has_room()) {
            let batch: Vec<Value> = waiting.drain(..waiting.len().min(BATCH)).collect();
            let body = json!({"rows": batch, "left_out": std::mem::take(&mut left_out)});
            if !sink.send("rows", body).await {
                return Ok(());
            }
            sent = Instant::now();
        }
        if is_over {
            return Ok(());
        }
    }
}
