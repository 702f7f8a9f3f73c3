//! `/compatibility`: whether a schema could be registered.

use serde_json::json;

use super::{Answer, Asked};
use crate::refusal::Refusal;
use crate::registry::compatibility::Against;
use crate::registry::lookup::VersionId;
use crate::registry::{Registry, SchemaRequest};
use crate::subject::Subject;

pub(super) fn check(
    registry: &Registry,
    subject: &Subject,
    version: Option<&str>,
    asked: &Asked,
) -> Result<Answer, Refusal> {
    let parameter = match version {
        Some(_) => "testCompatibilityBySubjectName.request",
        None => "testCompatibilityForSubject.request",
    };
    let request: SchemaRequest = asked.body("RegisterSchemaRequest", parameter)?;
    let against = match version {
        Some(version) => Against::Version(VersionId::parse(version)?),
        None => Against::All,
    };
    let messages = registry.compatibility(subject, against, &request, asked.query.is_true("normalize"))?;
    let mut answer = json!({"is_compatible": messages.is_empty()});
    if asked.query.is_true("verbose") && !messages.is_empty() {
        answer["messages"] = json!(messages);
    }
    Ok(answer.into())
}
