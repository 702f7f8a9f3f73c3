//! Rows and schemas as JSON.

use std::fmt::Write as _;

use crate::calendar::{date_text, time_text, timestamp_text};
use crate::serde::base64;
use crate::types::{Schema, SqlType};
use crate::value::{Row, Value};

/// Writes a row as a JSON array.
pub(super) fn write_row(row: &Row, schema: &Schema, out: &mut String) {
    out.push('[');
    for (index, (value, column)) in row.iter().zip(&schema.columns).enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_value(value, &column.sql_type, out);
    }
    out.push(']');
}

/// Writes a row as `/query` and the WebSocket send it: `{"row":{"columns":[…]}}`.
pub(super) fn write_streamed_row(row: &Row, is_tombstone: bool, schema: &Schema, out: &mut String) {
    out.push_str("{\"row\":{\"columns\":");
    write_row(row, schema, out);
    out.push_str(if is_tombstone {
        ",\"tombstone\":true}}"
    } else {
        "}}"
    });
}

fn write_value(value: &Value, sql_type: &SqlType, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Boolean(value) => push(out, format_args!("{value}")),
        Value::Integer(value) => push(out, format_args!("{value}")),
        Value::Bigint(value) => push(out, format_args!("{value}")),
        Value::Double(value) if value.is_finite() => push(out, format_args!("{value:?}")),
        Value::Double(value) => {
            let name = match value {
                value if value.is_nan() => "NaN",
                value if *value > 0.0 => "Infinity",
                _ => "-Infinity",
            };
            write_text(name, out);
        }
        Value::Decimal(value) => out.push_str(&value.to_plain_string()),
        Value::String(text) => write_text(text, out),
        Value::Bytes(bytes) => write_text(&base64::encode(bytes), out),
        Value::Date(days) => write_text(&date_text(*days), out),
        Value::Time(milliseconds) => write_text(&time_text(*milliseconds), out),
        Value::Timestamp(milliseconds) => write_text(&timestamp_text(*milliseconds), out),
        Value::Array(elements) => {
            let element_type = match sql_type {
                SqlType::Array(element) => element,
                other => other,
            };
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(element, element_type, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            let value_type = match sql_type {
                SqlType::Map(_, value) => value,
                other => other,
            };
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write_value(value, value_type, out);
            }
            out.push('}');
        }
        Value::Struct(values) => {
            let fields = match sql_type {
                SqlType::Struct(fields) => fields.as_slice(),
                _ => &[],
            };
            out.push('{');
            for (index, (field, value)) in fields.iter().zip(values.iter()).enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(&field.name, out);
                out.push(':');
                write_value(value, &field.sql_type, out);
            }
            out.push('}');
        }
    }
}

/// Writes a JSON string.
pub(super) fn write_text(text: &str, out: &mut String) {
    // A string always serialises.
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::types::{Column, Namespace, StructField};

    fn schema(types: &[SqlType]) -> Schema {
        let columns = types.iter().enumerate().map(|(index, sql_type)| Column {
            name: format!("C{index}"),
            sql_type: sql_type.clone(),
            namespace: Namespace::Value,
        });
        Schema {
            columns: columns.collect(),
        }
    }

    fn written(row: Row, types: &[SqlType]) -> String {
        let mut out = String::new();
        write_row(&row, &schema(types), &mut out);
        out
    }

    #[test]
    fn values_are_written_as_ksqldb_writes_them() {
        let structure = SqlType::Struct(vec![StructField {
            name: "A".to_owned(),
            sql_type: SqlType::Bytes,
        }]);
        let types = [
            SqlType::String,
            SqlType::Double,
            SqlType::Decimal {
                precision: 4,
                scale: 2,
            },
            SqlType::Date,
            SqlType::Time,
            SqlType::Timestamp,
            SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::Bigint)),
            SqlType::Array(Box::new(structure)),
        ];
        let row = vec![
            Value::string("a \"b\"\n"),
            Value::Double(2.0),
            Value::Decimal("3.50".parse().unwrap()),
            Value::Date(20_000),
            Value::Time(45_296_000),
            Value::Timestamp(-1),
            Value::map([(Arc::from("k"), Value::Bigint(7))]),
            Value::Array(Arc::new([Value::Struct(Arc::new([Value::Bytes(Arc::new([
                1, 2,
            ]))]))])),
        ];
        assert_eq!(
            written(row, &types),
            r#"["a \"b\"\n",2.0,3.50,"2024-10-04","12:34:56","1969-12-31T23:59:59.999",{"k":7},[{"A":"AQI="}]]"#
        );
    }

    #[test]
    fn a_schema_is_written_with_its_quotes() {
        assert_eq!(
            crate::plan::schema_text(&schema(&[SqlType::String, SqlType::Bigint])),
            "`C0` STRING, `C1` BIGINT"
        );
    }

    proptest! {
        #[test]
        fn every_row_is_one_line_of_json(text in any::<String>(), number in any::<f64>(), long in any::<i64>()) {
            let row = vec![Value::string(text.as_str()), Value::Double(number), Value::Bigint(long)];
            let line = written(row, &[SqlType::String, SqlType::Double, SqlType::Bigint]);
            prop_assert!(!line.contains('\n'));
            let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(parsed[0].as_str(), Some(text.as_str()));
            prop_assert_eq!(parsed[2].as_i64(), Some(long));
        }
    }
}
