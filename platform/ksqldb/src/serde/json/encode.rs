//! Values to JSON, as ksqlDB writes them: fields under the columns' names, `NULL`s included,
//! `DECIMAL` as a plain number, days and milliseconds as integers, bytes in base64.

use std::io::Write;

use super::super::base64;
use super::super::number::double_text;
use super::text::write_string;
use crate::types::SqlType;
use crate::value::Value;

/// Appends an object.
pub(in super::super) fn write_object<'a>(
    members: impl Iterator<Item = (&'a str, &'a SqlType, &'a Value)>,
    output: &mut Vec<u8>,
) {
    output.push(b'{');
    for (index, (name, sql_type, value)) in members.enumerate() {
        if index > 0 {
            output.push(b',');
        }
        write_string(name, output);
        output.push(b':');
        write_value(value, sql_type, output);
    }
    output.push(b'}');
}

/// Appends a value. Its type gives the names of a struct's fields.
pub(in super::super) fn write_value(value: &Value, sql_type: &SqlType, output: &mut Vec<u8>) {
    match value {
        Value::Null => output.extend_from_slice(b"null"),
        Value::Boolean(true) => output.extend_from_slice(b"true"),
        Value::Boolean(false) => output.extend_from_slice(b"false"),
        Value::Integer(number) | Value::Date(number) | Value::Time(number) => {
            write_integer(i64::from(*number), output);
        }
        Value::Bigint(number) | Value::Timestamp(number) => write_integer(*number, output),
        Value::Double(number) if number.is_finite() => {
            output.extend_from_slice(double_text(*number).as_bytes());
        }
        Value::Double(number) => write_string(&double_text(*number), output),
        Value::Decimal(number) => output.extend_from_slice(number.to_plain_string().as_bytes()),
        Value::String(text) => write_string(text, output),
        Value::Bytes(bytes) => write_string(&base64::encode(bytes), output),
        Value::Array(elements) => {
            let element_type = match sql_type {
                SqlType::Array(element) => element.as_ref(),
                other => other,
            };
            output.push(b'[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    output.push(b',');
                }
                write_value(element, element_type, output);
            }
            output.push(b']');
        }
        Value::Map(entries) => {
            let value_type = match sql_type {
                SqlType::Map(_, value) => value.as_ref(),
                other => other,
            };
            write_object(
                entries.iter().map(|(key, value)| (&**key, value_type, value)),
                output,
            );
        }
        Value::Struct(values) => {
            let fields = match sql_type {
                SqlType::Struct(fields) => fields.as_slice(),
                _ => &[],
            };
            let members = fields.iter().zip(values.iter());
            write_object(
                members.map(|(field, value)| (field.name.as_str(), &field.sql_type, value)),
                output,
            );
        }
    }
}

fn write_integer(number: i64, output: &mut Vec<u8>) {
    // Memory takes whatever is written to it.
    let _ = write!(output, "{number}");
}
