//! What statements have to do with the Schema Registry: columns that come from it, schemas that go to it, and
//! assertions about it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use osqdemo_registry_client::wire::SchemaId;
use osqdemo_registry_client::{ClientError, Schema as RegistrySchema};
use tokio::time::{Instant, sleep, timeout};

use super::bounds::Patience;
use super::entity::Entity;
use super::executor::Executor;
use super::failure::{ErrorCode, Failure, Refusal};
use super::injection::formats_of;
use super::session::Session;
use crate::command_log::{CommandLog, Leavings};
use crate::metastore::Source;
use crate::plan;
use crate::registry::{Latest, Registry, RegistryError, type_name};
use crate::serde::{Format, InferredType, Names, Nulls, Reading, SinkSchema, Wrapping};
use crate::syntax::ast::{
    AssertSchema, ColumnConstraint, ColumnDefinition, CreateSource, Literal, ParsedStatement, Position,
    SourceKind, Statement,
};
use crate::syntax::format_statement;
use crate::types::{Namespace, SqlType};

/// How long a schema is waited for where the statement does not say (`ksql.assert.schema.default.timeout.ms`).
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a start waits to be told of what earlier commands have left behind.
const HELD_UP: Duration = Duration::from_secs(2);
/// How often the registry is asked.
const POLL: Duration = Duration::from_millis(100);

/// A side of a source's records, and what a statement says of its schema.
struct Side<'a> {
    namespace: Namespace,
    topic: &'a str,
    format: Format,
    id: Option<u32>,
    /// Which of the schema's types it is, where the statement says so.
    full_name: Option<&'a str>,
    /// Whether the columns have to come from the registry.
    infers: bool,
    /// Whether its only value stands by itself.
    is_bare: bool,
}

/// What comes from a schema.
struct Inferred {
    columns: Vec<(String, SqlType)>,
    full_name: Option<String>,
}

/// The subjects of a topic that is to go.
pub(super) struct Subjects {
    topic: String,
    names: Vec<String>,
    /// What is known to be in them.
    latest: BTreeMap<String, Latest>,
    /// Why the registry could not be asked.
    away: Option<RegistryError>,
}

impl Subjects {
    /// What a crash, or the registry, may leave of them.
    pub(super) fn leavings(&self) -> Option<Leavings> {
        (!self.latest.is_empty()).then(|| Leavings {
            topic: self.topic.clone(),
            latest: self.latest.clone(),
        })
    }
}

impl Executor {
    /// The statement with the columns that it leaves to the registry.
    pub(super) async fn inferred<'a>(
        &self,
        parsed: &'a ParsedStatement,
        session: &Session,
    ) -> Result<Cow<'a, ParsedStatement>, Failure> {
        let Statement::CreateSource(declaration) = &parsed.statement else {
            return Ok(Cow::Borrowed(parsed));
        };
        let declaration = formats_of(declaration, &session.properties);
        let sides = Side::both(&declaration);
        if sides.iter().all(|side| !side.infers && side.id.is_none()) {
            return Ok(Cow::Borrowed(parsed));
        }
        let text = format_statement(&Statement::CreateSource(declaration.clone()));
        let failed = |refusal: Refusal| refusal.failure(&text);
        let mut completed = declaration.clone();
        for side in &sides {
            side.check(&declaration).map_err(failed)?;
            if side.infers || side.id.is_some() {
                let inferred = side.infer(self.runtime().registry()).await.map_err(failed)?;
                side.complete(&mut completed, inferred);
            }
        }
        let position = |column: &ColumnDefinition| match &column.constraint {
            ColumnConstraint::Key | ColumnConstraint::PrimaryKey => 0,
            ColumnConstraint::None => 1,
            ColumnConstraint::Headers | ColumnConstraint::Header(_) => 2,
        };
        completed.columns.sort_by_key(position);
        let statement = Statement::CreateSource(completed);
        Ok(Cow::Owned(ParsedStatement {
            text: parsed.text.clone(),
            position: parsed.position,
            statement,
        }))
    }

    /// Registers the schemas of a new source: always those of a query's results, of a declared source those that its
    /// topic does not have.
    pub(super) async fn register_schemas(&self, source: &Source, is_sink: bool) -> Result<(), Refusal> {
        for schema in plan::schemas_of(source) {
            register(self.runtime().registry(), source, &schema, is_sink).await?;
        }
        Ok(())
    }

    /// The subjects of a source's topic, which is to go, and what is in them.
    pub(super) async fn subjects_of(&self, topic: &str, source: &Source) -> Subjects {
        let registry = self.runtime().registry();
        let mut subjects = Subjects {
            topic: topic.to_owned(),
            names: Vec::new(),
            latest: BTreeMap::new(),
            away: None,
        };
        for schema in plan::schemas_of(source) {
            let name = &schema.subject;
            subjects.names.push(name.clone());
            if subjects.away.is_none() {
                subjects.away = registry.latest(name).await.err().filter(RegistryError::is_away);
            }
            // While the registry is away, what was there before is all that is known to be the topic's.
            if let Some(latest) = registry.last_seen(name) {
                subjects.latest.insert(name.clone(), latest);
            }
        }
        subjects
    }

    /// Deletes the subjects of a topic that has gone. One that the registry refuses to delete does not keep the others.
    pub(super) async fn clear_away(&self, subjects: Subjects) -> Result<(), RegistryError> {
        if let Some(away) = subjects.away {
            return Err(away);
        }
        let mut refused = None;
        for subject in &subjects.names {
            match self.runtime().registry().delete(subject).await {
                Ok(()) => {}
                Err(error) if error.is_away() => return Err(error),
                Err(error) => refused = Some(error),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Deletes what earlier commands have left behind: not where their topic is there, again or still, and no subject that
    /// has become another. A registry that does not answer holds the start up for a moment only.
    pub(super) async fn clear_rest_away(&self, left: &[(i64, Leavings)]) {
        let mut log = self.commands.lock().await;
        self.clear_all_away(left, &mut log).await;
        log.tidy().await;
    }

    async fn clear_all_away(&self, left: &[(i64, Leavings)], log: &mut CommandLog) {
        let topics = match self.runtime().cluster().topics().await {
            Ok(topics) => topics,
            Err(error) => return tracing::warn!("the subjects of dropped topics are left: {error}"),
        };
        for (sequence, leavings) in left {
            let topic = &leavings.topic;
            if topics.contains_key(topic) {
                // They are the new topic's by now, also at any later start.
                tracing::info!("topic `{topic}` is there: its subjects are not deleted");
                log.note_cleared(*sequence);
                continue;
            }
            match self.clear_left_away(leavings).await {
                Ok(()) => {
                    log.note_cleared(*sequence);
                    tracing::info!("nothing is left of the subjects of the dropped topic `{topic}`");
                }
                Err(error) => {
                    tracing::warn!("the subjects of topic `{topic}` are left: {error}");
                    if error.is_away() {
                        return;
                    }
                }
            }
        }
    }

    /// Deletes the subjects that a topic has left behind, where they are what they were then.
    async fn clear_left_away(&self, leavings: &Leavings) -> Result<(), RegistryError> {
        let registry = self.runtime().registry();
        let mut refused = None;
        for (subject, latest) in &leavings.latest {
            let found = timeout(HELD_UP, registry.latest(subject)).await;
            let found =
                found.map_err(|_| RegistryError::Internal(format!("no answer within {HELD_UP:?}")))?;
            let cleared = match found {
                // A deletion that was asked for is waited for: it must not come after what is registered next.
                Ok(found) if Latest::from(&found) == *latest => registry.delete(subject).await,
                Ok(found) => {
                    let version = found.version;
                    tracing::info!(
                        "the subject `{subject}` is not deleted: somebody has registered its version {version}"
                    );
                    Ok(())
                }
                Err(error) if error.is_not_found() => Ok(()),
                Err(error) => Err(error),
            };
            match cleared {
                Ok(()) => {}
                Err(error) if error.is_away() => return Err(error),
                Err(error) => refused = Some(error),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Forgets the subjects of rows that a statement inserts: like any other statement it registers anew, for they may
    /// have been deleted since.
    pub(super) fn forget_subjects(&self, insertion: &plan::Insertion) {
        for schema in insertion.schemas().into_iter().flatten() {
            self.runtime().registry().forget(&schema.subject);
        }
    }

    /// Forgets those subjects of a source that have been deleted: what a client inserts next registers them anew. While the
    /// registry is away, what is known goes on.
    pub(crate) async fn forget_deleted_subjects_of(&self, source: &str) {
        let Some(source) = self.catalog().metastore.get(source).cloned() else {
            return;
        };
        for schema in plan::schemas_of(&source) {
            let registry = self.runtime().registry();
            if registry
                .latest(&schema.subject)
                .await
                .is_err_and(|error| error.is_not_found())
            {
                registry.forget(&schema.subject);
            }
        }
    }

    /// Has the schemas of rows that are to be inserted ready for writing.
    pub(super) async fn prepare_insertion(
        &self,
        insertion: &plan::Insertion,
        target: &str,
    ) -> Result<(), Refusal> {
        let registry = self.runtime().registry();
        let [key, value] = insertion.schemas();
        if let Some(key) = key
            && key.id.is_none()
        {
            check_key(registry, key).await.map_err(|reason| {
                Refusal::from(format!("Failed to insert values into '{target}'. {reason}"))
            })?;
        }
        for schema in [key, value].into_iter().flatten() {
            registry.prepare(schema).await.map_err(|error| match error {
                RegistryError::NotConfigured => not_configured_for(target, &schema.format.to_string()),
                error => Refusal::from(format!(
                    "Failed to insert values into '{target}'. Could not serialize value: {error}"
                )),
            })?;
        }
        Ok(())
    }

    /// Waits for what is asserted, as long as the statement says and the request lasts.
    pub(super) async fn assert_schema(
        &self,
        assertion: &AssertSchema,
        patience: &Patience,
    ) -> Result<Entity, Failure> {
        let refused = |message: String| Failure::generic(ErrorCode::AssertionFailed, message);
        let timeout = assertion
            .timeout
            .and_then(|timeout| u64::try_from(timeout.milliseconds()).ok());
        let until = Instant::now() + timeout.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
        loop {
            let found = patience
                .wait_for(exists(self.runtime().registry(), assertion))
                .await?;
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    return Err(refused(format!("Cannot check schema existence: {error}")));
                }
            };
            if found == assertion.exists {
                return Ok(Entity::AssertSchema {
                    subject: assertion.subject.clone(),
                    id: assertion.id,
                    exists: assertion.exists,
                });
            }
            if Instant::now() >= until {
                return Err(refused(described(assertion)));
            }
            patience.wait_for(sleep(POLL)).await?;
        }
    }
}

async fn exists(registry: &Registry, assertion: &AssertSchema) -> Result<bool, RegistryError> {
    let found = match (assertion.id, &assertion.subject) {
        (Some(id), subject) => registry
            .subjects_of(id)
            .await
            .map(|subjects| subject.as_ref().is_none_or(|subject| subjects.contains(subject))),
        (None, Some(subject)) => registry.latest(subject).await.map(|_| true),
        (None, None) => Ok(false),
    };
    match found {
        Err(RegistryError::Client(error)) if error.is_not_found() => Ok(false),
        found => found,
    }
}

/// `Schema with subject name s id 3 does not exist`
fn described(assertion: &AssertSchema) -> String {
    let mut text = "Schema with".to_owned();
    if let Some(subject) = &assertion.subject {
        text += &format!(" subject name {subject}");
    }
    if let Some(id) = assertion.id {
        text += &format!(" id {id}");
    }
    text + if assertion.exists {
        " does not exist"
    } else {
        " exists"
    }
}

impl<'a> Side<'a> {
    /// The keys, then the values. A format that the statement does not say well is left to its planning.
    fn both(declaration: &'a CreateSource) -> Vec<Self> {
        let text = |name: &str| match declaration.properties.get(name) {
            Some(Literal::String(text)) => Some(text.as_str()),
            _ => None,
        };
        let Some(topic) = text("KAFKA_TOPIC") else {
            return Vec::new();
        };
        let side = |namespace, word: &str| {
            let format = text(&format!("{word}_FORMAT")).or(text("FORMAT"))?;
            let nulls = match text(&format!("{word}_PROTOBUF_NULLABLE_REPRESENTATION")) {
                Some("OPTIONAL") => Nulls::Optional,
                Some("WRAPPER") => Nulls::Wrapper,
                _ => Nulls::default(),
            };
            let format = plan::format_named(format)?.with_nulls(nulls);
            let id = declaration
                .properties
                .get(&format!("{word}_SCHEMA_ID"))
                .and_then(number);
            let has_columns = declaration.columns.iter().any(|column| is_of(column, namespace));
            let unwraps = matches!(
                declaration.properties.get("WRAP_SINGLE_VALUE"),
                Some(Literal::Boolean(false))
            );
            Some(Self {
                namespace,
                topic,
                format,
                id,
                infers: !has_columns && format.schema_type().is_some(),
                full_name: text(&format!("{word}_SCHEMA_FULL_NAME"))
                    .or_else(|| text(plan::OLD_FULL_NAME).filter(|_| namespace == Namespace::Value)),
                is_bare: match namespace {
                    Namespace::Key => format.key_wrapping() == Wrapping::Unwrapped,
                    Namespace::Value | Namespace::Headers => unwraps,
                },
            })
        };
        [(Namespace::Key, "KEY"), (Namespace::Value, "VALUE")]
            .into_iter()
            .filter_map(|(namespace, word)| side(namespace, word))
            .collect()
    }

    /// `KEY` or `VALUE`
    fn word(&self) -> &'static str {
        match self.namespace {
            Namespace::Key => "KEY",
            Namespace::Value | Namespace::Headers => "VALUE",
        }
    }

    fn subject(&self) -> String {
        format!("{}-{}", self.topic, self.word().to_lowercase())
    }

    fn check(&self, declaration: &CreateSource) -> Result<(), Refusal> {
        if self.id.is_none() {
            return Ok(());
        }
        let word = self.word();
        if self.format.schema_type().is_none() {
            return Err(Refusal::from(format!(
                "{word}_FORMAT should support schema inference when {word}_SCHEMA_ID is provided. Current format is {}.",
                self.format
            )));
        }
        if declaration
            .columns
            .iter()
            .any(|column| is_of(column, self.namespace))
        {
            return Err(Refusal::from(format!(
                "Table elements and {word}_SCHEMA_ID cannot both exist for create statement."
            )));
        }
        Ok(())
    }

    async fn infer(&self, registry: &Registry) -> Result<Inferred, Refusal> {
        let kind = self.format.schema_type().unwrap_or_default();
        let (id, text, found) = match self.id {
            Some(id) => {
                let schema = registry
                    .schema(SchemaId::Id(id), None)
                    .await
                    .map_err(|error| self.unfetched(error))?;
                (id, schema.schema.clone(), schema.schema_type)
            }
            None => {
                let latest = registry.latest(&self.subject()).await;
                let latest = latest.map_err(|error| self.unfetched(error))?;
                (latest.id, latest.schema.schema, latest.schema.schema_type)
            }
        };
        let (topic, side) = (self.topic, self.word().to_lowercase());
        if found != kind {
            let capitalised = if self.namespace == Namespace::Key {
                "Key"
            } else {
                "Value"
            };
            return Err(Refusal::from(format!(
                "{capitalised} schema is not in the expected format. You may want to set {}_FORMAT to '{}'.\n\
                 topic: {topic}\nexpected format: {}\nactual format from Schema Registry: {}",
                self.word(),
                type_name(found),
                type_name(kind),
                type_name(found)
            )));
        }
        let incompatible = |reason: String| {
            Refusal::from(format!(
                "Unable to verify if the {side} schema for topic: {topic} is compatible with ksqlDB.\n\
                 Reason: {reason}\n\n\
                 Please see https://github.com/confluentinc/ksql/issues/ to see if this particular reason is already known.\n\
                 If not, please log a new issue, including this full error message.\n\
                 Schema:{text}"
            ))
        };
        let subject = self.subject();
        let schema = match registry.writer_schema(SchemaId::Id(id), &subject, kind).await {
            Ok(schema) => schema,
            Err(error @ RegistryError::Client(ClientError::Away { .. })) => return Err(self.unfetched(error)),
            Err(error) => return Err(incompatible(error.to_string())),
        };
        let names = match self.id {
            Some(_) => Names::AsWritten,
            None => Names::UpperCase,
        };
        let reading = Reading {
            names,
            format: self.format,
            full_name: self.full_name,
        };
        let inferred = schema.infer(reading).map_err(incompatible)?;
        let columns = match (inferred, self.is_bare) {
            (InferredType::Columns(fields), false) => fields
                .into_iter()
                .map(|field| (field.name, field.sql_type))
                .collect(),
            (InferredType::Columns(fields), true) => vec![(self.anonymous(), SqlType::Struct(fields))],
            (InferredType::Anonymous(sql_type), true) => vec![(self.anonymous(), sql_type)],
            (InferredType::Anonymous(_), false) => {
                return Err(incompatible(
                    "Schema returned from schema registry is anonymous type. To use this schema with ksqlDB, set \
                     'WRAP_SINGLE_VALUE=false' in the WITH clause properties."
                        .to_owned(),
                ));
            }
        };
        Ok(Inferred {
            columns,
            full_name: self.id.and_then(|_| schema.full_name()),
        })
    }

    /// The name of a column that comes of a schema without one.
    fn anonymous(&self) -> String {
        match self.namespace {
            Namespace::Key => "ROWKEY",
            Namespace::Value | Namespace::Headers => "ROWVAL",
        }
        .to_owned()
    }

    fn complete(&self, declaration: &mut CreateSource, inferred: Inferred) {
        let constraint = match (self.namespace, declaration.kind) {
            (Namespace::Key, SourceKind::Stream) => ColumnConstraint::Key,
            (Namespace::Key, SourceKind::Table) => ColumnConstraint::PrimaryKey,
            _ => ColumnConstraint::None,
        };
        let columns = inferred
            .columns
            .into_iter()
            .map(|(name, sql_type)| ColumnDefinition {
                name,
                sql_type,
                constraint: constraint.clone(),
                position: Position::default(),
            });
        declaration.columns.extend(columns);
        let name = format!("{}_SCHEMA_FULL_NAME", self.word());
        if let Some(full_name) = inferred.full_name
            && declaration.properties.get(&name).is_none()
        {
            declaration.properties.0.push((name, Literal::String(full_name)));
        }
    }

    /// A schema could not be had.
    fn unfetched(&self, error: RegistryError) -> Refusal {
        let (topic, side) = (self.topic, self.word().to_lowercase());
        match error {
            RegistryError::NotConfigured => {
                // ksqlDB breaks the line.
                const CAUSE: &str = "Caused by: KSQL is not configured to use a schema registry. To enable it, please\n\tset ksql.schema.registry.url";
                Refusal::new(
                    ErrorCode::NoSchemaRegistry,
                    format!(
                        "Schema registry fetch for topic {side} request failed for topic: {topic}\n{CAUSE}\n{CAUSE}"
                    ),
                )
            }
            RegistryError::Client(ClientError::Refused {
                status: 401 | 403 | 404,
                ..
            }) => {
                let which = match self.id {
                    Some(id) => format!("Schema Id: {id}"),
                    None => format!("Subject: {}", self.subject()),
                };
                Refusal::from(format!(
                    "Schema for message {side}s on topic '{topic}' does not exist in the Schema Registry.\n{which}\n\
                     Possible causes include:\n\
                     - The topic itself does not exist\n\
                     \t-> Use SHOW TOPICS; to check\n\
                     - Messages on the topic are not serialized using a format Schema Registry supports\n\
                     \t-> Use PRINT '{topic}' FROM BEGINNING; to verify\n\
                     - Messages on the topic have not been serialized using a Confluent Schema Registry supported serializer\n\
                     \t-> See https://docs.confluent.io/current/schema-registry/docs/serializer-formatter.html\n\
                     - The schema is registered on a different instance of the Schema Registry\n\
                     \t-> Use the REST API to list available subjects\thttps://docs.confluent.io/current/schema-registry/docs/api.html#get--subjects\n\
                     - You do not have permissions to access the Schema Registry.\n\
                     \t-> See https://docs.confluent.io/current/schema-registry/docs/security.html"
                ))
            }
            error => Refusal::from(format!(
                "Schema registry fetch for topic {side} request failed for topic: {topic}\nCaused by: {error}"
            )),
        }
    }
}

async fn register(
    registry: &Registry,
    source: &Source,
    schema: &SinkSchema,
    is_sink: bool,
) -> Result<(), Refusal> {
    if !registry.is_configured() {
        return Err(not_configured_for(&source.topic, &schema.format.to_string()));
    }
    let failed = |error: RegistryError| {
        Refusal::from(match error {
            RegistryError::Client(ClientError::Refused { message, code, .. }) => format!(
                "Could not register schema for topic: Could not register schema for topic: {message}; error code: {code}"
            ),
            error => format!("Could not register schema for topic: {error}"),
        })
    };
    let subject = &schema.subject;
    if let Some(id) = schema.id {
        let wanted = registry.schema(SchemaId::Id(id), None).await.map_err(failed)?;
        let found = registry
            .register_anew(subject, RegistrySchema::clone(&wanted))
            .await
            .map_err(failed)?;
        if found != id {
            return Err(Refusal::from(format!(
                "Could not register schema for topic: Schema id registered is {found} which is different from provided \
                 schema id {id}."
            )));
        }
        return registry.prepare(schema).await.map_err(failed);
    }
    if !is_sink {
        match registry.latest(subject).await {
            // Whatever it is, it is nobody's business here.
            Ok(_) => return Ok(()),
            Err(RegistryError::Client(error)) if error.is_not_found() => {}
            Err(error) => {
                return Err(Refusal::from(format!(
                    "Could not get latest schema for subject {subject}\nCaused by: {error}"
                )));
            }
        }
    }
    let declared = schema
        .declare()
        .map_err(RegistryError::Unusable)
        .map_err(failed)?;
    registry
        .register_anew(subject, declared)
        .await
        .map(|_| ())
        .map_err(failed)
}

/// Whether keys are written with the schema that the topic has.
async fn check_key(registry: &Registry, key: &SinkSchema) -> Result<(), String> {
    let latest = match registry.latest(&key.subject).await {
        Ok(latest) => latest,
        Err(RegistryError::Client(error)) if error.is_not_found() => return Ok(()),
        // Whoever writes next finds the same and tells it.
        Err(_) => return Ok(()),
    };
    let declared = key.declare()?;
    if key.is_declared_as(&latest.schema) {
        return Ok(());
    }
    Err(format!(
        "ksqlDB generated schema would overwrite existing key schema.\n\tExisting Schema: {}\n\tksqlDB Generated: {}",
        latest.schema.schema, declared.schema
    ))
}

fn not_configured_for(topic: &str, format: &str) -> Refusal {
    Refusal::new(
        ErrorCode::NoSchemaRegistry,
        format!(
            "Cannot create topic '{topic}' with format {format} without configuring 'ksql.schema.registry.url'"
        ),
    )
}

fn is_of(column: &ColumnDefinition, namespace: Namespace) -> bool {
    let own = match &column.constraint {
        ColumnConstraint::Key | ColumnConstraint::PrimaryKey => Namespace::Key,
        ColumnConstraint::None => Namespace::Value,
        ColumnConstraint::Headers | ColumnConstraint::Header(_) => Namespace::Headers,
    };
    own == namespace
}

fn number(literal: &Literal) -> Option<u32> {
    match literal {
        Literal::Integer(number) => u32::try_from(*number).ok(),
        Literal::Bigint(number) => u32::try_from(*number).ok(),
        Literal::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
