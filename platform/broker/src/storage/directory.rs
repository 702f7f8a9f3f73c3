//! The data folder: held by one broker at a time, its small files replaced as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::error::Error;

const LOCK_FILE: &str = "lock";

/// The data folder, locked for as long as this lives.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    // The kernel drops the lock with the last descriptor, also when the process is killed.
    _lock: File,
}

impl DataDir {
    /// Creates the folder when it is missing, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::DataDir {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(path).map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK_FILE))
            .map_err(failed)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Locked {
                path: path.to_owned(),
            }),
            Err(errno) => Err(failed(errno.into())),
        }
    }

    /// Where the folder is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// How far a replaced file has to get before the replacement counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It survives a power cut.
    Disk,
    /// It survives the process; for caches that are rebuilt when lost.
    Process,
}

/// Replaces the file at `path` so that a crash leaves either the old content or the new, never a part.
pub(crate) fn replace_file(path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let written = write_new(&temporary, content, durability).and_then(|()| {
        fs::rename(&temporary, path)?;
        match (durability, path.parent()) {
            (Durability::Disk, Some(folder)) => sync_folder(folder),
            _ => Ok(()),
        }
    });
    if written.is_err() {
        // Best effort: on a full disk the half-written file must not stay.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    match durability {
        Durability::Disk => file.sync_all(),
        Durability::Process => Ok(()),
    }
}

/// Makes the names in a folder survive a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_broker_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::open(folder.path()).unwrap();
        let error = DataDir::open(folder.path()).unwrap_err();
        assert!(matches!(&error, Error::Locked { path } if path == folder.path()));
        drop(first);
        DataDir::open(folder.path()).unwrap();
    }

    #[test]
    fn a_replaced_file_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.json");
        replace_file(&path, b"one", Durability::Disk).unwrap();
        replace_file(&path, b"two", Durability::Process).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
