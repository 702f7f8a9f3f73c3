//! Calls of functions, with and without lambdas.

use super::super::Expr;
use super::coercion::{common_type, widen};
use super::{Compiler, Typed, name_of, processing_error, untyped_null};
use crate::functions::{self, Widening};
use crate::plan::PlanError;
use crate::syntax::ast::{self, ExpressionKind};
use crate::types::SqlType;

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

impl Compiler<'_> {
    pub(super) fn call(
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

    pub(super) fn lambda_call(
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

    pub(super) fn lambda(
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
