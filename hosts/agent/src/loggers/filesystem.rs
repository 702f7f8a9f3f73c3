//! osquery's logger plugin `filesystem`: two files that lines are appended to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::ResultLine;

const RESULTS: &str = "osqueryd.results.log";
const SNAPSHOTS: &str = "osqueryd.snapshots.log";

/// The folder of the files. They are opened anew for each line, so that they can be rotated.
#[derive(Debug)]
pub(super) struct FileLogger {
    folder: PathBuf,
}

/// A file that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`: {source}", path.display())]
pub(crate) struct FileLoggerError {
    path: PathBuf,
    source: io::Error,
}

impl FileLogger {
    pub(super) fn open(folder: &Path) -> Result<Self, FileLoggerError> {
        fs::create_dir_all(folder).map_err(|source| FileLoggerError {
            path: folder.to_owned(),
            source,
        })?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    pub(super) fn write(&self, line: &ResultLine) -> Result<(), FileLoggerError> {
        let (name, line) = match line {
            ResultLine::Event(line) => (RESULTS, line),
            ResultLine::Snapshot(line) => (SNAPSHOTS, line),
        };
        let path = self.folder.join(name);
        OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o640)
            .open(&path)
            .and_then(|file| append_line(&file, line))
            .map_err(|source| FileLoggerError { path, source })
    }
}

/// Appends a whole line, or nothing: what a full disk left of it is taken back, so that the line that is tried again does
/// not stand behind a half of itself. A half that a crash left is ended.
fn append_line(mut file: &File, line: &[u8]) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut text = Vec::with_capacity(line.len() + 2);
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    if last != *b"\n" {
        text.push(b'\n');
    }
    text.extend_from_slice(line);
    text.push(b'\n');
    file.write_all(&text).inspect_err(|_| {
        // Nothing better is left when this fails, too.
        let _ = file.set_len(length);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_to_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let logger = FileLogger::open(&folder.path().join("log")).unwrap();
        logger.write(&ResultLine::Event(b"{1}".to_vec())).unwrap();
        logger.write(&ResultLine::Event(b"{2}".to_vec())).unwrap();
        logger.write(&ResultLine::Snapshot(vec![0xff])).unwrap();
        assert_eq!(
            fs::read(folder.path().join("log").join(RESULTS)).unwrap(),
            b"{1}\n{2}\n"
        );
        assert_eq!(
            fs::read(folder.path().join("log").join(SNAPSHOTS)).unwrap(),
            b"\xff\n"
        );
    }

    #[test]
    fn a_half_line_of_a_crash_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RESULTS);
        fs::write(&path, "{1}\n{2").unwrap();
        let logger = FileLogger::open(folder.path()).unwrap();
        logger.write(&ResultLine::Event(b"{3}".to_vec())).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"{1}\n{2\n{3}\n");
    }

    /// The limit of a file's size is met as a full disk is: a part is written, the rest is not.
    #[test]
    fn what_does_not_fit_leaves_nothing() {
        const INNER: &str = "AGENT_TEST_FULL_DISK";
        if let Some(folder) = std::env::var_os(INNER) {
            rustix::process::setrlimit(
                rustix::process::Resource::Fsize,
                rustix::process::Rlimit {
                    current: Some(20),
                    maximum: Some(20),
                },
            )
            .unwrap();
            let logger = FileLogger::open(Path::new(&folder)).unwrap();
            logger.write(&ResultLine::Event(b"{fits}".to_vec())).unwrap();
            logger
                .write(&ResultLine::Event(b"{is much too long for the rest}".to_vec()))
                .unwrap_err();
            logger.write(&ResultLine::Event(b"{fits, too}".to_vec())).unwrap();
            return;
        }
        // In a process of its own, which ignores the signal that comes with the limit.
        let folder = tempfile::tempdir().unwrap();
        let name = "loggers::filesystem::tests::what_does_not_fit_leaves_nothing";
        let inner = std::process::Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
            .arg(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(INNER, folder.path())
            .output()
            .unwrap();
        assert!(inner.status.success(), "{inner:?}");
        assert_eq!(
            fs::read_to_string(folder.path().join(RESULTS)).unwrap(),
            "{fits}\n{fits, too}\n"
        );
    }
}
