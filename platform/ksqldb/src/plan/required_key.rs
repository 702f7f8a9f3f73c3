//! The key that a query's rows have, and that its projection must have too.

use super::aggregation::{Aggregation, Group};
use super::inputs::{Input, Inputs};
use super::join_criteria::JoinMethod;
use super::projection::Item;
use super::qualify::qualified;
use super::{PlanError, Stage};
use crate::expression::{Expr, compile, text};
use crate::syntax::ast::{Expression, ExpressionKind, Literal, Query};
use crate::types::{Column, SqlType};

/// What ksqlDB says to a key that is projected twice.
const ONCE: &str = "Each key column must only be in the projection once. If you intended to copy the key into the value, then consider using the `AS_VALUE` function to indicate which key reference should be copied.";

/// What the key of a query's rows is made of.
#[derive(Debug, Clone)]
pub(super) struct RequiredKey {
    /// What a persistent query must project.
    pub(super) candidates: Vec<Candidate>,
    /// Whether it must project all candidates, or one of them.
    pub(super) all: bool,
    /// What ksqlDB calls a candidate.
    pub(super) what: &'static str,
    pub(super) synthetic: bool,
    /// `PARTITION BY NULL`
    pub(super) is_dropped: bool,
    /// Of a foreign-key join: the left table, whose key it is.
    pub(super) of_left: Option<String>,
}

impl RequiredKey {
    /// Whether an item is (a part of) the key.
    pub(super) fn is_of(&self, item: &Item) -> bool {
        self.candidates.iter().any(|candidate| candidate.is(item))
    }
}

/// An expression that can be (a part of) the key.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) expr: Expr,
    pub(super) text: String,
    /// Of an expression that is no column of a declaration: what makes it a column of `*`.
    pub(super) of_star: Option<(Expression, SqlType)>,
}

impl Candidate {
    /// The column that it is among the projection's items.
    pub(super) fn column(&self, items: &[Item]) -> Option<(String, SqlType)> {
        let item = items.iter().find(|item| self.is(item))?;
        Some((item.name.clone(), item.sql_type.clone()))
    }

    fn is(&self, item: &Item) -> bool {
        self.expr.fingerprint() == item.expr.fingerprint()
    }
}

/// The key of the rows, before the projection.
pub(super) fn required_key(
    query: &Query,
    inputs: &Inputs,
    aggregation: Option<&Aggregation>,
) -> Result<RequiredKey, PlanError> {
    let mut required = RequiredKey {
        candidates: Vec::new(),
        all: true,
        what: "key column",
        synthetic: false,
        is_dropped: false,
        of_left: None,
    };
    if let Some(aggregation) = aggregation {
        required.what = "grouping expression";
        let candidate = |group: &Group| Candidate {
            expr: Expr::Column(group.place),
            text: group.text.clone(),
            of_star: None,
        };
        required.candidates = aggregation.groups.iter().map(candidate).collect();
        return Ok(required);
    }
    if !query.partition_by.is_empty() {
        required.what = "partitioning expression";
        let is_null = |by: &Expression| matches!(by.kind, ExpressionKind::Literal(Literal::Null));
        if query.partition_by.len() == 1 && is_null(&query.partition_by[0]) {
            required.is_dropped = true;
            return Ok(required);
        }
        for by in &query.partition_by {
            let typed =
                compile(by, &inputs.scope, "PARTITION BY").map_err(|error| of_partition_by(by, error))?;
            let Some(sql_type) = typed.sql_type else {
                return Err(PlanError::new(
                    "Cannot PARTITION BY multiple columns including NULL",
                ));
            };
            let candidate = Candidate {
                of_star: (!inputs.is_declared(&typed.expr)).then(|| (by.clone(), sql_type)),
                text: match &by.kind {
                    ExpressionKind::Column { .. } => text(by),
                    _ => text(&qualified(by, &inputs.scope)),
                },
                expr: typed.expr,
            };
            let is_same = |other: &Candidate| other.expr.fingerprint() == candidate.expr.fingerprint();
            if required.candidates.iter().any(is_same) {
                return Err(PlanError::in_stage(
                    Stage::Reading,
                    format!("Duplicate PARTITION BY expression: {}", text(by)),
                ));
            }
            required.candidates.push(candidate);
        }
        return Ok(required);
    }
    if let Some(place) = inputs.synthetic_key {
        required.what = "join expression";
        required.synthetic = true;
        required.candidates.push(Candidate {
            expr: Expr::Column(place),
            text: inputs.scope.columns[place].name.clone(),
            of_star: None,
        });
    } else if let Some(join) = inputs.joins.last()
        && join.method == JoinMethod::ForeignKey
    {
        required.of_left = Some(inputs.inputs[0].alias.clone());
        required.candidates = source_key(&inputs.inputs[0]);
    } else if !inputs.joins.is_empty() {
        required.what = "join expression";
        required.all = false;
        let candidates = inputs.join_keys().into_iter();
        required.candidates = candidates
            .map(|(expr, text)| Candidate {
                expr,
                text,
                of_star: None,
            })
            .collect();
    } else {
        required.candidates = source_key(&inputs.inputs[0]);
    }
    Ok(required)
}

/// The key columns of an input, which come first.
fn source_key(input: &Input) -> Vec<Candidate> {
    let columns = (input.first..).zip(input.source.schema.key());
    let candidate = |(place, column): (usize, &Column)| Candidate {
        expr: Expr::Column(place),
        text: column.name.clone(),
        of_star: None,
    };
    columns.map(candidate).collect()
}

/// A column that is not there is told what columns there are to partition by.
fn of_partition_by(by: &Expression, error: PlanError) -> PlanError {
    match (&by.kind, error.position) {
        (ExpressionKind::Column { .. }, Some(_)) if error.message.ends_with("cannot be resolved.") => {
            PlanError {
                message: format!(
                    "{} '{}' must be a column in the source schema since PARTITION BY is applied on the input.",
                    error.message,
                    text(by)
                ),
                ..error
            }
        }
        _ => error,
    }
}

/// For a persistent query: the places in `items` of the key columns, in the key's order.
pub(super) fn key_items(sink: &str, items: &[Item], key: &RequiredKey) -> Result<Vec<usize>, PlanError> {
    let mut places = Vec::new();
    for candidate in &key.candidates {
        let matching: Vec<usize> = (0..items.len())
            .filter(|place| candidate.is(&items[*place]))
            .collect();
        match matching.as_slice() {
            [] if key.all => return Err(missing(sink, key, items)),
            [] => {}
            [place] => places.push(*place),
            several => {
                let mut names: Vec<_> = several.iter().map(|place| items[*place].name.as_str()).collect();
                names.sort_unstable();
                if matches!(key.what, "partitioning expression" | "grouping expression") {
                    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
                    return Err(PlanError::new(format!(
                        "The projection contains a key column more than once: {}.\n{ONCE}",
                        names.join(" and ")
                    )));
                }
                return Err(PlanError::new(format!(
                    "The projection contains a key column (`{}`) more than once, aliased as: {}.\n{ONCE}",
                    candidate.text,
                    join_words(&names, "and")
                )));
            }
        }
        if !key.all && !places.is_empty() {
            return Ok(places);
        }
    }
    if !key.all && places.is_empty() {
        return Err(missing(sink, key, items));
    }
    Ok(places)
}

fn missing(sink: &str, key: &RequiredKey, items: &[Item]) -> PlanError {
    if let Some(left) = &key.of_left {
        let absent = key
            .candidates
            .iter()
            .filter(|candidate| !items.iter().any(|item| candidate.is(item)));
        let absent: Vec<_> = absent.map(|candidate| format!("`{}`", candidate.text)).collect();
        let plural = if absent.len() == 1 { "" } else { "s" };
        return PlanError::new(format!(
            "Primary key column{plural} missing in projection. For foreign-key table-table joins, the projection must include all primary key columns from the left input table (`{left}`). Missing column{plural}: {}.",
            absent.join(", ")
        ));
    }
    let texts: Vec<_> = key
        .candidates
        .iter()
        .map(|candidate| candidate.text.as_str())
        .collect();
    let plural = if texts.len() == 1 { "" } else { "s" };
    let (keys, example) = if key.all {
        (plural, texts.join(", "))
    } else {
        ("", texts[0].to_owned())
    };
    let link = if key.synthetic {
        "See https://cnfl.io/2LV7ouS."
    } else {
        ""
    };
    let mut message = format!(
        "Key{keys} missing from projection (ie, SELECT). {link}\n\
         The query used to build `{sink}` must include the {}{plural} {} in its projection (eg, SELECT {example}...).",
        key.what,
        join_words(&texts, if key.all { "and" } else { "or" })
    );
    if key.synthetic {
        message.push_str(&format!(
            "\n{} was added as a synthetic key column because the join criteria did not match any source column. This expression must be included in the projection and may be aliased. ",
            texts[0]
        ));
    }
    PlanError::new(message)
}

/// `A`, `A and B`, `A, B and C`.
fn join_words(words: &[&str], last: &str) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [init @ .., end] => format!("{} {last} {end}", init.join(", ")),
    }
}
