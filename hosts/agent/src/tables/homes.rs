//! The users whose files a query is about: as in osquery, without a user it is the one that the agent runs as; joining
//! `users` asks for the others.

use std::path::PathBuf;

use super::accounts::accounts;
use super::mount_namespace::MountNamespace;
use crate::sql::{Scan, TableError};

/// A user's folder.
pub(super) struct Home {
    pub(super) uid: i64,
    /// As the user calls it.
    pub(super) directory: String,
    /// Where the agent finds it.
    pub(super) path: PathBuf,
}

pub(super) fn homes(
    scan: &Scan,
    uid_column: usize,
    namespace: &MountNamespace,
) -> Result<Vec<Home>, TableError> {
    let passwd = namespace
        .read("/etc/passwd")
        .map_err(TableError::reading("/etc/passwd"))?;
    let own = i64::from(rustix::process::geteuid().as_raw());
    let wanted = scan.integers(uid_column);
    let is_wanted = |uid: i64| match &wanted {
        Some(wanted) => wanted.contains(&uid),
        None => uid == own,
    };
    Ok(accounts(&passwd)
        .filter(|account| is_wanted(i64::from(account.uid)))
        .filter_map(|account| {
            let directory = std::str::from_utf8(account.directory).ok()?.trim_end_matches('/');
            Some(Home {
                uid: i64::from(account.uid),
                directory: directory.to_owned(),
                path: namespace.path(directory),
            })
        })
        .collect())
}
