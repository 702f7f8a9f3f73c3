//! What is kept of users and ACLs: one file, replaced as a whole and synced before a change is acknowledged.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::acls::{Acl, Acls};
use super::credentials::{Credential, Credentials, Hash, Users, random};
use super::exchange::Known;
use super::token::TokenVerifier;
use crate::config::Security;
use crate::error::Error;
use crate::storage::directory::{Durability, Replaced, replace_file};
use crate::storage::disk::{SharedDisk, read_all};

/// Its name in the data folder.
const FILE: &str = "security.json";
const FORMAT: u32 = 1;
/// Users that clients may make, and ACLs.
pub(crate) const MAX_USERS: usize = 10_000;
pub(crate) const MAX_ACLS: usize = 10_000;

/// Users, tokens and ACLs of a running broker.
#[derive(Debug)]
pub(crate) struct SecurityStore {
    disk: SharedDisk,
    path: PathBuf,
    /// Held by who changes something.
    changing: Mutex<()>,
    credentials: RwLock<Arc<Credentials>>,
    tokens: Option<Arc<TokenVerifier>>,
    acls: RwLock<Arc<Acls>>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    format: u32,
    /// The key of the salts of users that do not exist.
    decoy_key: String,
    users: Users,
    acls: BTreeSet<Acl>,
}

impl SecurityStore {
    /// Reads what is kept, and the configuration's users and keys; computes some milliseconds for each user.
    pub(crate) fn open(disk: &SharedDisk, data_dir: &Path, security: &Security) -> Result<Self, Error> {
        let path = data_dir.join(FILE);
        let kept = read(disk, &path)?;
        let mut configured = Users::new();
        for user in &security.users {
            let of = |hash| (hash, Credential::of_password(hash, user.password.as_bytes()));
            configured.insert(user.name.clone(), Hash::ALL.map(of).into());
        }
        for name in kept.users.keys().filter(|name| configured.contains_key(*name)) {
            tracing::warn!(user = ?name, "the user stands in the configuration, which counts, and was also made by a client");
        }
        let decoy_key = STANDARD.decode(&kept.decoy_key).unwrap_or_default();
        let tokens = security.tokens.clone().map(TokenVerifier::open).transpose()?;
        Ok(Self {
            disk: disk.clone(),
            path,
            changing: Mutex::default(),
            credentials: RwLock::new(Arc::new(Credentials::new(configured, kept.users, decoy_key))),
            tokens: tokens.map(Arc::new),
            acls: RwLock::new(Arc::new(Acls::new(
                kept.acls,
                security.super_users.clone(),
                security.without_acl,
            ))),
        })
    }

    /// What clients are checked with.
    pub(crate) fn known(&self) -> Known {
        Known {
            credentials: self.credentials(),
            tokens: self.tokens.clone(),
        }
    }

    /// The users.
    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The ACLs.
    pub(crate) fn acls(&self) -> Arc<Acls> {
        Arc::clone(&self.acls.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the users that clients have made; blocks on the disk.
    ///
    /// # Errors
    /// When the change may not survive: unless the file could be replaced, nothing has changed.
    pub(crate) fn change_users(&self, change: impl FnOnce(&mut Users)) -> io::Result<()> {
        let _changing = self.changing();
        let before = self.credentials();
        let mut users = before.made().clone();
        change(&mut users);
        let replaced = self.write(&before, users.clone(), self.acls().all().clone())?;
        *self.credentials.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(before.with_made(users));
        replaced.done()
    }

    /// Changes the ACLs; blocks on the disk.
    ///
    /// # Errors
    /// As with the users.
    pub(crate) fn change_acls<T>(&self, change: impl FnOnce(&mut BTreeSet<Acl>) -> T) -> io::Result<T> {
        let _changing = self.changing();
        let before = self.acls();
        let mut acls = before.all().clone();
        let outcome = change(&mut acls);
        if acls == *before.all() {
            return Ok(outcome);
        }
        let credentials = self.credentials();
        let replaced = self.write(&credentials, credentials.made().clone(), acls.clone())?;
        *self.acls.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(before.with(acls));
        replaced.done().map(|()| outcome)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, credentials: &Credentials, users: Users, acls: BTreeSet<Acl>) -> io::Result<Replaced> {
        let kept = Kept {
            format: FORMAT,
            decoy_key: STANDARD.encode(credentials.decoy_key()),
            users,
            acls,
        };
        let content = serde_json::to_vec_pretty(&kept).map_err(io::Error::other)?;
        // What is written first under the other name is nobody else's to read.
        std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.path.with_extension("json.new"))?;
        replace_file(&*self.disk, &self.path, &content, Durability::Disk)
    }
}

fn read(disk: &SharedDisk, path: &Path) -> Result<Kept, Error> {
    let text = match read_all(&**disk, path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Kept {
                format: FORMAT,
                decoy_key: STANDARD.encode(random::<32>()),
                users: Users::new(),
                acls: BTreeSet::new(),
            });
        }
        Err(source) => {
            return Err(Error::Storage {
                action: "read",
                path: path.to_owned(),
                source,
            });
        }
    };
    let damaged = |reason| Error::Damaged {
        path: path.to_owned(),
        reason,
    };
    let kept: Kept = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    match kept.format {
        FORMAT => Ok(kept),
        format => Err(damaged(format!(
            "format {format} is not one this broker knows; a newer osqdemo wrote it: use that one"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::{Secret, User};
    use crate::storage::disk::RealDisk;

    fn open(folder: &Path, security: &Security) -> SecurityStore {
        SecurityStore::open(&RealDisk::shared(), folder, security).unwrap()
    }

    #[test]
    fn users_survive_and_those_of_the_configuration_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let security = Security {
            users: vec![User {
                name: "alice".to_owned(),
                password: Secret::new("configured"),
            }],
            ..Security::default()
        };
        assert!(!format!("{security:?}").contains("configured"));
        let store = open(folder.path(), &security);
        let made = |password: &str| {
            let credential = Credential::of_password(Hash::Sha512, password.as_bytes());
            [(Hash::Sha512, credential)].into()
        };
        let change = |users: &mut Users| {
            users.insert("alice".to_owned(), made("made"));
            users.insert("bob".to_owned(), made("made"));
        };
        store.change_users(change).unwrap();
        let decoy = store.credentials().to_check("nobody", Hash::Sha256).salt;
        drop(store);
        let store = open(folder.path(), &security);
        let credentials = store.credentials();
        let is_of = |user: &str, password: &str| {
            let (hash, credential) = credentials.to_check_password(user);
            credential.is_of(hash, password.as_bytes())
        };
        assert!(is_of("alice", "configured") && !is_of("alice", "made") && is_of("bob", "made"));
        assert!(!is_of("nobody", "made"));
        assert_eq!(credentials.all().count(), 2);
        // Whoever looks for the salts of a user again and again learns nothing from them.
        assert_eq!(credentials.to_check("nobody", Hash::Sha256).salt, decoy);
        let mode = std::fs::metadata(folder.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_and_one_of_a_later_version_are_told() {
        let folder = tempfile::tempdir().unwrap();
        for (content, expected) in [
            ("{", "EOF while parsing"),
            (
                r#"{"format":2,"decoy_key":"","users":{},"acls":[]}"#,
                "a newer osqdemo wrote it",
            ),
        ] {
            std::fs::write(folder.path().join(FILE), content).unwrap();
            let error = SecurityStore::open(&RealDisk::shared(), folder.path(), &Security::default());
            let error = error.unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(FILE), "{error}");
        }
    }
}
