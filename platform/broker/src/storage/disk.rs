//! The disk as storage sees it: files, names in folders, and when either is safe.
//!
//! Everything that decides whether a record is lost goes through [`Disk`], so that the same code runs on the real disk
//! and on one that lies (`simulated`): it loses what was not synced, tears and reorders it, and fails when it is told to.
//! A name and the content behind it are made safe separately: the content by [`DiskFile::sync`], the name by
//! [`Disk::sync_folder`].

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod real;
#[cfg(test)]
pub(crate) mod simulated;

pub(crate) use self::real::RealDisk;

/// A disk that storage shares.
pub(crate) type SharedDisk = Arc<dyn Disk>;
/// An open file.
pub(crate) type SharedFile = Arc<dyn DiskFile>;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// For reading; it must exist.
    Read,
    /// For reading and writing; it must exist.
    Write,
    /// For reading and writing; made when it is missing.
    Keep,
    /// For reading and writing; made when it is missing, emptied when it is not.
    Fresh,
}

/// Names and folders.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Makes a folder and those above it, unless they are there.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// Opens a file.
    fn open(&self, path: &Path, mode: Mode) -> io::Result<SharedFile>;
    /// The paths in a folder, in no particular order.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
    /// Gives a file another name in its folder, in place of whatever had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Takes a file's name away; who has it open can still read it.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder with everything in it.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder survive a power cut.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// When the file was last written, in milliseconds since the epoch.
    fn modified_ms(&self, path: &Path) -> io::Result<i64>;
    /// How many callers at a time are worth while; one where the order of what is asked for has to be the same each time.
    fn callers(&self) -> usize;
}

/// Content.
pub(crate) trait DiskFile: Debug + Send + Sync {
    /// Bytes in the file.
    fn size(&self) -> io::Result<u64>;
    /// Up to `len` bytes at `position`; fewer only at the end of the file.
    fn read_at(&self, position: u64, len: usize) -> io::Result<Vec<u8>>;
    /// Writes both pieces, one after the other, at `position`; a part of them may be written when it fails.
    fn write_at(&self, position: u64, first: &[u8], second: &[u8]) -> io::Result<()>;
    /// Cuts the file, or lengthens it with zeros.
    fn set_size(&self, size: u64) -> io::Result<()>;
    /// Makes the content survive a power cut. Once this fails, what was not yet safe may never be: it is not asked again.
    fn sync(&self) -> io::Result<()>;
}

/// The whole content of a file.
pub(crate) fn read_all(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Mode::Read)?;
    let size = usize::try_from(file.size()?).map_err(io::Error::other)?;
    file.read_at(0, size)
}

/// Takes a file's name away if it has one.
pub(crate) fn remove_if_present(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
