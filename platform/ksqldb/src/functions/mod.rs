//! The scalar functions: one file per theme, one static definition per function.
//!
//! A function knows types and values, and nothing of expressions, queries or Kafka. What a function
//! does follows ksqlDB's function reference; where Java's library shows through (UTF-16 positions,
//! rounding, `DateTimeFormatter` patterns, regular expressions), so it does here.

mod arguments;
mod array;
mod bytes;
mod cache;
pub mod catalogue;
mod comparison;
mod conditional;
pub(crate) mod date_time;
pub(crate) mod json;
mod json_path;
mod map;
mod mask;
mod numeric;
mod random;
mod regular_expression;
mod string;
mod string_list;
pub(crate) mod table;
mod trigonometry;
mod url;
mod utf16;
mod value_text;

use crate::types::SqlType;
use crate::value::Value;

/// A scalar function as an expression calls it. How it is listed stands in [`catalogue`].
#[derive(Debug)]
pub struct ScalarFunction {
    /// Its name, upper case.
    pub name: &'static str,
    /// One sentence on what it does.
    pub description: &'static str,
    /// Whether a `NULL` among the arguments makes the result `NULL` without a call.
    pub nulls: NullHandling,
    /// Whether the caller widens numeric arguments before the call.
    pub widening: Widening,
    /// The type of the result, or `None` where the arguments' types do not fit.
    /// An argument of type `None` is a `NULL` literal and fits everywhere.
    pub return_type: fn(arguments: &[Option<SqlType>]) -> Option<SqlType>,
    /// Computes the result. The arguments' types fit; numbers come as they are unless `widening` says
    /// otherwise.
    pub call: fn(arguments: &[Value]) -> Result<Value, FunctionError>,
}

/// What a `NULL` argument does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullHandling {
    /// The result is `NULL`; the function is not called.
    Propagate,
    /// The function decides.
    Own,
}

/// What becomes of numeric arguments before a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Widening {
    /// They come as they are.
    None,
    /// All arguments share one type, the result's, and the result is one of them: the caller widens
    /// numbers to that type, as in `COALESCE(integer_column, bigint_column)`.
    ToResult,
}

/// Why a call failed: the column becomes `NULL` and the processing log gets this.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct FunctionError {
    /// What was wrong with the arguments.
    pub reason: String,
}

impl FunctionError {
    fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
        }
    }
}

type ReturnType = fn(&[Option<SqlType>]) -> Option<SqlType>;
type Call = fn(&[Value]) -> Result<Value, FunctionError>;

impl ScalarFunction {
    /// A function whose result is `NULL` where an argument is.
    const fn new(name: &'static str, description: &'static str, return_type: ReturnType, call: Call) -> Self {
        Self {
            name,
            description,
            nulls: NullHandling::Propagate,
            widening: Widening::None,
            return_type,
            call,
        }
    }

    /// The same function, called with `NULL` arguments too.
    const fn with_own_nulls(mut self) -> Self {
        self.nulls = NullHandling::Own;
        self
    }

    /// The same function, with arguments of one type.
    const fn with_widened_arguments(mut self) -> Self {
        self.widening = Widening::ToResult;
        self
    }
}

/// The function of that name (upper case).
pub fn lookup(name: &str) -> Option<&'static ScalarFunction> {
    all().find(|function| function.name == name)
}

/// Every scalar function.
pub fn all() -> impl Iterator<Item = &'static ScalarFunction> {
    [
        array::FUNCTIONS,
        bytes::FUNCTIONS,
        conditional::FUNCTIONS,
        date_time::FUNCTIONS,
        json::FUNCTIONS,
        map::FUNCTIONS,
        mask::FUNCTIONS,
        numeric::FUNCTIONS,
        regular_expression::FUNCTIONS,
        string::FUNCTIONS,
        string_list::FUNCTIONS,
        trigonometry::FUNCTIONS,
        url::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests;
