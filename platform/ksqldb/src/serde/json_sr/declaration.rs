//! From columns to the JSON Schema that ksqlDB registers for them.

use serde_json::{Map, Value as Json, json};

use super::super::avro;
use crate::types::SqlType;

/// The schema of columns, or of one column alone where it stands by itself.
pub(in super::super) fn declare(columns: &[(String, SqlType)], is_bare: bool, title: Option<&str>) -> String {
    let mut schema = match columns {
        [(_, sql_type)] if is_bare => nullable(sql_type, None),
        columns => object(columns.iter().map(|(name, sql_type)| (name.as_str(), sql_type))),
    };
    if let Some(title) = title {
        schema["title"] = json!(title);
    }
    schema.to_string()
}

fn object<'a>(members: impl Iterator<Item = (&'a str, &'a SqlType)>) -> Json {
    let properties: Map<String, Json> = members
        .enumerate()
        .map(|(index, (name, sql_type))| (name.to_owned(), nullable(sql_type, Some(index))))
        .collect();
    json!({"type": "object", "properties": properties})
}

/// `index`: its place among the members of an object, whose text has no order.
fn nullable(sql_type: &SqlType, index: Option<usize>) -> Json {
    let choice = json!([{"type": "null"}, schema_of(sql_type)]);
    match index {
        Some(index) => json!({"connect.index": index, "oneOf": choice}),
        None => json!({"oneOf": choice}),
    }
}

fn schema_of(sql_type: &SqlType) -> Json {
    let typed = |json: &str, connect: &str| json!({"type": json, "connect.type": connect});
    let logical = |title: &str, connect: &str| {
        json!({
            "type": "integer",
            "title": format!("{}{title}", avro::CONNECT),
            "connect.version": 1,
            "connect.type": connect,
        })
    };
    match sql_type {
        SqlType::Boolean => json!({"type": "boolean"}),
        SqlType::Integer => typed("integer", "int32"),
        SqlType::Bigint => typed("integer", "int64"),
        SqlType::Double => typed("number", "float64"),
        SqlType::String => json!({"type": "string"}),
        SqlType::Bytes => typed("string", "bytes"),
        SqlType::Decimal { precision, scale } => json!({
            "type": "number",
            "title": format!("{}Decimal", avro::CONNECT),
            "connect.version": 1,
            "connect.type": "bytes",
            "connect.parameters": {
                "scale": scale.to_string(),
                "connect.decimal.precision": precision.to_string(),
            },
        }),
        SqlType::Date => logical("Date", "int32"),
        SqlType::Time => logical("Time", "int32"),
        SqlType::Timestamp => logical("Timestamp", "int64"),
        SqlType::Array(element) => json!({"type": "array", "items": nullable(element, None)}),
        // ksqlDB's keys of maps may be null, which the names of an object's members are not.
        SqlType::Map(key, value) => json!({
            "type": "array",
            "items": object([("key", &**key), ("value", &**value)].into_iter()),
            "connect.type": "map",
        }),
        SqlType::Struct(fields) => object(fields.iter().map(|field| (field.name.as_str(), &field.sql_type))),
    }
}
