//! Evaluation of expressions.
//!
//! Logic is two-valued, as in the Java that ksqlDB generates: a comparison with `NULL` is false, and a `NULL`
//! where a Boolean or a number is needed is an error, unless a short circuit never looks at it.
//!
//! An error makes the innermost function, cast or member of a constructor around it `NULL`, and the whole
//! expression only where there is none: `COALESCE(CAST('x' AS INT), 1)` is 1.

mod lambda;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::cast::text_of;
use super::compare::Comparison::{GreaterOrEqual, LessOrEqual};
use super::compare::equal;
use super::{Budget, EvaluationError, Expr};
use crate::functions::json::json_of;
use crate::functions::{NullHandling, ScalarFunction};
use crate::types::SqlType;
use crate::value::Value;
use lambda::{filter, reduce, transform_array, transform_map};

type Evaluated<'a> = Result<Cow<'a, Value>, EvaluationError>;

/// How many failures of parts of one expression are told for one row.
const MOST_FAILURES: usize = 4;

thread_local! {
    /// Where concatenated texts are put together.
    static TEXT: Cell<String> = const { Cell::new(String::new()) };
}

/// More room is not kept.
const MOST_TEXT: usize = 4096;

/// What an expression has besides the row.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    /// The parameters of the enclosing lambdas.
    parameters: &'a [Value],
    /// The failures that made only a part of the expression `NULL`.
    failures: &'a RefCell<Vec<EvaluationError>>,
    /// What may still be made.
    budget: &'a Budget,
}

impl Frame<'_> {
    fn note(self, error: EvaluationError) {
        let mut failures = self.failures.borrow_mut();
        if !error.is_null_operand && failures.len() < MOST_FAILURES {
            failures.push(error);
        }
    }
}

impl Expr {
    /// The value for a row: `NULL` where it has none. `failed` is told why, of parts of the expression too.
    pub(crate) fn value(&self, row: &[Value], failed: &mut dyn FnMut(EvaluationError)) -> Value {
        self.value_within(row, &Budget::of_row(), failed)
    }

    /// The same, of an expression that shares what may be made with others of the row.
    pub(crate) fn value_within(
        &self,
        row: &[Value],
        budget: &Budget,
        failed: &mut dyn FnMut(EvaluationError),
    ) -> Value {
        if let Self::Column(place) = self {
            return row[*place].clone();
        }
        let failures = RefCell::default();
        let frame = Frame {
            parameters: &[],
            failures: &failures,
            budget,
        };
        let value = self.evaluate(row, frame).map_or_else(
            |error| {
                frame.note(error);
                Value::Null
            },
            Cow::into_owned,
        );
        let value = if budget.was_exceeded() { Value::Null } else { value };
        failures.into_inner().into_iter().for_each(failed);
        value
    }

    /// Whether a condition holds for a row: not where it has no truth, of which `failed` is told.
    pub(crate) fn holds(&self, row: &[Value], failed: &mut dyn FnMut(EvaluationError)) -> bool {
        let failures = RefCell::default();
        let budget = Budget::of_row();
        let frame = Frame {
            parameters: &[],
            failures: &failures,
            budget: &budget,
        };
        let holds = self.truth(row, frame).unwrap_or_else(|error| {
            frame.note(error);
            false
        });
        let holds = holds && !budget.was_exceeded();
        failures.into_inner().into_iter().for_each(failed);
        holds
    }

    /// The value for a row.
    pub(super) fn evaluate<'a>(&'a self, row: &'a [Value], frame: Frame<'a>) -> Evaluated<'a> {
        match self {
            Self::Constant(value) => Ok(Cow::Borrowed(value)),
            Self::Column(place) => Ok(Cow::Borrowed(&row[*place])),
            Self::Variable(place) => Ok(Cow::Borrowed(&frame.parameters[*place])),
            Self::Not(_)
            | Self::And(_)
            | Self::Or(_)
            | Self::Compare(..)
            | Self::SameAs(..)
            | Self::Like(_)
            | Self::In(..)
            | Self::Between(..)
            | Self::IsNull(_) => Ok(Cow::Owned(Value::Boolean(self.truth(row, frame)?))),
            Self::Negate(inner) => negate(&*inner.evaluate(row, frame)?).map(Cow::Owned),
            Self::Arithmetic(first, rest) => {
                let mut value = first.evaluate(row, frame)?;
                for (arithmetic, operand) in rest {
                    let operand = operand.evaluate(row, frame)?;
                    value = Cow::Owned(arithmetic.apply(&value, &operand)?);
                }
                Ok(value)
            }
            Self::Concatenate(..) => {
                // The room of the last one; an inner one finds none.
                let mut text = TEXT.take();
                text.clear();
                self.append_text(row, frame, &mut text)?;
                let value = Value::string(text.as_str());
                if text.capacity() <= MOST_TEXT {
                    TEXT.set(text);
                }
                Ok(Cow::Owned(value))
            }
            Self::Case(branches, otherwise) => {
                for (condition, result) in branches {
                    if condition.truth(row, frame)? {
                        return result.evaluate(row, frame);
                    }
                }
                otherwise.evaluate(row, frame)
            }
            Self::Cast(cast, inner) => {
                let cast = inner.evaluate(row, frame).and_then(|value| cast.apply(&value));
                let cast = cast.and_then(|value| made(value, frame));
                Ok(Cow::Owned(or_null(cast, frame)))
            }
            Self::Element(base, index) => {
                let index = index.evaluate(row, frame)?;
                Ok(pick(base.evaluate(row, frame)?, |base| element(base, &index)))
            }
            Self::Entry(base, key) => {
                let key = key.evaluate(row, frame)?;
                Ok(pick(base.evaluate(row, frame)?, |base| entry(base, &key)))
            }
            Self::Field(base, place) => Ok(pick(base.evaluate(row, frame)?, |base| match base {
                Value::Struct(values) => values.get(*place),
                _ => None,
            })),
            Self::Json(sql_type, inner) => {
                let json = inner.evaluate(row, frame).map(|value| json_of(&value, sql_type));
                let json = json.and_then(|value| made(value, frame));
                Ok(Cow::Owned(or_null(json, frame)))
            }
            Self::Call(function, arguments) => {
                let result = call(function, arguments, row, frame);
                Ok(Cow::Owned(or_null(result, frame)))
            }
            Self::Array(items) => made(Value::Array(members(items, row, frame)), frame).map(Cow::Owned),
            Self::Struct(items) => made(Value::Struct(members(items, row, frame)), frame).map(Cow::Owned),
            Self::Map(entries) => {
                let mut values = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let key = map_key(&*key.evaluate(row, frame)?)?;
                    let value = value.evaluate(row, frame).map(Cow::into_owned);
                    values.push((key, or_null(value, frame)));
                }
                made(Value::map(values), frame).map(Cow::Owned)
            }
            Self::TransformArray(base, body) => Ok(Cow::Owned(or_null(
                transform_array(base, body, row, frame),
                frame,
            ))),
            Self::TransformMap(base, key_body, value_body) => {
                let transformed = transform_map(base, key_body, value_body, row, frame);
                Ok(Cow::Owned(or_null(transformed, frame)))
            }
            Self::Filter(base, body) => Ok(Cow::Owned(or_null(filter(base, body, row, frame), frame))),
            Self::Reduce(base, start, body) => {
                Ok(Cow::Owned(or_null(reduce(base, start, body, row, frame), frame)))
            }
        }
    }

    /// The truth for a row; an error where it is `NULL`.
    fn truth(&self, row: &[Value], frame: Frame<'_>) -> Result<bool, EvaluationError> {
        Ok(match self {
            Self::Not(inner) => !inner.truth(row, frame)?,
            Self::And(operands) => {
                for operand in operands {
                    if !operand.truth(row, frame)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Or(operands) => {
                for operand in operands {
                    if operand.truth(row, frame)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Compare(comparison, left, right) => {
                let (left, right) = (left.evaluate(row, frame)?, right.evaluate(row, frame)?);
                comparison.holds(&left, &right)
            }
            Self::SameAs(wanted, left, right) => {
                let (left, right) = (left.evaluate(row, frame)?, right.evaluate(row, frame)?);
                let same = match (left.is_null(), right.is_null()) {
                    (false, false) => equal(&left, &right),
                    (left, right) => left && right,
                };
                same == *wanted
            }
            Self::Like(like) => like.matches(row, frame)?,
            Self::In(value, list) => {
                let value = value.evaluate(row, frame)?;
                if value.is_null() {
                    return Ok(false);
                }
                for item in list {
                    let item = item.evaluate(row, frame)?;
                    if !item.is_null() && equal(&value, &item) {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Between(value, low, high) => {
                let value = value.evaluate(row, frame)?;
                let (low, high) = (low.evaluate(row, frame)?, high.evaluate(row, frame)?);
                GreaterOrEqual.holds(&value, &low) && LessOrEqual.holds(&value, &high)
            }
            Self::IsNull(inner) => inner.evaluate(row, frame)?.is_null(),
            other => match other.evaluate(row, frame)?.as_ref() {
                Value::Boolean(flag) => *flag,
                _ => return Err(EvaluationError::new("a Boolean is needed, but it is null")),
            },
        })
    }

    /// Appends the text of a string, as Java does: `null` where there is none. A chain of `+` so builds one
    /// text, not one a sign.
    fn append_text(&self, row: &[Value], frame: Frame<'_>, text: &mut String) -> Result<(), EvaluationError> {
        if let Self::Concatenate(operands) = self {
            let mut operands = operands.iter();
            return operands.try_for_each(|operand| operand.append_text(row, frame, text));
        }
        match self.evaluate(row, frame)?.as_ref() {
            Value::String(part) => {
                frame.budget.take(part.len())?;
                text.push_str(part);
            }
            _ => text.push_str("null"),
        }
        Ok(())
    }
}

/// Where an error ends: the part that failed is `NULL`.
fn or_null(result: Result<Value, EvaluationError>, frame: Frame<'_>) -> Value {
    result.unwrap_or_else(|error| {
        frame.note(error);
        Value::Null
    })
}

/// A value that was made, if there was room for it.
fn made(value: Value, frame: Frame<'_>) -> Result<Value, EvaluationError> {
    frame.budget.take_made(&value)?;
    Ok(value)
}

/// The members of an array or a struct; one that fails is `NULL`.
fn members(items: &[Expr], row: &[Value], frame: Frame<'_>) -> Arc<[Value]> {
    let evaluated = items.iter().map(|item| item.evaluate(row, frame));
    evaluated
        .map(|item| or_null(item.map(Cow::into_owned), frame))
        .collect()
}

fn call(
    function: &ScalarFunction,
    arguments: &[Expr],
    row: &[Value],
    frame: Frame<'_>,
) -> Result<Value, EvaluationError> {
    let arguments = arguments
        .iter()
        .map(|argument| argument.evaluate(row, frame).map(Cow::into_owned))
        .collect::<Result<Vec<_>, _>>()?;
    if function.nulls == NullHandling::Propagate && arguments.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    frame.budget.allow(function.name, &arguments)?;
    let result = (function.call)(&arguments).map_err(|error| {
        EvaluationError::new(format!("Failed to invoke function {}: {error}", function.name))
    })?;
    made(result, frame)
}

/// A part of a value, borrowed where the value is.
fn pick<'a>(base: Cow<'a, Value>, part: impl Fn(&Value) -> Option<&Value>) -> Cow<'a, Value> {
    match base {
        Cow::Borrowed(base) => part(base).map_or(Cow::Owned(Value::Null), Cow::Borrowed),
        Cow::Owned(base) => Cow::Owned(part(&base).cloned().unwrap_or_default()),
    }
}

/// An array's element: counted from 1, negative from the end, `NULL` outside.
fn element<'a>(base: &'a Value, index: &Value) -> Option<&'a Value> {
    let Value::Array(elements) = base else {
        return None;
    };
    let index = match index {
        Value::Integer(index) => i64::from(*index),
        Value::Bigint(index) => *index,
        _ => return None,
    };
    let length = elements.len() as i64;
    let place = if index < 0 {
        length.checked_add(index)?
    } else {
        index - 1
    };
    elements.get(usize::try_from(place).ok()?)
}

fn entry<'a>(base: &'a Value, key: &Value) -> Option<&'a Value> {
    // A key of another type is in no map: every format has texts for keys.
    let (Value::Map(entries), Value::String(key)) = (base, key) else {
        return None;
    };
    let place = entries.binary_search_by(|(other, _)| other.as_ref().cmp(key));
    // A histogram's keys are not sorted.
    let place = place
        .ok()
        .or_else(|| entries.iter().position(|(other, _)| other == key))?;
    Some(&entries[place].1)
}

fn map_key(value: &Value) -> Result<Arc<str>, EvaluationError> {
    match value {
        Value::String(key) => Ok(Arc::clone(key)),
        Value::Null => Err(EvaluationError::new("a map's key is null")),
        other => Ok(text_of(other, &SqlType::String).into()),
    }
}

fn negate(value: &Value) -> Result<Value, EvaluationError> {
    match value {
        Value::Null => Err(EvaluationError::null_operand()),
        Value::Integer(number) => Ok(Value::Integer(number.wrapping_neg())),
        Value::Bigint(number) => Ok(Value::Bigint(number.wrapping_neg())),
        Value::Double(number) => Ok(Value::Double(-number)),
        Value::Decimal(number) => Ok(Value::Decimal(-number.clone())),
        other => Err(EvaluationError::new(format!("cannot negate {other:?}"))),
    }
}
