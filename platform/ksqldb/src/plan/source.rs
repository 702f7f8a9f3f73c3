//! `CREATE STREAM|TABLE` with columns.

use super::properties::{OF_SOURCES, With};
use super::sink::column_text;
use super::{PlanError, Stage};
use crate::metastore::Source;
use crate::serde::{Format, check_columns};
use crate::syntax::ast::{ColumnConstraint, ColumnDefinition, CreateSource, SourceKind};
use crate::types::{Column, Namespace, Schema, SqlType, StructField};

/// How many columns a stream or table may have: each member of a record is looked for among them.
const MOST_COLUMNS: usize = 4_000;

/// The names that no column may have.
pub(super) const PSEUDO_COLUMNS: &[&str] =
    &["ROWTIME", "ROWPARTITION", "ROWOFFSET", "WINDOWSTART", "WINDOWEND"];

/// What `CREATE STREAM|TABLE` declares. `statement` is kept in the source.
pub fn plan_source(declaration: &CreateSource, statement: &str) -> Result<Source, PlanError> {
    let with = With::new(&declaration.properties, OF_SOURCES)?;
    let Some(topic) = with.text("KAFKA_TOPIC")? else {
        return Err(PlanError::in_stage(
            Stage::Reading,
            "Missing required property \"KAFKA_TOPIC\" which has no default value.",
        ));
    };
    let Some(value_format) = with.value_format(None)? else {
        return Err(PlanError::new(
            "Statement is missing the 'VALUE_FORMAT' property from the WITH clause. Either provide one or set a default via the 'ksql.persistence.default.format.value' config.",
        ));
    };
    let key_format = with.key_format(Format::Kafka)?.unwrap_or(Format::Kafka);
    let window = with.window()?;
    if declaration.columns.is_empty() {
        return Err(PlanError::new("No columns supplied."));
    }
    let (schema, headers) = schema_of(declaration)?;
    check_schema(&schema, key_format, value_format)?;
    if window.is_some() && schema.key().next().is_none() {
        return Err(PlanError::new("Windowed sources require a key column."));
    }
    let retention_ms = with.retention_ms()?;
    if declaration.kind == SourceKind::Table && window.is_none() && retention_ms.is_some() {
        return Err(PlanError::in_stage(
            Stage::Request,
            "Invalid config variable in the WITH clause: RETENTION_MS. Non-windowed tables do not support retention.",
        ));
    }
    let source = Source {
        name: declaration.name.clone(),
        kind: declaration.kind,
        topic: topic.to_owned(),
        key_format,
        value_format,
        key_schema: with.schema_options("KEY")?,
        value_schema: with.schema_options("VALUE")?,
        wrap_single_value: with.wrapping(&schema, value_format)?.unwrap_or(true),
        timestamp: with.timestamp(&schema)?,
        partitions: with.partitions()?,
        replicas: with.replicas()?,
        retention_ms,
        headers,
        window,
        read_only: declaration.read_only,
        derived_from: Vec::new(),
        statement: statement.to_owned(),
        schema,
    };
    super::timestamps::check(&source)?;
    Ok(source)
}

/// The source with more columns at the end of its value. `statement` is kept in it.
pub fn alter_source(
    source: &Source,
    added: &[ColumnDefinition],
    statement: &str,
) -> Result<Source, PlanError> {
    let mut altered = source.clone();
    check_count(source.schema.columns.len() + added.len())?;
    let columns = &mut altered.schema.columns;
    for definition in added {
        if columns.iter().any(|column| column.name == definition.name) {
            return Err(PlanError::new(format!(
                "Cannot add column `{}` to schema. A column with the same name already exists.",
                definition.name
            )));
        }
        let headers = columns
            .iter()
            .position(|column| column.namespace == Namespace::Headers);
        let column = Column {
            name: definition.name.clone(),
            sql_type: definition.sql_type.clone(),
            namespace: Namespace::Value,
        };
        columns.insert(headers.unwrap_or(columns.len()), column);
    }
    check_schema(&altered.schema, altered.key_format, altered.value_format)?;
    altered.statement = statement.to_owned();
    Ok(altered)
}

/// Whether the formats can hold the columns.
pub(super) fn check_schema(
    schema: &Schema,
    key_format: Format,
    value_format: Format,
) -> Result<(), PlanError> {
    let key: Vec<_> = schema.key().collect();
    let value: Vec<_> = schema.value().collect();
    if let Some(column) = key.iter().find(|column| contains_map(&column.sql_type)) {
        return Err(PlanError::new(format!(
            "Map keys, including types that contain maps, are not supported as they may lead to unexpected behavior due to inconsistent serialization. Key column name: `{}`. Column type: {}. See https://github.com/confluentinc/ksql/issues/6621 for more.",
            column.name, column.sql_type
        )));
    }
    check_columns(key_format, &key).map_err(|error| {
        PlanError::new(format!(
            "Key format does not support schema.\nformat: {key_format}\nschema: {}\nreason: {error}",
            persistence(&key)
        ))
    })?;
    check_columns(value_format, &value).map_err(|error| {
        PlanError::new(format!(
            "Value format does not support schema.\nformat: {value_format}\nschema: {}\nreason: {error}",
            persistence(&value)
        ))
    })?;
    Ok(())
}

/// The columns that a format writes, as ksqlDB's errors have them.
fn persistence(columns: &[&Column]) -> String {
    let columns: Vec<_> = columns.iter().map(|column| column_text(column)).collect();
    format!("Persistence{{columns=[{}], features=[]}}", columns.join(", "))
}

fn contains_map(sql_type: &SqlType) -> bool {
    match sql_type {
        SqlType::Map(..) => true,
        SqlType::Array(element) => contains_map(element),
        SqlType::Struct(fields) => fields.iter().any(|field| contains_map(&field.sql_type)),
        _ => false,
    }
}

/// Whether a source may have so many columns.
pub(super) fn check_count(columns: usize) -> Result<(), PlanError> {
    if columns > MOST_COLUMNS {
        return Err(PlanError::new(format!(
            "A stream or table has at most {MOST_COLUMNS} columns, not {columns}."
        )));
    }
    Ok(())
}

fn schema_of(declaration: &CreateSource) -> Result<(Schema, Vec<Option<String>>), PlanError> {
    check_count(declaration.columns.len())?;
    let mut columns = Vec::new();
    let mut headers = Vec::new();
    for definition in &declaration.columns {
        if PSEUDO_COLUMNS.contains(&definition.name.as_str()) {
            return Err(PlanError::new(format!(
                "'{}' is a reserved column name. You cannot use it as a name for a column.",
                definition.name
            )));
        }
        if columns
            .iter()
            .any(|column: &Column| column.name == definition.name)
        {
            return Err(PlanError::in_stage(
                Stage::Reading,
                format!("Duplicate column names: `{}`", definition.name),
            ));
        }
        let namespace = namespace_of(declaration.kind, definition)?;
        if namespace == Namespace::Headers {
            let header = header_of(definition)?;
            if let Some(name) = &header
                && headers.contains(&header)
            {
                return Err(PlanError::new(format!(
                    "Schema already contains a HEADER('{name}') column."
                )));
            }
            headers.push(header);
        }
        columns.push(Column {
            name: definition.name.clone(),
            sql_type: definition.sql_type.clone(),
            namespace,
        });
    }
    if headers.iter().any(Option::is_none) && headers.len() > 1 {
        return Err(PlanError::new(format!(
            "Schema already contains a HEADERS column. {}",
            declaration.name
        )));
    }
    let has_key = columns.iter().any(|column| column.namespace == Namespace::Key);
    if declaration.kind == SourceKind::Table && !has_key {
        return Err(PlanError::new(
            "Tables require a PRIMARY KEY. Please define the PRIMARY KEY.",
        ));
    }
    // Stable: the order of declaration stays within each part.
    columns.sort_by_key(|column| match column.namespace {
        Namespace::Key => 0,
        Namespace::Value => 1,
        Namespace::Headers => 2,
    });
    Ok((Schema { columns }, headers))
}

fn namespace_of(kind: SourceKind, definition: &ColumnDefinition) -> Result<Namespace, PlanError> {
    let at = |message: String| Err(PlanError::at(definition.position, message));
    match (&definition.constraint, kind) {
        (ColumnConstraint::None, _) => Ok(Namespace::Value),
        (ColumnConstraint::Key, SourceKind::Stream) | (ColumnConstraint::PrimaryKey, SourceKind::Table) => {
            Ok(Namespace::Key)
        }
        (ColumnConstraint::PrimaryKey, SourceKind::Stream) => at(format!(
            "Column `{}` is a 'PRIMARY KEY' column: please use 'KEY' for streams.\n\
             Tables have PRIMARY KEYs, which are unique and NON NULL.\n\
             Streams have KEYs, which have no uniqueness or NON NULL constraints.",
            definition.name
        )),
        (ColumnConstraint::Key, SourceKind::Table) => at(format!(
            "Column `{}` is a 'KEY' column: please use 'PRIMARY KEY' for tables.\n\
             Tables have PRIMARY KEYs, which are unique and NON NULL.\n\
             Streams have KEYs, which have no uniqueness or NON NULL constraints.",
            definition.name
        )),
        (ColumnConstraint::Headers | ColumnConstraint::Header(_), _) => Ok(Namespace::Headers),
    }
}

/// What a column of headers takes: one header, or all of them.
fn header_of(definition: &ColumnDefinition) -> Result<Option<String>, PlanError> {
    let (header, expected) = match &definition.constraint {
        ColumnConstraint::Header(name) => (Some(name.clone()), SqlType::Bytes),
        _ => (None, all_headers_type()),
    };
    if definition.sql_type != expected {
        let constraint = match &header {
            Some(name) => format!("HEADER('{name}')"),
            None => "HEADERS".to_owned(),
        };
        return Err(PlanError::at(
            definition.position,
            format!(
                "Invalid type for {constraint} column: expected {expected}, got {}",
                definition.sql_type
            ),
        ));
    }
    Ok(header)
}

fn all_headers_type() -> SqlType {
    let field = |name: &str, sql_type| StructField {
        name: name.to_owned(),
        sql_type,
    };
    SqlType::Array(Box::new(SqlType::Struct(vec![
        field("KEY", SqlType::String),
        field("VALUE", SqlType::Bytes),
    ])))
}
