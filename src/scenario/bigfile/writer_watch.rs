//! Sees that the process that writes the file was stopped: it would be waited for until the scenario's end.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::super::host_commands::{FilePlan, HostCommands};
use crate::engine::HostExec;

/// How long a writer is not looked at: most are done by then, and a look is itself a process on the host.
const FIRST: Duration = Duration::from_secs(3);
/// How often it is looked at then.
const LOOK: Duration = Duration::from_secs(1);

/// Returns once somebody has stopped the writer, with its process as the host numbers it.
pub(super) async fn until_stopped<E: HostExec>(commands: &HostCommands<'_, E>, plan: &FilePlan) -> u32 {
    let mut look = interval_at(Instant::now() + FIRST, LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = None;
    loop {
        look.tick().await;
        // A host that cannot be asked is somebody else's to tell of.
        let stopped = commands.stopped_writer(plan).await.unwrap_or_default();
        match stopped {
            // Twice: who is only looked at by a debugger goes on.
            Some(process) if before == Some(process) => return process,
            _ => before = stopped,
        }
    }
}
