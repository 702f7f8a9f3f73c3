//! How much standard output shows: the terminal's size, where it is one.

use std::io::{IsTerminal, stdout};

/// How wide standard output is: the terminal's width, else `COLUMNS` where it is set, else unlimited.
pub fn output_width() -> Option<usize> {
    let terminal = || {
        let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
        (size.ws_col > 0).then_some(usize::from(size.ws_col))
    };
    let variable = || {
        let columns = std::env::var("COLUMNS").ok()?.parse().ok()?;
        (columns > 0).then_some(columns)
    };
    if stdout().is_terminal() {
        terminal().or_else(variable)
    } else {
        variable()
    }
}

/// Whether somebody looks at standard output on a terminal.
pub fn output_is_terminal() -> bool {
    stdout().is_terminal()
}

/// How many lines standard output shows at a time, where it is a terminal.
pub fn output_height() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
    (size.ws_row > 0).then_some(usize::from(size.ws_row))
}
