//! Why an image of a registry cannot be had, in plain words with the way out.

use std::time::Duration;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::images::{CredentialError, InvalidReference, PullFault, end_of_life};
use crate::quantity::duration;
use crate::stack::ImageRef;

/// An image cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Not the name of an image.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    /// The pull failed, also after all retries.
    #[error("failed to pull `{image}`{}: {fault}", attempts_in_words(*attempts))]
    Pull {
        /// What was asked for.
        image: ImageRef,
        /// What it means.
        fault: PullFault,
        /// What the daemon said.
        answer: String,
        /// The registry.
        registry: String,
        /// The platform that was asked for, such as `linux/arm64`.
        platform: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The registry said nothing for too long.
    #[error("failed to pull `{image}`: `{registry}` was silent for {}", duration(*limit))]
    Silent {
        /// What was asked for.
        image: ImageRef,
        /// The registry.
        registry: String,
        /// How long.
        limit: Duration,
    },
    /// The user wants nothing pulled.
    #[error("image `{image}` is not on this machine, and `--pull never` forbids to pull it")]
    NotThere {
        /// The image.
        image: ImageRef,
    },
    /// What is there is not what is locked.
    #[error("image `{image}` is not the one of the lock file: {found} instead of {locked}")]
    WrongDigest {
        /// The image.
        image: ImageRef,
        /// What is there.
        found: String,
        /// What should be there.
        locked: String,
    },
    /// The image is for another architecture.
    #[error("image `{image}` is for {found}, and this Docker engine runs {wanted}")]
    OtherPlatform {
        /// The image.
        image: ImageRef,
        /// What it is for.
        found: String,
        /// What is needed.
        wanted: String,
    },
    /// The daemon knows no digest of the image.
    #[error("image `{image}` has no digest: it was built or loaded on this machine, not pulled")]
    NoDigest {
        /// The image.
        image: ImageRef,
    },
    /// There are credentials, and they cannot be had.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
}

fn attempts_in_words(attempts: u32) -> String {
    match attempts {
        0 | 1 => String::new(),
        count => format!(" in {count} attempts"),
    }
}

impl Diagnose for ImageError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Reference(_) => ExitCode::Usage,
            _ => ExitCode::Pull,
        }
    }

    fn hints(&self) -> Vec<String> {
        let mirror =
            "`--registry PREFIX` pulls from a mirror; `osqdemo images load FILE` takes images from a file";
        match self {
            Self::Pull {
                fault: PullFault::RateLimited,
                registry,
                ..
            } => vec![
                format!("`docker login {registry}` raises the limit, and it is lifted after a while"),
                mirror.to_owned(),
            ],
            Self::Pull {
                fault: PullFault::Denied,
                registry,
                ..
            } => vec![format!("`docker login {registry}` tells the registry who asks")],
            Self::Pull {
                fault: PullFault::MissingPlatform,
                platform,
                ..
            } => vec![format!(
                "there is no such image for {platform}: use a machine of another architecture, or stack `lite`, \
                 which is built from this repository"
            )],
            Self::Pull {
                fault: PullFault::DiskFull,
                ..
            } => vec![
                "`docker system df` shows what uses the daemon's disk, `docker system prune` frees some"
                    .to_owned(),
            ],
            Self::Pull {
                fault: PullFault::WrongDigest,
                ..
            } => vec![
                "something between the registry and this machine changes what is sent; do not use this image"
                    .to_owned(),
            ],
            Self::Pull {
                fault: PullFault::NotFound,
                image,
                ..
            } => {
                let lives_on = end_of_life::goes_away(image).then(|| end_of_life::WAY_OUT.to_owned());
                let check = "check the name and the tag, and `--registry` where one is given".to_owned();
                lives_on.into_iter().chain([check]).collect()
            }
            Self::Pull { .. } | Self::Silent { .. } => vec![mirror.to_owned()],
            Self::NotThere { .. } => vec![
                "`osqdemo images pull` gets it; `osqdemo images load FILE` takes it from a file".to_owned(),
            ],
            Self::WrongDigest { .. } => vec![
                "`osqdemo images pull` gets the locked one; `osqdemo images lock` locks what is there"
                    .to_owned(),
            ],
            Self::OtherPlatform { .. } => {
                vec!["remove it with `docker image rm`, and pull it again".to_owned()]
            }
            Self::NoDigest { .. } => {
                vec!["`osqdemo images pull --pull always` gets it from its registry".to_owned()]
            }
            Self::Credentials(_) => vec!["`docker login` writes the credentials anew".to_owned()],
            Self::Reference(_) => Vec::new(),
        }
    }

    fn details(&self) -> Vec<String> {
        match self {
            Self::Pull { answer, .. } => vec![format!("the daemon said: {answer}")],
            _ => Vec::new(),
        }
    }
}
