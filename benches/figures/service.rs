//! A service of the stack in the foreground, on an address that nobody else has.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::peers::free_port;
use crate::pipeline::processes::{Usage, usage_of_process};
use crate::stack::OSQDEMO;

/// How long a service may take to answer for the first time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// It ends with this.
pub(crate) struct Service(Child);

impl Service {
    /// `osqdemo` with these arguments.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        let child = Command::new(OSQDEMO)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("failed to start `{}`", arguments.join(" ")))?;
        Ok(Self(child))
    }

    /// Its folder in `/proc`.
    pub(crate) fn process(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.0.id()))
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Usage {
        usage_of_process(&self.process())
    }

    /// Its resident memory.
    pub(crate) fn resident_mb(&self) -> f64 {
        self.usage().resident_kib / 1024.0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address of this machine on which nobody listens.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok((Ipv4Addr::LOCALHOST, free_port()?).into())
}

/// Asks until there is an answer. What is measured takes milliseconds, so nothing waits between.
pub(crate) fn until<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = answer() {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            bail!("{what} did not answer within {PATIENCE:?}");
        }
        thread::yield_now();
    }
}
