//! The spool's folder: it is opened when it can be had, held against other extensions, and told of.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::{CourierError, Shared, lock};
use crate::options::SpoolOptions;
use crate::spool::disk::Folder;
use crate::spool::folder_lock::{FolderError, FolderLock};
use crate::spool::frame::Id;
use crate::spool::{Identity, Limits, Spool};

/// The spool's folder.
#[derive(Default)]
pub(super) struct SpoolState {
    /// What is wanted, as long as it is not had.
    pub(super) wanted: Option<SpoolOptions>,
    pub(super) tried: Option<Instant>,
    pub(super) folder: Option<PathBuf>,
    /// Keeps other extensions out.
    pub(super) lock: Option<FolderLock>,
    pub(super) said_troubles: u64,
    pub(super) said_at: Option<Instant>,
    pub(super) said: String,
}

/// The spool now.
#[derive(Clone, Debug)]
pub(crate) struct SpoolStatus {
    /// Lines that have not arrived.
    pub(crate) waiting: u64,
    /// Those of them that only memory has.
    pub(crate) in_memory: u64,
    /// The age of the oldest of them.
    pub(crate) oldest_s: u64,
    pub(crate) bytes: u64,
    pub(crate) max_bytes: u64,
    /// Empty when there is none.
    pub(crate) folder: String,
}

impl Shared {
    /// Opens the spool that is wanted. That it cannot be had is no error unless somebody else has it: lines are kept
    /// in memory then.
    pub(super) fn open_spool(&self) -> Result<(), CourierError> {
        let mut state = lock(&self.spool);
        let Some(options) = state.wanted.clone() else {
            return Ok(());
        };
        state.tried = Some(Instant::now());
        let opened = FolderLock::take(&options.folder).and_then(|folder_lock| {
            let identity = Identity {
                boot: boot_id(),
                fresh: random_id(),
            };
            let spool = Spool::open(
                Folder::new(&options.folder),
                identity,
                Limits::new(options.max_bytes),
            )?;
            Ok((folder_lock, spool))
        });
        match opened {
            Ok((folder_lock, spool)) => {
                let (lines, bytes) = (spool.undone(), spool.bytes());
                tracing::info!(folder = %options.folder.display(), lines, bytes, "the spool is open");
                lock(&self.outbox).use_spool(spool);
                state.lock = Some(folder_lock);
                state.folder = Some(options.folder);
                state.wanted = None;
                Ok(())
            }
            Err(FolderError::Taken { pid }) => Err(CourierError::SpoolTaken {
                folder: options.folder,
                pid,
            }),
            Err(FolderError::Io(error)) => {
                tracing::error!(folder = %options.folder.display(), %error, "cannot open the spool; lines are kept in memory, and not accepted");
                Ok(())
            }
        }
    }

    pub(super) fn spool_status(&self) -> SpoolStatus {
        let now = self.now().unix_ms;
        let folder = lock(&self.spool).folder.clone();
        let outbox = lock(&self.outbox);
        let oldest = outbox
            .oldest_unix_ms()
            .map_or(0, |oldest| now.saturating_sub(oldest).max(0) / 1000);
        SpoolStatus {
            waiting: outbox.waiting(),
            in_memory: outbox.in_memory(),
            oldest_s: oldest.unsigned_abs(),
            bytes: outbox.spool().map_or(0, Spool::bytes),
            max_bytes: outbox.spool().map_or(0, Spool::max_bytes),
            folder: folder
                .map(|folder| folder.display().to_string())
                .unwrap_or_default(),
        }
    }
}

/// The kernel's name for the machine's current boot; one that no boot has where it has none.
fn boot_id() -> Id {
    read_id(Path::new("/proc/sys/kernel/random/boot_id")).unwrap_or_else(random_id)
}

/// An id that nothing else has.
pub(super) fn random_id() -> Id {
    read_id(Path::new("/proc/sys/kernel/random/uuid")).unwrap_or_else(|| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        (now ^ u128::from(std::process::id()) << 96).to_le_bytes()
    })
}

/// A UUID as the kernel writes it.
fn read_id(path: &Path) -> Option<Id> {
    let text = std::fs::read_to_string(path).ok()?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes)
}
