//! Pull queries: the rows of a table that a running query keeps, as they are now.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::plan::{Access, PullPlan, Windows};
use crate::task::{Materialized, StoreKey, TableRow};
use crate::value::{Row, Value};

/// How many rows a pull query may have (an answer is in memory as a whole).
const MOST_ROWS: usize = 1_000_000;
/// How many bytes these may take, roughly.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// How many pull queries may be answered at a time, and how long a further one waits for that.
const MOST_AT_A_TIME: usize = 16;
const PATIENCE: Duration = Duration::from_secs(10);

/// The room for pull queries: a place is held until the client has the answer.
#[derive(Debug, Clone)]
pub(crate) struct PullPlaces(Arc<Semaphore>);

impl Default for PullPlaces {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_AT_A_TIME)))
    }
}

impl PullPlaces {
    /// A place. The error is what the client is told where none becomes free soon.
    pub(crate) async fn take(&self) -> Result<OwnedSemaphorePermit, String> {
        self.take_within(PATIENCE).await
    }

    async fn take_within(&self, patience: Duration) -> Result<OwnedSemaphorePermit, String> {
        let place = timeout(patience, Arc::clone(&self.0).acquire_owned());
        if let Ok(Ok(place)) = place.await {
            return Ok(place);
        }
        Err(format!(
            "Not executing pull query: {MOST_AT_A_TIME} pull queries are being answered, which is the most allowed; \
             hint: read the answers of the others, or try again later"
        ))
    }
}

/// The rows of an answer, as far as they were found.
#[derive(Debug, Default)]
struct Found {
    rows: Vec<Row>,
    bytes: usize,
}

impl Found {
    fn add(&mut self, row: Row) {
        self.bytes += size_of::<Row>() + row.iter().map(Value::bytes).sum::<usize>();
        self.rows.push(row);
    }

    /// Why it is no answer.
    fn excess(&self) -> Option<String> {
        let excess = if self.rows.len() > MOST_ROWS {
            format!("has more than {MOST_ROWS} rows")
        } else if self.bytes > MOST_BYTES {
            format!("has rows of more than {} MiB", MOST_BYTES / 1024 / 1024)
        } else {
            return None;
        };
        Some(format!(
            "the pull query {excess}; hint: a LIMIT, or a condition on the key, makes it smaller"
        ))
    }
}

/// The rows of a pull query. The error is what the client is told.
pub(crate) fn pull(plan: &PullPlan, table: &Materialized) -> Result<Vec<Row>, String> {
    let limit = plan
        .limit
        .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut found = Found::default();
    if limit == 0 {
        return Ok(found.rows);
    }
    let mut take = |row: TableRow| {
        let window = row.window.map(|window| (window.start, window.end));
        if let Some(row) = plan.row(row.row, row.timestamp, window) {
            found.add(row);
        }
        found.rows.len() < limit && found.excess().is_none()
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
    match found.excess() {
        Some(excess) => Err(excess),
        None => Ok(found.rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_so_many_bytes_at_most() {
        // Of each row the text counts, also where all share it.
        let row = vec![Value::string("x".repeat(1024 * 1024)), Value::Null];
        let mut found = Found::default();
        for _ in 0..63 {
            found.add(row.clone());
        }
        assert_eq!(found.excess(), None);
        found.add(row);
        let excess = found.excess();
        assert!(
            excess.is_some_and(
                |excess| excess.starts_with("the pull query has rows of more than 64 MiB; hint:")
            )
        );
    }

    #[tokio::test]
    async fn so_many_are_answered_at_a_time() {
        let places = PullPlaces::default();
        let mut taken = Vec::new();
        for _ in 0..MOST_AT_A_TIME {
            taken.push(places.take().await.unwrap());
        }
        let refused = places.take_within(Duration::from_millis(1)).await.unwrap_err();
        assert!(
            refused.starts_with("Not executing pull query: 16 pull queries"),
            "{refused}"
        );
        let waiting = tokio::spawn(async move { places.take().await.is_ok() });
        tokio::task::yield_now().await;
        taken.pop();
        assert!(waiting.await.unwrap(), "one that waits is next");
    }
}
