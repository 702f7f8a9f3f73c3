//! From the syntax of an expression to one that can be evaluated: names become places, types are checked.

use bigdecimal::BigDecimal;

use super::arithmetic::{Arithmetic, as_decimal, is_number};
use super::compare::{Comparison, is_comparable, is_temporal, names};
use super::like::Like;
use super::{Expr, Scope, cast_between, text};
use crate::functions::{self, Widening};
use crate::plan::PlanError;
use crate::serde::number::{parse_decimal, precision};
use crate::syntax::ast::{self, BinaryOperator, ExpressionKind, Literal, UnaryOperator};
use crate::types::{SqlType, StructField};
use crate::value::Value;

/// ksqlDB's functions over many rows, to tell them from names that are no functions at all.
const AGGREGATES: &[&str] = &[
    "AVG",
    "COLLECT_LIST",
    "COLLECT_SET",
    "CORRELATION",
    "COUNT",
    "COUNT_DISTINCT",
    "EARLIEST_BY_OFFSET",
    "HISTOGRAM",
    "LATEST_BY_OFFSET",
    "MAX",
    "MIN",
    "STDDEV_SAMP",
    "STDDEV_SAMPLE",
    "SUM",
    "TOPK",
    "TOPKDISTINCT",
];

/// An expression with its type; the literal `NULL` has none.
#[derive(Debug, Clone)]
pub(crate) struct Typed {
    pub(crate) expr: Expr,
    pub(crate) sql_type: Option<SqlType>,
}

/// Compiles an expression of a clause, such as `SELECT`.
pub(crate) fn compile(expression: &ast::Expression, scope: &Scope, clause: &str) -> Result<Typed, PlanError> {
    let mut compiler = Compiler {
        scope,
        clause,
        parameters: Vec::new(),
    };
    compiler.expression(expression)
}

/// Compiles a condition.
pub(crate) fn compile_filter(
    expression: &ast::Expression,
    scope: &Scope,
    clause: &str,
) -> Result<Expr, PlanError> {
    let typed = compile(expression, scope, clause).map_err(|error| match error.position {
        Some(_) => error,
        None => PlanError::new(format!("Error in {clause} expression: {}", error.message)),
    })?;
    if typed.sql_type != Some(SqlType::Boolean) {
        return Err(PlanError::new(format!(
            "Type error in {clause} expression: Should evaluate to boolean but is {} ({}) instead.",
            text(expression),
            name_of(typed.sql_type.as_ref())
        )));
    }
    Ok(typed.expr)
}

/// The name of a type without its parameters, as errors have it.
pub(super) fn base_name(sql_type: Option<&SqlType>) -> String {
    let full = name_of(sql_type);
    full.split(['<', '(']).next().unwrap_or(&full).to_owned()
}

fn name_of(sql_type: Option<&SqlType>) -> String {
    sql_type.map_or_else(|| "NULL".to_owned(), ToString::to_string)
}

/// The type that two types widen to; `None` on one side is `NULL` and fits everywhere.
pub(crate) fn common_type(left: Option<&SqlType>, right: Option<&SqlType>) -> Option<Option<SqlType>> {
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
        _ => {
            let (left_precision, left_scale) = as_decimal(left)?;
            let (right_precision, right_scale) = as_decimal(right)?;
            let scale = left_scale.max(right_scale);
            let integer = (left_precision - left_scale).max(right_precision - right_scale);
            Some(Some(SqlType::Decimal {
                precision: integer + scale,
                scale,
            }))
        }
    }
}

/// The expression as a value of a type it widens to.
pub(crate) fn widen(typed: Typed, target: Option<&SqlType>) -> Expr {
    let (Some(from), Some(to)) = (&typed.sql_type, target) else {
        return typed.expr;
    };
    if from == to {
        return typed.expr;
    }
    match cast_between(from, to) {
        Some(cast) => Expr::Cast(Box::new(cast), Box::new(typed.expr)),
        None => typed.expr,
    }
}

struct Compiler<'a> {
    scope: &'a Scope,
    clause: &'a str,
    /// The parameters of the enclosing lambdas, outermost first.
    parameters: Vec<(String, Option<SqlType>)>,
}

impl Compiler<'_> {
    fn expression(&mut self, expression: &ast::Expression) -> Result<Typed, PlanError> {
        let typed = |expr, sql_type| {
            Ok(Typed {
                expr,
                sql_type: Some(sql_type),
            })
        };
        match &expression.kind {
            ExpressionKind::Literal(literal) => Ok(compile_literal(literal)),
            ExpressionKind::Column { source, name } => {
                let parameter = self
                    .parameters
                    .iter()
                    .rposition(|(parameter, _)| source.is_none() && parameter == name);
                if let Some(place) = parameter {
                    return Ok(Typed {
                        expr: Expr::Variable(place),
                        sql_type: self.parameters[place].1.clone(),
                    });
                }
                let place = self
                    .scope
                    .resolve(self.clause, source.as_deref(), name, expression.position)?;
                typed(Expr::Column(place), self.scope.columns[place].sql_type.clone())
            }
            ExpressionKind::Unary(UnaryOperator::Not, inner) => {
                let inner = self.boolean(inner)?;
                typed(Expr::Not(Box::new(inner)), SqlType::Boolean)
            }
            ExpressionKind::Unary(operator, inner) => self.sign(expression, *operator, inner),
            ExpressionKind::Binary(left, operator, right) => self.binary(expression, left, *operator, right),
            ExpressionKind::Like {
                value,
                pattern,
                escape,
                negated,
            } => {
                let (value, pattern) = (self.expression(value)?, self.expression(pattern)?);
                let strings = [&value, &pattern]
                    .iter()
                    .all(|side| matches!(side.sql_type, None | Some(SqlType::String)));
                if !strings {
                    return Err(processing_error(expression, "LIKE needs strings."));
                }
                let like = Like::new(value.expr, pattern.expr, *escape)
                    .map_err(|error| PlanError::new(error.reason))?;
                typed(negate_if(*negated, Expr::Like(Box::new(like))), SqlType::Boolean)
            }
            ExpressionKind::In { value, list, negated } => {
                let membership = self.membership(expression, value, list)?;
                typed(negate_if(*negated, membership), SqlType::Boolean)
            }
            ExpressionKind::Between {
                value,
                low,
                high,
                negated,
            } => {
                let (value_side, low_side) = self.comparable(value, BinaryOperator::GreaterOrEqual, low)?;
                let (_, high_side) = self.comparable(value, BinaryOperator::LessOrEqual, high)?;
                let between = Expr::Between(Box::new(value_side), Box::new(low_side), Box::new(high_side));
                typed(negate_if(*negated, between), SqlType::Boolean)
            }
            ExpressionKind::IsNull { value, negated } => {
                let value = self.expression(value)?;
                let is_null = Expr::IsNull(Box::new(value.expr));
                typed(negate_if(*negated, is_null), SqlType::Boolean)
            }
            ExpressionKind::Case {
                operand,
                branches,
                otherwise,
            } => self.case(operand.as_deref(), branches, otherwise.as_deref()),
            ExpressionKind::Cast { value, target } => {
                let inner = self.expression(value)?;
                let Some(from) = &inner.sql_type else {
                    return typed(Expr::Constant(Value::Null), target.clone());
                };
                let Some(cast) = cast_between(from, target) else {
                    return Err(PlanError::new(format!(
                        "Cast of {from} to {target} is not supported"
                    )));
                };
                typed(Expr::Cast(Box::new(cast), Box::new(inner.expr)), target.clone())
            }
            ExpressionKind::Subscript { base, index } => self.subscript(expression, base, index),
            ExpressionKind::Field { base, field } => {
                let base_text = text(base);
                let base = self.expression(base)?;
                let Some(SqlType::Struct(fields)) = &base.sql_type else {
                    return Err(PlanError::new(format!(
                        "Expected STRUCT type, got: {}",
                        base_name(base.sql_type.as_ref())
                    )));
                };
                let Some(place) = fields.iter().position(|other| other.name == *field) else {
                    return Err(PlanError::new(format!(
                        "Could not find field '{field}' in '{base_text}'."
                    )));
                };
                let sql_type = fields[place].sql_type.clone();
                typed(Expr::Field(Box::new(base.expr), place), sql_type)
            }
            ExpressionKind::Call { function, arguments } => self.call(expression, function, arguments),
            ExpressionKind::Lambda { .. } => Err(processing_error(
                expression,
                "A lambda is only allowed as an argument of TRANSFORM, FILTER or REDUCE.",
            )),
            ExpressionKind::Array(items) => self.array(items),
            ExpressionKind::Map(entries) => self.map(entries),
            ExpressionKind::Struct(fields) => {
                let mut types = Vec::new();
                let mut items = Vec::new();
                for (name, item) in fields {
                    let item = self.expression(item)?;
                    let Some(sql_type) = item.sql_type else {
                        return Err(untyped_null());
                    };
                    types.push(StructField {
                        name: name.clone(),
                        sql_type,
                    });
                    items.push(item.expr);
                }
                typed(Expr::Struct(items), SqlType::Struct(types))
            }
        }
    }

    fn boolean(&mut self, expression: &ast::Expression) -> Result<Expr, PlanError> {
        let inner = self.expression(expression)?;
        if inner.sql_type != Some(SqlType::Boolean) {
            return Err(PlanError::new(format!(
                "Expected a BOOLEAN but {} is {}.",
                text(expression),
                name_of(inner.sql_type.as_ref())
            )));
        }
        Ok(inner.expr)
    }

    fn sign(
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

    fn binary(
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
            BinaryOperator::And => boolean(Expr::And(
                Box::new(self.boolean(left)?),
                Box::new(self.boolean(right)?),
            )),
            BinaryOperator::Or => boolean(Expr::Or(
                Box::new(self.boolean(left)?),
                Box::new(self.boolean(right)?),
            )),
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
                None => self.arithmetic(expression, left, operator, right),
            },
        }
    }

    fn arithmetic(
        &mut self,
        expression: &ast::Expression,
        left: &ast::Expression,
        operator: BinaryOperator,
        right: &ast::Expression,
    ) -> Result<Typed, PlanError> {
        let (left, right) = (self.expression(left)?, self.expression(right)?);
        let (Some(left_type), Some(right_type)) = (&left.sql_type, &right.sql_type) else {
            let message = format!(
                "Arithmetic on types {} and {} are not supported.",
                base_name(left.sql_type.as_ref()),
                base_name(right.sql_type.as_ref())
            );
            return Err(processing_error(expression, &message));
        };
        let strings = *left_type == SqlType::String && *right_type == SqlType::String;
        if operator == BinaryOperator::Add && strings {
            return Ok(Typed {
                expr: Expr::Concatenate(Box::new(left.expr), Box::new(right.expr)),
                sql_type: Some(SqlType::String),
            });
        }
        let Some((arithmetic, result)) = Arithmetic::between(operator, left_type, right_type) else {
            let message = format!(
                "Unsupported arithmetic types. {} {}",
                base_name(Some(left_type)),
                base_name(Some(right_type))
            );
            return Err(processing_error(expression, &message));
        };
        Ok(Typed {
            expr: Expr::Arithmetic(arithmetic, Box::new(left.expr), Box::new(right.expr)),
            sql_type: Some(result),
        })
    }

    /// Both sides of a comparison; a text compared with a date or time is read as one.
    fn comparable(
        &mut self,
        left: &ast::Expression,
        operator: BinaryOperator,
        right: &ast::Expression,
    ) -> Result<(Expr, Expr), PlanError> {
        let (left_text, right_text) = (text(left), text(right));
        let (left, right) = (self.expression(left)?, self.expression(right)?);
        let (name, sign) = names(operator);
        let (Some(left_type), Some(right_type)) = (&left.sql_type, &right.sql_type) else {
            if matches!(name, "IS_DISTINCT_FROM" | "IS_NOT_DISTINCT_FROM") {
                return Ok((left.expr, right.expr));
            }
            return Err(PlanError::new(format!(
                "Comparison with NULL not supported: {} {sign} {}\nUse 'IS NULL' or 'IS NOT NULL' instead.",
                base_name(left.sql_type.as_ref()),
                base_name(right.sql_type.as_ref())
            )));
        };
        if !is_comparable(operator, left_type, right_type) {
            return Err(PlanError::new(format!(
                "Cannot compare {left_text} ({left_type}) to {right_text} ({right_type}) with {name}."
            )));
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

    fn membership(
        &mut self,
        expression: &ast::Expression,
        value: &ast::Expression,
        list: &[ast::Expression],
    ) -> Result<Expr, PlanError> {
        let value = self.expression(value)?;
        let mut items = Vec::with_capacity(list.len());
        for item in list {
            let item = self.expression(item)?;
            let (Some(value_type), Some(item_type)) = (&value.sql_type, &item.sql_type) else {
                items.push(item.expr);
                continue;
            };
            if !is_comparable(BinaryOperator::Equal, value_type, item_type) {
                return Err(PlanError::new(format!(
                    "Invalid Predicate: operator does not exist: {value_type} = {item_type} ({})\n\
                     Hint: You might need to add explicit type casts.",
                    text(expression)
                )));
            }
            let to_temporal = is_temporal(value_type) && *item_type == SqlType::String;
            let value_type = value_type.clone();
            items.push(if to_temporal {
                widen(item, Some(&value_type))
            } else {
                item.expr
            });
        }
        Ok(Expr::In(Box::new(value.expr), items))
    }

    fn case(
        &mut self,
        operand: Option<&ast::Expression>,
        branches: &[(ast::Expression, ast::Expression)],
        otherwise: Option<&ast::Expression>,
    ) -> Result<Typed, PlanError> {
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        let mut result_type = None;
        for (condition, result) in branches {
            conditions.push(match operand {
                Some(operand) => {
                    let (left, right) = self.comparable(operand, BinaryOperator::Equal, condition)?;
                    Expr::Compare(Comparison::Equal, Box::new(left), Box::new(right))
                }
                None => {
                    let typed = self.expression(condition)?;
                    if typed.sql_type != Some(SqlType::Boolean) {
                        return Err(PlanError::new(format!(
                            "WHEN operand type should be boolean.\nType for '{}' is {}",
                            text(condition),
                            name_of(typed.sql_type.as_ref())
                        )));
                    }
                    typed.expr
                }
            });
            let typed = self.expression(result)?;
            let Some(common) = common_type(result_type.as_ref(), typed.sql_type.as_ref()) else {
                return Err(PlanError::new(format!(
                    "Invalid Case expression. Type for all 'THEN' clauses should be the same.\n\
                     THEN expression '{}' has type: {}.\nPrevious THEN expression(s) type: {}.",
                    text(result),
                    name_of(typed.sql_type.as_ref()),
                    name_of(result_type.as_ref())
                )));
            };
            result_type = common;
            results.push(typed);
        }
        let default = match otherwise {
            None => Typed {
                expr: Expr::Constant(Value::Null),
                sql_type: None,
            },
            Some(otherwise) => {
                let typed = self.expression(otherwise)?;
                let Some(common) = common_type(result_type.as_ref(), typed.sql_type.as_ref()) else {
                    return Err(PlanError::new(format!(
                        "Invalid Case expression. Type for the default clause should be the same as for 'THEN' clauses.\n\
                         THEN type: {}.\nDEFAULT type: {}.",
                        name_of(result_type.as_ref()),
                        name_of(typed.sql_type.as_ref())
                    )));
                };
                result_type = common;
                typed
            }
        };
        if result_type.is_none() {
            return Err(PlanError::new(
                "Invalid Case expression. All case branches have a NULL type",
            ));
        }
        let results = results
            .into_iter()
            .map(|result| widen(result, result_type.as_ref()));
        let branches = conditions.into_iter().zip(results).collect();
        let default = widen(default, result_type.as_ref());
        Ok(Typed {
            expr: Expr::Case(branches, Box::new(default)),
            sql_type: result_type,
        })
    }

    fn subscript(
        &mut self,
        expression: &ast::Expression,
        base: &ast::Expression,
        index: &ast::Expression,
    ) -> Result<Typed, PlanError> {
        let (base, index) = (self.expression(base)?, self.expression(index)?);
        match (&base.sql_type, &index.sql_type) {
            (Some(SqlType::Array(element)), Some(SqlType::Integer | SqlType::Bigint)) => {
                let sql_type = Some((**element).clone());
                Ok(Typed {
                    expr: Expr::Element(Box::new(base.expr), Box::new(index.expr)),
                    sql_type,
                })
            }
            (Some(SqlType::Map(key, value)), Some(index_type)) if **key == *index_type => {
                let sql_type = Some((**value).clone());
                Ok(Typed {
                    expr: Expr::Entry(Box::new(base.expr), Box::new(index.expr)),
                    sql_type,
                })
            }
            (Some(SqlType::Array(_) | SqlType::Map(..)), index_type) => Err(processing_error(
                expression,
                &format!(
                    "A subscript of {} cannot be {}.",
                    name_of(base.sql_type.as_ref()),
                    name_of(index_type.as_ref())
                ),
            )),
            (other, _) => Err(processing_error(
                expression,
                &format!("Unsupported container type: {}", name_of(other.as_ref())),
            )),
        }
    }

    fn array(&mut self, items: &[ast::Expression]) -> Result<Typed, PlanError> {
        if items.is_empty() {
            return Err(PlanError::new(
                "Array constructor cannot be empty. Please supply at least one element (see https://github.com/confluentinc/ksql/issues/4239).",
            ));
        }
        let (items, element) = self.of_one_type(items.iter(), "array elements")?;
        let Some(element) = element else {
            return Err(PlanError::new(
                "Cannot construct an array with all NULL elements (see https://github.com/confluentinc/ksql/issues/4239). As a workaround, you may cast a NULL value to the desired type.",
            ));
        };
        Ok(Typed {
            expr: Expr::Array(items),
            sql_type: Some(SqlType::Array(Box::new(element))),
        })
    }

    fn map(&mut self, entries: &[(ast::Expression, ast::Expression)]) -> Result<Typed, PlanError> {
        if entries.is_empty() {
            return Err(PlanError::new(
                "Map constructor cannot be empty. Please supply at least one key value pair (see https://github.com/confluentinc/ksql/issues/4239).",
            ));
        }
        let (keys, key_type) = self.of_one_type(entries.iter().map(|(key, _)| key), "map keys")?;
        let (values, value_type) = self.of_one_type(entries.iter().map(|(_, value)| value), "map values")?;
        let (Some(key_type), Some(value_type)) = (key_type, value_type) else {
            return Err(PlanError::new(
                "Cannot construct a map with all NULL values (see https://github.com/confluentinc/ksql/issues/4239). As a workaround, you may cast a NULL value to the desired type.",
            ));
        };
        if key_type != SqlType::String {
            return Err(PlanError::new(format!(
                "Only MAP types with STRING keys are supported. Got: MAP<{key_type}, {value_type}>"
            )));
        }
        Ok(Typed {
            expr: Expr::Map(keys.into_iter().zip(values).collect()),
            sql_type: Some(SqlType::Map(Box::new(key_type), Box::new(value_type))),
        })
    }

    fn of_one_type<'e>(
        &mut self,
        items: impl Iterator<Item = &'e ast::Expression>,
        what: &str,
    ) -> Result<(Vec<Expr>, Option<SqlType>), PlanError> {
        let mut typed_items = Vec::new();
        let mut common = None;
        for item in items {
            let typed = self.expression(item)?;
            common = match common_type(common.as_ref(), typed.sql_type.as_ref()) {
                Some(wider) => wider,
                None => {
                    return Err(PlanError::new(format!(
                        "Invalid {what}: operator does not exist: {} = {} ({})\n\
                         Hint: You might need to add explicit type casts.",
                        name_of(common.as_ref()),
                        name_of(typed.sql_type.as_ref()),
                        text(item)
                    )));
                }
            };
            typed_items.push(typed);
        }
        let widened = typed_items.into_iter().map(|item| widen(item, common.as_ref()));
        Ok((widened.collect(), common))
    }

    fn call(
        &mut self,
        expression: &ast::Expression,
        name: &str,
        arguments: &[ast::Expression],
    ) -> Result<Typed, PlanError> {
        let has_lambda = arguments
            .iter()
            .any(|argument| matches!(argument.kind, ExpressionKind::Lambda { .. }));
        if has_lambda {
            return self.lambda_call(expression, name, arguments);
        }
        let arguments = arguments
            .iter()
            .map(|argument| self.expression(argument))
            .collect::<Result<Vec<_>, _>>()?;
        let types: Vec<_> = arguments
            .iter()
            .map(|argument| argument.sql_type.clone())
            .collect();
        let Some(function) = functions::lookup(name) else {
            if AGGREGATES.contains(&name) {
                return Err(PlanError::new(format!(
                    "Aggregate functions are not supported yet by this server. Got: {name}"
                )));
            }
            return Err(PlanError::new(format!(
                "Can't find any functions with the name '{name}'"
            )));
        };
        let Some(result) = (function.return_type)(&types) else {
            let types: Vec<_> = types.iter().map(|sql_type| name_of(sql_type.as_ref())).collect();
            return Err(PlanError::new(format!(
                "Function '{}' does not accept parameters ({}).\nValid alternatives are:\n{}\n\
                 For detailed information on a function run: DESCRIBE FUNCTION <Function-Name>;",
                name.to_lowercase(),
                types.join(", "),
                function.signatures.join("\n")
            )));
        };
        let arguments = arguments.into_iter().map(|argument| match function.widening {
            Widening::ToResult => widen(argument, Some(&result)),
            Widening::None => argument.expr,
        });
        Ok(Typed {
            expr: Expr::Call(function, arguments.collect()),
            sql_type: Some(result),
        })
    }

    fn lambda_call(
        &mut self,
        expression: &ast::Expression,
        name: &str,
        arguments: &[ast::Expression],
    ) -> Result<Typed, PlanError> {
        let unfit = || {
            processing_error(
                expression,
                &format!(
                    "Function '{}' does not accept these parameters.",
                    name.to_lowercase()
                ),
            )
        };
        let (first, rest) = arguments.split_first().ok_or_else(unfit)?;
        let base = self.expression(first)?;
        let base_expr = Box::new(base.expr);
        let parts = match &base.sql_type {
            Some(SqlType::Array(element)) => vec![(**element).clone()],
            Some(SqlType::Map(key, value)) => vec![(**key).clone(), (**value).clone()],
            _ => return Err(unfit()),
        };
        match (name, parts.as_slice(), rest) {
            ("TRANSFORM", [_], [body]) => {
                let body = self.lambda(body, &parts, unfit)?;
                let element = body.sql_type.ok_or_else(untyped_null)?;
                Ok(Typed {
                    expr: Expr::TransformArray(base_expr, Box::new(body.expr)),
                    sql_type: Some(SqlType::Array(Box::new(element))),
                })
            }
            ("TRANSFORM", [_, _], [key_body, value_body]) => {
                let key = self.lambda(key_body, &parts, unfit)?;
                let value = self.lambda(value_body, &parts, unfit)?;
                if key.sql_type != Some(SqlType::String) {
                    return Err(unfit());
                }
                let value_type = value.sql_type.ok_or_else(untyped_null)?;
                Ok(Typed {
                    expr: Expr::TransformMap(base_expr, Box::new(key.expr), Box::new(value.expr)),
                    sql_type: Some(SqlType::Map(Box::new(SqlType::String), Box::new(value_type))),
                })
            }
            ("FILTER", _, [body]) => {
                let body = self.lambda(body, &parts, unfit)?;
                if body.sql_type != Some(SqlType::Boolean) {
                    return Err(unfit());
                }
                Ok(Typed {
                    expr: Expr::Filter(base_expr, Box::new(body.expr)),
                    sql_type: base.sql_type,
                })
            }
            ("REDUCE", _, [start, body]) => {
                let start = self.expression(start)?;
                let state = start.sql_type.clone().ok_or_else(untyped_null)?;
                let mut types = vec![state.clone()];
                types.extend(parts);
                let body = self.lambda(body, &types, unfit)?;
                match common_type(Some(&state), body.sql_type.as_ref()) {
                    Some(Some(common)) if common == state => {}
                    _ => return Err(unfit()),
                }
                let body = widen(body, Some(&state));
                Ok(Typed {
                    expr: Expr::Reduce(base_expr, Box::new(start.expr), Box::new(body)),
                    sql_type: Some(state),
                })
            }
            _ => Err(unfit()),
        }
    }

    fn lambda(
        &mut self,
        expression: &ast::Expression,
        types: &[SqlType],
        unfit: impl Fn() -> PlanError,
    ) -> Result<Typed, PlanError> {
        let ExpressionKind::Lambda { parameters, body } = &expression.kind else {
            return Err(unfit());
        };
        if parameters.len() != types.len() {
            return Err(unfit());
        }
        let outer = self.parameters.len();
        let typed = parameters.iter().cloned().zip(types.iter().cloned().map(Some));
        self.parameters.extend(typed);
        let body = self.expression(body);
        self.parameters.truncate(outer);
        body
    }
}

fn compile_literal(literal: &Literal) -> Typed {
    let (value, sql_type) = match literal {
        Literal::Null => (Value::Null, None),
        Literal::Boolean(flag) => (Value::Boolean(*flag), Some(SqlType::Boolean)),
        Literal::Integer(number) => (Value::Integer(*number), Some(SqlType::Integer)),
        Literal::Bigint(number) => (Value::Bigint(*number), Some(SqlType::Bigint)),
        Literal::Double(number) => (Value::Double(*number), Some(SqlType::Double)),
        Literal::String(string) => (Value::string(string.as_str()), Some(SqlType::String)),
        Literal::Decimal(digits) => {
            let number = parse_decimal(digits).unwrap_or_else(|| BigDecimal::from(0));
            // A decimal literal has no exponent, so its scale is small and not negative.
            let scale = number.fractional_digit_count().clamp(0, i64::from(u32::MAX)) as u32;
            let digits = u32::try_from(precision(&number)).unwrap_or(u32::MAX);
            let sql_type = SqlType::Decimal {
                precision: digits.max(scale),
                scale,
            };
            (Value::Decimal(number), Some(sql_type))
        }
    };
    Typed {
        expr: Expr::Constant(value),
        sql_type,
    }
}

fn negate_if(negated: bool, expr: Expr) -> Expr {
    if negated { Expr::Not(Box::new(expr)) } else { expr }
}

fn processing_error(expression: &ast::Expression, message: &str) -> PlanError {
    PlanError::new(format!(
        "Error processing expression: {}. {message}",
        text(expression)
    ))
}

/// What ksqlDB says of a `NULL` whose type nothing tells.
pub(crate) fn untyped_null() -> PlanError {
    PlanError::new(
        "Can't infer a type of null. Please explicitly cast it to a required type, e.g. CAST(null AS VARCHAR).",
    )
}
