//! Who may come in, by name: the broker keeps what their passwords are checked with, and osqdemo keeps no password.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use super::ListenerFolder;
use crate::state::{StateError, private_folder, write_durably};

/// The longest name.
const LONGEST: usize = 200;

/// The names of users that `osqdemo users add` has made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    users: BTreeSet<String>,
}

/// Whether a user can be called so: nothing that a mechanism of SASL or a file would take for something else.
pub fn is_user_name(name: &str) -> bool {
    let is_usual = |character: char| character.is_ascii_alphanumeric() || "._@-".contains(character);
    !name.is_empty() && name.len() <= LONGEST && name.chars().all(is_usual)
}

impl Users {
    /// Those of a project.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn read(folder: &ListenerFolder) -> Result<Self, StateError> {
        let path = folder.users();
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|source| StateError::Damaged { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(StateError::io("read", &path, error)),
        }
    }

    /// Keeps them.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn write(&self, folder: &ListenerFolder) -> Result<(), StateError> {
        private_folder(folder.root())?;
        let path = folder.users();
        let text = serde_json::to_vec_pretty(self).map_err(|source| StateError::Damaged {
            path: path.clone(),
            source,
        })?;
        write_durably(&path, &text)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.users.iter().map(String::as_str)
    }

    /// Adds one.
    pub fn add(&mut self, name: &str) {
        self.users.insert(name.to_owned());
    }

    /// Takes one away; whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        self.users.remove(name)
    }
}
