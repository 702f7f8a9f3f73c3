//! What the configuration says of formats, and of the registry that they need.
//!
//! ```json
//! { "topics": { "format": "avro", "mode": "map", "key_format": "text", "schema_id": "prefix",
//!               "queries": { "processes": { "mode": "record" } } },
//!   "schema_registry": { "url": "http://schema-registry:8081", "basic.auth.user.info": "jay:${env:PASSWORD}" } }
//! ```
//! The members of `schema_registry` have the names that Confluent's clients give them.

use std::collections::{BTreeMap, HashMap};

use osqdemo_registry_client::{Credentials, Settings, SubjectNames};
use serde_json::{Map, Value};

use crate::configuration::ConfigurationError;
use crate::options::{Misshapen, misshapen, report_unknown};

/// The members of `topics`, and of each of its `queries`.
pub(crate) const TOPICS_MEMBERS: [&str; 5] = ["format", "key_format", "mode", "queries", "schema_id"];
const QUERY_MEMBERS: [&str; 4] = ["format", "key_format", "mode", "schema_id"];
/// The members of `schema_registry`.
pub(crate) const REGISTRY_MEMBERS: [&str; 5] = [
    "basic.auth.user.info",
    "bearer.auth.token",
    "ssl.ca.location",
    "subject.name.strategy",
    "url",
];

/// How lines become records.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Formats {
    /// Of queries about which nothing else is said.
    overall: Format,
    queries: HashMap<String, Format>,
    /// There whenever a format needs it.
    pub(crate) registry: Option<Registry>,
}

/// How the lines of a query become records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) value: ValueFormat,
    pub(super) key: KeyFormat,
    pub(super) id: IdPlace,
}

/// Where a record says which schema it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum IdPlace {
    /// Before its data, by the schema's id.
    #[default]
    Prefix,
    /// In a header, by the schema's GUID.
    Header,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ValueFormat {
    /// The line as it is.
    #[default]
    Json,
    JsonSchema,
    Avro(Mode),
}

/// What the schema of an Avro record is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing: it is the same for all queries.
    #[default]
    Map,
    /// The query's columns.
    Record,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum KeyFormat {
    #[default]
    Text,
    Avro,
}

/// The registry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Registry {
    pub(super) settings: Settings,
    pub(super) names: SubjectNames,
}

impl Formats {
    /// Reads both sections. `text` resolves what stands for secrets.
    pub(crate) fn read(
        root: &Map<String, Value>,
        text: impl Fn(&str, &str) -> Result<String, ConfigurationError>,
        mut unknown: impl FnMut(String),
    ) -> Result<Self, FormatsError> {
        let mut formats = Self::default();
        if let Some(topics) = root.get("topics") {
            let topics = object(topics, "topics")?;
            report_unknown(topics, "topics.", &TOPICS_MEMBERS, &mut unknown);
            formats.overall = Format::read(topics, "topics", Format::default())?;
            if let Some(queries) = topics.get("queries") {
                for (query, format) in object(queries, "topics.queries")? {
                    let place = format!("topics.queries.{query}");
                    let format = object(format, &place)?;
                    report_unknown(format, &format!("{place}."), &QUERY_MEMBERS, &mut unknown);
                    let format = Format::read(format, &place, formats.overall)?;
                    formats.queries.insert(query.clone(), format);
                }
            }
        }
        if let Some(registry) = root.get("schema_registry") {
            let registry = object(registry, "schema_registry")?;
            report_unknown(registry, "schema_registry.", &REGISTRY_MEMBERS, &mut unknown);
            formats.registry = Some(Registry::read(registry, text)?);
        }
        if formats.registry.is_none() && formats.all().any(Format::has_schema) {
            return Err(misshapen(
                "schema_registry.url",
                "there, as the formats `avro` and `json_schema` need a Schema Registry",
            )
            .into());
        }
        Ok(formats)
    }

    fn all(&self) -> impl Iterator<Item = Format> {
        self.queries.values().copied().chain([self.overall])
    }

    /// Whether any line is to be anything but what it is.
    pub(crate) fn is_any(&self) -> bool {
        self.all().any(Format::has_schema)
    }

    /// The format of a query's lines; of one without a name, that of all.
    pub(super) fn of(&self, query: &str) -> Format {
        self.queries.get(query).copied().unwrap_or(self.overall)
    }

    /// Whether any record names its schema by a GUID.
    pub(super) fn names_guids(&self) -> bool {
        self.all()
            .any(|format| format.id == IdPlace::Header && format.has_schema())
    }

    /// Whether the query decides about anything.
    pub(super) fn needs_query(&self) -> bool {
        let of_query = |format: Format| format.value == ValueFormat::Avro(Mode::Record);
        !self.queries.is_empty() || self.all().any(of_query)
    }
}

impl Format {
    fn read(object: &Map<String, Value>, place: &str, otherwise: Self) -> Result<Self, Misshapen> {
        let word = |name: &str, expected: &'static str| match object.get(name) {
            None => Ok(None),
            Some(value) => value
                .as_str()
                .map(Some)
                .ok_or_else(|| misshapen(&format!("{place}.{name}"), expected)),
        };
        const FORMATS: &str = "json, avro or json_schema";
        const MODES: &str = "map or record";
        const KEYS: &str = "text or avro";
        const IDS: &str = "prefix or header";
        let mode = match word("mode", MODES)? {
            None => None,
            Some("map") => Some(Mode::Map),
            Some("record") => Some(Mode::Record),
            Some(_) => return Err(misshapen(&format!("{place}.mode"), MODES)),
        };
        let mode_otherwise = match otherwise.value {
            ValueFormat::Avro(mode) => mode,
            _ => Mode::default(),
        };
        let avro = ValueFormat::Avro(mode.unwrap_or(mode_otherwise));
        let value = match (word("format", FORMATS)?, otherwise.value) {
            (Some("json"), _) | (None, ValueFormat::Json) => ValueFormat::Json,
            (Some("json_schema"), _) | (None, ValueFormat::JsonSchema) => ValueFormat::JsonSchema,
            (Some("avro"), _) | (None, ValueFormat::Avro(_)) => avro,
            (Some(_), _) => return Err(misshapen(&format!("{place}.format"), FORMATS)),
        };
        if mode == Some(Mode::Record) && !matches!(value, ValueFormat::Avro(_)) {
            return Err(misshapen(
                &format!("{place}.mode"),
                "with `\"format\": \"avro\"`, as no other format has modes",
            ));
        }
        let key = match word("key_format", KEYS)? {
            None => otherwise.key,
            Some("text") => KeyFormat::Text,
            Some("avro") => KeyFormat::Avro,
            Some(_) => return Err(misshapen(&format!("{place}.key_format"), KEYS)),
        };
        let id = match word("schema_id", IDS)? {
            None => otherwise.id,
            Some("prefix") => IdPlace::Prefix,
            Some("header") => IdPlace::Header,
            Some(_) => return Err(misshapen(&format!("{place}.schema_id"), IDS)),
        };
        Ok(Self { value, key, id })
    }

    fn has_schema(self) -> bool {
        self.value != ValueFormat::Json || self.key != KeyFormat::Text
    }
}

impl Registry {
    fn read(
        object: &Map<String, Value>,
        text: impl Fn(&str, &str) -> Result<String, ConfigurationError>,
    ) -> Result<Self, FormatsError> {
        let mut texts = BTreeMap::new();
        for name in REGISTRY_MEMBERS {
            let Some(value) = object.get(name) else { continue };
            let place = format!("schema_registry.{name}");
            let value = value.as_str().ok_or_else(|| misshapen(&place, "a string"))?;
            texts.insert(name, text(&place, value)?);
        }
        let urls = texts.remove("url").unwrap_or_default();
        let urls: Vec<String> = urls
            .split(',')
            .map(str::trim)
            .filter(|url| !url.is_empty())
            .map(str::to_owned)
            .collect();
        if urls.is_empty() {
            return Err(misshapen(
                "schema_registry.url",
                "there, such as `http://schema-registry:8081`",
            )
            .into());
        }
        let credentials = match (
            texts.remove("basic.auth.user.info"),
            texts.remove("bearer.auth.token"),
        ) {
            (None, None) => None,
            (Some(pair), None) => {
                let (user, password) = pair.split_once(':').ok_or_else(|| {
                    misshapen(
                        "schema_registry.basic.auth.user.info",
                        "of the form `user:password`",
                    )
                })?;
                Some(Credentials::Basic {
                    user: user.to_owned(),
                    password: password.to_owned(),
                })
            }
            (None, Some(token)) => Some(Credentials::Bearer(token)),
            (Some(_), Some(_)) => {
                return Err(misshapen(
                    "schema_registry.bearer.auth.token",
                    "absent where there is `basic.auth.user.info`",
                )
                .into());
            }
        };
        let names = texts
            .remove("subject.name.strategy")
            .unwrap_or_else(|| "topic".to_owned());
        let names = names.parse().map_err(|_| {
            misshapen(
                "schema_registry.subject.name.strategy",
                "topic, record or topic-record",
            )
        })?;
        Ok(Self {
            settings: Settings {
                urls,
                credentials,
                certificates: texts.remove("ssl.ca.location"),
                ..Settings::new("")
            },
            names,
        })
    }
}

/// Why the sections cannot be used.
#[derive(Debug)]
pub(crate) enum FormatsError {
    Misshapen(Misshapen),
    Configuration(ConfigurationError),
}

impl From<Misshapen> for FormatsError {
    fn from(error: Misshapen) -> Self {
        Self::Misshapen(error)
    }
}

impl From<ConfigurationError> for FormatsError {
    fn from(error: ConfigurationError) -> Self {
        Self::Configuration(error)
    }
}

fn object<'v>(value: &'v Value, place: &str) -> Result<&'v Map<String, Value>, Misshapen> {
    value.as_object().ok_or_else(|| misshapen(place, "an object"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(root: Value) -> Result<Formats, String> {
        let read = Formats::read(
            root.as_object().unwrap(),
            |_, text| Ok(text.to_owned()),
            |text| panic!("{text}"),
        );
        read.map_err(|error| match error {
            FormatsError::Misshapen(error) => error.member,
            FormatsError::Configuration(error) => error.to_string(),
        })
    }

    #[test]
    fn a_query_has_its_own_format_and_inherits_the_rest() {
        let formats = read(json!({
            "topics": { "format": "avro", "key_format": "avro", "queries": {
                "processes": { "mode": "record" }, "users": { "format": "json", "key_format": "text" } } },
            "schema_registry": { "url": "http://a:1, http://b:2", "basic.auth.user.info": "jay:a:b",
                "subject.name.strategy": "topic-record" },
        }))
        .unwrap();
        let of = |query: &str| (formats.of(query).value, formats.of(query).key);
        assert_eq!(of("other"), (ValueFormat::Avro(Mode::Map), KeyFormat::Avro));
        assert_eq!(
            of("processes"),
            (ValueFormat::Avro(Mode::Record), KeyFormat::Avro)
        );
        assert_eq!(of("users"), (ValueFormat::Json, KeyFormat::Text));
        assert!(!formats.names_guids());
        let registry = formats.registry.unwrap();
        assert_eq!(registry.settings.urls, ["http://a:1", "http://b:2"]);
        let expected = Credentials::Basic {
            user: "jay".to_owned(),
            password: "a:b".to_owned(),
        };
        assert_eq!(registry.settings.credentials, Some(expected));
        assert_eq!(registry.names, SubjectNames::TopicRecord);
        assert!(!read(json!({})).unwrap().is_any());
        // Of a record without a schema nothing is named.
        let header = json!({ "schema_id": "header", "queries": { "q": { "key_format": "avro" } } });
        assert!(
            !read(json!({ "topics": { "schema_id": "header" } }))
                .unwrap()
                .is_any()
        );
        let formats = read(json!({ "topics": header, "schema_registry": { "url": "http://a" } })).unwrap();
        assert!(formats.names_guids());
        assert_eq!(formats.of("q").id, IdPlace::Header);
    }

    #[test]
    fn mistakes_are_named() {
        let registry = json!({ "url": "http://a" });
        for (root, member) in [
            (json!({ "topics": 1 }), "topics"),
            (json!({ "topics": { "format": "xml" } }), "topics.format"),
            (json!({ "topics": { "mode": "list" } }), "topics.mode"),
            (json!({ "topics": { "mode": "record" } }), "topics.mode"),
            (
                json!({ "topics": { "queries": { "q": { "key_format": 1 } } } }),
                "topics.queries.q.key_format",
            ),
            (json!({ "topics": { "schema_id": "footer" } }), "topics.schema_id"),
            (json!({ "topics": { "format": "avro" } }), "schema_registry.url"),
            (json!({ "schema_registry": {} }), "schema_registry.url"),
            (
                json!({ "schema_registry": { "url": "http://a", "basic.auth.user.info": "jay" } }),
                "schema_registry.basic.auth.user.info",
            ),
            (
                json!({ "schema_registry": { "url": "http://a", "basic.auth.user.info": "a:b", "bearer.auth.token": "t" } }),
                "schema_registry.bearer.auth.token",
            ),
            (
                json!({ "schema_registry": { "url": "http://a", "subject.name.strategy": "mine" } }),
                "schema_registry.subject.name.strategy",
            ),
        ] {
            assert_eq!(read(root).unwrap_err(), member);
        }
        read(json!({ "topics": { "format": "json_schema" }, "schema_registry": registry })).unwrap();
    }
}
