//! Types that widen to one another, and literals that become what stands beside them.

use super::super::arithmetic::{as_decimal, is_number};
use super::super::cast::{parse_boolean, text_of};
use super::super::compare::is_temporal;
use super::super::{Expr, cast_between};
use super::{Typed, decimal_type};
use crate::serde::number::{parse_decimal, parse_double};
use crate::types::SqlType;
use crate::value::Value;

/// The type that two types widen to; `None` on one side is `NULL` and fits everywhere.
pub(super) fn common_type(left: Option<&SqlType>, right: Option<&SqlType>) -> Option<Option<SqlType>> {
    let (Some(left), Some(right)) = (left, right) else {
        return Some(left.or(right).cloned());
    };
    if left == right {
        return Some(Some(left.clone()));
    }
    match (left, right) {
        (SqlType::Double, other) | (other, SqlType::Double) if is_number(other) => {
            Some(Some(SqlType::Double))
        }
        (SqlType::Integer, SqlType::Bigint) | (SqlType::Bigint, SqlType::Integer) => {
            Some(Some(SqlType::Bigint))
        }
        (SqlType::Array(left), SqlType::Array(right)) => {
            let element = common_type(Some(left), Some(right))??;
            Some(Some(SqlType::Array(Box::new(element))))
        }
        (SqlType::Map(left_key, left), SqlType::Map(right_key, right)) if left_key == right_key => {
            let value = common_type(Some(left), Some(right))??;
            Some(Some(SqlType::Map(left_key.clone(), Box::new(value))))
        }
        (SqlType::Struct(left), SqlType::Struct(right)) => {
            let mut fields = left.clone();
            for field in right {
                match fields.iter_mut().find(|other| other.name == field.name) {
                    None => fields.push(field.clone()),
                    Some(other) => {
                        other.sql_type = common_type(Some(&other.sql_type), Some(&field.sql_type))??;
                    }
                }
            }
            Some(Some(SqlType::Struct(fields)))
        }
        _ => {
            let (left_precision, left_scale) = as_decimal(left)?;
            let (right_precision, right_scale) = as_decimal(right)?;
            let scale = left_scale.max(right_scale);
            let integer = left_precision
                .saturating_sub(left_scale)
                .max(right_precision.saturating_sub(right_scale));
            Some(Some(SqlType::Decimal {
                precision: integer + scale,
                scale,
            }))
        }
    }
}

/// The expression as a value of a type it widens to.
pub(super) fn widen(typed: Typed, target: Option<&SqlType>) -> Expr {
    let (Some(from), Some(to)) = (&typed.sql_type, target) else {
        return typed.expr;
    };
    if from == to {
        return typed.expr;
    }
    let Some(cast) = cast_between(from, to) else {
        return typed.expr;
    };
    // A literal is converted once; if it cannot be, every row is told so.
    if let Expr::Constant(value) = &typed.expr
        && let Ok(value) = cast.apply(value)
    {
        return Expr::Constant(value);
    }
    Expr::Cast(Box::new(cast), Box::new(typed.expr))
}

/// A literal as a value of the type that the first value of its list has: any literal becomes a text,
/// a text becomes a number or a truth that it spells, or a date or time.
pub(super) fn adapt(typed: Typed, first: Option<&SqlType>) -> Typed {
    let (Some(first), Some(own)) = (first, &typed.sql_type) else {
        return typed;
    };
    if *own == SqlType::String && is_temporal(first) {
        return Typed {
            sql_type: Some(first.clone()),
            expr: widen(typed, Some(first)),
        };
    }
    let Expr::Constant(value) = &typed.expr else {
        return typed;
    };
    let adapted = match (first, value) {
        (SqlType::String, Value::String(_)) => None,
        (SqlType::String, other) => Some((Value::string(text_of(other, own)), SqlType::String)),
        (SqlType::Boolean, Value::String(text)) => {
            parse_boolean(text).map(|truth| (Value::Boolean(truth), SqlType::Boolean))
        }
        (first, Value::String(text)) if is_number(first) => number(text.trim()),
        _ => None,
    };
    match adapted {
        Some((value, sql_type)) => Typed {
            expr: Expr::Constant(value),
            sql_type: Some(sql_type),
        },
        None => typed,
    }
}

/// The number that a text spells, of the narrowest type that holds it.
fn number(text: &str) -> Option<(Value, SqlType)> {
    if let Ok(number) = text.parse() {
        return Some((Value::Integer(number), SqlType::Integer));
    }
    if let Ok(number) = text.parse() {
        return Some((Value::Bigint(number), SqlType::Bigint));
    }
    if text.contains(['e', 'E']) {
        return parse_double(text).map(|number| (Value::Double(number), SqlType::Double));
    }
    let number = parse_decimal(text)?;
    let sql_type = decimal_type(&number);
    Some((Value::Decimal(number), sql_type))
}
