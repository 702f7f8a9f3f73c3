//! What `up` does when something failed: it tells the cause, then stops what it started.

use std::future;
use std::time::Duration;

use tokio::time::timeout;

use super::{ATTEMPTS, Attempt, Prepared, Up};
use crate::commands::project::{DaemonPublishers, Resolved};
use crate::error::{Failure, Result};
use crate::events::Note;
use crate::execute::{Begun, Execution};
use crate::exit_code::ExitCode;
use crate::ports::{Blocked, Insists, PortTaken};
use crate::settings::OnFailure;

/// How long taking back what was started may take.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(60);

impl Up<'_> {
    /// Ends an attempt that failed. A port that was lost to somebody else is worth another attempt.
    pub(super) async fn undo(
        &self,
        execution: &Execution,
        prepared: &Prepared,
        failure: Failure,
        number: u32,
    ) -> Result<Attempt> {
        let (resolved, begun) = (&prepared.resolved, execution.begun());
        let failure = match lost_port(resolved, &begun, &failure).await {
            Some(lost) if lost.insists == Insists::Nobody && number < ATTEMPTS => {
                self.take_back(resolved, &begun).await?;
                return Ok(Attempt::PortLost);
            }
            Some(blocked) => {
                let home = self.context.settings.home.clone();
                PortTaken { blocked, home }.into()
            }
            None => self.recalling(failure),
        };
        // The cause first, then what is done about it.
        self.context.reporter.failure(&failure);
        match self.on_failure {
            OnFailure::Keep => self.context.reporter.emit(Note::LeftAsItIs),
            OnFailure::TakeBack => self.take_back(resolved, &begun).await?,
        }
        Err(failure)
    }

    /// Stops what this run started, on a time limit of its own; a further signal makes it hurry.
    async fn take_back(&self, resolved: &Resolved, begun: &Begun) -> Result<()> {
        if begun.ground.is_none() && begun.services.is_empty() {
            return Ok(());
        }
        self.context.reporter.emit(Note::TakingBack);
        let work = async {
            if begun.ground.is_some() {
                return resolved.engine.close().await;
            }
            for service in begun.services.iter().rev() {
                resolved.engine.stop(service).await?;
            }
            Ok(())
        };
        let hurry = async {
            self.context.shutdown.at_once().cancelled().await;
            let _ = resolved.engine.hurry().await;
            future::pending::<()>().await
        };
        tokio::select! {
            done = timeout(ROLLBACK_LIMIT, work) => match done {
                Ok(result) => result?,
                Err(_) => self.context.reporter.emit(Note::NotAllTakenBack),
            },
            () = hurry => {}
        }
        Ok(())
    }
}

/// The service whose port was taken after it was chosen, if that is why it could not be started. How that shows differs
/// from engine to engine; who has the port is worth more.
async fn lost_port(resolved: &Resolved, begun: &Begun, failure: &Failure) -> Option<Blocked> {
    if failure.diagnosis().exit_code() != ExitCode::Start {
        return None;
    }
    let observed = resolved.engine.observe().await.ok()?;
    let lost = resolved.ports.lost(&begun.services, &observed, &DaemonPublishers);
    lost.await
}
