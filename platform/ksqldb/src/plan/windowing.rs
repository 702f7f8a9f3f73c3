//! The `WINDOW` clause: how long windows are, how late a row may be, and how long they are kept.

use super::pipeline::Windowing;
use super::steps::AGGREGATE_STORE;
use super::{PlanError, Stage};
use crate::syntax::ast::{Duration, Window, WindowKind};

/// The grace period where a statement sets none reaches so far back with the window itself.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// In how many windows a row may lie at a time: each of them is written for each row.
const MOST_WINDOWS: i64 = 100_000;

/// Sizes, grace and retention of a `WINDOW` clause.
pub(super) fn windowing(window: Window) -> Result<Windowing, PlanError> {
    let kind = window.kind.map(Duration::milliseconds);
    let (size, what) = match kind {
        WindowKind::Tumbling { size } | WindowKind::Hopping { size, .. } => (size, "size"),
        WindowKind::Session { gap } => (gap, "gap"),
    };
    if size <= 0 {
        return Err(PlanError::new("Size must be positive"));
    }
    if let WindowKind::Hopping { size, advance } = kind
        && !(1..=size).contains(&advance)
    {
        return Err(PlanError::in_stage(
            Stage::Server,
            format!(
                "Window advancement interval should be more than zero and less than window duration which is \
                 {size} ms, but given advancement interval is: {advance} ms"
            ),
        ));
    }
    if let WindowKind::Hopping { size, advance } = kind
        && size / advance > MOST_WINDOWS
    {
        return Err(PlanError::in_stage(
            Stage::Server,
            format!(
                "A row would lie in {} windows (SIZE of {size} ms, ADVANCE BY {advance} ms), which is more than \
                 {MOST_WINDOWS}; hint: a longer ADVANCE BY or a shorter SIZE",
                size / advance
            ),
        ));
    }
    let grace_ms = window
        .grace
        .map_or_else(|| (DAY_MS - size).max(0), Duration::milliseconds);
    let least = size.saturating_add(grace_ms);
    let retention_ms = window.retention.map_or(least, Duration::milliseconds);
    if retention_ms < least {
        let store = AGGREGATE_STORE;
        let rule = if what == "gap" {
            format!(
                "The retention period of the session store {store} must be no smaller than the session inactivity gap \
                 plus the grace period."
            )
        } else {
            format!(
                "The retention period of the window store {store} must be no smaller than its window size plus the \
                 grace period."
            )
        };
        return Err(PlanError::in_stage(
            Stage::Server,
            format!("{rule} Got {what}=[{size}], grace=[{grace_ms}], retention=[{retention_ms}]"),
        ));
    }
    Ok(Windowing {
        kind,
        grace_ms,
        retention_ms,
    })
}
