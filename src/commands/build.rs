//! `osqdemo build`: makes the images of the stack, also for plain `docker compose`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::cli::BuildArgs;
use crate::commands::Context;
use crate::commands::project::image_sources;
use crate::engine::docker::image::OsqueryChoice;
use crate::engine::docker::{self, Connection, DockerEngine, PullSettings};
use crate::error::Result;
use crate::events::{Event, SCHEMA_VERSION};
use crate::execute::{Execution, ExecutionSettings};
use crate::health::ProtocolProber;
use crate::plan::{Action, Cause, Choices, Operation, Plan, ServiceSpec, resolve};
use crate::stack::{ImageRef, Stack};
use crate::state::ProjectFolder;

/// How long the services may take that are not started here.
const NO_SERVICES: Duration = Duration::ZERO;

/// Runs the verb.
///
/// # Errors
/// When an image cannot be built.
pub async fn run(context: Context, arguments: BuildArgs) -> Result<()> {
    let stack = Stack::lite()?;
    let connection = Connection::open().await?;
    let choice = OsqueryChoice {
        osqueryd: arguments.osquery.osqueryd.unwrap_or("auto".to_owned()),
        sha256: arguments.osquery.osquery_sha256,
    };
    let sources = image_sources(&stack, &connection, &choice).await?;
    context.reporter.emit(Event::Note {
        text: sources.variant().to_string(),
    });
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
            ports: &ports,
            folder: folder.root(),
            identity: &|_| String::new(),
            variables: &sources.variables(),
            image_content: &|recipe| sources.content(recipe),
            host_config: None,
        },
    )?;
    let images = made_here(&desired);
    let setup = docker::Setup {
        sources,
        images: images.clone(),
        pull: PullSettings::usual(),
        host_config: None,
    };
    let engine: Arc<dyn crate::engine::Engine> =
        Arc::new(DockerEngine::with_setup(folder, connection, setup));
    let mut plan = Plan::make(&desired, &engine.observe().await?);
    plan.operations
        .retain(|operation| matches!(operation.action, Action::MakeImage(_)));
    if arguments.force {
        plan.operations = images
            .iter()
            .map(|image| Operation {
                action: Action::MakeImage(image.clone()),
                cause: Cause::Requested,
                after: Vec::new(),
            })
            .collect();
    }
    let execution = Execution::new(ExecutionSettings {
        engine: Arc::clone(&engine),
        prober: Arc::new(ProtocolProber),
        reporter: context.reporter.clone(),
        shutdown: context.shutdown.clone(),
        desired,
        hostnames: BTreeMap::new(),
        limit: NO_SERVICES,
    });
    execution.run(&plan, &[]).await?;
    tell(&context, &images, plan.operations.len())
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
    let text = match built {
        0 => format!("nothing to do: {} images are up to date", images.len()),
        1 => "1 image was built".to_owned(),
        built => format!("{built} images were built"),
    };
    context.reporter.emit(Event::Note { text });
    let document = json!({ "schema_version": SCHEMA_VERSION, "images": images, "built": built });
    context.reporter.data(&document, || {
        images.iter().map(|image| format!("{image}\n")).collect()
    })
}
