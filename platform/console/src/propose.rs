//! The columns that a topic's records suggest for a stream: what *Add a stream* begins with.
//!
//! Text is VARCHAR, whole numbers BIGINT, other numbers DOUBLE, an array of one kind ARRAY. An object is a MAP of text
//! where its names differ from record to record or are many, so that `COLUMNS['pid']` works; else a STRUCT. The columns of
//! osquery's result lines are a MAP always: which there are is up to a query that somebody will change.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

/// How many names an object may have before it is taken for a map.
const STRUCT_LIMIT: usize = 8;
/// How deep an object is looked into.
const DEPTH_LIMIT: usize = 4;
/// How many columns are proposed.
const COLUMN_LIMIT: usize = 200;

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// The name as the records write it.
    pub name: String,
    /// The SQL type.
    #[serde(rename = "type")]
    pub sql_type: String,
}

/// The columns that these JSON objects suggest, in the order in which their names first appear.
pub fn columns(records: &[Value]) -> Vec<Column> {
    let objects: Vec<&Map<String, Value>> = records.iter().filter_map(Value::as_object).collect();
    let mut names: Vec<&str> = Vec::new();
    for object in &objects {
        for name in object.keys() {
            if names.len() < COLUMN_LIMIT && !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    let is_result_log = names.contains(&"hostIdentifier") && names.contains(&"unixTime");
    names
        .into_iter()
        .map(|name| {
            let values: Vec<&Value> = objects.iter().filter_map(|object| object.get(name)).collect();
            let sql_type =
                if is_result_log && name == "columns" && values.iter().all(|value| value.is_object()) {
                    map_type(&fields(&values))
                } else {
                    sql_type(&values, DEPTH_LIMIT)
                };
            Column {
                name: name.to_owned(),
                sql_type,
            }
        })
        .collect()
}

fn sql_type(values: &[&Value], depth: usize) -> String {
    let there: Vec<&Value> = values.iter().copied().filter(|value| !value.is_null()).collect();
    let all = |is: fn(&Value) -> bool| !there.is_empty() && there.iter().all(|value| is(value));
    if all(Value::is_boolean) {
        "BOOLEAN".to_owned()
    } else if all(Value::is_i64) {
        "BIGINT".to_owned()
    } else if all(Value::is_number) {
        "DOUBLE".to_owned()
    } else if all(Value::is_array) && depth > 0 {
        let items: Vec<&Value> = there
            .iter()
            .filter_map(|value| value.as_array())
            .flatten()
            .collect();
        format!("ARRAY<{}>", sql_type(&items, depth - 1))
    } else if all(Value::is_object) && depth > 0 {
        object_type(&there, depth)
    } else {
        // Text, and whatever else: ksqlDB reads any JSON as text.
        "VARCHAR".to_owned()
    }
}

/// The values that objects have for each name.
fn fields<'a>(objects: &[&'a Value]) -> BTreeMap<&'a str, Vec<&'a Value>> {
    let mut fields: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for (name, value) in objects.iter().filter_map(|value| value.as_object()).flatten() {
        fields.entry(name).or_default().push(value);
    }
    fields
}

fn map_type(fields: &BTreeMap<&str, Vec<&Value>>) -> String {
    let of: Vec<&Value> = fields.values().flatten().copied().collect();
    let values = match sql_type(&of, 0).as_str() {
        "BIGINT" => "BIGINT",
        "DOUBLE" => "DOUBLE",
        _ => "VARCHAR",
    };
    format!("MAP<VARCHAR, {values}>")
}

fn object_type(objects: &[&Value], depth: usize) -> String {
    let fields = fields(objects);
    let is_struct = fields.values().all(|values| values.len() == objects.len())
        && !fields.is_empty()
        && fields.len() <= STRUCT_LIMIT
        && fields.keys().all(|name| is_name(name));
    if !is_struct {
        return map_type(&fields);
    }
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, values)| format!("{name} {}", sql_type(values, depth - 1)))
        .collect();
    format!("STRUCT<{}>", fields.join(", "))
}

/// Whether a name needs no quotes in SQL.
fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn proposed(records: &[Value]) -> Vec<String> {
        columns(records)
            .into_iter()
            .map(|column| format!("{} {}", column.name, column.sql_type))
            .collect()
    }

    #[test]
    fn an_osquery_line_is_a_stream_with_a_map() {
        let records = [
            json!({"name": "processes", "unixTime": 1, "numerics": false, "columns": {"pid": "1", "path": "/sbin/init"}}),
            json!({"name": "processes", "unixTime": 2, "numerics": false, "columns": {"pid": "2"}, "action": "added"}),
        ];
        assert_eq!(
            proposed(&records),
            [
                "name VARCHAR",
                "unixTime BIGINT",
                "numerics BOOLEAN",
                "columns MAP<VARCHAR, VARCHAR>",
                "action VARCHAR"
            ]
        );
    }

    #[test]
    fn the_columns_of_a_result_line_are_a_map_also_where_they_are_always_the_same() {
        let record = json!({"name": "open_files", "hostIdentifier": "host1", "unixTime": 1, "columns": {"pid": "1", "fd": "2"}});
        assert_eq!(proposed(&[record])[3], "columns MAP<VARCHAR, VARCHAR>");
    }

    #[test]
    fn each_kind_of_value_has_its_type() {
        let record = json!({
            "d": 1.5, "n": null, "a": [1, 2], "e": [], "s": {"x": 1, "y": {"z": "t"}},
            "many": {"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9}, "odd": {"a b": "c"}
        });
        assert_eq!(
            proposed(&[record]),
            [
                "d DOUBLE",
                "n VARCHAR",
                "a ARRAY<BIGINT>",
                "e ARRAY<VARCHAR>",
                "s STRUCT<x BIGINT, y STRUCT<z VARCHAR>>",
                "many MAP<VARCHAR, BIGINT>",
                "odd MAP<VARCHAR, VARCHAR>"
            ]
        );
        assert_eq!(proposed(&[json!({"x": 1}), json!({"x": 1.5})]), ["x DOUBLE"]);
        assert_eq!(proposed(&[json!({"x": 1}), json!({"x": "a"})]), ["x VARCHAR"]);
        assert!(proposed(&[json!(1), json!([1])]).is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at(text in "[\\[\\]{}\":,a-z0-9 ]{0,40}") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let _ = columns(&[value]);
            }
        }
    }
}
