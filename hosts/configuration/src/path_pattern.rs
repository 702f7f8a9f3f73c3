//! osquery's path patterns: `%` matches within one folder's name, `%%` at the end everything below.
//!
//! They are what glob(3) makes of them: a wildcard does not match a leading dot, and a folder's path ends in a slash.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// How deep `%%` goes, as in osquery, so that a strange tree cannot hold a query for ever.
const DEEPEST: usize = 64;
/// What the paths of one question may take in memory: who may make files decides how many there are.
const LARGEST: usize = 64 << 20;
/// What a path takes beside its bytes.
const BESIDE: usize = 48;

/// There are more paths than are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are more paths than {} MiB of memory hold", LARGEST >> 20)]
pub struct TooManyPaths;

/// The room for the paths of one question.
#[derive(Debug)]
pub struct Room {
    left: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { left: LARGEST }
    }
}

impl Room {
    /// Takes the room of a path with so many bytes.
    pub fn take(&mut self, length: usize) -> Result<(), TooManyPaths> {
        self.left = self.left.checked_sub(length + BESIDE).ok_or(TooManyPaths)?;
        Ok(())
    }

    fn give_back(&mut self, length: usize) {
        self.left += length + BESIDE;
    }
}

/// The existing paths a pattern stands for, sorted; those of folders end in a slash. Links to folders are not followed
/// below `%%`.
pub fn expand(pattern: &[u8], room: &mut Room) -> Result<Vec<Vec<u8>>, TooManyPaths> {
    let mut walk = Walk {
        found: Vec::new(),
        room,
    };
    if let Some(relative) = pattern.strip_prefix(b"/") {
        let components: Vec<&[u8]> = relative
            .split(|&byte| byte == b'/')
            .filter(|part| !part.is_empty())
            .collect();
        walk.down(Path::new("/"), &components)?;
    }
    let paths = walk.found.into_iter().map(|path| {
        let is_folder = path.is_dir();
        let mut bytes = path.into_os_string().into_vec();
        if is_folder && !bytes.ends_with(b"/") {
            bytes.push(b'/');
        }
        bytes
    });
    let folders_only = pattern.ends_with(b"/");
    Ok(paths
        .filter(|path| !folders_only || path.ends_with(b"/"))
        .collect())
}

struct Walk<'r> {
    found: Vec<PathBuf>,
    room: &'r mut Room,
}

impl Walk<'_> {
    fn down(&mut self, folder: &Path, components: &[&[u8]]) -> Result<(), TooManyPaths> {
        let Some((component, rest)) = components.split_first() else {
            return self.find(folder.to_owned());
        };
        if component.contains(&b'%') {
            let deep = rest.is_empty() && component.ends_with(b"%%");
            for path in self.entries(folder, component)? {
                self.room.give_back(path.as_os_str().len());
                if !deep {
                    self.down(&path, rest)?;
                    continue;
                }
                self.find(path.clone())?;
                self.below(&path, DEEPEST)?;
            }
        } else {
            let path = folder.join(OsStr::from_bytes(component));
            if path.symlink_metadata().is_ok() {
                self.down(&path, rest)?;
            }
        }
        Ok(())
    }

    fn below(&mut self, folder: &Path, depth: usize) -> Result<(), TooManyPaths> {
        if depth == 0 || !folder.symlink_metadata().is_ok_and(|file| file.is_dir()) {
            return Ok(());
        }
        for path in self.entries(folder, b"%")? {
            self.room.give_back(path.as_os_str().len());
            self.find(path.clone())?;
            self.below(&path, depth - 1)?;
        }
        Ok(())
    }

    fn find(&mut self, path: PathBuf) -> Result<(), TooManyPaths> {
        self.room.take(path.as_os_str().len())?;
        self.found.push(path);
        Ok(())
    }

    /// The folder's entries whose names match, sorted; each takes its room until whoever asked gives it back.
    fn entries(&mut self, folder: &Path, component: &[u8]) -> Result<Vec<PathBuf>, TooManyPaths> {
        let Ok(entries) = folder.read_dir() else {
            return Ok(Vec::new());
        };
        let mut paths = Vec::new();
        for entry in entries.flatten() {
            if matches(component, entry.file_name().as_bytes()) {
                let path = entry.path();
                self.room.take(path.as_os_str().len())?;
                paths.push(path);
            }
        }
        // All of them are in one folder, so this is the order of their names.
        paths.sort_unstable();
        Ok(paths)
    }
}

/// Whether a name matches one component of a pattern, with any number of `%` in it. A leading dot is only matched by a dot.
pub fn matches(component: &[u8], name: &[u8]) -> bool {
    if name.starts_with(b".") && !component.starts_with(b".") {
        return false;
    }
    let mut pieces = component.split(|&byte| byte == b'%');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&[u8]> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
        let Some(at) = rest.windows(piece.len()).position(|window| window == piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_level_and_all_levels() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("a/deep/er")).unwrap();
        for file in [
            "a/one.txt",
            "a/two.log",
            "a/.hidden",
            "a/deep/three.txt",
            "a/deep/er/four.txt",
        ] {
            std::fs::write(root.join(file), "").unwrap();
        }
        std::os::unix::fs::symlink(root.join("a"), root.join("a/deep/round")).unwrap();
        let names = |pattern: &str| -> Vec<String> {
            let prefix = format!("{}/", root.display());
            let expanded = expand(format!("{prefix}{pattern}").as_bytes(), &mut Room::default());
            expanded
                .unwrap()
                .into_iter()
                .map(|path| {
                    let path = String::from_utf8(path).unwrap();
                    path.strip_prefix(&prefix).unwrap().to_owned()
                })
                .collect()
        };
        assert_eq!(names("a/%.txt"), ["a/one.txt"]);
        assert_eq!(names("a/%"), ["a/deep/", "a/one.txt", "a/two.log"]);
        assert_eq!(names("a/%/"), ["a/deep/"]);
        assert_eq!(names("a/.%"), ["a/.hidden"]);
        assert_eq!(names("a"), ["a/"]);
        assert_eq!(
            names("%/deep/%"),
            ["a/deep/er/", "a/deep/round/", "a/deep/three.txt"]
        );
        assert_eq!(
            names("a/deep/%%"),
            [
                "a/deep/er/",
                "a/deep/er/four.txt",
                "a/deep/round/",
                "a/deep/three.txt"
            ]
        );
        // In the middle it is one level only.
        assert_eq!(names("%%/one.txt"), ["a/one.txt"]);
        assert!(names("missing/%").is_empty());
    }

    #[test]
    fn paths_that_take_more_than_their_room_are_too_many() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b/c")).unwrap();
        let length = folder.path().as_os_str().len();
        // `a`, `a/b` and `a/b/c`; while the last one is found, it is an entry of its folder no longer.
        let needed: usize = (1..=3).map(|depth| length + 2 * depth + BESIDE).sum();
        let everything = |pattern: &str, left: usize| {
            let pattern = format!("{}/{pattern}", folder.path().display());
            expand(pattern.as_bytes(), &mut Room { left }).map(|paths| paths.len())
        };
        assert_eq!(everything("%%", needed), Ok(3));
        assert_eq!(everything("%%", needed - 1), Err(TooManyPaths));
        // A folder's names are bounded before any of them is found.
        assert_eq!(everything("%/b", length + 2 + BESIDE - 1), Err(TooManyPaths));
        // What was looked at on the way has given its room back.
        assert_eq!(everything("%/%/%", length + 6 + BESIDE), Ok(1));
        assert_eq!(
            TooManyPaths.to_string(),
            "there are more paths than 64 MiB of memory hold"
        );
    }

    proptest! {
        #[test]
        fn a_name_matches_itself_with_any_part_replaced(name in "[a-c][a-c.]{0,7}", from in 0usize..9, to in 0usize..9) {
            let (from, to) = (from.min(to).min(name.len()), from.max(to).min(name.len()));
            let pattern = format!("{}%{}", &name[..from], &name[to..]);
            prop_assert!(matches(pattern.as_bytes(), name.as_bytes()), "{} {}", pattern, name);
        }

        #[test]
        fn a_leading_dot_is_matched_by_a_dot_only(name in "\\.[ab]{0,3}", pattern in "[ab%.]{0,4}") {
            prop_assert!(pattern.starts_with('.') || !matches(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
