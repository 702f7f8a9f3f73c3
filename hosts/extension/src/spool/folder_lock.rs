//! The folder of a spool, made for its owner alone, and the lock that keeps a second extension out of it.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::disk::own_file;

/// The file that is locked; it holds its owner's pid.
const LOCK: &str = "lock";
/// What others may do with the folder: nothing.
const PRIVATE: u32 = 0o700;

/// Held as long as the folder is used. The system lets go of it when the process ends, however it does.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

/// Why a folder cannot be had.
#[derive(Debug)]
pub(crate) enum FolderError {
    /// Another process has it.
    Taken {
        pid: String,
    },
    Io(io::Error),
}

impl From<io::Error> for FolderError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl FolderLock {
    /// Makes the folder if need be, and takes it.
    pub(crate) fn take(folder: &Path) -> Result<Self, FolderError> {
        DirBuilder::new().recursive(true).mode(PRIVATE).create(folder)?;
        let permissions = fs::metadata(folder)?.permissions();
        if permissions.mode() & 0o077 != 0 {
            // Lines tell what runs on the host.
            fs::set_permissions(folder, fs::Permissions::from_mode(PRIVATE))?;
        }
        let path: PathBuf = folder.join(LOCK);
        let mut file = own_file().create(true).truncate(false).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid)?;
                return Err(FolderError::Taken {
                    pid: pid.trim().to_owned(),
                });
            }
            Err(error) => return Err(FolderError::Io(error.into())),
        }
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_who_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path().join("a/b");
        let lock = FolderLock::take(&spool).unwrap();
        assert_eq!(fs::metadata(&spool).unwrap().permissions().mode() & 0o777, 0o700);
        let Err(FolderError::Taken { pid }) = FolderLock::take(&spool) else {
            panic!("taken twice");
        };
        assert_eq!(pid, std::process::id().to_string());
        drop(lock);
        FolderLock::take(&spool).unwrap();
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_not_followed() {
        use crate::spool::disk::{Disk as _, Folder};

        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        fs::write(&elsewhere, "precious").unwrap();
        let spool = folder.path().join("spool");
        fs::create_dir(&spool).unwrap();
        for name in [LOCK, "position.new"] {
            std::os::unix::fs::symlink(&elsewhere, spool.join(name)).unwrap();
        }
        assert!(matches!(FolderLock::take(&spool), Err(FolderError::Io(_))));
        let disk = Folder::new(&spool);
        assert!(disk.create("position.new").is_err() && disk.open("position.new").is_err());
        assert_eq!(fs::read(&elsewhere).unwrap(), b"precious");
    }
}
