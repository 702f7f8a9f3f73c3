//! Knows the run of a server that was there when a verb began, and what became of it since: a connection that breaks off
//! or falls silent does not say why.

use std::time::Duration;

use tokio::time::{interval, timeout};

use crate::commands::Context;
use crate::commands::project::Project;
use crate::engine::Engine;
use crate::engine::loss::{Loss, Reliance};
use crate::error::{Diagnose, Failure, Result};
use crate::exit_code::ExitCode;
use crate::plan::Observed;
use crate::stack::{Role, ServiceName};
use crate::state::AtWork;

/// How long after an answer broke off it may take until it shows what became of the server.
const LOSS_SHOWS_WITHIN: Duration = Duration::from_secs(2);
/// How often to look then.
const LOOK: Duration = Duration::from_millis(50);
/// How often to look while nothing is known to be wrong.
const LOOK_BESIDE: Duration = Duration::from_secs(2);

/// A server went away under what relied on it.
#[derive(Debug, thiserror::Error)]
#[error("{server} {loss}, and with it what ran on it")]
struct ServerLost {
    server: ServiceName,
    loss: Loss,
    /// What was seen of it at the connection.
    reason: Option<String>,
}

impl Diagnose for ServerLost {
    fn exit_code(&self) -> ExitCode {
        ExitCode::NotRunning
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self.loss {
            Loss::Restarted | Loss::Ended { .. } => "it is there again: run the same once more",
            Loss::Paused => "`osqdemo up` lets it go on",
            _ => "`osqdemo up` starts it again",
        };
        vec![hint.to_owned()]
    }

    fn details(&self) -> Vec<String> {
        self.reason.iter().cloned().collect()
    }
}

/// Watches the service of a role; nothing where that is elsewhere.
pub(super) struct ServerWatch {
    project: Project,
    before: Observed,
    server: Option<ServiceName>,
    reliance: Reliance,
}

impl ServerWatch {
    pub(super) async fn begin(context: &Context, role: Role, reliance: Reliance) -> Result<Self> {
        let project = Project::open(context)?;
        let server = project.stack.first(role).map(|service| service.name.clone());
        Self::of(project, server, reliance).await
    }

    /// Watches this service; nothing where there is none.
    pub(super) async fn of(
        project: Project,
        server: Option<ServiceName>,
        reliance: Reliance,
    ) -> Result<Self> {
        let before = project.engine.observe().await?;
        Ok(Self {
            project,
            before,
            server,
            reliance,
        })
    }

    /// What runs the service.
    pub(super) fn engine(&self) -> &dyn Engine {
        &*self.project.engine
    }

    /// Does the work; ends it when the server is lost without that being seen at the connection. A failure gets its cause,
    /// where it is that the server went away.
    pub(super) async fn over<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let failure = tokio::select! {
            biased;
            done = work => match done {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            },
            lost = self.until_lost(LOOK_BESIDE) => return Err(self.lost(lost, None)),
        };
        if failure.diagnosis().exit_code() != ExitCode::NotRunning {
            return Err(failure);
        }
        let lost = self.cause(Some(failure.to_string())).await;
        Err(lost.unwrap_or(failure))
    }

    /// Why what ran on the service ended, where it is that the service is lost; `reason` is what was seen of that.
    pub(super) async fn cause(&self, reason: Option<String>) -> Option<Failure> {
        let lost = timeout(LOSS_SHOWS_WITHIN, self.until_lost(LOOK)).await.ok()?;
        Some(self.lost(lost, reason))
    }

    fn lost(&self, (server, loss): (ServiceName, Loss), reason: Option<String>) -> Failure {
        ServerLost { server, loss, reason }.into()
    }

    async fn until_lost(&self, period: Duration) -> (ServiceName, Loss) {
        let Some(server) = &self.server else {
            return std::future::pending().await;
        };
        let mut look = interval(period);
        loop {
            look.tick().await;
            let verb = AtWork::on(&self.project.folder).map(|at_work| at_work.verb);
            let Ok(now) = self.project.engine.observe().await else {
                continue;
            };
            if let Some(loss) = Loss::of(server, self.reliance, &self.before, &now, verb.as_deref()) {
                return (server.clone(), loss);
            }
        }
    }
}
