//! Registering a schema: the same schema gets the same id, a new one gets the next, and a version of its own, if what
//! is registered already permits it.

use std::sync::Arc;

use super::Registry;
use super::compatibility::against_all;
use super::prepared::{Prepared, SchemaRequest};
use super::settings::{may_change, mode};
use crate::refusal::Refusal;
use crate::schema::{Content, Hash};
use crate::storage::{Record, SchemaRecord, State, Stored};
use crate::subject::{DEFAULT_CONTEXT, Subject};

/// What was registered, now or before.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    pub(crate) id: u32,
    pub(crate) version: u32,
    pub(crate) hash: Hash,
}

impl From<&Stored> for Registered {
    fn from(stored: &Stored) -> Self {
        Self {
            id: stored.id,
            version: stored.version,
            hash: stored.hash,
        }
    }
}

impl Registry {
    /// Registers a schema under a subject.
    pub(crate) async fn register(
        self: &Arc<Self>,
        subject: Subject,
        request: SchemaRequest,
        normalize: bool,
    ) -> Result<Registered, Refusal> {
        if !subject.is_valid() {
            return Err(Refusal::invalid_subject(&subject));
        }
        if let Some(known) = self.find_registered(&subject, &request, normalize)? {
            return Ok(known);
        }
        self.change(move |state| decide(state, subject, request, normalize))
            .await
    }

    /// What needs no change: the subject has the schema already, whatever its mode and its level.
    fn find_registered(
        &self,
        subject: &Subject,
        request: &SchemaRequest,
        normalize: bool,
    ) -> Result<Option<Registered>, Refusal> {
        if request.wanted_version().is_some() {
            return Ok(None);
        }
        let state = self.state()?;
        let Some(prepared) = request.prepare(&state, subject, normalize)? else {
            return Ok(None);
        };
        let known = prepared.find(&state, subject, |stored| !stored.is_deleted);
        let is_wanted = |stored: &&Stored| request.wanted_id().is_none_or(|id| id == stored.id);
        Ok(known.filter(is_wanted).map(Registered::from))
    }
}

fn decide(
    state: &State,
    subject: Subject,
    request: SchemaRequest,
    normalize: bool,
) -> Result<(Vec<Record>, Registered), Refusal> {
    may_change(state, &subject)?;
    let mode = mode(state, &subject);
    match request.wanted_id() {
        Some(_) if !mode.takes_ids() => {
            return Err(Refusal::not_permitted(format!(
                "Subject {subject} is not in import or forward mode"
            )));
        }
        None if mode.takes_ids() => {
            return Err(Refusal::not_permitted(format!(
                "Subject {subject} is not in read-write mode"
            )));
        }
        _ => {}
    }
    let latest = state.versions(&subject).rev().find(|stored| !stored.is_deleted);
    let request = if mode.takes_ids() {
        request
    } else {
        with_inherited(request, latest)
    };
    let Some(prepared) = request.prepare(state, &subject, normalize)? else {
        return Err(Refusal::invalid_schema("Empty schema"));
    };
    let wanted_id = request.wanted_id();
    let wanted_version = request.wanted_version();
    if wanted_version.is_none() {
        let known = prepared.find(state, &subject, |stored| !stored.is_deleted);
        if let Some(known) = known.filter(|known| wanted_id.is_none_or(|id| id == known.id)) {
            return Ok((Vec::new(), known.into()));
        }
    }
    if !mode.takes_ids() {
        let messages = against_all(state, &subject, &prepared)?;
        if !messages.is_empty() {
            return Err(Refusal::incompatible(&subject, &messages));
        }
    }
    let next = state
        .versions(&subject)
        .next_back()
        .map_or(1, |last| last.version + 1);
    let version = match wanted_version {
        Some(wanted) if wanted != next && !mode.takes_ids() => {
            return Err(Refusal::invalid_schema(
                "Version is not one more than previous version",
            ));
        }
        wanted => wanted.unwrap_or(next),
    };
    let id = id_for(state, &subject, &prepared, wanted_id)?;
    let mut records = Vec::new();
    let context = subject.context();
    if context != DEFAULT_CONTEXT && !state.contexts().any(|known| known == context) {
        records.push(Record::Context {
            context: context.to_owned(),
        });
    }
    let same = |stored: &&Stored| stored.is_deleted && stored.id == id && stored.version < version;
    records.extend(
        state
            .versions(&subject)
            .filter(same)
            .map(|stored| Record::SchemaGone {
                subject: subject.as_str().to_owned(),
                version: stored.version,
            }),
    );
    let hash = prepared.content.hash();
    records.push(Record::Schema(record(&subject, version, id, prepared.content)));
    Ok((records, Registered { id, version, hash }))
}

/// The request with what it leaves out, from the version before.
fn with_inherited(mut request: SchemaRequest, latest: Option<&Stored>) -> SchemaRequest {
    let Some(latest) = latest else {
        return request;
    };
    if request.text().is_none() {
        request.schema = Some(latest.content.text.clone());
        request.schema_type = Some(latest.content.schema_type.word().to_owned());
        request.references = Some(latest.content.references.clone());
    }
    request.metadata = request.metadata.or_else(|| latest.content.metadata.clone());
    request.rule_set = request.rule_set.or_else(|| latest.content.rule_set.clone());
    request
}

/// The id of the schema: the one that it has in the context, the one that was asked for, else the next.
fn id_for(
    state: &State,
    subject: &Subject,
    prepared: &Prepared,
    wanted: Option<u32>,
) -> Result<u32, Refusal> {
    let hash = prepared.content.hash();
    let context = subject.context();
    let Some(wanted) = wanted else {
        let known = state.id_of(context, &hash);
        let next = || {
            state
                .last_id(context)
                .checked_add(1)
                .ok_or_else(|| Refusal::store("No ids are left"))
        };
        return known.map_or_else(next, Ok);
    };
    if state.with_id(context, wanted).any(|stored| stored.hash != hash) {
        return Err(Refusal::not_permitted(format!(
            "Overwrite new schema with id {wanted} in context {} is not permitted.",
            subject.prefix()
        )));
    }
    Ok(wanted)
}

fn record(subject: &Subject, version: u32, id: u32, content: Content) -> SchemaRecord {
    let hash = content.hash();
    let stored = Stored {
        subject: subject.clone(),
        version,
        id,
        is_deleted: false,
        content: Arc::new(content),
        hash,
    };
    stored.record()
}
