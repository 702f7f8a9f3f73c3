//! Where the configuration comes from: the file of the plugin `filesystem`, or an extension's plugin.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use osquery_configuration::{Findings, PackFiles, PackText, regular_file};

/// A configuration that cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("cannot read the configuration `{}`: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the configuration plugin `{plugin}` failed: {reason}")]
    Plugin { plugin: String, reason: String },
}

/// A configuration plugin.
pub(crate) trait ConfigSource: PackText {
    /// The text of every source, by name.
    fn sources(&self) -> Result<BTreeMap<String, String>, SourceError>;
}

/// The plugin `filesystem`: one file, and every `*.conf` in the folder `<file>.d`.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
}

impl ConfigFile {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl ConfigSource for ConfigFile {
    fn sources(&self) -> Result<BTreeMap<String, String>, SourceError> {
        let mut sources = BTreeMap::new();
        let mut folder = self.path.clone().into_os_string();
        folder.push(".d");
        let more = files_of(Path::new(&folder), "conf");
        for path in std::iter::once(self.path.clone()).chain(more) {
            let text = text_of(&path).map_err(|source| SourceError::File {
                path: path.clone(),
                source,
            })?;
            sources.insert(path.display().to_string(), text);
        }
        Ok(sources)
    }
}

impl PackText for ConfigFile {
    fn pack_text(&self, name: &str, value: &str, findings: &mut Findings) -> Result<String, String> {
        PackFiles::beside("").pack_text(name, value, findings)
    }
}

fn text_of(path: &Path) -> io::Result<String> {
    regular_file::read_given(path).and_then(regular_file::as_text)
}

fn files_of(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == extension) && path.is_file())
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_and_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("osquery.conf");
        let source = ConfigFile::new(&path);
        let missing = source.sources().unwrap_err().to_string();
        assert!(
            missing.starts_with(&format!("cannot read the configuration `{}`: ", path.display())),
            "{missing}"
        );
        fs::write(&path, "{}").unwrap();
        fs::create_dir(folder.path().join("osquery.conf.d")).unwrap();
        fs::write(folder.path().join("osquery.conf.d/more.conf"), "{\"a\": 1}").unwrap();
        fs::write(folder.path().join("osquery.conf.d/note.txt"), "").unwrap();
        let sources = source.sources().unwrap();
        assert_eq!(sources.values().collect::<Vec<_>>(), ["{}", "{\"a\": 1}"]);
    }
}
