//! Consumer groups with their lag.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Answer;
use crate::server::App;

/// `GET /api/groups`.
pub(crate) async fn list(State(app): State<App>) -> Answer {
    let layout = app.cluster.layout().await?;
    let bounds = app.cluster.bounds(layout.topics.clone()).await?;
    let ends: BTreeMap<(&str, i32), i64> = layout
        .topics
        .iter()
        .zip(&bounds)
        .flat_map(|(topic, bounds)| {
            let partitions = topic.partitions.iter().zip(bounds);
            partitions.map(|(&partition, bounds)| ((topic.name.as_str(), partition), bounds.high))
        })
        .collect();
    let mut groups = Vec::new();
    for group in app.cluster.groups().await? {
        let committed = app.cluster.committed(&group.name, layout.topics.clone()).await;
        let positions: Vec<Value> = committed
            .iter()
            .flatten()
            .map(|(topic, partition, offset)| {
                let end = ends
                    .get(&(topic.as_str(), *partition))
                    .copied()
                    .unwrap_or(*offset);
                json!({
                    "topic": topic, "partition": partition, "offset": offset, "end": end,
                    "lag": (end - offset).max(0),
                })
            })
            .collect();
        let error = committed.err().map(|error| error.to_string());
        groups.push(json!({"group": group, "positions": positions, "error": error}));
    }
    Ok(Json(json!({ "groups": groups })))
}
