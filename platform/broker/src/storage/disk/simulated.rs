//! A disk in memory that lies as real ones do, and by a seed, so that what it did can be done again.
//!
//! What was written is seen at once, but only what was synced outlives a power cut for certain: of the rest each sector
//! of 512 bytes may be there or not, in any order, and so may each change of a name. A sync that fails reports it once
//! and forgets what it was to keep, as Linux does. It can fail any operation, fill up, flip bits, and switch the
//! machine off at any step, in the middle of a write too.

mod dice;
mod state;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use self::dice::Dice;
use self::state::{Change, Interruption, Look, Naming, State};
use super::{Disk, DiskFile, Mode, SharedFile};

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A write into a file; a part of it is done.
    Write,
    /// A sync of a file.
    Sync,
    /// A sync of a folder.
    SyncFolder,
    /// A new name for a file.
    Rename,
    /// The end of a name.
    Remove,
}

/// The disk.
#[derive(Debug)]
pub(crate) struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

impl SimulatedDisk {
    /// An empty disk.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                dice: Dice::new(seed),
                files: HashMap::new(),
                next_file: 0,
                folders: BTreeSet::new(),
                names: BTreeMap::new(),
                safe_names: BTreeMap::new(),
                unsafe_names: Vec::new(),
                boot: 0,
                is_off: false,
                off_in: None,
                fails: None,
                room: None,
                reads: 0,
                while_syncing: None,
            })),
        }
    }

    /// Switches the machine off after so many more changes.
    pub(crate) fn switch_off_in(&self, operations: u64) {
        self.state().off_in = Some(operations);
    }

    /// Whether it was switched off.
    pub(crate) fn is_off(&self) -> bool {
        self.state().is_off
    }

    /// What it throws next: two disks that have been through the same throw the same.
    pub(crate) fn roll(&self) -> u64 {
        self.state().dice.roll()
    }

    /// Makes an operation fail, after so many others of its kind.
    pub(crate) fn fail(&self, operation: Operation, after: u64) {
        self.state().fails = Some((operation, after));
    }

    /// Lets files grow by so many bytes in all, or without limit.
    pub(crate) fn limit_room(&self, bytes: Option<u64>) {
        self.state().room = bytes;
    }

    /// Has `look` called during each sync, of a file or of a folder.
    pub(crate) fn look_while_syncing(&self, look: impl Fn() + Send + Sync + 'static) {
        self.state().while_syncing = Some(Look(Arc::new(look)));
    }

    /// How often something was read of a file.
    pub(crate) fn reads(&self) -> u64 {
        self.state().reads
    }

    /// The process is gone and a new one begins: everything written is there.
    pub(crate) fn kill(&self) {
        self.state().restart();
    }

    /// The power is gone and comes back: what was synced is there, of the rest whatever happened to get that far.
    pub(crate) fn cut_power(&self) {
        let mut state = self.state();
        let State {
            dice,
            files,
            safe_names,
            unsafe_names,
            ..
        } = &mut *state;
        let survives = [0, 50, 100][dice.below(3) as usize];
        for naming in unsafe_names.drain(..) {
            if dice.chance(survives) {
                naming.apply(safe_names);
            }
        }
        let mut ids: Vec<u64> = files.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            if let Some(content) = files.get_mut(&id) {
                content.lose_some(dice);
            }
        }
        state.names = state.safe_names.clone();
        state.restart();
    }

    /// Flips one bit of a file whose name ends in `suffix`; returns which, unless there is none.
    pub(crate) fn flip_bit(&self, suffix: &str) -> Option<(PathBuf, usize)> {
        let mut state = self.state();
        let candidates: Vec<(PathBuf, u64)> = state
            .names
            .iter()
            .filter(|(path, file)| {
                path.to_string_lossy().ends_with(suffix) && !state.files[file].seen.is_empty()
            })
            .map(|(path, file)| (path.clone(), *file))
            .collect();
        let chosen = state.dice.below(candidates.len() as u64) as usize;
        let (path, file) = candidates.get(chosen)?.clone();
        let (at, bit) = (state.dice.roll() as usize, state.dice.below(8));
        let content = state.files.get_mut(&file)?;
        let at = at % content.seen.len();
        content.seen[at] ^= 1 << bit;
        if let Some(byte) = content.safe.get_mut(at) {
            *byte ^= 1 << bit;
        }
        Some((path, at))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for SimulatedDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.check_power()?;
        state.folders.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn open(&self, path: &Path, mode: Mode) -> io::Result<SharedFile> {
        let mut state = self.state();
        state.check_power()?;
        let known = state.names.get(path).copied();
        let file = match (known, mode) {
            (Some(file), Mode::Fresh) => {
                state.change(None)?;
                if let Some(content) = state.files.get_mut(&file) {
                    content.seen.clear();
                    content.unsafe_changes.push(Change::Size(0));
                }
                file
            }
            (Some(file), _) => file,
            (None, Mode::Keep | Mode::Fresh) => {
                state.change(None)?;
                state.name(path)
            }
            (None, Mode::Read | Mode::Write) => return Err(not_found()),
        };
        Ok(Arc::new(SimulatedFile {
            boot: state.boot,
            state: Arc::clone(&self.state),
            file,
        }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.state();
        state.check_power()?;
        if !state.folders.contains(folder) {
            return Err(not_found());
        }
        let files = state.names.keys();
        let found = files
            .chain(&state.folders)
            .filter(|path| path.parent() == Some(folder));
        Ok(found.cloned().collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change(Some(Operation::Rename))?;
        if state.folders.contains(from) {
            // A folder and everything in it, at once and for good: nothing that is tested relies on less.
            let moved = |path: &PathBuf| match path.strip_prefix(from) {
                Ok(rest) => to.join(rest),
                Err(_) => path.clone(),
            };
            state.folders = state.folders.iter().map(moved).collect();
            let renamed = |names: &BTreeMap<PathBuf, u64>| {
                let names = names.iter();
                names.map(|(path, file)| (moved(path), *file)).collect()
            };
            state.names = renamed(&state.names);
            state.safe_names = renamed(&state.safe_names);
            return Ok(());
        }
        let file = state.names.remove(from).ok_or_else(not_found)?;
        state.names.insert(to.to_owned(), file);
        state.unsafe_names.push(Naming::Changed {
            from: from.to_owned(),
            to: to.to_owned(),
            file,
        });
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.check_power()?;
        if !state.names.contains_key(path) {
            return Err(not_found());
        }
        state.change(Some(Operation::Remove))?;
        state.names.remove(path);
        state.unsafe_names.push(Naming::Taken {
            path: path.to_owned(),
        });
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change(Some(Operation::Remove))?;
        let inside: Vec<PathBuf> = state
            .names
            .keys()
            .filter(|name| name.starts_with(path))
            .cloned()
            .collect();
        for name in inside {
            state.names.remove(&name);
            state.unsafe_names.push(Naming::Taken { path: name });
        }
        state.folders.retain(|folder| !folder.starts_with(path));
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let look = self.state().while_syncing.clone();
        if let Some(Look(look)) = look {
            look();
        }
        let mut state = self.state();
        state.change(Some(Operation::SyncFolder))?;
        let (here, elsewhere) = std::mem::take(&mut state.unsafe_names)
            .into_iter()
            .partition(|naming: &Naming| naming.is_in(path));
        state.unsafe_names = elsewhere;
        for naming in here {
            naming.apply(&mut state.safe_names);
        }
        Ok(())
    }

    fn modified_ms(&self, _path: &Path) -> io::Result<i64> {
        Ok(0)
    }

    fn callers(&self) -> usize {
        1
    }
}

/// A file on it.
#[derive(Debug)]
struct SimulatedFile {
    state: Arc<Mutex<State>>,
    boot: u64,
    file: u64,
}

impl SimulatedFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.boot != self.boot {
            return Err(io::Error::other("the file was opened by a process that is gone"));
        }
        Ok(state)
    }
}

impl DiskFile for SimulatedFile {
    fn size(&self) -> io::Result<u64> {
        let state = self.state()?;
        Ok(state.files[&self.file].seen.len() as u64)
    }

    fn read_at(&self, position: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut state = self.state()?;
        state.check_power()?;
        state.reads += 1;
        let seen = &state.files[&self.file].seen;
        let from = seen.len().min(position as usize);
        let to = seen.len().min(from.saturating_add(len));
        Ok(seen[from..to].to_vec())
    }

    fn write_at(&self, position: u64, first: &[u8], second: &[u8]) -> io::Result<()> {
        let mut state = self.state()?;
        let mut bytes = [first, second].concat();
        let changed = state.change(Some(Operation::Write));
        let position = position as usize;
        let grows = (position + bytes.len()).saturating_sub(state.files[&self.file].seen.len()) as u64;
        let full = state.room.is_some_and(|room| grows > room);
        if changed.is_err() || full {
            let part = state.dice.below(bytes.len() as u64 + 1) as usize;
            bytes.truncate(part);
        } else if let Some(room) = &mut state.room {
            *room -= grows;
        }
        if let Some(content) = state.files.get_mut(&self.file) {
            content.write(position, &bytes);
        }
        changed?;
        if full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let mut state = self.state()?;
        state.change(None)?;
        if let Some(content) = state.files.get_mut(&self.file) {
            content.seen.resize(size as usize, 0);
            content.unsafe_changes.push(Change::Size(size as usize));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let look = self.state()?.while_syncing.clone();
        if let Some(Look(look)) = look {
            look();
        }
        let mut state = self.state()?;
        let changed = state.change(Some(Operation::Sync));
        if let Some(content) = state.files.get_mut(&self.file) {
            match changed {
                Ok(()) => content.sync(),
                // Told once, and forgotten: a later sync has nothing of it to write.
                Err(Interruption::Failed) => content.unsafe_changes.clear(),
                Err(Interruption::Off) => {}
            }
        }
        Ok(changed?)
    }
}

#[cfg(test)]
mod tests;
