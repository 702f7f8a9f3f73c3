//! Keeps the logs of a project bounded. The services write to their files themselves, so that they can go on
//! when the supervisor is killed; a file that has grown too large is copied and truncated in place. A line
//! written between the copy and the truncation is lost.

use std::fs::{self, OpenOptions};

use tracing::warn;

use crate::state::ProjectFolder;

/// The size at which a log is rotated, in bytes. One earlier log of about this size is kept.
const LARGEST_LOG: u64 = 8 << 20;

/// Rotates every log of the project that has grown too large.
pub(super) fn rotate(folder: &ProjectFolder) {
    let logs = folder.root().join("logs");
    for entry in fs::read_dir(&logs).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_log = path.extension().is_some_and(|extension| extension == "log");
        if !is_log || entry.metadata().map_or(0, |metadata| metadata.len()) < LARGEST_LOG {
            continue;
        }
        if let Err(error) = fs::copy(&path, path.with_extension("log.1")) {
            warn!("failed to copy `{}`: {error}", path.display());
        }
        // Truncated even when the copy failed: on a full disk that is the way out.
        if let Err(error) = OpenOptions::new().write(true).truncate(true).open(&path) {
            warn!("failed to truncate `{}`: {error}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::stack::project::ProjectName;

    #[test]
    fn a_log_that_has_grown_too_large_is_kept_once_and_goes_on_empty() {
        let home = tempfile::tempdir().unwrap();
        let folder = ProjectFolder::new(home.path(), &ProjectName::default());
        let logs = folder.root().join("logs");
        fs::create_dir_all(&logs).unwrap();
        let large = vec![b'x'; usize::try_from(LARGEST_LOG).unwrap()];
        fs::write(logs.join("broker.log"), &large).unwrap();
        fs::write(logs.join("host1.log"), "short\n").unwrap();
        fs::write(logs.join("broker.log.1"), "older\n").unwrap();
        let mut service = OpenOptions::new()
            .append(true)
            .open(logs.join("broker.log"))
            .unwrap();

        rotate(&folder);

        assert_eq!(fs::read(logs.join("broker.log.1")).unwrap(), large);
        assert_eq!(fs::read_to_string(logs.join("host1.log")).unwrap(), "short\n");
        assert!(!logs.join("host1.log.1").exists());
        // The service still holds the file open, and writes where the file now ends.
        service.write_all(b"next\n").unwrap();
        assert_eq!(fs::read_to_string(logs.join("broker.log")).unwrap(), "next\n");
    }
}
