//! A service of the stack in the foreground, on an address that nobody else has.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
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

/// One client's connection to an HTTP service, over which it asks again and again.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, body: Option<&str>) -> Result<(u16, String)> {
        let body = body.unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("no answer but `{}`", line.trim()))?;
        let mut length = 0;
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                bail!("the answer is cut off");
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
