//! The scalar functions: one file per theme, one static definition per function.
//!
//! A function knows types and values, and nothing of expressions, queries or Kafka.

use crate::types::SqlType;
use crate::value::Value;

/// A scalar function as `LIST FUNCTIONS` and `DESCRIBE FUNCTION` show it, and as an expression calls it.
#[derive(Debug)]
pub struct ScalarFunction {
    /// Its name, upper case.
    pub name: &'static str,
    /// Its theme, such as `STRING` or `DATE / TIME`.
    pub category: &'static str,
    /// One sentence on what it does.
    pub description: &'static str,
    /// The signatures as text, such as `SUBSTRING(STRING, INT[, INT])`: for documentation and errors.
    pub signatures: &'static [&'static str],
    /// Whether a `NULL` among the arguments makes the result `NULL` without a call.
    pub nulls: NullHandling,
    /// The type of the result, or `None` where the arguments' types do not fit.
    /// An argument of type `None` is a `NULL` literal and fits everywhere.
    pub return_type: fn(arguments: &[Option<SqlType>]) -> Option<SqlType>,
    /// Computes the result. The arguments' types fit; numbers come as they are (not widened).
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

/// Why a call failed: the column becomes `NULL` and the processing log gets this.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct FunctionError {
    /// What was wrong with the arguments.
    pub reason: String,
}

/// The function of that name (upper case).
pub fn lookup(name: &str) -> Option<&'static ScalarFunction> {
    all().find(|function| function.name == name)
}

/// Every scalar function.
pub fn all() -> impl Iterator<Item = &'static ScalarFunction> {
    [].into_iter()
}
