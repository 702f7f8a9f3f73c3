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
const BUILDER_VARIABLE: &str = "OSQDEMO_BUILDER";

/// The files and folders at the root that a build reads.
const ROOTS: [&str; 11] = [
    "Cargo.lock",
    "Cargo.toml",
    "benches",
    "clock",
    "compose",
    "formats",
    "hosts",
    "kafka-bootstrap",
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
    let files = read(root)?;
    let below = |folder: &'static str| {
        move |(name, bytes): (&String, Vec<u8>)| ContextFile::bytes(format!("{folder}/{name}"), bytes)
    };
    let sources = files.iter().map(|(name, bytes)| (name, bytes.clone()));
    let files = manifests(&files)
        .map(below("manifests"))
        .chain(sources.map(below("source")))
        .collect();
    let builder = env::var(BUILDER_VARIABLE).unwrap_or_else(|_| BUILDER.to_owned());
    let arguments = BTreeMap::from([("BUILDER".to_owned(), builder)]);
    Ok(BuildContext::new(DOCKERFILE, files, arguments))
}

/// Everything that a build reads.
fn read(root: &Path) -> Result<BTreeMap<String, Vec<u8>>, SourceError> {
    let mut files = BTreeMap::new();
    for name in ROOTS {
        collect(root, name, &mut files)?;
    }
    Ok(files)
}

/// The manifests, and empty programs where they want some.
fn manifests(files: &BTreeMap<String, Vec<u8>>) -> impl Iterator<Item = (&String, Vec<u8>)> {
    files.iter().filter_map(|(name, bytes)| {
        if is_manifest(name) {
            Some((name, bytes.clone()))
        } else if is_program(name) {
            Some((name, EMPTY_PROGRAM.to_vec()))
        } else {
            None
        }
    })
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

/// Whether cargo wants a target's file there: of a library or a program, or of a benchmark that a manifest names.
fn is_program(name: &str) -> bool {
    let mut parts = name.rsplit('/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("lib.rs" | "main.rs"), Some("src"), _) => true,
        (Some(file), Some("benches"), _) => file.ends_with(".rs"),
        (Some("main.rs"), Some(_), Some("benches")) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::Command;

    use serde_json::Value;

    use super::*;

    #[test]
    fn a_checkout_is_read_without_what_was_built() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = read(root).expect("a checkout");
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
        assert!(context(root).is_ok());
    }

    /// The names of the libraries, programs and benchmarks that cargo finds in a workspace.
    fn targets(folder: &Path) -> BTreeSet<String> {
        let output = Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--no-deps",
                "--format-version=1",
                "--offline",
                "--locked",
            ])
            .current_dir(folder)
            .output()
            .expect("cargo runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let packages = metadata["packages"].as_array().expect("packages").iter();
        packages
            .flat_map(|package| package["targets"].as_array().expect("targets"))
            .filter(|target| {
                ["lib", "bin", "bench"]
                    .map(Value::from)
                    .contains(&target["kind"][0])
            })
            .map(|target| format!("{} {}", target["kind"][0], target["name"]))
            .collect()
    }

    #[test]
    fn cargo_finds_the_same_among_the_empty_programs() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = read(root).expect("a checkout");
        let folder = tempfile::tempdir().expect("a folder");
        for (name, bytes) in manifests(&files) {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, bytes).expect("a file");
        }
        assert_eq!(targets(folder.path()), targets(root));
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
