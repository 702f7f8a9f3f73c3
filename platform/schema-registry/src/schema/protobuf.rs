//! Protocol Buffers: kept as they were sent; what a file says is read to find one that says the same in other words.
//!
//! Imports are not followed: they are references, and there.

use osqdemo_protobuf::File;

/// A file's descriptor in base64; `imports` are the texts of the files it needs, by the names that they are imported by.
/// Nothing where they do not go together: imports are not looked at before.
pub(crate) fn serialized(text: &str, imports: Vec<(String, String)>) -> Option<String> {
    let imports: Result<Vec<_>, _> = imports
        .into_iter()
        .map(|(name, text)| File::parse(&text).map(|file| (name, file)))
        .collect();
    let linked = File::parse(text).ok()?.link(&imports.ok()?).ok()?;
    Some(linked.serialized())
}

/// A file.
#[derive(Debug, Clone)]
pub(crate) struct Protobuf {
    pub(super) text: String,
    file: File,
}

impl Protobuf {
    /// Reads a file, or its descriptor.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let file = File::parse(text).map_err(|error| error.to_string())?;
        Ok(Self {
            text: text.to_owned(),
            file,
        })
    }

    /// Whether both files say the same: blanks, comments and the form aside.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.file.says_the_same(&other.file)
    }

    /// What keeps readers of this file from what was written with the old one.
    pub(super) fn differences_from(&self, old: &Self) -> Vec<String> {
        let found = self.file.differences_from(&old.file);
        found.iter().map(ToString::to_string).collect()
    }
}
