//! osquery's logger plugin `filesystem`: two files that lines are appended to.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
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
        let mut text = Vec::with_capacity(line.len() + 1);
        text.extend_from_slice(line);
        text.push(b'\n');
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .open(&path)
            .and_then(|mut file| file.write_all(&text))
            .map_err(|source| FileLoggerError { path, source })
    }
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
}
