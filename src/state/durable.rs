//! Writing a file of the state: whole, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::state::StateError;

/// Writes a file that a later run reads, so that a reader sees the old or the new text, never a part of it, also after
/// a power cut: the text is on the disk before it gets its name, and the name before this returns. Only its owner may
/// read it: it may hold secrets of the user's.
///
/// # Errors
/// When the file cannot be written; the old one is as it was.
pub fn write_durably(path: &Path, text: &[u8]) -> Result<(), StateError> {
    write(path, text, |file| file.sync_all())?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| StateError::io("write", path, error))
}

/// Writes a file that is written anew at each start, so that a reader sees the old or the new text. What a power cut
/// leaves of it is never read. Only its owner may read it.
///
/// # Errors
/// When the file cannot be written; the old one is as it was.
pub fn write_atomically(path: &Path, text: &[u8]) -> Result<(), StateError> {
    write(path, text, |_| Ok(()))
}

/// Where the text of a file stands until it is whole.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("new")
}

fn write(path: &Path, text: &[u8], settle: impl FnOnce(&File) -> io::Result<()>) -> Result<(), StateError> {
    let temporary = unfinished(path);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(text)?;
            settle(&file)
        })
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|error| {
            // A part of a file on a full disk helps nobody.
            let _ = fs::remove_file(&temporary);
            StateError::io("write", path, error)
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("project.json");
        for text in ["a longer first text", "short"] {
            write_durably(&path, text.as_bytes()).expect("it can be written");
            assert_eq!(fs::read_to_string(&path).expect("the file"), text);
        }
        let mode = fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1);
    }

    #[test]
    fn what_cannot_be_written_leaves_the_old_file() {
        let folder = tempfile::tempdir().expect("a folder");
        // A folder in the place of the file cannot be replaced by one.
        let path = folder.path().join("project.json");
        fs::create_dir(&path).expect("a folder");
        let error = write_durably(&path, b"text").expect_err("it is a folder");
        assert!(error.to_string().starts_with("failed to write `"), "{error}");
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1);
    }
}
