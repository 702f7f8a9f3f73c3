//! What passes from operator to operator.

use crate::value::Row;

/// A row of a stream, or a change of a table's row.
#[derive(Debug)]
pub(super) struct Change {
    /// The row as it is now. Of a deletion: a row whose key columns are filled.
    pub(super) row: Row,
    /// Which parts of the row there are.
    pub(super) present: Present,
    /// A table's row as it was before, where there was one.
    pub(super) old: Option<Row>,
    /// Its time, in milliseconds.
    pub(super) timestamp: i64,
    /// The window that is a part of its key.
    pub(super) window: Option<Bounds>,
    /// The partition by whose time it is late.
    pub(super) partition: i32,
}

impl Change {
    /// A row that is there, of a stream.
    pub(super) fn of_row(row: Row, timestamp: i64) -> Self {
        Self {
            row,
            present: Present::WHOLE,
            old: None,
            timestamp,
            window: None,
            partition: 0,
        }
    }

    /// Makes it a deletion.
    pub(super) fn deleted(mut self) -> Self {
        self.present.value = false;
        self
    }
}

/// Which parts a record has. The columns of one that it lacks are `NULL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Present {
    pub(super) key: bool,
    pub(super) value: bool,
}

impl Present {
    /// Both.
    pub(super) const WHOLE: Self = Self {
        key: true,
        value: true,
    };
}

/// A window of time, in milliseconds: of a session the times of its first and its last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) start: i64,
    pub(crate) end: i64,
}
