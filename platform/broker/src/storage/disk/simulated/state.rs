//! What is on the simulated disk, and what of it would be there after a power cut.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Dice, Operation};

const SECTOR: usize = 512;

#[derive(Debug)]
pub(super) struct State {
    pub(super) dice: Dice,
    pub(super) files: HashMap<u64, Content>,
    pub(super) next_file: u64,
    pub(super) folders: BTreeSet<PathBuf>,
    pub(super) names: BTreeMap<PathBuf, u64>,
    pub(super) safe_names: BTreeMap<PathBuf, u64>,
    pub(super) unsafe_names: Vec<Naming>,
    /// Counts restarts: files opened before one are gone.
    pub(super) boot: u64,
    pub(super) is_off: bool,
    /// Operations until the machine is switched off.
    pub(super) off_in: Option<u64>,
    /// The operation that fails next, after so many others of its kind.
    pub(super) fails: Option<(Operation, u64)>,
    pub(super) room: Option<u64>,
    pub(super) reads: u64,
    pub(super) while_syncing: Option<Look>,
}

/// What is looked at while something is synced.
#[derive(Clone)]
pub(super) struct Look(pub(super) Arc<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Look {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Look")
    }
}

#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) seen: Vec<u8>,
    pub(super) safe: Vec<u8>,
    pub(super) unsafe_changes: Vec<Change>,
}

#[derive(Debug)]
pub(super) enum Change {
    Write { position: usize, bytes: Vec<u8> },
    Size(usize),
}

#[derive(Debug)]
pub(super) enum Naming {
    Given { path: PathBuf, file: u64 },
    Taken { path: PathBuf },
    Changed { from: PathBuf, to: PathBuf, file: u64 },
}

impl Naming {
    pub(super) fn apply(self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Given { path, file } => {
                names.insert(path, file);
            }
            Self::Taken { path } => {
                names.remove(&path);
            }
            Self::Changed { from, to, file } => {
                if names.get(&from) == Some(&file) {
                    names.remove(&from);
                }
                names.insert(to, file);
            }
        }
    }

    pub(super) fn file(&self) -> Option<u64> {
        match self {
            Self::Given { file, .. } | Self::Changed { file, .. } => Some(*file),
            Self::Taken { .. } => None,
        }
    }

    pub(super) fn is_in(&self, folder: &Path) -> bool {
        match self {
            Self::Given { path, .. } | Self::Taken { path } => path.parent() == Some(folder),
            Self::Changed { to, .. } => to.parent() == Some(folder),
        }
    }
}

impl Content {
    pub(super) fn write(&mut self, position: usize, bytes: &[u8]) {
        put(&mut self.seen, position, bytes);
        self.unsafe_changes.push(Change::Write {
            position,
            bytes: bytes.to_vec(),
        });
    }

    pub(super) fn sync(&mut self) {
        for change in self.unsafe_changes.drain(..) {
            match change {
                Change::Size(size) => self.safe.resize(size, 0),
                Change::Write { position, bytes } => put(&mut self.safe, position, &bytes),
            }
        }
    }

    /// A power cut: of what was not synced some is there.
    pub(super) fn lose_some(&mut self, dice: &mut Dice) {
        let survives = [0, 50, 90, 100][dice.below(4) as usize];
        for change in self.unsafe_changes.drain(..) {
            match change {
                Change::Size(size) => {
                    if dice.chance(survives) {
                        self.safe.resize(size, 0);
                    }
                }
                Change::Write { position, bytes } => {
                    let mut at = 0;
                    while at < bytes.len() {
                        let sector_end = SECTOR - (position + at) % SECTOR;
                        let end = bytes.len().min(at + sector_end);
                        if dice.chance(survives) {
                            put(&mut self.safe, position + at, &bytes[at..end]);
                        }
                        at = end;
                    }
                }
            }
        }
        self.seen = self.safe.clone();
    }
}

fn put(content: &mut Vec<u8>, position: usize, bytes: &[u8]) {
    if content.len() < position + bytes.len() {
        content.resize(position + bytes.len(), 0);
    }
    content[position..position + bytes.len()].copy_from_slice(bytes);
}

impl State {
    pub(super) fn restart(&mut self) {
        self.boot += 1;
        self.is_off = false;
        self.off_in = None;
        self.fails = None;
        self.room = None;
        // A change of a name that was not synced may yet be undone, and bring a file back.
        let undecided = self.unsafe_names.iter().filter_map(Naming::file);
        let named: BTreeSet<u64> = self
            .names
            .values()
            .chain(self.safe_names.values())
            .copied()
            .chain(undecided)
            .collect();
        self.files.retain(|file, _| named.contains(file));
    }

    pub(super) fn check_power(&self) -> io::Result<()> {
        if self.is_off {
            return Err(io::Error::other("the machine is off"));
        }
        Ok(())
    }

    /// Counts a change; the error says that the machine went off with it, or that it was to fail.
    pub(super) fn change(&mut self, operation: Option<Operation>) -> Result<(), Interruption> {
        if self.is_off {
            return Err(Interruption::Off);
        }
        match &mut self.off_in {
            Some(0) => {
                self.is_off = true;
                return Err(Interruption::Off);
            }
            Some(left) => *left -= 1,
            None => {}
        }
        if let (Some(operation), Some((failing, after))) = (operation, &mut self.fails)
            && operation == *failing
        {
            if *after == 0 {
                self.fails = None;
                return Err(Interruption::Failed);
            }
            *after -= 1;
        }
        Ok(())
    }

    pub(super) fn name(&mut self, path: &Path) -> u64 {
        let file = self.next_file;
        self.next_file += 1;
        self.files.insert(file, Content::default());
        self.names.insert(path.to_owned(), file);
        self.unsafe_names.push(Naming::Given {
            path: path.to_owned(),
            file,
        });
        file
    }
}

/// Why a change did not happen, or not wholly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interruption {
    Off,
    Failed,
}

impl From<Interruption> for io::Error {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::Off => Self::other("the machine is off"),
            Interruption::Failed => Self::other("the disk refuses"),
        }
    }
}
