//! `osqdemo images`: the images of the stack. `list` shows them, `pull` gets those of registries, `lock` writes down
//! their content, `save` and `load` carry them to a machine that reaches no registry. Also what `up` does about images
//! before it plans.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cli::ImagesArgs;
use crate::commands::Context;
use crate::commands::project::{Project, Resolved};
use crate::engine::docker::image::{HOST_IMAGE_VARIABLE, HOST_IMAGES};
use crate::engine::docker::{Connection, LocalImage, Provided, PullSettings};
use crate::error::Result;
use crate::events::{Doing, Ending, Event, Note, Outcome, SCHEMA_VERSION, Step};
use crate::images::{CredentialSource, ImageError, ImageLock, LockedImage, PullPolicy, Retries};
use crate::report::output_size::output_width;
use crate::report::table::table;
use crate::settings::{ImageSettings, ImagesAction, ImagesSettings};
use crate::stack::{Container, ImageRef, Recipe, Stack};

/// Whether images are other ones now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImagesChanged {
    /// At least one was pulled.
    Yes,
    /// All are as they were.
    No,
}

/// An image of the stack.
struct StackImage {
    image: ImageRef,
    recipe: Option<Recipe>,
}

/// An image of the stack and what the machine has of it.
struct Listed {
    image: StackImage,
    there: Option<LocalImage>,
    locked: Option<LockedImage>,
}

/// Fails with whatever keeps an image from being had, written or read.
pub(super) async fn run(context: Context, arguments: ImagesArgs) -> Result<()> {
    let remembered = Project::open(&context)?.remembered;
    let settings = ImagesSettings::resolve(&arguments, &context.settings, &remembered)?;
    let (stack, images) = (&settings.stack.stack, &settings.images);
    let connection = Connection::open().await?;
    match settings.action {
        ImagesAction::List => list(&context, stack, &connection, &ImageLock::load(&images.lock_file)?).await,
        ImagesAction::Pull => pull(&context, stack, &connection, &pull_settings(images)?).await,
        ImagesAction::Lock => write_lock(&context, stack, &connection, &images.lock_file).await,
        ImagesAction::Save(file) => save(&context, stack, &connection, &file).await,
        ImagesAction::Load(file) => load(&context, &connection, &file).await,
    }
}

/// How images are got, with what they must be.
///
/// # Errors
/// When the lock file cannot be read.
pub fn pull_settings(settings: &ImageSettings) -> Result<PullSettings> {
    let registry = settings.registry.as_ref();
    Ok(PullSettings {
        policy: settings.policy.value,
        mirror: registry.map(|registry| registry.value.clone()),
        silence: settings.silence.value,
        retries: Retries::default(),
        credentials: CredentialSource::of_environment(),
        lock: ImageLock::load(&settings.lock_file)?,
    })
}

/// What `up` does about the images of registries before it plans: with `--pull never` all must be there, with `always`
/// all are pulled, and one that is there but is not the locked one is pulled. What is merely missing, the plan gets.
///
/// # Errors
/// Whatever keeps an image from being had.
pub async fn provide_before_plan(context: &Context, resolved: &Resolved) -> Result<ImagesChanged> {
    let Some(daemon) = resolved.daemon() else {
        return Ok(ImagesChanged::No);
    };
    let containers = resolved.desired.iter().filter_map(|spec| spec.container.as_ref());
    let mut images: Vec<ImageRef> = containers
        .filter(|container| container.recipe.is_none())
        .map(|container| container.image.clone())
        .collect();
    images.sort();
    images.dedup();
    let mut wrong = Vec::new();
    for image in images {
        let is_the_plans =
            daemon.pull.policy == PullPolicy::Missing && !daemon.connection.has_image(&image).await?;
        if !is_the_plans && !daemon.connection.is_provided(&image, &daemon.pull).await? {
            wrong.push(image);
        }
    }
    let provided = provide_all(context, &daemon.connection, &wrong, &daemon.pull).await?;
    Ok(if provided.contains(&Provided::Pulled) {
        ImagesChanged::Yes
    } else {
        ImagesChanged::No
    })
}

/// Provides images side by side; the daemon bounds how many layers it pulls at once.
async fn provide_all(
    context: &Context,
    connection: &Connection,
    images: &[ImageRef],
    settings: &PullSettings,
) -> Result<Vec<Provided>> {
    let pulls = try_join_all(
        images
            .iter()
            .map(|image| provide(context, connection, image, settings)),
    );
    tokio::select! {
        provided = pulls => provided,
        // What has come stays.
        () = context.shutdown.token().cancelled() => Err(context.shutdown.interrupted().into()),
    }
}

async fn provide(
    context: &Context,
    connection: &Connection,
    image: &ImageRef,
    settings: &PullSettings,
) -> Result<Provided> {
    let (step, began) = (Step::image(image), Instant::now());
    context.reporter.emit(Event::StepStarted {
        step: step.clone(),
        doing: Doing::Looking,
    });
    let news = context.reporter.news_of(&step);
    let provided = connection.provide(image, settings, &news).await;
    let (outcome, ending) = match &provided {
        Ok(Provided::WasThere) => (Outcome::Unchanged, Ending::OnThisMachine),
        Ok(Provided::Pulled) => (Outcome::Done, Ending::Pulled),
        Err(failure) => (Outcome::Failed, Ending::failed(failure.diagnosis())),
    };
    context.reporter.emit(Event::StepFinished {
        step: step.clone(),
        outcome,
        ending,
        elapsed: began.elapsed(),
    });
    provided
}

async fn pull(
    context: &Context,
    stack: &Stack,
    connection: &Connection,
    settings: &PullSettings,
) -> Result<()> {
    let images: Vec<ImageRef> = images_of(stack, connection)
        .await?
        .into_iter()
        .filter(|image| image.recipe.is_none())
        .map(|image| image.image)
        .collect();
    if images.is_empty() {
        context.reporter.emit(Note::NothingToPull);
    }
    let provided = provide_all(context, connection, &images, settings).await?;
    let pulled = provided
        .iter()
        .filter(|provided| **provided == Provided::Pulled)
        .count();
    let document = json!({ "schema_version": SCHEMA_VERSION, "images": images, "pulled": pulled });
    context.reporter.data(&document, || {
        images.iter().map(|image| format!("{image}\n")).collect()
    })
}

async fn list(context: &Context, stack: &Stack, connection: &Connection, lock: &ImageLock) -> Result<()> {
    let mut listed = Vec::new();
    for image in images_of(stack, connection).await? {
        listed.push(Listed {
            there: connection.local_image(image.image.as_str()).await?,
            locked: lock.images.get(&image.image).cloned(),
            image,
        });
    }
    let document = json!({
        "schema_version": SCHEMA_VERSION,
        "images": listed.iter().map(Listed::as_json).collect::<Vec<_>>(),
    });
    context.reporter.data(&document, || {
        let rows: Vec<Vec<String>> = listed.iter().map(Listed::as_row).collect();
        let headers = ["IMAGE", "FROM", "STATE", "LOCK", "PLATFORM", "SIZE"];
        table(&headers, &rows, output_width())
    })
}

impl Listed {
    fn origin(&self) -> &'static str {
        match self.image.recipe {
            Some(_) => "built here",
            None => "registry",
        }
    }

    fn state(&self) -> &'static str {
        match self.there {
            Some(_) => "present",
            None => "missing",
        }
    }

    fn lock(&self) -> &'static str {
        match (&self.there, &self.locked) {
            (_, None) => "unlocked",
            (None, Some(_)) => "locked",
            (Some(there), Some(locked)) if there.is(locked) => "matches",
            (Some(_), Some(_)) => "DIFFERS",
        }
    }

    fn as_row(&self) -> Vec<String> {
        let of_image = |of: fn(&LocalImage) -> String| self.there.as_ref().map_or_else(|| "-".to_owned(), of);
        vec![
            self.image.image.to_string(),
            self.origin().to_owned(),
            self.state().to_owned(),
            self.lock().to_owned(),
            of_image(|image| image.platform.clone()),
            of_image(|image| format!("{} MiB", image.size >> 20)),
        ]
    }

    fn as_json(&self) -> Value {
        json!({
            "image": self.image.image,
            "from": self.origin(),
            "state": self.state(),
            "lock": self.lock().to_lowercase(),
            "id": self.there.as_ref().map(|image| image.id.clone()),
            "digests": self.there.as_ref().map(|image| image.digests.clone()),
            "platform": self.there.as_ref().map(|image| image.platform.clone()),
            "size_bytes": self.there.as_ref().map(|image| image.size),
            "locked_digest": self.locked.as_ref().map(|locked| locked.digest.clone()),
        })
    }
}

/// Locks what the daemon reports of the images that are there. Without a digest of a registry there is nothing to lock.
async fn write_lock(context: &Context, stack: &Stack, connection: &Connection, path: &Path) -> Result<()> {
    let mut lock = ImageLock::load(path)?;
    let mut count = 0;
    for StackImage { image, recipe } in images_of(stack, connection).await? {
        if recipe.is_some() {
            continue;
        }
        let Some(there) = connection.local_image(image.as_str()).await? else {
            return Err(ImageError::NotThere { image }.into());
        };
        let Some(digest) = there.digests.first().cloned() else {
            return Err(ImageError::NoDigest { image }.into());
        };
        let mut ids = match lock.images.remove(&image) {
            // The ids of other platforms stay true for as long as the digest does.
            Some(locked) if locked.digest == digest => locked.ids,
            _ => BTreeMap::new(),
        };
        ids.insert(there.platform, there.id);
        lock.images.insert(image, LockedImage { digest, ids });
        count += 1;
    }
    lock.save(path)?;
    context.reporter.emit(Note::ImagesLocked {
        images: count,
        file: path.to_owned(),
    });
    let document = json!({ "schema_version": SCHEMA_VERSION, "file": path, "lock": lock });
    context.reporter.data(&document, || {
        lock.images
            .iter()
            .map(|(image, locked)| format!("{image}@{}\n", locked.digest))
            .collect()
    })
}

async fn save(context: &Context, stack: &Stack, connection: &Connection, file: &Path) -> Result<()> {
    let images: Vec<ImageRef> = images_of(stack, connection)
        .await?
        .into_iter()
        .map(|image| image.image)
        .collect();
    for image in &images {
        if !connection.has_image(image).await? {
            return Err(ImageError::NotThere { image: image.clone() }.into());
        }
    }
    let (step, began) = (Step::archive(file), Instant::now());
    context.reporter.emit(Event::StepStarted {
        step: step.clone(),
        doing: Doing::Saving { images: images.len() },
    });
    let news = context.reporter.news_of(&step);
    let saved = tokio::select! {
        saved = connection.save_images(&images, file, &news) => saved,
        () = context.shutdown.token().cancelled() => return Err(context.shutdown.interrupted().into()),
    };
    finished(context, &step, began.elapsed(), &saved);
    let size = saved?;
    let document =
        json!({ "schema_version": SCHEMA_VERSION, "file": file, "images": images, "size_bytes": size });
    context.reporter.data(&document, || {
        images.iter().map(|image| format!("{image}\n")).collect()
    })
}

async fn load(context: &Context, connection: &Connection, file: &Path) -> Result<()> {
    let (step, began) = (Step::archive(file), Instant::now());
    context.reporter.emit(Event::StepStarted {
        step: step.clone(),
        doing: Doing::Loading,
    });
    let loaded = tokio::select! {
        loaded = connection.load_images(file) => loaded,
        () = context.shutdown.token().cancelled() => return Err(context.shutdown.interrupted().into()),
    };
    finished(context, &step, began.elapsed(), &loaded);
    let images = loaded?;
    let document = json!({ "schema_version": SCHEMA_VERSION, "file": file, "images": images });
    context.reporter.data(&document, || {
        images.iter().map(|image| format!("{image}\n")).collect()
    })
}

fn finished<T>(context: &Context, step: &Step, elapsed: Duration, result: &Result<T>) {
    let (outcome, ending) = match result {
        Ok(_) => (Outcome::Done, Ending::Transferred),
        Err(failure) => (Outcome::Failed, Ending::failed(failure.diagnosis())),
    };
    context.reporter.emit(Event::StepFinished {
        step: step.clone(),
        outcome,
        ending,
        elapsed,
    });
}

/// The images of a stack, each once. Which of the two host images it is, is what is on the machine.
async fn images_of(stack: &Stack, connection: &Connection) -> Result<Vec<StackImage>> {
    let mut images: Vec<StackImage> = Vec::new();
    for container in stack
        .services
        .iter()
        .filter_map(|service| service.container.as_ref())
    {
        let image = image_of(container, connection).await?;
        if images.iter().all(|known| known.image != image) {
            images.push(StackImage {
                image,
                recipe: container.recipe,
            });
        }
    }
    Ok(images)
}

async fn image_of(container: &Container, connection: &Connection) -> Result<ImageRef> {
    let filled = |host: Option<&str>| {
        ImageRef::new(container.image.fill(&|name| match host {
            Some(host) if name == HOST_IMAGE_VARIABLE => Some(host.to_owned()),
            _ => std::env::var(name).ok(),
        }))
    };
    if container.recipe == Some(Recipe::Host) {
        for host in HOST_IMAGES {
            let image = filled(Some(host));
            if connection.has_image(&image).await? {
                return Ok(image);
            }
        }
    }
    Ok(filled(None))
}
