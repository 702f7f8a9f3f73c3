//! The broker's state: everything a request may ask about or change.
//!
//! It knows neither the protocol nor sockets; the handlers in `api` and the tasks in `maintenance` share it.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::commit::Committer;
use crate::config::Config;
use crate::error::Error;
use crate::groups::Coordinator;
use crate::metrics::Requests;
use crate::security::store::SecurityStore;
use crate::server::complaints::Complaints;
use crate::storage::directory::{DataDir, Durability, Replaced, replace_file};
use crate::storage::disk::{Disk, Mode, RealDisk, SharedDisk, read_all};
use crate::topics::{Topics, catalog};
use crate::transactions::{Restart, Stores, Transactions};

/// Bytes that are shared out together.
pub(crate) const MEMORY_UNIT: usize = 1024;

/// What the running of the machine that the data was last written in is called by its kernel.
const BOOT_FILE: &str = "boot-id";
/// Where Linux tells it.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A file that is there while no broker runs, unless the last one was killed.
const CLEAN_STOP: &str = "stopped-cleanly";

/// The broker's state.
#[derive(Debug)]
pub(crate) struct Node {
    /// How it was set up.
    pub(crate) config: Config,
    /// Its topics.
    pub(crate) topics: Topics,
    /// Its groups of consumers and their offsets.
    pub(crate) groups: Coordinator,
    /// What counts together or not at all.
    pub(crate) transactions: Transactions,
    /// The requests that wait for the disk.
    pub(crate) committer: Committer,
    /// Whether the broker that had the data before did not come to its end.
    pub(crate) was_killed: bool,
    /// Who may come in, and what they may do.
    pub(crate) security: SecurityStore,
    /// Connections that may still be opened.
    pub(crate) connections: Arc<Semaphore>,
    /// Clients that may begin to be let in.
    pub(crate) handshakes: Arc<Semaphore>,
    /// Messages of theirs that may be computed with.
    pub(crate) password_work: Semaphore,
    /// Units of memory left for the records in answers.
    pub(crate) answer_memory: Arc<Semaphore>,
    /// Units of memory left for large requests.
    pub(crate) request_memory: Arc<Semaphore>,
    /// Requests that were answered.
    pub(crate) requests: Requests,
    /// What was wrong with connections, told now and then.
    pub(crate) complaints: Complaints,
    /// Called when something was written that is not yet on the disk itself.
    pub(crate) written: Notify,
    /// Cancelled when the broker is to stop.
    pub(crate) shutdown: CancellationToken,
    /// Called when a segment was filled, so that a topic with a limit may have too much.
    pub(crate) filled: Notify,
    data_dir: DataDir,
}

impl Node {
    /// Opens the data folder and recovers what is in it; blocks on the disk.
    pub(crate) fn open(config: Config) -> Result<Self, Error> {
        Self::open_on(&RealDisk::shared(), config)
    }

    /// The same, with its topics and groups on another disk.
    pub(crate) fn open_on(disk: &SharedDisk, config: Config) -> Result<Self, Error> {
        let data_dir = DataDir::open(&config.data_dir)?;
        let was_killed = take_note_of_clean_stop(&**disk, data_dir.path());
        let topics = Topics::open(disk, &config)?;
        let groups = Coordinator::open(disk, data_dir.path(), config.groups.clone())?;
        let security = SecurityStore::open(disk, data_dir.path(), &config.security)?;
        let transactions = Transactions::default();
        let stores = Stores {
            topics: &topics,
            groups: &groups,
        };
        let boot_id = std::fs::read(BOOT_ID).unwrap_or_default();
        let restart = restart(&**disk, data_dir.path(), &boot_id);
        let recovered = transactions.recover(stores, restart, osqdemo_clock::unix_ms());
        // Not before all is done that has to be done after a start of the machine.
        if restart == Restart::Machine && recovered {
            note_boot(&**disk, data_dir.path(), &boot_id);
        }
        Ok(Self {
            topics,
            groups,
            transactions,
            committer: Committer::default(),
            security,
            connections: semaphore(config.limits.connections),
            handshakes: semaphore(config.limits.handshakes),
            password_work: Semaphore::new(std::thread::available_parallelism().map_or(1, Into::into)),
            answer_memory: semaphore(config.limits.answer_bytes / MEMORY_UNIT),
            request_memory: semaphore(config.limits.request_bytes / MEMORY_UNIT),
            requests: Requests::default(),
            complaints: Complaints::default(),
            was_killed,
            written: Notify::new(),
            shutdown: CancellationToken::new(),
            filled: Notify::new(),
            config,
            data_dir,
        })
    }

    /// What transactions are about.
    pub(crate) fn stores(&self) -> Stores<'_> {
        Stores {
            topics: &self.topics,
            groups: &self.groups,
        }
    }

    /// Writes down that everything was brought to the disk, so that the next start need not check it.
    pub(crate) fn note_clean_stop(&self) {
        // Without the note the next start checks what it need not.
        let _ = RealDisk.open(&self.data_dir.path().join(CLEAN_STOP), Mode::Fresh);
    }
}

/// Whether the machine was started anew since the data was written.
fn restart(disk: &dyn Disk, data_dir: &Path, boot_id: &[u8]) -> Restart {
    match read_all(disk, &data_dir.join(BOOT_FILE)) {
        // Where the kernel does not tell, any start may be one of the machine.
        Ok(before) if !boot_id.is_empty() && before == boot_id => Restart::Broker,
        _ => Restart::Machine,
    }
}

/// Writes down in which running of the machine the data is written.
fn note_boot(disk: &dyn Disk, data_dir: &Path, boot_id: &[u8]) {
    let path = data_dir.join(BOOT_FILE);
    let written = replace_file(disk, &path, boot_id, Durability::Disk).and_then(Replaced::done);
    if let Err(error) = written {
        tracing::warn!(path = %path.display(), %error, "cannot write down in which running of the machine this is; the next start aborts open transactions");
    }
}

/// So many of something that is shared.
fn semaphore(permits: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)))
}

/// So many units of memory as hold `bytes`.
pub(crate) fn memory_units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(MEMORY_UNIT))
        .unwrap_or(u32::MAX)
        .max(1)
}

/// Whether the last broker on this data was killed; forgets that it was not.
fn take_note_of_clean_stop(disk: &dyn Disk, data_dir: &Path) -> bool {
    let is_new = !disk
        .list(data_dir)
        .unwrap_or_default()
        .contains(&data_dir.join(catalog::FILE));
    disk.remove_file(&data_dir.join(CLEAN_STOP)).is_err() && !is_new
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::storage::disk::simulated::SimulatedDisk;

    /// A broker's state on a simulated disk, and the real folder that its lock is in.
    pub(crate) fn simulated(
        seed: u64,
        configure: impl FnOnce(&mut Config),
    ) -> (Arc<SimulatedDisk>, Arc<Node>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(SimulatedDisk::new(seed));
        disk.create_folder(folder.path()).unwrap();
        let mut config = Config::new(folder.path());
        configure(&mut config);
        let shared: SharedDisk = Arc::clone(&disk) as SharedDisk;
        let node = Node::open_on(&shared, config).unwrap();
        (disk, Arc::new(node), folder)
    }

    /// The state that another broker finds there.
    pub(crate) fn reopened(disk: &Arc<SimulatedDisk>, folder: &Path) -> Node {
        let shared: SharedDisk = Arc::clone(disk) as SharedDisk;
        Node::open_on(&shared, Config::new(folder)).unwrap()
    }

    #[test]
    fn where_the_kernel_does_not_tell_every_start_may_be_one_of_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let after = |boot_id: &[u8]| restart(&RealDisk, folder.path(), boot_id);
        assert_eq!(after(b"one"), Restart::Machine);
        for (noted, expected) in [(&b"one"[..], Restart::Broker), (b"", Restart::Machine)] {
            note_boot(&RealDisk, folder.path(), noted);
            assert_eq!(after(noted), expected);
            assert_eq!(after(b"another"), Restart::Machine);
        }
    }
}
