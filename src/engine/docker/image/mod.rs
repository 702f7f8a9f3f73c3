//! The images that are made from this repository: what goes into each, and what identifies its content.

mod build;
mod context;
mod osquery_package;
mod program;
mod removal;
mod source_error;
mod source_tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::engine::OsquerydChoice;
use crate::engine::docker::error::DockerError;
use crate::engine::docker::image::context::{BuildContext, ContextFile};
use crate::engine::docker::image::osquery_package::Package;
use crate::engine::docker::image::program::Program;
use crate::engine::native::programs::{self, Osqueryd};
use crate::error::Result;
use crate::events::{Event, Hosts, Note, Warning};
use crate::host_config;
use crate::plan::ProgramsImage;
use crate::stack::{ImageRef, Recipe};

pub use osquery_package::{PackageError, checksum_of};
pub use source_error::SourceError;

pub use removal::RemovedImages;

pub(super) use build::build;
pub(super) use removal::remove_replaced;

/// The variable of the stack file that names the host image's repository.
pub const HOST_IMAGE_VARIABLE: &str = "OSQDEMO_HOST_IMAGE";

/// The variable of the stack file that names the tag of our images: set it where several builds of osqdemo share a
/// daemon, or each makes the images of the others anew.
const TAG_VARIABLE: &str = "OSQDEMO_IMAGE_TAG";

/// The repository of the host image with osquery.
const OSQUERY_IMAGE: &str = "host";

/// The repository of the host image with the built-in agent.
const AGENT_IMAGE: &str = "host-agent";

/// The image that holds programs which were compiled from a checkout.
const PROGRAMS_IMAGE: &str = "osqdemo/programs";

/// The repositories of the host images, the preferred one first.
pub const HOST_IMAGES: [&str; 2] = [OSQUERY_IMAGE, AGENT_IMAGE];

const PLATFORM_DOCKERFILE: &str = include_str!("../../../../platform/image/Dockerfile");
const OSQUERY_DOCKERFILE: &str = include_str!("../../../../hosts/image/Dockerfile");
const AGENT_DOCKERFILE: &str = include_str!("../../../../hosts/image/Dockerfile.agent");
const FETCH_OSQUERY: &str = include_str!("../../../../hosts/image/fetch-osquery");
const START_HOST: &str = include_str!("../../../../hosts/image/start-host");
const FLAGS: &str = include_str!("../../../../hosts/image/osqueryd.flags");
const EXTENSIONS: &str = include_str!("../../../../hosts/image/extensions.load");

/// The configuration that hosts have in `/etc/osquery`.
pub const HOST_CONFIGURATION: [(&str, &str); 3] = [
    ("osquery.flags", FLAGS),
    ("extensions.load", EXTENSIONS),
    ("osquery_confluent_config.json", host_config::DEFAULT),
];

/// What the images of this repository are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSources {
    platform: BuildContext,
    host: BuildContext,
    variant: HostVariant,
    contents: BTreeMap<Recipe, String>,
    built: Option<BuiltPrograms>,
}

/// The image that holds the programs of the others, and the checkout that they are compiled from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BuiltPrograms {
    image: ProgramsImage,
    context: BuildContext,
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

impl HostVariant {
    /// The variant as it is told: a warning when it is less than the user may expect.
    pub fn told(&self) -> Event {
        match self {
            Self::Osquery { package, .. } => Event::Note(Note::Hosts(Hosts::Osquery {
                package: package.clone(),
            })),
            Self::Agent { because: None } => Event::Note(Note::Hosts(Hosts::Agent { because: None })),
            Self::Agent { because } => Event::Warning(Warning::Hosts(Hosts::Agent {
                because: because.clone(),
            })),
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
    /// Which osqueryd; a path is that of a package.
    pub osqueryd: OsquerydChoice,
    /// The checksum of the package.
    pub sha256: Option<String>,
    /// Why the package could not be had the last time: `auto` does not try again.
    pub unavailable: Option<String>,
}

impl ImageSources {
    /// Finds the programs and decides what the hosts run. `architecture` is the daemon's, in Docker's words; `source`
    /// is a checkout to compile the programs from, instead of those that are installed.
    ///
    /// # Errors
    /// When a program is missing or cannot go into an image.
    pub fn find(choice: &OsqueryChoice, architecture: &str, source: Option<&Path>) -> Result<Self> {
        let built = source.map(BuiltPrograms::of_checkout).transpose()?;
        let programs = match &built {
            Some(built) => Programs::Built(built),
            None => Programs::installed(architecture)?,
        };
        let platform = BuildContext::new(PLATFORM_DOCKERFILE, vec![programs.osqdemo()], BTreeMap::new());
        let mut files = vec![
            programs.extension()?,
            ContextFile::script("files/usr/local/bin/start-host", START_HOST),
            ContextFile::text("files/etc/osquery/osquery.flags", FLAGS),
            ContextFile::text("files/etc/osquery/extensions.load", EXTENSIONS),
            ContextFile::text(
                "files/etc/osquery/osquery_confluent_config.json",
                host_config::DEFAULT,
            ),
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
                files.push(programs.agent()?);
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
            built,
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

    /// The image with the programs of the others, where they are compiled.
    pub fn programs(&self) -> Option<&ProgramsImage> {
        self.built.as_ref().map(|built| &built.image)
    }

    /// The same, and what it is made from.
    pub(super) fn compiled(&self) -> std::result::Result<(&ProgramsImage, &BuildContext), DockerError> {
        let built = self.built.as_ref().ok_or(DockerError::NoSources)?;
        Ok((&built.image, &built.context))
    }

    pub(super) fn context(&self, recipe: Recipe) -> &BuildContext {
        match recipe {
            Recipe::Platform => &self.platform,
            Recipe::Host => &self.host,
        }
    }
}

impl BuiltPrograms {
    fn of_checkout(root: &Path) -> std::result::Result<Self, SourceError> {
        let context = source_tree::context(root)?;
        Ok(Self {
            image: ProgramsImage {
                image: ImageRef::new(format!("{PROGRAMS_IMAGE}:{}", tag())),
                content: context.content(),
            },
            context,
        })
    }

    fn program(&self, name: &str) -> ContextFile {
        ContextFile::program_of_image(name, &self.image.image, &self.image.content)
    }
}

/// Where the programs of the images come from.
enum Programs<'a> {
    /// From this installation.
    Installed { osqdemo: PathBuf, program: Program },
    /// From an image.
    Built(&'a BuiltPrograms),
}

impl Programs<'_> {
    fn installed(architecture: &str) -> Result<Self> {
        let osqdemo = programs::own_path()?;
        let program = program::inspect(&osqdemo)?;
        if program.architecture.as_str() != architecture {
            return Err(SourceError::OtherArchitecture {
                own: program.architecture.as_str(),
                daemon: architecture.to_owned(),
            }
            .into());
        }
        Ok(Self::Installed { osqdemo, program })
    }

    fn osqdemo(&self) -> ContextFile {
        let name = "files/usr/local/bin/osqdemo";
        match self {
            Self::Installed { osqdemo, program } => ContextFile::program(name, osqdemo, program),
            Self::Built(built) => built.program(name),
        }
    }

    fn extension(&self) -> Result<ContextFile> {
        let name = "files/usr/lib/osquery/extensions/confluent.ext";
        Ok(match self {
            Self::Installed { osqdemo, .. } => {
                let extension = programs::find_extension(osqdemo)?;
                ContextFile::program(name, &extension, &program::inspect(&extension)?)
            }
            Self::Built(built) => built.program(name),
        })
    }

    /// The built-in agent, which is called as what it stands in for.
    fn agent(&self) -> Result<ContextFile> {
        let name = "files/usr/bin/osqueryd";
        Ok(match self {
            Self::Installed { osqdemo, .. } => {
                let agent = programs::find_osqueryd(&OsquerydChoice::Builtin, osqdemo)?;
                let (Osqueryd::Builtin(agent) | Osqueryd::Real(agent)) = agent;
                ContextFile::program(name, &agent, &program::inspect(&agent)?)
            }
            Self::Built(built) => built.program(name),
        })
    }
}

/// The hosts' image with osquery's package.
pub(super) fn with_osquery() -> ImageRef {
    ImageRef::new(format!("osqdemo/{OSQUERY_IMAGE}:{}", tag()))
}

/// The tag of our images.
fn tag() -> String {
    std::env::var(TAG_VARIABLE).unwrap_or_else(|_| env!("CARGO_PKG_VERSION").to_owned())
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
