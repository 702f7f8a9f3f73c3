//! Packs that are named in a configuration and kept in files, as osquery's configuration plugin `filesystem` reads them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::finding::{Finding, Findings, member};
use crate::path_pattern::{self, Room};
use crate::{json_text, regular_file};

/// Several packs, each named after its file.
pub type NamedPacks = Map<String, Value>;

/// A pack that is named in the configuration and kept elsewhere.
pub trait PackText {
    /// The pack's text, for a name and the string that stands in the configuration in the pack's place. Under the name
    /// `*` it is an object of several; what was left out of it is found.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn pack_text(&self, name: &str, value: &str, findings: &mut Findings) -> Result<String, String>;
}

/// Packs in files: a path, or, under the name `*`, a pattern of paths.
#[derive(Debug, Clone)]
pub struct PackFiles {
    folder: PathBuf,
}

impl PackFiles {
    /// Relative paths begin at the folder.
    pub fn beside(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Where the text of a pack is.
    pub fn path(&self, value: &str) -> PathBuf {
        self.folder.join(value)
    }

    /// Every pack that a pattern names, each under the name of its file without the ending. One that cannot be used is
    /// left out, and found.
    pub fn several(&self, pattern: &str) -> (NamedPacks, Findings) {
        let (mut packs, mut findings) = (NamedPacks::new(), Findings::new());
        let pattern = self.path(&pattern.replace('*', "%"));
        let expanded = path_pattern::expand(pattern.as_os_str().as_bytes(), &mut Room::default());
        let paths = expanded.unwrap_or_else(|error| {
            let message = format!("No pack is read of `{}`: {error}", pattern.display());
            findings.push(Finding::new(member("packs", "*"), message));
            Vec::new()
        });
        for path in paths {
            if path.ends_with(b"/") {
                continue;
            }
            let path = Path::new(OsStr::from_bytes(&path));
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            match read(path)
                .and_then(|text| json_text::parse(&text).map_err(|error| format!("it is not JSON: {error}")))
            {
                Ok(pack) => {
                    packs.insert(name, pack);
                }
                Err(reason) => findings.push(Finding::new(
                    member("packs", "*"),
                    format!("The pack {name} of `{}` cannot be read: {reason}", path.display()),
                )),
            }
        }
        if packs.is_empty() && findings.is_empty() {
            let message = format!("No pack is named by `{}`", pattern.display());
            findings.push(Finding::new(member("packs", "*"), message));
        }
        (packs, findings)
    }
}

impl PackText for PackFiles {
    fn pack_text(&self, name: &str, value: &str, findings: &mut Findings) -> Result<String, String> {
        if name == "*" {
            let (packs, found) = self.several(value);
            findings.extend(found);
            return Ok(Value::Object(packs).to_string());
        }
        let path = self.path(value);
        read(&path).map_err(|reason| format!("`{}`: {reason}", path.display()))
    }
}

fn read(path: &Path) -> Result<String, String> {
    regular_file::read_to_string(path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_pattern_stands_for_the_packs_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("one.conf", "{\"queries\": {}} // note");
        write("two.json", "{}");
        write("bad.conf", "{");
        write(".hidden.conf", "{}");
        fs::create_dir(folder.path().join("folder")).unwrap();
        let files = PackFiles::beside(folder.path());
        for pattern in ["*", "%", &format!("{}/*", folder.path().display())] {
            let (packs, findings) = files.several(pattern);
            assert_eq!(packs.keys().collect::<Vec<_>>(), ["one", "two"], "{pattern}");
            assert_eq!(findings.len(), 1);
            assert!(
                findings[0].message.starts_with("The pack bad of "),
                "{findings:?}"
            );
        }
        let text = |name, value| files.pack_text(name, value, &mut Findings::new());
        assert_eq!(text("*", "o*.conf").unwrap(), r#"{"one":{"queries":{}}}"#);
        assert_eq!(text("one", "one.conf").unwrap(), "{\"queries\": {}} // note");
        let error = text("gone", "gone.conf").unwrap_err();
        assert!(error.contains("gone.conf`: No such file"), "{error}");
        let (_, findings) = files.several("nothing/*");
        assert!(
            findings[0].message.starts_with("No pack is named by"),
            "{findings:?}"
        );
    }
}
