//! `GROUP BY`, `HAVING`, `WINDOW`: what is computed before the aggregation, and what behind it.
//!
//! The calls of aggregate functions, and the grouping expressions that are no columns, become columns that are
//! appended to the scope; what is projected is then an expression over these and over the columns that are grouped.

mod splitter;
mod upgrade;

use super::inputs::Inputs;
use super::pipeline::Windowing;
use super::qualify::qualified;
use super::{PlanError, Purpose, Settings, Stage};
use crate::aggregates::Aggregate;
use crate::expression::{Expr, text, unfit_call};
use crate::functions::catalogue::{Sort, listed};
use crate::metastore::Metastore;
use crate::serde::Format;
use crate::syntax::ast::{
    Emit, Expression, ExpressionKind, Literal, Query, SelectItem, SourceKind, UnaryOperator,
};
use crate::types::SqlType;
use crate::value::Value;
use splitter::Splitter;

pub(super) use upgrade::{Fixed, fixed};

/// How many different aggregate functions a query may call. Each call is compared with every other.
const MOST_CALLS: usize = 1_000;

const BOUNDS: [&str; 2] = ["WINDOWSTART", "WINDOWEND"];

/// An aggregation whose expressions name places of the scope.
#[derive(Debug)]
pub(super) struct Aggregation {
    pub(super) groups: Vec<Group>,
    pub(super) calls: Vec<Call>,
    pub(super) windowing: Option<Windowing>,
    pub(super) is_final: bool,
    /// The projection and the condition as they are computed behind it.
    pub(super) select: Vec<SelectItem>,
    pub(super) having: Option<(Expr, String)>,
    /// The places of `WINDOWSTART` and `WINDOWEND` in the scope.
    pub(super) bounds: [Option<usize>; 2],
}

#[derive(Debug)]
pub(super) struct Group {
    /// Over the inputs.
    pub(super) expr: Expr,
    pub(super) text: String,
    /// The same, whether or not the query says whose its columns are.
    pub(super) written: String,
    pub(super) sql_type: SqlType,
    /// The place in the scope that stands for it behind the aggregation.
    pub(super) place: usize,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) aggregate: Aggregate,
    /// Over the inputs.
    pub(super) arguments: Vec<Expr>,
    pub(super) text: String,
    /// The same, whether or not the query says whose its columns are.
    pub(super) written: String,
    pub(super) place: usize,
}

/// Whether an expression calls an aggregate function.
pub(super) fn is_aggregate(expression: &Expression) -> bool {
    is_call(expression) || expression.children().into_iter().any(is_aggregate)
}

fn is_call(expression: &Expression) -> bool {
    match &expression.kind {
        ExpressionKind::Call { function, .. } => is_aggregate_name(function),
        _ => false,
    }
}

fn is_aggregate_name(function: &str) -> bool {
    listed(function).is_some_and(|listed| listed.sort == Sort::Aggregate)
}

/// What is wrong about a statement before anything is planned.
pub(super) fn check_early(query: &Query, metastore: &Metastore) -> Result<(), PlanError> {
    let inputs = Inputs::of_names(metastore, query).ok();
    for (place, group) in query.group_by.iter().enumerate() {
        let written = |expression: &Expression| match &inputs {
            Some(inputs) => text(&qualified(expression, &inputs.scope)),
            None => text(expression),
        };
        let group = written(group);
        if query.group_by[..place]
            .iter()
            .any(|other| written(other) == group)
        {
            let message = format!("Duplicate GROUP BY expression: {group}");
            return Err(PlanError::in_stage(Stage::Preparing, message));
        }
    }
    Ok(())
}

/// The aggregation of a query, where it has one. Its columns are appended to the scope.
pub(super) fn split(
    query: &Query,
    inputs: &mut Inputs,
    purpose: Purpose<'_>,
    settings: Settings,
) -> Result<Option<Aggregation>, PlanError> {
    let selected = query.select.iter().filter_map(|item| match item {
        SelectItem::Expression { expression, .. } | SelectItem::AllFields { base: expression, .. } => {
            Some(expression)
        }
        SelectItem::All { .. } => None,
    });
    let clauses: Vec<&Expression> = selected.chain(&query.having).collect();
    let first_call = clauses.iter().find_map(|clause| first_call(clause));
    if query.group_by.is_empty() && first_call.is_none() {
        if query.having.is_some() {
            return Err(PlanError::new("HAVING requires GROUP BY or aggregate functions."));
        }
        if let Some(window) = &query.window {
            return Err(PlanError::at(
                window.position,
                "WINDOW clause requires a GROUP BY clause.",
            ));
        }
        if query.emit == Some(Emit::Final) {
            return Err(not_final());
        }
        return Ok(None);
    }
    if let Some(group) = query.group_by.iter().find_map(first_call_of) {
        return Err(PlanError::new(format!(
            "GROUP BY does not support aggregate functions: {} is an aggregate function.",
            function_of(group)
        )));
    }
    let Some(first_call) = first_call else {
        if let Some(unknown) = clauses.iter().find_map(|clause| unknown_call(clause)) {
            return Err(unfit_call(unknown, &[]));
        }
        return Err(PlanError::new(
            "GROUP BY requires aggregate functions in either the SELECT or HAVING clause.",
        ));
    };
    if query.group_by.is_empty() && !matches!(purpose, Purpose::Push) {
        let kind = match purpose {
            Purpose::Sink {
                kind: SourceKind::Stream,
                ..
            } => "CREATE STREAM AS SELECT",
            Purpose::InsertInto { .. } => "INSERT INTO",
            _ => "CREATE TABLE AS SELECT",
        };
        return Err(PlanError::new(format!(
            "{kind} statement does not support aggregate function [{}] without a GROUP BY clause.",
            counted(first_call)
        )));
    }
    refuse_kafka_values(inputs)?;
    Splitter::new(query, inputs, settings)?.split(query).map(Some)
}

fn not_final() -> PlanError {
    PlanError::new("EMIT FINAL is only supported for windowed aggregations.")
}

fn first_call<'a>(expression: &&'a Expression) -> Option<&'a Expression> {
    first_call_of(expression)
}

fn first_call_of(expression: &Expression) -> Option<&Expression> {
    if is_call(expression) {
        return Some(expression);
    }
    expression.children().into_iter().find_map(first_call_of)
}

/// The name of a function that is called and that there is not.
fn unknown_call(expression: &Expression) -> Option<&str> {
    match &expression.kind {
        ExpressionKind::Call { function, .. } if listed(function).is_none() => Some(function),
        _ => expression.children().into_iter().find_map(unknown_call),
    }
}

fn function_of(call: &Expression) -> &str {
    match &call.kind {
        ExpressionKind::Call { function, .. } => function,
        _ => "",
    }
}

/// A call as it is named: what counts rows counts their times.
fn counted(call: &Expression) -> String {
    match &call.kind {
        ExpressionKind::Call { function, arguments } if arguments.is_empty() => {
            format!("{function}(ROWTIME)")
        }
        _ => text(call),
    }
}

fn refuse_kafka_values(inputs: &Inputs) -> Result<(), PlanError> {
    let sources = inputs.inputs.iter().map(|input| &input.source);
    let of_kafka = sources.filter(|source| source.value_format == Format::Kafka);
    let names: Vec<&str> = of_kafka.map(|source| source.name.as_str()).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(PlanError::new(format!(
        "Source(s) {} are using the 'KAFKA' value format. This format does not yet support GROUP BY.\n{}",
        names.join(", "),
        super::inputs::KAFKA_VALUES
    )))
}

/// The value of a literal, also with a sign.
fn literal(expression: &Expression) -> Option<Value> {
    match &expression.kind {
        ExpressionKind::Literal(Literal::Integer(number)) => Some(Value::Integer(*number)),
        ExpressionKind::Literal(Literal::Boolean(flag)) => Some(Value::Boolean(*flag)),
        ExpressionKind::Unary(UnaryOperator::Minus, inner) => match literal(inner)? {
            Value::Integer(number) => number.checked_neg().map(Value::Integer),
            _ => None,
        },
        _ => None,
    }
}
