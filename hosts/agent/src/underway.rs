//! Which query is under way, in a small file, so that one that took the agent with it is not run again for a day, as in
//! osquery: a query that uses up a container's memory would end the agent again and again.
//!
//! The file is written before and after each run and never flushed: it is for an agent that is killed, not for a power cut.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// How long such a query is not run, in seconds: osquery's own.
pub(crate) const DENIED_FOR: i64 = 86_400;
/// The file in the folder `--database_path`.
const FILE_NAME: &str = "underway";
/// A longer name is not kept.
const LONGEST_NAME: usize = 1024;

/// The file; none without state on disk.
#[derive(Debug, Default)]
pub(crate) struct Underway(Option<File>);

impl Underway {
    /// Opens the file; says which query was under way when the agent before was killed.
    pub(crate) fn open(folder: &Path) -> (Self, Option<String>) {
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(folder.join(FILE_NAME));
        // Without the file the agent only knows less.
        let Ok(file) = opened else {
            return (Self::default(), None);
        };
        let mut bytes = [0; LONGEST_NAME];
        let length = file.read_at(&mut bytes, 0).unwrap_or(0);
        let name = String::from_utf8_lossy(&bytes[..length]).into_owned();
        (Self(Some(file)), (!name.is_empty()).then_some(name))
    }

    pub(crate) fn begin(&self, name: &str) {
        if let Some(file) = self.0.as_ref().filter(|_| name.len() <= LONGEST_NAME) {
            let _ = file.write_all_at(name.as_bytes(), 0);
        }
    }

    pub(crate) fn end(&self) {
        if let Some(file) = &self.0 {
            let _ = file.set_len(0);
        }
    }
}
