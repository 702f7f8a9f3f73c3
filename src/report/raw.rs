//! Standard output and error as they are, for a command that runs elsewhere and writes to them as if it were here.

use tokio::io::{Stderr, Stdout};

/// Standard output and standard error.
pub fn streams() -> (Stdout, Stderr) {
    (tokio::io::stdout(), tokio::io::stderr())
}
