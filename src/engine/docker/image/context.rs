//! The build context of an image: a tar archive made in memory. Owners and times are always the same, so that the
//! daemon's build cache sees what is the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::engine::docker::image::SourceError;
use crate::engine::docker::image::program::Program;
use crate::stack::ImageRef;
use crate::tar::TarArchive;

/// The folder of a context whose files go to the same places in the image.
const FILES: &str = "files";

/// The step of a Dockerfile that takes them there.
const FILES_STEP: &str = "\nCOPY files/ /\n";

/// What an image is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine::docker) struct BuildContext {
    dockerfile: &'static str,
    files: Vec<ContextFile>,
    /// The build arguments.
    pub(super) arguments: BTreeMap<String, String>,
}

/// A file of a build context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContextFile {
    name: String,
    mode: u32,
    source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Bytes(Vec<u8>),
    File {
        path: PathBuf,
        identity: String,
    },
    /// In the root folder of this image, under the same file name.
    Image {
        image: ImageRef,
        identity: String,
    },
}

impl ContextFile {
    pub(super) fn text(name: &str, text: &str) -> Self {
        Self::bytes(name.to_owned(), text.into())
    }

    pub(super) fn bytes(name: String, bytes: Vec<u8>) -> Self {
        Self {
            name,
            mode: 0o644,
            source: Source::Bytes(bytes),
        }
    }

    pub(super) fn script(name: &str, text: &str) -> Self {
        Self {
            mode: 0o755,
            ..Self::text(name, text)
        }
    }

    pub(super) fn program(name: &str, path: &Path, program: &Program) -> Self {
        Self {
            name: name.to_owned(),
            mode: 0o755,
            source: Source::File {
                path: path.to_owned(),
                identity: program.identity.clone(),
            },
        }
    }

    /// A program that is not in the context: the image gets it out of another one.
    pub(super) fn program_of_image(name: &str, image: &ImageRef, identity: &str) -> Self {
        Self {
            name: name.to_owned(),
            mode: 0o755,
            source: Source::Image {
                image: image.clone(),
                identity: identity.to_owned(),
            },
        }
    }

    pub(super) fn package(name: &str, path: &Path, sha256: &str) -> Self {
        Self {
            name: name.to_owned(),
            mode: 0o644,
            source: Source::File {
                path: path.to_owned(),
                identity: sha256.to_owned(),
            },
        }
    }
}

impl BuildContext {
    pub(super) fn new(
        dockerfile: &'static str,
        files: Vec<ContextFile>,
        arguments: BTreeMap<String, String>,
    ) -> Self {
        Self {
            dockerfile,
            files,
            arguments,
        }
    }

    /// What identifies the content: a hash that changes when any file or argument does.
    pub(super) fn content(&self) -> String {
        let mut hash = Sha256::new();
        // Lengths stand before texts, so that no two lists look the same.
        let mut add = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        add(self.dockerfile.as_bytes());
        for (name, value) in &self.arguments {
            add(name.as_bytes());
            add(value.as_bytes());
        }
        for file in &self.files {
            add(file.name.as_bytes());
            add(format!("{:o}", file.mode).as_bytes());
            match &file.source {
                Source::Bytes(bytes) => add(bytes),
                Source::File { identity, .. } | Source::Image { identity, .. } => add(identity.as_bytes()),
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The archive.
    pub(super) fn archive(&self) -> Result<Vec<u8>, SourceError> {
        let mut archive = TarArchive::default();
        archive.append("Dockerfile", 0o644, 0, self.dockerfile().as_bytes());
        for file in &self.files {
            match &file.source {
                Source::Bytes(bytes) => archive.append(&file.name, file.mode, 0, bytes),
                Source::File { path, .. } => {
                    let bytes = fs::read(path).map_err(|source| SourceError::Read {
                        path: path.clone(),
                        source,
                    })?;
                    archive.append(&file.name, file.mode, 0, &bytes);
                }
                Source::Image { .. } => {}
            }
        }
        archive.finish().map_err(|source| SourceError::Pack { source })
    }

    /// The Dockerfile, whose step for the files becomes several where some of them are in an image.
    fn dockerfile(&self) -> String {
        let mut steps = "\n".to_owned();
        let placed = || {
            let files = self.files.iter();
            files.filter_map(|file| Some((file.name.strip_prefix(FILES)?, &file.source)))
        };
        if placed().any(|(_, source)| !matches!(source, Source::Image { .. })) {
            steps.push_str(FILES_STEP.trim_start());
        }
        for (place, source) in placed() {
            if let Source::Image { image, .. } = source {
                let program = place.rsplit('/').next().unwrap_or(place);
                steps.push_str(&format!("COPY --from={image} /{program} {place}\n"));
            }
        }
        self.dockerfile.replace(FILES_STEP, &steps)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn context(text: &'static str) -> BuildContext {
        let files = vec![
            ContextFile::text("etc/flags", text),
            ContextFile::script("start", "#!/bin/sh\n"),
        ];
        BuildContext::new("FROM scratch\n", files, BTreeMap::new())
    }

    #[test]
    fn any_change_of_the_content_is_seen() {
        assert_eq!(context("a").content(), context("a").content());
        assert_ne!(context("a").content(), context("b").content());
        let mut other = context("a");
        other.arguments.insert("A".to_owned(), "1".to_owned());
        assert_ne!(context("a").content(), other.content());
    }

    #[test]
    fn a_program_is_copied_out_of_its_image() {
        let image = ImageRef::new("osqdemo/programs:1".to_owned());
        let dockerfile =
            |files| BuildContext::new("FROM a\n\nCOPY files/ /\n", files, BTreeMap::new()).dockerfile();
        let program = ContextFile::program_of_image("files/bin/osqdemo", &image, "a");
        let flags = ContextFile::text("files/etc/flags", "--a");
        assert_eq!(
            dockerfile(vec![program.clone()]),
            "FROM a\n\nCOPY --from=osqdemo/programs:1 /osqdemo /bin/osqdemo\n"
        );
        assert_eq!(
            dockerfile(vec![program, flags.clone()]),
            "FROM a\n\nCOPY files/ /\nCOPY --from=osqdemo/programs:1 /osqdemo /bin/osqdemo\n"
        );
        assert_eq!(dockerfile(vec![flags]), "FROM a\n\nCOPY files/ /\n");
    }

    #[test]
    fn tar_reads_the_archive() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("context.tar");
        // 512 bytes: no padding is needed.
        let text: &'static str = "0123456789abcdef".repeat(32).leak();
        fs::write(&path, context(text).archive().expect("an archive")).expect("a file");
        let status = Command::new("tar")
            .args([
                "-C",
                &folder.path().display().to_string(),
                "-xf",
                &path.display().to_string(),
            ])
            .status()
            .expect("tar");
        assert!(status.success());
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("a file");
        assert_eq!(read("Dockerfile"), "FROM scratch\n");
        assert_eq!(read("etc/flags"), text);
        let listing = Command::new("tar").arg("-tvf").arg(&path).output().expect("tar");
        let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
        assert!(listing.contains("-rwxr-xr-x 0/0"), "{listing}");
    }
}
