//! `osqdemo build`: makes the images of the stack, also for plain `docker compose`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::cli::BuildArgs;
use crate::commands::Context;
use crate::commands::osquery::{self, Tried};
use crate::engine::Engine;
use crate::engine::docker::image::{HostVariant, ImageSources, OsqueryChoice};
use crate::engine::docker::{self, Connection, DockerEngine, PullSettings};
use crate::error::Result;
use crate::events::{Note, SCHEMA_VERSION};
use crate::execute::{Execution, ExecutionSettings};
use crate::health::ProtocolProber;
use crate::plan::{Action, Choices, Plan, Reach, ServiceSpec, WhichImages, resolve};
use crate::settings::BuildSettings;
use crate::stack::{ImageRef, Stack};
use crate::state::ProjectFolder;

/// How long the services may take that are not started here.
const NO_SERVICES: Duration = Duration::ZERO;

/// What is wanted of the images.
struct WantedImages {
    osquery: OsqueryChoice,
    /// The checkout that the programs are compiled from.
    source: Option<PathBuf>,
    /// Also what is up to date.
    force: bool,
}

/// The images to make, and what makes them.
struct Build {
    engine: Arc<dyn Engine>,
    desired: Vec<ServiceSpec>,
    images: Vec<ImageRef>,
    variant: HostVariant,
    /// Only of images.
    plan: Plan,
}

/// Fails when an image cannot be built.
pub(super) async fn run(context: Context, arguments: BuildArgs) -> Result<()> {
    let settings = BuildSettings::resolve(&arguments, &context.settings)?;
    let connection = Connection::open().await?;
    let mut wanted = WantedImages {
        osquery: OsqueryChoice {
            osqueryd: settings.osquery.osqueryd.value,
            sha256: settings.osquery.sha256.map(|sha256| sha256.value),
            unavailable: None,
        },
        source: settings.source.checkout(),
        force: settings.force,
    };
    let mut build = Build::prepare(&context, &connection, &wanted).await?;
    let execution = build.execution(&context);
    let tried = osquery::try_image(&execution, &build.desired, &build.plan, Some(&build.variant)).await?;
    let mut made = 0;
    match tried {
        Tried::Nothing => {}
        Tried::Made(done) => {
            build.plan = build.plan.after(&done);
            made = 1;
        }
        Tried::Unavailable(error) => {
            wanted.osquery.unavailable = Some(error.to_string());
            build = Build::prepare(&context, &connection, &wanted).await?;
        }
    }
    context.reporter.emit(build.variant.told());
    build.execution(&context).run(&build.plan, &[]).await?;
    let operations = build.plan.operations.iter();
    made += operations
        .filter(|operation| matches!(operation.action, Action::MakeImage(_)))
        .count();
    tell(&context, &build.images, made)
}

impl Build {
    async fn prepare(context: &Context, connection: &Connection, wanted: &WantedImages) -> Result<Self> {
        let stack = Stack::lite()?;
        let sources = ImageSources::find(
            &wanted.osquery,
            &connection.architecture,
            wanted.source.as_deref(),
        )?;
        let folder = ProjectFolder::new(&context.settings.home, &context.settings.project);
        // Images do not depend on ports; the definitions of the services do.
        let ports = stack
            .services
            .iter()
            .filter_map(|service| Some((service.name.clone(), service.port?.published)))
            .collect();
        let desired = resolve(
            &stack,
            &Choices {
                client: None,
                listener: None,
                ports: &ports,
                folder: folder.root(),
                identity: &|_| String::new(),
                variables: &sources.variables(),
                image_content: &|recipe| sources.content(recipe),
                programs: sources.programs(),
                host_config: None,
                reach: Reach::Network,
            },
        )?;
        let images = made_here(&desired);
        let variant = sources.variant().clone();
        let programs = sources.programs().map(|programs| programs.image.clone());
        let setup = docker::Setup {
            sources,
            images: images.iter().cloned().chain(programs).collect(),
            pull: PullSettings::usual(),
            host_config: None,
            registry: None,
            client: None,
        };
        let engine: Arc<dyn Engine> = Arc::new(DockerEngine::with_setup(folder, connection.clone(), setup));
        let which = if wanted.force {
            WhichImages::All
        } else {
            WhichImages::Outdated
        };
        let plan = Plan::of_images(&desired, &engine.observe().await?, which);
        Ok(Self {
            engine,
            desired,
            images,
            variant,
            plan,
        })
    }

    fn execution(&self, context: &Context) -> Execution {
        Execution::new(ExecutionSettings {
            engine: Arc::clone(&self.engine),
            prober: Arc::new(ProtocolProber::default()),
            events: Arc::new(context.reporter.clone()),
            shutdown: context.shutdown.clone(),
            desired: self.desired.clone(),
            limit: NO_SERVICES,
        })
    }
}

fn made_here(desired: &[ServiceSpec]) -> Vec<ImageRef> {
    let containers = desired.iter().filter_map(|spec| spec.container.as_ref());
    let mut images: Vec<ImageRef> = containers
        .filter(|container| container.recipe.is_some())
        .map(|container| container.image.clone())
        .collect();
    images.sort();
    images.dedup();
    images
}

fn tell(context: &Context, images: &[ImageRef], built: usize) -> Result<()> {
    context.reporter.emit(Note::ImagesBuilt {
        images: images.len(),
        built,
    });
    let document = json!({ "schema_version": SCHEMA_VERSION, "images": images, "built": built });
    context.reporter.data(&document, || {
        images.iter().map(|image| format!("{image}\n")).collect()
    })
}
