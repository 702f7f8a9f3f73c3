//! The one place of the figures that lets time pass: either a span is measured in which nothing is asked for, or something
//! is looked for again and again.

#![expect(
    clippy::disallowed_methods,
    reason = "what is measured is what happens while nobody asks for anything"
)]

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Leaves what is measured alone for that long.
pub(crate) fn leave_alone(span: Duration) {
    thread::sleep(span);
}

/// Looks until the condition holds, at most for `limit`.
pub(crate) fn eventually(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !holds() {
        if Instant::now() > deadline {
            bail!("not within {limit:?}: {what}");
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
