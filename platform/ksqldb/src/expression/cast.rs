//! `CAST`: which types convert, and how the texts look.

use std::sync::Arc;

use super::EvaluationError;
use super::arithmetic::{as_decimal, as_double, decimal_of};
use super::temporal::{parse_date, parse_time, parse_timestamp};
use crate::calendar::{date_text, time_text, timestamp_text};
use crate::serde::number::{double_text, parse_decimal, parse_double, round_to_fit, truncate_to_long};
use crate::types::{SqlType, StructField};
use crate::value::Value;

const MS_PER_DAY: i64 = 86_400_000;

/// A conversion between two types that convert.
#[derive(Debug, Clone)]
pub(crate) enum Cast {
    /// The value stays.
    Identity,
    ToInteger,
    ToBigint,
    ToDouble,
    ToDecimal {
        precision: u32,
        scale: u32,
    },
    /// The type gives the names of a struct's fields.
    ToString(SqlType),
    ToBoolean,
    ToDate,
    ToTime,
    ToTimestamp,
    /// From base64.
    ToBytes,
    Array(Box<Cast>),
    Map(Box<Cast>),
    /// For each target field the source field's place and its conversion; `None`: it has no source.
    Struct(Vec<Option<(usize, Cast)>>),
}

/// The conversion from one type to another; `None` where there is none.
pub(crate) fn cast_between(from: &SqlType, to: &SqlType) -> Option<Cast> {
    if from == to {
        return Some(Cast::Identity);
    }
    let from_number = matches!(from, SqlType::Double) || as_decimal(from).is_some();
    let from_string = *from == SqlType::String;
    match to {
        SqlType::Integer if from_number || from_string => Some(Cast::ToInteger),
        SqlType::Bigint if from_number || from_string => Some(Cast::ToBigint),
        SqlType::Double if from_number || from_string => Some(Cast::ToDouble),
        SqlType::Decimal { precision, scale } if from_number || from_string => Some(Cast::ToDecimal {
            precision: *precision,
            scale: *scale,
        }),
        SqlType::String if *from != SqlType::Bytes => Some(Cast::ToString(from.clone())),
        SqlType::Boolean if from_string => Some(Cast::ToBoolean),
        SqlType::Date if from_string || *from == SqlType::Timestamp => Some(Cast::ToDate),
        SqlType::Time if from_string || *from == SqlType::Timestamp => Some(Cast::ToTime),
        SqlType::Bytes if from_string => Some(Cast::ToBytes),
        SqlType::Timestamp if from_string || *from == SqlType::Date => Some(Cast::ToTimestamp),
        SqlType::Array(target) => match from {
            SqlType::Array(source) => cast_between(source, target).map(|cast| Cast::Array(Box::new(cast))),
            _ => None,
        },
        SqlType::Map(target_key, target) => match from {
            SqlType::Map(source_key, source) if source_key == target_key => {
                cast_between(source, target).map(|cast| Cast::Map(Box::new(cast)))
            }
            _ => None,
        },
        SqlType::Struct(target) => match from {
            SqlType::Struct(source) => struct_cast(source, target),
            _ => None,
        },
        _ => None,
    }
}

fn struct_cast(source: &[StructField], target: &[StructField]) -> Option<Cast> {
    let field_cast = |field: &StructField| {
        let place = source.iter().position(|other| other.name == field.name);
        match place {
            None => Some(None),
            Some(place) => {
                cast_between(&source[place].sql_type, &field.sql_type).map(|cast| Some((place, cast)))
            }
        }
    };
    target
        .iter()
        .map(field_cast)
        .collect::<Option<Vec<_>>>()
        .map(Cast::Struct)
}

impl Cast {
    /// Converts; `NULL` stays `NULL`.
    pub(crate) fn apply(&self, value: &Value) -> Result<Value, EvaluationError> {
        if value.is_null() {
            return Ok(Value::Null);
        }
        match self {
            Self::Identity => Ok(value.clone()),
            Self::ToInteger => to_integer(value).map(Value::Integer),
            Self::ToBigint => to_long(value).map(Value::Bigint),
            Self::ToDouble => match value {
                Value::String(text) => parse_double(text).ok_or_else(|| cannot(text, "DOUBLE")),
                other => as_double(other),
            }
            .map(Value::Double),
            Self::ToDecimal { precision, scale } => to_decimal(value, *precision, *scale),
            Self::ToString(sql_type) => Ok(Value::string(text_of(value, sql_type))),
            Self::ToBoolean => match value {
                Value::String(text) => Ok(Value::Boolean(parse_boolean(text).unwrap_or(false))),
                other => Err(unexpected(other)),
            },
            Self::ToDate => match value {
                Value::String(text) => parse_date(text).ok_or_else(|| cannot(text, "DATE")),
                Value::Timestamp(ms) => {
                    i32::try_from(ms.div_euclid(MS_PER_DAY)).map_err(|_| cannot(&ms.to_string(), "DATE"))
                }
                other => Err(unexpected(other)),
            }
            .map(Value::Date),
            Self::ToTime => match value {
                Value::String(text) => parse_time(text).ok_or_else(|| cannot(text, "TIME")),
                // The remainder is below a day's 86,400,000.
                Value::Timestamp(ms) => Ok(ms.rem_euclid(MS_PER_DAY) as i32),
                other => Err(unexpected(other)),
            }
            .map(Value::Time),
            Self::ToTimestamp => match value {
                Value::String(text) => parse_timestamp(text).ok_or_else(|| cannot(text, "TIMESTAMP")),
                Value::Date(days) => Ok(i64::from(*days) * MS_PER_DAY),
                other => Err(unexpected(other)),
            }
            .map(Value::Timestamp),
            Self::ToBytes => match value {
                Value::String(text) => crate::serde::base64::decode(text)
                    .map(|bytes| Value::Bytes(bytes.into()))
                    .ok_or_else(|| cannot(text, "BYTES")),
                other => Err(unexpected(other)),
            },
            Self::Array(cast) => match value {
                Value::Array(elements) => elements
                    .iter()
                    .map(|element| cast.apply(element))
                    .collect::<Result<Arc<[Value]>, _>>()
                    .map(Value::Array),
                other => Err(unexpected(other)),
            },
            Self::Map(cast) => match value {
                Value::Map(entries) => entries
                    .iter()
                    .map(|(key, value)| Ok((Arc::clone(key), cast.apply(value)?)))
                    .collect::<Result<Arc<[_]>, _>>()
                    .map(Value::Map),
                other => Err(unexpected(other)),
            },
            Self::Struct(fields) => match value {
                Value::Struct(values) => fields
                    .iter()
                    .map(|field| match field {
                        None => Ok(Value::Null),
                        Some((place, cast)) => cast.apply(&values[*place]),
                    })
                    .collect::<Result<Arc<[Value]>, _>>()
                    .map(Value::Struct),
                other => Err(unexpected(other)),
            },
        }
    }
}

fn unexpected(value: &Value) -> EvaluationError {
    EvaluationError::new(format!("cannot cast {value:?}"))
}

fn cannot(text: &str, target: &str) -> EvaluationError {
    EvaluationError::new(format!("cannot cast '{text}' to {target}"))
}

fn to_integer(value: &Value) -> Result<i32, EvaluationError> {
    match value {
        Value::String(text) => text.trim().parse().map_err(|_| cannot(text, "INTEGER")),
        // As Java's `Double.intValue`: cut off, the nearest end where out of range.
        Value::Double(number) => Ok(*number as i32),
        // As Java's `intValue` of longs and decimals: the low bits.
        other => to_long(other).map(|number| number as i32),
    }
}

fn to_long(value: &Value) -> Result<i64, EvaluationError> {
    match value {
        Value::Integer(number) => Ok(i64::from(*number)),
        Value::Bigint(number) => Ok(*number),
        Value::Double(number) => Ok(*number as i64),
        Value::Decimal(number) => Ok(truncate_to_long(number)),
        Value::String(text) => text.trim().parse().map_err(|_| cannot(text, "BIGINT")),
        other => Err(unexpected(other)),
    }
}

fn to_decimal(value: &Value, precision: u32, scale: u32) -> Result<Value, EvaluationError> {
    let number = match value {
        Value::String(text) => parse_decimal(text).ok_or_else(|| cannot(text, "DECIMAL"))?,
        other => decimal_of(other)?,
    };
    round_to_fit(&number, precision, scale)
        .map(Value::Decimal)
        .ok_or_else(|| {
            EvaluationError::new(format!(
                "Numeric field overflow: A field with precision {precision} and scale {scale} \
                 must round to an absolute value less than 10^{}. Got {}",
                precision.saturating_sub(scale),
                number.to_plain_string()
            ))
        })
}

/// The truth that a text spells: `true`, `yes`, `false`, `no` or the beginning of one, in any case.
pub(super) fn parse_boolean(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    let spells = |word: &str| !text.is_empty() && word.starts_with(&text);
    if spells("true") || spells("yes") {
        Some(true)
    } else if spells("false") || spells("no") {
        Some(false)
    } else {
        None
    }
}

/// A value as `CAST(… AS STRING)` and string concatenation print it.
pub(crate) fn text_of(value: &Value, sql_type: &SqlType) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Bigint(number) => number.to_string(),
        Value::Double(number) => double_text(*number),
        Value::Decimal(number) => number.to_plain_string(),
        Value::String(text) => text.to_string(),
        Value::Bytes(bytes) => crate::serde::base64::encode(bytes),
        Value::Date(days) => date_text(*days),
        Value::Time(ms) => time_text(*ms),
        Value::Timestamp(ms) => timestamp_text(*ms),
        Value::Array(elements) => {
            let element_type = match sql_type {
                SqlType::Array(element) => element.as_ref(),
                other => other,
            };
            let texts: Vec<_> = elements.iter().map(|item| text_of(item, element_type)).collect();
            format!("[{}]", texts.join(", "))
        }
        Value::Map(entries) => {
            let value_type = match sql_type {
                SqlType::Map(_, value) => value.as_ref(),
                other => other,
            };
            let texts: Vec<_> = entries
                .iter()
                .map(|(key, value)| format!("{key}={}", text_of(value, value_type)))
                .collect();
            format!("{{{}}}", texts.join(", "))
        }
        Value::Struct(values) => {
            let fields = match sql_type {
                SqlType::Struct(fields) => fields.as_slice(),
                _ => &[],
            };
            // Java's `Struct.toString` leaves out what is null.
            let texts: Vec<_> = fields
                .iter()
                .zip(values.iter())
                .filter(|(_, value)| !value.is_null())
                .map(|(field, value)| format!("{}={}", field.name, text_of(value, &field.sql_type)))
                .collect();
            format!("Struct{{{}}}", texts.join(","))
        }
    }
}
