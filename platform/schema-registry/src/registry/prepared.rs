//! A schema as a client sends it, read and understood.

use serde::Deserialize;
use serde_json::Value as Json;

use super::settings::setting;
use crate::refusal::Refusal;
use crate::schema::{Content, Earlier, InvalidSchema, ParsedSchema, Reference, SchemaType, shown_references};
use crate::storage::{State, Stored};
use crate::subject::Subject;

/// How many schemas one may refer to, by way of others too.
const MOST_REFERENCES: usize = 1_000;
/// How long their texts may be together.
const LONGEST_REFERENCES: usize = 16 * 1024 * 1024;
/// How deep references may lie in each other.
const DEEPEST_REFERENCES: usize = 64;

/// A schema in a request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SchemaRequest {
    pub(crate) schema: Option<String>,
    pub(crate) schema_type: Option<String>,
    pub(crate) references: Option<Vec<Reference>>,
    pub(crate) metadata: Option<Json>,
    pub(crate) rule_set: Option<Json>,
    pub(crate) version: Option<i32>,
    pub(crate) id: Option<i64>,
}

/// A schema that was understood.
pub(super) struct Prepared {
    pub(super) parsed: ParsedSchema,
    pub(super) content: Content,
}

impl SchemaRequest {
    /// The text, where there is one.
    pub(super) fn text(&self) -> Option<&str> {
        self.schema.as_deref().filter(|text| !text.trim().is_empty())
    }

    /// The version that was asked for.
    pub(super) fn wanted_version(&self) -> Option<u32> {
        self.version
            .and_then(|version| u32::try_from(version).ok())
            .filter(|version| *version > 0)
    }

    /// The id that was asked for.
    pub(super) fn wanted_id(&self) -> Option<u32> {
        self.id.and_then(|id| u32::try_from(id).ok())
    }

    /// Reads the schema as one of the subject; nothing where it has no text.
    pub(super) fn prepare(
        &self,
        state: &State,
        subject: &Subject,
        normalize: bool,
    ) -> Result<Option<Prepared>, Refusal> {
        let Some(text) = self.text() else {
            return Ok(None);
        };
        let word = self.schema_type.as_deref().unwrap_or_default();
        let schema_type = if word.is_empty() {
            Some(SchemaType::Avro)
        } else {
            SchemaType::of(word)
        };
        let schema_type =
            schema_type.ok_or_else(|| Refusal::invalid_schema(format!("Invalid schema type {word}")))?;
        let given = self.references.as_deref().unwrap_or_default();
        let invalid = |InvalidSchema(details): InvalidSchema| {
            let shown = |value: Option<String>| value.unwrap_or_else(|| "null".to_owned());
            let references = shown_references(given);
            Refusal::invalid_schema(format!(
                "Invalid schema {{subject={subject},version={},id={},schemaType={word},references={references},\
                 metadata={},ruleSet={},schema={text},schemaTags=null}} with refs {references} of type {word}, \
                 details: {details}",
                shown(self.version.map(|version| version.to_string())),
                shown(self.id.map(|id| id.to_string())),
                shown(self.metadata.as_ref().map(Json::to_string)),
                shown(self.rule_set.as_ref().map(Json::to_string)),
                word = schema_type.word(),
            ))
        };
        let mut references = given.to_vec();
        let texts = referenced_texts(state, subject, &mut references).map_err(invalid)?;
        let mut parsed = ParsedSchema::parse(schema_type, text, &texts).map_err(invalid)?;
        if normalize || setting(state, subject, "normalize").and_then(Json::as_bool) == Some(true) {
            parsed = parsed.normalized();
            references
                .sort_by(|one, other| (&one.subject, one.version).cmp(&(&other.subject, other.version)));
            references.dedup();
        }
        let mut content = Content::of(&parsed, references);
        content.metadata.clone_from(&self.metadata);
        content.rule_set.clone_from(&self.rule_set);
        Ok(Some(Prepared { parsed, content }))
    }
}

impl Prepared {
    /// The version of the subject that says the same: the newest one.
    pub(super) fn find<'s>(
        &self,
        state: &'s State,
        subject: &Subject,
        includes: impl Fn(&Stored) -> bool,
    ) -> Option<&'s Stored> {
        let hash = self.content.hash();
        let versions = || state.versions(subject).rev().filter(|stored| includes(stored));
        versions().find(|stored| stored.hash == hash).or_else(|| {
            versions().find(|stored| {
                let kept = &stored.content;
                let (asked, has) = (&self.content.references, &kept.references);
                let says = |asked: &Option<Json>, kept: &Option<Json>| asked.is_none() || asked == kept;
                (asked == has || asked.is_empty())
                    && says(&self.content.metadata, &kept.metadata)
                    && says(&self.content.rule_set, &kept.rule_set)
                    && parse_stored(state, stored).is_ok_and(|schema| self.parsed.is_equivalent(&schema))
            })
        })
    }
}

/// Reads a schema that is registered.
pub(crate) fn parse_stored(state: &State, stored: &Stored) -> Result<ParsedSchema, InvalidSchema> {
    let mut references = stored.content.references.clone();
    let texts = referenced_texts(state, &stored.subject, &mut references)?;
    ParsedSchema::parse(stored.content.schema_type, &stored.content.text, &texts)
}

/// The same, to compare a new one with.
pub(super) fn earlier(state: &State, stored: &Stored) -> Result<Earlier, Refusal> {
    let schema = parse_stored(state, stored).map_err(|InvalidSchema(details)| {
        Refusal::invalid_schema(format!(
            "Invalid schema of version {} of subject '{}', details: {details}",
            stored.version, stored.subject
        ))
    })?;
    Ok(Earlier {
        version: stored.version,
        text: stored.content.text.clone(),
        schema,
    })
}

/// What a schema that is registered refers to, by names and with texts; nothing where something of it is not there.
pub(super) fn imports(state: &State, stored: &Stored) -> Option<Vec<(String, String)>> {
    let mut found = Referenced::default();
    let mut references = stored.content.references.clone();
    found
        .collect(state, stored.subject.context(), &mut references, 0)
        .ok()?;
    Some(found.names.into_iter().zip(found.texts).collect())
}

/// The texts of all schemas that these refer to, each after those that it refers to itself. The latest version is
/// written into a reference that asked for it.
fn referenced_texts(
    state: &State,
    subject: &Subject,
    references: &mut [Reference],
) -> Result<Vec<String>, InvalidSchema> {
    let mut found = Referenced::default();
    found.collect(state, subject.context(), references, 0)?;
    Ok(found.texts)
}

#[derive(Default)]
struct Referenced {
    seen: std::collections::HashSet<String>,
    /// What those whose texts these are, are called.
    names: Vec<String>,
    texts: Vec<String>,
    length: usize,
}

impl Referenced {
    fn collect(
        &mut self,
        state: &State,
        context: &str,
        references: &mut [Reference],
        depth: usize,
    ) -> Result<(), InvalidSchema> {
        if depth > DEEPEST_REFERENCES {
            return Err(InvalidSchema(format!(
                "References nested deeper than {DEEPEST_REFERENCES}"
            )));
        }
        for reference in references {
            if reference.name.is_empty() || reference.subject.is_empty() || reference.version == 0 {
                return Err(InvalidSchema(format!("Invalid reference: {reference}")));
            }
            let subject = Subject::within(&reference.subject, context);
            let found = match u32::try_from(reference.version) {
                Ok(version) => state.get(&subject, version),
                Err(_) => state.versions(&subject).rev().find(|stored| !stored.is_deleted),
            };
            let stored = found.ok_or_else(|| {
                InvalidSchema(format!(
                    "No schema reference found for subject \"{subject}\" and version {}",
                    reference.version
                ))
            })?;
            reference.version = i32::try_from(stored.version).unwrap_or(i32::MAX);
            if !self.seen.insert(reference.name.clone()) {
                continue;
            }
            let mut inner = stored.content.references.clone();
            self.collect(state, subject.context(), &mut inner, depth + 1)?;
            self.length += stored.content.text.len();
            if self.texts.len() >= MOST_REFERENCES || self.length > LONGEST_REFERENCES {
                return Err(InvalidSchema(format!(
                    "More than {MOST_REFERENCES} references, or more than {LONGEST_REFERENCES} bytes of them"
                )));
            }
            self.names.push(reference.name.clone());
            self.texts.push(stored.content.text.clone());
        }
        Ok(())
    }
}
