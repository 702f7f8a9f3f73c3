//! `ON …`: what a join compares, and how it can be executed.

use super::PlanError;
use super::inputs::Inputs;
use crate::expression::{Expr, compile, text};
use crate::syntax::ast::{BinaryOperator, Expression, ExpressionKind, Join, JoinKind, SourceKind, Within};
use crate::types::SqlType;

/// What a join compares; places are the scope's.
#[derive(Debug, Clone)]
pub(super) struct JoinCriteria {
    pub(super) kind: JoinKind,
    pub(super) method: JoinMethod,
    /// Over the inputs so far.
    pub(super) left: Expr,
    /// Over the joined input.
    pub(super) right: Expr,
    pub(super) key_type: SqlType,
    /// The sides that are plain columns, as they are written.
    pub(super) columns: Vec<(Expr, String)>,
    /// What the joins before make equal to its left side, plain columns first: they have the key of what is joined
    /// so far where the left side is of an input that has no row.
    pub(super) equals: Vec<Expr>,
}

/// What is joined with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JoinMethod {
    /// Streams, within a time.
    Streams(Within),
    /// A stream with a table's key.
    Lookup,
    /// The keys of two tables.
    Tables,
    /// A column of a table with the key of another.
    ForeignKey,
}

impl Inputs {
    /// The columns that the key of the last join may be named after, with their texts: those that it compares, and
    /// what an earlier join made equal to one of them.
    pub(super) fn join_keys(&self) -> Vec<(Expr, String)> {
        let mut joins = self.joins.iter().rev();
        let mut keys = joins.next().map_or_else(Vec::new, |last| last.columns.clone());
        for earlier in joins {
            let is_known = |(expr, _): &&(Expr, String)| {
                let fingerprint = expr.fingerprint();
                keys.iter().any(|(key, _)| key.fingerprint() == fingerprint)
            };
            if earlier.kind != JoinKind::Full && earlier.columns.iter().any(|column| is_known(&column)) {
                let new: Vec<_> = earlier
                    .columns
                    .iter()
                    .filter(|column| !is_known(column))
                    .cloned()
                    .collect();
                keys.extend(new);
            }
        }
        keys
    }

    /// The column that stands for the key of the last join: the first that may, of those that are projected, or else
    /// of all.
    pub(super) fn join_key<'a>(&self, mut projected: impl Iterator<Item = &'a Expr>) -> Option<usize> {
        let last = self.joins.last()?;
        if last.kind == JoinKind::Full || last.method == JoinMethod::ForeignKey {
            return None;
        }
        let keys = self.join_keys();
        let place = |key: &(Expr, String)| match key.0 {
            Expr::Column(place) => Some(place),
            _ => None,
        };
        let keys: Vec<usize> = keys.iter().filter_map(place).collect();
        let is_projected: Vec<usize> = projected
            .by_ref()
            .filter_map(|expr| match expr {
                Expr::Column(place) => Some(*place),
                _ => None,
            })
            .collect();
        let chosen = keys.iter().find(|key| is_projected.contains(key));
        chosen.or(keys.first()).copied()
    }

    /// Checks the join of the input that was added last with those before it.
    pub(super) fn criteria(&self, join: &Join) -> Result<JoinCriteria, PlanError> {
        let of_streams = self
            .inputs
            .iter()
            .all(|input| input.source.kind == SourceKind::Stream);
        if of_streams && join.within.is_none() {
            return Err(PlanError::new(
                "Stream-Stream joins must have a WITHIN clause specified. None was provided. To learn about how to specify a WITHIN clause with a stream-stream join, please visit: https://docs.confluent.io/current/ksql/docs/syntax-reference.html#create-stream-as-select",
            ));
        }
        let (left, right) = match &join.criteria.kind {
            ExpressionKind::Binary(left, BinaryOperator::Equal, right) => (left, right),
            ExpressionKind::Binary(left, BinaryOperator::And, right)
                if is_equality(left) && is_equality(right) =>
            {
                return Err(PlanError::new(format!(
                    "Invalid join condition: joins on multiple conditions are not yet supported. Got {}.",
                    text(&join.criteria)
                )));
            }
            ExpressionKind::Binary(_, operator, _) if is_comparison(*operator) => {
                return Err(PlanError::new("Only equality join criteria is supported."));
            }
            _ => {
                return Err(PlanError::new(format!(
                    "Unsupported join expression: {}",
                    text(&join.criteria)
                )));
            }
        };
        let left_input = self.only_input(left, &join.criteria)?;
        let right_input = self.only_input(right, &join.criteria)?;
        let joined = self.inputs.len() - 1;
        let (left, right) = match (left_input == joined, right_input == joined) {
            (false, true) => (left, right),
            (true, false) => (right, left),
            _ if left_input != right_input => {
                return Err(PlanError::new(format!(
                    "A join criteria is expected to reference the source (`{}`) in the FROM clause, instead the right source references `{}` and the left source references `{}`",
                    self.inputs[joined].alias, self.inputs[right_input].alias, self.inputs[left_input].alias
                )));
            }
            _ => {
                return Err(PlanError::new(format!(
                    "Each side of the join must reference exactly one source and not the same source. Left side references `{}` and right references `{}`",
                    self.inputs[left_input].alias, self.inputs[right_input].alias
                )));
            }
        };
        let left_side = compile(left, &self.scope, "JOIN ON")?;
        let right_side = compile(right, &self.scope, "JOIN ON")?;
        let method = self.method(join, (left, &left_side.expr), (right, &right_side.expr))?;
        let key_type = match (&left_side.sql_type, &right_side.sql_type) {
            (Some(left_type), Some(right_type)) if left_type == right_type => left_type.clone(),
            (left_type, right_type) => {
                let name = |sql_type: &Option<SqlType>| {
                    sql_type.as_ref().map_or("NULL".to_owned(), ToString::to_string)
                };
                if matches!(method, JoinMethod::Tables | JoinMethod::ForeignKey) {
                    let (first, second) = if left_input == joined {
                        ((right, right_type), (left, left_type))
                    } else {
                        ((left, left_type), (right, right_type))
                    };
                    return Err(PlanError::new(format!(
                        "Invalid join condition: types don't match. Got {}{{{}}} = {}{{{}}}.",
                        text(first.0),
                        name(first.1),
                        text(second.0),
                        name(second.1)
                    )));
                }
                return Err(PlanError::new(format!(
                    "Invalid join. Key types differ: {} vs {}",
                    name(left_type),
                    name(right_type)
                )));
            }
        };
        let sides = [(&left_side.expr, left), (&right_side.expr, right)];
        let columns = sides
            .into_iter()
            .filter(|(expr, _)| matches!(expr, Expr::Column(_)))
            .map(|(expr, side)| (expr.clone(), text(side)))
            .collect();
        Ok(JoinCriteria {
            equals: self.equal_to(&left_side.expr),
            kind: join.kind,
            method,
            key_type,
            columns,
            left: left_side.expr,
            right: right_side.expr,
        })
    }

    /// The one input an expression is about.
    fn only_input(&self, side: &Expression, criteria: &Expression) -> Result<usize, PlanError> {
        let mut compiled = compile(side, &self.scope, "JOIN ON")?.expr;
        let mut places = Vec::new();
        compiled.walk(&mut |expr| {
            if let Expr::Column(place) = expr {
                places.push(*place);
            }
            crate::expression::Descend::Yes
        });
        let owner = |place: &usize| self.inputs.iter().rposition(|input| input.first <= *place);
        let owners: Vec<_> = places.iter().filter_map(owner).collect();
        match owners.split_first() {
            Some((first, rest)) if rest.iter().all(|other| other == first) => Ok(*first),
            _ => Err(PlanError::new(format!(
                "Invalid comparison expression '{}' in join '{}'. Each side of the join comparision must contain references from exactly one source.",
                text(side),
                text(criteria)
            ))),
        }
    }
}

fn is_comparison(operator: BinaryOperator) -> bool {
    !matches!(operator, BinaryOperator::And | BinaryOperator::Or)
        && !matches!(
            operator,
            BinaryOperator::Add
                | BinaryOperator::Subtract
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Modulo
        )
}

fn is_equality(expression: &Expression) -> bool {
    matches!(
        expression.kind,
        ExpressionKind::Binary(_, BinaryOperator::Equal, _)
    )
}
