//! The Schema Registry's subjects.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::json;

use super::Answer;
use crate::server::App;

/// `GET /api/schemas`.
pub(crate) async fn subjects(State(app): State<App>) -> Answer {
    let registry = app.registry()?;
    let subjects = registry.get(&["subjects"]).await?;
    let config = registry.get(&["config"]).await?;
    Ok(Json(
        json!({"subjects": subjects, "compatibility": config["compatibilityLevel"]}),
    ))
}

/// `GET /api/schemas/{subject}`: its versions and its own compatibility level, where it has one.
pub(crate) async fn versions(State(app): State<App>, Path(subject): Path<String>) -> Answer {
    let registry = app.registry()?;
    let versions = registry.get(&["subjects", &subject, "versions"]).await?;
    let config = registry.get(&["config", &subject]).await.ok();
    Ok(Json(json!({
        "versions": versions, "compatibility": config.map(|config| config["compatibilityLevel"].clone()),
    })))
}

/// `GET /api/schemas/{subject}/{version}`.
pub(crate) async fn version(State(app): State<App>, Path((subject, version)): Path<(String, u32)>) -> Answer {
    let version = version.to_string();
    Ok(Json(
        app.registry()?
            .get(&["subjects", &subject, "versions", &version])
            .await?,
    ))
}
