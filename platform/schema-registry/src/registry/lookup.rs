//! What is registered: subjects, versions, schemas by their ids.

use std::fmt;

use super::Registry;
use super::prepared::{SchemaRequest, imports};
use crate::refusal::Refusal;
use crate::schema::{Content, Hash, ParsedSchema, SchemaType, serialized_protobuf};
use crate::storage::{State, Stored};
use crate::subject::{DEFAULT_CONTEXT, Prefix, Subject};

/// Which of the deleted versions count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deleted {
    Without,
    With,
    Only,
}

impl Deleted {
    fn includes(self, stored: &Stored) -> bool {
        match self {
            Self::Without => !stored.is_deleted,
            Self::With => true,
            Self::Only => stored.is_deleted,
        }
    }
}

/// A version as a client names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VersionId {
    Latest,
    Number(u32),
}

impl VersionId {
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        if text.eq_ignore_ascii_case("latest") || text == "-1" {
            return Ok(Self::Latest);
        }
        let number = text
            .parse::<i32>()
            .ok()
            .and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| *number > 0);
        number
            .map(Self::Number)
            .ok_or_else(|| Refusal::invalid_version(text))
    }

    pub(crate) fn is_latest(self) -> bool {
        self == Self::Latest
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => formatter.write_str("-1"),
            Self::Number(number) => write!(formatter, "{number}"),
        }
    }
}

/// Whether a subject has versions.
pub(super) fn exists(state: &State, subject: &Subject, deleted: Deleted) -> bool {
    state.versions(subject).any(|stored| deleted.includes(stored))
}

/// A version of a subject. The latest is never a deleted one.
pub(super) fn find<'s>(
    state: &'s State,
    subject: &Subject,
    version: VersionId,
    with_deleted: bool,
) -> Result<&'s Stored, Refusal> {
    let found = match version {
        VersionId::Latest => state.versions(subject).rev().find(|stored| !stored.is_deleted),
        VersionId::Number(number) => state
            .get(subject, number)
            .filter(|stored| with_deleted || !stored.is_deleted),
    };
    found.ok_or_else(|| {
        let deleted = if with_deleted {
            Deleted::With
        } else {
            Deleted::Without
        };
        if exists(state, subject, deleted) {
            Refusal::version_not_found(version)
        } else {
            Refusal::subject_not_found(subject)
        }
    })
}

/// The versions that refer to one, whatever their subjects; those that are deleted do not count.
pub(super) fn referrers<'s>(state: &'s State, of: &'s Stored) -> impl Iterator<Item = &'s Stored> {
    state.all().filter(move |stored| {
        !stored.is_deleted
            && stored.content.references.iter().any(|reference| {
                u32::try_from(reference.version) == Ok(of.version)
                    && Subject::within(&reference.subject, stored.subject.context()) == of.subject
            })
    })
}

impl Registry {
    /// The subjects with such versions.
    pub(crate) fn subjects(&self, prefix: &Prefix, deleted: Deleted) -> Result<Vec<String>, Refusal> {
        let state = self.state()?;
        let subjects = state.subjects().filter(|(subject, versions)| {
            let counts = match deleted {
                // Those that nobody can use any more.
                Deleted::Only => versions.iter().all(|stored| stored.is_deleted),
                deleted => versions.iter().any(|stored| deleted.includes(stored)),
            };
            counts && prefix.matches(subject)
        });
        Ok(subjects.map(|(subject, _)| subject.as_str().to_owned()).collect())
    }

    /// The versions of a subject.
    pub(crate) fn versions(&self, subject: &Subject, deleted: Deleted) -> Result<Vec<u32>, Refusal> {
        let state = self.state()?;
        let versions = state.versions(subject).filter(|stored| deleted.includes(stored));
        let versions: Vec<u32> = versions.map(|stored| stored.version).collect();
        if versions.is_empty() {
            return Err(Refusal::subject_not_found(subject));
        }
        Ok(versions)
    }

    /// A version of a subject.
    pub(crate) fn version(
        &self,
        subject: &Subject,
        version: VersionId,
        with_deleted: bool,
    ) -> Result<Stored, Refusal> {
        find(&*self.state()?, subject, version, with_deleted).cloned()
    }

    /// The ids of the schemas that refer to a version.
    pub(crate) fn referenced_by(&self, subject: &Subject, version: VersionId) -> Result<Vec<u32>, Refusal> {
        let state = self.state()?;
        let stored = find(&state, subject, version, true)?;
        let mut ids: Vec<u32> = referrers(&state, stored).map(|stored| stored.id).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// The version of a subject that has a schema.
    pub(crate) fn lookup(
        &self,
        subject: &Subject,
        request: &SchemaRequest,
        normalize: bool,
        with_deleted: bool,
    ) -> Result<Stored, Refusal> {
        let state = self.state()?;
        let prepared = request.prepare(&state, subject, normalize)?;
        let deleted = if with_deleted {
            Deleted::With
        } else {
            Deleted::Without
        };
        let found = prepared.and_then(|prepared| {
            prepared
                .find(&state, subject, |stored| deleted.includes(stored))
                .cloned()
        });
        found.ok_or_else(|| {
            if exists(&state, subject, deleted) {
                Refusal::schema_not_found()
            } else {
                Refusal::subject_not_found(subject)
            }
        })
    }

    /// The newest version of a subject whose metadata have all these properties.
    pub(crate) fn with_metadata(
        &self,
        subject: &Subject,
        pairs: &[(String, String)],
        with_deleted: bool,
    ) -> Result<Stored, Refusal> {
        let state = self.state()?;
        let deleted = if with_deleted {
            Deleted::With
        } else {
            Deleted::Without
        };
        if !exists(&state, subject, deleted) {
            return Err(Refusal::subject_not_found(subject));
        }
        let has_all = |stored: &&Stored| {
            let properties = stored
                .content
                .metadata
                .as_ref()
                .and_then(|metadata| metadata.get("properties"));
            properties.is_some_and(|properties| {
                pairs
                    .iter()
                    .all(|(key, value)| properties.get(key).and_then(|v| v.as_str()) == Some(value))
            })
        };
        let found = state
            .versions(subject)
            .rev()
            .filter(|stored| deleted.includes(stored))
            .find(has_all);
        found.cloned().ok_or_else(Refusal::schema_not_found)
    }

    /// Every version of such subjects, or the latest of each.
    pub(crate) fn schemas(
        &self,
        prefix: &Prefix,
        deleted: Deleted,
        latest_only: bool,
    ) -> Result<Vec<Stored>, Refusal> {
        let state = self.state()?;
        let subjects = state.subjects().filter(|(subject, _)| prefix.matches(subject));
        let versions = subjects.flat_map(|(_, versions)| {
            let mut versions: Vec<&Stored> = versions
                .iter()
                .filter(|stored| deleted.includes(stored))
                .collect();
            if latest_only {
                versions.drain(..versions.len().saturating_sub(1));
            }
            versions
        });
        Ok(versions.cloned().collect())
    }

    /// The versions that have an id. In the default context, a subject of another context is found by its name.
    pub(crate) fn with_id(&self, id: u32, subject: &Subject) -> Result<Vec<Stored>, Refusal> {
        let state = self.state()?;
        let direct: Vec<Stored> = state.with_id(subject.context(), id).cloned().collect();
        if !direct.is_empty() || subject.name().is_empty() || subject.context() != DEFAULT_CONTEXT {
            return Ok(direct);
        }
        let mut contexts = state.contexts();
        let found = contexts.find_map(|context| {
            let found: Vec<Stored> = state.with_id(context, id).cloned().collect();
            found
                .iter()
                .any(|stored| stored.subject.name() == subject.name())
                .then_some(found)
        });
        Ok(found.unwrap_or_default())
    }

    /// The schemas with a content: one of each context that has it.
    pub(crate) fn with_hash(&self, hash: &Hash) -> Result<Vec<Stored>, Refusal> {
        let state = self.state()?;
        let found = state.ids_of(hash).into_iter();
        Ok(found
            .filter_map(|(context, id)| state.with_id(context, id).next().cloned())
            .collect())
    }

    /// The text with references written out, where the type has such a form.
    pub(crate) fn resolved_text(&self, stored: &Stored) -> Result<Option<String>, Refusal> {
        let Some(imports) = imports(&*self.state()?, stored) else {
            return Ok(None);
        };
        let texts: Vec<String> = imports.into_iter().map(|(_, text)| text).collect();
        let Content {
            schema_type, text, ..
        } = &*stored.content;
        let schema = ParsedSchema::parse(*schema_type, text, &texts).ok();
        Ok(schema.and_then(|schema| schema.resolved_text()))
    }

    /// The descriptor in base64, where the type has one.
    pub(crate) fn serialized_text(&self, stored: &Stored) -> Result<Option<String>, Refusal> {
        if stored.content.schema_type != SchemaType::Protobuf {
            return Ok(None);
        }
        // Taken out first: whoever registers does not wait until files are linked.
        let imports = imports(&*self.state()?, stored);
        Ok(imports.and_then(|imports| serialized_protobuf(&stored.content.text, imports)))
    }

    /// The largest id of a context.
    pub(crate) fn last_id(&self, context: &str) -> Result<u32, Refusal> {
        Ok(self.state()?.last_id(context))
    }

    /// The contexts, the default one among them.
    pub(crate) fn contexts(&self) -> Result<Vec<String>, Refusal> {
        let state = self.state()?;
        let contexts = state.contexts().map(str::to_owned);
        Ok(std::iter::once(DEFAULT_CONTEXT.to_owned())
            .chain(contexts)
            .collect())
    }
}
