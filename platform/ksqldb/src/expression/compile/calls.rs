//! Calls of functions, with and without lambdas.

use super::super::Expr;
use super::coercion::{common_type, widen};
use super::{Compiler, Typed, name_of, untyped_null};
use crate::functions::catalogue::{Listed, Sort, listed};
use crate::functions::{self, ScalarFunction, Widening};
use crate::plan::{PlanError, Stage};
use crate::syntax::ast::{self, ExpressionKind};
use crate::types::SqlType;
use crate::value::Value;

impl Compiler<'_> {
    pub(super) fn call(&mut self, name: &str, arguments: &[ast::Expression]) -> Result<Typed, PlanError> {
        let has_lambda = arguments
            .iter()
            .any(|argument| matches!(argument.kind, ExpressionKind::Lambda { .. }));
        if has_lambda {
            return self.lambda_call(name, arguments);
        }
        let arguments = arguments
            .iter()
            .map(|argument| self.expression(argument))
            .collect::<Result<Vec<_>, _>>()?;
        let types: Vec<_> = arguments
            .iter()
            .map(|argument| argument.sql_type.clone())
            .collect();
        let listed = listed(name).ok_or_else(|| unknown(name))?;
        if listed.sort != Sort::Scalar && self.clause == "WHERE" {
            return Err(PlanError {
                stage: Stage::Coding,
                ..unknown(name)
            });
        }
        if listed.sort == Sort::Aggregate {
            return Err(PlanError::new(format!(
                "Aggregate functions can only be used in the SELECT and HAVING clauses. Got: {name}"
            )));
        }
        if listed.sort == Sort::Table {
            return Err(PlanError::new(format!(
                "Table functions can only be used in the SELECT clause. Got: {name}"
            )));
        }
        let Some(function) = functions::lookup(name) else {
            return Err(does_not_fit(listed, &types));
        };
        if matches!(name, "COALESCE" | "IFNULL" | "NULLIF") && types.first() == Some(&None) {
            return Err(PlanError::internal(format!(
                "the first argument of {name} has no type"
            )));
        }
        let (arguments, types) = match (function.return_type)(&types) {
            Some(_) => (arguments, types),
            None => read_texts(function, listed, arguments, types)?,
        };
        let result = (function.return_type)(&types).ok_or_else(|| does_not_fit(listed, &types))?;
        let mut arguments: Vec<_> = arguments
            .into_iter()
            .map(|argument| match function.widening {
                Widening::ToResult => widen(argument, Some(&result)),
                Widening::None => argument.expr,
            })
            .collect();
        if name == "CONCAT" && result == SqlType::Bytes {
            // Of nothing but nulls the function cannot tell that it joins bytes.
            arguments.push(Expr::Constant(Value::Bytes([].into())));
        }
        let expr = match (name, <[Expr; 1]>::try_from(arguments), types.as_slice()) {
            ("TO_JSON_STRING", Ok([argument]), [Some(sql_type)]) => {
                Expr::Json(Box::new(sql_type.clone()), Box::new(argument))
            }
            (_, Ok([argument]), _) => Expr::Call(function, vec![argument]),
            (_, Err(arguments), _) => Expr::Call(function, arguments),
        };
        Ok(Typed {
            expr,
            sql_type: Some(result),
        })
    }

    pub(super) fn lambda_call(
        &mut self,
        name: &str,
        arguments: &[ast::Expression],
    ) -> Result<Typed, PlanError> {
        let Some(listed) = listed(name) else {
            return Err(unknown(name));
        };
        let compiler = self.clone();
        let unfit = || {
            let types = arguments.iter().map(|argument| match &argument.kind {
                ExpressionKind::Lambda { .. } => "LAMBDA".to_owned(),
                _ => match compiler.clone().expression(argument) {
                    Ok(typed) => name_of(typed.sql_type.as_ref()),
                    Err(_) => "null".to_owned(),
                },
            });
            not_accepted(listed, &types.collect::<Vec<_>>().join(", "))
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
        for (place, name) in parameters.iter().enumerate() {
            let message = if parameters[..place].contains(name) {
                format!("Lambda arguments have duplicates: [{}]", parameters.join(", "))
            } else if self.scope.columns.iter().any(|column| column.name == *name) {
                format!("Lambda function argument can't be a column name: {name}")
            } else if self.parameters.iter().any(|(outer, _)| outer == name) {
                "Reusing lambda arguments in nested lambda is not allowed".to_owned()
            } else {
                continue;
            };
            return Err(PlanError::in_stage(Stage::Preparing, message));
        }
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

/// What is wrong with a call of a function by arguments of these types.
pub(crate) fn unfit_call(name: &str, types: &[Option<SqlType>]) -> PlanError {
    listed(name).map_or_else(|| unknown(name), |listed| does_not_fit(listed, types))
}

fn unknown(name: &str) -> PlanError {
    PlanError::new(format!("Can't find any functions with the name '{name}'"))
}

fn does_not_fit(listed: &Listed, types: &[Option<SqlType>]) -> PlanError {
    let names: Vec<_> = types
        .iter()
        .map(|sql_type| sql_type.as_ref().map_or("null".to_owned(), ToString::to_string))
        .collect();
    if listed.forms_that_take(types) < 2 {
        return not_accepted(listed, &names.join(", "));
    }
    PlanError::new(format!(
        "Function '{}' cannot be resolved due to ambiguous method parameters ({}).\n\
         Use CAST() to explicitly cast your parameters to one of the supported function calls.\n\
         Valid function calls are:\n{}\n\
         For detailed information on a function run: DESCRIBE FUNCTION <Function-Name>;",
        listed.spelling,
        names.join(", "),
        listed.alternatives()
    ))
}

fn not_accepted(listed: &Listed, types: &str) -> PlanError {
    PlanError::new(format!(
        "Function '{}' does not accept parameters ({types}).\nValid alternatives are:\n{}\n\
         For detailed information on a function run: DESCRIBE FUNCTION <Function-Name>;",
        listed.spelling,
        listed.alternatives()
    ))
}

/// The arguments with texts read as the dates, times or bytes that the function takes in their place, where exactly
/// one of its forms does.
fn read_texts(
    function: &ScalarFunction,
    listed: &Listed,
    arguments: Vec<Typed>,
    types: Vec<Option<SqlType>>,
) -> Result<(Vec<Typed>, Vec<Option<SqlType>>), PlanError> {
    let mut readings: Vec<Vec<Option<SqlType>>> = Vec::new();
    for signature in listed.signatures() {
        let read = types.iter().enumerate().map(|(place, sql_type)| {
            let parameter = signature.parameters.get(place);
            match (sql_type, parameter.map(|parameter| parameter.sql_type)) {
                (Some(SqlType::String), Some("DATE")) => Some(SqlType::Date),
                (Some(SqlType::String), Some("TIME")) => Some(SqlType::Time),
                (Some(SqlType::String), Some("TIMESTAMP")) => Some(SqlType::Timestamp),
                (Some(SqlType::String), Some("BYTES")) => Some(SqlType::Bytes),
                _ => sql_type.clone(),
            }
        });
        let read: Vec<_> = read.collect();
        if read != types && (function.return_type)(&read).is_some() && !readings.contains(&read) {
            readings.push(read);
        }
    }
    let [reading] = readings.as_slice() else {
        return Err(does_not_fit(listed, &types));
    };
    let arguments = arguments
        .into_iter()
        .zip(reading)
        .map(|(argument, wanted)| Typed {
            expr: widen(argument, wanted.as_ref()),
            sql_type: wanted.clone(),
        });
    Ok((arguments.collect(), reading.clone()))
}
