//! How much may be made for one row: a short statement can double a text in each step of a `REDUCE`.

use std::cell::Cell;

use super::EvaluationError;
use crate::value::Value;

/// So many bytes may be made for a row, whatever becomes of them.
const MOST_MADE: usize = 64 * 1024 * 1024;
/// What a call of a lambda counts, so that lambdas within lambdas come to an end.
const LAMBDA: usize = 32;
/// What an element counts, besides what is in it.
const ELEMENT: usize = size_of::<Value>();

/// What may still be made for a row.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Cell<usize>,
    /// Whether the expression at hand wanted more.
    is_exceeded: Cell<bool>,
}

impl Budget {
    /// For a row.
    pub(crate) fn of_row() -> Self {
        Self {
            left: Cell::new(MOST_MADE),
            is_exceeded: Cell::new(false),
        }
    }

    /// Whether an expression wanted more than there was; the next one is asked anew. Such an expression has no value,
    /// whatever its parts made of that.
    pub(super) fn was_exceeded(&self) -> bool {
        self.is_exceeded.replace(false)
    }

    /// Takes so many bytes.
    pub(super) fn take(&self, bytes: usize) -> Result<(), EvaluationError> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.left.set(0);
                self.is_exceeded.set(true);
                Err(EvaluationError::new(format!(
                    "the expressions of a row make more than {MOST_MADE} bytes"
                )))
            }
        }
    }

    /// Takes what a value is made of; what is in its elements was taken when these were made.
    pub(super) fn take_made(&self, value: &Value) -> Result<(), EvaluationError> {
        self.take(match value {
            Value::String(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Array(elements) | Value::Struct(elements) => elements.len() * ELEMENT,
            Value::Map(entries) => entries.len() * 2 * ELEMENT,
            _ => return Ok(()),
        })
    }

    /// Takes a call of a lambda.
    pub(super) fn take_lambda(&self) -> Result<(), EvaluationError> {
        self.take(LAMBDA)
    }

    /// Whether a function may be called, whose result can be much larger than its arguments.
    pub(super) fn allow(&self, function: &str, arguments: &[Value]) -> Result<(), EvaluationError> {
        let most = match (function, arguments) {
            ("CONCAT" | "CONCAT_WS" | "ARRAY_CONCAT", all) => {
                let separator = all.first().map_or(0, length);
                let lengths = all
                    .iter()
                    .map(|argument| length(argument).saturating_add(separator));
                lengths.fold(0, usize::saturating_add)
            }
            ("REPLACE", [Value::String(text), Value::String(from), Value::String(to)]) => {
                let found = text.matches(from.as_ref()).count();
                text.len().saturating_add(found.saturating_mul(to.len()))
            }
            ("REGEXP_REPLACE", [Value::String(text), _, Value::String(to)]) => text
                .len()
                .saturating_add(1)
                .saturating_mul(to.len().saturating_add(1)),
            ("ARRAY_JOIN", [Value::Array(elements), rest @ ..]) => {
                let delimiter = rest.first().map_or(1, length);
                let lengths = elements
                    .iter()
                    .map(|element| length(element).saturating_add(delimiter));
                lengths.fold(0, usize::saturating_add)
            }
            _ => return Ok(()),
        };
        if most > self.left.get() {
            // It is not made: what is left stays.
            self.is_exceeded.set(true);
            return Err(EvaluationError::new(format!(
                "the result may have {most} bytes, and the expressions of a row may make {MOST_MADE}"
            )));
        }
        Ok(())
    }
}

fn length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(elements) => elements.len() * ELEMENT,
        _ => 24,
    }
}
