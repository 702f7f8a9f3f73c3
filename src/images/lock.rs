//! The lock file: which content each image has. Written only from what a daemon reports of images it has pulled, and
//! compared whenever an image is used. An image that was loaded from a file has lost its registry's digest; it is
//! known by its id, which says as much about its content.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::images::reference::is_digest;
use crate::input_file;
use crate::output_file::OutputFile;
use crate::stack::ImageRef;

/// The version of the file's form.
const VERSION: u32 = 1;

/// The images and their content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageLock {
    schema_version: u32,
    /// By name with tag.
    pub images: BTreeMap<ImageRef, LockedImage>,
}

/// The content of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedImage {
    /// The digest by which the registry knows it, for all architectures: `sha256:…`.
    pub digest: String,
    /// The id by which a daemon knows it, by platform, such as `linux/amd64`.
    pub ids: BTreeMap<String, String>,
}

/// The lock file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Not readable or writable.
    #[error("failed to {action} the lock file `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Damaged.
    #[error("`{}` is not a lock file of images: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Diagnose for LockError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Damaged { .. } => vec!["`osqdemo images lock` writes it anew".to_owned()],
            Self::Io { .. } => Vec::new(),
        }
    }
}

impl Default for ImageLock {
    fn default() -> Self {
        Self {
            schema_version: VERSION,
            images: BTreeMap::new(),
        }
    }
}

impl ImageLock {
    /// What the file says; nothing is locked where there is no file.
    ///
    /// # Errors
    /// When it cannot be read, or says something that is not a digest.
    pub fn load(path: &Path) -> Result<Self, LockError> {
        let text = match input_file::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => {
                return Err(LockError::Io {
                    action: "read",
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let damaged = |reason: String| LockError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let lock: Self = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        if lock.schema_version != VERSION {
            return Err(damaged(format!("its version is {}", lock.schema_version)));
        }
        for (image, locked) in &lock.images {
            let wrong = std::iter::once(&locked.digest)
                .chain(locked.ids.values())
                .find(|digest| !is_digest(digest));
            if let Some(digest) = wrong {
                return Err(damaged(format!("`{digest}` of `{image}` is not a digest")));
            }
        }
        Ok(lock)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), LockError> {
        let failed = |source: io::Error| LockError::Io {
            action: "write",
            path: path.to_owned(),
            source,
        };
        let mut text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        text.push('\n');
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = OutputFile::at(path).map_err(failed)?;
        file.finish(fs::write(file.writing(), text), |error| error)
            .map_err(failed)
    }
}

impl LockedImage {
    /// Whether an image with these digests and this id is the locked one.
    pub fn is<'a>(&self, platform: &str, id: &str, mut digests: impl Iterator<Item = &'a str>) -> bool {
        digests.any(|digest| digest == self.digest)
            || self.digest == id
            || self.ids.get(platform).is_some_and(|locked| locked == id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new/images.lock");
        assert_eq!(ImageLock::load(&path).expect("no file"), ImageLock::default());
        let locked = LockedImage {
            digest: digest('a'),
            ids: BTreeMap::from([("linux/amd64".to_owned(), digest('b'))]),
        };
        let lock = ImageLock {
            images: BTreeMap::from([(ImageRef::new("x/y:1"), locked)]),
            ..ImageLock::default()
        };
        lock.save(&path).expect("written");
        assert_eq!(ImageLock::load(&path).expect("read"), lock);
    }

    #[test]
    fn an_image_is_known_by_digest_or_by_id() {
        let locked = LockedImage {
            digest: digest('a'),
            ids: BTreeMap::from([("linux/amd64".to_owned(), digest('b'))]),
        };
        let (a, c) = (digest('a'), digest('c'));
        assert!(locked.is("linux/amd64", &c, [a.as_str()].into_iter()));
        assert!(locked.is("linux/amd64", &digest('b'), std::iter::empty()));
        assert!(!locked.is("linux/arm64", &digest('b'), std::iter::empty()));
        assert!(!locked.is("linux/amd64", &c, [c.as_str()].into_iter()));
    }

    proptest! {
        #[test]
        fn any_file_is_read_or_refused(text in "\\PC{0,60}") {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("images.lock");
            fs::write(&path, text).expect("a file");
            prop_assert!(ImageLock::load(&path).is_err());
        }
    }

    #[test]
    fn an_invented_digest_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("images.lock");
        let text = r#"{"schema_version": 1, "images": {"x/y:1": {"digest": "sha256:todo", "ids": {}}}}"#;
        fs::write(&path, text).expect("a file");
        let error = ImageLock::load(&path).expect_err("not a digest").to_string();
        assert!(
            error.ends_with("`sha256:todo` of `x/y:1` is not a digest"),
            "{error}"
        );
    }
}
