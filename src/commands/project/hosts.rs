//! The hosts of a project, for whoever runs commands on them for longer: what they run on is watched meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::interval;

use crate::commands::project::Project;
use crate::engine::loss::{Loss, Reliance};
use crate::engine::{Engine, ExecOutput, HostExec, Lost};
use crate::error::Result;
use crate::host_config::LineFormat;
use crate::plan::SupervisorState;
use crate::stack::{Role, ServiceName};
use crate::state::{AtWork, ProjectFolder};

/// How often the services are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// The hosts of a project, and the services that their lines go through.
pub struct ProjectHosts {
    engine: Arc<dyn Engine>,
    folder: ProjectFolder,
    /// What must be there for a line to come along.
    pipeline: Vec<ServiceName>,
}

impl ProjectHosts {
    /// Those of this project.
    pub fn of(project: &Project) -> Self {
        let has_schemas = project.remembered.line_format() == LineFormat::Avro;
        let needed = project
            .stack
            .services
            .iter()
            .filter(|service| match service.role {
                Role::Broker | Role::Ksqldb => true,
                // Nobody writes or reads Avro without its schema.
                Role::SchemaRegistry => has_schemas,
                _ => false,
            });
        Self {
            engine: Arc::clone(&project.engine),
            folder: project.folder.clone(),
            pipeline: needed.map(|service| service.name.clone()).collect(),
        }
    }

    /// Why nothing can be learnt of the hosts any more, where that is known.
    fn silent(&self, verb: Option<&str>) -> Option<Loss> {
        match (self.engine.last_known()?.supervisor, verb) {
            (_, Some(verb @ "down")) => Some(Loss::StoppedBy {
                verb: verb.to_owned(),
            }),
            (SupervisorState::Silent { pid }, _) => Some(Loss::SupervisorSilent { pid }),
            (SupervisorState::Unrecorded { .. }, _) => Some(Loss::Unrecorded),
            _ => None,
        }
    }

    fn relied_on<'a>(&'a self, host: &'a ServiceName) -> impl Iterator<Item = (&'a ServiceName, Reliance)> {
        let services = self
            .pipeline
            .iter()
            .map(|service| (service, Reliance::ComesAgain));
        [(host, Reliance::ThisRun)].into_iter().chain(services)
    }
}

impl HostExec for ProjectHosts {
    async fn exec(&self, host: &ServiceName, argv: &[&str]) -> Result<ExecOutput> {
        self.engine.run_on_host(host, argv).await
    }

    async fn until_lost(&self, host: &ServiceName) -> Lost {
        let mut look = interval(LOOK.max(self.engine.pace()));
        let (mut before, mut was_silent) = (None, false);
        loop {
            look.tick().await;
            let verb = AtWork::on(&self.folder).map(|at_work| at_work.verb);
            let now = match self.engine.observe().await {
                Ok(now) => now,
                // Who cannot be asked now is asked again: it may be ending.
                Err(_) if !was_silent => {
                    was_silent = true;
                    continue;
                }
                Err(_) => match self.silent(verb.as_deref()) {
                    Some(loss) => {
                        let service = host.clone();
                        return Lost { service, loss };
                    }
                    None => continue,
                },
            };
            was_silent = false;
            let before = before.get_or_insert_with(|| now.clone());
            let lost = self.relied_on(host).find_map(|(service, reliance)| {
                let loss = Loss::of(service, reliance, before, &now, verb.as_deref())?;
                let service = service.clone();
                Some(Lost { service, loss })
            });
            if let Some(lost) = lost {
                return lost;
            }
        }
    }
}
