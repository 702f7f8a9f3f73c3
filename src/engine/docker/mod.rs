//! The Docker engine: containers, through the Docker API. The only place that names bollard.
//!
//! The daemon looks after the containers, so there is no supervisor of ours. Everything that is made carries the
//! labels of `labels.rs`, and nothing without them is ever touched.

mod archive;
mod config_files;
mod connection;
mod containers;
mod daemon;
mod endpoint;
mod error;
mod exec;
mod facts;
mod given;
mod host_configuration;
pub mod image;
mod labels;
mod local_image;
mod logs;
mod networks;
mod observe;
mod osquery_packs;
mod published;
mod registry;
mod terminal;

use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::{OnceCell, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client_properties::Portable;
use crate::engine::docker::exec::Executor;
use crate::engine::docker::image::ImageSources;
use crate::engine::docker::labels::Owner;
use crate::engine::{
    Answer, CallerStreams, Engine, Entered, ExecOutput, Follow, LogReading, Network, News, log_file,
};
use crate::error::Result;
use crate::host_config::HostConfig;
use crate::plan::{Observed, ObservedService, ServiceSpec};
use crate::stack::{HttpService, ImageRef, Recipe, ServiceName};
use crate::state::ProjectFolder;

pub use archive::ArchiveError;
pub use connection::Connection;
pub use containers::PROXY_VARIABLES;
pub use daemon::{ApiVersion, Daemon};
pub use endpoint::Endpoint;
pub use error::DockerError;
pub use facts::{DaemonFacts, Root, Support};
pub use local_image::LocalImage;
pub use registry::{Provided, PullSettings};

/// How often to ask the daemon what became of a service that is starting.
const PACE: Duration = Duration::from_millis(100);

/// The Docker engine of one project.
pub struct DockerEngine {
    folder: ProjectFolder,
    owner: Owner,
    connection: OnceCell<Connection>,
    setup: Option<Setup>,
    /// The commands on hosts that are being ended.
    kills: TaskTracker,
}

/// What making images takes; everything else does without.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What they are made of.
    pub sources: ImageSources,
    /// The images that decide about a plan: those of the services, and the one with the programs of others.
    pub images: Vec<ImageRef>,
    /// How those are got that are not made here.
    pub pull: PullSettings,
    /// The configuration of the user's that the hosts get. It may hold secrets, so it is given to containers and never
    /// put into an image.
    pub host_config: Option<HostConfig>,
    /// Where the hosts find the registry, where their lines are to be Avro.
    pub registry: Option<HttpService>,
    /// What reaching a Kafka outside of the stack takes. It holds secrets as well.
    pub client: Option<Portable>,
}

impl DockerEngine {
    /// An engine that can observe, stop and run commands. Connects when it has to.
    pub fn new(folder: ProjectFolder) -> Self {
        Self {
            owner: Owner::new(&folder),
            folder,
            connection: OnceCell::new(),
            setup: None,
            kills: TaskTracker::new(),
        }
    }

    /// An engine that can also start services.
    pub fn with_setup(folder: ProjectFolder, connection: Connection, setup: Setup) -> Self {
        Self {
            setup: Some(setup),
            connection: OnceCell::new_with(Some(connection)),
            ..Self::new(folder)
        }
    }

    async fn connection(&self) -> std::result::Result<&Connection, DockerError> {
        self.connection.get_or_try_init(Connection::open).await
    }

    async fn executor(&self, host: &ServiceName) -> std::result::Result<Executor, DockerError> {
        let connection = self.connection().await?.clone();
        Ok(Executor::new(connection, &self.owner, host, self.kills.clone()))
    }

    /// Starts the container of a service, after it is given the files that the stack file has for it; a host also gets its
    /// configuration, and a client of a Kafka that wants TLS or a password how it is reached.
    async fn start_container(&self, connection: &Connection, spec: &ServiceSpec) -> Result<()> {
        let setup = self.setup.as_ref();
        let mut given = config_files::to_container(connection, &self.owner, spec).await?;
        given.extend(match (&spec.bootstrap_servers, setup) {
            (Some(broker), setup) => Some(given::to_host(broker, setup)),
            (None, Some(setup)) => setup
                .client
                .as_ref()
                .and_then(|client| given::to_client(spec, client)),
            (None, None) => None,
        });
        Ok(containers::start(connection, &self.owner, &spec.name, given).await?)
    }

    /// Stops the container of a service and removes it; what it wrote is kept.
    async fn stop_service(&self, service: &ServiceName) -> Result<()> {
        let connection = self.connection().await?;
        let name = labels::container_name(&self.owner, service);
        let Some(inspection) = observe::inspect(connection, &name).await? else {
            return Ok(());
        };
        // A container of that name that is not ours stays.
        if observe::service(&inspection, &self.owner, None).is_none() {
            return Ok(());
        }
        containers::stop_and_remove(connection, &self.folder, &inspection).await
    }

    /// What images are made of.
    fn sources(&self) -> std::result::Result<&ImageSources, DockerError> {
        let setup = self.setup.as_ref().ok_or(DockerError::NoSources)?;
        Ok(&setup.sources)
    }

    async fn close_project(&self) -> Result<()> {
        let connection = self.connection().await?;
        let ids = observe::container_ids(connection, &self.owner).await?;
        let inspections = try_join_all(ids.iter().map(|id| observe::inspect(connection, id))).await?;
        for level in observe::dependents_first(inspections.into_iter().flatten().collect()) {
            try_join_all(
                level
                    .iter()
                    .map(|inspection| containers::stop_and_remove(connection, &self.folder, inspection)),
            )
            .await?;
        }
        Ok(networks::remove_all(connection, &self.owner).await?)
    }
}

impl Engine for DockerEngine {
    fn observe(&self) -> Answer<'_, Observed> {
        Box::pin(async {
            let images = self.setup.as_ref().map_or(&[][..], |setup| &setup.images);
            Ok(observe::observe(self.connection().await?, &self.owner, images).await?)
        })
    }

    fn observe_service<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, Option<ObservedService>> {
        Box::pin(async {
            let connection = self.connection().await?;
            Ok(observe::observe_service(connection, &self.owner, service).await?)
        })
    }

    fn pace(&self) -> Duration {
        PACE
    }

    fn open(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(networks::create(self.connection().await?, &self.owner).await?) })
    }

    fn compile_programs<'a>(&'a self, news: &'a News) -> Answer<'a, ()> {
        Box::pin(async move {
            let (programs, context) = self.sources()?.compiled()?;
            let connection = self.connection().await?;
            image::build(connection, &programs.image, context, &programs.content, news).await
        })
    }

    fn make_image<'a>(&'a self, image: &'a ImageRef, recipe: Recipe, news: &'a News) -> Answer<'a, ()> {
        Box::pin(async move {
            let sources = self.sources()?;
            let (context, content) = (sources.context(recipe), sources.content(recipe));
            image::build(self.connection().await?, image, context, &content, news).await
        })
    }

    fn pull_image<'a>(&'a self, image: &'a ImageRef, news: &'a News) -> Answer<'a, ()> {
        Box::pin(async move {
            let usual = PullSettings::usual();
            let settings = self.setup.as_ref().map_or(&usual, |setup| &setup.pull);
            let connection = self.connection().await?;
            connection.pull(image, settings, news).await
        })
    }

    fn start<'a>(&'a self, spec: &'a ServiceSpec) -> Answer<'a, ()> {
        Box::pin(async {
            let connection = self.connection().await?;
            containers::create(connection, &self.owner, spec).await?;
            self.start_container(connection, spec).await
        })
    }

    fn resume<'a>(&'a self, spec: &'a ServiceSpec) -> Answer<'a, ()> {
        Box::pin(async {
            let connection = self.connection().await?;
            self.start_container(connection, spec).await
        })
    }

    fn unpause<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()> {
        Box::pin(async {
            let connection = self.connection().await?;
            Ok(containers::unpause(connection, &self.owner, service).await?)
        })
    }

    fn prove<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()> {
        Box::pin(async { Ok(containers::prove(self.connection().await?, &self.owner, service).await?) })
    }

    fn stop<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()> {
        Box::pin(self.stop_service(service))
    }

    fn remove<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()> {
        self.stop(service)
    }

    fn end_leftover<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()> {
        self.stop(service)
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(self.close_project())
    }

    fn hurry(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(containers::kill_all(self.connection().await?, &self.owner).await?) })
    }

    fn remove_data(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(containers::remove_volumes(self.connection().await?, &self.owner).await?) })
    }

    fn log<'a>(
        &'a self,
        service: &'a ServiceName,
        reading: LogReading,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let connection = self.connection().await?;
            let name = labels::container_name(&self.owner, service);
            let is_there = observe::inspect(connection, &name).await?.is_some();
            // What the container before wrote comes first, as it does where all of it is in one file. The last lines are
            // those of the container that is there.
            if reading.last.is_none() || !is_there {
                let kept = LogReading {
                    follow: Follow::No,
                    ..reading
                };
                log_file::send(&self.folder.log_file(service), kept, pieces.clone()).await?;
            }
            if is_there {
                logs::send(connection, &self.owner, service, reading, &pieces).await?;
            }
            Ok(())
        })
    }

    fn log_tail<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, String> {
        Box::pin(async {
            let connection = self.connection().await?;
            Ok(logs::tail(connection, &self.owner, service).await?)
        })
    }

    fn enter<'a>(
        &'a self,
        host: &'a ServiceName,
        argv: &'a [String],
        caller: CallerStreams,
        asked_to_end: &'a CancellationToken,
    ) -> Answer<'a, Entered> {
        Box::pin(async move {
            Ok(self
                .executor(host)
                .await?
                .enter(argv, caller, asked_to_end)
                .await?)
        })
    }

    fn run_on_host<'a>(&'a self, host: &'a ServiceName, argv: &'a [&'a str]) -> Answer<'a, ExecOutput> {
        Box::pin(async {
            let argv: Vec<String> = argv.iter().map(|argument| (*argument).to_owned()).collect();
            Ok(self.executor(host).await?.collect(&argv).await?)
        })
    }

    fn network(&self) -> Option<&dyn Network> {
        Some(self)
    }
}

impl Network for DockerEngine {
    fn cut_off<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()> {
        Box::pin(async { Ok(networks::cut_off(self.connection().await?, &self.owner, service).await?) })
    }

    fn rejoin<'a>(&'a self, service: &'a ServiceName) -> Answer<'a, ()> {
        Box::pin(async { Ok(networks::rejoin(self.connection().await?, &self.owner, service).await?) })
    }
}
