//! Whether a schema could be registered.

use super::Registry;
use super::prepared::{Prepared, SchemaRequest, earlier};
use super::settings::{level, setting};
use crate::refusal::Refusal;
use crate::schema::compatibility_messages;
use crate::storage::{State, Stored};
use crate::subject::Subject;

/// Which versions a schema is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Against {
    /// Those that the level asks for.
    All,
    /// One.
    Version(super::lookup::VersionId),
}

impl Registry {
    /// What keeps a schema from being registered: nothing where it could be.
    pub(crate) fn compatibility(
        &self,
        subject: &Subject,
        against: Against,
        request: &SchemaRequest,
        normalize: bool,
    ) -> Result<Vec<String>, Refusal> {
        let state = self.state()?;
        let old = match against {
            Against::All => None,
            Against::Version(version) => match super::lookup::find(&state, subject, version, false) {
                Ok(stored) => Some(stored),
                // Nothing is as good as a subject that is not there.
                Err(_) if version.is_latest() => return self.is_valid(&state, subject, request, normalize),
                Err(_) => return Err(Refusal::version_not_found(version)),
            },
        };
        let Some(prepared) = request.prepare(&state, subject, normalize)? else {
            return Err(Refusal::invalid_schema("Empty schema"));
        };
        match old {
            None => against_all(&state, subject, &prepared),
            Some(old) => {
                let earlier = [old].into_iter().map(|stored| earlier(&state, stored));
                compatibility_messages(level(&state, subject), &prepared.parsed, earlier)
            }
        }
    }

    fn is_valid(
        &self,
        state: &State,
        subject: &Subject,
        request: &SchemaRequest,
        normalize: bool,
    ) -> Result<Vec<String>, Refusal> {
        match request.prepare(state, subject, normalize)? {
            Some(_) => Ok(Vec::new()),
            None => Err(Refusal::invalid_schema("Empty schema")),
        }
    }
}

/// Compares with the versions of the subject that the level asks for, the newest first.
pub(super) fn against_all(
    state: &State,
    subject: &Subject,
    prepared: &Prepared,
) -> Result<Vec<String>, Refusal> {
    let group = setting(state, subject, "compatibilityGroup").and_then(serde_json::Value::as_str);
    let value = |metadata: &Option<serde_json::Value>| {
        let properties = metadata.as_ref()?.get("properties")?;
        properties.get(group?).cloned()
    };
    let wanted = value(&prepared.content.metadata);
    let counts = |stored: &&Stored| {
        !stored.is_deleted && (group.is_none() || value(&stored.content.metadata) == wanted)
    };
    let earlier = state
        .versions(subject)
        .rev()
        .filter(counts)
        .map(|stored| earlier(state, stored));
    compatibility_messages(level(state, subject), &prepared.parsed, earlier)
}
