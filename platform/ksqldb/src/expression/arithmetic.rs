//! `+ - * / %` with ksqlDB's result types: integers wrap and divide as Java's do, decimals grow.

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive, Zero};

use super::EvaluationError;
use crate::serde::number::{double_text, fit_exactly, parse_decimal};
use crate::syntax::ast::BinaryOperator;
use crate::types::SqlType;
use crate::value::Value;

/// An operation on numbers of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arithmetic {
    operation: Operation,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Bigint,
    Double,
    Decimal { precision: u32, scale: u32 },
}

impl Arithmetic {
    /// The operation on two types and the type of its result; `None` where there is none.
    pub(crate) fn between(
        operator: BinaryOperator,
        left: &SqlType,
        right: &SqlType,
    ) -> Option<(Self, SqlType)> {
        let operation = match operator {
            BinaryOperator::Add => Operation::Add,
            BinaryOperator::Subtract => Operation::Subtract,
            BinaryOperator::Multiply => Operation::Multiply,
            BinaryOperator::Divide => Operation::Divide,
            BinaryOperator::Modulo => Operation::Modulo,
            _ => return None,
        };
        let (kind, result) = match (left, right) {
            (SqlType::Double, right) if is_number(right) => (Kind::Double, SqlType::Double),
            (left, SqlType::Double) if is_number(left) => (Kind::Double, SqlType::Double),
            (SqlType::Integer, SqlType::Integer) => (Kind::Integer, SqlType::Integer),
            (SqlType::Integer | SqlType::Bigint, SqlType::Integer | SqlType::Bigint) => {
                (Kind::Bigint, SqlType::Bigint)
            }
            _ => {
                let (precision, scale) = decimal_result(operation, as_decimal(left)?, as_decimal(right)?);
                (
                    Kind::Decimal { precision, scale },
                    SqlType::Decimal { precision, scale },
                )
            }
        };
        Some((Self { operation, kind }, result))
    }

    /// Computes; an error where an operand is `NULL`.
    pub(crate) fn apply(self, left: &Value, right: &Value) -> Result<Value, EvaluationError> {
        if left.is_null() || right.is_null() {
            return Err(EvaluationError::null_operand());
        }
        match self.kind {
            Kind::Integer => {
                let result = self.long(as_long(left)?, as_long(right)?)?;
                // Java's `int` arithmetic keeps the low bits, and so does this.
                Ok(Value::Integer(result as i32))
            }
            Kind::Bigint => self.long(as_long(left)?, as_long(right)?).map(Value::Bigint),
            Kind::Double => {
                let (left, right) = (as_double(left)?, as_double(right)?);
                Ok(Value::Double(match self.operation {
                    Operation::Add => left + right,
                    Operation::Subtract => left - right,
                    Operation::Multiply => left * right,
                    Operation::Divide => left / right,
                    Operation::Modulo => left % right,
                }))
            }
            Kind::Decimal { precision, scale } => {
                self.decimal(&decimal_of(left)?, &decimal_of(right)?, precision, scale)
            }
        }
    }

    fn long(self, left: i64, right: i64) -> Result<i64, EvaluationError> {
        let by_zero = || EvaluationError::new("/ by zero");
        Ok(match self.operation {
            Operation::Add => left.wrapping_add(right),
            Operation::Subtract => left.wrapping_sub(right),
            Operation::Multiply => left.wrapping_mul(right),
            Operation::Divide if right == 0 => return Err(by_zero()),
            Operation::Divide => left.wrapping_div(right),
            Operation::Modulo if right == 0 => return Err(by_zero()),
            Operation::Modulo => left.wrapping_rem(right),
        })
    }

    /// An exact result; an error where it has more digits than its type.
    fn decimal(
        self,
        left: &BigDecimal,
        right: &BigDecimal,
        precision: u32,
        scale: u32,
    ) -> Result<Value, EvaluationError> {
        let result = match self.operation {
            Operation::Add => left + right,
            Operation::Subtract => left - right,
            Operation::Multiply => left * right,
            Operation::Divide | Operation::Modulo if right.is_zero() => {
                return Err(EvaluationError::new("Division by zero"));
            }
            Operation::Divide => {
                let quotient = (left / right).with_scale_round(i64::from(scale), RoundingMode::Down);
                if &quotient * right != *left {
                    return Err(EvaluationError::new("Rounding necessary"));
                }
                quotient
            }
            Operation::Modulo => left % right,
        };
        fit_exactly(&result, precision, scale)
            .map(Value::Decimal)
            .ok_or_else(|| EvaluationError::new("Rounding necessary"))
    }
}

/// Whether a type is a number.
pub(crate) fn is_number(sql_type: &SqlType) -> bool {
    matches!(
        sql_type,
        SqlType::Integer | SqlType::Bigint | SqlType::Double | SqlType::Decimal { .. }
    )
}

/// Precision and scale of a number that is no `DOUBLE`.
pub(crate) fn as_decimal(sql_type: &SqlType) -> Option<(u32, u32)> {
    match sql_type {
        SqlType::Integer => Some((10, 0)),
        SqlType::Bigint => Some((19, 0)),
        SqlType::Decimal { precision, scale } => Some((*precision, *scale)),
        _ => None,
    }
}

/// ksqlDB's rules for the type of a decimal result.
fn decimal_result(operation: Operation, left: (u32, u32), right: (u32, u32)) -> (u32, u32) {
    let ((left_precision, left_scale), (right_precision, right_scale)) = (left, right);
    let left_integer = left_precision.saturating_sub(left_scale);
    let right_integer = right_precision.saturating_sub(right_scale);
    match operation {
        Operation::Add | Operation::Subtract => {
            let scale = left_scale.max(right_scale);
            (scale + left_integer.max(right_integer) + 1, scale)
        }
        Operation::Multiply => (left_precision + right_precision + 1, left_scale + right_scale),
        Operation::Divide => {
            let scale = 6.max(left_scale + right_precision + 1);
            (left_integer + right_scale + scale, scale)
        }
        Operation::Modulo => {
            let scale = left_scale.max(right_scale);
            (left_integer.min(right_integer) + scale, scale)
        }
    }
}

fn as_long(value: &Value) -> Result<i64, EvaluationError> {
    match value {
        Value::Integer(number) => Ok(i64::from(*number)),
        Value::Bigint(number) => Ok(*number),
        other => Err(EvaluationError::new(format!("{other:?} is no integer"))),
    }
}

/// Any number as a `DOUBLE`.
pub(crate) fn as_double(value: &Value) -> Result<f64, EvaluationError> {
    match value {
        Value::Integer(number) => Ok(f64::from(*number)),
        Value::Bigint(number) => Ok(*number as f64),
        Value::Double(number) => Ok(*number),
        Value::Decimal(number) => Ok(number.to_f64().unwrap_or(f64::NAN)),
        other => Err(EvaluationError::new(format!("{other:?} is no number"))),
    }
}

/// Any finite number as a `DECIMAL`; a `DOUBLE` by its shortest digits.
pub(crate) fn decimal_of(value: &Value) -> Result<BigDecimal, EvaluationError> {
    match value {
        Value::Integer(number) => Ok(BigDecimal::from(*number)),
        Value::Bigint(number) => Ok(BigDecimal::from(*number)),
        Value::Decimal(number) => Ok(number.clone()),
        Value::Double(number) if number.is_finite() => parse_decimal(&double_text(*number))
            .ok_or_else(|| EvaluationError::new(format!("{number} is no decimal number"))),
        other => Err(EvaluationError::new(format!("{other:?} is no decimal number"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(precision: u32, scale: u32) -> SqlType {
        SqlType::Decimal { precision, scale }
    }

    #[test]
    fn decimals_grow_as_ksqldb_says() {
        let (left, right) = (decimal(5, 2), decimal(4, 3));
        let result = |operator| Arithmetic::between(operator, &left, &right).map(|(_, result)| result);
        assert_eq!(result(BinaryOperator::Add), Some(decimal(7, 3)));
        assert_eq!(result(BinaryOperator::Multiply), Some(decimal(10, 5)));
        assert_eq!(result(BinaryOperator::Divide), Some(decimal(13, 7)));
        assert_eq!(result(BinaryOperator::Modulo), Some(decimal(4, 3)));
        let with_integer = Arithmetic::between(BinaryOperator::Add, &left, &SqlType::Integer);
        assert_eq!(with_integer.map(|(_, result)| result), Some(decimal(13, 2)));
    }

    #[test]
    fn integers_wrap_and_refuse_zero() {
        let (add, result) = Arithmetic::between(BinaryOperator::Add, &SqlType::Integer, &SqlType::Integer)
            .expect("integers add");
        assert_eq!(result, SqlType::Integer);
        assert_eq!(
            add.apply(&Value::Integer(i32::MAX), &Value::Integer(1)),
            Ok(Value::Integer(i32::MIN))
        );
        let (divide, _) = Arithmetic::between(BinaryOperator::Divide, &SqlType::Bigint, &SqlType::Integer)
            .expect("integers divide");
        assert!(divide.apply(&Value::Bigint(1), &Value::Integer(0)).is_err());
        assert_eq!(
            divide.apply(&Value::Bigint(i64::MIN), &Value::Integer(-1)),
            Ok(Value::Bigint(i64::MIN))
        );
        assert!(divide.apply(&Value::Null, &Value::Integer(0)).is_err());
    }

    #[test]
    fn strings_have_no_arithmetic() {
        assert!(Arithmetic::between(BinaryOperator::Add, &SqlType::String, &SqlType::Integer).is_none());
    }
}
