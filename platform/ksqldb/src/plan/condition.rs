//! The condition of a pull query, taken apart: alternatives of comparisons, and texts that are times.

use super::PlanError;
use crate::expression::{Cast, cast_between};
use crate::syntax::ast::{BinaryOperator, Expression, ExpressionKind, Literal};
use crate::types::SqlType;
use crate::value::Value;

/// A condition with more alternatives than these is answered by looking at all rows.
const MOST_ALTERNATIVES: usize = 1000;

/// Whether an expression names no column.
pub(super) fn is_constant(expression: &Expression) -> bool {
    !matches!(expression.kind, ExpressionKind::Column { .. })
        && expression.children().into_iter().all(is_constant)
}

/// A condition whose lists are alternatives, and whose `BETWEEN`s are two comparisons.
pub(super) fn written_out(mut expression: Expression) -> Expression {
    let connected = [BinaryOperator::And, BinaryOperator::Or];
    if connected.iter().any(|by| expression.connected_by(*by).is_some()) {
        for operand in expression.children_mut() {
            let nothing = Expression {
                kind: ExpressionKind::Literal(Literal::Null),
                position: operand.position,
            };
            *operand = written_out(std::mem::replace(operand, nothing));
        }
        return expression;
    }
    let position = expression.position;
    match expression.kind {
        ExpressionKind::In { value, list } if list.len() <= MOST_ALTERNATIVES => {
            let equal = list
                .iter()
                .map(|member| (*value).clone().operation(BinaryOperator::Equal, member.clone()));
            let all = equal.reduce(|left, right| left.operation(BinaryOperator::Or, right));
            all.unwrap_or(Expression {
                kind: ExpressionKind::Literal(Literal::Boolean(false)),
                position,
            })
        }
        ExpressionKind::Between { value, low, high } => {
            let low = (*value).clone().operation(BinaryOperator::GreaterOrEqual, *low);
            let high = value.operation(BinaryOperator::LessOrEqual, *high);
            low.operation(BinaryOperator::And, high)
        }
        kind => {
            expression.kind = kind;
            expression
        }
    }
}

/// A condition as alternatives, each of conditions that all have to hold. Where there would be too
/// many, the condition is one alternative by itself.
pub(super) fn alternatives(filter: &Expression) -> Vec<Vec<&Expression>> {
    let itself = vec![vec![filter]];
    let mut all: Vec<Vec<&Expression>> = Vec::new();
    if let Some(operands) = filter.connected_by(BinaryOperator::Or) {
        for operand in operands {
            all.extend(alternatives(operand));
            if all.len() > MOST_ALTERNATIVES {
                return itself;
            }
        }
    } else if let Some(operands) = filter.connected_by(BinaryOperator::And) {
        all.push(Vec::new());
        for operand in operands {
            let right = alternatives(operand);
            if all.len().saturating_mul(right.len()) > MOST_ALTERNATIVES {
                return itself;
            }
            // A single alternative is added to each in place: a long chain is not copied for each of its parts.
            match right.as_slice() {
                [only] => all.iter_mut().for_each(|left| left.extend(only)),
                _ => {
                    let pairs = all
                        .iter()
                        .flat_map(|left| right.iter().map(move |right| [left.as_slice(), right].concat()));
                    all = pairs.collect();
                }
            }
        }
    } else {
        return itself;
    }
    all
}

/// A text as a time.
pub(super) fn time_of(time: &str) -> Result<i64, PlanError> {
    let cast: Option<Cast> = cast_between(&SqlType::String, &SqlType::Timestamp);
    match cast.map(|cast| cast.apply(&Value::string(time))) {
        Some(Ok(Value::Timestamp(ms))) => Ok(ms),
        _ => Err(PlanError::new(format!(
            "Failed to parse timestamp '{time}': Text '{time}-01-01T00:00:00.000' could not be parsed at index 0\nRequired format is: \"yyyy-MM-dd'T'HH:mm:ss.SSS\", with an optional numeric 4-digit timezone, for example: '2020-05-26T23:59:58.000' or with tz: '2020-05-26T23:59:58.000+0200'. A trailing 'Z' instead of tz indicates the zero UTC offset. Partials are also supported, for example \"2020-05-26\""
        ))),
    }
}
