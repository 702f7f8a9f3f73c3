//! A small append-only file of entries, for state that is written often and read once, at the start.
//!
//! Each entry carries its length and checksum. An entry that is not whole ends the file: it was being written when the
//! process died, and nobody was told that it is safe. When most of the file is out of date its owner rewrites it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, BufMut};

use super::directory::sync_folder;

const ENTRY_PREFIX: usize = 8;

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: Arc<File>,
    size: u64,
}

/// What a journal held when it was opened.
#[derive(Debug)]
pub(crate) struct Replay {
    /// Its entries, oldest first.
    pub(crate) entries: Vec<Vec<u8>>,
    /// Bytes of a half-written last entry that were cut.
    pub(crate) cut_bytes: u64,
}

impl Journal {
    /// Opens the journal at `path`, which is created when missing, and reads it.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Replay)> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)?;
        let bytes = std::fs::read(path)?;
        let (entries, size) = decode(&bytes);
        let cut_bytes = (bytes.len() - size) as u64;
        if cut_bytes > 0 {
            file.set_len(size as u64)?;
        }
        let journal = Self {
            path: path.to_owned(),
            file: Arc::new(file),
            size: size as u64,
        };
        Ok((journal, Replay { entries, cut_bytes }))
    }

    /// Bytes in the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds one entry, which must not be empty; on failure the file is as before.
    ///
    /// A power cut can leave zeros at the end of a file, and zeros are what an empty entry would look like.
    pub(crate) fn append(&mut self, entry: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(ENTRY_PREFIX + entry.len());
        encode(&mut bytes, entry);
        if let Err(error) = self.file.write_all_at(&bytes, self.size) {
            // Should cutting fail too, the next entry writes over the rest.
            let _ = self.file.set_len(self.size);
            return Err(error);
        }
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// The file, to be synced without holding up whoever appends.
    pub(crate) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Replaces all entries by `entries`; on failure the old ones stay.
    pub(crate) fn rewrite<'a>(&mut self, entries: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for entry in entries {
            encode(&mut bytes, entry);
        }
        let temporary = self.path.with_extension("new");
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&temporary)?;
        (&file).write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &self.path)?;
        if let Some(folder) = self.path.parent() {
            sync_folder(folder)?;
        }
        self.file = Arc::new(file);
        self.size = bytes.len() as u64;
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_survive_and_a_rewrite_replaces_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, replay) = Journal::open(&path).unwrap();
        assert!(replay.entries.is_empty());
        journal.append(b"one").unwrap();
        journal.append(b"two").unwrap();
        let (mut journal, replay) = Journal::open(&path).unwrap();
        assert_eq!(replay.entries, [b"one".to_vec(), b"two".to_vec()]);
        journal.rewrite([b"three".as_slice()].into_iter()).unwrap();
        journal.append(b"four").unwrap();
        let (_, replay) = Journal::open(&path).unwrap();
        assert_eq!(replay.entries, [b"three".to_vec(), b"four".to_vec()]);
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
