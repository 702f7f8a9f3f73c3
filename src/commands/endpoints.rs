//! Where the clients on this machine find the platform: a service is looked for by its role, whatever it is called.

use serde_json::{Value, json};

use crate::commands::project::Project;
use crate::commands::{CommandError, Context};
use crate::error::Result;
use crate::plan::{Observed, ServiceState};
use crate::stack::{Cluster, Endpoints, HttpService, Role, ServiceName};

impl Context {
    /// The broker for clients on this machine, such as `127.0.0.1:9092`.
    ///
    /// # Errors
    /// When the stack has no broker, or it is not running.
    pub async fn cluster(&self) -> Result<Cluster> {
        let project = Project::open(self)?;
        Ok(cluster(&project, &project.engine.observe().await?)?)
    }

    /// The ksqlDB server, such as `http://127.0.0.1:8088`.
    ///
    /// # Errors
    /// When the stack has no ksqlDB server, or it is not running.
    pub async fn ksqldb(&self) -> Result<HttpService> {
        let project = Project::open(self)?;
        Ok(ksqldb(&project, &project.engine.observe().await?)?)
    }

    /// All of them.
    ///
    /// # Errors
    /// When the stack does not have broker and ksqlDB server, or one is not running.
    pub async fn endpoints(&self) -> Result<Endpoints> {
        let project = Project::open(self)?;
        let observed = project.engine.observe().await?;
        Ok(Endpoints {
            kafka: cluster(&project, &observed)?,
            ksqldb: ksqldb(&project, &observed)?,
            registry: registry(&project, &observed).ok(),
        })
    }

    /// The Schema Registry, such as `http://127.0.0.1:8081`.
    ///
    /// # Errors
    /// When the stack has no registry, or it is not running.
    pub async fn registry(&self) -> Result<HttpService> {
        let project = Project::open(self)?;
        Ok(registry(&project, &project.engine.observe().await?)?)
    }
}

/// Where the broker listens for clients on this machine.
///
/// # Errors
/// When there is none.
pub(super) fn cluster(project: &Project, observed: &Observed) -> std::result::Result<Cluster, CommandError> {
    match &project.stack.kafka {
        Some(kafka) if observed.is_running() => Ok(project.cluster_at(kafka)),
        _ => address(project, observed, Role::Broker).map(Cluster::plain),
    }
}

/// Where the ksqlDB server answers.
///
/// # Errors
/// When there is none.
pub(super) fn ksqldb(
    project: &Project,
    observed: &Observed,
) -> std::result::Result<HttpService, CommandError> {
    service(project, observed, project.remote_ksqldb(), Role::Ksqldb)
}

/// Where the Schema Registry answers.
///
/// # Errors
/// When there is none.
pub(super) fn registry(
    project: &Project,
    observed: &Observed,
) -> std::result::Result<HttpService, CommandError> {
    service(project, observed, project.remote_registry(), Role::SchemaRegistry)
}

fn service(
    project: &Project,
    observed: &Observed,
    remote: Option<&HttpService>,
    role: Role,
) -> std::result::Result<HttpService, CommandError> {
    match remote {
        Some(remote) if observed.is_running() => Ok(remote.clone()),
        _ => {
            let address = address(project, observed, role)?;
            Ok(HttpService::open(format!("http://{address}")))
        }
    }
}

/// Where the user interface is, of a stack that has one that runs.
pub(super) fn interface_url(project: &Project, observed: &Observed) -> Option<String> {
    let interface = project
        .stack
        .services
        .iter()
        .find(|service| service.role.is_interface())?;
    address(project, observed, interface.role)
        .ok()
        .map(|address| format!("http://{address}"))
}

/// The addresses as data: null where there is none.
pub(super) fn as_json(project: &Project, observed: &Observed) -> Value {
    json!({
        "bootstrap_servers": cluster(project, observed).ok().map(|kafka| kafka.bootstrap_servers),
        "ksqldb_url": ksqldb(project, observed).ok().map(|ksqldb| ksqldb.url),
        "interface_url": interface_url(project, observed),
    })
}

/// Where the service of a role listens, while the engine keeps it running.
fn address(project: &Project, observed: &Observed, role: Role) -> std::result::Result<String, CommandError> {
    if !observed.is_running() {
        return Err(CommandError::NotRunning {
            project: project.folder.project.clone(),
        });
    }
    let service = project.stack.first(role).ok_or_else(|| {
        let mut left_out = project.stack.left_out.iter();
        match left_out.find(|service| service.role == role) {
            // Another Kafka is in its place then.
            Some(service) if project.stack.kafka.is_none() => CommandError::LeftOut {
                service: service.name.clone(),
            },
            _ => CommandError::NoRole {
                stack: project.stack_name(),
                role,
            },
        }
    })?;
    address_of(observed, &service.name)
}

/// Where a service listens, while the engine keeps it running.
pub(super) fn address_of(
    observed: &Observed,
    service: &ServiceName,
) -> std::result::Result<String, CommandError> {
    let name = || service.clone();
    let not_running = || CommandError::ServiceNotRunning { service: name() };
    let seen = observed.services.get(service).ok_or_else(not_running)?;
    match seen.state {
        ServiceState::Running { .. } | ServiceState::Restarting { .. } => seen
            .port
            .map(|port| format!("127.0.0.1:{port}"))
            .ok_or_else(not_running),
        ServiceState::Paused { .. } => Err(CommandError::ServicePaused { service: name() }),
        ServiceState::Exited { .. } | ServiceState::Leftover { .. } => Err(not_running()),
    }
}
