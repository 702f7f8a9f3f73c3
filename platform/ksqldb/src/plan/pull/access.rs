//! Which keys and times of a table a pull query looks at, by its `WHERE` clause.

use super::super::PlanError;
use super::super::condition::{alternatives, is_constant};
use super::super::insert::coerced;
use super::{Columns, PullSettings};
use crate::expression::{Scope, compile, text};
use crate::metastore::SourceWindow;
use crate::syntax::ast::{BinaryOperator, Expression, ExpressionKind};
use crate::types::{Column, SqlType};
use crate::value::{Row, Value};

/// Which rows are looked at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Access {
    /// Those of these keys, in this order.
    Keys(Vec<Row>),
    /// Those of keys from one to another; each with whether it belongs to them.
    Range(Option<(Value, bool)>, Option<(Value, bool)>),
    /// All.
    Scan,
    /// None: a session table is read by key alone.
    Nothing,
}

/// A comparison of a column with something without columns.
pub(super) struct Comparison<'a> {
    pub(super) column: &'a str,
    pub(super) operator: BinaryOperator,
    value: &'a Expression,
}

impl<'a> Columns<'a> {
    /// A comparison of a column of the key or of a bound with a constant.
    pub(super) fn comparison<'e>(&self, expression: &'e Expression) -> Option<Comparison<'e>> {
        let ExpressionKind::Binary(left, operator, right) = &expression.kind else {
            return None;
        };
        let flipped = match operator {
            BinaryOperator::Less => BinaryOperator::Greater,
            BinaryOperator::LessOrEqual => BinaryOperator::GreaterOrEqual,
            BinaryOperator::Greater => BinaryOperator::Less,
            BinaryOperator::GreaterOrEqual => BinaryOperator::LessOrEqual,
            BinaryOperator::Equal | BinaryOperator::NotEqual => *operator,
            _ => return None,
        };
        for (column, operator, value) in [(left, *operator, right), (right, flipped, left)] {
            if let ExpressionKind::Column { name, .. } = &column.kind
                && (self.is_key(name) || self.is_bound(name))
                && is_constant(value)
            {
                return Some(Comparison {
                    column: name,
                    operator,
                    value,
                });
            }
        }
        None
    }

    /// A constant as a value of a key column.
    pub(super) fn key_value(&self, column: &str, value: &Expression) -> Option<Value> {
        let key = self.keys.iter().find(|key| key.name == column)?;
        let typed = compile(value, &Scope::default(), "WHERE").ok()?;
        let computed = typed.expr.value(&[], &mut |_| {});
        coerced(&computed, &typed.sql_type?, &key.sql_type)
    }

    pub(super) fn access(
        &self,
        filter: Option<&Expression>,
        settings: PullSettings,
    ) -> Result<Access, PlanError> {
        let Some(filter) = filter else {
            if !settings.scans {
                return Err(self.unanswerable("Missing WHERE clause"));
            }
            return Ok(self.scan());
        };
        let disjuncts = alternatives(filter);
        let mut keys: Vec<Row> = Vec::new();
        let mut lonely = None;
        for disjunct in &disjuncts {
            match self.key_of(disjunct) {
                Some(key) if !keys.contains(&key) => keys.push(key),
                Some(_) => {}
                None => {
                    lonely.get_or_insert(disjunct);
                }
            }
        }
        let Some(lonely) = lonely else {
            return Ok(Access::Keys(keys));
        };
        if let ([only], true) = (disjuncts.as_slice(), settings.ranges)
            && let Some(range) = self.range_of(only)
        {
            return Ok(range);
        }
        if settings.scans {
            return Ok(self.scan());
        }
        let names_key = lonely.iter().any(|conjunct| {
            self.comparison(conjunct)
                .is_some_and(|comparison| self.is_key(comparison.column))
        });
        if !names_key {
            let texts: Vec<_> = lonely.iter().map(|conjunct| text(conjunct)).collect();
            return Err(self.unanswerable(&format!(
                "WHERE clause missing key column for disjunct: {}",
                texts.join(" AND ")
            )));
        }
        let specified = self.keys.iter().filter(|key| {
            lonely.iter().any(|conjunct| {
                self.comparison(conjunct).is_some_and(|comparison| {
                    comparison.column == key.name && comparison.operator == BinaryOperator::Equal
                })
            })
        });
        let specified: Vec<_> = specified.map(|key| format!("`{}`", key.name)).collect();
        if !specified.is_empty() && specified.len() < self.keys.len() {
            let expected = self
                .keys
                .iter()
                .map(|key| format!("`{}` {} KEY", key.name, key.sql_type));
            return Err(self.unanswerable(&format!(
                "Multi-column sources must specify every key in the WHERE clause. Specified: [{}] Expected: [{}]",
                specified.join(", "),
                expected.collect::<Vec<_>>().join(", ")
            )));
        }
        Err(PlanError::new(
            "Query requires table scan to be enabled. Table scans can be enabled by setting ksql.query.pull.table.scan.enabled=true",
        ))
    }

    /// All rows, which of sessions nobody gets.
    pub(super) fn scan(&self) -> Access {
        match self.source.window {
            Some(SourceWindow::Session) => Access::Nothing,
            _ => Access::Scan,
        }
    }

    /// The key that a conjunction fixes.
    fn key_of(&self, conjuncts: &[&Expression]) -> Option<Row> {
        let value = |key: &&Column| {
            conjuncts.iter().find_map(|conjunct| {
                let comparison = self.comparison(conjunct)?;
                let is_it = comparison.column == key.name && comparison.operator == BinaryOperator::Equal;
                is_it
                    .then(|| self.key_value(&key.name, comparison.value))
                    .flatten()
            })
        };
        self.keys.iter().map(value).collect()
    }

    /// The range of a single key of text or bytes that a conjunction sets.
    fn range_of(&self, conjuncts: &[&Expression]) -> Option<Access> {
        let ([key], None) = (self.keys.as_slice(), self.source.window) else {
            return None;
        };
        if !matches!(key.sql_type, SqlType::String | SqlType::Bytes) {
            return None;
        }
        let (mut lower, mut upper) = (None, None);
        for conjunct in conjuncts {
            let Some(comparison) = self.comparison(conjunct).filter(|found| found.column == key.name) else {
                continue;
            };
            let value = self.key_value(&key.name, comparison.value)?;
            match comparison.operator {
                BinaryOperator::Greater if lower.is_none() => lower = Some((value, false)),
                BinaryOperator::GreaterOrEqual if lower.is_none() => lower = Some((value, true)),
                BinaryOperator::Less if upper.is_none() => upper = Some((value, false)),
                BinaryOperator::LessOrEqual if upper.is_none() => upper = Some((value, true)),
                _ => return None,
            }
        }
        (lower.is_some() || upper.is_some()).then_some(Access::Range(lower, upper))
    }
}
