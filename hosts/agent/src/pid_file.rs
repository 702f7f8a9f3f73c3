//! The file that holds the agent's process id, and keeps a second agent from starting with the same one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file; it goes when this value is dropped.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
}

/// A file that cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PidFileError {
    #[error("another agent runs as process {pid}, says the pid file `{}`", path.display())]
    Running { path: PathBuf, pid: i32 },
    #[error("cannot write the pid file `{}`: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl PidFile {
    /// Writes the file. With `force` it does not matter whether another agent holds it.
    pub(crate) fn create(path: &Path, force: bool) -> Result<Self, PidFileError> {
        if let Some(pid) = holder(path).filter(|_| !force) {
            return Err(PidFileError::Running {
                path: path.to_owned(),
                pid,
            });
        }
        let temporary = path.with_extension(format!("{}.new", std::process::id()));
        fs::write(&temporary, std::process::id().to_string())
            .and_then(|()| fs::rename(&temporary, path))
            .map_err(|source| PidFileError::Write {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let ours = fs::read_to_string(&self.path)
            .is_ok_and(|content| content.trim() == std::process::id().to_string());
        if ours {
            // A file that is gone already is as good as removed.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The agent that wrote the file, if it is still one: a process id is used again by other programs.
fn holder(path: &Path) -> Option<i32> {
    let pid: i32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    if u32::try_from(pid).is_ok_and(|pid| pid == std::process::id()) {
        return None;
    }
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    (name.starts_with("osq")).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_file_is_replaced_and_ours_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        fs::write(&path, "999999999").unwrap();
        let file = PidFile::create(&path, false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), std::process::id().to_string());
        drop(file);
        assert!(!path.exists());
        assert!(matches!(
            PidFile::create(Path::new("/nowhere/pid"), false),
            Err(PidFileError::Write { .. })
        ));
    }
}
