//! Pull queries: the rows of a table that a running query keeps, as they are now.

use std::ops::Bound;

use crate::plan::{Access, PullPlan, Windows};
use crate::task::{Materialized, StoreKey, TableRow};
use crate::value::{Row, Value};

/// How many rows a pull query may have (an answer is in memory as a whole).
const MOST_ROWS: usize = 1_000_000;

/// The rows of a pull query. The error is what the client is told.
pub(crate) fn pull(plan: &PullPlan, table: &Materialized) -> Result<Vec<Row>, String> {
    let limit = plan
        .limit
        .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut rows = Vec::new();
    if limit == 0 {
        return Ok(rows);
    }
    let mut take = |row: TableRow| {
        let window = row.window.map(|window| (window.start, window.end));
        rows.extend(plan.row(row.row, row.timestamp, window));
        rows.len() < limit && rows.len() <= MOST_ROWS
    };
    match &plan.access {
        Access::Nothing => {}
        Access::Scan => table.visit(Bound::Unbounded, Bound::Unbounded, &mut take),
        Access::Range(lower, upper) => {
            let bound = |end: &Option<(Value, bool)>| {
                let (value, is_included) = end.as_ref()?;
                let bytes = table.key(std::slice::from_ref(value))?;
                let key = StoreKey::new(bytes, Windows::None, None);
                Some(if *is_included {
                    Bound::Included(key)
                } else {
                    Bound::Excluded(key)
                })
            };
            let (from, to) = (bound(lower), bound(upper));
            table.visit(
                from.unwrap_or(Bound::Unbounded),
                to.unwrap_or(Bound::Unbounded),
                &mut take,
            );
        }
        Access::Keys(keys) => {
            for key in keys {
                let Some(bytes) = table.key(key) else {
                    continue;
                };
                let (first, last) = match table.windows() {
                    Windows::None => {
                        let key = StoreKey::new(bytes, Windows::None, None);
                        (key.clone(), key)
                    }
                    _ => (StoreKey::first(bytes.as_slice()), StoreKey::last(bytes)),
                };
                let mut goes_on = true;
                table.visit(Bound::Included(first), Bound::Included(last), &mut |row| {
                    goes_on = take(row);
                    goes_on
                });
                if !goes_on {
                    break;
                }
            }
        }
    }
    if rows.len() > MOST_ROWS {
        return Err(format!(
            "the pull query has more than {MOST_ROWS} rows; hint: a LIMIT, or a condition on the key, makes it smaller"
        ));
    }
    Ok(rows)
}
