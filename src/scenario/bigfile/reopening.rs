//! When the push queries whose rows are missing are opened again: what was written while a server was away may have gone
//! by them.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::scenario::observation::Join;

/// How long after both sides have passed the streams a row may be missing before the queries are opened again.
const FIRST: Duration = Duration::from_secs(5);
/// How long it becomes, doubling. Until then a query whose rows come is left alone: it may read through many of them
/// before the one that is waited for.
const LONGEST: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Reopening {
    pause: Duration,
    at: Option<Instant>,
    /// The queries whose rows have come since the last time.
    moving: HashSet<Join>,
}

impl Reopening {
    pub(super) fn new() -> Self {
        Self {
            pause: FIRST,
            at: None,
            moving: HashSet::new(),
        }
    }

    /// When the next one is due.
    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// A row of that query came.
    pub(super) fn row(&mut self, join: Join) {
        self.moving.insert(join);
    }

    /// Whether only rows are missing.
    pub(super) fn missing(&mut self, are_rows_missing: bool) {
        self.at = are_rows_missing.then(|| self.at.unwrap_or_else(|| Instant::now() + self.pause));
    }

    /// Which queries are opened again now; sets the time of the next one.
    pub(super) fn take(&mut self) -> Vec<Join> {
        let moving = std::mem::take(&mut self.moving);
        let is_patient = self.pause < LONGEST;
        self.pause = (self.pause * 2).min(LONGEST);
        self.at = Some(Instant::now() + self.pause);
        let silent = |join: &Join| !(is_patient && moving.contains(join));
        [Join::Original, Join::Precise]
            .into_iter()
            .filter(silent)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the next one is due, in pauses from now.
    fn is_due_after(nudges: &Reopening, before: Instant, pauses: u32) -> bool {
        let after = FIRST * pauses;
        nudges
            .at()
            .is_some_and(|at| before + after <= at && at <= Instant::now() + after)
    }

    #[test]
    fn a_query_whose_rows_come_is_left_alone_for_a_while() {
        let mut nudges = Reopening::new();
        assert_eq!(nudges.at(), None);
        let before = Instant::now();
        nudges.missing(true);
        assert!(is_due_after(&nudges, before, 1));
        nudges.row(Join::Original);
        assert_eq!(nudges.take(), [Join::Precise]);
        assert!(is_due_after(&nudges, before, 2));
        assert_eq!(nudges.take(), [Join::Original, Join::Precise]);
        nudges.row(Join::Original);
        assert_eq!(nudges.take(), [Join::Original, Join::Precise], "not for ever");
        nudges.missing(false);
        assert_eq!(nudges.at(), None);
    }
}
