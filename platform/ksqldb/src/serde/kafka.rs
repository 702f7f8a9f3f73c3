//! The `KAFKA` format: the bytes of Kafka's own serializers, for one column of a primitive type.

use super::SerdeError;
use crate::types::SqlType;
use crate::value::Value;

/// Whether the format has values of that type.
pub(super) fn supports(sql_type: &SqlType) -> bool {
    matches!(
        sql_type,
        SqlType::Integer | SqlType::Bigint | SqlType::Double | SqlType::String | SqlType::Bytes
    )
}

/// Bytes to a value.
pub(super) fn decode(bytes: &[u8], sql_type: &SqlType) -> Result<Value, SerdeError> {
    match sql_type {
        SqlType::Integer => {
            fixed(bytes, "IntegerDeserializer").map(|b| Value::Integer(i32::from_be_bytes(b)))
        }
        SqlType::Bigint => fixed(bytes, "LongDeserializer").map(|b| Value::Bigint(i64::from_be_bytes(b))),
        SqlType::Double => fixed(bytes, "DoubleDeserializer").map(|b| Value::Double(f64::from_be_bytes(b))),
        // Kafka's own deserializer replaces what is not UTF-8 as well.
        SqlType::String => Ok(Value::string(String::from_utf8_lossy(bytes).as_ref())),
        SqlType::Bytes => Ok(Value::Bytes(bytes.into())),
        other => Err(SerdeError::new(format!(
            "The 'KAFKA' format does not support type '{other}'"
        ))),
    }
}

fn fixed<const LENGTH: usize>(bytes: &[u8], deserializer: &str) -> Result<[u8; LENGTH], SerdeError> {
    bytes
        .try_into()
        .map_err(|_| SerdeError::new(format!("Size of data received by {deserializer} is not {LENGTH}")))
}

/// A value to bytes; `None` for `NULL`.
pub(super) fn encode(value: &Value) -> Result<Option<Vec<u8>>, SerdeError> {
    match value {
        Value::Null => Ok(None),
        Value::Integer(number) => Ok(Some(number.to_be_bytes().to_vec())),
        Value::Bigint(number) => Ok(Some(number.to_be_bytes().to_vec())),
        Value::Double(number) => Ok(Some(number.to_be_bytes().to_vec())),
        Value::String(text) => Ok(Some(text.as_bytes().to_vec())),
        Value::Bytes(bytes) => Ok(Some(bytes.to_vec())),
        other => Err(SerdeError::new(format!(
            "The 'KAFKA' format does not support {other:?}"
        ))),
    }
}
