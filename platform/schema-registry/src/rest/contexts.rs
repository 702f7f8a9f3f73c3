//! `/contexts`, and what the registry says of itself.

use serde_json::json;

use super::{Answer, Asked};
use crate::refusal::Refusal;
use crate::registry::Registry;

/// The version whose behaviour this is, as clients check it.
const VERSION: &str = "7.9.8";
/// What that version says of its source.
const COMMIT: &str = "${gitCommitID}";

pub(super) fn list(registry: &Registry, asked: &Asked) -> Result<Answer, Refusal> {
    Ok(json!(asked.query.page(registry.contexts()?, usize::MAX)).into())
}

pub(super) async fn server_id(registry: &Registry) -> Result<Answer, Refusal> {
    let cluster = registry.cluster_id().await?;
    let clusters = json!({"kafka-cluster": cluster, "schema-registry-cluster": "schema-registry"});
    Ok(json!({"scope": {"path": [], "clusters": clusters}}).into())
}

pub(super) fn server_version() -> Answer {
    json!({"version": VERSION, "commitId": COMMIT}).into()
}
