//! The images that are made from this repository: what goes into each, and what identifies its content.

mod build;
mod context;
mod osquery_package;
mod program;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::engine::docker::image::context::{BuildContext, ContextFile};
use crate::engine::docker::image::osquery_package::Package;
use crate::engine::native::host_folder;
use crate::engine::native::programs::{self, Osqueryd, OsquerydChoice};
use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::stack::Recipe;

pub use osquery_package::PackageError;

pub(super) use build::{build, remove_replaced};

/// The variable of the stack file that names the host image's repository.
pub const HOST_IMAGE_VARIABLE: &str = "OSQDEMO_HOST_IMAGE";

/// The variable of the stack file that names the tag of our images: set it where several builds of osqdemo share a
/// daemon, or each makes the images of the others anew.
const TAG_VARIABLE: &str = "OSQDEMO_IMAGE_TAG";

/// The repository of the host image with osquery.
const OSQUERY_IMAGE: &str = "host";

/// The repository of the host image with the built-in agent.
const AGENT_IMAGE: &str = "host-agent";

/// The repositories of the host images, the preferred one first.
pub const HOST_IMAGES: [&str; 2] = [OSQUERY_IMAGE, AGENT_IMAGE];

const PLATFORM_DOCKERFILE: &str = include_str!("../../../../platform/image/Dockerfile");
const OSQUERY_DOCKERFILE: &str = include_str!("../../../../hosts/image/Dockerfile");
const AGENT_DOCKERFILE: &str = include_str!("../../../../hosts/image/Dockerfile.agent");
const FETCH_OSQUERY: &str = include_str!("../../../../hosts/image/fetch-osquery");
const START_HOST: &str = include_str!("../../../../hosts/image/start-host");
const FLAGS: &str = include_str!("../../../../hosts/image/osqueryd.flags");
const EXTENSIONS: &str = include_str!("../../../../hosts/image/extensions.load");

/// What the images of this repository are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSources {
    platform: BuildContext,
    host: BuildContext,
    variant: HostVariant,
    contents: BTreeMap<Recipe, String>,
}

/// What a host's image runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostVariant {
    /// osquery's official package.
    Osquery {
        /// Its version, or the file it comes from.
        package: String,
        /// What happens when it cannot be had.
        otherwise: Otherwise,
    },
    /// The built-in agent.
    Agent {
        /// Why osquery cannot be had, when nobody asked for the agent.
        because: Option<String>,
    },
}

impl fmt::Display for HostVariant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Osquery { package, .. } => write!(formatter, "the hosts run osquery ({package})"),
            Self::Agent { because: None } => formatter.write_str("the hosts run the built-in agent"),
            Self::Agent {
                because: Some(because),
            } => write!(
                formatter,
                "the hosts run the built-in agent: {because} (`--osqueryd auto` tries again)"
            ),
        }
    }
}

/// What happens when osquery's package cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// The hosts run the built-in agent.
    Agent,
    /// Nothing can be made.
    Failure,
}

/// What the user says about osquery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsqueryChoice {
    /// `auto`, `osquery`, `builtin`, or the path of a package.
    pub osqueryd: String,
    /// The checksum of the package.
    pub sha256: Option<String>,
    /// Why the package could not be had the last time: `auto` does not try again.
    pub unavailable: Option<String>,
}

/// An image cannot be made from what there is.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A program is not one for Linux.
    #[error("`{}` cannot go into an image: {reason}", path.display())]
    NotForLinux {
        /// The program.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The daemon runs on another machine than osqdemo was built for.
    #[error("the Docker daemon runs on {daemon}, and this osqdemo is built for {own}")]
    OtherArchitecture {
        /// Ours.
        own: &'static str,
        /// The daemon's.
        daemon: String,
    },
    /// A program needs a newer C library than the base image has.
    #[error(
        "`{}` needs glibc {needed}, and the base image `debian:bookworm-slim` has {}",
        path.display(),
        program::BASE_GLIBC
    )]
    TooNew {
        /// The program.
        path: PathBuf,
        /// What it needs.
        needed: program::GlibcVersion,
    },
    /// A file cannot be read.
    #[error("failed to read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is given as osquery is not a package.
    #[error("`{}` is not a Debian package of osquery (`.deb`), which is what the Docker engine takes", path.display())]
    NotAPackage {
        /// The file.
        path: PathBuf,
    },
    /// The package is another one than it should be.
    #[error("the checksum of `{}` is {actual}, not {expected}", path.display())]
    WrongChecksum {
        /// The file.
        path: PathBuf,
        /// What it is.
        actual: String,
        /// What it should be.
        expected: String,
    },
    /// Not a checksum.
    #[error("`{text}` is not a SHA-256 checksum of 64 hexadecimal digits")]
    NotAChecksum {
        /// What was given.
        text: String,
    },
}

impl Diagnose for SourceError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::NotForLinux { .. }
            | Self::OtherArchitecture { .. }
            | Self::TooNew { .. }
            | Self::Read { .. }
            | Self::WrongChecksum { .. } => ExitCode::Preflight,
            Self::NotAPackage { .. } | Self::NotAChecksum { .. } => ExitCode::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::OtherArchitecture { daemon, .. } => {
                vec![format!("use an osqdemo that is built for {daemon}")]
            }
            Self::TooNew { .. } | Self::NotForLinux { .. } => vec![
                "build osqdemo on Debian 12 or an older Linux, or use a released binary".to_owned(),
                "`--engine native` needs no images".to_owned(),
            ],
            Self::NotAPackage { .. } => {
                vec!["`--osqueryd` takes `auto`, `osquery`, `builtin`, or the path of a package".to_owned()]
            }
            Self::WrongChecksum { .. } => vec!["fetch the package again from osquery's own site".to_owned()],
            Self::Read { .. } | Self::NotAChecksum { .. } => Vec::new(),
        }
    }
}

impl ImageSources {
    /// Finds the programs and decides what the hosts run. `architecture` is the daemon's, in Docker's words.
    ///
    /// # Errors
    /// When a program is missing or cannot go into an image.
    pub fn find(choice: &OsqueryChoice, architecture: &str) -> Result<Self> {
        let own = programs::own_path()?;
        let osqdemo = program::inspect(&own)?;
        if osqdemo.architecture.as_str() != architecture {
            return Err(SourceError::OtherArchitecture {
                own: osqdemo.architecture.as_str(),
                daemon: architecture.to_owned(),
            }
            .into());
        }
        let platform = BuildContext::new(
            PLATFORM_DOCKERFILE,
            vec![ContextFile::program("osqdemo", &own, &osqdemo)],
            BTreeMap::new(),
        );
        let extension = programs::find_extension(&own)?;
        let mut files = vec![
            ContextFile::program("confluent.ext", &extension, &program::inspect(&extension)?),
            ContextFile::script("start-host", START_HOST),
            ContextFile::text("etc/osquery.flags", FLAGS),
            ContextFile::text("etc/extensions.load", EXTENSIONS),
            ContextFile::text("etc/osquery_confluent_config.json", host_folder::CONFIGURATION),
        ];
        let (dockerfile, arguments, variant) = match osquery_package::choose(choice)? {
            Package::File { path, sha256 } => {
                files.push(ContextFile::script("fetch-osquery", FETCH_OSQUERY));
                files.push(ContextFile::package("package/osquery.deb", &path, &sha256));
                let variant = HostVariant::Osquery {
                    package: format!("`{}`, SHA-256 {sha256}", path.display()),
                    otherwise: Otherwise::Failure,
                };
                let arguments = osquery_package::arguments(Some(&sha256));
                (OSQUERY_DOCKERFILE, arguments, variant)
            }
            Package::Fetched { sha256, otherwise } => {
                files.push(ContextFile::script("fetch-osquery", FETCH_OSQUERY));
                // The folder has to be there.
                files.push(ContextFile::text("package/is-fetched", ""));
                let variant = HostVariant::Osquery {
                    package: osquery_package::version(),
                    otherwise,
                };
                let arguments = osquery_package::arguments(sha256.as_deref());
                (OSQUERY_DOCKERFILE, arguments, variant)
            }
            Package::None { because } => {
                let agent = programs::find_osqueryd(&OsquerydChoice::Builtin, &own)?;
                let agent = match &agent {
                    Osqueryd::Builtin(path) | Osqueryd::Real(path) => path,
                };
                files.push(ContextFile::program("osqueryd", agent, &program::inspect(agent)?));
                (AGENT_DOCKERFILE, BTreeMap::new(), HostVariant::Agent { because })
            }
        };
        let host = BuildContext::new(dockerfile, files, arguments);
        let contents = BTreeMap::from([
            (Recipe::Platform, platform.content()),
            (Recipe::Host, host.content()),
        ]);
        Ok(Self {
            platform,
            host,
            variant,
            contents,
        })
    }

    /// What the hosts run.
    pub fn variant(&self) -> &HostVariant {
        &self.variant
    }

    /// The values of the stack file's variables that these sources decide.
    pub fn variables(&self) -> BTreeMap<String, String> {
        variables(match self.variant {
            HostVariant::Osquery { .. } => OSQUERY_IMAGE,
            HostVariant::Agent { .. } => AGENT_IMAGE,
        })
    }

    /// What identifies the content of an image.
    pub fn content(&self, recipe: Recipe) -> String {
        self.contents.get(&recipe).cloned().unwrap_or_default()
    }

    pub(super) fn context(&self, recipe: Recipe) -> &BuildContext {
        match recipe {
            Recipe::Platform => &self.platform,
            Recipe::Host => &self.host,
        }
    }
}

fn variables(host_image: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::from([(HOST_IMAGE_VARIABLE.to_owned(), host_image.to_owned())]);
    if let Ok(tag) = std::env::var(TAG_VARIABLE) {
        variables.insert(TAG_VARIABLE.to_owned(), tag);
    }
    variables
}

/// The SHA-256 checksum of a file.
fn checksum(path: &Path) -> std::result::Result<String, SourceError> {
    use sha2::{Digest, Sha256};
    let bytes = std::fs::read(path).map_err(|source| SourceError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
