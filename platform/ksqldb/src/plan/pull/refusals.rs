//! What a pull query may not ask.

use super::super::PlanError;
use super::super::condition::{alternatives, is_constant};
use super::super::inputs::BOUNDS;
use super::{Columns, HELP};
use crate::expression::text;
use crate::syntax::ast::{BinaryOperator, Expression, ExpressionKind, Literal, Query, UnaryOperator};
use crate::types::SqlType;

pub(super) fn refuse_clauses(query: &Query) -> Result<(), PlanError> {
    let clauses = [
        (!query.joins.is_empty(), "JOIN"),
        (query.window.is_some(), "WINDOW"),
        (!query.group_by.is_empty(), "GROUP BY"),
        (!query.partition_by.is_empty(), "PARTITION BY"),
        (query.having.is_some(), "HAVING"),
    ];
    match clauses.iter().find(|(is_there, _)| *is_there) {
        Some((_, clause)) => Err(PlanError::new(format!(
            "Pull queries don't support {clause} clauses.{HELP}"
        ))),
        None => Ok(()),
    }
}

/// How many rows are wanted.
pub(super) fn checked_limit(query: &Query) -> Result<Option<u64>, PlanError> {
    let limit = query.limit.map(u64::try_from).transpose();
    limit.map_err(|_| {
        PlanError::new(format!(
            "Pull queries don't support negative integers in the LIMIT clause.{HELP}"
        ))
    })
}

/// Where a record lies is not known of a kept row.
pub(super) fn refuse_columns(expressions: &[&Expression], clause: &str) -> Result<(), PlanError> {
    fn named<'a>(expression: &'a Expression, found: &mut Vec<&'a str>) {
        if let ExpressionKind::Column { name, .. } = &expression.kind
            && (name == "ROWPARTITION" || name == "ROWOFFSET")
            && !found.contains(&name.as_str())
        {
            found.push(name);
        }
        for child in expression.children() {
            named(child, found);
        }
    }
    let mut found = Vec::new();
    for expression in expressions {
        named(expression, &mut found);
    }
    if found.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = found.iter().map(|name| format!("`{name}`")).collect();
    Err(PlanError::new(format!(
        "Pull queries don't support the following columns in {clause} clauses: {}\n{HELP}",
        names.join(", ")
    )))
}

impl<'a> Columns<'a> {
    /// Whether the members of lists are values of the key that they are compared with.
    pub(super) fn check_keys(&self, filter: &Expression) -> Result<(), PlanError> {
        if let ExpressionKind::In { value, list, .. } = &filter.kind
            && let ExpressionKind::Column { name, .. } = &value.kind
            && let Some(key) = self.keys.iter().find(|key| key.name == *name)
        {
            for member in list.iter().filter(|member| is_constant(member)) {
                if matches!(member.kind, ExpressionKind::Literal(Literal::Null)) {
                    return Err(PlanError::new(format!(
                        "Primary key columns can not be NULL: ({name} = null)"
                    )));
                }
                if self.key_value(name, member).is_none() {
                    return Err(PlanError::new(format!(
                        "{} can not be converted to the type of the key column: {} {} KEY",
                        text(member),
                        key.name,
                        key.sql_type
                    )));
                }
            }
        }
        let mut children = filter.children().into_iter();
        children.try_for_each(|child| self.check_keys(child))
    }

    /// Whether only texts are compared with patterns.
    pub(super) fn check_patterns(&self, filter: &Expression) -> Result<(), PlanError> {
        if let ExpressionKind::Like { value, .. } = &filter.kind
            && let ExpressionKind::Column { name, .. } = &value.kind
            && let Some(other) = self.column_type(name).filter(|found| **found != SqlType::String)
        {
            return Err(PlanError::new(format!(
                "The column type for Like condition must be VARCHAR. The column type is {other}"
            )));
        }
        let mut children = filter.children().into_iter();
        children.try_for_each(|child| self.check_patterns(child))
    }

    /// What cannot be said of the bounds of windows.
    pub(super) fn check_bounds(&self, filter: &Expression) -> Result<(), PlanError> {
        for disjunct in alternatives(filter) {
            for bound in BOUNDS {
                let mut seen: Vec<BinaryOperator> = Vec::new();
                for conjunct in &disjunct {
                    let Some(comparison) = self.comparison(conjunct).filter(|found| found.column == bound)
                    else {
                        continue;
                    };
                    let is_lower = |operator| {
                        matches!(operator, BinaryOperator::Greater | BinaryOperator::GreaterOrEqual)
                    };
                    let operator = comparison.operator;
                    if operator == BinaryOperator::NotEqual {
                        return Err(self.unanswerable(&format!("Unsupported `{bound}` bounds: NOT_EQUAL")));
                    }
                    let is_same_side = |other: &BinaryOperator| {
                        *other != BinaryOperator::Equal && is_lower(*other) == is_lower(operator)
                    };
                    if operator != BinaryOperator::Equal && seen.iter().any(is_same_side) {
                        return Err(self.unanswerable(&format!(
                            "Duplicate `{bound}` bounds on: {}",
                            if is_lower(operator) {
                                "GREATER_THAN"
                            } else {
                                "LESS_THAN"
                            }
                        )));
                    }
                    let is_equal = |operator: BinaryOperator| operator == BinaryOperator::Equal;
                    if !seen.is_empty() && (is_equal(operator) || seen.iter().copied().any(is_equal)) {
                        return Err(self.unanswerable(&format!(
                            "`{}` cannot be combined with other `{bound}` bounds",
                            text(conjunct)
                        )));
                    }
                    seen.push(operator);
                }
            }
        }
        Ok(())
    }

    /// Conditions that ksqlDB does not take.
    pub(super) fn check_supported(&self, filter: &Expression) -> Result<(), PlanError> {
        let connected = [BinaryOperator::And, BinaryOperator::Or];
        if let Some(operands) = connected.into_iter().find_map(|by| filter.connected_by(by)) {
            let mut operands = operands.into_iter();
            return operands.try_for_each(|operand| self.check_supported(operand));
        }
        match &filter.kind {
            ExpressionKind::Unary(UnaryOperator::Not, _) | ExpressionKind::IsNull { .. } => Err(self
                .unanswerable(&format!(
                    "Unsupported expression in WHERE clause: {}",
                    text(filter)
                ))),
            _ => Ok(()),
        }
    }

    /// An error with what ksqlDB says about conditions.
    pub(super) fn unanswerable(&self, message: &str) -> PlanError {
        let bounds = if self.source.window.is_some() {
            "\n - (optionally) limits the time bounds of the windowed table.\n\t Bounds on [`WINDOWSTART`, `WINDOWEND`] are supported\n\t Supported operators are [EQUAL, GREATER_THAN, GREATER_THAN_OR_EQUAL, LESS_THAN, LESS_THAN_OR_EQUAL]"
        } else {
            ""
        };
        PlanError::new(format!(
            "{message}. {HELP}\nPull queries require a WHERE clause that:\n - includes a key equality expression, e.g. `SELECT * FROM X WHERE <key-column> = Y;`.\n - in the case of a multi-column key, is a conjunction of equality expressions that cover all key columns.\n - to support range expressions, e.g.,  SELECT * FROM X WHERE <key-column> < Y;`, range scans need to be enabled by setting ksql.query.pull.range.scan.enabled=true{bounds}\nIf more flexible queries are needed, , table scans can be enabled by setting ksql.query.pull.table.scan.enabled=true."
        ))
    }
}
