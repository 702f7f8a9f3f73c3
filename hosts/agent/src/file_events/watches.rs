//! Which folders the kernel is asked about, and which of their files are meant.
//!
//! A file is watched through its folder, so that it may come and go. `%%` at the end means every folder below, also those
//! that are made later.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use osquery_configuration::FilePaths;
use osquery_configuration::path_pattern::{expand, matches};
use rustix::fs::inotify::{self, WatchFlags};

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
}

impl Watches {
    pub(super) fn new(file_paths: &FilePaths) -> Self {
        Self {
            file_paths: file_paths.clone(),
            folders: HashMap::new(),
        }
    }

    /// Begins to watch; says what cannot be watched.
    pub(super) fn add_all(&mut self, inotify: &OwnedFd) -> Vec<String> {
        let mut problems = Vec::new();
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
                let parents = expand(format!("{parent}/").as_bytes());
                if parents.is_empty() {
                    problems.push(format!(
                        "Cannot watch `{pattern}` of {category}: there is no such folder"
                    ));
                }
                for parent in parents {
                    self.add(
                        inotify,
                        Path::new(OsStr::from_bytes(&parent)),
                        &rule,
                        &mut problems,
                    );
                }
            }
        }
        problems
    }

    /// Watches a folder that is new below a watched one.
    pub(super) fn add_below(&mut self, inotify: &OwnedFd, parent: i32, path: &Path) -> Vec<String> {
        let mut problems = Vec::new();
        let rules = self.folders.get(&parent).map(|folder| folder.rules.clone());
        for rule in rules.unwrap_or_default().iter().filter(|rule| rule.is_deep) {
            self.add(inotify, path, rule, &mut problems);
        }
        problems
    }

    /// The path of a file in a watched folder.
    pub(super) fn path_of(&self, number: i32, name: &OsStr) -> Option<PathBuf> {
        Some(self.folders.get(&number)?.path.join(name))
    }

    /// The categories for which a file in a watched folder is meant.
    pub(super) fn categories(&self, number: i32, name: &OsStr) -> Vec<String> {
        let Some(folder) = self.folders.get(&number) else {
            return Vec::new();
        };
        let path = folder.path.join(name);
        let mut categories: Vec<String> = folder
            .rules
            .iter()
            .filter(|rule| is_named(&rule.name, name.as_bytes()))
            .map(|rule| rule.category.clone())
            .filter(|category| !self.is_excluded(category, &path))
            .collect();
        categories.dedup();
        categories
    }

    fn is_excluded(&self, category: &str, path: &Path) -> bool {
        let patterns = self.file_paths.excluded.get(category).into_iter().flatten();
        patterns.into_iter().any(|pattern| is_below(pattern, path))
    }

    fn add(&mut self, inotify: &OwnedFd, path: &Path, rule: &Rule, problems: &mut Vec<String>) {
        if self.folders.len() >= MOST_FOLDERS {
            problems.push(format!(
                "`{}` is not watched: there are {MOST_FOLDERS} folders already",
                path.display()
            ));
            return;
        }
        let reads = self.file_paths.accesses.contains(&rule.category);
        let flags = if reads {
            CHANGES | WatchFlags::OPEN | WatchFlags::ACCESS
        } else {
            CHANGES
        };
        match inotify::add_watch(inotify, path, flags) {
            Ok(number) => {
                let folder = self.folders.entry(number).or_insert_with(|| Folder {
                    path: path.to_owned(),
                    rules: Vec::new(),
                });
                if folder.rules.contains(rule) {
                    return;
                }
                folder.rules.push(rule.clone());
            }
            Err(error) => {
                problems.push(format!("`{}` is not watched: {error}", path.display()));
                return;
            }
        }
        if rule.is_deep {
            let Ok(entries) = path.read_dir() else { return };
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    let deeper = Rule {
                        name: b"%%".to_vec(),
                        ..rule.clone()
                    };
                    self.add(inotify, &entry.path(), &deeper, problems);
                }
            }
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
