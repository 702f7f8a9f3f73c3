//! Whether the images of registries are for the daemon's machine: those that are here by what the daemon knows of
//! them, the others by what their registry publishes. With all of them here, no registry is asked.

use std::time::Duration;

use futures_util::future::join_all;

use crate::doctor::docker::{failed, pass, warn};
use crate::doctor::{Check, Status};
use crate::engine::docker::{Connection, LocalImage, PullSettings};
use crate::error::Diagnose;
use crate::images::{ImageError, PullPolicy, end_of_life};
use crate::stack::{ImageRef, Stack};

/// How long a registry may take to say what it publishes: a doctor is not to keep anybody waiting.
const REGISTRY_LIMIT: Duration = Duration::from_secs(3);

/// One check an image.
pub(super) async fn check(connection: &Connection, stack: &Stack, settings: &PullSettings) -> Vec<Check> {
    let containers = stack
        .services
        .iter()
        .filter_map(|service| service.container.as_ref());
    let mut images: Vec<ImageRef> = containers
        .filter(|container| container.recipe.is_none())
        .map(|container| ImageRef::new(container.image.fill(&|name| std::env::var(name).ok())))
        .collect();
    images.sort();
    images.dedup();
    let wanted = connection.platform();
    let checks = images
        .iter()
        .map(|image| check_image(connection, image, &wanted, settings));
    let mut checks = join_all(checks).await;
    if images.iter().any(end_of_life::goes_away) {
        checks.push(warn(
            "Confluent Platform 7.9",
            "is the last line with ZooKeeper; Confluent takes its images away when its support ends"
                .to_owned(),
            Some(end_of_life::WAY_OUT.to_owned()),
        ));
    }
    checks
}

async fn check_image(
    connection: &Connection,
    image: &ImageRef,
    wanted: &str,
    settings: &PullSettings,
) -> Check {
    let name = format!("image {image}");
    match connection.local_image(image.as_str()).await {
        Ok(Some(there)) => check_local(&name, image, &there, wanted),
        Ok(None) if settings.policy == PullPolicy::Never => {
            let image = image.clone();
            failed(&name, &ImageError::NotThere { image }.into())
        }
        Ok(None) => check_published(connection, &name, image, wanted, settings).await,
        Err(error) => failed(&name, &error.into()),
    }
}

fn check_local(name: &str, image: &ImageRef, there: &LocalImage, wanted: &str) -> Check {
    if there.platform == wanted {
        return pass(name, format!("is here, for {wanted}"));
    }
    let error = ImageError::OtherPlatform {
        image: image.clone(),
        found: there.platform.clone(),
        wanted: wanted.to_owned(),
    };
    failed(name, &error.into())
}

async fn check_published(
    connection: &Connection,
    name: &str,
    image: &ImageRef,
    wanted: &str,
    settings: &PullSettings,
) -> Check {
    let asked = connection.published_platforms(image, settings, REGISTRY_LIMIT);
    match asked.await {
        Ok(platforms) if platforms.iter().any(|platform| platform == wanted) => pass(
            name,
            format!("is not here yet; its registry has it for {wanted}"),
        ),
        Ok(platforms) if platforms.is_empty() => warn(
            name,
            "is not here yet; its registry does not say for which machines it is".to_owned(),
            None,
        ),
        Ok(platforms) => Check {
            status: Status::Fail,
            ..warn(
                name,
                format!(
                    "its registry has it for {}, and this Docker engine runs {wanted}",
                    platforms.join(", ")
                ),
                Some(
                    "use a machine of another architecture, or stack `lite`, which is built from this repository"
                        .to_owned(),
                ),
            )
        },
        Err(failure) => {
            let why: &dyn Diagnose = failure.diagnosis();
            warn(
                name,
                format!("is not here; whether it can be pulled is not known: {why}"),
                Some(
                    "`osqdemo images pull` tries; `--registry PREFIX` pulls from a mirror; `osqdemo images load FILE` \
                     takes images from a file"
                        .to_owned(),
                ),
            )
        }
    }
}
