//! Single records: one opened, one produced, and the columns that the newest ones suggest.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Answer, Refusal};
use crate::kafka::{Raw, Topic, raw_of};
use crate::propose;
use crate::server::{App, Shared};
use crate::shown::{RECORD_LIMIT, Shown};

/// How long a record may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How many of the newest records are looked at for a proposal.
const PROPOSAL_RECORDS: i64 = 100;

#[derive(Debug, Deserialize)]
pub(crate) struct Part {
    /// `key` or `value`: its bytes as they are, instead of the record as JSON.
    raw: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct New {
    key: Option<String>,
    /// None is a tombstone.
    value: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    partition: Option<i32>,
}

/// `GET /api/topics/{topic}/records/{partition}/{offset}`.
pub(crate) async fn one(
    State(app): State<App>,
    Path((topic, partition, offset)): Path<(String, i32, i64)>,
    Query(part): Query<Part>,
) -> Result<Response, Refusal> {
    let missing = || {
        Refusal::not_found(format!(
            "there is no record {offset} in partition {partition} of `{topic}`"
        ))
    };
    let known = app.cluster.topic(&topic).await?;
    let bounds = app.cluster.bounds(vec![known.clone()]).await?;
    let index = known
        .partitions
        .iter()
        .position(|&of| of == partition)
        .ok_or_else(missing)?;
    let bounds = bounds[0][index];
    if !(bounds.low..bounds.high).contains(&offset) {
        return Err(missing());
    }
    let reader = app.cluster.reader()?;
    reader.seek(&[(topic.clone(), partition, offset)])?;
    let message = timeout(TIMEOUT, reader.next()).await.map_err(|_| missing())??;
    let raw = raw_of(&message);
    if raw.offset != offset {
        return Err(missing());
    }
    let Some(part) = part.raw else {
        return Ok(Json(json!(Shown::new(&raw, RECORD_LIMIT))).into_response());
    };
    let bytes = if part == "key" { raw.key } else { raw.value };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!(
                "attachment; filename=\"record-{partition}-{offset}-{}\"",
                if part == "key" { "key" } else { "value" }
            ),
        ),
    ];
    Ok((headers, bytes.unwrap_or_default()).into_response())
}

/// `POST /api/topics/{topic}/records`.
pub(crate) async fn produce(
    State(app): State<App>,
    Path(topic): Path<String>,
    Json(new): Json<New>,
) -> Answer {
    // A producer's request must not make the topic.
    app.cluster.topic(&topic).await?;
    let record = Raw {
        topic,
        partition: new.partition.unwrap_or(-1),
        offset: -1,
        timestamp_ms: None,
        key: new.key.map(String::into_bytes),
        value: new.value.map(String::into_bytes),
        headers: new
            .headers
            .into_iter()
            .map(|(name, value)| (name, Some(value.into_bytes())))
            .collect(),
    };
    let (partition, offset) = app.cluster.produce(&record).await?;
    Ok(Json(json!({"partition": partition, "offset": offset})))
}

/// `GET /api/topics/{topic}/proposal`: the columns that the newest records suggest.
pub(crate) async fn proposal(State(app): State<App>, Path(topic): Path<String>) -> Answer {
    let topic = app.cluster.topic(&topic).await?;
    let newest = newest(&app, &topic).await?;
    let values: Vec<Value> = newest
        .iter()
        .filter_map(|raw| serde_json::from_slice(raw.value.as_deref()?).ok())
        .collect();
    Ok(Json(json!({
        "columns": propose::columns(&values), "records": newest.len(), "json": values.len(),
        "partitions": topic.partitions.len(),
    })))
}

async fn newest(app: &Shared, topic: &Topic) -> Result<Vec<Raw>, Refusal> {
    let bounds = app.cluster.bounds(vec![topic.clone()]).await?;
    let spans: Vec<(i32, i64, i64)> = topic
        .partitions
        .iter()
        .zip(bounds.into_iter().flatten())
        .map(|(&partition, bounds)| {
            (
                partition,
                bounds.low.max(bounds.high - PROPOSAL_RECORDS),
                bounds.high,
            )
        })
        .filter(|(_, from, to)| from < to)
        .collect();
    let mut left: i64 = spans.iter().map(|(_, from, to)| to - from).sum();
    let mut records = Vec::new();
    if left == 0 {
        return Ok(records);
    }
    let reader = app.cluster.reader()?;
    let from: Vec<(String, i32, i64)> = spans
        .iter()
        .map(|(partition, from, _)| (topic.name.clone(), *partition, *from))
        .collect();
    reader.seek(&from)?;
    while left > 0 {
        // A range may end with records that are not there any more.
        let Ok(message) = timeout(Duration::from_secs(1), reader.next()).await else {
            break;
        };
        records.push(raw_of(&message?));
        left -= 1;
    }
    Ok(records)
}
