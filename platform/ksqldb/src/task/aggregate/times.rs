//! How far an aggregation's time has come, and what is too old by it.

use crate::plan::Windowing;
use crate::syntax::ast::WindowKind;

/// How far the rows of a partition have come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// The highest time of a row.
    pub(super) stream_time: i64,
    /// Windows that are ordered by a time before it have been passed on, where only final results are wanted.
    pub(super) emitted_before: i64,
    /// The greatest time that a window of the store is ordered by.
    pub(super) newest_window: i64,
    /// Windows that are ordered by a time before it were let go of.
    pub(super) kept_from: i64,
}

impl Times {
    pub(super) const START: Self = Self {
        stream_time: NO_TIME,
        emitted_before: i64::MIN,
        newest_window: i64::MIN,
        kept_from: i64::MIN,
    };

    /// The time before which windows, as they are ordered, have closed.
    pub(super) fn closed_before(self, windowing: Windowing) -> i64 {
        let closed = self.stream_time.saturating_sub(windowing.grace_ms);
        match windowing.kind {
            // The end is closed, too.
            WindowKind::Tumbling { size: size_ms } | WindowKind::Hopping { size: size_ms, .. } => {
                closed.saturating_sub(size_ms).saturating_add(1)
            }
            WindowKind::Session { gap: gap_ms } => closed.saturating_sub(gap_ms),
        }
    }
}

/// The stream time before the first row.
pub(super) const NO_TIME: i64 = -1;

/// The greatest time that a window of rows up to a time is ordered by.
pub(super) fn newest_window(stream_time: i64, windowing: Windowing) -> i64 {
    let step = match windowing.kind {
        WindowKind::Tumbling { size: size_ms } => size_ms,
        WindowKind::Hopping {
            advance: advance_ms, ..
        } => advance_ms,
        WindowKind::Session { .. } => 1,
    };
    stream_time / step * step
}

/// The time from which on windows are kept, as they are ordered.
pub(super) fn kept_from(newest_window: i64, windowing: Windowing) -> i64 {
    let gone = newest_window.saturating_sub(windowing.retention_ms);
    match windowing.kind {
        // One that ended exactly then is still open where the retention is no more than gap and grace period.
        WindowKind::Session { .. } => gone,
        WindowKind::Tumbling { .. } | WindowKind::Hopping { .. } => gone.saturating_add(1),
    }
}
