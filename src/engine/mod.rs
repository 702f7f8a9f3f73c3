//! Where the services run. An engine is a trait with several implementations, a fake among them.

use crate::error::Result;
use crate::stack::ServiceName;

/// How a command on a host ended, and what it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// The exit status; 128 plus the number for a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// Runs commands on a monitored host, as its user would at a shell there.
pub trait HostExec: Send + Sync {
    /// Runs `argv` on `host` in its home folder, without input, and collects what it writes.
    /// Dropping the future ends the command and its children.
    fn exec(&self, host: &ServiceName, argv: &[&str]) -> impl Future<Output = Result<ExecOutput>> + Send;
}
