//! Topics and their settings.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Refusal};
use crate::server::App;

/// How many partitions a topic made here may have.
const PARTITION_LIMIT: i32 = 1000;

#[derive(Debug, Deserialize)]
pub(crate) struct New {
    name: String,
    #[serde(default = "one")]
    partitions: i32,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Change {
    name: String,
    /// None takes the topic's own value away.
    value: Option<String>,
}

fn one() -> i32 {
    1
}

/// `GET /api/topics`.
pub(crate) async fn list(State(app): State<App>) -> Answer {
    let layout = app.cluster.layout().await?;
    let bounds = app.cluster.bounds(layout.topics.clone()).await?;
    let topics: Vec<Value> = layout
        .topics
        .iter()
        .zip(bounds)
        .map(|(topic, bounds)| {
            let records: u64 = bounds.iter().map(|bounds| bounds.count()).sum();
            json!({"name": topic.name, "partitions": topic.partitions.len(), "records": records})
        })
        .collect();
    Ok(Json(json!({ "topics": topics })))
}

/// `GET /api/topics/{topic}`: partitions with their bounds, and settings.
pub(crate) async fn describe(State(app): State<App>, Path(topic): Path<String>) -> Answer {
    let topic = app.cluster.topic(&topic).await?;
    let bounds = app.cluster.bounds(vec![topic.clone()]).await?;
    let settings = app.cluster.topic_settings(&topic.name).await?;
    let partitions: Vec<Value> = topic
        .partitions
        .iter()
        .zip(bounds.into_iter().flatten())
        .map(|(partition, bounds)| json!({"partition": partition, "low": bounds.low, "high": bounds.high}))
        .collect();
    Ok(Json(json!({
        "name": topic.name, "replicas": topic.replicas, "partitions": partitions, "settings": settings,
    })))
}

/// `POST /api/topics`.
pub(crate) async fn create(State(app): State<App>, Json(new): Json<New>) -> Answer {
    if !(1..=PARTITION_LIMIT).contains(&new.partitions) {
        return Err(Refusal::wrong(format!(
            "a topic has 1 to {PARTITION_LIMIT} partitions"
        )));
    }
    app.cluster.create_topic(&new.name, new.partitions).await?;
    Ok(Json(json!({})))
}

/// `POST /api/topics/{topic}/settings`.
pub(crate) async fn set(
    State(app): State<App>,
    Path(topic): Path<String>,
    Json(change): Json<Change>,
) -> Answer {
    let value = change.value.as_deref();
    app.cluster.set_topic_setting(&topic, &change.name, value).await?;
    Ok(Json(
        json!({ "settings": app.cluster.topic_settings(&topic).await? }),
    ))
}

/// `POST /api/topics/{topic}/delete`.
pub(crate) async fn delete(State(app): State<App>, Path(topic): Path<String>) -> Answer {
    app.cluster.delete_topic(&topic).await?;
    Ok(Json(json!({})))
}
