//! `INSERT INTO … VALUES`.

use super::PlanError;
use super::query::wrappings;
use super::timestamps::TimeReading;
use crate::expression::{Scope, cast_between, compile, text};
use crate::metastore::Source;
use crate::serde::Encoder;
use crate::syntax::ast::{InsertValues, SourceKind};
use crate::task::OutputRecord;
use crate::types::{Column, Namespace, SqlType};
use crate::value::Value;

/// The record that `INSERT INTO … VALUES` writes to `target`'s topic. `now` (milliseconds) is its time
/// where the statement sets no `ROWTIME`.
pub fn insert_values(target: &Source, statement: &InsertValues, now: i64) -> Result<OutputRecord, PlanError> {
    insert(target, statement, now).map_err(|error| PlanError {
        message: format!(
            "Failed to insert values into '{}'. {}",
            target.name, error.message
        ),
        position: error.position,
    })
}

fn insert(target: &Source, statement: &InsertValues, now: i64) -> Result<OutputRecord, PlanError> {
    if target.read_only {
        return Err(PlanError::new(format!(
            "Cannot insert values into read-only source: {}",
            target.name
        )));
    }
    if !target.headers.is_empty() {
        return Err(PlanError::new(format!(
            "Cannot insert into {} because it has header columns",
            target.name
        )));
    }
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
        let Some(place) = target.schema.position(name) else {
            return Err(PlanError::new(format!("Column name {name} does not exist.")));
        };
        row[place] = value_of(expression, &columns[place])?;
    }
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
    if let Some(column) = &target.timestamp
        && !filled.contains(&"ROWTIME")
        && let Some(place) = target.schema.position(&column.column)
        && !row[place].is_null()
    {
        // Whether the column can be read as a time is up to the queries that read it.
        timestamp = TimeReading::of(column)?.read(&row[place]).unwrap_or(now);
    }
    if timestamp < 0 {
        return Err(PlanError::new(format!("ROWTIME is negative: {timestamp}")));
    }
    let (key_wrapping, value_wrapping) = wrappings(target);
    let key_columns = target.schema.key().count();
    let key = Encoder::new(target.key_format, key_wrapping, target.schema.key());
    let value = Encoder::new(target.value_format, value_wrapping, target.schema.value());
    let (key_row, value_row) = row.split_at(key_columns);
    let failed = |error: crate::serde::SerdeError| PlanError::new(error.reason);
    Ok(OutputRecord {
        key: key.encode(key_row).map_err(failed)?,
        value: value.encode(value_row).map_err(failed)?,
        timestamp,
    })
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
    let value = typed
        .expr
        .evaluate(&[], &[])
        .map_err(|error| failed(error.reason))?;
    let Some(from) = &typed.sql_type else {
        return Ok(Value::Null);
    };
    let cast = cast_between(from, &column.sql_type).filter(|_| is_assignable(from, &column.sql_type));
    let Some(cast) = cast else {
        return Err(PlanError::new(format!(
            "Expected type {} for field `{}` but got {from} ({}).",
            column.sql_type,
            column.name,
            text(expression)
        )));
    };
    cast.apply(&value).map_err(|error| failed(error.reason))
}

/// Whether a value of a type goes into a column without an explicit cast: numbers widen,
/// texts become dates and times, and the parts of arrays, maps and structs likewise.
fn is_assignable(from: &SqlType, to: &SqlType) -> bool {
    match (from, to) {
        (from, to) if from == to => true,
        (SqlType::Integer, SqlType::Bigint | SqlType::Decimal { .. } | SqlType::Double)
        | (SqlType::Bigint, SqlType::Decimal { .. } | SqlType::Double)
        | (SqlType::Decimal { .. }, SqlType::Decimal { .. } | SqlType::Double)
        | (SqlType::String, SqlType::Date | SqlType::Time | SqlType::Timestamp) => true,
        (SqlType::Array(from), SqlType::Array(to)) => is_assignable(from, to),
        (SqlType::Map(_, from), SqlType::Map(_, to)) => is_assignable(from, to),
        (SqlType::Struct(from), SqlType::Struct(to)) => from.iter().all(|field| {
            let target = to.iter().find(|other| other.name == field.name);
            target.is_some_and(|target| is_assignable(&field.sql_type, &target.sql_type))
        }),
        _ => false,
    }
}
