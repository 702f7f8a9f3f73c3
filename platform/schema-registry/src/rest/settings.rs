//! `/config` and `/mode`: what may be registered, and whether anything may.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::{Answer, Asked};
use crate::refusal::Refusal;
use crate::registry::{Registry, SettingsRequest};
use crate::storage::{Mode, SETTINGS};
use crate::subject::Subject;

pub(super) fn get(registry: &Registry, scope: Option<Subject>, asked: &Asked) -> Result<Answer, Refusal> {
    let settings = match &scope {
        None => registry.settings()?,
        Some(subject) => registry.settings_of(subject, asked.query.is_true("defaultToGlobal"))?,
    };
    Ok(Json::Object(settings).into())
}

pub(super) async fn put(
    registry: &Arc<Registry>,
    scope: Option<Subject>,
    asked: &Asked,
) -> Result<Answer, Refusal> {
    let parameter = match scope {
        None => "updateTopLevelConfig.request",
        Some(_) => "updateSubjectLevelConfig.request",
    };
    let mut request: Map<String, Json> = asked.body("ConfigUpdateRequest", parameter)?;
    request.retain(|name, _| name == "compatibility" || (SETTINGS.contains(&name.as_str()) && name != LEVEL));
    let mut settings = registry.set_settings(scope, SettingsRequest(request)).await?;
    // What is stored by one name is answered here by another.
    if let Some(level) = settings.remove(LEVEL) {
        settings.insert("compatibility".to_owned(), level);
    }
    Ok(Json::Object(settings).into())
}

/// The level, as it is stored.
const LEVEL: &str = "compatibilityLevel";

pub(super) async fn delete(registry: &Arc<Registry>, scope: Option<Subject>) -> Result<Answer, Refusal> {
    Ok(Json::Object(registry.delete_settings(scope).await?).into())
}

fn shown(mode: Mode) -> Answer {
    json!({"mode": mode.word()}).into()
}

pub(super) fn mode(registry: &Registry, scope: Option<Subject>, asked: &Asked) -> Result<Answer, Refusal> {
    Ok(shown(match &scope {
        None => registry.mode()?,
        Some(subject) => registry.mode_of(subject, asked.query.is_true("defaultToGlobal"))?,
    }))
}

pub(super) async fn put_mode(
    registry: &Arc<Registry>,
    scope: Option<Subject>,
    asked: &Asked,
) -> Result<Answer, Refusal> {
    #[derive(Deserialize)]
    struct Request {
        mode: Option<String>,
    }
    let parameter = match scope {
        None => "updateTopLevelMode.request",
        Some(_) => "updateMode.request",
    };
    let request: Request = asked.body("ModeUpdateRequest", parameter)?;
    let mode = request
        .mode
        .as_deref()
        .and_then(Mode::of)
        .ok_or_else(Refusal::invalid_mode)?;
    registry
        .set_mode(scope, mode, asked.query.is_true("force"))
        .await?;
    Ok(shown(mode))
}

pub(super) async fn delete_mode(registry: &Arc<Registry>, scope: Option<Subject>) -> Result<Answer, Refusal> {
    Ok(shown(registry.delete_mode(scope).await?))
}
