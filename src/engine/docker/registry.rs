//! Images of registries, got through the daemon: looked for on the machine first, pulled when they have to be, and held
//! to the lock file. What is there already is never asked of a registry.

use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::{CreateImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout};

use crate::engine::News;
use crate::engine::docker::connection::Connection;
use crate::engine::docker::error::{DockerError, with_causes};
use crate::engine::docker::local_image::LocalImage;
use crate::error::Result;
use crate::events::{Change, News as Progress, StepNews};
use crate::images::{
    CredentialSource, Credentials, ImageError, ImageLock, LockedImage, PullFault, PullPolicy, PullProgress,
    Reference, RegistryPrefix, Retries, USUAL_SILENCE,
};
use crate::stack::ImageRef;
use crate::waiting::before_next_try;

/// How often the sum of what has come is told.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// How images are got.
#[derive(Debug, Clone)]
pub struct PullSettings {
    /// When.
    pub policy: PullPolicy,
    /// From which mirror, if not from the registry of their names.
    pub mirror: Option<RegistryPrefix>,
    /// How long a registry may be silent.
    pub silence: Duration,
    /// How often a failed pull is tried again.
    pub retries: Retries,
    /// Who pulls.
    pub credentials: CredentialSource,
    /// What they must be.
    pub lock: ImageLock,
}

/// What came of asking for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provided {
    /// It was there; no registry was asked.
    WasThere,
    /// It was pulled.
    Pulled,
}

/// What is asked of which registry, and who asks.
pub(super) struct Asked {
    /// The image by its own name.
    wanted: Reference,
    /// The image in the mirror, and at the locked digest.
    pub(super) asked: Reference,
    /// For the daemon.
    pub(super) credentials: Option<DockerCredentials>,
}

/// A failed attempt: the daemon's fault ends everything, the registry's may be worth another attempt.
enum Failed {
    Daemon(DockerError),
    Pull { fault: PullFault, answer: String },
}

impl PullSettings {
    /// Nothing is pulled that is there, and nothing is locked.
    pub fn usual() -> Self {
        Self {
            policy: PullPolicy::Missing,
            mirror: None,
            silence: USUAL_SILENCE,
            retries: Retries::default(),
            credentials: CredentialSource::of_environment(),
            lock: ImageLock::default(),
        }
    }
}

impl Asked {
    pub(super) async fn find(
        image: &ImageRef,
        settings: &PullSettings,
    ) -> std::result::Result<Self, ImageError> {
        let wanted: Reference = image.as_str().parse()?;
        let mut asked = match &settings.mirror {
            Some(mirror) => wanted.in_mirror(mirror),
            None => wanted.clone(),
        };
        if let Some(locked) = settings.lock.images.get(image) {
            asked = asked.at_digest(&locked.digest);
        }
        let credentials = settings.credentials.find(asked.registry()).await?;
        Ok(Self {
            wanted,
            credentials: credentials.map(|credentials| for_daemon(credentials, asked.registry())),
            asked,
        })
    }
}

impl Connection {
    /// Whether an image is on the machine and is the locked one, so that no registry has to be asked.
    ///
    /// # Errors
    /// With [`PullPolicy::Never`], when it is not; and when it is for another architecture.
    pub async fn is_provided(&self, image: &ImageRef, settings: &PullSettings) -> Result<bool> {
        let Some(there) = self.local_image(image.as_str()).await? else {
            return match settings.policy {
                PullPolicy::Never => Err(ImageError::NotThere { image: image.clone() }.into()),
                PullPolicy::Missing | PullPolicy::Always => Ok(false),
            };
        };
        match (
            settings.policy,
            check(image, &there, settings.lock.images.get(image)),
        ) {
            (PullPolicy::Always, _) => return Ok(false),
            // Another content of the same name is no reason not to pull the right one.
            (PullPolicy::Missing, Err(_)) => return Ok(false),
            (PullPolicy::Never, Err(error)) => return Err(error.into()),
            (_, Ok(())) => {}
        }
        self.check_platform(image, &there)?;
        Ok(true)
    }

    /// Makes sure that an image of a registry is on the machine, and is the locked one. Dropping the future ends the
    /// pull. What has come whole stays: of an interrupted image the daemon keeps only layers that other images have,
    /// unless it stores images in containerd. So few are pulled at once, each with the daemon's whole attention.
    ///
    /// # Errors
    /// [`ImageError`] and what the daemon says.
    pub async fn provide(&self, image: &ImageRef, settings: &PullSettings, news: &News) -> Result<Provided> {
        if self.is_provided(image, settings).await? {
            return Ok(Provided::WasThere);
        }
        self.pull(image, settings, news).await?;
        Ok(Provided::Pulled)
    }

    /// Gets an image from its registry, whatever is on the machine. Dropping the future ends the pull.
    pub(super) async fn pull(&self, image: &ImageRef, settings: &PullSettings, news: &News) -> Result<()> {
        let Asked {
            wanted,
            asked,
            credentials,
        } = Asked::find(image, settings).await?;
        {
            if self.pulls.available_permits() == 0 {
                news(StepNews::Whole(Progress::Queued));
            }
            let _turn = self.pulls.acquire().await;
            self.pull_with_retries(&asked, credentials, settings, news)
                .await?;
        }
        let name = format!("{}{}", asked.name(), version(&asked));
        let Some(pulled) = self.local_image(&name).await? else {
            return Err(ImageError::NotThere { image: asked.image() }.into());
        };
        check(image, &pulled, settings.lock.images.get(image))?;
        self.check_platform(image, &pulled)?;
        if asked.image() == *image || wanted.digest.is_some() {
            return Ok(());
        }
        let options = TagImageOptionsBuilder::default()
            .repo(&wanted.name())
            .tag(wanted.tag())
            .build();
        let request = self.docker.tag_image(&name, Some(options));
        Ok(self.answer("tag", &format!("image {image}"), request).await?)
    }

    async fn pull_with_retries(
        &self,
        asked: &Reference,
        credentials: Option<DockerCredentials>,
        settings: &PullSettings,
        news: &News,
    ) -> Result<()> {
        let mut failures = 0;
        loop {
            let (fault, answer) = match self
                .pull_once(asked, credentials.clone(), settings.silence, news)
                .await
            {
                Ok(()) => return Ok(()),
                Err(Failed::Daemon(error)) => return Err(error.into()),
                Err(Failed::Pull {
                    fault: PullFault::Silent,
                    ..
                }) => {
                    return Err(ImageError::Silent {
                        image: asked.image(),
                        registry: asked.registry().to_owned(),
                        limit: settings.silence,
                    }
                    .into());
                }
                Err(Failed::Pull { fault, answer }) => (fault, answer),
            };
            failures += 1;
            let Some(pause) = settings.retries.pause_after(fault, failures) else {
                return Err(ImageError::Pull {
                    image: asked.image(),
                    fault,
                    answer,
                    registry: asked.registry().to_owned(),
                    platform: self.platform(),
                    attempts: failures,
                }
                .into());
            };
            let fault = fault.to_string();
            news(StepNews::Whole(Progress::Retrying { fault, answer, pause }));
            before_next_try(pause).await;
        }
    }

    /// One pull. A fault can come at any moment of an answer that began with the status 200.
    async fn pull_once(
        &self,
        asked: &Reference,
        credentials: Option<DockerCredentials>,
        silence: Duration,
        news: &News,
    ) -> std::result::Result<(), Failed> {
        let options = CreateImageOptionsBuilder::default()
            .from_image(&asked.name())
            .tag(asked.digest.as_deref().unwrap_or(asked.tag()))
            .build();
        let mut stream = Box::pin(self.docker.create_image(Some(options), None, credentials));
        let mut progress = PullProgress::default();
        let (mut told, mut told_at) = (None, Instant::now());
        loop {
            let item = match timeout(silence, stream.next()).await {
                Err(_) | Ok(Some(Err(Error::RequestTimeoutError))) => {
                    return Err(Failed::Pull {
                        fault: PullFault::Silent,
                        answer: String::new(),
                    });
                }
                Ok(None) => return Ok(()),
                Ok(Some(item)) => item.map_err(|error| self.failed(&error))?,
            };
            let CreateImageInfo {
                id,
                error_detail,
                status,
                progress_detail,
            } = item;
            if let Some(detail) = error_detail {
                let answer = detail
                    .message
                    .unwrap_or_else(|| format!("code {}", detail.code.unwrap_or_default()));
                return Err(Failed::Pull {
                    fault: PullFault::of_answer(&answer),
                    answer,
                });
            }
            let bytes = progress_detail.and_then(|detail| {
                Some((
                    u64::try_from(detail.current?).ok()?,
                    u64::try_from(detail.total?).ok()?,
                ))
            });
            let layer = progress.take(
                &id.unwrap_or_default(),
                status.as_deref().unwrap_or_default(),
                bytes,
            );
            let is_count = layer.as_ref().is_some_and(|layer| layer.change == Change::Bytes);
            if let Some(layer) = layer {
                news(StepNews::Part(layer));
            }
            let count = progress.count();
            if told.as_ref() != Some(&count) && !(is_count && told_at.elapsed() < COUNT_EVERY) {
                news(StepNews::Whole(Progress::Layers(count.clone())));
                (told, told_at) = (Some(count), Instant::now());
            }
        }
    }

    fn failed(&self, error: &Error) -> Failed {
        let answer = match error {
            Error::DockerStreamError { error } => error.trim().to_owned(),
            Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
            other => match self.connection_error(other) {
                Some(error) => return Failed::Daemon(error),
                None => with_causes(other),
            },
        };
        Failed::Pull {
            fault: PullFault::of_answer(&answer),
            answer,
        }
    }

    /// An image for another machine would start under emulation, or not at all.
    fn check_platform(&self, image: &ImageRef, there: &LocalImage) -> Result<()> {
        let wanted = self.platform();
        if there.platform == wanted {
            return Ok(());
        }
        Err(ImageError::OtherPlatform {
            image: image.clone(),
            found: there.platform.clone(),
            wanted,
        }
        .into())
    }
}

fn check(
    image: &ImageRef,
    there: &LocalImage,
    locked: Option<&LockedImage>,
) -> std::result::Result<(), ImageError> {
    match locked {
        Some(locked) if !there.is(locked) => Err(ImageError::WrongDigest {
            image: image.clone(),
            found: there.content().to_owned(),
            locked: locked.digest.clone(),
        }),
        _ => Ok(()),
    }
}

/// What stands behind the name of an image: its digest, or its tag.
fn version(reference: &Reference) -> String {
    match &reference.digest {
        Some(digest) => format!("@{digest}"),
        None => format!(":{}", reference.tag()),
    }
}

fn for_daemon(credentials: Credentials, registry: &str) -> DockerCredentials {
    let serveraddress = Some(registry.to_owned());
    match credentials {
        Credentials::User { name, password } => DockerCredentials {
            username: Some(name),
            password: Some(password),
            serveraddress,
            ..DockerCredentials::default()
        },
        Credentials::Token(token) => DockerCredentials {
            identitytoken: Some(token),
            serveraddress,
            ..DockerCredentials::default()
        },
    }
}
