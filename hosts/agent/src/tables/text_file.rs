//! Text files of the machine: read with a bound, and taken apart into lines and words.

use std::path::{Path, PathBuf};

use osquery_configuration::regular_file;

pub(super) use regular_file::read;

/// The content as text, or nothing where there is no such file: a machine without it has none of its rows.
pub(super) fn text(path: &Path) -> String {
    read(path).map_or_else(
        |_| String::new(),
        |content| String::from_utf8_lossy(&content).into_owned(),
    )
}

/// The first line of a small file such as those of `/sys`, without blanks around it.
pub(super) fn line(path: &Path) -> String {
    text(path).lines().next().unwrap_or_default().trim().to_owned()
}

/// The lines that say something: trimmed, not empty and no `#` comment.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The entries of a folder, sorted; nothing where there is none.
pub(super) fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else {
        return Vec::new();
    };
    let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort_unstable();
    entries
}

/// `key value` and `key: value` files such as `/proc/meminfo` and dpkg's: the stanzas, each as its fields in order. A line
/// that begins with a blank goes on with the field before it.
pub(super) fn stanzas(text: &str) -> Vec<Vec<(&str, String)>> {
    let mut stanzas = Vec::new();
    let mut fields: Vec<(&str, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            if !fields.is_empty() {
                stanzas.push(std::mem::take(&mut fields));
            }
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            fields.push((key.trim(), value.trim().to_owned()));
        }
    }
    stanzas
}

/// A field of a stanza; empty when there is none.
pub(super) fn field<'stanza>(stanza: &'stanza [(&str, String)], name: &str) -> &'stanza str {
    stanza
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_go_on_behind_a_blank() {
        let stanzas = stanzas("A: 1\nB: two\n three\n\nA: 4\n");
        assert_eq!(stanzas.len(), 2);
        assert_eq!(field(&stanzas[0], "b"), "two\nthree");
        assert_eq!((field(&stanzas[1], "A"), field(&stanzas[1], "B")), ("4", ""));
    }

    proptest! {
        #[test]
        fn no_text_can_make_it_panic(text in "([A-Z]:| |\n|[a-z]|#){0,40}") {
            stanzas(&text);
            lines(&text).for_each(drop);
        }
    }
}
