//! Whose a folder is. What lies in a project's folder is run and followed, with the rights of whoever runs osqdemo: a
//! folder that somebody else owns or can write is not believed, also not by root.

use std::env;
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::state::StateError;

/// In the mode of a folder: its group may write into it.
const GROUP_WRITES: u32 = 0o020;
/// In the mode of a folder: everybody may write into it.
const OTHERS_WRITE: u32 = 0o002;
/// In the mode of a folder: only the owner of what is in it may remove that.
const STICKY: u32 = 0o1000;

/// A user of this machine, by number: the name is only for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// The number.
    pub uid: u32,
}

impl User {
    /// Who this process acts for.
    fn own() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
        }
    }

    fn name(self) -> Option<String> {
        let users = fs::read_to_string("/etc/passwd").ok()?;
        name_in(&users, self.uid)
    }
}

impl fmt::Display for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(formatter, "user `{name}` (UID {})", self.uid),
            None => write!(formatter, "UID {}", self.uid),
        }
    }
}

/// The name of a user in the text of `/etc/passwd`.
fn name_in(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid && !name.is_empty() && !name.contains(char::is_control)).then(|| name.to_owned())
    })
}

/// A folder of ours: this user's, nobody else's to write, and no symbolic link.
pub(super) fn check_folder(path: &Path) -> Result<(), StateError> {
    let Some(found) = look(path)? else {
        return Ok(());
    };
    if found.is_symlink() {
        let found = "a symbolic link";
        let path = path.to_owned();
        return Err(StateError::NotAFolder { path, found });
    }
    check_is_own(path, &found)?;
    // Such folders are made for their owner alone.
    if found.mode() & (OTHERS_WRITE | GROUP_WRITES) != 0 {
        return Err(StateError::OpenToOthers {
            path: path.to_owned(),
        });
    }
    Ok(())
}

/// Names the folder of all projects; else it is among the user's own folders.
const HOME_VARIABLE: &str = "OSQDEMO_HOME";

/// The folder of all projects, or what is there of the way to it. Not everybody must be able to put another folder in the
/// place of a project; and root makes no folders among those of a user, which `sudo -E` leads it to, unless told to.
pub(super) fn check_home(home: &Path) -> Result<(), StateError> {
    let Some(there) = home.ancestors().find(|folder| folder.exists()) else {
        return Ok(());
    };
    let found = fs::metadata(there).map_err(|error| StateError::io("read", there, error))?;
    let is_sticky = found.mode() & STICKY != 0;
    let is_meant = env::var_os(HOME_VARIABLE).is_some_and(|home| !home.is_empty());
    if found.uid() != 0 && !is_sticky && !is_meant {
        check_is_own(there, &found)?;
    }
    // A user's own umask may let the user's own group write.
    let is_open =
        found.mode() & OTHERS_WRITE != 0 || (found.mode() & GROUP_WRITES != 0 && is_shared(found.gid()));
    if there == home && is_open && !is_sticky {
        return Err(StateError::OpenToOthers {
            path: home.to_owned(),
        });
    }
    Ok(())
}

/// Whether anybody else is in a group, as far as this machine's files tell.
fn is_shared(group: u32) -> bool {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    has_others(&read("/etc/passwd"), &read("/etc/group"), group, User::own().uid)
}

/// The same by the texts of `/etc/passwd` and `/etc/group`.
fn has_others(users: &str, groups: &str, group: u32, own: u32) -> bool {
    let number = |field: Option<&str>| field.and_then(|field| field.parse::<u32>().ok());
    let own_name = name_in(users, own);
    let lives_in_it = users.lines().any(|line| {
        let mut fields = line.split(':').skip(2);
        let uid = number(fields.next());
        uid != Some(own) && number(fields.next()) == Some(group)
    });
    let has_members = groups.lines().any(|line| {
        let mut fields = line.split(':').skip(2);
        let is_it = number(fields.next()) == Some(group);
        let members = fields.next().unwrap_or_default().split(',');
        is_it
            && members
                .filter(|member| !member.is_empty())
                .any(|member| Some(member) != own_name.as_deref())
    });
    lives_in_it || has_members
}

fn check_is_own(path: &Path, found: &Metadata) -> Result<(), StateError> {
    let user = User::own();
    if found.uid() == user.uid {
        return Ok(());
    }
    Err(StateError::Foreign {
        path: path.to_owned(),
        owner: User { uid: found.uid() },
        user,
    })
}

/// What is at a place, symbolic links as such.
fn look(path: &Path) -> Result<Option<Metadata>, StateError> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StateError::io("read", path, error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn refusal(path: &Path) -> String {
        check_folder(path).expect_err("it is refused").to_string()
    }

    #[test]
    fn a_folder_of_ours_is_believed_and_nothing_else() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("project");
        check_folder(&folder).expect("what is not there is nobody's");
        fs::create_dir(&folder).expect("a folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("its mode");
        check_folder(&folder).expect("it is ours");
        for open in [0o777, 0o702, 0o770] {
            fs::set_permissions(&folder, fs::Permissions::from_mode(open)).expect("its mode");
            assert!(
                refusal(&folder).starts_with("other users can write into `"),
                "{open:o}"
            );
        }
        let link = home.path().join("link");
        symlink(&folder, &link).expect("a link");
        assert!(refusal(&link).ends_with("is a symbolic link, not a folder"));
    }

    #[test]
    fn a_home_that_everybody_can_write_is_refused() {
        let home = tempfile::tempdir().expect("a folder");
        check_home(&home.path().join("not/there/yet")).expect("it can be made");
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).expect("its mode");
        assert!(check_home(home.path()).is_err());
        // As `/tmp` is: what is in it is looked at by itself.
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o1777)).expect("its mode");
        check_home(home.path()).expect("nobody can remove what is ours");
    }

    #[test]
    fn a_group_is_shared_with_whoever_is_in_it() {
        let users = "root:x:0:0:root:/root:/bin/bash\njay:x:1000:1000::/home/jay:/bin/sh\nkay:x:1001:100::/home/kay:\n";
        let groups = "jay:x:1000:jay\nusers:x:100:\nteam:x:200:jay,kay\nown:x:300:\n";
        for (group, shared) in [(1000, false), (100, true), (200, true), (300, false), (7, false)] {
            assert_eq!(has_others(users, groups, group, 1000), shared, "{group}");
        }
    }

    #[test]
    fn a_user_is_told_by_name_where_there_is_one() {
        let users = "root:x:0:0:root:/root:/bin/bash\njay:x:1000:1000::/home/jay:/bin/sh\nodd";
        assert_eq!(name_in(users, 1000).as_deref(), Some("jay"));
        assert_eq!(name_in(users, 7), None);
    }
}
