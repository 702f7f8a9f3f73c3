//! The steps of a query's joins, and what their sides are repartitioned by.

use std::sync::Arc;

use super::super::demand::Layout;
use super::super::join_criteria::{JoinCriteria, JoinMethod};
use super::super::pipeline::{JoinStep, Scan, Step, TableJoinStep, TableSide, Windows};
use super::super::sink::Sink;
use super::{Steps, join_store, key_encoder};
use crate::expression::Expr;
use crate::serde::{Encoder, Format};
use crate::syntax::ast::Duration;
use crate::types::{Column, Namespace, SqlType};

impl Steps {
    pub(super) fn joins(&mut self, scans: &[Scan], layout: &Layout, sink: Option<&Sink>) -> Vec<Step> {
        let keeps_join_key = self
            .inputs
            .synthetic_key
            .is_some_and(|place| layout.place(place).is_some());
        let projected = match &self.aggregation {
            Some(aggregation) => aggregation.groups.iter().map(|group| &group.expr).collect(),
            None => self.items.iter().map(|item| &item.expr).collect::<Vec<_>>(),
        };
        let join_key = self.inputs.join_key(projected.into_iter());
        let join_key = join_key.and_then(|place| layout.place(place));
        let joins = std::mem::take(&mut self.inputs.joins);
        let last = joins.len().saturating_sub(1);
        let mut steps = Vec::new();
        let mut left_width = scans[0].width;
        for (index, join) in joins.into_iter().enumerate() {
            let (mut left_key, mut right_key) = (first_of(&join), join.right.clone());
            layout.rewrite(&mut left_key, 0);
            layout.rewrite(&mut right_key, layout.first(index + 1));
            let right_width = scans[index + 1].width;
            let appends_key = keeps_join_key && index == last;
            let key_place = join_key.filter(|_| index == last);
            if let JoinMethod::Streams(within) = join.method {
                steps.push(Step::StreamJoin(Arc::new(JoinStep {
                    kind: join.kind,
                    left_key,
                    right_key,
                    left_width,
                    right_width,
                    appends_key,
                    key_place,
                    is_rekeyed: self.rekeyed(&join, index),
                    encoder: self.repartition_encoder(&join, index),
                    before_ms: within.before.milliseconds(),
                    after_ms: within.after.milliseconds(),
                    grace_ms: within.grace.map(Duration::milliseconds),
                })));
            } else {
                let side = |name: &str, key: Expr, width: usize| TableSide {
                    key,
                    width,
                    store: self.store(&join_store(name, last - index), Windows::None, None),
                };
                let step = Arc::new(TableJoinStep {
                    kind: join.kind,
                    left: side("Left", left_key, left_width),
                    right: side("Right", right_key, right_width),
                    encoder: join_encoder(&join, sink),
                    left_primary: self.primary(0, layout),
                    primary_encoder: {
                        let left = &self.inputs.inputs[0].source;
                        key_encoder(left.key_format, left.schema.key())
                    },
                    appends_key,
                    key_place,
                });
                steps.push(match join.method {
                    JoinMethod::Lookup => Step::Lookup(step),
                    JoinMethod::ForeignKey => Step::ForeignKeyJoin(step),
                    JoinMethod::Tables | JoinMethod::Streams(_) => Step::TableJoin(step),
                });
            }
            left_width += right_width;
        }
        steps
    }

    /// Whether a join needs its sides by another key than they have. A join before it has made the left side's key.
    fn rekeyed(&self, join: &JoinCriteria, index: usize) -> [bool; 2] {
        [
            index > 0 || !self.inputs.inputs[0].is_keyed_by([&join.left]),
            !self.inputs.inputs[index + 1].is_keyed_by([&join.right]),
        ]
    }

    /// Writes what a join of streams compares, as the side has it that keeps its key.
    fn repartition_encoder(&self, join: &JoinCriteria, index: usize) -> Encoder {
        let keeping = match self.rekeyed(join, index) {
            [true, false] => &self.inputs.inputs[index + 1],
            _ => &self.inputs.inputs[0],
        };
        let column = Column {
            name: "KEY".to_owned(),
            sql_type: SqlType::clone(&join.key_type),
            namespace: Namespace::Key,
        };
        key_encoder(keeping.source.key_format, std::iter::once(&column))
    }
}

/// The left side of a join's condition, or, where that is `NULL`, the first of what is equal to it.
fn first_of(join: &JoinCriteria) -> Expr {
    let sides = std::iter::once(&join.left).chain(&join.equals).cloned();
    let first = sides.rev().reduce(|otherwise, side| {
        let is_there = Expr::Not(Box::new(Expr::IsNull(Box::new(side.clone()))));
        Expr::Case(vec![(is_there, side)], Box::new(otherwise))
    });
    first.unwrap_or_else(|| join.left.clone())
}

/// Writes what a join compares: as the result's key, where that is it.
fn join_encoder(join: &JoinCriteria, sink: Option<&Sink>) -> Encoder {
    let column = Column {
        name: "KEY".to_owned(),
        sql_type: SqlType::clone(&join.key_type),
        namespace: Namespace::Key,
    };
    let format = match (join.method, sink) {
        (JoinMethod::Tables, Some(sink)) => sink.source.key_format,
        _ => Format::Kafka,
    };
    key_encoder(format, std::iter::once(&column))
}
