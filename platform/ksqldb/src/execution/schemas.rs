//! What statements have to do with the Schema Registry: columns that come from it, schemas that go to it, and
//! assertions about it.

use std::borrow::Cow;
use std::time::Duration;

use osqdemo_registry_client::wire::SchemaId;
use osqdemo_registry_client::{ClientError, Schema as RegistrySchema};
use tokio::time::{Instant, sleep};

use super::bounds::Patience;
use super::entity::Entity;
use super::executor::Executor;
use super::failure::{ErrorCode, Failure, Refusal};
use super::inference::Side;
use super::injection::formats_of;
use super::session::Session;
use crate::metastore::Source;
use crate::plan;
use crate::registry::{Registry, RegistryError};
use crate::serde::SinkSchema;
use crate::syntax::ast::{AssertSchema, ColumnConstraint, ColumnDefinition, ParsedStatement, Statement};
use crate::syntax::format_statement;

/// How long a schema is waited for where the statement does not say (`ksql.assert.schema.default.timeout.ms`).
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);

/// How often the registry is asked.
const POLL: Duration = Duration::from_millis(100);

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
