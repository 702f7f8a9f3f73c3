//! What a schema is: a text of a type, the schemas it refers to, and what is kept along with it.

mod json;
mod parsed;
mod protobuf;

use std::fmt;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub(crate) use parsed::{Earlier, InvalidSchema, ParsedSchema, compatibility_messages};
pub(crate) use protobuf::serialized as serialized_protobuf;

/// The languages of schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum SchemaType {
    #[default]
    Avro,
    Json,
    Protobuf,
}

impl SchemaType {
    /// Every type, in the order in which the API names them.
    pub(crate) const ALL: [Self; 3] = [Self::Json, Self::Protobuf, Self::Avro];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Json => "JSON",
            Self::Protobuf => "PROTOBUF",
        }
    }

    /// The type of that name.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.word() == word)
    }
}

/// A schema that another one uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Reference {
    /// What the other one calls it.
    #[serde(default)]
    pub(crate) name: String,
    /// Where it is registered.
    #[serde(default)]
    pub(crate) subject: String,
    /// As which version; -1 asks for the latest.
    #[serde(default)]
    pub(crate) version: i32,
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            subject,
            version,
        } = self;
        write!(
            formatter,
            "{{name='{name}', subject='{subject}', version={version}}}"
        )
    }
}

/// References as Confluent's messages show them.
pub(crate) fn shown_references(references: &[Reference]) -> String {
    let shown: Vec<String> = references.iter().map(Reference::to_string).collect();
    format!("[{}]", shown.join(", "))
}

/// What an id stands for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Content {
    pub(crate) schema_type: SchemaType,
    pub(crate) text: String,
    pub(crate) references: Vec<Reference>,
    pub(crate) metadata: Option<Json>,
    pub(crate) rule_set: Option<Json>,
}

/// What a content is found by.
pub(crate) type Hash = [u8; 16];

impl Content {
    /// The MD5 by which a registry finds an id for a schema, and which is its GUID.
    pub(crate) fn hash(&self) -> Hash {
        let mut hash = Md5::new();
        hash.update(&self.text);
        for reference in &self.references {
            hash.update(&reference.name);
            hash.update(&reference.subject);
            hash.update(reference.version.to_be_bytes());
        }
        for kept in [&self.metadata, &self.rule_set].into_iter().flatten() {
            hash.update([1]);
            hash.update(kept.to_string());
        }
        hash.finalize().into()
    }
}
