//! Where a configuration comes from: the file of the plugin `filesystem`, or an extension's plugin.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{PackText, json_text};

/// A configuration that cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("cannot read the configuration `{}`: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
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
            let text = fs::read_to_string(&path).map_err(|source| SourceError::File {
                path: path.clone(),
                source,
            })?;
            sources.insert(path.display().to_string(), text);
        }
        Ok(sources)
    }
}

impl PackText for ConfigFile {
    /// A pack is a file; `*` stands for every file of a folder, each pack named after its file.
    fn pack_text(&self, name: &str, value: &str) -> Result<String, String> {
        let read =
            |path: &Path| fs::read_to_string(path).map_err(|error| format!("`{}`: {error}", path.display()));
        if name != "*" {
            return read(Path::new(value));
        }
        let folder = Path::new(value.trim_end_matches(['*', '%']));
        let mut packs = Map::new();
        for extension in ["conf", "json"] {
            for path in files_of(folder, extension) {
                let pack = json_text::parse(&read(&path)?)
                    .map_err(|error| format!("`{}`: {error}", path.display()))?;
                let name = path
                    .file_stem()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                packs.insert(name, pack);
            }
        }
        Ok(Value::Object(packs).to_string())
    }
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
    use super::*;

    #[test]
    fn a_file_its_folder_and_its_packs() {
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
        let packs = folder.path().join("packs");
        fs::create_dir(&packs).unwrap();
        fs::write(packs.join("one.conf"), "{\"queries\": {}} // note").unwrap();
        assert_eq!(
            source.pack_text("*", &format!("{}/*", packs.display())).unwrap(),
            r#"{"one":{"queries":{}}}"#
        );
        assert_eq!(
            source
                .pack_text("one", &packs.join("one.conf").display().to_string())
                .unwrap(),
            "{\"queries\": {}} // note"
        );
        assert!(
            source
                .pack_text("two", "/nowhere")
                .unwrap_err()
                .starts_with("`/nowhere`: ")
        );
    }
}
