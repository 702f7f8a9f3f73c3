//! The lock of a project: commands that change it work one at a time. The kernel releases it when its holder
//! ends, however it ends; the file tells who holds it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{FlockOperation, flock};

use crate::process::ProcessId;
use crate::state::{ProjectFolder, StateError};

/// The command that works on a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtWork {
    /// Its verb.
    pub verb: String,
    /// Its process.
    pub pid: u32,
}

impl AtWork {
    /// Who works on the project now; nobody when it cannot be told. The lock is not touched: to try it would keep others
    /// from taking it.
    pub fn on(folder: &ProjectFolder) -> Option<Self> {
        let at_work = Self::read(&mut File::open(folder.lock_file()).ok()?).ok()?;
        // Whoever was killed has left the file.
        ProcessId::of(at_work.pid).map(|_| at_work)
    }

    fn read(file: &mut File) -> std::io::Result<Self> {
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let (pid, verb) = text.trim_end().split_once(' ').unwrap_or(("0", "command"));
        Ok(Self {
            verb: verb.to_owned(),
            pid: pid.parse().unwrap_or(0),
        })
    }
}

/// Held while a command changes a project. Released, and its file removed, when dropped.
#[derive(Debug)]
pub struct ProjectLock {
    folder: ProjectFolder,
    _file: File,
}

impl ProjectLock {
    /// Takes the lock for `verb`, or tells who has it.
    ///
    /// # Errors
    /// [`StateError::Busy`], or an I/O error.
    pub fn take(folder: &ProjectFolder, verb: &str) -> Result<Self, StateError> {
        folder.create()?;
        let path = folder.lock_file();
        let failed = |action| move |error| StateError::io(action, &folder.lock_file(), error);
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(failed("open"))?;
            if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
                if error != rustix::io::Errno::WOULDBLOCK {
                    return Err(failed("lock")(error.into()));
                }
                let AtWork { verb, pid } = AtWork::read(&mut file).map_err(failed("read"))?;
                return Err(StateError::Busy {
                    project: folder.project.clone(),
                    verb,
                    pid,
                    is_stopped: ProcessId::of(pid).is_some_and(ProcessId::is_stopped),
                });
            }
            // The previous holder may have removed the file between our `open` and our `flock`: then we hold
            // the lock of a file that nobody else can find.
            let is_current = fs::metadata(&path)
                .is_ok_and(|current| file.metadata().is_ok_and(|ours| ours.ino() == current.ino()));
            if !is_current {
                continue;
            }
            // Only for others to read; on a full disk `down` has to work all the same.
            let _ = file
                .set_len(0)
                .and_then(|()| writeln!(file, "{} {verb}", std::process::id()));
            return Ok(Self {
                folder: folder.clone(),
                _file: file,
            });
        }
    }
}

impl Drop for ProjectLock {
    fn drop(&mut self) {
        // Removed while still held, so that nobody else's lock is removed.
        let _ = fs::remove_file(self.folder.lock_file());
        // A project that never came to anything leaves nothing behind: this only succeeds when it is empty.
        let _ = fs::remove_dir(self.folder.root());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::project::ProjectName;

    #[test]
    fn a_second_holder_is_told_who_has_it() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = ProjectFolder::new(home.path(), &ProjectName::default());
        let lock = ProjectLock::take(&folder, "up").expect("the lock");
        let error = ProjectLock::take(&folder, "down").expect_err("it is taken");
        let pid = std::process::id();
        assert_eq!(
            error.to_string(),
            format!("another `osqdemo up` is at work on project `osqdemo` (process {pid})")
        );
        drop(lock);
        assert!(
            !folder.exists().expect("a folder that can be read"),
            "an empty project leaves nothing behind"
        );
        ProjectLock::take(&folder, "down").expect("it is free again");
    }
}
