//! A file is short, or says why it is not.

use std::fs;
use std::path::{Path, PathBuf};

use super::{root, shown};

/// A file of more lines says why.
const SHORT: usize = 400;

/// How far from its beginning; imports may stand before.
const HEAD: usize = 60;

const FOLDERS: [&str; 10] = [
    "src",
    "tests",
    "benches",
    "scripts",
    "clock",
    "kafka-bootstrap",
    "formats",
    "fuzz",
    "hosts",
    "platform",
];

const SOURCES: [&str; 8] = ["rs", "js", "mjs", "css", "sh", "py", "go", "java"];

fn sources(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        // What was installed or built is nobody's text.
        if ["target", "node_modules"].iter().any(|name| path.ends_with(name)) {
            return;
        }
        for entry in fs::read_dir(path).expect("a folder").flatten() {
            sources(&entry.path(), found);
        }
    } else if path
        .extension()
        .is_some_and(|extension| SOURCES.iter().any(|source| extension == *source))
    {
        found.push(path.to_owned());
    }
}

/// Whether the comment at the head of a file says why it is long. The sentence may be broken anywhere.
fn says_why(text: &str) -> bool {
    let words = text.lines().take(HEAD).flat_map(str::split_whitespace);
    let words: Vec<&str> = words
        .filter(|word| !["//!", "//", "#", "*", "/*"].contains(word))
        .collect();
    words
        .windows(3)
        .any(|words| matches!(words, ["Long", "because", _]))
}

#[test]
fn a_long_file_says_why() {
    let mut files = Vec::new();
    for folder in FOLDERS {
        sources(&root().join(folder), &mut files);
    }
    assert!(!files.is_empty());
    let mut silent = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a text");
        let lines = text.lines().count();
        if lines > SHORT && !says_why(&text) {
            silent.push(format!("{}: {lines} lines", shown(&file)));
        }
    }
    assert!(
        silent.is_empty(),
        "split them, or say `Long because …` at their head: {silent:#?}"
    );
}

#[test]
fn a_reason_is_found_however_it_is_broken() {
    assert!(says_why(
        "//! All of it. Long\n//! because it is one table.\nfn main() {}"
    ));
    assert!(!says_why("//! All of it.\nfn main() {}"));
    assert!(!says_why(&format!(
        "{}// Long because it grew.",
        "\n".repeat(HEAD)
    )));
}
