//! osquery's path patterns: `%` matches within one folder's name, `%%` everything below.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// How deep `%%` goes, so that a strange tree cannot hold the agent for ever.
const DEEPEST: usize = 64;

/// Whether a folder or anything is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Anything,
    Folders,
}

/// The existing paths a pattern stands for. Links to folders are not followed below `%%`.
pub(super) fn expand(pattern: &[u8], wanted: Wanted) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    if let Some(relative) = pattern.strip_prefix(b"/") {
        let components: Vec<&[u8]> = relative
            .split(|&byte| byte == b'/')
            .filter(|part| !part.is_empty())
            .collect();
        walk(Path::new("/"), &components, &mut found);
    }
    found.retain(|path| wanted == Wanted::Anything || path.is_dir());
    found
        .into_iter()
        .map(|path| path.as_os_str().as_bytes().to_vec())
        .collect()
}

fn walk(folder: &Path, components: &[&[u8]], found: &mut Vec<PathBuf>) {
    let Some((component, rest)) = components.split_first() else {
        found.push(folder.to_owned());
        return;
    };
    if *component == b"%%" {
        below(folder, DEEPEST, found);
    } else if component.contains(&b'%') {
        for (name, path) in entries(folder) {
            if matches(component, &name) {
                walk(&path, rest, found);
            }
        }
    } else {
        let path = folder.join(std::ffi::OsStr::from_bytes(component));
        if path.symlink_metadata().is_ok() {
            walk(&path, rest, found);
        }
    }
}

fn below(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for (_, path) in entries(folder) {
        let is_folder = path.symlink_metadata().is_ok_and(|file| file.is_dir());
        found.push(path.clone());
        if is_folder && depth > 0 {
            below(&path, depth - 1, found);
        }
    }
}

fn entries(folder: &Path) -> Vec<(Vec<u8>, PathBuf)> {
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

/// Whether a name matches a component with any number of `%`.
fn matches(component: &[u8], name: &[u8]) -> bool {
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
        for file in ["a/one.txt", "a/two.log", "a/deep/three.txt", "a/deep/er/four.txt"] {
            std::fs::write(root.join(file), "").unwrap();
        }
        let names = |pattern: &str, wanted| -> Vec<String> {
            let prefix = format!("{}/", root.display());
            expand(format!("{prefix}{pattern}").as_bytes(), wanted)
                .into_iter()
                .map(|path| {
                    String::from_utf8(path)
                        .unwrap()
                        .strip_prefix(&prefix)
                        .unwrap()
                        .to_owned()
                })
                .collect()
        };
        assert_eq!(names("a/%.txt", Wanted::Anything), ["a/one.txt"]);
        assert_eq!(names("a/%", Wanted::Folders), ["a/deep"]);
        assert_eq!(
            names("%/deep/%", Wanted::Anything),
            ["a/deep/er", "a/deep/three.txt"]
        );
        assert_eq!(
            names("a/deep/%%", Wanted::Anything),
            ["a/deep/er", "a/deep/er/four.txt", "a/deep/three.txt"]
        );
        assert!(names("missing/%", Wanted::Anything).is_empty());
    }

    proptest! {
        #[test]
        fn a_name_matches_itself_with_any_part_replaced(name in "[a-c.]{0,8}", from in 0usize..9, to in 0usize..9) {
            let (from, to) = (from.min(to).min(name.len()), from.max(to).min(name.len()));
            let pattern = format!("{}%{}", &name[..from], &name[to..]);
            prop_assert!(matches(pattern.as_bytes(), name.as_bytes()), "{} {}", pattern, name);
        }

        #[test]
        fn agrees_with_a_regular_expression(pattern in "[ab%]{0,6}", name in "[ab]{0,6}") {
            let expression = format!("^{}$", pattern.replace('%', ".*"));
            let expected = regex::Regex::new(&expression).unwrap().is_match(&name);
            prop_assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected);
        }
    }
}
