//! osquery's logger plugin `filesystem`: two files that lines are appended to, and three with the agent's own lines.
//!
//! osqueryd has glog write its own lines: a file for each severity, with the lines of that one and of worse ones, named
//! after the time of the start and linked to from `osqueryd.INFO`. Here those are the files themselves, and each is bounded.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::ResultLine;
use crate::status_log::{Severity, StatusLine};

const RESULTS: &str = "osqueryd.results.log";
const SNAPSHOTS: &str = "osqueryd.snapshots.log";
/// The files of the agent's own lines, from the one that has them all.
const STATUS: [(Severity, &str); 3] = [
    (Severity::Info, "osqueryd.INFO"),
    (Severity::Warning, "osqueryd.WARNING"),
    (Severity::Error, "osqueryd.ERROR"),
];
/// A file of status lines that is larger makes place for another, and is kept beside it under this suffix.
const LARGEST_STATUS: u64 = 4 << 20;
const EARLIER: &str = ".1";

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

    /// Appends the agent's own lines. As osqueryd, nobody is told of one that cannot be written: that would be another.
    pub(super) fn write_status(&self, lines: &[StatusLine]) {
        for (severity, name) in STATUS {
            let lines = lines.iter().filter(|line| line.severity >= severity);
            let text: Vec<u8> = lines.flat_map(|line| line.glog().into_bytes()).collect();
            if !text.is_empty() {
                let _ = append_status(&self.folder.join(name), &text);
            }
        }
    }
}

fn append_status(path: &Path, text: &[u8]) -> io::Result<()> {
    // Whoever may write into the folder must not have the agent write elsewhere, or wait for a reader of a pipe.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    file.write_all(text)?;
    if metadata.len() + text.len() as u64 > LARGEST_STATUS {
        let mut earlier = path.as_os_str().to_owned();
        earlier.push(EARLIER);
        fs::rename(path, earlier)?;
    }
    Ok(())
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
    fn status_lines_go_to_the_file_of_their_severity_and_of_milder_ones() {
        let folder = tempfile::tempdir().unwrap();
        let logger = FileLogger::open(folder.path()).unwrap();
        let line = |severity, message: &str| StatusLine {
            severity,
            file: "mod.rs".to_owned(),
            line: 7,
            message: message.to_owned(),
            unix_time: 1_795_495_589,
        };
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        logger.write_status(&[line(Severity::Info, "begins"), line(Severity::Warning, "is slow")]);
        assert_eq!(read("osqueryd.INFO").lines().count(), 2);
        let warnings = read("osqueryd.WARNING");
        assert!(
            warnings.starts_with('W') && warnings.ends_with(" mod.rs:7] is slow\n"),
            "{warnings}"
        );
        assert!(!folder.path().join("osqueryd.ERROR").exists());
        // A file that has grown large makes place, and there are never more than two.
        let long = "x".repeat(1 << 20);
        for _ in 0..11 {
            logger.write_status(&[line(Severity::Info, &long)]);
        }
        let size = |name: &str| fs::metadata(folder.path().join(name)).map_or(0, |file| file.len());
        let sizes = size("osqueryd.INFO") + size("osqueryd.INFO.1");
        assert!(sizes <= 2 * (LARGEST_STATUS + (2 << 20)), "{sizes}");
        // What stands in its place is not written to.
        let elsewhere = folder.path().join("elsewhere");
        fs::write(&elsewhere, "").unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.path().join("osqueryd.ERROR")).unwrap();
        logger.write_status(&[line(Severity::Error, "is wrong")]);
        assert_eq!(fs::read(&elsewhere).unwrap(), b"");
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
