//! The data folder: held by one broker at a time, its small files replaced as a whole.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::disk::{Disk, Mode};
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
    /// A power cut leaves it or what it replaces, whole in either case.
    Whole,
    /// It survives the process; for caches that carry a checksum and are rebuilt when lost.
    Process,
}

/// What became of a replaced file.
#[derive(Debug)]
#[must_use]
pub(crate) enum Replaced {
    /// As much as was asked for.
    Done,
    /// It is in place, but a power cut may bring the old content back: the folder could not be synced.
    Unsynced(io::Error),
}

impl Replaced {
    /// An error unless everything asked for was done.
    pub(crate) fn done(self) -> io::Result<()> {
        match self {
            Self::Done => Ok(()),
            Self::Unsynced(error) => Err(error),
        }
    }
}

/// Replaces the file at `path` so that the end of the process leaves either the old content or the new, never a part.
///
/// # Errors
/// When the old content is still in place.
pub(crate) fn replace_file(
    disk: &dyn Disk,
    path: &Path,
    content: &[u8],
    durability: Durability,
) -> io::Result<Replaced> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let written =
        write_new(disk, &temporary, content, durability).and_then(|()| disk.rename(&temporary, path));
    if let Err(error) = written {
        // Best effort: on a full disk the half-written file must not stay.
        let _ = disk.remove_file(&temporary);
        return Err(error);
    }
    match (durability, path.parent()) {
        (Durability::Disk, Some(folder)) => match disk.sync_folder(folder) {
            Ok(()) => Ok(Replaced::Done),
            Err(error) => Ok(Replaced::Unsynced(error)),
        },
        _ => Ok(Replaced::Done),
    }
}

fn write_new(disk: &dyn Disk, path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    let file = disk.open(path, Mode::Fresh)?;
    file.write_at(0, content, &[])?;
    match durability {
        Durability::Disk | Durability::Whole => file.sync(),
        Durability::Process => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::RealDisk;
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
        replace_file(&RealDisk, &path, b"one", Durability::Disk)
            .and_then(Replaced::done)
            .unwrap();
        replace_file(&RealDisk, &path, b"two", Durability::Process)
            .and_then(Replaced::done)
            .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
