//! osquery's official package: which version, and whether it can be had. It is used only with a checksum: one that is
//! given, or one of `hosts/image/osquery-package.json`, which `osqdemo images lock` fills in where the package can
//! be fetched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::engine::docker::containers;
use crate::engine::docker::image::program::Architecture;
use crate::engine::docker::image::{OsqueryChoice, SourceError, checksum};

const LOCK: &str = include_str!("../../../../hosts/image/osquery-package.json");

/// Where osquery's packages are.
const SITE: &str = "pkg.osquery.io";

/// How long its site may take to answer.
const SITE_LIMIT: Duration = Duration::from_secs(3);

/// Where the package comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Package {
    /// From a file of this machine.
    File { path: PathBuf, sha256: String },
    /// From osquery's site.
    Site { version: String, sha256: String },
    /// There is none.
    None {
        /// Why, when nobody asked for that.
        because: Option<String>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    version: String,
    sha256: BTreeMap<String, Option<String>>,
}

fn lock() -> Lock {
    // The embedded file is valid, which a test holds; without it there is no package.
    serde_json::from_str(LOCK).unwrap_or_else(|_| Lock {
        version: String::new(),
        sha256: BTreeMap::new(),
    })
}

/// The build arguments that the Dockerfile takes.
pub(super) fn arguments(sha256: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("OSQUERY_VERSION".to_owned(), lock().version),
        ("OSQUERY_SHA256".to_owned(), sha256.to_owned()),
    ])
}

/// Decides where the package comes from.
pub(super) async fn choose(
    choice: &OsqueryChoice,
    architecture: Architecture,
    has_image: bool,
) -> Result<Package, SourceError> {
    let lock = lock();
    let given = choice.sha256.as_deref().map(parse_checksum).transpose()?;
    let locked = lock.sha256.get(architecture.as_str()).cloned().flatten();
    let expected = given.or(locked);
    match choice.osqueryd.as_str() {
        "builtin" => Ok(Package::None { because: None }),
        "auto" => {
            let Some(sha256) = expected else {
                return Ok(Package::None {
                    because: Some(format!(
                        "no checksum of osquery's package {} for {} is known; give one with `--osquery-sha256`, or \
                         the package itself with `--osqueryd FILE.deb`",
                        lock.version,
                        architecture.as_str()
                    )),
                });
            };
            if !has_image && let Err(reason) = reach_site().await {
                return Ok(Package::None {
                    because: Some(format!("osquery's package cannot be fetched: {reason}")),
                });
            }
            Ok(Package::Site {
                version: lock.version,
                sha256,
            })
        }
        path => from_file(Path::new(path), expected),
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

fn parse_checksum(text: &str) -> Result<String, SourceError> {
    let is_valid = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_valid {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(SourceError::NotAChecksum {
            text: text.to_owned(),
        })
    }
}

/// Whether the daemon has a chance to fetch the package. Behind a proxy only the build itself can tell.
async fn reach_site() -> Result<(), String> {
    if containers::proxy_variables().next().is_some() {
        return Ok(());
    }
    match timeout(SITE_LIMIT, TcpStream::connect((SITE, 443))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("`{SITE}` cannot be reached: {error}")),
        Err(_) => Err(format!(
            "`{SITE}` does not answer within {} s",
            SITE_LIMIT.as_secs()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(osqueryd: &str, sha256: Option<&str>) -> Result<Package, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let choice = OsqueryChoice {
            osqueryd: osqueryd.to_owned(),
            sha256: sha256.map(str::to_owned),
        };
        runtime
            .block_on(choose(&choice, Architecture::Amd64, true))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_embedded_lock_is_valid() {
        let lock: Lock = serde_json::from_str(LOCK).expect("a lock");
        assert_eq!(lock.version, "5.23.1");
        for checksum in lock.sha256.into_values().flatten() {
            parse_checksum(&checksum).expect("a checksum");
        }
    }

    #[test]
    fn without_a_checksum_there_is_no_package() {
        assert_eq!(chosen("builtin", None), Ok(Package::None { because: None }));
        let sum = "AB".repeat(32);
        assert_eq!(
            chosen("auto", Some(&sum)),
            Ok(Package::Site {
                version: "5.23.1".to_owned(),
                sha256: sum.to_lowercase()
            })
        );
        assert_eq!(
            chosen("auto", Some("ab")),
            Err("`ab` is not a SHA-256 checksum of 64 hexadecimal digits".to_owned())
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
