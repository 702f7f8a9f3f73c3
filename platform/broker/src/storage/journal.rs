//! A small append-only file of entries, for state that is written often and read once, at the start.
//!
//! Each entry carries its length and checksum. An entry that is not whole ends the file: it was being written when the
//! process died, and nobody was told that it is safe. When most of the file is out of date its owner rewrites it. The
//! slow parts, syncing and rewriting, are handed out as values that are run without the owner's lock.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};

use super::disk::{Mode, SharedDisk, SharedFile, remove_if_present};

const ENTRY_PREFIX: usize = 8;
const NEW_SUFFIX: &str = "new";
/// What is cut though whole entries lie behind it.
pub(crate) const CUT_SUFFIX: &str = "cut";

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    disk: SharedDisk,
    path: PathBuf,
    file: SharedFile,
    size: u64,
    /// While the journal is being rewritten: where, and what was added since that began.
    rewriting: Option<Rewriting>,
    /// The folder has to be synced for the file's name to be safe.
    name_unsynced: bool,
    /// A sync failed: what it was to bring to the disk may be lost whatever later ones say.
    failed: bool,
}

#[derive(Debug)]
struct Rewriting {
    file: SharedFile,
    added: Vec<u8>,
}

/// A rewrite that is begun; the long part, to be run without holding up whoever appends.
#[derive(Debug)]
pub(crate) struct Rewrite {
    file: SharedFile,
    bytes: Vec<u8>,
}

impl Rewrite {
    /// Writes the entries and syncs them.
    pub(crate) fn run(&self) -> io::Result<()> {
        self.file.write_at(0, &self.bytes, &[])?;
        self.file.sync()
    }
}

/// What has to be synced for everything in a journal to be safe; the slow part of a flush.
#[derive(Debug)]
pub(crate) struct Sync {
    disk: SharedDisk,
    file: SharedFile,
    folder: Option<PathBuf>,
}

impl Sync {
    /// Syncs it.
    pub(crate) fn run(&self) -> io::Result<()> {
        self.file.sync()?;
        self.folder
            .as_deref()
            .map_or(Ok(()), |folder| self.disk.sync_folder(folder))
    }
}

/// What a journal held when it was opened.
#[derive(Debug)]
pub(crate) struct Replay {
    /// Its entries, oldest first.
    pub(crate) entries: Vec<Vec<u8>>,
    /// Bytes that were cut: of a half-written last entry, or from a damaged one on.
    pub(crate) cut_bytes: u64,
    /// Whole entries among them, which no write that was broken off explains: then the bytes are kept in a file beside.
    pub(crate) cut_entries: usize,
}

impl Journal {
    /// Opens the journal at `path`, which is created when missing, and reads it.
    pub(crate) fn open(disk: &SharedDisk, path: &Path) -> io::Result<(Self, Replay)> {
        // Left by a rewrite that did not come to its end.
        remove_if_present(&**disk, &path.with_extension(NEW_SUFFIX))?;
        let file = disk.open(path, Mode::Keep)?;
        let len = usize::try_from(file.size()?).map_err(io::Error::other)?;
        let bytes = file.read_at(0, len)?;
        let (entries, size) = decode(&bytes);
        let cut_bytes = (bytes.len() - size) as u64;
        let cut_entries = whole_behind(&bytes[size..]);
        if cut_entries > 0 {
            let aside = disk.open(&path.with_extension(CUT_SUFFIX), Mode::Fresh)?;
            aside.write_at(0, &bytes[size..], &[])?;
            aside.sync()?;
        }
        if cut_bytes > 0 {
            file.set_size(size as u64)?;
            // For good: what is cut must not come back behind what is written next.
            file.sync()?;
        }
        // Once more: a sync of it may have failed in the process before, after which the system takes the pages for
        // written, and no sync would ever bring them to the disk.
        file.write_at(0, &bytes[..size], &[])?;
        let journal = Self {
            disk: disk.clone(),
            path: path.to_owned(),
            file,
            size: size as u64,
            rewriting: None,
            name_unsynced: true,
            failed: false,
        };
        let replay = Replay {
            entries,
            cut_bytes,
            cut_entries,
        };
        Ok((journal, replay))
    }

    /// Bytes in the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Whether a sync has failed, so that nothing more is taken.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Adds one entry, which must not be empty; on failure the file is as before.
    ///
    /// A power cut can leave zeros at the end of a file, and zeros are what an empty entry would look like.
    pub(crate) fn append(&mut self, entry: &[u8]) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("an earlier sync of the journal has failed"));
        }
        let mut bytes = Vec::with_capacity(ENTRY_PREFIX + entry.len());
        encode(&mut bytes, entry);
        if let Err(error) = self.file.write_at(self.size, &bytes, &[]) {
            // Should cutting fail too, the next entry writes over the rest.
            let _ = self.file.set_size(self.size);
            return Err(error);
        }
        self.size += bytes.len() as u64;
        if let Some(rewriting) = &mut self.rewriting {
            rewriting.added.extend_from_slice(&bytes);
        }
        Ok(())
    }

    /// What has to be synced for everything appended so far to be safe.
    pub(crate) fn begin_sync(&self) -> Sync {
        Sync {
            disk: self.disk.clone(),
            file: self.file.clone(),
            folder: self
                .name_unsynced
                .then(|| self.path.parent().map(Path::to_owned))
                .flatten(),
        }
    }

    /// Takes note of what became of a sync.
    pub(crate) fn end_sync(&mut self, sync: &Sync, synced: &io::Result<()>) {
        match synced {
            Ok(()) => self.name_unsynced &= sync.folder.is_none(),
            Err(_) => self.failed = true,
        }
    }

    /// Begins to replace all entries by `entries`, which say the same.
    pub(crate) fn begin_rewrite<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<Rewrite> {
        let mut bytes = Vec::new();
        for entry in entries {
            encode(&mut bytes, entry);
        }
        let file = self
            .disk
            .open(&self.path.with_extension(NEW_SUFFIX), Mode::Fresh)?;
        self.rewriting = Some(Rewriting {
            file: file.clone(),
            added: Vec::new(),
        });
        Ok(Rewrite { file, bytes })
    }

    /// Puts the rewritten journal in place, with what was appended since; the old one stays when that fails.
    pub(crate) fn end_rewrite(&mut self, rewrite: &Rewrite, written: io::Result<()>) -> io::Result<()> {
        let Some(rewriting) = self.rewriting.take() else {
            return Ok(());
        };
        written?;
        let size = rewrite.bytes.len() as u64;
        rewriting.file.write_at(size, &rewriting.added, &[])?;
        self.disk
            .rename(&self.path.with_extension(NEW_SUFFIX), &self.path)?;
        // From here on the old file has no name: whatever else fails, nothing more may go into it.
        self.file = rewriting.file;
        self.size = size + rewriting.added.len() as u64;
        self.name_unsynced = true;
        Ok(())
    }
}

fn encode(bytes: &mut Vec<u8>, entry: &[u8]) {
    bytes.put_u32(entry.len() as u32);
    bytes.put_u32(crc32c::crc32c(entry));
    bytes.put_slice(entry);
}

/// The whole entries at the start of `bytes`, and how long they are.
fn decode(bytes: &[u8]) -> (Vec<Vec<u8>>, usize) {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while rest.len() >= ENTRY_PREFIX {
        let mut prefix = rest;
        let (len, checksum) = (prefix.get_u32() as usize, prefix.get_u32());
        match prefix.get(..len) {
            Some(entry) if crc32c::crc32c(entry) == checksum && !entry.is_empty() => {
                entries.push(entry.to_vec());
                rest = &prefix[len..];
            }
            _ => break,
        }
    }
    (entries, bytes.len() - rest.len())
}

/// The whole entries behind the broken one that `bytes` begin with, where that one says truly how long it is.
fn whole_behind(bytes: &[u8]) -> usize {
    let Some((mut prefix, rest)) = bytes.split_at_checked(ENTRY_PREFIX) else {
        return 0;
    };
    let len = prefix.get_u32() as usize;
    rest.get(len..).map_or(0, |behind| decode(behind).0.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::disk::RealDisk;
    use super::super::disk::simulated::{Operation, SimulatedDisk};
    use super::*;
    use proptest::prelude::*;

    fn open(path: &Path) -> (Journal, Replay) {
        Journal::open(&RealDisk::shared(), path).unwrap()
    }

    #[test]
    fn entries_survive_and_a_rewrite_replaces_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, replay) = open(&path);
        assert!(replay.entries.is_empty());
        journal.append(b"one").unwrap();
        journal.append(b"two").unwrap();
        let (mut journal, replay) = open(&path);
        assert_eq!(replay.entries, [b"one".to_vec(), b"two".to_vec()]);
        let rewrite = journal.begin_rewrite([b"three".as_slice()].into_iter()).unwrap();
        journal.append(b"meanwhile").unwrap();
        let written = rewrite.run();
        journal.end_rewrite(&rewrite, written).unwrap();
        journal.append(b"four").unwrap();
        let (_, replay) = open(&path);
        let expected = [b"three".to_vec(), b"meanwhile".to_vec(), b"four".to_vec()];
        assert_eq!(replay.entries, expected);
    }

    #[test]
    fn what_is_cut_from_damage_on_is_kept_beside_and_a_broken_write_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("offsets.journal");
        let aside = folder.path().join("offsets.cut");
        let (mut journal, _) = open(&path);
        for entry in [b"one", b"two", b"six"] {
            journal.append(entry).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let (_, replay) = open(&path);
        assert_eq!((replay.entries.len(), replay.cut_entries), (2, 0));
        assert!(!aside.exists());
        let mut damaged = whole.clone();
        damaged[ENTRY_PREFIX] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let (_, replay) = open(&path);
        assert_eq!((replay.entries.len(), replay.cut_entries), (0, 2));
        assert_eq!(std::fs::read(&aside).unwrap(), damaged);
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_rewrite_that_fails_leaves_the_old_entries() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, _) = open(&path);
        journal.append(b"one").unwrap();
        let rewrite = journal.begin_rewrite(std::iter::empty()).unwrap();
        let failed = Err(io::Error::other("no space"));
        assert!(journal.end_rewrite(&rewrite, failed).is_err());
        journal.append(b"two").unwrap();
        assert_eq!(open(&path).1.entries, [b"one".to_vec(), b"two".to_vec()]);
    }

    #[test]
    fn a_name_that_could_not_be_synced_takes_nothing_more() {
        for seed in 0..100 {
            let simulated = Arc::new(SimulatedDisk::new(seed));
            let disk: SharedDisk = Arc::clone(&simulated) as SharedDisk;
            disk.create_folder(Path::new("/data")).unwrap();
            let path = Path::new("/data/journal");
            let (mut journal, _) = Journal::open(&disk, path).unwrap();
            let sync = |journal: &mut Journal| {
                let sync = journal.begin_sync();
                let synced = sync.run();
                journal.end_sync(&sync, &synced);
                synced
            };
            journal.append(b"one").unwrap();
            journal.append(b"two").unwrap();
            sync(&mut journal).unwrap();
            let rewrite = journal.begin_rewrite([b"both".as_slice()].into_iter()).unwrap();
            let written = rewrite.run();
            journal.end_rewrite(&rewrite, written).unwrap();
            simulated.fail(Operation::SyncFolder, 0);
            assert!(sync(&mut journal).is_err());
            // A power cut may bring the old file back, and what went into the new one would be gone with its name.
            assert!(journal.append(b"three").is_err());
            assert!(journal.has_failed());
            drop(journal);
            simulated.cut_power();
            let (mut journal, replay) = Journal::open(&disk, path).unwrap();
            let either = [vec![b"one".to_vec(), b"two".to_vec()], vec![b"both".to_vec()]];
            assert!(
                either.contains(&replay.entries),
                "seed {seed}: {:?}",
                replay.entries
            );
            journal.append(b"three").unwrap();
            sync(&mut journal).unwrap();
            simulated.cut_power();
            let entries = Journal::open(&disk, path).unwrap().1.entries;
            assert_eq!(entries.last().unwrap(), b"three", "seed {seed}");
        }
    }

    proptest! {
        #[test]
        fn cut_anywhere_a_prefix_of_whole_entries_survives(
            entries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 1..8),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut bytes = Vec::new();
            for entry in &entries {
                encode(&mut bytes, entry);
            }
            let cut = cut.index(bytes.len() + 1);
            let (kept, len) = decode(&bytes[..cut]);
            prop_assert!(len <= cut);
            prop_assert_eq!(&kept[..], &entries[..kept.len()]);
            prop_assert!(cut < bytes.len() || kept.len() == entries.len());
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&bytes);
        }
    }
}
