//! A schema that was read and understood, whatever its type.

use osqdemo_avro::Schema as Avro;
use osqdemo_avro::compatibility::{Level, check_against};
use serde_json::Value as Json;

use super::protobuf::Protobuf;
use super::{Content, Reference, SchemaType, json};

/// How much of an earlier schema a message shows.
const MOST_SHOWN: usize = 10 * 1024;

/// The text is no schema of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidSchema(pub(crate) String);

/// A schema, by its type.
#[derive(Debug, Clone)]
pub(crate) enum ParsedSchema {
    Avro(Avro),
    Json(Json),
    Protobuf(Box<Protobuf>),
}

impl ParsedSchema {
    /// Reads a text, with the texts of the schemas it refers to, those that others need first.
    pub(crate) fn parse(
        schema_type: SchemaType,
        text: &str,
        referenced: &[String],
    ) -> Result<Self, InvalidSchema> {
        match schema_type {
            SchemaType::Avro => Avro::parse_with(text, referenced)
                .map(Self::Avro)
                .map_err(|error| InvalidSchema(error.to_string())),
            SchemaType::Json => json::parse(text).map(Self::Json).map_err(InvalidSchema),
            SchemaType::Protobuf => {
                let file = Protobuf::parse(text).map_err(InvalidSchema)?;
                Ok(Self::Protobuf(Box::new(file)))
            }
        }
    }

    /// With everything that says nothing in one order.
    pub(crate) fn normalized(self) -> Self {
        match self {
            Self::Avro(schema) => Self::Avro(schema.normalized()),
            Self::Json(schema) => Self::Json(json::normalized(schema)),
            Self::Protobuf(file) => Self::Protobuf(file),
        }
    }

    /// The text that is stored and compared.
    pub(crate) fn canonical_text(&self) -> String {
        match self {
            Self::Avro(schema) => schema.canonical_text(),
            Self::Json(schema) => osqdemo_avro::json_text(schema),
            Self::Protobuf(file) => file.text.clone(),
        }
    }

    /// The text with references written out, where the type has such a form.
    pub(crate) fn resolved_text(&self) -> Option<String> {
        match self {
            Self::Avro(schema) => Some(schema.resolved_text()),
            Self::Json(_) | Self::Protobuf(_) => None,
        }
    }

    /// Whether both say the same, whatever their texts look like.
    pub(crate) fn is_equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Avro(one), Self::Avro(other)) => one.is_equivalent(other),
            (Self::Json(one), Self::Json(other)) => one == other,
            (Self::Protobuf(one), Self::Protobuf(other)) => one.says_the_same(other),
            _ => false,
        }
    }

    fn schema_type(&self) -> SchemaType {
        match self {
            Self::Avro(_) => SchemaType::Avro,
            Self::Json(_) => SchemaType::Json,
            Self::Protobuf(_) => SchemaType::Protobuf,
        }
    }

    /// What keeps a new schema and this earlier one apart, in both directions. Both have the same type.
    fn differences(&self, new: &Self, level: Level) -> (Vec<String>, Vec<String>) {
        let in_both = |between: &dyn Fn(&Self, &Self) -> Vec<String>| {
            let forward = level.is_forward().then(|| between(new, self));
            let backward = level.is_backward().then(|| between(self, new));
            (forward.unwrap_or_default(), backward.unwrap_or_default())
        };
        match (new, self) {
            (Self::Avro(new), Self::Avro(old)) => check_against(level, new, old),
            _ => in_both(&|old, new| match (old, new) {
                (Self::Json(old), Self::Json(new)) => json::differences(old, new),
                (Self::Protobuf(old), Self::Protobuf(new)) => new.differences_from(old),
                _ => Vec::new(),
            }),
        }
    }
}

/// An earlier version of a subject.
pub(crate) struct Earlier {
    pub(crate) version: u32,
    pub(crate) text: String,
    pub(crate) schema: ParsedSchema,
}

/// Compares a new schema with earlier ones, the newest first: the messages of the first that differs, nothing where it
/// is compatible with all that the level asks for.
pub(crate) fn compatibility_messages<E>(
    level: Level,
    new: &ParsedSchema,
    earlier: impl IntoIterator<Item = Result<Earlier, E>>,
) -> Result<Vec<String>, E> {
    if level == Level::None {
        return Ok(Vec::new());
    }
    for old in earlier {
        let old = old?;
        let mut messages = if old.schema.schema_type() == new.schema_type() {
            let (mut messages, backward) = old.schema.differences(new, level);
            let direct = if level.is_backward() {
                backward
            } else {
                std::mem::take(&mut messages)
            };
            let shows_old = !direct.is_empty();
            messages.extend(direct);
            if shows_old {
                messages.push(format!("{{oldSchemaVersion: {}}}", old.version));
                messages.push(shown(&old.text));
            }
            messages
        } else {
            vec!["Incompatible because of different schema type".to_owned()]
        };
        if !messages.is_empty() {
            messages.push(format!("{{validateFields: 'false', compatibility: '{level}'}}"));
            return Ok(messages);
        }
        if !level.is_transitive() {
            break;
        }
    }
    Ok(Vec::new())
}

fn shown(text: &str) -> String {
    if text.len() <= MOST_SHOWN {
        return format!("{{oldSchema: '{text}'}}");
    }
    let cut = text.floor_char_boundary(MOST_SHOWN);
    format!("{{oldSchema: <truncated> '{}...'}}", &text[..cut])
}

impl Content {
    /// What is stored of a schema.
    pub(crate) fn of(schema: &ParsedSchema, references: Vec<Reference>) -> Self {
        Self {
            schema_type: schema.schema_type(),
            text: schema.canonical_text(),
            references,
            metadata: None,
            rule_set: None,
        }
    }
}
