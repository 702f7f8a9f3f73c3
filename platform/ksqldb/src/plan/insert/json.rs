//! Rows of `/inserts-stream`: members of an object, which become columns where their types allow it.

use std::sync::Arc;

use serde_json::Value as Json;

use super::super::PlanError;
use super::{Insertion, check_target, coerced, record};
use crate::expression::cast_between;
use crate::metastore::Source;
use crate::types::{Column, Namespace, SqlType};
use crate::value::Value;

/// The record that a row of JSON (`/inserts-stream`) is in `target`'s topic. `now` (milliseconds) is its time.
pub(crate) fn insert_json(target: &Source, json: &[u8], now: i64) -> Result<Insertion, PlanError> {
    check_target(target)?;
    let Ok(Json::Object(members)) = serde_json::from_slice(json) else {
        return Err(PlanError::new("Invalid JSON in inserts stream"));
    };
    let value = |column: &Column| {
        let member = member_of(&members, &column.name);
        if column.namespace == Namespace::Key && member.is_none() {
            return Err(PlanError::new(format!(
                "Key field must be specified: {}",
                column.name
            )));
        }
        let value = json_value(member.unwrap_or(&Json::Null), &column.sql_type);
        value.ok_or_else(|| {
            PlanError::new(format!(
                "Can't coerce a field of type class {} into type {}",
                member.map_or("java.lang.Object", java_class),
                column.sql_type
            ))
        })
    };
    let row = target
        .schema
        .columns
        .iter()
        .map(value)
        .collect::<Result<_, _>>()?;
    record(target, row, now)
}

/// The member of that name that is there. Members are named as identifiers are: in upper case unless quoted.
fn member_of<'a>(members: &'a serde_json::Map<String, Json>, name: &str) -> Option<&'a Json> {
    let is_it = |member: &str| {
        let quoted = ['`', '"']
            .into_iter()
            .find_map(|quote| member.strip_prefix(quote)?.strip_suffix(quote));
        quoted.map_or_else(|| member.to_uppercase() == name, |quoted| quoted == name)
    };
    let mut members = members.iter().rev();
    let (_, value) = members.find(|(member, _)| is_it(member))?;
    (!value.is_null()).then_some(value)
}

/// A value of JSON as one of a column's type, where it is one.
fn json_value(json: &Json, to: &SqlType) -> Option<Value> {
    match (json, to) {
        (Json::Null, _) => Some(Value::Null),
        (Json::Bool(truth), SqlType::Boolean) => Some(Value::Boolean(*truth)),
        (Json::Number(number), _) => {
            let value = match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => i32::try_from(whole).map_or(Value::Bigint(whole), Value::Integer),
                (None, Some(double)) if number.is_f64() => Value::Double(double),
                _ => return None,
            };
            let from = match value {
                Value::Integer(_) => SqlType::Integer,
                Value::Bigint(_) => SqlType::Bigint,
                _ => SqlType::Double,
            };
            match (&from, to) {
                (SqlType::Double, SqlType::Decimal { .. }) => cast_between(&from, to)?.apply(&value).ok(),
                _ => coerced(&value, &from, to),
            }
        }
        (Json::String(text), _) => {
            let value = Value::string(text.as_str());
            match to {
                SqlType::Decimal { .. } => cast_between(&SqlType::String, to)?.apply(&value).ok(),
                _ => coerced(&value, &SqlType::String, to),
            }
        }
        (Json::Array(elements), SqlType::Array(to)) => {
            let elements = elements.iter().map(|element| json_value(element, to));
            elements.collect::<Option<_>>().map(Value::Array)
        }
        (Json::Object(members), SqlType::Map(_, to)) => {
            let entries = members
                .iter()
                .map(|(key, value)| Some((Arc::from(key.as_str()), json_value(value, to)?)));
            entries.collect::<Option<Vec<_>>>().map(Value::map)
        }
        (Json::Object(members), SqlType::Struct(fields)) => {
            let values = fields.iter().map(|field| {
                let member = member_of(members, &field.name);
                member.map_or(Some(Value::Null), |member| json_value(member, &field.sql_type))
            });
            values.collect::<Option<_>>().map(Value::Struct)
        }
        _ => None,
    }
}

/// What Java holds a value of JSON in.
fn java_class(json: &Json) -> &'static str {
    match json {
        Json::Null => "java.lang.Object",
        Json::Bool(_) => "java.lang.Boolean",
        Json::Number(number) => match number.as_i64() {
            Some(whole) if i32::try_from(whole).is_ok() => "java.lang.Integer",
            Some(_) => "java.lang.Long",
            None if number.is_f64() => "java.lang.Double",
            None => "java.math.BigInteger",
        },
        Json::String(_) => "java.lang.String",
        Json::Array(_) => "io.vertx.core.json.JsonArray",
        Json::Object(_) => "io.vertx.core.json.JsonObject",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::syntax::parse_type;

    fn read(json: &Json, sql_type: &str) -> Option<Value> {
        json_value(json, &parse_type(sql_type).unwrap())
    }

    #[test]
    fn values_are_what_their_types_allow() {
        for (json, sql_type, value) in [
            (json!(1), "INT", Value::Integer(1)),
            (json!(1), "BIGINT", Value::Bigint(1)),
            (json!(1), "DOUBLE", Value::Double(1.0)),
            (json!(1.5), "DOUBLE", Value::Double(1.5)),
            (json!(3_000_000_000_u32), "BIGINT", Value::Bigint(3_000_000_000)),
            (json!("x"), "STRING", Value::string("x")),
            (json!(true), "BOOLEAN", Value::Boolean(true)),
            (json!("1970-01-02"), "DATE", Value::Date(1)),
            (json!("00:00:01"), "TIME", Value::Time(1_000)),
            (json!("1970-01-01T00:00:01"), "TIMESTAMP", Value::Timestamp(1_000)),
            (json!("AQ=="), "BYTES", Value::Bytes([1].into())),
            (
                json!([1, null]),
                "ARRAY<BIGINT>",
                Value::Array([Value::Bigint(1), Value::Null].into()),
            ),
            (
                json!({"a": 1}),
                "MAP<STRING, INT>",
                Value::map([(Arc::from("a"), Value::Integer(1))]),
            ),
            (
                json!({"a": 1, "`b`": "x", "more": 2}),
                "STRUCT<a INT, `b` STRING, c INT>",
                Value::Struct([Value::Integer(1), Value::string("x"), Value::Null].into()),
            ),
        ] {
            assert_eq!(read(&json, sql_type), Some(value), "{json} as {sql_type}");
        }
        for number in [json!(1.5), json!("1.5")] {
            let value = read(&number, "DECIMAL(4, 2)");
            assert!(
                matches!(&value, Some(Value::Decimal(found)) if found.to_string() == "1.50"),
                "{value:?}"
            );
        }
    }

    #[test]
    fn others_are_refused() {
        for (json, sql_type) in [
            (json!(1.5), "INT"),
            (json!("1"), "INT"),
            (json!(3_000_000_000_u32), "INT"),
            (json!(u64::MAX), "BIGINT"),
            (json!(1), "STRING"),
            (json!("true"), "BOOLEAN"),
            (json!(1000), "DECIMAL(4, 2)"),
            (json!(5), "DATE"),
            (json!("never"), "TIMESTAMP"),
            (json!(["x"]), "ARRAY<INT>"),
            (json!([1]), "MAP<STRING, INT>"),
            (json!({"a": "x"}), "STRUCT<a INT>"),
        ] {
            assert_eq!(read(&json, sql_type), None, "{json} as {sql_type}");
        }
    }
}
