//! The statements that the project had a ksqlDB server execute, each with what the server wrote down of it: as long as the
//! server still says the same, it is the project's own, however it is written. Only hashes: what they are of can be read in
//! `ksql/`.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::state::{ProjectFolder, StateError, write_durably};

/// The form of the file.
const FORMAT: u32 = 1;

/// The statements, by the names of what they made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    format: u32,
    statements: BTreeMap<String, Hashes>,
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Hashes {
    submitted: String,
    written_down: String,
}

impl Hashes {
    fn of(submitted: &str, written_down: &str) -> Self {
        let hash = |text: &str| -> String {
            let hash = Sha256::digest(text);
            hash.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        Self {
            submitted: hash(submitted),
            written_down: hash(written_down),
        }
    }
}

impl Submitted {
    /// What is on record. A file that is damaged costs no more than a comparison.
    ///
    /// # Errors
    /// When the file cannot be read, or is of a later form.
    pub fn read(folder: &ProjectFolder) -> Result<Self, StateError> {
        let path = folder.submitted_file();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(StateError::io("read", &path, error)),
        };
        let read: Self = serde_json::from_slice(&text).unwrap_or_default();
        if read.format > FORMAT {
            return Err(StateError::Newer {
                path,
                format: read.format,
                known: FORMAT,
            });
        }
        Ok(read)
    }

    /// Puts it on record.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, folder: &ProjectFolder) -> Result<(), StateError> {
        self.format = FORMAT;
        let path = folder.submitted_file();
        let text = serde_json::to_vec_pretty(self).map_err(|source| StateError::Damaged {
            path: path.clone(),
            source,
        })?;
        write_durably(&path, &text)
    }

    /// Notes that this statement was executed, and what the server wrote down of it.
    pub fn note(&mut self, name: &str, submitted: &str, written_down: &str) {
        self.statements
            .insert(name.to_owned(), Hashes::of(submitted, written_down));
    }

    /// Whether what the server has under this name is what it made of this statement.
    pub fn is_ours(&self, name: &str, submitted: &str, written_down: &str) -> bool {
        self.statements.get(name) == Some(&Hashes::of(submitted, written_down))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::project::ProjectName;

    #[test]
    fn what_was_submitted_is_known_again_until_either_text_changes() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = ProjectFolder::new(home.path(), &ProjectName::default());
        folder.create().expect("the folder of the project");
        let mut submitted = Submitted::read(&folder).expect("there is none");
        submitted.note("proc", "create proc", "CREATE PROC");
        submitted.write(&folder).expect("the file is written");
        let read = Submitted::read(&folder).expect("the file is read");
        assert_eq!(read, submitted);
        assert!(read.is_ours("proc", "create proc", "CREATE PROC"));
        for (name, text, written) in [
            ("files", "create proc", "CREATE PROC"),
            ("proc", "create proc2", "CREATE PROC"),
            ("proc", "create proc", "CREATE PROC2"),
        ] {
            assert!(!read.is_ours(name, text, written), "{name} {text} {written}");
        }
        fs::write(folder.submitted_file(), "{").expect("a file");
        assert_eq!(
            Submitted::read(&folder).expect("it is passed over"),
            Submitted::default()
        );
        fs::write(folder.submitted_file(), r#"{"format": 2, "statements": {}}"#).expect("a file");
        assert!(matches!(
            Submitted::read(&folder),
            Err(StateError::Newer { format: 2, .. })
        ));
    }
}
