//! `/subjects`: what is registered under which name.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use tokio::runtime::{Handle, RuntimeFlavor};
use uuid::Uuid;

use super::{Answer, Asked};
use crate::refusal::Refusal;
use crate::registry::lookup::{Deleted, VersionId};
use crate::registry::{Registry, SchemaRequest};
use crate::schema::{Content, SchemaType};
use crate::storage::Stored;
use crate::subject::{Prefix, Subject};

/// What the API calls the body of a request with a schema.
const REQUEST: &str = "RegisterSchemaRequest";

/// Which of the deleted versions the request is about.
pub(super) fn deleted(asked: &Asked) -> Deleted {
    if asked.query.is_true("deletedOnly") {
        Deleted::Only
    } else if asked.query.is_true("deleted") {
        Deleted::With
    } else {
        Deleted::Without
    }
}

/// What a schema has besides its text, as far as it has it.
pub(super) fn describe(content: &Content, shown: &mut Map<String, Json>) {
    if content.schema_type != SchemaType::Avro {
        shown.insert("schemaType".to_owned(), content.schema_type.word().into());
    }
    if !content.references.is_empty() {
        shown.insert("references".to_owned(), json!(content.references));
    }
    for (name, kept) in [("metadata", &content.metadata), ("ruleSet", &content.rule_set)] {
        if let Some(kept) = kept {
            shown.insert(name.to_owned(), kept.clone());
        }
    }
}

/// The text in the form that was asked for. A form that is not known is as good as none.
pub(super) fn text(registry: &Registry, stored: &Stored, asked: &Asked) -> Result<String, Refusal> {
    let formed = match asked.query.get("format") {
        Some("resolved") => aside(|| registry.resolved_text(stored))?,
        Some("serialized") => aside(|| registry.serialized_text(stored))?,
        _ => None,
    };
    Ok(formed.unwrap_or_else(|| stored.content.text.clone()))
}

/// Does what takes its time, where nobody else's request waits behind it.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// A version, in full.
pub(super) fn shown(registry: &Registry, stored: &Stored, asked: &Asked) -> Result<Json, Refusal> {
    let mut shown = Map::new();
    shown.insert("subject".to_owned(), stored.subject.as_str().into());
    shown.insert("version".to_owned(), stored.version.into());
    shown.insert("id".to_owned(), stored.id.into());
    if asked.knows_more() {
        shown.insert(
            "guid".to_owned(),
            Uuid::from_bytes(stored.hash).to_string().into(),
        );
    }
    describe(&stored.content, &mut shown);
    shown.insert("schema".to_owned(), text(registry, stored, asked)?.into());
    Ok(Json::Object(shown))
}

pub(super) fn list(registry: &Registry, context: &str, asked: &Asked) -> Result<Answer, Refusal> {
    let prefix = Prefix::new(asked.query.get("subjectPrefix"), context);
    let subjects = registry.subjects(&prefix, deleted(asked))?;
    Ok(json!(asked.query.page(subjects, usize::MAX)).into())
}

pub(super) fn versions(registry: &Registry, subject: &Subject, asked: &Asked) -> Result<Answer, Refusal> {
    let versions = registry.versions(subject, deleted(asked))?;
    Ok(json!(asked.query.page(versions, usize::MAX)).into())
}

fn find(registry: &Registry, subject: &Subject, version: &str, asked: &Asked) -> Result<Stored, Refusal> {
    registry.version(
        subject,
        VersionId::parse(version)?,
        asked.query.is_true("deleted"),
    )
}

pub(super) fn version(
    registry: &Registry,
    subject: &Subject,
    version: &str,
    asked: &Asked,
) -> Result<Answer, Refusal> {
    let stored = find(registry, subject, version, asked)?;
    Ok(shown(registry, &stored, asked)?.into())
}

pub(super) fn version_text(
    registry: &Registry,
    subject: &Subject,
    version: &str,
    asked: &Asked,
) -> Result<Answer, Refusal> {
    let stored = find(registry, subject, version, asked)?;
    Ok(Answer::Text(text(registry, &stored, asked)?))
}

pub(super) fn referenced_by(
    registry: &Registry,
    subject: &Subject,
    version: &str,
    asked: &Asked,
) -> Result<Answer, Refusal> {
    let ids = registry.referenced_by(subject, VersionId::parse(version)?)?;
    Ok(json!(asked.query.page(ids, usize::MAX)).into())
}

pub(super) async fn register(
    registry: &Arc<Registry>,
    subject: Subject,
    asked: &Asked,
) -> Result<Answer, Refusal> {
    let request: SchemaRequest = asked.body(REQUEST, "register.request")?;
    let registered = registry
        .register(subject, request, asked.query.is_true("normalize"))
        .await?;
    let mut shown = Map::from_iter([("id".to_owned(), registered.id.into())]);
    if asked.knows_more() {
        shown.insert("version".to_owned(), registered.version.into());
        shown.insert(
            "guid".to_owned(),
            Uuid::from_bytes(registered.hash).to_string().into(),
        );
    }
    Ok(Json::Object(shown).into())
}

pub(super) fn lookup(registry: &Registry, subject: &Subject, asked: &Asked) -> Result<Answer, Refusal> {
    let request: SchemaRequest = asked.body(REQUEST, "lookUpSchemaUnderSubject.request")?;
    let (normalize, deleted) = (asked.query.is_true("normalize"), asked.query.is_true("deleted"));
    let stored = registry.lookup(subject, &request, normalize, deleted)?;
    Ok(shown(registry, &stored, asked)?.into())
}

pub(super) fn with_metadata(
    registry: &Registry,
    subject: &Subject,
    asked: &Asked,
) -> Result<Answer, Refusal> {
    let keys = asked.query.all("key").map(str::to_owned);
    let values = asked.query.all("value").map(str::to_owned);
    let pairs: Vec<(String, String)> = keys.zip(values).collect();
    let stored = registry.with_metadata(subject, &pairs, asked.query.is_true("deleted"))?;
    Ok(shown(registry, &stored, asked)?.into())
}

pub(super) async fn delete(
    registry: &Arc<Registry>,
    subject: Subject,
    asked: &Asked,
) -> Result<Answer, Refusal> {
    let versions = registry
        .delete_subject(subject, asked.query.is_true("permanent"))
        .await?;
    Ok(json!(versions).into())
}

pub(super) async fn delete_version(
    registry: &Arc<Registry>,
    subject: Subject,
    version: &str,
    asked: &Asked,
) -> Result<Answer, Refusal> {
    let version = VersionId::parse(version)?;
    let deleted = registry
        .delete_version(subject, version, asked.query.is_true("permanent"))
        .await?;
    Ok(json!(deleted).into())
}
