//! The Schema Registry as statements and queries use it.
//!
//! A statement asks once and tells what went wrong. A query that runs waits for a registry that is away, as long as it
//! takes: it loses no row, and holds up nobody else. The client blocks, so each question has a thread of its own.

mod query_schemas;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use osqdemo_protobuf::Linked;
use osqdemo_registry_client::wire::SchemaId;
use osqdemo_registry_client::{Client, ClientError, Schema, SchemaType, Settings, SettingsError, Version};
use serde::{Deserialize, Serialize};

use crate::plan::MissingSchema;
use crate::serde::{SinkSchema, WriterSchema};

pub(crate) use query_schemas::QuerySchemas;

/// How long one request may take.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// Subjects whose latest version is remembered.
const MOST_SEEN: usize = 10_000;

/// What ksqlDB says where no registry is set up.
pub(crate) const NOT_CONFIGURED: &str =
    "KSQL is not configured to use a schema registry. To enable it, please set ksql.schema.registry.url";

/// Why a registry did not help.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum RegistryError {
    /// There is none.
    #[error("{NOT_CONFIGURED}")]
    NotConfigured,
    /// It is away, or refuses.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Its schema is of no use.
    #[error("{0}")]
    Unusable(String),
    /// The question was given up.
    #[error("the question to the Schema Registry failed: {0}")]
    Internal(String),
}

impl RegistryError {
    /// Whether it gave no answer at all.
    pub(crate) fn is_away(&self) -> bool {
        matches!(self, Self::Client(ClientError::Away { .. }) | Self::Internal(_))
    }

    /// Whether it has nothing of that name.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Client(error) if error.is_not_found())
    }

    /// Whether the same question may be answered later. A registry that does not let one in may do so one day.
    fn may_pass(&self) -> bool {
        match self {
            Self::Client(ClientError::Refused { status, .. }) => matches!(status, 401 | 403),
            Self::Client(ClientError::Away { .. } | ClientError::Foreign { .. }) | Self::Internal(_) => true,
            Self::Client(ClientError::Schema { .. }) | Self::NotConfigured | Self::Unusable(_) => false,
        }
    }
}

/// What tells the content of a subject from whatever is registered there later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Latest {
    /// Its latest version.
    pub(crate) version: u32,
    /// The id of the schema.
    pub(crate) id: u32,
}

impl From<&Version> for Latest {
    fn from(found: &Version) -> Self {
        Self {
            version: found.version,
            id: found.id,
        }
    }
}

/// The registry, where there is one.
pub(crate) struct Registry {
    client: Option<Arc<Client>>,
    /// Subjects as they were last seen.
    seen: Mutex<HashMap<String, Latest>>,
}

impl Registry {
    /// Asks nothing yet. How long a request may take, and how often it is tried again, is not the settings' to say.
    pub(crate) fn new(settings: Option<&Settings>) -> Result<Self, SettingsError> {
        let seen = Mutex::default();
        let Some(settings) = settings else {
            return Ok(Self { client: None, seen });
        };
        let settings = Settings {
            timeout: REQUEST_DEADLINE,
            retries: 0,
            ..settings.clone()
        };
        Ok(Self {
            client: Some(Arc::new(Client::new(settings)?)),
            seen,
        })
    }

    /// Whether there is one.
    pub(crate) fn is_configured(&self) -> bool {
        self.client.is_some()
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Client) -> Result<T, ClientError> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let client = self.client.clone().ok_or(RegistryError::NotConfigured)?;
        match tokio::task::spawn_blocking(move || question(&client)).await {
            Ok(answer) => Ok(answer?),
            Err(error) => Err(RegistryError::Internal(error.to_string())),
        }
    }

    /// The latest version of a subject.
    pub(crate) async fn latest(&self, subject: &str) -> Result<Version, RegistryError> {
        let asked = subject.to_owned();
        let found = self.ask(move |client| client.version(&asked, None)).await;
        match &found {
            Ok(version) => self.note_seen(subject, Some(version.into())),
            Err(error) if error.is_not_found() => self.note_seen(subject, None),
            Err(_) => {}
        }
        found
    }

    /// What a subject was when it was last looked at.
    pub(crate) fn last_seen(&self, subject: &str) -> Option<Latest> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(subject).copied()
    }

    fn note_seen(&self, subject: &str, latest: Option<Latest>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match latest {
            Some(latest) if seen.len() < MOST_SEEN || seen.contains_key(subject) => {
                seen.insert(subject.to_owned(), latest);
            }
            // One that is not remembered is not deleted later, no more.
            Some(_) => {}
            None => {
                seen.remove(subject);
            }
        }
    }

    /// The schema with that id as it is in the registry.
    pub(crate) async fn schema(
        &self,
        id: SchemaId,
        subject: Option<&str>,
    ) -> Result<Arc<Schema>, RegistryError> {
        let subject = subject.map(ToOwned::to_owned);
        self.ask(move |client| client.schema(id, subject.as_deref()))
            .await
    }

    /// The schema with that id, in the form that its format reads.
    pub(crate) async fn writer_schema(
        &self,
        id: SchemaId,
        subject: &str,
        kind: SchemaType,
    ) -> Result<WriterSchema, RegistryError> {
        let schema = self.schema(id, Some(subject)).await?;
        if schema.schema_type != kind {
            return Err(RegistryError::Unusable(format!(
                "the schema {id} is of the type {}, not {}",
                type_name(schema.schema_type),
                type_name(kind)
            )));
        }
        self.parsed(id, Some(subject), &schema).await
    }

    /// The schema with that id, whatever its language.
    pub(crate) async fn any_schema(&self, id: SchemaId) -> Result<WriterSchema, RegistryError> {
        let schema = self.schema(id, None).await?;
        self.parsed(id, None, &schema).await
    }

    async fn parsed(
        &self,
        id: SchemaId,
        subject: Option<&str>,
        schema: &Arc<Schema>,
    ) -> Result<WriterSchema, RegistryError> {
        match schema.schema_type {
            SchemaType::Avro => {
                let subject = subject.map(ToOwned::to_owned);
                let avro = self.ask(move |client| client.avro(id, subject.as_deref()));
                Ok(WriterSchema::Avro(avro.await?))
            }
            SchemaType::Json => match serde_json::from_str(&schema.schema) {
                Ok(json) => Ok(WriterSchema::Json(Arc::new(json))),
                Err(error) => Err(RegistryError::Unusable(format!(
                    "the schema {id} is no JSON: {error}"
                ))),
            },
            SchemaType::Protobuf => {
                let used = schema.clone();
                let used = self.ask(move |client| client.referenced(id, &used)).await?;
                Linked::of(&schema.schema, used)
                    .map(WriterSchema::Protobuf)
                    .map_err(|error| {
                        RegistryError::Unusable(format!("the schema {id} is of no use: {error}"))
                    })
            }
        }
    }

    /// Registers a schema for a statement, whatever is remembered: its subject may have been deleted since.
    pub(crate) async fn register_anew(&self, subject: &str, schema: Schema) -> Result<u32, RegistryError> {
        let asked = subject.to_owned();
        let registered = self
            .ask(move |client| {
                client.forget(&asked);
                client.register(&asked, &schema, false)
            })
            .await?;
        // Which version that is, is not in the answer. Only a later deletion would want to know.
        let _ = self.latest(subject).await;
        Ok(registered)
    }

    /// Forgets what is known of a subject.
    pub(crate) fn forget(&self, subject: &str) {
        if let Some(client) = &self.client {
            client.forget(subject);
        }
    }

    /// Deletes a subject, where there is one.
    pub(crate) async fn delete(&self, subject: &str) -> Result<(), RegistryError> {
        let asked = subject.to_owned();
        match self.ask(move |client| client.delete(&asked)).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => {
                self.note_seen(subject, None);
                Ok(())
            }
        }
    }

    /// Registers a schema.
    pub(crate) async fn register(&self, subject: &str, schema: Schema) -> Result<u32, RegistryError> {
        let subject = subject.to_owned();
        self.ask(move |client| client.register(&subject, &schema, false))
            .await
    }

    /// The subjects that have a schema.
    pub(crate) async fn subjects_of(&self, id: u32) -> Result<Vec<String>, RegistryError> {
        self.ask(move |client| client.subjects_of(id)).await
    }

    /// Has a schema ready for writing, registered where the statement names none by its id.
    pub(crate) async fn prepare(&self, sink: &SinkSchema) -> Result<(), RegistryError> {
        if sink.is_prepared() {
            return Ok(());
        }
        let id = match sink.id {
            Some(id) => id,
            None => {
                let declared = sink.declare().map_err(RegistryError::Unusable)?;
                self.register(&sink.subject, declared).await?
            }
        };
        let schema = self.writer_schema(SchemaId::Id(id), &sink.subject, sink.schema_type());
        let schema = schema.await?;
        sink.prepare(id, &schema).map_err(RegistryError::Unusable)
    }

    /// The schema of a record. As for Kafka Connect's converters, its subject has to have it.
    async fn read(&self, missing: &MissingSchema) -> Result<WriterSchema, RegistryError> {
        let kind = missing.format.schema_type().unwrap_or_default();
        let schema = self.schema(missing.id, Some(&missing.subject)).await?;
        let (subject, id) = (missing.subject.clone(), missing.id);
        let found = self
            .ask(move |client| client.lookup(&subject, &schema, false, true))
            .await;
        if let Err(RegistryError::Client(ClientError::Refused {
            status: 404, message, ..
        })) = &found
        {
            return Err(RegistryError::Unusable(format!(
                "the schema {id} is not one of the subject `{}`: {message}",
                missing.subject
            )));
        }
        found?;
        self.writer_schema(missing.id, &missing.subject, kind).await
    }
}

/// A language's name in a registry.
pub(crate) fn type_name(kind: SchemaType) -> &'static str {
    match kind {
        SchemaType::Avro => "AVRO",
        SchemaType::Json => "JSON",
        SchemaType::Protobuf => "PROTOBUF",
    }
}
