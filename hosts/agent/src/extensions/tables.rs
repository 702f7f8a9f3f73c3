//! Tables that extensions have: SQLite asks for one by its name, and a scan of it is a call of the plugin.
//!
//! The request is osquery's: `action` is `generate`, and `context` is JSON with the constraints that the statement has on
//! columns that the plugin calls an index, required, additional or optimized.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use osquery_protocol::plugin::TABLE_REGISTRY;
use osquery_protocol::{ByteString, PluginRequest, PluginResponse};
use serde_json::{Value, json};

use super::plugins::Plugins;
use crate::sql::{Column, ColumnType, ForeignTables, Operator, RowBuffer, Scan, Table, TableError};

/// How many tables with different columns are known in the life of an agent. Their names and columns stay in memory.
const MOST_TABLES: usize = 1000;
/// osquery's bits of a column's options.
const INDEX: u8 = 1;
const REQUIRED: u8 = 2;
const ADDITIONAL: u8 = 4;
const OPTIMIZED: u8 = 8;
const HIDDEN: u8 = 16;

/// All tables of all extensions.
#[derive(Debug)]
pub(super) struct ExtensionTables {
    plugins: Plugins,
    /// The tables that were asked for so far, by name and description.
    known: Mutex<HashMap<(String, String), &'static Described>>,
}

/// What an extension says its table is.
#[derive(Debug)]
struct Described {
    name: String,
    columns: Vec<Column>,
}

/// A table of an extension.
#[derive(Debug)]
struct ExtensionTable {
    described: &'static Described,
    plugins: Plugins,
}

impl ExtensionTables {
    pub(super) fn new(plugins: Plugins) -> Self {
        Self {
            plugins,
            known: Mutex::default(),
        }
    }
}

impl ForeignTables for ExtensionTables {
    fn find(&self, name: &str) -> Option<Arc<dyn Table>> {
        let route = self.plugins.table(name)?;
        let columns = columns_of(&route);
        if columns.is_empty() {
            return None;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_owned(), format!("{columns:?}"));
        let described = match known.get(&key) {
            Some(described) => described,
            None if known.len() >= MOST_TABLES => return None,
            None => {
                let columns = columns
                    .into_iter()
                    .map(|(name, kind, options)| column(&*String::leak(name), kind, options))
                    .collect();
                // SQLite keeps what it knows of a table for as long as it runs.
                let described: &'static Described = Box::leak(Box::new(Described {
                    name: name.to_owned(),
                    columns,
                }));
                known.insert(key, described);
                described
            }
        };
        Some(Arc::new(ExtensionTable {
            described,
            plugins: self.plugins.clone(),
        }))
    }
}

impl Table for ExtensionTable {
    fn name(&self) -> &'static str {
        &self.described.name
    }

    fn columns(&self) -> &'static [Column] {
        &self.described.columns
    }

    /// As osquery hands them down: which of two texts is larger tells a plugin nothing.
    fn takes(&self, column: &Column, operator: Operator) -> bool {
        column.takes_constraints() && !(operator.is_order() && column.kind == ColumnType::Text)
    }

    fn rows(&self, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        let context = context(self.columns(), scan);
        let request = PluginRequest::from([
            ("action".into(), "generate".into()),
            ("context".into(), context.to_string().into()),
        ]);
        let response = self
            .plugins
            .call(TABLE_REGISTRY, self.name(), request)
            .map_err(|error| TableError {
                object: format!("the table `{}`", self.name()),
                source: std::io::Error::other(error),
            })?;
        for row in &response.rows {
            rows.start_row();
            for (place, column) in self.columns().iter().enumerate() {
                if let Some(value) = row.get(column.name.as_bytes()) {
                    fill(place, column, value, rows);
                }
            }
        }
        Ok(())
    }
}

/// Values come as text; a number that is none is null, as with osquery.
fn fill(place: usize, column: &Column, value: &ByteString, rows: &mut RowBuffer) {
    match column.kind {
        ColumnType::Text => rows.text(place, &**value),
        ColumnType::Integer | ColumnType::BigInt => {
            if let Ok(number) = value.to_text().parse() {
                rows.integer(place, number);
            }
        }
        ColumnType::Double => {
            if let Ok(number) = value.to_text().parse() {
                rows.real(place, number);
            }
        }
    }
}

/// The columns of a route: name, type and options.
fn columns_of(route: &PluginResponse) -> Vec<(String, ColumnType, u8)> {
    let described = route
        .iter()
        .filter(|entry| entry.get(b"id".as_slice()).is_some_and(|id| *id == "column"));
    described
        .filter_map(|entry| {
            let text = |key: &str| entry.get(key.as_bytes()).map(|text| text.to_text().into_owned());
            let kind = match text("type")?.to_ascii_uppercase().as_str() {
                "INTEGER" => ColumnType::Integer,
                "BIGINT" | "UNSIGNED_BIGINT" | "UNSIGNED BIGINT" => ColumnType::BigInt,
                "DOUBLE" => ColumnType::Double,
                _ => ColumnType::Text,
            };
            let options = text("op").and_then(|options| options.parse().ok()).unwrap_or(0);
            let name = text("name").filter(|name| !name.is_empty() && !name.contains(['`', '\0']))?;
            Some((name, kind, options))
        })
        .collect()
}

fn column(name: &'static str, kind: ColumnType, options: u8) -> Column {
    Column {
        index: options & (INDEX | OPTIMIZED) != 0,
        required: options & REQUIRED != 0,
        additional: options & ADDITIONAL != 0,
        hidden: options & HIDDEN != 0,
        ..Column::new(name, kind)
    }
}

fn context(columns: &[Column], scan: &Scan) -> Value {
    let constraints = columns.iter().enumerate().map(|(place, column)| {
        // As osquery, a comparison with nothing is not told.
        let comparisons = scan.comparisons(place).filter(|(_, value)| !value.is_empty());
        let list: Vec<Value> = comparisons
            .map(|(operator, value)| json!({ "op": code(operator), "expr": String::from_utf8_lossy(value) }))
            .collect();
        json!({ "name": column.name, "list": list, "affinity": column.kind.sql() })
    });
    let used = columns.iter().enumerate().filter(|(place, _)| scan.uses(*place));
    json!({
        "constraints": constraints.collect::<Vec<_>>(),
        "colsUsed": used.map(|(_, column)| column.name).collect::<Vec<_>>(),
    })
}

/// osquery's number for a comparison, which is SQLite's.
fn code(operator: Operator) -> u8 {
    match operator {
        Operator::Equals => 2,
        Operator::Greater => 4,
        Operator::LessOrEqual => 8,
        Operator::Less => 16,
        Operator::GreaterOrEqual => 32,
        Operator::Match => 64,
        Operator::Like => 65,
        Operator::Glob => 66,
        Operator::Regexp => 67,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Constraint;

    #[test]
    fn a_route_describes_columns_and_what_is_no_column_is_left_out() {
        let entry = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(key, value)| (ByteString::from(*key), ByteString::from(*value)))
                .collect()
        };
        let route = vec![
            entry(&[("id", "column"), ("name", "a"), ("type", "TEXT"), ("op", "2")]),
            entry(&[("id", "column"), ("name", "n"), ("type", "BIGINT"), ("op", "17")]),
            entry(&[("id", "column"), ("name", "x`"), ("type", "TEXT")]),
            entry(&[("id", "attributes"), ("attributes", "0")]),
        ];
        let columns = columns_of(&route);
        assert_eq!(
            columns,
            [
                ("a".to_owned(), ColumnType::Text, 2),
                ("n".to_owned(), ColumnType::BigInt, 17)
            ]
        );
        let columns = [
            column("a", ColumnType::Text, 2),
            column("n", ColumnType::BigInt, 17),
        ];
        assert!(columns[0].required && columns[1].index && columns[1].hidden);
        let scan = Scan::new(
            1,
            vec![Constraint {
                column: 0,
                operator: Operator::Equals,
                value: b"x".to_vec(),
            }],
        );
        assert_eq!(
            context(&columns, &scan),
            json!({
                "constraints": [
                    { "name": "a", "list": [{ "op": 2, "expr": "x" }], "affinity": "TEXT" },
                    { "name": "n", "list": [], "affinity": "BIGINT" },
                ],
                "colsUsed": ["a"],
            })
        );
    }
}
