//! osquery's official package: which version, where it comes from, and what became of the attempt to get it.
//!
//! Nothing is fetched here: that is the work of `hosts/image/fetch-osquery`, in the build of the hosts' image, which
//! also checks what it gets. Only that build knows whether the daemon's machine can have the package.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::engine::OsquerydChoice;
use crate::engine::docker::image::{OsqueryChoice, Otherwise, SourceError, checksum};
use crate::error::Diagnose;
use crate::exit_code::ExitCode;

const LOCK: &str = include_str!("../../../../hosts/image/osquery-package.json");

/// Variables that name another repository and key: for tests, which have a repository of their own.
const REPOSITORY_VARIABLE: &str = "OSQDEMO_OSQUERY_REPOSITORY";
const KEY_VARIABLE: &str = "OSQDEMO_OSQUERY_KEY";

/// What the lines of `fetch-osquery` begin with that tell why it gave up.
const UNAVAILABLE: &str = "fetch-osquery: unavailable: ";
const REFUSED: &str = "fetch-osquery: refused: ";

/// Where the package comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Package {
    /// From a file of this machine.
    File { path: PathBuf, sha256: String },
    /// From osquery's repository, or as a file with this checksum.
    Fetched {
        sha256: Option<String>,
        /// What happens when it cannot be had.
        otherwise: Otherwise,
    },
    /// There is none.
    None {
        /// Why, when nobody asked for that.
        because: Option<String>,
    },
}

/// osquery's package did not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// It cannot be had.
    #[error("osquery's package {} cannot be had: {reason}", version())]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// It came, or a part of what vouches for it, and is not what it must be.
    #[error("osquery's package {} is NOT TRUSTED and was not used: {reason}", version())]
    Refused {
        /// Why.
        reason: String,
    },
}

impl PackageError {
    /// What a line of a build says about the package.
    pub(super) fn of_line(line: &str) -> Option<Self> {
        let reason = |text: &str| text.trim().to_owned();
        let unavailable = line
            .strip_prefix(UNAVAILABLE)
            .map(|text| Self::Unavailable { reason: reason(text) });
        let refused = line
            .strip_prefix(REFUSED)
            .map(|text| Self::Refused { reason: reason(text) });
        unavailable.or(refused)
    }
}

impl Diagnose for PackageError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Build
    }

    fn hints(&self) -> Vec<String> {
        let file = "fetch the package elsewhere and give it with `--osqueryd FILE.deb`";
        let agent = "`--osqueryd builtin` runs the built-in agent instead";
        match self {
            Self::Unavailable { .. } => vec![
                format!("behind a proxy set `HTTPS_PROXY`; or {file}"),
                agent.to_owned(),
            ],
            Self::Refused { .. } => vec![
                format!(
                    "something on the way may change what is sent, such as a proxy or a stale mirror; {file}"
                ),
                agent.to_owned(),
            ],
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    version: String,
    repository: String,
    key_fingerprint: String,
}

fn lock() -> Lock {
    // The embedded file is valid, which a test holds; were it not, no package would be trusted.
    serde_json::from_str(LOCK).unwrap_or_default()
}

/// The version of the package.
pub(super) fn version() -> String {
    lock().version
}

/// The build arguments that the Dockerfile takes.
pub(super) fn arguments(sha256: Option<&str>) -> BTreeMap<String, String> {
    let lock = lock();
    let or_given = |variable: &str, usual: String| env::var(variable).unwrap_or(usual);
    BTreeMap::from(
        [
            ("OSQUERY_VERSION", lock.version),
            (
                "OSQUERY_REPOSITORY",
                or_given(REPOSITORY_VARIABLE, lock.repository),
            ),
            ("OSQUERY_KEY", or_given(KEY_VARIABLE, lock.key_fingerprint)),
            ("OSQUERY_SHA256", sha256.unwrap_or_default().to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    )
}

/// Decides where the package comes from.
pub(super) fn choose(choice: &OsqueryChoice) -> Result<Package, SourceError> {
    let sha256 = choice.sha256.as_deref().map(checksum_of).transpose()?;
    let fetched = |otherwise| Package::Fetched {
        sha256: sha256.clone(),
        otherwise,
    };
    match (&choice.osqueryd, &choice.unavailable) {
        (OsquerydChoice::Builtin, _) => Ok(Package::None { because: None }),
        (OsquerydChoice::Auto, Some(reason)) => Ok(Package::None {
            because: Some(reason.clone()),
        }),
        (OsquerydChoice::Auto, None) => Ok(fetched(Otherwise::Agent)),
        (OsquerydChoice::Osquery, _) => Ok(fetched(Otherwise::Failure)),
        (OsquerydChoice::Path(path), _) => from_file(path, sha256),
    }
}

fn from_file(path: &Path, expected: Option<String>) -> Result<Package, SourceError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if path.extension().is_none_or(|extension| extension != "deb") {
        return Err(SourceError::NotAPackage { path });
    }
    let actual = checksum(&path)?;
    match expected {
        Some(expected) if expected != actual => Err(SourceError::WrongChecksum {
            path,
            actual,
            expected,
        }),
        _ => Ok(Package::File { path, sha256: actual }),
    }
}

/// Reads a SHA-256 checksum.
///
/// # Errors
/// When it is not 64 hexadecimal digits.
pub fn checksum_of(text: &str) -> Result<String, SourceError> {
    let is_valid = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_valid {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(SourceError::NotAChecksum {
            text: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(osqueryd: &str, sha256: Option<&str>) -> Result<Package, String> {
        let choice = OsqueryChoice {
            osqueryd: OsquerydChoice::parse(osqueryd),
            sha256: sha256.map(str::to_owned),
            unavailable: None,
        };
        choose(&choice).map_err(|error| error.to_string())
    }

    #[test]
    fn the_embedded_lock_is_valid() {
        let lock: Lock = serde_json::from_str(LOCK).expect("a lock");
        assert_eq!(lock.version, "5.23.1");
        assert!(lock.repository.starts_with("https://"), "{}", lock.repository);
        let fingerprint = lock.key_fingerprint;
        assert_eq!(fingerprint.len(), 40);
        assert!(
            fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{fingerprint}"
        );
    }

    #[test]
    fn the_choice_decides_and_what_happened_last_time() {
        assert_eq!(chosen("builtin", None), Ok(Package::None { because: None }));
        let sum = "AB".repeat(32);
        for (word, otherwise) in [("auto", Otherwise::Agent), ("osquery", Otherwise::Failure)] {
            for sha256 in [None, Some(sum.as_str())] {
                assert_eq!(
                    chosen(word, sha256),
                    Ok(Package::Fetched {
                        sha256: sha256.map(str::to_lowercase),
                        otherwise
                    })
                );
            }
        }
        assert_eq!(
            chosen("auto", Some("ab")),
            Err("`ab` is not a SHA-256 checksum of 64 hexadecimal digits".to_owned())
        );
        let again = OsqueryChoice {
            osqueryd: OsquerydChoice::Auto,
            sha256: None,
            unavailable: Some("no network".to_owned()),
        };
        assert_eq!(
            choose(&again).expect("a choice"),
            Package::None {
                because: Some("no network".to_owned())
            }
        );
    }

    #[test]
    fn a_build_tells_what_became_of_the_package() {
        let of_line = |line| PackageError::of_line(line).map(|error| error.to_string());
        assert_eq!(
            of_line("fetch-osquery: unavailable: Could not resolve 'pkg.osquery.io'").as_deref(),
            Some("osquery's package 5.23.1 cannot be had: Could not resolve 'pkg.osquery.io'")
        );
        assert_eq!(
            of_line("fetch-osquery: refused: no signature").as_deref(),
            Some("osquery's package 5.23.1 is NOT TRUSTED and was not used: no signature")
        );
        assert_eq!(
            of_line("Step 8/16 : RUN fetch-osquery \"$OSQUERY_VERSION\""),
            None
        );
    }

    #[test]
    fn a_package_of_this_machine_is_checked() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("osquery.deb");
        std::fs::write(&path, "abc").expect("a file");
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let shown = path.display().to_string();
        for expected in [None, Some(sum)] {
            assert_eq!(
                chosen(&shown, expected),
                Ok(Package::File {
                    path: path.clone(),
                    sha256: sum.to_owned()
                })
            );
        }
        let other = "0".repeat(64);
        assert_eq!(
            chosen(&shown, Some(&other)),
            Err(format!("the checksum of `{shown}` is {sum}, not {other}"))
        );
        assert_eq!(
            chosen("/usr/bin/osqueryd", None),
            Err(
                "`/usr/bin/osqueryd` is not a Debian package of osquery (`.deb`), which is what the Docker engine \
                 takes"
                    .to_owned()
            )
        );
    }
}
