//! A checkout of this repository as the context of a build: what cargo reads of it, and no more. Tests, documents, what
//! was built and what is hidden stay behind.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::Path;

use crate::engine::docker::image::SourceError;
use crate::engine::docker::image::context::{BuildContext, ContextFile};

const DOCKERFILE: &str = include_str!("Dockerfile.programs");

/// What compiles: Debian 12, as the images are, with the oldest Rust that the workspace takes.
const BUILDER: &str = concat!("rust:", env!("CARGO_PKG_RUST_VERSION"), "-bookworm");

/// The variable that names another image to compile in, such as one of a mirror.
const BUILDER_VARIABLE: &str = "OSQDEMO_BUILDER_IMAGE";

/// The files and folders at the root that a build reads.
const ROOTS: [&str; 8] = [
    "Cargo.lock",
    "Cargo.toml",
    "benches",
    "compose",
    "hosts",
    "ksql",
    "platform",
    "src",
];

/// What stands for a program while only its dependencies are compiled.
const EMPTY_PROGRAM: &[u8] = b"fn main() {}\n";

/// The context that compiles the programs of a checkout: its manifests with empty programs first, then everything.
pub(super) fn context(root: &Path) -> Result<BuildContext, SourceError> {
    if !is_checkout(root) {
        return Err(SourceError::NotACheckout {
            path: root.to_owned(),
        });
    }
    let mut files = BTreeMap::new();
    for name in ROOTS {
        collect(root, name, &mut files)?;
    }
    let manifests = files.iter().filter_map(|(name, bytes)| {
        let bytes = if is_manifest(name) {
            bytes.clone()
        } else if is_program(name) {
            EMPTY_PROGRAM.to_vec()
        } else {
            return None;
        };
        Some(ContextFile::bytes(format!("manifests/{name}"), bytes))
    });
    let sources = files
        .iter()
        .map(|(name, bytes)| ContextFile::bytes(format!("source/{name}"), bytes.clone()));
    let files = manifests.chain(sources).collect();
    let builder = env::var(BUILDER_VARIABLE).unwrap_or_else(|_| BUILDER.to_owned());
    let arguments = BTreeMap::from([("BUILDER".to_owned(), builder)]);
    Ok(BuildContext::new(DOCKERFILE, files, arguments))
}

/// Whether a folder has what the programs are made of.
fn is_checkout(root: &Path) -> bool {
    [
        "Cargo.lock",
        "hosts/extension/Cargo.toml",
        "platform/broker/Cargo.toml",
    ]
    .iter()
    .all(|file| root.join(file).is_file())
}

/// Reads a file, or all files of a folder, by their paths below the root.
fn collect(root: &Path, name: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<(), SourceError> {
    let path = root.join(name);
    let read = |source| SourceError::Read {
        path: path.clone(),
        source,
    };
    // Links are not followed: what they lead to is not of the checkout.
    let kind = match fs::symlink_metadata(&path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(read(error)),
    };
    if kind.is_file() {
        files.insert(name.to_owned(), fs::read(&path).map_err(read)?);
    }
    if !kind.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(&path).map_err(read)? {
        let entry = entry.map_err(read)?.file_name();
        let Some(entry) = entry.to_str() else { continue };
        if !is_left_out(entry) {
            collect(root, &format!("{name}/{entry}"), files)?;
        }
    }
    Ok(())
}

/// What `.gitignore` names, and what is hidden.
fn is_left_out(name: &str) -> bool {
    name.starts_with('.') || name == "target" || name.ends_with(".pending-snap")
}

fn is_manifest(name: &str) -> bool {
    name == "Cargo.lock" || name.ends_with("Cargo.toml")
}

/// Whether cargo wants a target's file there: a library or program of a package, or a benchmark that a manifest names.
fn is_program(name: &str) -> bool {
    let is_root = ["src/lib.rs", "src/main.rs"]
        .iter()
        .any(|file| name == *file || name.ends_with(&format!("/{file}")));
    is_root || (name.starts_with("benches/") && name.ends_with("/main.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_is_read_without_what_was_built() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = BTreeMap::new();
        for name in ROOTS {
            collect(root, name, &mut files).expect("a checkout");
        }
        assert!(files.contains_key("src/main.rs") && files.contains_key("hosts/image/start-host"));
        assert!(
            !files
                .keys()
                .any(|name| name.contains("target/") || name.starts_with("tests/"))
        );
        // Whatever the programs embed is there.
        for name in [
            "ksql/01-sources.sql",
            "compose/lite.yaml",
            "platform/image/Dockerfile",
        ] {
            assert!(files.contains_key(name), "{name}");
        }
        let programs: Vec<&str> = files
            .keys()
            .map(String::as_str)
            .filter(|name| is_program(name))
            .collect();
        assert!(
            programs.contains(&"benches/figures/main.rs") && programs.contains(&"hosts/agent/src/main.rs"),
            "{programs:?}"
        );
        assert!(context(root).is_ok());
    }

    #[test]
    fn another_folder_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = context(folder.path()).expect_err("not a checkout");
        assert_eq!(
            error.to_string(),
            format!(
                "`{}` is not a checkout of osqdemo's repository",
                folder.path().display()
            )
        );
    }
}
