//! `TRANSFORM`, `FILTER` and `REDUCE`: an expression for each element of an array or map. As where Java collects them,
//! the whole call fails where a condition is `NULL`, a new map has a `NULL` value, or has a key twice.

use std::sync::Arc;

use super::super::{EvaluationError, Expr};
use super::{Frame, made, map_key};
use crate::value::Value;

impl Expr {
    /// The value of a lambda's body for some parameters.
    pub(super) fn apply(
        &self,
        row: &[Value],
        frame: Frame<'_>,
        parameters: &[&Value],
    ) -> Result<Value, EvaluationError> {
        frame.budget.take_lambda()?;
        let mut inner = frame.parameters.to_vec();
        inner.extend(parameters.iter().map(|parameter| (*parameter).clone()));
        let frame = Frame {
            parameters: &inner,
            ..frame
        };
        Ok(self.evaluate(row, frame)?.into_owned())
    }
}

pub(super) fn transform_array(
    base: &Expr,
    body: &Expr,
    row: &[Value],
    frame: Frame<'_>,
) -> Result<Value, EvaluationError> {
    let base = base.evaluate(row, frame)?;
    let Value::Array(elements) = base.as_ref() else {
        return Ok(Value::Null);
    };
    let results = elements.iter().map(|element| body.apply(row, frame, &[element]));
    let results: Arc<[Value]> = results.collect::<Result<_, _>>()?;
    made(Value::Array(results), frame)
}

pub(super) fn transform_map(
    base: &Expr,
    key_body: &Expr,
    value_body: &Expr,
    row: &[Value],
    frame: Frame<'_>,
) -> Result<Value, EvaluationError> {
    let base = base.evaluate(row, frame)?;
    let Value::Map(entries) = base.as_ref() else {
        return Ok(Value::Null);
    };
    let mut results = Vec::with_capacity(entries.len());
    for (key, value) in entries.iter() {
        let key = Value::String(Arc::clone(key));
        let new_key = map_key(&key_body.apply(row, frame, &[&key, value])?)?;
        results.push((new_key, present(value_body.apply(row, frame, &[&key, value])?)?));
    }
    results.sort_by(|(left, _), (right, _)| left.cmp(right));
    if let Some(twice) = results.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(EvaluationError::new(format!("Duplicate key {}", twice[0].0)));
    }
    made(Value::map(results), frame)
}

/// A value of a map that is made.
fn present(value: Value) -> Result<Value, EvaluationError> {
    match value {
        Value::Null => Err(EvaluationError::new("a map's value is null")),
        value => Ok(value),
    }
}

pub(super) fn filter(
    base: &Expr,
    body: &Expr,
    row: &[Value],
    frame: Frame<'_>,
) -> Result<Value, EvaluationError> {
    let holds = |value| match value {
        Value::Null => Err(EvaluationError::new("a condition is null")),
        value => Ok(value == Value::Boolean(true)),
    };
    match base.evaluate(row, frame)?.as_ref() {
        Value::Array(elements) => {
            let mut kept = Vec::new();
            for element in elements.iter() {
                if holds(body.apply(row, frame, &[element])?)? {
                    kept.push(element.clone());
                }
            }
            Ok(Value::Array(kept.into()))
        }
        Value::Map(entries) => {
            let mut kept = Vec::new();
            for (key, value) in entries.iter() {
                let key_value = Value::String(Arc::clone(key));
                if holds(body.apply(row, frame, &[&key_value, value])?)? {
                    kept.push((Arc::clone(key), present(value.clone())?));
                }
            }
            Ok(Value::Map(kept.into()))
        }
        _ => Ok(Value::Null),
    }
}

pub(super) fn reduce(
    base: &Expr,
    start: &Expr,
    body: &Expr,
    row: &[Value],
    frame: Frame<'_>,
) -> Result<Value, EvaluationError> {
    let mut state = start.evaluate(row, frame)?.into_owned();
    if state.is_null() {
        return Ok(Value::Null);
    }
    match base.evaluate(row, frame)?.as_ref() {
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
