//! Signs, arithmetic, comparisons, `IN` and `CASE`.

use super::super::arithmetic::{Arithmetic, is_number};
use super::super::compare::{Comparison, is_comparable, is_temporal, names};
use super::super::temporal::parse_timestamp;
use super::super::{Expr, text};
use super::coercion::widen;
use super::{Compiler, Typed, base_name, processing_error};
use crate::plan::{PlanError, Stage};
use crate::syntax::ast::{self, BinaryOperator, ExpressionKind, Literal, UnaryOperator};
use crate::types::SqlType;
use crate::value::Value;

impl Compiler<'_> {
    pub(super) fn sign(
        &mut self,
        expression: &ast::Expression,
        operator: UnaryOperator,
        inner: &ast::Expression,
    ) -> Result<Typed, PlanError> {
        let inner = self.expression(inner)?;
        if !inner.sql_type.as_ref().is_some_and(is_number) {
            let found = base_name(inner.sql_type.as_ref());
            return Err(processing_error(
                expression,
                &format!("Unsupported arithmetic type. {found}"),
            ));
        }
        let expr = match operator {
            UnaryOperator::Plus => inner.expr,
            UnaryOperator::Minus | UnaryOperator::Not => Expr::Negate(Box::new(inner.expr)),
        };
        Ok(Typed { expr, ..inner })
    }

    pub(super) fn binary(
        &mut self,
        expression: &ast::Expression,
        left: &ast::Expression,
        operator: BinaryOperator,
        right: &ast::Expression,
    ) -> Result<Typed, PlanError> {
        let boolean = |expr| {
            Ok(Typed {
                expr,
                sql_type: Some(SqlType::Boolean),
            })
        };
        match operator {
            BinaryOperator::And => boolean(Expr::And(vec![self.boolean(left)?, self.boolean(right)?])),
            BinaryOperator::Or => boolean(Expr::Or(vec![self.boolean(left)?, self.boolean(right)?])),
            BinaryOperator::IsDistinctFrom | BinaryOperator::IsNotDistinctFrom => {
                let wanted = operator == BinaryOperator::IsNotDistinctFrom;
                let (left, right) = self.comparable(left, operator, right)?;
                boolean(Expr::SameAs(wanted, Box::new(left), Box::new(right)))
            }
            _ => match Comparison::of(operator) {
                Some(comparison) => {
                    let (left, right) = self.comparable(left, operator, right)?;
                    boolean(Expr::Compare(comparison, Box::new(left), Box::new(right)))
                }
                None => {
                    let (left, right) = (self.expression(left)?, self.expression(right)?);
                    arithmetic(left, operator, right, || expression.clone())
                }
            },
        }
    }

    /// Operators of one rank, from left to right.
    pub(super) fn chain(
        &mut self,
        first: &ast::Expression,
        rest: &[(BinaryOperator, ast::Expression)],
    ) -> Result<Typed, PlanError> {
        let operands = || std::iter::once(first).chain(rest.iter().map(|(_, operand)| operand));
        let connected = match rest.first() {
            Some((BinaryOperator::And, _)) => Some(Expr::And as fn(Vec<Expr>) -> Expr),
            Some((BinaryOperator::Or, _)) => Some(Expr::Or as fn(Vec<Expr>) -> Expr),
            _ => None,
        };
        if let Some(connected) = connected {
            let operands: Result<_, _> = operands().map(|operand| self.boolean(operand)).collect();
            return Ok(Typed {
                expr: connected(operands?),
                sql_type: Some(SqlType::Boolean),
            });
        }
        let mut typed = self.expression(first)?;
        for (place, (operator, operand)) in rest.iter().enumerate() {
            let right = self.expression(operand)?;
            typed = arithmetic(typed, *operator, right, || {
                let before = rest[..=place].iter().cloned();
                before.fold(first.clone(), |left, (operator, right)| {
                    left.operation(operator, right)
                })
            })?;
        }
        Ok(typed)
    }

    /// Both sides of a comparison; a text compared with a date or time is read as one.
    pub(super) fn comparable(
        &mut self,
        left: &ast::Expression,
        operator: BinaryOperator,
        right: &ast::Expression,
    ) -> Result<(Expr, Expr), PlanError> {
        let (left_text, right_text) = (text(left), text(right));
        let (left, right) = (self.compared(left, right)?, self.compared(right, left)?);
        let (name, sign) = names(operator);
        let statement = format!("({left_text} {sign} {right_text})");
        let (Some(left_type), Some(right_type)) = (&left.sql_type, &right.sql_type) else {
            if matches!(name, "IS_DISTINCT_FROM" | "IS_NOT_DISTINCT_FROM") {
                return Ok((left.expr, right.expr));
            }
            return Err(self.comparison_error(
                &statement,
                &format!(
                    "Comparison with NULL not supported: {} {sign} {}\nUse 'IS NULL' or 'IS NOT NULL' instead.",
                    base_name(left.sql_type.as_ref()).to_uppercase(),
                    base_name(right.sql_type.as_ref()).to_uppercase()
                ),
            ));
        };
        if !is_comparable(operator, left_type, right_type) {
            let message = format!(
                "Cannot compare {left_text} ({left_type}) to {right_text} ({right_type}) with {name}."
            );
            return Err(self.comparison_error(&statement, &message));
        }
        let (left_type, right_type) = (left_type.clone(), right_type.clone());
        if is_temporal(&left_type) && right_type == SqlType::String {
            Ok((left.expr, widen(right, Some(&left_type))))
        } else if is_temporal(&right_type) && left_type == SqlType::String {
            Ok((widen(left, Some(&right_type)), right.expr))
        } else {
            Ok((left.expr, right.expr))
        }
    }

    /// A bound of `BETWEEN`. What does not compare is found when it has become code.
    pub(super) fn bounded(
        &mut self,
        value: &ast::Expression,
        operator: BinaryOperator,
        bound: &ast::Expression,
    ) -> Result<(Expr, Expr), PlanError> {
        if self.expression(bound)?.sql_type.is_none() || self.expression(value)?.sql_type.is_none() {
            return Err(PlanError::internal("BETWEEN has no NULL for a bound"));
        }
        self.comparable(value, operator, bound)
            .map_err(|error| match error.position {
                Some(_) => error,
                None => PlanError::in_stage(
                    Stage::Coding,
                    format!(
                        "Line 1, Column 154: Operator \"{}\" not allowed on reference operands",
                        names(operator).1
                    ),
                ),
            })
    }

    fn comparison_error(&self, statement: &str, message: &str) -> PlanError {
        PlanError::new(format!(
            "Error in {} expression: {message}\nStatement: {statement}",
            self.clause
        ))
    }

    /// A side of a comparison. In a condition a text beside `ROWTIME` is read as a time.
    fn compared(&mut self, side: &ast::Expression, other: &ast::Expression) -> Result<Typed, PlanError> {
        let (ExpressionKind::Literal(Literal::String(time)), ExpressionKind::Column { name, .. }) =
            (&side.kind, &other.kind)
        else {
            return self.expression(side);
        };
        if self.clause != "WHERE" || name != "ROWTIME" {
            return self.expression(side);
        }
        let Some(ms) = parse_timestamp(time) else {
            return Err(PlanError::new(format!(
                "Failed to parse timestamp '{time}': the form is yyyy-MM-dd'T'HH:mm:ss.SSS[Z], its end may be missing"
            )));
        };
        Ok(Typed {
            expr: Expr::Constant(Value::Bigint(ms)),
            sql_type: Some(SqlType::Bigint),
        })
    }

    pub(super) fn membership(
        &mut self,
        value: &ast::Expression,
        list: &[ast::Expression],
    ) -> Result<Expr, PlanError> {
        let values = std::iter::once(value).chain(list);
        let (mut values, _) = self.of_one_type(values).map_err(|error| match error.position {
            None if error.stage == Stage::Planning && !error.message.starts_with("Error") => {
                PlanError::in_stage(Stage::Coding, error.message)
            }
            _ => error,
        })?;
        let value = values.remove(0);
        Ok(Expr::In(Box::new(value), values))
    }

    pub(super) fn case(
        &mut self,
        operand: Option<&ast::Expression>,
        branches: &[(ast::Expression, ast::Expression)],
        otherwise: Option<&ast::Expression>,
    ) -> Result<Typed, PlanError> {
        if operand.is_some() {
            return Err(PlanError::in_stage(
                Stage::Server,
                "CASE with a value (`CASE x WHEN 1 THEN …`) does not run, as on ksqlDB's own server. Write the conditions out: `CASE WHEN x = 1 THEN …`",
            ));
        }
        let mut conditions = Vec::new();
        let mut results: Vec<Typed> = Vec::new();
        let mut result_type: Option<SqlType> = None;
        for (condition, result) in branches {
            let typed = self.expression(condition)?;
            match &typed.sql_type {
                Some(SqlType::Boolean) => conditions.push(typed.expr),
                None => return Err(PlanError::internal("a condition of CASE is NULL")),
                Some(other) => {
                    return Err(PlanError::new(format!(
                        "WHEN operand type should be boolean.\nType for '{}' is {other}",
                        text(condition),
                    )));
                }
            }
            let typed = self.expression(result)?;
            if let (Some(first), Some(found)) = (&result_type, &typed.sql_type)
                && first != found
            {
                return Err(PlanError::new(format!(
                    "Invalid Case expression. Type for all 'THEN' clauses should be the same.\n\
                     THEN expression '{}' has type: {found}.\nPrevious THEN expression(s) type: {first}.",
                    text(result),
                )));
            }
            result_type = result_type.or_else(|| typed.sql_type.clone());
            results.push(typed);
        }
        let default = match otherwise {
            None => Typed {
                expr: Expr::Constant(Value::Null),
                sql_type: None,
            },
            Some(otherwise) => {
                let typed = self.expression(otherwise)?;
                if let (Some(then), Some(found)) = (&result_type, &typed.sql_type)
                    && then != found
                {
                    return Err(PlanError::new(format!(
                        "Invalid Case expression. Type for the default clause should be the same as for 'THEN' clauses.\n\
                         THEN type: {then}.\nDEFAULT type: {found}."
                    )));
                }
                result_type = result_type.or_else(|| typed.sql_type.clone());
                typed
            }
        };
        if result_type.is_none() {
            return Err(PlanError::new(
                "Invalid Case expression. All case branches have a NULL type",
            ));
        }
        let results = results.into_iter().map(|result| result.expr);
        Ok(Typed {
            expr: Expr::Case(
                conditions.into_iter().zip(results).collect(),
                Box::new(default.expr),
            ),
            sql_type: result_type,
        })
    }
}

/// `left operator right`; `expression` is what is written, for errors.
fn arithmetic(
    left: Typed,
    operator: BinaryOperator,
    right: Typed,
    expression: impl Fn() -> ast::Expression,
) -> Result<Typed, PlanError> {
    let (Some(left_type), Some(right_type)) = (&left.sql_type, &right.sql_type) else {
        let message = format!(
            "Arithmetic on types {} and {} are not supported.",
            base_name(left.sql_type.as_ref()),
            base_name(right.sql_type.as_ref())
        );
        return Err(processing_error(&expression(), &message));
    };
    let strings = *left_type == SqlType::String && *right_type == SqlType::String;
    if operator == BinaryOperator::Add && strings {
        let mut operands = match left.expr {
            Expr::Concatenate(operands) => operands,
            single => vec![single],
        };
        operands.push(right.expr);
        return Ok(Typed {
            expr: Expr::Concatenate(operands),
            sql_type: Some(SqlType::String),
        });
    }
    let Some((arithmetic, result)) = Arithmetic::between(operator, left_type, right_type) else {
        let message = format!(
            "Unsupported arithmetic types. {} {}",
            base_name(Some(left_type)),
            base_name(Some(right_type))
        );
        return Err(processing_error(&expression(), &message));
    };
    let (first, mut rest) = match left.expr {
        Expr::Arithmetic(first, rest) => (first, rest),
        single => (Box::new(single), Vec::new()),
    };
    rest.push((arithmetic, right.expr));
    Ok(Typed {
        expr: Expr::Arithmetic(first, rest),
        sql_type: Some(result),
    })
}
