//! The glue between [`Table`] and SQLite's virtual-table interface.
//!
//! Planning: the comparisons that a table takes are handed down, with the set of used columns, through SQLite's index
//! string. SQLite keeps checking every constraint itself.

#![expect(
    unsafe_code,
    reason = "rusqlite's virtual-table traits are unsafe to implement: SQLite casts the two structs below to their first field"
)]

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_int};
use std::fmt::Write as _;
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConnection, VTabCursor, sqlite3_vtab,
    sqlite3_vtab_cursor,
};
use rusqlite::{Connection, Error, Result};

use super::column::{Column, ColumnType};
use super::row_buffer::{CellValue, RowBuffer};
use super::table::{Constraint, Operator, Scan, Table};
use crate::status_log::StatusLog;

/// Makes a table known to a connection under its own name; no `CREATE VIRTUAL TABLE` is needed.
pub(super) fn register(connection: &Connection, table: Arc<dyn Table>, status: StatusLog) -> Result<()> {
    const MODULE: Module<'static, VirtualTable> = Module::eponymous_only_module();
    let (name, aliases) = (table.name(), table.aliases());
    connection.create_module(name, &MODULE, Some(Registered { table, status }))?;
    // As with osqueryd, an older name is a view: hidden columns are not under it.
    for alias in aliases {
        connection.execute_batch(&format!("CREATE TEMP VIEW `{alias}` AS SELECT * FROM `{name}`"))?;
    }
    Ok(())
}

/// What SQLite keeps for a registered table.
#[derive(Clone)]
struct Registered {
    table: Arc<dyn Table>,
    status: StatusLog,
}

/// A table as SQLite holds it, which knows only the first field.
#[repr(C)]
struct VirtualTable {
    base: sqlite3_vtab,
    registered: Registered,
}

// SAFETY: `VirtualTable` is `repr(C)` and begins with `sqlite3_vtab`.
unsafe impl<'vtab> VTab<'vtab> for VirtualTable {
    type Aux = Registered;
    type Cursor = Cursor;

    fn connect(
        _: &mut VTabConnection,
        registered: Option<&Registered>,
        _module: &[u8],
        _database: &[u8],
        _table: &[u8],
        _arguments: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        let registered = registered
            .cloned()
            .ok_or_else(|| Error::ModuleError("the table was registered without an implementation".into()))?;
        let declaration = CString::new(declaration(registered.table.columns()))
            .map_err(|_| Error::ModuleError("a column name holds a zero byte".into()))?;
        Ok((
            Cow::Owned(declaration),
            Self {
                base: sqlite3_vtab::default(),
                registered,
            },
        ))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let columns = self.registered.table.columns();
        let mut plan = format!("{:x}|", info.col_used());
        let mut chosen = Vec::new();
        let (mut cost, mut required, mut satisfied, mut unusable) = (1e6, false, false, false);
        for column in columns {
            required |= column.required;
        }
        for (position, constraint) in info.constraints().enumerate() {
            let Some((place, column)) = column_at(columns, constraint.column()) else {
                continue;
            };
            let Some(operator) = operator(&constraint.operator()) else {
                continue;
            };
            let takes = self.registered.table.takes(column, operator);
            // Of a list, SQLite would have the table scanned once for each value.
            let filters = !takes
                && operator == Operator::Equals
                && self.registered.table.filters(place)
                && !info.is_in_constraint(position)?;
            if !takes && !filters {
                continue;
            }
            if !constraint.is_usable() {
                unusable |= column.required;
                continue;
            }
            satisfied |= column.required;
            cost = match operator {
                _ if filters => cost,
                Operator::Equals => f64::min(cost, 10.0),
                _ => f64::min(cost, 1000.0),
            };
            let _ = write!(plan, "{}{place},", sign(operator));
            chosen.push(position);
        }
        if required && !satisfied && unusable {
            // Another join order gives this table its constraint; SQLite looks for it when this plan is refused.
            return Ok(false);
        }
        for (argument, position) in (1..).zip(chosen) {
            info.constraint_usage(position).set_argv_index(argument);
        }
        info.set_estimated_cost(cost);
        info.set_estimated_rows(if cost < 100.0 { 1 } else { 1000 });
        info.set_idx_str(&plan);
        Ok(true)
    }

    fn open(&'vtab mut self) -> Result<Cursor> {
        Ok(Cursor {
            base: sqlite3_vtab_cursor::default(),
            rows: RowBuffer::new(self.registered.table.columns().len()),
            registered: self.registered.clone(),
            row: 0,
        })
    }
}

/// One scan as SQLite holds it, which knows only the first field.
#[repr(C)]
struct Cursor {
    base: sqlite3_vtab_cursor,
    registered: Registered,
    rows: RowBuffer,
    row: usize,
}

// SAFETY: `Cursor` is `repr(C)` and begins with `sqlite3_vtab_cursor`.
unsafe impl VTabCursor for Cursor {
    fn filter(&mut self, _number: c_int, plan: Option<&str>, arguments: &Filters<'_>) -> Result<()> {
        let scan = scan(plan.unwrap_or_default(), arguments);
        self.rows.begin(&scan);
        self.row = 0;
        let table = &self.registered.table;
        let columns = table.columns();
        let missing = |(place, column): (usize, &Column)| column.required && !scan.constrains(place);
        if columns.iter().any(|column| column.required)
            && columns
                .iter()
                .enumerate()
                .filter(|(_, column)| column.required)
                .all(missing)
        {
            self.registered.status.warning(&format!(
                "Table {} was queried without a required column in the WHERE clause",
                table.name()
            ));
            return Err(Error::ModuleError("constraint failed".to_owned()));
        }
        table
            .rows(&scan, &mut self.rows)
            .map_err(|error| Error::ModuleError(error.to_string()))?;
        if self.rows.is_cut() {
            let message = format!(
                "the table {} gives too much at once: ask for a part of it",
                table.name()
            );
            return Err(Error::ModuleError(message));
        }
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        self.row += 1;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.row >= self.rows.rows()
    }

    fn column(&self, context: &mut Context, column: c_int) -> Result<()> {
        let column = usize::try_from(column).map_err(|_| Error::InvalidColumnIndex(0))?;
        context.set_result(ToSqlOutput::Borrowed(match self.rows.value(self.row, column) {
            // A text that a table leaves out is the empty one with osqueryd, too; a number is null.
            CellValue::Null if self.is_text(column) => ValueRef::Text(b""),
            CellValue::Null => ValueRef::Null,
            CellValue::Integer(value) => ValueRef::Integer(value),
            CellValue::Real(value) => ValueRef::Real(value),
            CellValue::Text(bytes) => ValueRef::Text(bytes),
        }))
    }

    fn rowid(&self) -> Result<i64> {
        Ok(i64::try_from(self.row).unwrap_or(i64::MAX))
    }
}

impl Cursor {
    fn is_text(&self, column: usize) -> bool {
        let column = self.registered.table.columns().get(column);
        column.is_some_and(|column| column.kind == ColumnType::Text)
    }
}

fn column_at(columns: &'static [Column], place: c_int) -> Option<(usize, &'static Column)> {
    let place = usize::try_from(place).ok()?;
    Some((place, columns.get(place)?))
}

fn declaration(columns: &[Column]) -> String {
    let mut sql = String::from("CREATE TABLE x(");
    for (place, column) in columns.iter().enumerate() {
        let separator = if place == 0 { "" } else { ", " };
        let _ = write!(sql, "{separator}`{}` {}", column.name, column.kind.sql());
        // To SQLite it is a part of the type.
        sql.push_str(if column.hidden { " HIDDEN" } else { "" });
        if let Some(collation) = column.collation {
            let _ = write!(sql, " COLLATE {collation}");
        }
    }
    sql.push(')');
    sql
}

/// The comparisons that can be handed down, each with its letter in a plan.
const SIGNS: [(Operator, char); 9] = [
    (Operator::Equals, '='),
    (Operator::Greater, '>'),
    (Operator::LessOrEqual, 'l'),
    (Operator::Less, '<'),
    (Operator::GreaterOrEqual, 'g'),
    (Operator::Match, 'm'),
    (Operator::Like, '~'),
    (Operator::Glob, '*'),
    (Operator::Regexp, 'r'),
];

fn sign(operator: Operator) -> char {
    let known = SIGNS.iter().find(|(known, _)| *known == operator);
    known.map_or('?', |(_, sign)| *sign)
}

fn operator(constraint: &IndexConstraintOp) -> Option<Operator> {
    Some(match constraint {
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ => Operator::Equals,
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GT => Operator::Greater,
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LE => Operator::LessOrEqual,
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LT => Operator::Less,
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GE => Operator::GreaterOrEqual,
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_MATCH => Operator::Match,
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LIKE => Operator::Like,
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GLOB => Operator::Glob,
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_REGEXP => Operator::Regexp,
        _ => return None,
    })
}

/// Reads back the plan `best_index` wrote: the used columns in hexadecimal, a bar, then a sign, a place and a comma for
/// each argument.
fn scan(plan: &str, arguments: &Filters<'_>) -> Scan {
    let (used, constraints) = plan.split_once('|').unwrap_or((plan, ""));
    let used = u64::from_str_radix(used, 16).unwrap_or(u64::MAX);
    let constraints = constraints
        .split_terminator(',')
        .zip(arguments.iter())
        .filter_map(|(constraint, value)| {
            let (operator, place) = SIGNS
                .iter()
                .find_map(|(operator, sign)| Some((*operator, constraint.strip_prefix(*sign)?)))?;
            let value = match value {
                ValueRef::Integer(value) => value.to_string().into_bytes(),
                ValueRef::Real(value) => value.to_string().into_bytes(),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
                // Nothing equals null, so an empty comparison set is what the table must see.
                ValueRef::Null => Vec::new(),
            };
            Some(Constraint {
                column: place.parse().ok()?,
                operator,
                value,
            })
        })
        .collect();
    Scan::new(used, constraints)
}
