//! What a run leaves on the host is removed: its own files at its end, those of killed runs before the next.

use std::time::Duration;

use tokio::time;

use super::{Bigfile, Run};
use crate::engine::HostExec;
use crate::error::Result;
use crate::events::Warning;
use crate::scenario::error::ScenarioError;
use crate::scenario::host_commands::HostCommands;

/// How long the removal of the file may take.
const CLEAN_UP_WITHIN: Duration = Duration::from_secs(10);

/// How long after a command on a host failed it may take until it shows that the host was lost.
pub(super) const LOSS_SHOWS_WITHIN: Duration = Duration::from_secs(1);

/// Removes the files that killed runs have left on the host, and returns their names. Nobody else may run meanwhile.
///
/// # Errors
/// When the host cannot do it.
pub async fn remove_leftovers<E: HostExec>(bigfile: &Bigfile, exec: &E) -> Result<Vec<String>> {
    let commands = HostCommands {
        exec,
        host: &bigfile.host,
    };
    let removing = time::timeout(CLEAN_UP_WITHIN, commands.remove_leftovers());
    removing.await.unwrap_or_else(|_| Ok(Vec::new()))
}

impl<E: HostExec> Run<'_, E> {
    /// Removes the files. Not stopped by the signal that may have ended the run, but bounded.
    pub(super) async fn clean_up(&self) {
        if self.plans.is_empty() {
            return;
        }
        let removing = self.commands.remove(&self.plans);
        let reason = tokio::select! {
            removed = time::timeout(CLEAN_UP_WITHIN, removing) => match removed {
                Ok(Ok(())) => return,
                // Perhaps since the host was lost meanwhile.
                Ok(Err(failure)) => {
                    let losing = self.commands.exec.until_lost(&self.bigfile.host);
                    let lost = time::timeout(LOSS_SHOWS_WITHIN, losing).await;
                    lost.map_or_else(|_| failure.to_string(), |lost| ScenarioError::Lost { lost }.to_string())
                }
                Err(_) => format!("no answer within {} s", CLEAN_UP_WITHIN.as_secs()),
            },
            () = self.shutdown.at_once().cancelled() => "interrupted".to_owned(),
        };
        self.events.emit(Warning::FilesLeft {
            host: self.bigfile.host.clone(),
            files: self.plans.iter().map(|plan| plan.name.clone()).collect(),
            reason,
        });
    }
}
