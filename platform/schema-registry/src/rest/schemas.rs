//! `/schemas`: schemas by their ids, which is what readers of records have.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::subjects::{deleted, describe, shown, text as text_of};
use super::{Answer, Asked};
use crate::refusal::Refusal;
use crate::registry::Registry;
use crate::registry::lookup::Deleted;
use crate::schema::SchemaType;
use crate::storage::Stored;
use crate::subject::{Prefix, Subject};

/// How many schemas a list has at most.
const LIST_LIMIT: usize = 1_000;

pub(super) fn types() -> Answer {
    json!(SchemaType::ALL.map(SchemaType::word)).into()
}

pub(super) fn list(registry: &Registry, context: &str, asked: &Asked) -> Result<Answer, Refusal> {
    let prefix = Prefix::new(asked.query.get("subjectPrefix"), context);
    let latest_only = asked.query.is_true("latestOnly");
    let schemas = registry.schemas(&prefix, deleted(asked), latest_only)?;
    let schemas = asked.query.page(schemas, LIST_LIMIT);
    let schemas: Result<Vec<Json>, Refusal> = schemas
        .iter()
        .map(|stored| shown(registry, stored, asked))
        .collect();
    Ok(Json::Array(schemas?).into())
}

fn number(id: &str) -> Result<u32, Refusal> {
    let number = id.parse::<i32>().map_err(|_| Refusal::not_found())?;
    u32::try_from(number).map_err(|_| Refusal::schema_id_not_found(number))
}

/// The versions with an id, in the context of the subject that the client names.
fn with_id(registry: &Registry, context: &str, id: u32, asked: &Asked) -> Result<Vec<Stored>, Refusal> {
    let subject = Subject::within(asked.query.get("subject").unwrap_or_default(), context);
    registry.with_id(id, &subject)
}

pub(super) fn by_id(registry: &Registry, context: &str, id: &str, asked: &Asked) -> Result<Answer, Refusal> {
    let id = number(id)?;
    let versions = with_id(registry, context, id, asked)?;
    let stored = versions.first().ok_or_else(|| Refusal::schema_id_not_found(id))?;
    let mut answer = string(registry, stored, asked)?;
    if asked.query.is_true("fetchMaxId") {
        let last = registry.last_id(stored.subject.context())?;
        answer.insert("maxId".to_owned(), last.into());
    }
    Ok(Json::Object(answer).into())
}

/// A schema without its subjects.
fn string(registry: &Registry, stored: &Stored, asked: &Asked) -> Result<Map<String, Json>, Refusal> {
    let mut answer = Map::new();
    answer.insert("schema".to_owned(), text_of(registry, stored, asked)?.into());
    if asked.knows_more() {
        answer.insert(
            "guid".to_owned(),
            Uuid::from_bytes(stored.hash).to_string().into(),
        );
    }
    describe(&stored.content, &mut answer);
    Ok(answer)
}

pub(super) fn text(registry: &Registry, context: &str, id: &str, asked: &Asked) -> Result<Answer, Refusal> {
    let versions = with_id(registry, context, number(id)?, asked)?;
    // What version 7.9 answers here where there is no such schema.
    let stored = versions.first().ok_or_else(Refusal::internal)?;
    Ok(Answer::Text(text_of(registry, stored, asked)?))
}

/// The versions with an id that the request is about.
fn concerned(registry: &Registry, context: &str, id: &str, asked: &Asked) -> Result<Vec<Stored>, Refusal> {
    let mut versions = with_id(registry, context, number(id)?, asked)?;
    if versions.is_empty() {
        return Err(Refusal::schema_not_found());
    }
    versions.retain(|stored| deleted(asked) != Deleted::Without || !stored.is_deleted);
    if let Some(subject) = asked.query.get("subject") {
        let subject = Subject::within(subject, context);
        versions.retain(|stored| stored.subject == subject);
    }
    Ok(versions)
}

pub(super) fn subjects(
    registry: &Registry,
    context: &str,
    id: &str,
    asked: &Asked,
) -> Result<Answer, Refusal> {
    let versions = concerned(registry, context, id, asked)?;
    let subjects: BTreeSet<&str> = versions.iter().map(|stored| stored.subject.as_str()).collect();
    Ok(json!(asked.query.page(subjects.into_iter().collect(), usize::MAX)).into())
}

pub(super) fn versions(
    registry: &Registry,
    context: &str,
    id: &str,
    asked: &Asked,
) -> Result<Answer, Refusal> {
    let versions = concerned(registry, context, id, asked)?;
    let versions = versions
        .iter()
        .map(|stored| json!({"subject": stored.subject.as_str(), "version": stored.version}));
    Ok(json!(asked.query.page(versions.collect(), usize::MAX)).into())
}

pub(super) fn by_guid(registry: &Registry, guid: &str, asked: &Asked) -> Result<Answer, Refusal> {
    let schemas = with_guid(registry, guid)?;
    let stored = schemas
        .first()
        .ok_or_else(|| Refusal::schema_id_not_found(guid))?;
    Ok(Json::Object(string(registry, stored, asked)?).into())
}

pub(super) fn ids_of_guid(registry: &Registry, guid: &str) -> Result<Answer, Refusal> {
    let schemas = with_guid(registry, guid)?;
    let ids = schemas
        .iter()
        .map(|stored| json!({"context": stored.subject.context(), "id": stored.id}));
    Ok(Json::Array(ids.collect()).into())
}

fn with_guid(registry: &Registry, guid: &str) -> Result<Vec<Stored>, Refusal> {
    let not_found = || Refusal::schema_id_not_found(guid);
    let hash = Uuid::parse_str(guid).map_err(|_| not_found())?.into_bytes();
    let schemas = registry.with_hash(&hash)?;
    if schemas.is_empty() {
        Err(not_found())
    } else {
        Ok(schemas)
    }
}
