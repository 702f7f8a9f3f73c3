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
    let position = expression.position;
    let binary = |left: Expression, operator, right: Expression| Expression {
        kind: ExpressionKind::Binary(Box::new(left), operator, Box::new(right)),
        position,
    };
    match expression.kind {
        ExpressionKind::In { value, list } if list.len() <= MOST_ALTERNATIVES => {
            let equal = list
                .iter()
                .map(|member| binary((*value).clone(), BinaryOperator::Equal, member.clone()));
            let all = equal.reduce(|left, right| binary(left, BinaryOperator::Or, right));
            all.unwrap_or(Expression {
                kind: ExpressionKind::Literal(Literal::Boolean(false)),
                position,
            })
        }
        ExpressionKind::Between { value, low, high } => {
            let low = binary((*value).clone(), BinaryOperator::GreaterOrEqual, *low);
            let high = binary(*value, BinaryOperator::LessOrEqual, *high);
            binary(low, BinaryOperator::And, high)
        }
        ExpressionKind::Binary(left, operator @ (BinaryOperator::And | BinaryOperator::Or), right) => {
            binary(written_out(*left), operator, written_out(*right))
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
    let mut all = match &filter.kind {
        ExpressionKind::Binary(left, BinaryOperator::Or, right) => {
            let mut all = alternatives(left);
            all.extend(alternatives(right));
            all
        }
        ExpressionKind::Binary(left, BinaryOperator::And, right) => {
            let (left, right) = (alternatives(left), alternatives(right));
            if left.len().saturating_mul(right.len()) > MOST_ALTERNATIVES {
                return vec![vec![filter]];
            }
            let pairs = left
                .iter()
                .flat_map(|left| right.iter().map(move |right| [left.as_slice(), right].concat()));
            pairs.collect()
        }
        _ => vec![vec![filter]],
    };
    if all.len() > MOST_ALTERNATIVES {
        all = vec![vec![filter]];
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
