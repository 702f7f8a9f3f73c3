//! The columns of a declaration that come from the Schema Registry: its key's, and its value's.

use osqdemo_registry_client::ClientError;
use osqdemo_registry_client::wire::SchemaId;

use super::failure::{ErrorCode, Refusal};
use crate::plan;
use crate::registry::{Registry, RegistryError, type_name};
use crate::serde::{Format, InferredType, Names, Nulls, Reading, Wrapping};
use crate::syntax::ast::{ColumnConstraint, ColumnDefinition, CreateSource, Literal, Position, SourceKind};
use crate::types::{Namespace, SqlType};

/// A side of a source's records, and what a statement says of its schema.
pub(super) struct Side<'a> {
    namespace: Namespace,
    pub(super) topic: &'a str,
    pub(super) format: Format,
    pub(super) id: Option<u32>,
    /// Which of the schema's types it is, where the statement says so.
    full_name: Option<&'a str>,
    /// Whether the columns have to come from the registry.
    pub(super) infers: bool,
    /// Whether its only value stands by itself.
    is_bare: bool,
}

/// What comes from a schema.
pub(super) struct Inferred {
    pub(super) columns: Vec<(String, SqlType)>,
    full_name: Option<String>,
}

impl<'a> Side<'a> {
    /// The keys, then the values. A format that the statement does not say well is left to its planning.
    pub(super) fn both(declaration: &'a CreateSource) -> Vec<Self> {
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

    pub(super) fn subject(&self) -> String {
        format!("{}-{}", self.topic, self.word().to_lowercase())
    }

    pub(super) fn check(&self, declaration: &CreateSource) -> Result<(), Refusal> {
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

    pub(super) async fn infer(&self, registry: &Registry) -> Result<Inferred, Refusal> {
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

    pub(super) fn complete(&self, declaration: &mut CreateSource, inferred: Inferred) {
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
