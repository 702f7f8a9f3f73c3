//! What a table is: a name, columns, and rows for one scan.

use std::sync::Arc;

use super::column::Column;
use super::row_buffer::RowBuffer;

/// A table of the running system.
pub(crate) trait Table: Send + Sync {
    fn name(&self) -> &'static str;

    /// Older names, under which what `select *` gives is found as well.
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }

    fn columns(&self) -> &'static [Column];

    /// Whether comparisons of this kind with a column are handed to the table.
    fn takes(&self, column: &Column, operator: Operator) -> bool {
        match operator {
            Operator::Equals => column.takes_constraints(),
            Operator::Like => column.required,
            _ => false,
        }
    }

    /// Whether an equality on the column in this place spares the table a part of the work, although it looks at
    /// everything all the same: which tables a join begins with does not depend on it.
    fn filters(&self, _column: usize) -> bool {
        false
    }

    /// Appends the rows of one scan. Constraints are hints: SQLite checks every row again, so giving too many rows is
    /// slow but never wrong. What vanishes while it is read is left out and is not an error.
    fn rows(&self, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError>;
}

/// Tables that come and go: those of extensions.
pub(crate) trait ForeignTables: Send + Sync {
    /// The table of that name as it is now.
    fn find(&self, name: &str) -> Option<Arc<dyn Table>>;
}

/// A table that could not be read at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {object}: {source}")]
pub(crate) struct TableError {
    pub(crate) object: String,
    pub(crate) source: std::io::Error,
}

impl TableError {
    pub(crate) fn reading(object: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let object = object.into();
        move |source| Self { object, source }
    }
}

/// The comparisons that are handed to tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equals,
    Greater,
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Match,
    Like,
    Glob,
    Regexp,
}

impl Operator {
    /// Whether it is about which of two is larger.
    pub(crate) fn is_order(self) -> bool {
        matches!(
            self,
            Self::Greater | Self::LessOrEqual | Self::Less | Self::GreaterOrEqual
        )
    }
}

/// A comparison of a column with a value, such as `column = value`.
#[derive(Debug, Clone)]
pub(crate) struct Constraint {
    pub(crate) column: usize,
    pub(crate) operator: Operator,
    pub(crate) value: Vec<u8>,
}

/// One scan of a table: which columns the statement uses and how it narrows them.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    used: u64,
    constraints: Vec<Constraint>,
}

impl Scan {
    pub(crate) fn new(used: u64, constraints: Vec<Constraint>) -> Self {
        Self { used, constraints }
    }

    /// Whether the statement looks at a column. SQLite folds every column from the 64th on into the last bit.
    pub(crate) fn uses(&self, column: usize) -> bool {
        self.used & (1 << column.min(63)) != 0
    }

    pub(crate) fn uses_any(&self, columns: &[usize]) -> bool {
        columns.iter().any(|&column| self.uses(column))
    }

    pub(crate) fn values(&self, column: usize, operator: Operator) -> impl Iterator<Item = &[u8]> {
        self.constraints
            .iter()
            .filter(move |constraint| constraint.column == column && constraint.operator == operator)
            .map(|constraint| constraint.value.as_slice())
    }

    /// All comparisons with a column, in the statement's order.
    pub(crate) fn comparisons(&self, column: usize) -> impl Iterator<Item = (Operator, &[u8])> {
        let constraints = self.constraints.iter();
        constraints
            .filter(move |constraint| constraint.column == column)
            .map(|constraint| (constraint.operator, constraint.value.as_slice()))
    }

    pub(crate) fn constrains(&self, column: usize) -> bool {
        self.constraints
            .iter()
            .any(|constraint| constraint.column == column)
    }

    /// The integers a column is compared with, or `None` when it is free. Text that is no integer equals none.
    pub(crate) fn integers(&self, column: usize) -> Option<Vec<i64>> {
        let mut values = self.values(column, Operator::Equals).peekable();
        values.peek()?;
        let mut integers: Vec<i64> = values
            .filter_map(|value| std::str::from_utf8(value).ok()?.trim().parse().ok())
            .collect();
        integers.sort_unstable();
        integers.dedup();
        Some(integers)
    }
}
