//! From columns to the Avro schema that ksqlDB registers for them.

use osqdemo_avro::Schema;
use serde_json::{Value as Json, json};

use crate::types::SqlType;

/// Whether the format has values of that type.
pub(in super::super) fn supports(sql_type: &SqlType) -> bool {
    match sql_type {
        SqlType::Map(key, value) => **key == SqlType::String && supports(value),
        SqlType::Array(element) => supports(element),
        SqlType::Struct(fields) => fields.iter().all(|field| supports(&field.sql_type)),
        _ => true,
    }
}

/// The schema of columns, whose record has that full name; of one column alone where it stands by itself.
/// The error says which name Avro cannot have.
pub(in super::super) fn declare(
    columns: &[(String, SqlType)],
    is_bare: bool,
    full_name: &str,
) -> Result<String, String> {
    let schema = match columns {
        [(_, sql_type)] if is_bare => {
            // Only here the version of Connect's logical type is left out.
            let mut schema = schema_of(sql_type, full_name)?;
            if let Some(members) = schema.as_object_mut() {
                members.shift_remove("connect.version");
            }
            schema
        }
        columns => {
            let fields = columns.iter().map(|(name, sql_type)| (name.as_str(), sql_type));
            record(fields, full_name)?
        }
    };
    // As a registry prints it: with each namespace once.
    let schema = Schema::parse(&schema.to_string())
        .map_err(|error| format!("Schema is not compatible with Avro: {error}"))?;
    Ok(schema.canonical_text())
}

fn record<'a>(fields: impl Iterator<Item = (&'a str, &'a SqlType)>, full_name: &str) -> Result<Json, String> {
    let fields = fields.map(|(column, sql_type)| {
        let name = field_name(column)?;
        field(&name, sql_type, &format!("{full_name}_{name}"))
    });
    let fields: Vec<Json> = fields.collect::<Result<_, _>>()?;
    let mut record = named("record", full_name);
    record["fields"] = Json::Array(fields);
    record["connect.name"] = json!(full_name);
    Ok(record)
}

fn field(name: &str, sql_type: &SqlType, path: &str) -> Result<Json, String> {
    Ok(json!({"name": name, "type": nullable(sql_type, path)?, "default": null}))
}

fn nullable(sql_type: &SqlType, path: &str) -> Result<Json, String> {
    Ok(json!(["null", schema_of(sql_type, path)?]))
}

fn schema_of(sql_type: &SqlType, path: &str) -> Result<Json, String> {
    let logical = |avro: &str, logical: &str, connect: &str| {
        json!({
            "type": avro,
            "connect.version": 1,
            "connect.name": format!("org.apache.kafka.connect.data.{connect}"),
            "logicalType": logical,
        })
    };
    Ok(match sql_type {
        SqlType::Boolean => json!("boolean"),
        SqlType::Integer => json!("int"),
        SqlType::Bigint => json!("long"),
        SqlType::Double => json!("double"),
        SqlType::String => json!("string"),
        SqlType::Bytes => json!("bytes"),
        SqlType::Decimal { precision, scale } => json!({
            "type": "bytes",
            "scale": scale,
            "precision": precision,
            "connect.version": 1,
            "connect.parameters": {
                "scale": scale.to_string(),
                "connect.decimal.precision": precision.to_string(),
            },
            "connect.name": "org.apache.kafka.connect.data.Decimal",
            "logicalType": "decimal",
        }),
        SqlType::Date => logical("int", "date", "Date"),
        SqlType::Time => logical("int", "time-millis", "Time"),
        SqlType::Timestamp => logical("long", "timestamp-millis", "Timestamp"),
        SqlType::Array(element) => json!({"type": "array", "items": nullable(element, path)?}),
        // ksqlDB's keys of maps may be null, which those of an Avro map are not.
        SqlType::Map(key, value) => {
            let mut entry = named("record", path);
            entry["fields"] = json!([
                field("key", key, &format!("{path}_MapKey"))?,
                field("value", value, &format!("{path}_MapValue"))?,
            ]);
            entry["connect.internal.type"] = json!("MapEntry");
            json!({"type": "array", "items": entry, "connect.name": path})
        }
        SqlType::Struct(fields) => {
            let fields = fields.iter().map(|field| (field.name.as_str(), &field.sql_type));
            record(fields, path)?
        }
    })
}

fn named(word: &str, full_name: &str) -> Json {
    match full_name.rsplit_once('.') {
        Some((namespace, name)) => json!({"type": word, "name": name, "namespace": namespace}),
        None => json!({"type": word, "name": full_name}),
    }
}

/// A column's name as a field's.
fn field_name(column: &str) -> Result<String, String> {
    let name = column.replace('.', "_");
    let refused = |what: &str| Err(format!("Schema is not compatible with Avro: {what}: {name}"));
    let mut characters = name.chars();
    match characters.next() {
        None => return Err("Schema is not compatible with Avro: Empty name".to_owned()),
        Some(first) if !first.is_alphabetic() && first != '_' => {
            return refused("Illegal initial character");
        }
        Some(_) => {}
    }
    if !characters.all(|character| character.is_alphanumeric() || character == '_') {
        return refused("Illegal character in");
    }
    Ok(name)
}
