//! The statements of the pipeline, which `up` submits to the ksqlDB server of the stack, whatever it is called.

use std::time::Duration;

use tokio::time::timeout_at;

use super::Up;
use super::registered::{Missing, until_registered};
use crate::commands::project::{Means, Resolved};
use crate::error::{Diagnose, Result};
use crate::execute::{Execution, Waited};
use crate::exit_code::ExitCode;
use crate::host_config::LineFormat;
use crate::ksqldb::client::Client;
use crate::ksqldb::{ddl, shipped};
use crate::quantity::duration;
use crate::settings::Statements;
use crate::stack::{HttpService, Role};
use crate::state::Submitted;

/// The hosts do not register their schemas in time.
#[derive(Debug, thiserror::Error)]
#[error(
    "the hosts' schemas were not registered within {}: {}",
    duration(*limit),
    missing.join(", ")
)]
struct NotRegistered {
    limit: Duration,
    /// The subjects, or why nobody knows.
    missing: Vec<String>,
}

impl Diagnose for NotRegistered {
    fn exit_code(&self) -> ExitCode {
        ExitCode::NotHealthy
    }

    fn hints(&self) -> Vec<String> {
        vec![
            "`osqdemo logs` of a host says what its extension waits for; a host configuration of your own has to have the queries of these subjects"
                .to_owned(),
        ]
    }
}

/// The server does not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("the statements were not submitted within {}", duration(*limit))]
struct StatementsTooSlow {
    limit: Duration,
}

impl Diagnose for StatementsTooSlow {
    fn exit_code(&self) -> ExitCode {
        ExitCode::NotHealthy
    }
}

impl Up<'_> {
    /// Submits the statements once the server is healthy, and returns how many of them made something new. A stack
    /// without a server has none to submit, and the user may want none.
    pub(super) async fn submit_when_healthy(
        &self,
        execution: &Execution,
        resolved: &Resolved,
    ) -> Result<usize> {
        if self.request.settings.statements.value == Statements::None {
            return Ok(0);
        }
        let Some(ksqldb) = self.project.stack.first(Role::Ksqldb) else {
            return match (self.project.remote_ksqldb(), &resolved.means) {
                (None, _) | (_, Means::Nothing) => Ok(0),
                (Some(remote), _) => {
                    let noted = self.note_sources(remote).await;
                    if noted.is_err() {
                        execution.give_up();
                    }
                    noted?;
                    self.submit_or_give_up(execution, remote).await
                }
            };
        };
        match (execution.healthy(&ksqldb.name).await, &resolved.means) {
            (Waited::Healthy, Means::Nothing) => return Ok(0),
            (Waited::Healthy, _) => {}
            (Waited::Cancelled, _) if self.context.shutdown.token().is_cancelled() => {
                return Err(self.context.shutdown.interrupted().into());
            }
            // Why is told by the service that failed.
            (Waited::Cancelled, _) => return Ok(0),
        }
        self.submit_or_give_up(execution, &self.context.ksqldb().await?)
            .await
    }

    async fn submit_or_give_up(&self, execution: &Execution, ksqldb: &HttpService) -> Result<usize> {
        let submitted = self.submit(execution, ksqldb).await;
        if submitted.is_err() {
            execution.give_up();
        }
        submitted
    }

    async fn await_schemas(&self, execution: &Execution) -> Result<()> {
        let Self { context, limit, .. } = *self;
        let missing = Missing::default();
        let registry = match self.project.remote_registry() {
            Some(remote) => remote.clone(),
            None => context.registry().await?,
        };
        let registered = timeout_at(execution.deadline(), until_registered(&registry, &missing));
        tokio::select! {
            registered = registered => registered.map_err(|_| NotRegistered { limit, missing: missing.last() }.into()),
            () = context.shutdown.token().cancelled() => Err(context.shutdown.interrupted().into()),
        }
    }

    async fn submit(&self, execution: &Execution, ksqldb: &HttpService) -> Result<usize> {
        let Self { context, limit, .. } = *self;
        let client = Client::of(ksqldb)?;
        let format = self.request.settings.format.value;
        let files = shipped::files(format);
        if format == LineFormat::Avro {
            self.await_schemas(execution).await?;
        }
        let folder = &self.project.folder;
        let mut submitted = Submitted::read(folder)?;
        let (reporter, cancel) = (&context.reporter, context.shutdown.token());
        let submission = ddl::submit(&client, &files, &mut submitted, reporter, cancel);
        match timeout_at(execution.deadline(), submission).await {
            Ok(submission) => {
                let created = submission?.created.len();
                if created > 0 {
                    submitted.write(folder)?;
                }
                Ok(created)
            }
            Err(_) => Err(StatementsTooSlow { limit }.into()),
        }
    }
}
