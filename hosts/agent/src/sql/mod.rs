//! SQL over the running system: SQLite with one virtual table per osquery table.
//!
//! [`Table`] is all that a table has to know; it sees neither SQLite nor the scheduler. The glue to SQLite's C interface is
//! in one module, the only one of this crate that is allowed `unsafe`.

mod calculated_types;
mod column;
mod database;
mod double_text;
mod functions;
mod row_buffer;
mod table;
mod text_rows;
mod time_limit;
mod virtual_table;

pub(crate) use column::{Column, ColumnType, columns};
pub(crate) use database::{Database, QueryError, QueryRows};
pub(crate) use double_text::double_text;
pub(crate) use row_buffer::{CellValue, RowBuffer};
#[cfg(test)]
pub(crate) use table::Constraint;
pub(crate) use table::{ForeignTables, Operator, Scan, Table, TableError};
pub(crate) use text_rows::{TextRows, until_zero};
