//! The statements of the pipeline, which `up` submits to the ksqlDB server of the stack, whatever it is called.

use std::time::Duration;

use tokio::time::timeout_at;

use super::Up;
use crate::commands::project::{Means, Wanted};
use crate::error::{Diagnose, Result};
use crate::execute::{Execution, Waited};
use crate::exit_code::ExitCode;
use crate::ksqldb::client::Client;
use crate::ksqldb::ddl;
use crate::quantity::duration;
use crate::settings::Statements;
use crate::stack::Role;

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
    pub(super) async fn submit_when_healthy(&self, execution: &Execution, wanted: &Wanted) -> Result<usize> {
        let Some(ksqldb) = self.project.stack.first(Role::Ksqldb) else {
            return Ok(0);
        };
        if self.request.settings.statements.value == Statements::None {
            return Ok(0);
        }
        match (execution.healthy(&ksqldb.name).await, &wanted.means) {
            (Waited::Healthy, Means::Nothing) => return Ok(0),
            (Waited::Healthy, _) => {}
            (Waited::Cancelled, _) if self.context.shutdown.token().is_cancelled() => {
                return Err(self.context.shutdown.interrupted().into());
            }
            // Why is told by the service that failed.
            (Waited::Cancelled, _) => return Ok(0),
        }
        let submitted = self.submit(execution).await;
        if submitted.is_err() {
            execution.give_up();
        }
        submitted
    }

    async fn submit(&self, execution: &Execution) -> Result<usize> {
        let Self { context, limit, .. } = *self;
        let client = Client::new(&context.ksqldb_url().await?)?;
        let files = ddl::pipeline();
        let submission = ddl::submit(&client, &files, &context.reporter, context.shutdown.token());
        match timeout_at(execution.deadline(), submission).await {
            Ok(submission) => Ok(submission?.created.len()),
            Err(_) => Err(StatementsTooSlow { limit }.into()),
        }
    }
}
