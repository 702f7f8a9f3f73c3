//! `INSERT INTO … VALUES`, and the rows of a stream of inserts.

mod json;

use std::sync::Arc;

use super::registered::encoders;
use super::{PlanError, Stage};
use crate::expression::{Scope, base_name, cast_between, compile, decimal_of, text, text_of};
use crate::metastore::Source;
use crate::serde::base64;
use crate::serde::number::fit_exactly;
use crate::serde::{Encoder, SerdeError, SinkSchema};
use crate::syntax::ast::{InsertValues, SourceKind};
use crate::task::OutputRecord;
use crate::types::{Column, Namespace, SqlType};
use crate::value::Value;

pub(crate) use json::insert_json;

/// The record that `INSERT INTO … VALUES` writes to `target`'s topic. `now` (milliseconds) is its time
/// where the statement sets no `ROWTIME`.
pub fn insert_values(target: &Source, statement: &InsertValues, now: i64) -> Result<OutputRecord, PlanError> {
    insertion(target, statement, now)?.record()
}

/// The same, before it becomes a record.
pub(crate) fn insertion(target: &Source, statement: &InsertValues, now: i64) -> Result<Insertion, PlanError> {
    insert(target, statement, now).map_err(|error| about_target(&target.name, error))
}

fn about_target(target: &str, error: PlanError) -> PlanError {
    match error.stage {
        Stage::Request => error,
        _ => PlanError {
            message: format!("Failed to insert values into '{target}'. {}", error.message),
            ..error
        },
    }
}

/// Whether anything can be inserted.
pub(crate) fn check_target(target: &Source) -> Result<(), PlanError> {
    if target.window.is_some() {
        return Err(PlanError::in_stage(
            Stage::Request,
            "Cannot insert values into windowed stream/table!",
        ));
    }
    if target.read_only {
        let kind = match target.kind {
            SourceKind::Stream => "stream",
            SourceKind::Table => "table",
        };
        return Err(PlanError::in_stage(
            Stage::Request,
            format!("Cannot insert values into read-only {kind}: {}", target.name),
        ));
    }
    if !target.headers.is_empty() {
        return Err(PlanError::new(format!(
            "Cannot insert into {} because it has header columns",
            target.name
        )));
    }
    Ok(())
}

fn insert(target: &Source, statement: &InsertValues, now: i64) -> Result<Insertion, PlanError> {
    check_target(target)?;
    let columns = &target.schema.columns;
    let named: Vec<&str> = if statement.columns.is_empty() {
        columns.iter().map(|column| column.name.as_str()).collect()
    } else {
        statement.columns.iter().map(String::as_str).collect()
    };
    if named.len() != statement.values.len() {
        return Err(PlanError::new(if statement.columns.is_empty() {
            format!(
                "Expected a value for each column. Expected Columns: [{}]. Got {} values.",
                named.join(", "),
                statement.values.len()
            )
        } else {
            format!(
                "Mismatch between columns and values. Columns: [{}]. Got {} values.",
                named.join(", "),
                statement.values.len()
            )
        }));
    }
    let mut row = vec![Value::Null; columns.len()];
    let mut timestamp = now;
    let mut filled: Vec<&str> = Vec::new();
    for (name, expression) in named.into_iter().zip(&statement.values) {
        if filled.contains(&name) {
            return Err(PlanError::new(format!("Column name {name} is named twice.")));
        }
        filled.push(name);
        if name == "ROWTIME" {
            let rowtime = Column {
                name: name.to_owned(),
                sql_type: SqlType::Bigint,
                namespace: Namespace::Value,
            };
            if let Value::Bigint(ms) = value_of(expression, &rowtime)? {
                timestamp = ms;
            }
            continue;
        }
        if matches!(name, "ROWPARTITION" | "ROWOFFSET") {
            return Err(PlanError::new(format!(
                "Inserting into column `{name}` is not allowed."
            )));
        }
        let Some(place) = target.schema.position(name) else {
            return Err(PlanError::new(format!("Column name {name} does not exist.")));
        };
        row[place] = value_of(expression, &columns[place])?;
    }
    record(target, row, timestamp)
}

/// The record of a row. Its time is no column's, also where the source has a `TIMESTAMP`: that is for those who read it.
fn record(target: &Source, row: Vec<Value>, timestamp: i64) -> Result<Insertion, PlanError> {
    let columns = &target.schema.columns;
    if target.kind == SourceKind::Table {
        let keys = columns
            .iter()
            .zip(&row)
            .filter(|(column, _)| column.namespace == Namespace::Key);
        let missing: Vec<_> = keys
            .filter(|(_, value)| value.is_null())
            .map(|(column, _)| column.name.as_str())
            .collect();
        if !missing.is_empty() {
            return Err(PlanError::new(format!(
                "Value for primary key column(s) {} is required for tables",
                missing.join(", ")
            )));
        }
    }
    if timestamp < 0 {
        return Err(PlanError::new(format!("ROWTIME is negative: {timestamp}")));
    }
    let (key, value) = encoders(target, &target.schema);
    Ok(Insertion {
        target: target.name.clone(),
        key,
        value,
        key_columns: target.schema.key().count(),
        row,
        timestamp,
    })
}

/// A row that is to be inserted. Where its formats have schemas in a registry, these have to be prepared before it can
/// be written.
#[derive(Debug)]
pub(crate) struct Insertion {
    target: String,
    key: Encoder,
    value: Encoder,
    row: Vec<Value>,
    key_columns: usize,
    timestamp: i64,
}

impl Insertion {
    /// The schemas of the key and of the value, where they have any.
    pub(crate) fn schemas(&self) -> [Option<&Arc<SinkSchema>>; 2] {
        [self.key.schema(), self.value.schema()]
    }

    /// Whether it can be written.
    pub(crate) fn is_prepared(&self) -> bool {
        self.schemas()
            .into_iter()
            .flatten()
            .all(|schema| schema.is_prepared())
    }

    /// The record.
    pub(crate) fn record(&self) -> Result<OutputRecord, PlanError> {
        let (key, value) = self.row.split_at(self.key_columns);
        let failed = |error: SerdeError| about_target(&self.target, PlanError::new(error.reason));
        Ok(OutputRecord {
            key: self.key.encode(key).map_err(failed)?,
            value: self.value.encode(value).map_err(failed)?,
            timestamp: self.timestamp,
        })
    }
}

/// The value of an expression without columns, as the column's type.
fn value_of(expression: &crate::syntax::ast::Expression, column: &Column) -> Result<Value, PlanError> {
    let typed = compile(expression, &Scope::default(), "VALUES")?;
    let failed = |reason: String| {
        PlanError::new(format!(
            "Could not evaluate {} for column `{}`: {reason}",
            text(expression),
            column.name
        ))
    };
    let mut failure = None;
    let value = typed.expr.value(&[], &mut |error| failure = Some(error.reason));
    if let Some(reason) = failure {
        return Err(failed(reason));
    }
    let Some(from) = &typed.sql_type else {
        return Ok(Value::Null);
    };
    coerced(&value, from, &column.sql_type).ok_or_else(|| {
        let form = match (from, &column.sql_type) {
            (SqlType::String, SqlType::Timestamp) => ". Timestamp format must be yyyy-mm-ddThh:mm:ss[.S]",
            (SqlType::String, SqlType::Date) => ". Date format must be yyyy-mm-dd",
            (SqlType::String, SqlType::Time) => ". Time format must be hh:mm:ss[.S]",
            _ => "",
        };
        PlanError::new(format!(
            "Expected type {} for field `{}` but got {}({}){form}",
            column.sql_type,
            column.name,
            base_name(Some(from)),
            text_of(&value, from)
        ))
    })
}

/// A value as one of a column's type, where nothing of it is lost: numbers widen, texts become dates, times and (as
/// base64) bytes, and the parts of arrays, maps and structs likewise. Of a struct, fields that the column does not have are
/// dropped, and those that are missing are `NULL`.
pub(super) fn coerced(value: &Value, from: &SqlType, to: &SqlType) -> Option<Value> {
    match (value, from, to) {
        (Value::Null, ..) => Some(Value::Null),
        (
            _,
            SqlType::Integer | SqlType::Bigint | SqlType::Decimal { .. },
            SqlType::Decimal { precision, scale },
        ) => fit_exactly(&decimal_of(value).ok()?, *precision, *scale).map(Value::Decimal),
        (_, from, to) if from == to => Some(value.clone()),
        (_, SqlType::Integer, SqlType::Bigint | SqlType::Double)
        | (_, SqlType::Bigint | SqlType::Decimal { .. }, SqlType::Double)
        | (_, SqlType::String, SqlType::Date | SqlType::Time | SqlType::Timestamp) => {
            cast_between(from, to)?.apply(value).ok()
        }
        (Value::String(text), SqlType::String, SqlType::Bytes) => {
            base64::decode(text).map(|bytes| Value::Bytes(bytes.into()))
        }
        (Value::Array(elements), SqlType::Array(from), SqlType::Array(to)) => {
            let elements = elements.iter().map(|element| coerced(element, from, to));
            elements.collect::<Option<_>>().map(Value::Array)
        }
        (Value::Map(entries), SqlType::Map(_, from), SqlType::Map(_, to)) => {
            let entries = entries
                .iter()
                .map(|(key, value)| Some((Arc::clone(key), coerced(value, from, to)?)));
            entries.collect::<Option<_>>().map(Value::Map)
        }
        (Value::Struct(values), SqlType::Struct(from), SqlType::Struct(to)) => {
            let fields = to.iter().map(|target| {
                let place = from.iter().position(|field| field.name == target.name);
                place.map_or(Some(Value::Null), |place| {
                    coerced(&values[place], &from[place].sql_type, &target.sql_type)
                })
            });
            fields.collect::<Option<_>>().map(Value::Struct)
        }
        _ => None,
    }
}
