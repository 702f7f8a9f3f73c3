//! The caller's terminal while a command elsewhere has it: every key is handed on as it is, and afterwards the
//! terminal is as it was.

use std::io::{stdin, stdout};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::engine::docker::error::DockerError;

/// The terminal hands on every key. Dropped, it is as before.
pub(super) struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Puts the terminal of standard input into raw mode.
    pub(super) fn enter() -> Result<Self, DockerError> {
        let failed = |action| {
            move |error: rustix::io::Errno| DockerError::Terminal {
                action,
                source: error.into(),
            }
        };
        let before = tcgetattr(stdin()).map_err(failed("read the state of"))?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw).map_err(failed("set the state of"))?;
        Ok(Self { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that is gone needs no state.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}

/// The terminal's columns and rows, where there is one.
pub(super) fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(stdout()).ok()?;
    Some((size.ws_col, size.ws_row))
}
