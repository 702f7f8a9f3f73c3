//! From a row to what leaves the task: filter, projection, destination.

use super::scan::Present;
use super::{Collector, LogEntry, OutputRecord, OutputRow};
use crate::expression::EvaluationError;
use crate::plan::{Destination, Pipeline, Projected};
use crate::value::{Row, Value};

/// The last steps of a pipeline.
pub(super) struct Output<'a> {
    pub(super) pipeline: &'a Pipeline,
    /// `None` while state is restored: nothing leaves.
    pub(super) collector: Option<&'a mut Collector>,
    /// How many rows are still wanted.
    pub(super) remaining: &'a mut Option<u64>,
}

impl Output<'_> {
    /// Takes a row with all columns. A row of a record without a value passes no filter and goes to no client,
    /// but a sink gets it as a record without a value. A table function makes several rows of it, or none.
    pub(super) fn emit(&mut self, row: Row, timestamp: i64, present: Present) {
        let Some(collector) = self.collector.as_deref_mut() else {
            return;
        };
        if *self.remaining == Some(0) || !passes(self.pipeline, &row, present.value, collector) {
            return;
        }
        if self.pipeline.tables.is_empty() || !present.value {
            self.put(row, timestamp, present);
            return;
        }
        for row in exploded(&self.pipeline.tables, &row, collector) {
            self.put(row, timestamp, present);
        }
    }

    /// Projects a row and hands it to its destination.
    fn put(&mut self, row: Row, timestamp: i64, present: Present) {
        let Some(collector) = self.collector.as_deref_mut() else {
            return;
        };
        if *self.remaining == Some(0) {
            return;
        }
        let has_value = present.value;
        match &self.pipeline.destination {
            Destination::Rows => {
                if !has_value {
                    return;
                }
                let row = project(&self.pipeline.projection, &row, collector);
                collector.rows.push(OutputRow { row, timestamp });
                if let Some(remaining) = self.remaining {
                    *remaining -= 1;
                }
            }
            Destination::Records {
                key_columns,
                key,
                value,
                time,
            } => {
                let columns = if has_value {
                    &self.pipeline.projection[..]
                } else {
                    &self.pipeline.projection[..*key_columns]
                };
                let projected = project(columns, &row, collector);
                let (key_row, value_row) = projected.split_at(*key_columns);
                let timestamp = match time {
                    Some((place, reading)) if has_value => match reading.read(&projected[*place]) {
                        Ok(timestamp) => timestamp,
                        Err(reason) => {
                            collector.log.push(LogEntry::Serialization {
                                part: "timestamp",
                                reason,
                            });
                            return;
                        }
                    },
                    _ => timestamp,
                };
                let key = match (present.key, self.pipeline.keeps_key) {
                    // A key that is not there stays so, and is not one whose columns are `NULL`.
                    (false, true) => Ok(None),
                    _ => key.encode(key_row),
                };
                let value = if has_value {
                    value.encode(value_row)
                } else {
                    Ok(None)
                };
                match (key, value) {
                    (Ok(key), Ok(value)) => collector.records.push(OutputRecord {
                        key,
                        value,
                        timestamp,
                    }),
                    (Err(error), _) => collector.log.push(LogEntry::Serialization {
                        part: "key",
                        reason: error.reason,
                    }),
                    (_, Err(error)) => collector.log.push(LogEntry::Serialization {
                        part: "value",
                        reason: error.reason,
                    }),
                }
            }
        }
    }

    /// Notes that an expression failed.
    pub(super) fn log(&mut self, expression: &str, error: EvaluationError) {
        if let Some(collector) = self.collector.as_deref_mut() {
            collector.log.push(log_entry(expression, error));
        }
    }
}

fn passes(pipeline: &Pipeline, row: &[Value], has_value: bool, collector: &mut Collector) -> bool {
    let Some((filter, text)) = &pipeline.filter else {
        return true;
    };
    if !has_value {
        return false;
    }
    filter.holds(row, &mut |error| collector.log.push(log_entry(text, error)))
}

/// The rows that table functions make of one: as many as the longest of their lists has elements; a shorter list is
/// followed by `NULL`s.
fn exploded(tables: &[Projected], row: &[Value], collector: &mut Collector) -> Vec<Row> {
    let lists = project(tables, row, collector);
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

fn project(columns: &[Projected], row: &[Value], collector: &mut Collector) -> Row {
    let values = columns.iter().map(|column| {
        column.expr.value(row, &mut |error| {
            collector.log.push(log_entry(&column.text, error));
        })
    });
    values.collect()
}

fn log_entry(expression: &str, error: EvaluationError) -> LogEntry {
    LogEntry::Expression {
        expression: expression.to_owned(),
        reason: error.reason,
    }
}
