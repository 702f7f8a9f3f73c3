//! From a row to what leaves the task: projection and destination.

use std::sync::Arc;

use super::change::{Bounds, Change};
use super::operator::{Context, Downstream, Operator};
use super::{LogEntry, OutputRecord, OutputRow};
use crate::expression::Budget;
use crate::plan::{Destination, OutputStep, Projected, Side, Windows};
use crate::value::{Row, Value};

/// The last step of a query.
#[derive(Debug)]
pub(super) struct Output {
    step: Arc<OutputStep>,
    /// For the columns of a record.
    projected: Row,
}

impl Output {
    pub(super) fn new(step: &Arc<OutputStep>) -> Self {
        Self {
            step: Arc::clone(step),
            projected: Row::new(),
        }
    }
}

impl Operator for Output {
    /// A row of a record without a value goes to no client of a stream, but a sink gets it as a record without a
    /// value, and the client of a table as the end of that row. A table function makes several rows of one that has a
    /// value, or none.
    fn take(&mut self, _: Side, change: Change, to: &mut Downstream<'_, '_>) {
        let context = &mut *to.context;
        if context.is_replaying() {
            return;
        }
        if self.step.tables.is_empty() {
            self.put(&change, context);
            return;
        }
        if !change.present.value {
            return;
        }
        for row in exploded(&self.step.tables, &change.row, context) {
            let exploded = Change {
                old: None,
                row,
                ..change
            };
            self.put(&exploded, context);
        }
    }
}

impl Output {
    fn put(&mut self, change: &Change, context: &mut Context<'_>) {
        if *context.remaining == Some(0) {
            return;
        }
        match &self.step.destination {
            Destination::Nowhere => {}
            Destination::Rows { keys } => self.put_row(change, keys.as_deref(), context),
            Destination::Records { .. } => {
                let mut projected = std::mem::take(&mut self.projected);
                self.put_record(change, &mut projected, context);
                projected.clear();
                self.projected = projected;
            }
        }
    }

    /// `keys` says of a table's columns which are its key.
    fn put_row(&self, change: &Change, keys: Option<&[bool]>, context: &mut Context<'_>) {
        let is_tombstone = !change.present.value;
        let row = match (is_tombstone, keys) {
            (false, _) => project(&self.step.projection, &change.row, context),
            (true, None) => return,
            (true, Some(keys)) => {
                let columns = self.step.projection.iter().zip(keys);
                let values = columns.map(|(column, is_key)| match is_key {
                    true => column.expr.value(&change.row, &mut |_| {}),
                    false => Value::Null,
                });
                values.collect()
            }
        };
        let Some(collector) = context.collector.as_deref_mut() else {
            return;
        };
        collector.rows.push(OutputRow {
            row,
            timestamp: change.timestamp,
            is_tombstone,
        });
        if let Some(remaining) = context.remaining {
            *remaining -= 1;
        }
    }

    /// `projected` has room for the columns.
    fn put_record(&self, change: &Change, projected: &mut Row, context: &mut Context<'_>) {
        let Destination::Records {
            key_columns,
            key,
            value,
            time,
            windows,
        } = &self.step.destination
        else {
            return;
        };
        let has_value = change.present.value;
        if has_value {
            project_into(&self.step.projection, &change.row, projected, context);
        } else {
            let keys = self.step.projection.iter().zip(&self.step.value_only);
            for (column, needs_value) in keys.take(*key_columns) {
                match needs_value {
                    true => projected.push(Value::Null),
                    false => project_into(std::slice::from_ref(column), &change.row, projected, context),
                }
            }
        }
        let (key_row, value_row) = projected.split_at(*key_columns);
        let Some(collector) = context.collector.as_deref_mut() else {
            return;
        };
        let mut failed = |part, reason| collector.log.push(LogEntry::Serialization { part, reason });
        let timestamp = match time {
            Some((place, reading)) if has_value => match reading.read(&projected[*place]) {
                Ok(timestamp) => timestamp,
                Err(reason) => return failed("timestamp", reason),
            },
            _ => change.timestamp,
        };
        let value = if has_value {
            value.encode(value_row)
        } else {
            Ok(None)
        };
        let key = match (change.present.key, self.step.keeps_key) {
            // A key that is not there stays so, and is not one whose columns are `NULL`.
            (false, true) => Ok(None),
            _ => key.encode(key_row),
        };
        let (key, value) = match (key, value) {
            (Ok(key), Ok(value)) => (key, value),
            (Err(error), _) => return failed("key", error.reason),
            (_, Err(error)) => return failed("value", error.reason),
        };
        collector.records.push(OutputRecord {
            key: windowed(key, *windows, change.window),
            value,
            timestamp,
        });
    }
}

/// A key with its window after it, as Kafka Streams writes it: the start, of a session the end and the start.
fn windowed(key: Option<Vec<u8>>, windows: Windows, window: Option<Bounds>) -> Option<Vec<u8>> {
    let mut key = key?;
    if let Some(window) = window {
        match windows {
            Windows::None => {}
            Windows::Time => key.extend(window.start.to_be_bytes()),
            Windows::Session => {
                key.extend(window.end.to_be_bytes());
                key.extend(window.start.to_be_bytes());
            }
        }
    }
    Some(key)
}

/// The rows that table functions make of one: as many as the longest of their lists has elements; a shorter list is
/// followed by `NULL`s.
fn exploded(tables: &[Projected], row: &[Value], context: &mut Context<'_>) -> Vec<Row> {
    let lists = project(tables, row, context);
    let length = |list: &Value| match list {
        Value::Array(elements) => elements.len(),
        _ => 0,
    };
    let longest = lists.iter().map(length).max().unwrap_or(0);
    let rows = (0..longest).map(|place| {
        let elements = lists.iter().map(|list| match list {
            Value::Array(elements) => elements.get(place).cloned().unwrap_or_default(),
            _ => Value::Null,
        });
        row.iter().cloned().chain(elements).collect()
    });
    rows.collect()
}

fn project(columns: &[Projected], row: &[Value], context: &mut Context<'_>) -> Row {
    let mut projected = Row::with_capacity(columns.len());
    project_into(columns, row, &mut projected, context);
    projected
}

fn project_into(columns: &[Projected], row: &[Value], projected: &mut Row, context: &mut Context<'_>) {
    let budget = Budget::of_row();
    let values = columns.iter().map(|column| {
        column
            .expr
            .value_within(row, &budget, &mut |error| context.log(&column.text, error))
    });
    projected.extend(values);
}
