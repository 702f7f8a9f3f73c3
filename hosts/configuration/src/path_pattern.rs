//! osquery's path patterns: `%` matches within one folder's name, `%%` at the end everything below.
//!
//! They are what glob(3) makes of them: a wildcard does not match a leading dot, and a folder's path ends in a slash.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// How deep `%%` goes, as in osquery, so that a strange tree cannot hold a query for ever.
const DEEPEST: usize = 64;

/// The existing paths a pattern stands for, sorted; those of folders end in a slash. Links to folders are not followed
/// below `%%`.
pub fn expand(pattern: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    if let Some(relative) = pattern.strip_prefix(b"/") {
        let components: Vec<&[u8]> = relative
            .split(|&byte| byte == b'/')
            .filter(|part| !part.is_empty())
            .collect();
        walk(Path::new("/"), &components, &mut found);
    }
    let mut paths: Vec<Vec<u8>> = found
        .into_iter()
        .map(|path| {
            let mut bytes = path.as_os_str().as_bytes().to_vec();
            if path.is_dir() && !bytes.ends_with(b"/") {
                bytes.push(b'/');
            }
            bytes
        })
        .collect();
    if pattern.ends_with(b"/") {
        paths.retain(|path| path.ends_with(b"/"));
    }
    paths
}

fn walk(folder: &Path, components: &[&[u8]], found: &mut Vec<PathBuf>) {
    let Some((component, rest)) = components.split_first() else {
        found.push(folder.to_owned());
        return;
    };
    if component.contains(&b'%') {
        let deep = rest.is_empty() && component.ends_with(b"%%");
        for (name, path) in visible_entries(folder) {
            if !matches(component, &name) {
                continue;
            }
            if deep {
                found.push(path.clone());
                below(&path, DEEPEST, found);
            } else {
                walk(&path, rest, found);
            }
        }
    } else {
        let path = folder.join(OsStr::from_bytes(component));
        if path.symlink_metadata().is_ok() {
            walk(&path, rest, found);
        }
    }
}

fn below(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if depth == 0 || !folder.symlink_metadata().is_ok_and(|file| file.is_dir()) {
        return;
    }
    for (_, path) in visible_entries(folder) {
        found.push(path.clone());
        below(&path, depth - 1, found);
    }
}

fn visible_entries(folder: &Path) -> Vec<(Vec<u8>, PathBuf)> {
    let Ok(entries) = folder.read_dir() else {
        return Vec::new();
    };
    let mut entries: Vec<_> = entries
        .flatten()
        .map(|entry| (entry.file_name().as_bytes().to_vec(), entry.path()))
        .collect();
    entries.sort_unstable();
    entries
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
            let expanded = expand(format!("{prefix}{pattern}").as_bytes()).into_iter();
            expanded
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
