//! A disk in memory that can be crashed, filled and broken at every step.
//!
//! Every change is a step. The disk can be told to stop at a certain one: from there on nothing works, as when the
//! process is killed; a write is cut in the middle. What is then there is [`SimulatedDisk::after_kill`] all that was
//! written, or [`SimulatedDisk::after_power_cut`] what was synced and, by chance, pages of the rest.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use super::disk::{Disk, DiskFile};

/// What the system writes to the disk at once.
const PAGE: usize = 4096;

#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    /// By inode.
    contents: Vec<Content>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    steps: u64,
    reads: u64,
    stop_at: Option<u64>,
    broken: bool,
    capacity: Option<usize>,
}

/// The disk; a clone is the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimulatedDisk(Rc<RefCell<State>>);

/// A file of it.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedFile {
    disk: SimulatedDisk,
    inode: usize,
}

impl SimulatedDisk {
    /// The steps taken so far.
    pub(crate) fn steps(&self) -> u64 {
        self.0.borrow().steps
    }

    /// How often something was read.
    pub(crate) fn reads(&self) -> u64 {
        self.0.borrow().reads
    }

    /// Stops in the step after so many.
    pub(crate) fn stop_at(&self, step: u64) {
        self.0.borrow_mut().stop_at = Some(step);
    }

    /// Whether it has stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        let state = self.0.borrow();
        state.stop_at.is_some_and(|stop| state.steps > stop)
    }

    /// Fails every change, or no longer does.
    pub(crate) fn set_broken(&self, broken: bool) {
        self.0.borrow_mut().broken = broken;
    }

    /// Takes no more bytes than this in all files.
    pub(crate) fn set_capacity(&self, capacity: Option<usize>) {
        self.0.borrow_mut().capacity = capacity;
    }

    /// Changes a byte of a file, behind everyone's back.
    pub(crate) fn damage(&self, name: &str, place: usize) {
        let mut state = self.0.borrow_mut();
        let inode = state.names[name];
        let bytes = &mut state.contents[inode].bytes;
        let place = place % bytes.len();
        bytes[place] ^= 0x55;
    }

    /// Puts a file there.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        let inode = state.contents.len();
        state.contents.push(Content {
            bytes: bytes.to_vec(),
            synced: bytes.to_vec(),
        });
        state.names.insert(name.to_owned(), inode);
    }

    /// What the next process finds.
    pub(crate) fn after_kill(&self) -> Self {
        let state = self.0.borrow();
        Self::with(
            state
                .names
                .iter()
                .map(|(name, inode)| (name.clone(), state.contents[*inode].bytes.clone())),
        )
    }

    /// What the machine finds when it starts again. `chance` says whether something that was not synced was written
    /// nevertheless.
    pub(crate) fn after_power_cut(&self, mut chance: impl FnMut() -> bool) -> Self {
        let state = self.0.borrow();
        // File systems keep the order of changes to names.
        let names = match chance() {
            true => &state.names,
            false => &state.synced_names,
        };
        Self::with(names.iter().map(|(name, inode)| {
            let content = &state.contents[*inode];
            let mut bytes = content.synced.clone();
            if chance() && content.bytes.len() > bytes.len() {
                bytes.resize(content.bytes.len(), 0);
            }
            for start in (0..bytes.len()).step_by(PAGE) {
                let end = bytes.len().min(start + PAGE).min(content.bytes.len());
                if start < end && chance() {
                    bytes[start..end].copy_from_slice(&content.bytes[start..end]);
                }
            }
            (name.clone(), bytes)
        }))
    }

    fn with(files: impl Iterator<Item = (String, Vec<u8>)>) -> Self {
        let disk = Self::default();
        for (name, bytes) in files {
            disk.put(&name, &bytes);
        }
        let mut state = disk.0.borrow_mut();
        state.synced_names = state.names.clone();
        drop(state);
        disk
    }

    fn stopped() -> io::Error {
        io::Error::other("the disk has stopped")
    }

    /// One step; an error when the disk does not go along. `Ok(true)` for the very step in which it stops.
    fn step(&self) -> io::Result<bool> {
        let mut state = self.0.borrow_mut();
        if state.broken {
            return Err(io::Error::other("the disk is broken"));
        }
        state.steps += 1;
        match state.stop_at {
            Some(stop) if state.steps > stop + 1 => Err(Self::stopped()),
            Some(stop) => Ok(state.steps == stop + 1),
            None => Ok(false),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        if self.step()? {
            return Err(Self::stopped());
        }
        change(&mut self.0.borrow_mut())
    }

    fn inode(&self, name: &str) -> io::Result<usize> {
        let inode = self.0.borrow().names.get(name).copied();
        inode.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for SimulatedDisk {
    type File = SimulatedFile;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.borrow().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<SimulatedFile> {
        let inode = self.change(|state| {
            let inode = state.contents.len();
            state.contents.push(Content::default());
            state.names.insert(name.to_owned(), inode);
            Ok(inode)
        })?;
        Ok(SimulatedFile {
            disk: self.clone(),
            inode,
        })
    }

    fn open(&self, name: &str) -> io::Result<SimulatedFile> {
        Ok(SimulatedFile {
            disk: self.clone(),
            inode: self.inode(name)?,
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inode(name)?;
        self.change(|state| {
            state.names.remove(name);
            Ok(())
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let inode = self.inode(from)?;
        self.change(|state| {
            state.names.remove(from);
            state.names.insert(to.to_owned(), inode);
            Ok(())
        })
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.change(|state| {
            state.synced_names = state.names.clone();
            Ok(())
        })
    }
}

impl DiskFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.0.borrow().contents[self.inode].bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.0.borrow_mut();
        state.reads += 1;
        let bytes = &state.contents[self.inode].bytes;
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let cut = self.disk.step()?;
        let mut state = self.disk.0.borrow_mut();
        let used: usize = state
            .names
            .values()
            .map(|inode| state.contents[*inode].bytes.len())
            .sum();
        let room = state
            .capacity
            .map_or(usize::MAX, |capacity| capacity.saturating_sub(used));
        let content = &mut state.contents[self.inode].bytes;
        let growth = (offset as usize + bytes.len()).saturating_sub(content.len());
        let full = growth > room;
        let taken = match cut || full {
            true => &bytes[..bytes.len() / 2],
            false => bytes,
        };
        let end = offset as usize + taken.len();
        if content.len() < end {
            content.resize(end, 0);
        }
        content[offset as usize..end].copy_from_slice(taken);
        match (cut, full) {
            (true, _) => Err(SimulatedDisk::stopped()),
            (_, true) => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.change(|state| {
            let content = &mut state.contents[self.inode];
            content.synced = content.bytes.clone();
            Ok(())
        })
    }
}
