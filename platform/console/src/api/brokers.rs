//! Brokers and their settings.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Answer;
use crate::server::App;

/// `GET /api/brokers`.
pub(crate) async fn list(State(app): State<App>) -> Answer {
    let layout = app.cluster.layout().await?;
    let mut brokers: Vec<Value> = Vec::new();
    for broker in layout.brokers {
        let settings = app.cluster.broker_settings(broker.id).await;
        let error = settings.as_ref().err().map(ToString::to_string);
        brokers.push(json!({"broker": broker, "settings": settings.unwrap_or_default(), "error": error}));
    }
    Ok(Json(json!({ "brokers": brokers })))
}
