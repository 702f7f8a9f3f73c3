//! What a persistent query writes to.

use std::sync::Arc;

use super::projection::{Item, Named};
use super::properties::{OF_INSERTS, OF_SINKS, With};
use super::required_key::{RequiredKey, key_items};
use super::source::{PSEUDO_COLUMNS, check_schema};
use super::{PlanError, Stage};
use crate::expression::{Cast, Expr, as_decimal, cast_between};
use crate::metastore::{Metastore, Source, SourceWindow};
use crate::serde::Format;
use crate::syntax::ast::{Properties, SourceKind};
use crate::types::{Column, Namespace, Schema, SqlType};
use crate::value::Value;

/// The sink and how the projection's items become its columns.
pub(super) struct Sink {
    pub(super) source: Arc<Source>,
    /// The output's schema: key columns first.
    pub(super) schema: Schema,
    /// For each column of the schema the item's place.
    pub(super) order: Vec<usize>,
    pub(super) query_id: Option<String>,
}

/// What a query fills.
pub(super) struct NewSink<'a> {
    pub(super) name: &'a str,
    pub(super) kind: SourceKind,
    pub(super) properties: &'a Properties,
    pub(super) statement: &'a str,
    pub(super) wrap_single_values: bool,
    /// The windows of its keys, and how long a table's windows are kept.
    pub(super) window: Option<SourceWindow>,
    pub(super) window_retention_ms: Option<i64>,
}

/// `CREATE STREAM|TABLE name [WITH (…)] AS SELECT …`
pub(super) fn new_sink(
    new: NewSink<'_>,
    inputs: &[Arc<Source>],
    items: &[Item],
    key: &RequiredKey,
) -> Result<Sink, PlanError> {
    let NewSink {
        name,
        kind,
        properties,
        statement,
        wrap_single_values,
        window,
        window_retention_ms,
    } = new;
    let with = With::new(properties, OF_SINKS)?;
    let (schema, order) = output_schema(name, items, key)?;
    let left_most = &inputs[0];
    let has_key = schema.key().next().is_some();
    let key_format = match with.key_format(left_most.key_format)? {
        Some(format) if key.is_dropped && format != Format::None => {
            return Err(PlanError::new(
                "Key format specified for stream without key columns.",
            ));
        }
        Some(format) => format,
        None if key.is_dropped => Format::None,
        // A source without keys says nothing about how to write them.
        None if left_most.key_format == Format::None && has_key => Format::Kafka,
        None => with.with_nulls(left_most.key_format, "KEY")?,
    };
    let value_format = match with.value_format(Some(left_most.value_format))? {
        Some(format) => format,
        None => with.with_nulls(left_most.value_format, "VALUE")?,
    };
    check_schema(&schema, key_format, value_format).map_err(|error| {
        // A key that its format cannot have is found when the query's topics are looked at.
        let of_key = !error.message.starts_with("Value");
        PlanError {
            stage: if of_key { Stage::Request } else { error.stage },
            ..error
        }
    })?;
    let mut value_schema = with.schema_options("VALUE")?;
    // The message of a Protobuf file has a name of its own, which goes with the format.
    if value_schema.full_name.is_none()
        && matches!(value_format, Format::Protobuf { .. })
        && matches!(left_most.value_format, Format::Protobuf { .. })
    {
        value_schema
            .full_name
            .clone_from(&left_most.value_schema.full_name);
    }
    let source = Source {
        name: name.to_owned(),
        kind,
        topic: with.text("KAFKA_TOPIC")?.unwrap_or(name).to_owned(),
        key_format,
        value_format,
        key_schema: with.schema_options("KEY")?,
        value_schema,
        wrap_single_value: with
            .wrapping(&schema, value_format)?
            .unwrap_or(wrap_single_values || !value_format.unwraps()),
        timestamp: with.timestamp(&schema)?,
        partitions: with.partitions()?,
        replicas: with.replicas()?,
        retention_ms: with.retention_ms()?.max(window_retention_ms),
        headers: Vec::new(),
        window,
        read_only: false,
        derived_from: inputs.iter().map(|input| input.name.clone()).collect(),
        statement: statement.to_owned(),
        schema: schema.clone(),
    };
    super::timestamps::check(&source)?;
    Ok(Sink {
        source: Arc::new(source),
        schema,
        order,
        query_id: None,
    })
}

/// `INSERT INTO target SELECT …`
pub(super) fn existing_sink(
    metastore: &Metastore,
    target: &str,
    properties: &Properties,
    items: &mut [Item],
    key: &RequiredKey,
) -> Result<Sink, PlanError> {
    let with = With::new(properties, OF_INSERTS)?;
    let Some(source) = metastore.get(target) else {
        return Err(PlanError::new(format!(
            "Sink '{target}' does not exist for the INSERT INTO statement."
        )));
    };
    if !source.headers.is_empty() {
        return Err(PlanError::new(format!(
            "Cannot insert into {target} because it has header columns"
        )));
    }
    let (schema, order) = output_schema(target, items, key)?;
    let casts = widenings(&schema, &source.schema).ok_or_else(|| {
        PlanError::new(format!(
            "Incompatible schema between results and sink.\nResult schema is {}\nSink schema is {}",
            schema_text(&schema),
            schema_text(&source.schema)
        ))
    })?;
    if source.read_only {
        return Err(PlanError::new(format!(
            "Cannot insert into read-only stream: {target}"
        )));
    }
    for (place, cast) in order.iter().zip(casts) {
        if let Some(cast) = cast {
            let expr = std::mem::replace(&mut items[*place].expr, Expr::Constant(Value::Null));
            items[*place].expr = Expr::Cast(Box::new(cast), Box::new(expr));
        }
    }
    Ok(Sink {
        source: Arc::clone(source),
        schema: source.schema.clone(),
        order,
        query_id: with.text("QUERY_ID")?.map(ToOwned::to_owned),
    })
}

/// How a result's columns become those of a sink: `None` of one that is of its type already, and of all where one
/// does not fit. Numbers widen.
fn widenings(result: &Schema, sink: &Schema) -> Option<Vec<Option<Cast>>> {
    if result.columns.len() != sink.columns.len() {
        return None;
    }
    let pairs = result.columns.iter().zip(&sink.columns);
    pairs
        .map(|(from, to)| {
            if from.name != to.name || from.namespace != to.namespace {
                return None;
            }
            let widens = match (&from.sql_type, &to.sql_type) {
                (from, to) if from == to => return Some(None),
                (SqlType::Integer, SqlType::Bigint | SqlType::Double)
                | (SqlType::Bigint | SqlType::Decimal { .. }, SqlType::Double) => true,
                (from, SqlType::Decimal { precision, scale }) => {
                    let (digits, places) = as_decimal(from)?;
                    places <= *scale && digits - places <= precision - scale
                }
                _ => false,
            };
            widens.then(|| cast_between(&from.sql_type, &to.sql_type))
        })
        .collect()
}

fn output_schema(sink: &str, items: &[Item], key: &RequiredKey) -> Result<(Schema, Vec<usize>), PlanError> {
    let reserved = items
        .iter()
        .filter(|item| PSEUDO_COLUMNS.contains(&item.name.as_str()));
    for Item { name, named, .. } in reserved {
        let refusal = match named {
            Named::Alias => {
                format!("`{name}` is a reserved column name. You cannot use it as an alias for a column.")
            }
            Named::Expression => {
                format!("Reserved column name in select: `{name}`. Please remove or alias the column.")
            }
            // `SELECT * … PARTITION BY ROWTIME`
            Named::Star => continue,
        };
        return Err(PlanError::new(refusal));
    }
    let values = items.iter().filter(|item| !key.is_of(item));
    check_names(&Schema {
        columns: values.map(Item::value_column).collect(),
    })?;
    let key_places = key_items(sink, items, key)?;
    let value_places = (0..items.len()).filter(|place| !key_places.contains(place));
    let value_places: Vec<usize> = value_places.collect();
    if value_places.is_empty() {
        return Err(PlanError::new("The projection contains no value columns."));
    }
    let column = |place: &usize, namespace| Column {
        name: items[*place].name.clone(),
        sql_type: items[*place].sql_type.clone(),
        namespace,
    };
    let keys = key_places.iter().map(|place| column(place, Namespace::Key));
    let values = value_places.iter().map(|place| column(place, Namespace::Value));
    let schema = Schema {
        columns: keys.chain(values).collect(),
    };
    check_names(&schema)?;
    let order = key_places.iter().chain(&value_places).copied().collect();
    Ok((schema, order))
}

/// Whether every name is there once.
pub(super) fn check_names(schema: &Schema) -> Result<(), PlanError> {
    for (place, column) in schema.columns.iter().enumerate() {
        let earlier = &schema.columns[..place];
        if earlier.iter().any(|other| other.name == column.name) {
            return Err(PlanError::new(format!(
                "Duplicate value columns found in schema: `{}` {}",
                column.name, column.sql_type
            )));
        }
    }
    Ok(())
}

/// A schema as ksqlDB prints it: `` `K` STRING KEY, `A` BIGINT ``.
pub(crate) fn schema_text(schema: &Schema) -> String {
    let texts: Vec<String> = schema.columns.iter().map(column_text).collect();
    texts.join(", ")
}

/// A column as ksqlDB prints it: `` `K` STRING KEY ``.
pub(super) fn column_text(column: &Column) -> String {
    let suffix = match column.namespace {
        Namespace::Key => " KEY",
        Namespace::Value => "",
        Namespace::Headers => " HEADERS",
    };
    format!("`{}` {}{suffix}", column.name, column.sql_type)
}
