//! Programs of the machine that some tables ask: what they print, within a time and a size.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether one that prints no more has ended.
const STEP: Duration = Duration::from_millis(2);
/// How much of its output is read.
const LARGEST: u64 = 16 << 20;

/// A program, by its path.
#[derive(Debug)]
pub(crate) struct Program(PathBuf);

/// A program that gave nothing to read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    #[error("cannot run `{}`: {source}", program.display())]
    Run { program: PathBuf, source: io::Error },
    #[error("`{}` failed ({status})", program.display())]
    Failed { program: PathBuf, status: ExitStatus },
    #[error("`{}` took longer than {} s", program.display(), PATIENCE.as_secs())]
    TooLong { program: PathBuf },
}

impl Program {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The first of these that is there.
    pub(crate) fn find(paths: impl IntoIterator<Item = PathBuf>) -> Option<Self> {
        paths.into_iter().find(|path| path.is_file()).map(Self)
    }

    /// Runs it and returns what it printed; it must succeed.
    pub(crate) fn output<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Result<String, ProgramError> {
        let failed = |source| ProgramError::Run {
            program: self.0.clone(),
            source,
        };
        let mut child = Command::new(&self.0)
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let output = child.stdout.take();
        let (send, receive) = mpsc::channel();
        let reader = thread::Builder::new()
            .name("program-output".to_owned())
            .spawn(move || {
                let mut text = Vec::new();
                let read = output.map_or(Ok(0), |output| output.take(LARGEST).read_to_end(&mut text));
                // Whoever waited has given up.
                let _ = send.send(read.map(|_| text));
            });
        let read = reader.map_err(failed).map(|_| receive.recv_timeout(PATIENCE));
        let Ok(Ok(text)) = read else {
            // It may have ended meanwhile; then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
            return Err(ProgramError::TooLong {
                program: self.0.clone(),
            });
        };
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                break status;
            }
            if Instant::now() >= deadline {
                let _ = child.kill();
                let _ = child.wait();
                return Err(ProgramError::TooLong {
                    program: self.0.clone(),
                });
            }
            thread::park_timeout(STEP);
        };
        if !status.success() {
            return Err(ProgramError::Failed {
                program: self.0.clone(),
                status,
            });
        }
        Ok(String::from_utf8_lossy(&text.map_err(failed)?).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_prints_is_read_and_its_failure_told() {
        let shell = Program::new(Path::new("/bin/sh"));
        assert_eq!(shell.output(&["-c", "echo a; echo b >&2"]).unwrap(), "a\n");
        let error = shell.output(&["-c", "exit 3"]).unwrap_err().to_string();
        assert!(error.contains("`/bin/sh` failed"), "{error}");
        let missing = Program::new(Path::new("/no/such/program"));
        assert!(missing.output(&["x"]).is_err());
        // One that goes on printing ends by the pipe that nobody reads.
        assert!(shell.output(&["-c", "yes | head -c 20000000"]).is_err());
    }
}
