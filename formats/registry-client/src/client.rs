//! The client: what it asks, and what it need not ask twice.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use osqdemo_avro::Schema as Avro;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::cache::Cache;
use crate::error::{ClientError, SettingsError};
use crate::http::{Http, step};
use crate::settings::Settings;
use crate::wire::{SchemaId, guid};

/// How deep references are followed.
const DEEPEST_REFERENCES: usize = 64;
/// How many schemas one may refer to.
const MOST_REFERENCES: usize = 1_000;

/// The languages of schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SchemaType {
    /// Avro.
    #[default]
    Avro,
    /// JSON Schema.
    Json,
    /// Protocol Buffers.
    Protobuf,
}

/// A schema that another one uses.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// What the other one calls it.
    pub name: String,
    /// Where it is registered.
    pub subject: String,
    /// As which version.
    pub version: i32,
}

/// A schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schema {
    /// Its text.
    pub schema: String,
    /// Its language.
    #[serde(default)]
    pub schema_type: SchemaType,
    /// The schemas that it uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
}

/// A version of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Version {
    /// The subject.
    pub subject: String,
    /// The version.
    pub version: u32,
    /// The schema's id.
    pub id: u32,
    /// The schema.
    #[serde(flatten)]
    pub schema: Schema,
}

/// A client of one registry.
pub struct Client {
    http: Http,
    kept: Mutex<Kept>,
    settings: Settings,
}

struct Kept {
    ids: Cache<(String, Schema), u32>,
    schemas: Cache<SchemaId, Arc<Schema>>,
    avro: Cache<SchemaId, Arc<Avro>>,
    latest: Cache<String, (Instant, Version)>,
}

impl Schema {
    /// An Avro schema that uses no other.
    pub fn avro(text: impl Into<String>) -> Self {
        Self {
            schema: text.into(),
            schema_type: SchemaType::Avro,
            references: Vec::new(),
        }
    }
}

impl Client {
    /// Makes a client. Asks nothing.
    ///
    /// # Errors
    /// When an address or a file of the settings is of no use.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let http = Http::new(&settings)?;
        let capacity = settings.capacity;
        let kept = Kept {
            ids: Cache::new(capacity),
            schemas: Cache::new(capacity),
            avro: Cache::new(capacity),
            latest: Cache::new(capacity),
        };
        Ok(Self {
            http,
            kept: Mutex::new(kept),
            settings,
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of a schema under a subject, registered if it is not yet. Asks once a subject and schema.
    ///
    /// # Errors
    /// [`ClientError`]: whether it may pass says [`ClientError::is_away`].
    pub fn register(&self, subject: &str, schema: &Schema, normalize: bool) -> Result<u32, ClientError> {
        let key = (subject.to_owned(), schema.clone());
        if let Some(id) = self.kept().ids.get(&key) {
            return Ok(id);
        }
        let path = format!("/subjects/{}/versions?normalize={normalize}", step(subject));
        let answer = self.http.post(&path, &json!(schema))?;
        let id = number(&answer, "id").ok_or_else(|| self.foreign("no `id` in the answer"))?;
        let mut kept = self.kept();
        kept.ids.insert(key, id);
        kept.latest.remove(&subject.to_owned());
        Ok(id)
    }

    /// Deletes a subject: its versions are no longer listed, its schemas can still be read by their ids.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::is_not_found`] where there is none.
    pub fn delete(&self, subject: &str) -> Result<(), ClientError> {
        let deleted = self.http.delete(&format!("/subjects/{}", step(subject)));
        // Afterwards, or whoever registers meanwhile has it remembered again; and whatever the answer was, it may be gone.
        self.forget(subject);
        deleted.map(|_| ())
    }

    /// Forgets what is known of a subject, which somebody else may have deleted: the registry is asked again.
    pub fn forget(&self, subject: &str) {
        let mut kept = self.kept();
        kept.ids.retain(|(of, _)| of != subject);
        kept.latest.remove(&subject.to_owned());
    }

    /// The version that a subject has of a schema.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::is_not_found`] where it has none.
    pub fn lookup(
        &self,
        subject: &str,
        schema: &Schema,
        normalize: bool,
        deleted: bool,
    ) -> Result<Version, ClientError> {
        let path = format!(
            "/subjects/{}?normalize={normalize}&deleted={deleted}",
            step(subject)
        );
        self.version_of(self.http.post(&path, &json!(schema))?)
    }

    /// The latest version of a subject, believed for as long as the settings say.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn latest(&self, subject: &str) -> Result<Version, ClientError> {
        if let Some((since, version)) = self.kept().latest.get(&subject.to_owned())
            && since.elapsed() < self.settings.latest_for
        {
            return Ok(version);
        }
        let version = self.version(subject, None)?;
        let latest = (Instant::now(), version.clone());
        self.kept().latest.insert(subject.to_owned(), latest);
        Ok(version)
    }

    /// A version of a subject; the latest one where none is named.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn version(&self, subject: &str, version: Option<u32>) -> Result<Version, ClientError> {
        let version = version.map_or_else(|| "latest".to_owned(), |version| version.to_string());
        let path = format!("/subjects/{}/versions/{version}", step(subject));
        self.version_of(self.http.get(&path)?)
    }

    /// The schema with an id or a GUID. `subject` helps to find one of another context.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn schema(&self, id: SchemaId, subject: Option<&str>) -> Result<Arc<Schema>, ClientError> {
        if let Some(schema) = self.kept().schemas.get(&id) {
            return Ok(schema);
        }
        let path = match (id, subject) {
            (SchemaId::Id(id), Some(subject)) => format!("/schemas/ids/{id}?subject={}", step(subject)),
            (SchemaId::Id(id), None) => format!("/schemas/ids/{id}"),
            (SchemaId::Guid(_), _) => format!("/schemas/guids/{id}"),
        };
        let answer = self.http.get(&path)?;
        let schema: Schema =
            serde_json::from_value(answer).map_err(|error| self.foreign(&error.to_string()))?;
        let schema = Arc::new(schema);
        self.kept().schemas.insert(id, Arc::clone(&schema));
        Ok(schema)
    }

    /// The GUID of the schema with an id; `None` where the registry is too old to tell.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn guid(&self, id: u32) -> Result<Option<[u8; 16]>, ClientError> {
        let answer = self.http.get(&format!("/schemas/ids/{id}"))?;
        Ok(answer["guid"].as_str().and_then(guid))
    }

    /// The same, as Avro, with the schemas that it uses.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Schema`] where it is no Avro schema.
    pub fn avro(&self, id: SchemaId, subject: Option<&str>) -> Result<Arc<Avro>, ClientError> {
        if let Some(schema) = self.kept().avro.get(&id) {
            return Ok(schema);
        }
        let schema = self.schema(id, subject)?;
        let wrong = |reason: String| ClientError::Schema {
            id: id.to_string(),
            reason,
        };
        if schema.schema_type != SchemaType::Avro {
            return Err(wrong(format!("it is of the type {:?}", schema.schema_type)));
        }
        let used = self.referenced(id, &schema)?;
        let texts: Vec<String> = used.into_iter().map(|(_, text)| text).collect();
        let parsed = Avro::parse_with(&schema.schema, &texts).map_err(|error| wrong(error.to_string()))?;
        let parsed = Arc::new(parsed);
        self.kept().avro.insert(id, Arc::clone(&parsed));
        Ok(parsed)
    }

    /// The texts of the schemas that one uses, by the names it has for them, each after those that it needs itself.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Schema`] where there are too many.
    pub fn referenced(&self, id: SchemaId, schema: &Schema) -> Result<Vec<(String, String)>, ClientError> {
        let (mut names, mut found) = (Vec::new(), Vec::new());
        match self.collect(&schema.references, &mut names, &mut found, 0) {
            Ok(()) => Ok(found),
            Err(ClientError::Schema { reason, .. }) => Err(ClientError::Schema {
                id: id.to_string(),
                reason,
            }),
            Err(error) => Err(error),
        }
    }

    fn collect(
        &self,
        references: &[Reference],
        names: &mut Vec<String>,
        found: &mut Vec<(String, String)>,
        depth: usize,
    ) -> Result<(), ClientError> {
        for reference in references {
            if names.contains(&reference.name) {
                continue;
            }
            if depth > DEEPEST_REFERENCES || names.len() >= MOST_REFERENCES {
                return Err(ClientError::Schema {
                    id: String::new(),
                    reason: format!(
                        "more than {MOST_REFERENCES} references, or deeper than {DEEPEST_REFERENCES}"
                    ),
                });
            }
            names.push(reference.name.clone());
            let path = format!(
                "/subjects/{}/versions/{}?deleted=true",
                step(&reference.subject),
                reference.version
            );
            let version = self.version_of(self.http.get(&path)?)?;
            self.collect(&version.schema.references, names, found, depth + 1)?;
            found.push((reference.name.clone(), version.schema.schema));
        }
        Ok(())
    }

    /// What keeps a schema from being registered; nothing where it could be.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn incompatibilities(&self, subject: &str, schema: &Schema) -> Result<Vec<String>, ClientError> {
        let path = format!("/compatibility/subjects/{}/versions?verbose=true", step(subject));
        let answer = self.http.post(&path, &json!(schema))?;
        match answer["is_compatible"].as_bool() {
            Some(true) => Ok(Vec::new()),
            Some(false) => {
                let messages = answer["messages"].as_array().cloned().unwrap_or_default();
                let messages: Vec<String> = messages
                    .iter()
                    .filter_map(Json::as_str)
                    .map(str::to_owned)
                    .collect();
                Ok(if messages.is_empty() {
                    vec!["it is incompatible".to_owned()]
                } else {
                    messages
                })
            }
            None => Err(self.foreign("no `is_compatible` in the answer")),
        }
    }

    /// The subjects.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn subjects(&self) -> Result<Vec<String>, ClientError> {
        let answer = self.http.get("/subjects")?;
        serde_json::from_value(answer).map_err(|error| self.foreign(&error.to_string()))
    }

    /// The subjects that have the schema with an id.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::is_not_found`] where there is no such schema.
    pub fn subjects_of(&self, id: u32) -> Result<Vec<String>, ClientError> {
        let answer = self.http.get(&format!("/schemas/ids/{id}/subjects"))?;
        serde_json::from_value(answer).map_err(|error| self.foreign(&error.to_string()))
    }

    /// The versions of a subject.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn versions(&self, subject: &str) -> Result<Vec<u32>, ClientError> {
        let answer = self.http.get(&format!("/subjects/{}/versions", step(subject)))?;
        serde_json::from_value(answer).map_err(|error| self.foreign(&error.to_string()))
    }

    /// The compatibility level that holds for a subject.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn level(&self, subject: &str) -> Result<String, ClientError> {
        let answer = self
            .http
            .get(&format!("/config/{}?defaultToGlobal=true", step(subject)))?;
        let level = answer["compatibilityLevel"].as_str().map(str::to_owned);
        level.ok_or_else(|| self.foreign("no `compatibilityLevel` in the answer"))
    }

    fn version_of(&self, answer: Json) -> Result<Version, ClientError> {
        serde_json::from_value(answer).map_err(|error| self.foreign(&error.to_string()))
    }

    fn foreign(&self, reason: &str) -> ClientError {
        ClientError::Foreign {
            url: self.settings.urls.first().cloned().unwrap_or_default(),
            reason: reason.to_owned(),
        }
    }
}

fn number(answer: &Json, name: &str) -> Option<u32> {
    answer[name]
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
}
