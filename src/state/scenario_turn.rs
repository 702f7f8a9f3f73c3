//! Which scenarios of a project run: one that is alone may remove what killed ones have left. The kernel ends a turn
//! when its holder ends, however it ends.

use std::fs::File;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tokio::time::{Instant, interval};

use crate::state::ProjectFolder;

/// How often to try to share what another scenario has for itself.
const LOOK: Duration = Duration::from_millis(20);

/// How long another scenario may have it for itself: it only removes files meanwhile.
const ALONE_AT_MOST: Duration = Duration::from_secs(15);

/// Held while a scenario runs.
#[derive(Debug)]
pub struct ScenarioTurn {
    folder: File,
    is_alone: bool,
}

impl ScenarioTurn {
    /// Takes a turn: alone when no other scenario runs, else beside them. Nothing where the folder cannot be locked.
    pub async fn take(folder: &ProjectFolder) -> Option<Self> {
        // The folder itself is locked: no file has to be made, and none is left.
        let folder = File::open(folder.root()).ok()?;
        if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let is_alone = true;
            return Some(Self { folder, is_alone });
        }
        let deadline = Instant::now() + ALONE_AT_MOST;
        let mut look = interval(LOOK);
        while flock(&folder, FlockOperation::NonBlockingLockShared).is_err() {
            if Instant::now() > deadline {
                return None;
            }
            look.tick().await;
        }
        let is_alone = false;
        Some(Self { folder, is_alone })
    }

    /// Whether no other scenario runs, nor begins before [`Self::share`].
    pub fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// Lets others run beside this one.
    pub fn share(&mut self) {
        if std::mem::take(&mut self.is_alone) {
            // From one that is held for itself the kernel makes a shared one at once.
            let _ = flock(&self.folder, FlockOperation::NonBlockingLockShared);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::project::ProjectName;

    #[tokio::test]
    async fn only_one_that_runs_by_itself_is_alone() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = ProjectFolder::new(home.path(), &ProjectName::default());
        assert!(ScenarioTurn::take(&folder).await.is_none(), "there is no project");
        folder.create().expect("a folder");
        let mut first = ScenarioTurn::take(&folder).await.expect("a turn");
        assert!(first.is_alone());
        first.share();
        let second = ScenarioTurn::take(&folder).await.expect("a turn");
        assert!(!first.is_alone() && !second.is_alone());
        drop(first);
        let third = ScenarioTurn::take(&folder).await.expect("a turn");
        assert!(!third.is_alone(), "the second still runs");
        drop((second, third));
        assert!(ScenarioTurn::take(&folder).await.expect("a turn").is_alone());
    }
}
