//! From the syntax of an expression to one that can be evaluated: names become places, types are checked.

mod calls;
mod coercion;
mod containers;
mod operators;

pub(crate) use calls::unfit_call;

use bigdecimal::BigDecimal;

use super::like::Like;
use super::{Expr, Scope, cast_between, text};
use crate::plan::{PlanError, Stage};
use crate::serde::number::{parse_decimal, precision};
use crate::syntax::ast::{self, BinaryOperator, ExpressionKind, Literal, UnaryOperator};
use crate::types::{SqlType, StructField};
use crate::value::Value;

/// The methods of ksqlDB's that `LIKE` becomes a call of, as its errors list them.
const LIKE_EVALUATOR: &str = "\"default static boolean io.confluent.ksql.execution.codegen.helpers.LikeEvaluator.matches(java.lang.String, java.lang.String, java.util.Optional)\", \"public static boolean io.confluent.ksql.execution.codegen.helpers.LikeEvaluator.matches(java.lang.String, java.lang.String, char)\", \"public static boolean io.confluent.ksql.execution.codegen.helpers.LikeEvaluator.matches(java.lang.String, java.lang.String)\"";

/// An expression with its type; the literal `NULL` has none.
#[derive(Debug, Clone)]
pub(crate) struct Typed {
    pub(crate) expr: Expr,
    pub(crate) sql_type: Option<SqlType>,
}

/// Compiles an expression of a clause, such as `SELECT`.
pub(crate) fn compile(expression: &ast::Expression, scope: &Scope, clause: &str) -> Result<Typed, PlanError> {
    compile_raw(expression, scope, clause).map_err(|error| match error.stage {
        Stage::Coding => PlanError::new(format!(
            "Invalid Select: {}\nStatement: {}",
            code_error(&error, expression, scope),
            text(expression)
        )),
        _ => error,
    })
}

/// Compiles a condition.
pub(crate) fn compile_filter(
    expression: &ast::Expression,
    scope: &Scope,
    clause: &str,
) -> Result<Expr, PlanError> {
    let typed = compile_raw(expression, scope, clause).map_err(|error| match error.stage {
        Stage::Coding => PlanError::in_stage(
            Stage::Predicate,
            format!("Invalid Predicate: {}", code_error(&error, expression, scope)),
        ),
        // An error about a place or a part of the expression says enough.
        Stage::Planning if error.position.is_none() && !error.message.starts_with("Error") => {
            PlanError::new(format!(
                "Error in {clause} expression: {}\nStatement: {}",
                error.message,
                text(expression)
            ))
        }
        _ => error,
    })?;
    if typed.sql_type != Some(SqlType::Boolean) {
        let expression = text(expression);
        return Err(PlanError::new(format!(
            "Type error in {clause} expression: Should evaluate to boolean but is {expression} ({}) instead.\nStatement: {expression}",
            name_of(typed.sql_type.as_ref())
        )));
    }
    Ok(typed.expr)
}

fn compile_raw(expression: &ast::Expression, scope: &Scope, clause: &str) -> Result<Typed, PlanError> {
    let mut compiler = Compiler {
        scope,
        clause,
        parameters: Vec::new(),
    };
    compiler.expression(expression)
}

/// What ksqlDB says where code that it made of an expression does not compile.
fn code_error(error: &PlanError, expression: &ast::Expression, scope: &Scope) -> String {
    format!(
        "{}. expression: {}, schema:{}",
        error.message,
        text(expression),
        scope.schema_text()
    )
}

/// The name of a type without its parameters, as errors have it.
pub(crate) fn base_name(sql_type: Option<&SqlType>) -> String {
    let full = name_of(sql_type);
    full.split(['<', '(']).next().unwrap_or(&full).to_owned()
}

fn name_of(sql_type: Option<&SqlType>) -> String {
    sql_type.map_or_else(|| "null".to_owned(), ToString::to_string)
}

/// The class of Java that holds values of a type, as errors of generated code name it.
fn java_class(sql_type: Option<&SqlType>) -> &'static str {
    match sql_type {
        None => "null",
        Some(SqlType::Boolean) => "java.lang.Boolean",
        Some(SqlType::Integer) => "java.lang.Integer",
        Some(SqlType::Bigint) => "java.lang.Long",
        Some(SqlType::Double) => "java.lang.Double",
        Some(SqlType::Decimal { .. }) => "java.math.BigDecimal",
        Some(SqlType::String) => "java.lang.String",
        Some(SqlType::Bytes) => "java.nio.ByteBuffer",
        Some(SqlType::Date) => "java.sql.Date",
        Some(SqlType::Time) => "java.sql.Time",
        Some(SqlType::Timestamp) => "java.sql.Timestamp",
        Some(SqlType::Array(_)) => "java.util.List",
        Some(SqlType::Map(..)) => "java.util.Map",
        Some(SqlType::Struct(_)) => "org.apache.kafka.connect.data.Struct",
    }
}

#[derive(Clone)]
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
            ExpressionKind::Chain { first, rest } => self.chain(first, rest),
            ExpressionKind::Like {
                value,
                pattern,
                escape,
            } => {
                let (value, pattern) = (self.expression(value)?, self.expression(pattern)?);
                let strings = [&value, &pattern]
                    .iter()
                    .all(|side| matches!(side.sql_type, None | Some(SqlType::String)));
                if !strings {
                    return Err(PlanError::in_stage(
                        Stage::Coding,
                        format!(
                            "Line 1, Column 15: No applicable constructor/method found for actual parameters \"{}, {}\"; candidates are: {LIKE_EVALUATOR}",
                            java_class(value.sql_type.as_ref()),
                            java_class(pattern.sql_type.as_ref())
                        ),
                    ));
                }
                let like = Like::new(value.expr, pattern.expr, *escape)
                    .map_err(|error| PlanError::new(error.reason))?;
                typed(Expr::Like(Box::new(like)), SqlType::Boolean)
            }
            ExpressionKind::In { value, list } => typed(self.membership(value, list)?, SqlType::Boolean),
            ExpressionKind::Between { value, low, high } => {
                let (value_side, low_side) = self.bounded(value, BinaryOperator::GreaterOrEqual, low)?;
                let (_, high_side) = self.bounded(value, BinaryOperator::LessOrEqual, high)?;
                let between = Expr::Between(Box::new(value_side), Box::new(low_side), Box::new(high_side));
                typed(between, SqlType::Boolean)
            }
            ExpressionKind::IsNull { value, negated } => {
                let value = self.expression(value)?;
                let is_null = Expr::IsNull(Box::new(value.expr));
                let test = if *negated {
                    Expr::Not(Box::new(is_null))
                } else {
                    is_null
                };
                typed(test, SqlType::Boolean)
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
                    return Err(PlanError::in_stage(
                        Stage::Coding,
                        format!("Cast of {from} to {target} is not supported"),
                    ));
                };
                typed(Expr::Cast(Box::new(cast), Box::new(inner.expr)), target.clone())
            }
            ExpressionKind::Subscript { base, index } => self.subscript(expression, base, index),
            ExpressionKind::Field { base, field } => {
                let base_text = text(base);
                let base = self.expression(base)?;
                let Some(SqlType::Struct(fields)) = &base.sql_type else {
                    let found = base_name(base.sql_type.as_ref());
                    let message = format!("Expected STRUCT type, got: {found}");
                    return Err(match &base.sql_type {
                        Some(SqlType::Array(_) | SqlType::Map(..)) => PlanError::internal(message),
                        _ => PlanError::new(message),
                    });
                };
                let Some(place) = fields.iter().position(|other| other.name == *field) else {
                    return Err(PlanError::new(format!(
                        "Could not find field '{field}' in '{base_text}'."
                    )));
                };
                let sql_type = fields[place].sql_type.clone();
                typed(Expr::Field(Box::new(base.expr), place), sql_type)
            }
            ExpressionKind::Call { function, arguments } => self.call(function, arguments),
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
                let sql_type =
                    SqlType::structure(types).map_err(|twice| PlanError::new(twice.to_string()))?;
                typed(Expr::Struct(items), sql_type)
            }
        }
    }

    fn boolean(&mut self, expression: &ast::Expression) -> Result<Expr, PlanError> {
        let inner = self.expression(expression)?;
        match inner.sql_type {
            Some(SqlType::Boolean) => Ok(inner.expr),
            None => Err(PlanError::internal("a BOOLEAN is needed, not NULL")),
            Some(_) => Err(PlanError::in_stage(
                Stage::Coding,
                "Line 1, Column 21: Not a boolean expression",
            )),
        }
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
            let sql_type = decimal_type(&number);
            (Value::Decimal(number), Some(sql_type))
        }
    };
    Typed {
        expr: Expr::Constant(value),
        sql_type,
    }
}

/// The narrowest type of a number that was written without an exponent.
fn decimal_type(number: &BigDecimal) -> SqlType {
    let scale = number.fractional_digit_count().clamp(0, i64::from(u32::MAX)) as u32;
    let digits = u32::try_from(precision(number)).unwrap_or(u32::MAX);
    // A number below 1 has a digit before the point all the same.
    let precision = if number.abs() < 1 {
        scale + 1
    } else {
        digits.max(scale)
    };
    SqlType::Decimal { precision, scale }
}

fn processing_error(expression: &ast::Expression, message: &str) -> PlanError {
    let expression = text(expression);
    PlanError::new(format!(
        "Error processing expression: {expression}. {message}\nStatement: {expression}"
    ))
}

/// What ksqlDB says of a `NULL` whose type nothing tells.
pub(crate) fn untyped_null() -> PlanError {
    PlanError::new(
        "Can't infer a type of null. Please explicitly cast it to a required type, e.g. CAST(null AS VARCHAR).",
    )
}
