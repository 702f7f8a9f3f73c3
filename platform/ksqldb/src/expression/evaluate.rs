//! Evaluation of expressions.
//!
//! Logic is two-valued, as in the Java that ksqlDB generates: a comparison with `NULL` is false, and a `NULL`
//! where a Boolean is needed is an error, unless a short circuit never looks at it.

use std::borrow::Cow;
use std::sync::Arc;

use super::cast::text_of;
use super::compare::equal;
use super::{EvaluationError, Expr};
use crate::functions::NullHandling;
use crate::types::SqlType;
use crate::value::Value;

type Evaluated<'a> = Result<Cow<'a, Value>, EvaluationError>;

impl Expr {
    /// The value for a row. `frame` holds the parameters of the enclosing lambdas.
    pub(crate) fn evaluate<'a>(&'a self, row: &'a [Value], frame: &'a [Value]) -> Evaluated<'a> {
        let boolean = |flag| Ok(Cow::Owned(Value::Boolean(flag)));
        match self {
            Self::Constant(value) => Ok(Cow::Borrowed(value)),
            Self::Column(place) => Ok(Cow::Borrowed(&row[*place])),
            Self::Variable(place) => Ok(Cow::Borrowed(&frame[*place])),
            Self::Not(inner) => boolean(!inner.truth(row, frame)?),
            Self::And(left, right) => boolean(left.truth(row, frame)? && right.truth(row, frame)?),
            Self::Or(left, right) => boolean(left.truth(row, frame)? || right.truth(row, frame)?),
            Self::Compare(comparison, left, right) => {
                let (left, right) = (left.evaluate(row, frame)?, right.evaluate(row, frame)?);
                boolean(comparison.holds(&left, &right))
            }
            Self::SameAs(wanted, left, right) => {
                let (left, right) = (left.evaluate(row, frame)?, right.evaluate(row, frame)?);
                let same = match (left.is_null(), right.is_null()) {
                    (false, false) => equal(&left, &right),
                    (left, right) => left && right,
                };
                boolean(same == *wanted)
            }
            Self::Negate(inner) => negate(&*inner.evaluate(row, frame)?).map(Cow::Owned),
            Self::Arithmetic(arithmetic, left, right) => {
                let (left, right) = (left.evaluate(row, frame)?, right.evaluate(row, frame)?);
                arithmetic.apply(&left, &right).map(Cow::Owned)
            }
            Self::Concatenate(..) => {
                let mut text = String::new();
                let is_whole = self.append_text(row, frame, &mut text)?;
                Ok(Cow::Owned(if is_whole {
                    Value::string(text)
                } else {
                    Value::Null
                }))
            }
            Self::Like(like) => boolean(like.matches(row, frame)?),
            Self::In(value, list) => {
                let value = value.evaluate(row, frame)?;
                if value.is_null() {
                    return boolean(false);
                }
                for item in list {
                    let item = item.evaluate(row, frame)?;
                    if !item.is_null() && equal(&value, &item) {
                        return boolean(true);
                    }
                }
                boolean(false)
            }
            Self::Between(value, low, high) => {
                use super::compare::Comparison::{GreaterOrEqual, LessOrEqual};
                let value = value.evaluate(row, frame)?;
                let (low, high) = (low.evaluate(row, frame)?, high.evaluate(row, frame)?);
                boolean(GreaterOrEqual.holds(&value, &low) && LessOrEqual.holds(&value, &high))
            }
            Self::IsNull(inner) => boolean(inner.evaluate(row, frame)?.is_null()),
            Self::Case(branches, otherwise) => {
                for (condition, result) in branches {
                    if condition.truth(row, frame)? {
                        return result.evaluate(row, frame);
                    }
                }
                otherwise.evaluate(row, frame)
            }
            Self::Cast(cast, inner) => cast.apply(&*inner.evaluate(row, frame)?).map(Cow::Owned),
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
            Self::Call(function, arguments) => {
                let arguments: Vec<Value> = evaluate_all(arguments, row, frame)?;
                if function.nulls == NullHandling::Propagate && arguments.iter().any(Value::is_null) {
                    return Ok(Cow::Owned(Value::Null));
                }
                match (function.call)(&arguments) {
                    Ok(value) => Ok(Cow::Owned(value)),
                    Err(error) => Err(EvaluationError::new(format!(
                        "Failed to invoke function {}: {error}",
                        function.name
                    ))),
                }
            }
            Self::Array(items) => {
                let items: Vec<Value> = evaluate_all(items, row, frame)?;
                Ok(Cow::Owned(Value::Array(items.into())))
            }
            Self::Struct(items) => {
                let items: Vec<Value> = evaluate_all(items, row, frame)?;
                Ok(Cow::Owned(Value::Struct(items.into())))
            }
            Self::Map(entries) => {
                let mut values = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let key = map_key(&*key.evaluate(row, frame)?)?;
                    values.push((key, value.evaluate(row, frame)?.into_owned()));
                }
                Ok(Cow::Owned(Value::map(values)))
            }
            Self::TransformArray(base, body) => {
                let base = base.evaluate(row, frame)?;
                let Value::Array(elements) = base.as_ref() else {
                    return Ok(Cow::Owned(Value::Null));
                };
                let results = elements.iter().map(|element| body.apply(row, frame, &[element]));
                let results: Vec<Value> = results.collect::<Result<_, _>>()?;
                Ok(Cow::Owned(Value::Array(results.into())))
            }
            Self::TransformMap(base, key_body, value_body) => {
                let base = base.evaluate(row, frame)?;
                let Value::Map(entries) = base.as_ref() else {
                    return Ok(Cow::Owned(Value::Null));
                };
                let mut results = Vec::with_capacity(entries.len());
                for (key, value) in entries.iter() {
                    let key = Value::String(Arc::clone(key));
                    let new_key = map_key(&key_body.apply(row, frame, &[&key, value])?)?;
                    results.push((new_key, value_body.apply(row, frame, &[&key, value])?));
                }
                Ok(Cow::Owned(Value::map(results)))
            }
            Self::Filter(base, body) => {
                filter(&*base.evaluate(row, frame)?, body, row, frame).map(Cow::Owned)
            }
            Self::Reduce(base, start, body) => {
                let base = base.evaluate(row, frame)?;
                let start = start.evaluate(row, frame)?.into_owned();
                reduce(&base, start, body, row, frame).map(Cow::Owned)
            }
        }
    }

    /// The truth for a row; an error where it is `NULL`.
    pub(crate) fn truth(&self, row: &[Value], frame: &[Value]) -> Result<bool, EvaluationError> {
        match self.evaluate(row, frame)?.as_ref() {
            Value::Boolean(flag) => Ok(*flag),
            _ => Err(EvaluationError::new("a Boolean is needed, but it is null")),
        }
    }

    /// Appends the text of a string; false where it is `NULL`. A chain of `+` so builds one text, not one a sign.
    fn append_text(
        &self,
        row: &[Value],
        frame: &[Value],
        text: &mut String,
    ) -> Result<bool, EvaluationError> {
        if let Self::Concatenate(left, right) = self {
            // Both sides, so that an error on the right is told even where the left is `NULL`.
            let left = left.append_text(row, frame, text)?;
            return Ok(right.append_text(row, frame, text)? && left);
        }
        match self.evaluate(row, frame)?.as_ref() {
            Value::String(part) => {
                text.push_str(part);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The value of a lambda's body for some parameters.
    fn apply(&self, row: &[Value], frame: &[Value], parameters: &[&Value]) -> Result<Value, EvaluationError> {
        let mut inner = frame.to_vec();
        inner.extend(parameters.iter().map(|parameter| (*parameter).clone()));
        Ok(self.evaluate(row, &inner)?.into_owned())
    }
}

fn evaluate_all(items: &[Expr], row: &[Value], frame: &[Value]) -> Result<Vec<Value>, EvaluationError> {
    let evaluated = items
        .iter()
        .map(|item| item.evaluate(row, frame).map(Cow::into_owned));
    evaluated.collect()
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
    let (Value::Map(entries), Value::String(key)) = (base, key) else {
        return None;
    };
    let place = entries
        .binary_search_by(|(other, _)| other.as_ref().cmp(key))
        .ok()?;
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
        Value::Null => Ok(Value::Null),
        Value::Integer(number) => Ok(Value::Integer(number.wrapping_neg())),
        Value::Bigint(number) => Ok(Value::Bigint(number.wrapping_neg())),
        Value::Double(number) => Ok(Value::Double(-number)),
        Value::Decimal(number) => Ok(Value::Decimal(-number.clone())),
        other => Err(EvaluationError::new(format!("cannot negate {other:?}"))),
    }
}

fn filter(base: &Value, body: &Expr, row: &[Value], frame: &[Value]) -> Result<Value, EvaluationError> {
    let is_true = |value| matches!(value, Value::Boolean(true));
    match base {
        Value::Array(elements) => {
            let mut kept = Vec::new();
            for element in elements.iter() {
                if is_true(body.apply(row, frame, &[element])?) {
                    kept.push(element.clone());
                }
            }
            Ok(Value::Array(kept.into()))
        }
        Value::Map(entries) => {
            let mut kept = Vec::new();
            for (key, value) in entries.iter() {
                let key_value = Value::String(Arc::clone(key));
                if is_true(body.apply(row, frame, &[&key_value, value])?) {
                    kept.push((Arc::clone(key), value.clone()));
                }
            }
            Ok(Value::Map(kept.into()))
        }
        _ => Ok(Value::Null),
    }
}

fn reduce(
    base: &Value,
    start: Value,
    body: &Expr,
    row: &[Value],
    frame: &[Value],
) -> Result<Value, EvaluationError> {
    if start.is_null() {
        return Ok(Value::Null);
    }
    let mut state = start;
    match base {
        Value::Array(elements) => {
            for element in elements.iter() {
                state = body.apply(row, frame, &[&state, element])?;
            }
        }
        Value::Map(entries) => {
            for (key, value) in entries.iter() {
                let key = Value::String(Arc::clone(key));
                state = body.apply(row, frame, &[&state, &key, value])?;
            }
        }
        _ => {}
    }
    Ok(state)
}
