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
    /// When that was started, where the file says so: its pid may be another process's by now.
    start_time: Option<u64>,
}

impl AtWork {
    /// Who works on the project now; nobody when it cannot be told. The lock is not touched: to try it would keep others
    /// from taking it.
    pub fn on(folder: &ProjectFolder) -> Option<Self> {
        let at_work = Self::read(&mut File::open(folder.lock_file()).ok()?).ok()?;
        // Whoever was killed has left the file.
        let process = ProcessId::of(at_work.pid)?;
        let is_other = at_work
            .start_time
            .is_some_and(|started| started != process.start_time);
        (!is_other).then_some(at_work)
    }

    fn read(file: &mut File) -> std::io::Result<Self> {
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let mut words = text.split_whitespace();
        Ok(Self {
            pid: words.next().and_then(|pid| pid.parse().ok()).unwrap_or(0),
            verb: words.next().unwrap_or("command").to_owned(),
            start_time: words.next().and_then(|started| started.parse().ok()),
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
                let AtWork { verb, pid, .. } = AtWork::read(&mut file).map_err(failed("read"))?;
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
            let pid = std::process::id();
            let started = ProcessId::of(pid).map_or_else(String::new, |own| format!(" {}", own.start_time));
            let _ = file
                .set_len(0)
                .and_then(|()| writeln!(file, "{pid} {verb}{started}"));
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
        let at_work = AtWork::on(&folder).expect("it is at work");
        assert_eq!((at_work.verb.as_str(), at_work.pid), ("up", pid));
        // The pid of whoever was killed is another process's by now.
        let started = at_work.start_time.expect("it is written down");
        fs::write(folder.lock_file(), format!("{pid} up {}\n", started + 1)).expect("it is written");
        assert_eq!(AtWork::on(&folder), None);
        fs::write(folder.lock_file(), format!("{pid} up\n")).expect("it is written");
        assert!(AtWork::on(&folder).is_some(), "an earlier version does not tell");
        drop(lock);
        assert!(
            !folder.exists().expect("a folder that can be read"),
            "an empty project leaves nothing behind"
        );
        ProjectLock::take(&folder, "down").expect("it is free again");
    }
}
