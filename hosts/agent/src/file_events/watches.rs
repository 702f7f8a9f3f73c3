//! Which folders the kernel is asked about, and which of their files are meant.
//!
//! A file is watched through its folder, so that it may come and go. `%%` at the end means every folder below, also those
//! that are made later.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use osquery_configuration::FilePaths;
use osquery_configuration::path_pattern::{Room, expand, matches};
use rustix::fs::inotify::{self, WatchFlags};
use rustix::io::Errno;

/// How many folders are watched at most: each takes kernel memory, and a user has a limit.
const MOST_FOLDERS: usize = 8192;
const CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::ONLYDIR);

/// What of a folder is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    category: String,
    /// The pattern of a name.
    name: Vec<u8>,
    /// Also of every folder below.
    is_deep: bool,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    rules: Vec<Rule>,
}

/// The folders that are watched, by the kernel's number.
#[derive(Debug)]
pub(super) struct Watches {
    file_paths: FilePaths,
    folders: HashMap<i32, Folder>,
    /// Folders that were moved away, and have not come up elsewhere so far.
    departed: HashSet<i32>,
}

/// What came of watching more folders.
#[derive(Debug, Default)]
pub(super) struct Added {
    /// What cannot be watched.
    pub(super) problems: Vec<String>,
    /// What is in folders that nobody watched before: it was made before the kernel was asked to tell of it. Each with its
    /// folder's number.
    pub(super) found: Vec<(i32, OsString)>,
    /// How much may be found.
    room: usize,
}

/// Which folders are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// Those of the configuration: what is in them was there before, and is no event.
    Configured,
    /// One that came up below a watched one.
    Arrived,
}

impl Watches {
    pub(super) fn new(file_paths: &FilePaths) -> Self {
        Self {
            file_paths: file_paths.clone(),
            folders: HashMap::new(),
            departed: HashSet::new(),
        }
    }

    /// Begins to watch; says what cannot be watched.
    pub(super) fn add_all(&mut self, inotify: &OwnedFd) -> Vec<String> {
        let mut added = Added::default();
        for (category, patterns) in &self.file_paths.watched.clone() {
            for pattern in patterns {
                let pattern = pattern.replace('*', "%");
                let (parent, name) = pattern.rsplit_once('/').unwrap_or(("", &pattern));
                let (name, is_deep) = match name {
                    // A folder itself stands for what is in it.
                    "" => ("%", false),
                    name => (name, name.ends_with("%%")),
                };
                let rule = Rule {
                    category: category.clone(),
                    name: name.as_bytes().to_vec(),
                    is_deep,
                };
                let parents = match expand(format!("{parent}/").as_bytes(), &mut Room::default()) {
                    Ok(parents) if parents.is_empty() => Err("there is no such folder".to_owned()),
                    Ok(parents) => Ok(parents),
                    Err(error) => Err(error.to_string()),
                };
                if let Err(reason) = &parents {
                    added
                        .problems
                        .push(format!("Cannot watch `{pattern}` of {category}: {reason}"));
                }
                for parent in parents.unwrap_or_default() {
                    let parent = Path::new(OsStr::from_bytes(&parent));
                    self.add(inotify, parent, &rule, Occasion::Configured, &mut added);
                }
            }
        }
        added.problems
    }

    /// Watches a folder that was made below a watched one, or moved there, and all below it. Finds at most as much as there
    /// is room for.
    pub(super) fn add_below(&mut self, inotify: &OwnedFd, parent: i32, path: &Path, room: usize) -> Added {
        let mut added = Added {
            room,
            ..Added::default()
        };
        let rules = self.folders.get(&parent).map(|folder| folder.rules.clone());
        for rule in rules.unwrap_or_default().iter().filter(|rule| rule.is_deep) {
            let rule = rule.below();
            self.add(inotify, path, &rule, Occasion::Arrived, &mut added);
        }
        added
    }

    /// A folder was moved away, with all below it. The kernel goes on telling what happens in it, wherever it is now.
    pub(super) fn depart(&mut self, path: &Path) {
        let below = self.folders.iter();
        let below = below.filter(|(_, folder)| folder.path.starts_with(path));
        self.departed.extend(below.map(|(number, _)| *number));
    }

    /// Watches no longer what was moved to where nothing is watched.
    pub(super) fn drop_departed(&mut self, inotify: &OwnedFd) {
        for number in std::mem::take(&mut self.departed) {
            self.folders.remove(&number);
            // The kernel may have ended it by itself meanwhile.
            let _ = inotify::remove_watch(inotify, number);
        }
    }

    /// The kernel watches a folder no longer: it is gone.
    pub(super) fn forget(&mut self, number: i32) {
        self.folders.remove(&number);
        self.departed.remove(&number);
    }

    /// The path of a file in a watched folder.
    pub(super) fn path_of(&self, number: i32, name: &OsStr) -> Option<PathBuf> {
        Some(self.folders.get(&number)?.path.join(name))
    }

    /// The categories for which a file in a watched folder is meant, or an access to it.
    pub(super) fn categories(&self, number: i32, name: &OsStr, is_access: bool) -> Vec<String> {
        let Some(folder) = self.folders.get(&number) else {
            return Vec::new();
        };
        let path = folder.path.join(name);
        let mut categories: Vec<String> = folder
            .rules
            .iter()
            .filter(|rule| is_named(&rule.name, name.as_bytes()))
            .map(|rule| rule.category.clone())
            .filter(|category| !is_access || self.file_paths.accesses.contains(category))
            .filter(|category| !self.is_excluded(category, &path))
            .collect();
        categories.dedup();
        categories
    }

    fn is_excluded(&self, category: &str, path: &Path) -> bool {
        let patterns = self.file_paths.excluded.get(category).into_iter().flatten();
        patterns.into_iter().any(|pattern| is_below(pattern, path))
    }

    /// Watches a folder and, for a deep rule, all below it.
    fn add(&mut self, inotify: &OwnedFd, path: &Path, rule: &Rule, occasion: Occasion, added: &mut Added) {
        let mut waiting = vec![(path.to_owned(), rule.clone())];
        while let Some((path, rule)) = waiting.pop() {
            let Some(watched) = self.watch(inotify, &path, &rule, occasion, added) else {
                continue;
            };
            let is_told = watched.is_new && occasion == Occasion::Arrived;
            if !rule.is_deep {
                continue;
            }
            // From here on the kernel tells what is made, so that nothing falls between it and this look.
            let Ok(entries) = path.read_dir() else { continue };
            let mut untold = 0;
            for entry in entries.flatten() {
                if is_told && added.found.len() < added.room {
                    added.found.push((watched.number, entry.file_name()));
                } else if is_told {
                    untold += 1;
                }
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    waiting.push((entry.path(), rule.below()));
                }
            }
            if untold > 0 {
                added.problems.push(format!(
                    "{untold} files of `{}` are not told: too many came up at once",
                    path.display()
                ));
            }
        }
    }

    /// Watches one folder; nothing when it cannot be, or is for this rule already.
    fn watch(
        &mut self,
        inotify: &OwnedFd,
        path: &Path,
        rule: &Rule,
        occasion: Occasion,
        added: &mut Added,
    ) -> Option<Watched> {
        if self.folders.len() >= MOST_FOLDERS {
            added.problems.push(format!(
                "`{}` is not watched: there are {MOST_FOLDERS} folders already",
                path.display()
            ));
            return None;
        }
        // The folder may be watched for another category already.
        let mut flags = CHANGES | WatchFlags::MASK_ADD;
        if self.file_paths.accesses.contains(&rule.category) {
            flags |= WatchFlags::OPEN | WatchFlags::ACCESS;
        }
        if occasion == Occasion::Arrived {
            // What was a folder a moment ago may be a link by now, to anywhere.
            flags |= WatchFlags::DONT_FOLLOW;
        }
        let number = match inotify::add_watch(inotify, path, flags) {
            Ok(number) => number,
            // It was there for a moment only.
            Err(Errno::NOENT | Errno::NOTDIR) if occasion == Occasion::Arrived => return None,
            Err(error) => {
                let path = path.display();
                added.problems.push(format!("`{path}` is not watched: {error}"));
                return None;
            }
        };
        let is_new = !self.folders.contains_key(&number);
        let folder = self.folders.entry(number).or_insert_with(|| Folder {
            path: path.to_owned(),
            rules: Vec::new(),
        });
        if self.departed.remove(&number) {
            // It has another place now, and what was wanted of it at the old one does not count.
            path.clone_into(&mut folder.path);
            folder.rules.clear();
        }
        if folder.rules.contains(rule) {
            return None;
        }
        folder.rules.push(rule.clone());
        Some(Watched { number, is_new })
    }
}

/// A folder that is watched from now on, or for one more rule.
struct Watched {
    number: i32,
    /// Whether it was not watched at all.
    is_new: bool,
}

impl Rule {
    /// The same for a folder below.
    fn below(&self) -> Self {
        Self {
            name: b"%%".to_vec(),
            ..self.clone()
        }
    }
}

/// Whether a name is meant by a pattern; `%` is also for hidden files here, as in osquery's events.
fn is_named(pattern: &[u8], name: &[u8]) -> bool {
    matches(pattern, name) || pattern.iter().all(|&byte| byte == b'%')
}

/// Whether a path is meant by an excluding pattern, or is below a folder that is.
fn is_below(pattern: &str, path: &Path) -> bool {
    let pattern = pattern.replace('*', "%");
    let wanted: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    let parts: Vec<&[u8]> = path
        .as_os_str()
        .as_bytes()
        .split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty())
        .collect();
    if parts.len() < wanted.len() || (parts.len() > wanted.len() && wanted.last() == Some(&"%")) {
        return false;
    }
    wanted
        .iter()
        .zip(&parts)
        .all(|(wanted, part)| is_named(wanted.as_bytes(), part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_excluded() {
        for (pattern, path, expected) in [
            ("/etc/ssl/%%", "/etc/ssl/certs/a.pem", true),
            ("/etc/ssl/%", "/etc/ssl/a", true),
            ("/etc/ssl/%", "/etc/ssl/certs/a.pem", false),
            ("/etc/mtab", "/etc/mtab", true),
            ("/etc/mtab", "/etc/mtab2", false),
            ("/etc/%.swp", "/etc/.x.swp", false),
            ("/etc/.%.swp", "/etc/.x.swp", true),
        ] {
            assert_eq!(is_below(pattern, Path::new(path)), expected, "{pattern} {path}");
        }
    }
}
