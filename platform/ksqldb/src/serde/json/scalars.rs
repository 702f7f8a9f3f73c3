//! Values that have no parts: numbers, and bytes.

use bigdecimal::BigDecimal;

use super::super::SerdeError;
use super::super::number::{double_of_text, fit_exactly, parse_decimal, precision, truncate_to_long};
use super::reader::{Kind, Reader};
use crate::value::Value;

pub(super) fn read_integer(
    reader: &mut Reader<'_>,
    kind: Kind,
    required: &'static str,
) -> Result<i32, SerdeError> {
    match kind {
        Kind::Number => read_number_as_long(reader).map(|number| number as i32),
        Kind::String => {
            let text = reader.string()?;
            text.parse().map_err(|_| not_a_number(&text, required))
        }
        _ => Err(cannot_convert(kind, required)),
    }
}

pub(super) fn read_long(
    reader: &mut Reader<'_>,
    kind: Kind,
    required: &'static str,
) -> Result<i64, SerdeError> {
    match kind {
        Kind::Number => read_number_as_long(reader),
        Kind::String => {
            let text = reader.string()?;
            text.parse().map_err(|_| not_a_number(&text, required))
        }
        _ => Err(cannot_convert(kind, required)),
    }
}

fn read_number_as_long(reader: &mut Reader<'_>) -> Result<i64, SerdeError> {
    let number = reader.number()?;
    if let Ok(integer) = number.parse() {
        return Ok(integer);
    }
    parse_decimal(number)
        .map(|decimal| truncate_to_long(&decimal))
        .ok_or_else(|| not_a_number(number, "BIGINT"))
}

pub(super) fn read_double(reader: &mut Reader<'_>, kind: Kind) -> Result<f64, SerdeError> {
    match kind {
        Kind::Number => {
            let number = reader.number()?;
            let number = number.parse().map_err(|_| not_a_number(number, "DOUBLE"))?;
            // ksqlDB reads a number as a decimal first, and decimals have no -0.
            Ok(if number == 0.0 { 0.0 } else { number })
        }
        Kind::String => {
            let text = reader.string()?;
            double_of_text(&text).ok_or_else(|| not_a_number(&text, "DOUBLE"))
        }
        _ => Err(cannot_convert(kind, "DOUBLE")),
    }
}

pub(super) fn read_decimal(
    reader: &mut Reader<'_>,
    kind: Kind,
    target_precision: u32,
    target_scale: u32,
) -> Result<BigDecimal, SerdeError> {
    let number = match kind {
        Kind::Number => {
            let number = reader.number()?;
            parse_decimal(number).ok_or_else(|| not_a_number(number, "DECIMAL"))?
        }
        Kind::String => {
            let text = reader.string()?;
            parse_decimal(&text).ok_or_else(|| not_a_number(&text, "DECIMAL"))?
        }
        _ => return Err(cannot_convert(kind, "DECIMAL")),
    };
    fit_exactly(&number, target_precision, target_scale).ok_or_else(|| {
        SerdeError::new(format!(
            "Cannot fit decimal '{}' into DECIMAL({target_precision}, {target_scale}) without rounding. (Requires {},{})",
            number.to_plain_string(),
            precision(&number),
            number.fractional_digit_count().max(0)
        ))
    })
}

pub(super) fn read_bytes(reader: &mut Reader<'_>, kind: Kind) -> Result<Value, SerdeError> {
    if kind != Kind::String {
        return Err(cannot_convert(kind, "BYTES"));
    }
    let text = reader.string()?;
    super::super::base64::decode(&text)
        .map(|bytes| Value::Bytes(bytes.into()))
        .ok_or_else(|| SerdeError::new("invalid base64"))
}

pub(super) fn cannot_convert(kind: Kind, required: &str) -> SerdeError {
    SerdeError::new(format!(
        "Can't convert type. sourceType: {}, requiredType: {required}",
        kind.name()
    ))
}

fn not_a_number(text: &str, required: &str) -> SerdeError {
    SerdeError::new(format!(
        "Can't convert type. sourceType: TextNode, requiredType: {required}: `{text}` is no such number"
    ))
}
