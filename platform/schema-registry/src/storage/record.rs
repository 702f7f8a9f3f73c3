//! The records of `_schemas`. Keys are compared byte by byte when the topic is compacted, so they are written in one
//! way only; values may say more than is understood, and their fields stand in any order.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::schema::{Reference, SchemaType};

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// A version of a subject.
    Schema { subject: String, version: u32 },
    /// The settings of a subject, or of everything.
    Config { subject: Option<String> },
    /// The mode of a subject, or of everything.
    Mode { subject: Option<String> },
    /// The versions of a subject up to one are deleted, softly.
    DeleteSubject { subject: String },
    /// The deleted versions of a subject are forgotten.
    ClearSubject { subject: String },
    /// A context exists.
    Context { tenant: String, context: String },
    /// Nothing: its offset is what counts.
    Noop,
}

/// Why a key is passed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a key of the Schema Registry: {0}")]
pub(crate) struct UnknownKey(String);

impl Key {
    /// The bytes of the key.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // A text in JSON is what serde_json makes of it.
        let text = |text: &str| Json::from(text).to_string();
        let of = |kind: &str, subject: &Option<String>| match subject {
            Some(subject) => format!(r#"{{"keytype":"{kind}","subject":{},"magic":0}}"#, text(subject)),
            None => format!(r#"{{"keytype":"{kind}","magic":0}}"#),
        };
        let written = match self {
            Self::Schema { subject, version } => format!(
                r#"{{"keytype":"SCHEMA","subject":{},"version":{version},"magic":1}}"#,
                text(subject)
            ),
            Self::Config { subject } => of("CONFIG", subject),
            Self::Mode { subject } => of("MODE", subject),
            Self::DeleteSubject { subject } => of("DELETE_SUBJECT", &Some(subject.clone())),
            Self::ClearSubject { subject } => of("CLEAR_SUBJECT", &Some(subject.clone())),
            Self::Context { tenant, context } => format!(
                r#"{{"keytype":"CONTEXT","tenant":{},"context":{},"magic":0}}"#,
                text(tenant),
                text(context)
            ),
            Self::Noop => r#"{"keytype":"NOOP","magic":0}"#.to_owned(),
        };
        written.into_bytes()
    }

    /// Reads a key.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, UnknownKey> {
        #[derive(Deserialize)]
        struct Fields {
            keytype: String,
            subject: Option<String>,
            version: Option<u32>,
            tenant: Option<String>,
            context: Option<String>,
        }
        let fields: Fields = serde_json::from_slice(bytes).map_err(|error| UnknownKey(error.to_string()))?;
        let missing = |what: &str| UnknownKey(format!("a {} without a {what}", fields.keytype));
        let subject = || fields.subject.clone().ok_or_else(|| missing("subject"));
        Ok(match fields.keytype.as_str() {
            "SCHEMA" => Self::Schema {
                subject: subject()?,
                version: fields
                    .version
                    .filter(|version| *version > 0)
                    .ok_or_else(|| missing("version"))?,
            },
            "CONFIG" => Self::Config {
                subject: fields.subject,
            },
            "MODE" => Self::Mode {
                subject: fields.subject,
            },
            "DELETE_SUBJECT" => Self::DeleteSubject { subject: subject()? },
            "CLEAR_SUBJECT" => Self::ClearSubject { subject: subject()? },
            "CONTEXT" => Self::Context {
                tenant: fields.tenant.clone().unwrap_or_else(|| "default".to_owned()),
                context: fields.context.clone().ok_or_else(|| missing("context"))?,
            },
            "NOOP" => Self::Noop,
            other => return Err(UnknownKey(format!("the kind {other}"))),
        })
    }
}

/// The value of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SchemaRecord {
    pub(crate) subject: String,
    pub(crate) version: u32,
    pub(crate) id: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) schema_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) references: Option<Vec<Reference>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rule_set: Option<Json>,
    pub(crate) schema: String,
    #[serde(default)]
    pub(crate) deleted: bool,
}

impl SchemaRecord {
    pub(crate) fn schema_type(&self) -> Option<SchemaType> {
        self.schema_type
            .as_deref()
            .map_or(Some(SchemaType::Avro), SchemaType::of)
    }
}

/// The settings of a subject, or of everything: those fields that were set.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Settings(pub(crate) Map<String, Json>);

/// The fields that settings can have, as they are stored.
pub(crate) const SETTINGS: [&str; 11] = [
    "alias",
    "normalize",
    "validateFields",
    "validateRules",
    "compatibilityLevel",
    "compatibilityPolicy",
    "compatibilityGroup",
    "defaultMetadata",
    "overrideMetadata",
    "defaultRuleSet",
    "overrideRuleSet",
];

impl Settings {
    /// Those fields of a stored value that are settings.
    fn of(value: Map<String, Json>) -> Self {
        let known = value.into_iter();
        let known = known.filter(|(name, value)| SETTINGS.contains(&name.as_str()) && !value.is_null());
        Self(known.collect())
    }
}

/// What may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Mode {
    #[serde(rename = "READWRITE")]
    ReadWrite,
    #[serde(rename = "READONLY")]
    ReadOnly,
    /// As `ReadOnly`, whatever a subject says.
    #[serde(rename = "READONLY_OVERRIDE")]
    ReadOnlyOverride,
    Import,
    Forward,
}

impl Mode {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ReadWrite => "READWRITE",
            Self::ReadOnly => "READONLY",
            Self::ReadOnlyOverride => "READONLY_OVERRIDE",
            Self::Import => "IMPORT",
            Self::Forward => "FORWARD",
        }
    }

    pub(crate) fn of(word: &str) -> Option<Self> {
        let all = [
            Self::ReadWrite,
            Self::ReadOnly,
            Self::ReadOnlyOverride,
            Self::Import,
            Self::Forward,
        ];
        all.into_iter()
            .find(|mode| mode.word().eq_ignore_ascii_case(word))
    }

    pub(crate) fn is_read_only(self) -> bool {
        matches!(self, Self::ReadOnly | Self::ReadOnlyOverride)
    }

    /// Whether ids are given by the client.
    pub(crate) fn takes_ids(self) -> bool {
        matches!(self, Self::Import | Self::Forward)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

/// A record: what it is about, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    Schema(SchemaRecord),
    /// A version is gone for good.
    SchemaGone {
        subject: String,
        version: u32,
    },
    Config {
        subject: Option<String>,
        settings: Option<Settings>,
    },
    Mode {
        subject: Option<String>,
        mode: Option<Mode>,
    },
    DeleteSubject {
        subject: String,
        version: u32,
    },
    ClearSubject {
        subject: String,
    },
    Context {
        context: String,
    },
    Noop,
    /// A tombstone of something that says nothing by being gone.
    Gone(Key),
}

impl Record {
    pub(crate) fn key(&self) -> Key {
        match self {
            Self::Schema(SchemaRecord { subject, version, .. }) | Self::SchemaGone { subject, version } => {
                Key::Schema {
                    subject: subject.clone(),
                    version: *version,
                }
            }
            Self::Config { subject, .. } => Key::Config {
                subject: subject.clone(),
            },
            Self::Mode { subject, .. } => Key::Mode {
                subject: subject.clone(),
            },
            Self::DeleteSubject { subject, .. } => Key::DeleteSubject {
                subject: subject.clone(),
            },
            Self::ClearSubject { subject } => Key::ClearSubject {
                subject: subject.clone(),
            },
            Self::Context { context } => Key::Context {
                tenant: "default".to_owned(),
                context: context.clone(),
            },
            Self::Noop => Key::Noop,
            Self::Gone(key) => key.clone(),
        }
    }

    /// The bytes of the value; nothing for a tombstone.
    pub(crate) fn value(&self) -> Option<Vec<u8>> {
        let with_subject = |subject: &Option<String>, rest: Map<String, Json>| {
            let mut value = Map::new();
            if let Some(subject) = subject {
                value.insert("subject".to_owned(), subject.as_str().into());
            }
            value.extend(rest);
            Json::Object(value)
        };
        let value = match self {
            Self::Schema(record) => serde_json::to_value(record).unwrap_or_default(),
            Self::Config { subject, settings } => with_subject(subject, settings.clone()?.0),
            Self::Mode { subject, mode } => {
                let mode = Map::from_iter([("mode".to_owned(), mode.as_ref()?.word().into())]);
                with_subject(subject, mode)
            }
            Self::DeleteSubject { subject, version } => {
                serde_json::json!({"subject": subject, "version": version})
            }
            Self::ClearSubject { subject } => serde_json::json!({"subject": subject}),
            Self::Context { context } => serde_json::json!({"tenant": "default", "context": context}),
            Self::SchemaGone { .. } | Self::Noop | Self::Gone(_) => return None,
        };
        Some(value.to_string().into_bytes())
    }

    /// Reads a record.
    pub(crate) fn parse(key: &[u8], value: Option<&[u8]>) -> Result<Self, String> {
        let key = Key::parse(key).map_err(|error| error.to_string())?;
        let Some(value) = value else {
            return Ok(match key {
                Key::Schema { subject, version } => Self::SchemaGone { subject, version },
                Key::Config { subject } => Self::Config {
                    subject,
                    settings: None,
                },
                Key::Mode { subject } => Self::Mode { subject, mode: None },
                Key::Noop => Self::Noop,
                key => Self::Gone(key),
            });
        };
        let object = || serde_json::from_slice::<Map<String, Json>>(value).map_err(|error| error.to_string());
        Ok(match key {
            // Most records are one: it is read without a document between.
            Key::Schema { subject, version } => {
                let record: SchemaRecord =
                    serde_json::from_slice(value).map_err(|error| error.to_string())?;
                if record.schema_type().is_none() {
                    return Err(format!("a schema of the type {:?}", record.schema_type));
                }
                // What counts is the key: it is what compaction keeps.
                Self::Schema(SchemaRecord {
                    subject,
                    version,
                    ..record
                })
            }
            Key::Config { subject } => Self::Config {
                subject,
                settings: Some(Settings::of(object()?)),
            },
            Key::Mode { subject } => {
                let object = object()?;
                let word = object.get("mode").and_then(Json::as_str).unwrap_or_default();
                let mode = Mode::of(word).ok_or_else(|| format!("the mode `{word}`"))?;
                Self::Mode {
                    subject,
                    mode: Some(mode),
                }
            }
            Key::DeleteSubject { subject } => {
                let object = object()?;
                let version = object.get("version").and_then(Json::as_u64);
                let version = version.and_then(|version| u32::try_from(version).ok());
                Self::DeleteSubject {
                    subject,
                    version: version.ok_or("no `version`")?,
                }
            }
            Key::ClearSubject { subject } => object().map(|_| Self::ClearSubject { subject })?,
            Key::Context { context, .. } => object().map(|_| Self::Context { context })?,
            Key::Noop => object().map(|_| Self::Noop)?,
        })
    }
}

#[cfg(test)]
mod tests;
