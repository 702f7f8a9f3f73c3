//! Typed expressions and their evaluation over a row.
//!
//! [`compile()`] turns a tree of the syntax into an [`Expr`], checking types by ksqlDB's rules; an [`Expr`]
//! then only knows places in a row. It knows no source, no record and no format.

mod arithmetic;
mod budget;
mod cast;
mod compare;
mod compile;
mod evaluate;
mod like;
mod scope;
mod temporal;
#[cfg(test)]
mod tests;

use std::fmt;

pub(crate) use arithmetic::{as_decimal, decimal_of};
pub(crate) use budget::Budget;
pub(crate) use cast::{Cast, cast_between, text_of};
pub(crate) use compile::{Typed, base_name, compile, compile_filter, unfit_call, untyped_null};
pub(crate) use scope::{Scope, ScopeColumn};

pub(crate) use crate::syntax::format_expression as text;

use crate::functions::ScalarFunction;
use crate::types::SqlType;
use crate::value::Value;
use arithmetic::Arithmetic;
use compare::Comparison;
use like::Like;

/// An expression ready to be evaluated.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Constant(Value),
    /// A place in the row.
    Column(usize),
    /// A parameter of an enclosing lambda.
    Variable(usize),
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// Null-safe; whether equal or (`false`) different rows are wanted.
    SameAs(bool, Box<Expr>, Box<Expr>),
    Negate(Box<Expr>),
    /// From left to right: the first operand, and each operation with what comes behind it.
    Arithmetic(Box<Expr>, Vec<(Arithmetic, Expr)>),
    Concatenate(Vec<Expr>),
    Like(Box<Like>),
    In(Box<Expr>, Vec<Expr>),
    Between(Box<Expr>, Box<Expr>, Box<Expr>),
    IsNull(Box<Expr>),
    /// Conditions with results, and what holds otherwise.
    Case(Vec<(Expr, Expr)>, Box<Expr>),
    Cast(Box<Cast>, Box<Expr>),
    /// An array's element.
    Element(Box<Expr>, Box<Expr>),
    /// A map's entry.
    Entry(Box<Expr>, Box<Expr>),
    /// A struct's field.
    Field(Box<Expr>, usize),
    /// `TO_JSON_STRING` of a value of the type.
    Json(Box<SqlType>, Box<Expr>),
    Call(&'static ScalarFunction, Vec<Expr>),
    Array(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Struct(Vec<Expr>),
    /// `TRANSFORM(array, x => …)`
    TransformArray(Box<Expr>, Box<Expr>),
    /// `TRANSFORM(map, (k, v) => key, (k, v) => value)`
    TransformMap(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `FILTER(array | map, …)`
    Filter(Box<Expr>, Box<Expr>),
    /// `REDUCE(array | map, start, …)`
    Reduce(Box<Expr>, Box<Expr>, Box<Expr>),
}

/// Why an expression has no value for a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EvaluationError {
    pub(crate) reason: String,
    /// A `NULL` where a number is needed: an everyday value, which nobody needs to be told of.
    is_null_operand: bool,
}

impl EvaluationError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            is_null_operand: false,
        }
    }

    fn null_operand() -> Self {
        Self {
            reason: "a number is needed, but it is null".to_owned(),
            is_null_operand: true,
        }
    }
}

impl fmt::Display for EvaluationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl Expr {
    /// Two expressions with one fingerprint compute the same.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{self:?}")
    }

    /// Calls `visit` for every expression in this one that `visit` does not say it has dealt with.
    pub(crate) fn walk(&mut self, visit: &mut impl FnMut(&mut Expr) -> Descend) {
        if visit(self) == Descend::No {
            return;
        }
        match self {
            Self::Constant(_) | Self::Column(_) | Self::Variable(_) => {}
            Self::Not(inner)
            | Self::Negate(inner)
            | Self::IsNull(inner)
            | Self::Cast(_, inner)
            | Self::Json(_, inner)
            | Self::Field(inner, _) => inner.walk(visit),
            Self::Compare(_, left, right)
            | Self::SameAs(_, left, right)
            | Self::Element(left, right)
            | Self::Entry(left, right)
            | Self::TransformArray(left, right)
            | Self::Filter(left, right) => {
                left.walk(visit);
                right.walk(visit);
            }
            Self::Between(first, second, third)
            | Self::TransformMap(first, second, third)
            | Self::Reduce(first, second, third) => {
                first.walk(visit);
                second.walk(visit);
                third.walk(visit);
            }
            Self::Like(like) => like.operands().for_each(|operand| operand.walk(visit)),
            Self::In(value, list) => {
                value.walk(visit);
                list.iter_mut().for_each(|item| item.walk(visit));
            }
            Self::Case(branches, otherwise) => {
                for (condition, result) in branches {
                    condition.walk(visit);
                    result.walk(visit);
                }
                otherwise.walk(visit);
            }
            Self::Arithmetic(first, rest) => {
                first.walk(visit);
                rest.iter_mut().for_each(|(_, operand)| operand.walk(visit));
            }
            Self::And(items)
            | Self::Or(items)
            | Self::Concatenate(items)
            | Self::Call(_, items)
            | Self::Array(items)
            | Self::Struct(items) => {
                items.iter_mut().for_each(|item| item.walk(visit));
            }
            Self::Map(entries) => {
                for (key, value) in entries {
                    key.walk(visit);
                    value.walk(visit);
                }
            }
        }
    }
}

/// Whether a walk goes on into an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Descend {
    Yes,
    No,
}
