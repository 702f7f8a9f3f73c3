//! A spool is opened: what the last process left is looked through, and what is not understood is set aside.

use std::collections::VecDeque;
use std::io;

use super::disk::{Disk, DiskFile};
use super::frame::{HEADER_LENGTH, Header, HeaderError};
use super::position::Position;
use super::reader::Reader;
use super::segment::{Segment, first_of_name, segment_name};
use super::{Identity, Limits, POSITION, SET_ASIDE, Spool, Unsynced};

impl<D: Disk> Spool<D> {
    /// Opens the spool on `disk`, or begins one. Nothing else may have it open.
    pub(crate) fn open(disk: D, identity: Identity, limits: Limits) -> io::Result<Self> {
        let mut firsts: Vec<u64> = disk
            .list()?
            .iter()
            .filter_map(|name| first_of_name(name))
            .collect();
        firsts.sort_unstable();
        let position = read_position(&disk);
        let mut spool = Self {
            disk,
            limits,
            spool: identity.fresh,
            boot: identity.boot,
            segments: VecDeque::new(),
            has_active: false,
            next: 1,
            bytes: 0,
            undone: 0,
            moved: false,
            has_reserve: false,
            unsynced: Unsynced::default(),
            frame: Vec::new(),
        };
        let mut set_aside = false;
        for first in firsts {
            if let Some((header, file)) = spool.open_segment(first, &mut set_aside)? {
                let length = file.length()?;
                if let Some(previous) = spool.segments.back_mut() {
                    previous.end = header.first;
                }
                spool
                    .segments
                    .push_back(Segment::new(header, file, header.first, length));
            }
        }
        spool.find_end(&position)?;
        spool.drop_empty()?;
        spool.restore(&position);
        spool.bytes = spool.segments.iter().map(|segment| segment.length).sum();
        spool.undone = spool.segments.iter().map(Segment::undone).sum();
        if set_aside {
            // What had the numbers that come now is not known.
        } else if let Some(last) = spool
            .segments
            .back()
            .filter(|last| last.header.boot == spool.boot)
        {
            spool.spool = last.header.spool;
        } else if spool.segments.is_empty() && position.boot == spool.boot {
            spool.spool = position.spool;
        }
        // What the first position takes is not to come from the reserve. A disk that does not take it now may do so later.
        if spool.segments.is_empty() && spool.save().is_err() {
            spool.moved = true;
        }
        spool.keep_reserve();
        Ok(spool)
    }

    /// Opens a segment's file. One that is not understood gets another name and is left alone.
    fn open_segment(&self, first: u64, set_aside: &mut bool) -> io::Result<Option<(Header, D::File)>> {
        let name = segment_name(first);
        let file = self.disk.open(&name)?;
        let mut bytes = vec![0; HEADER_LENGTH];
        let count = file.read_at(&mut bytes, 0)?;
        let header = Header::decode(&bytes[..count]);
        let header = header.and_then(|header| {
            (header.first == first)
                .then_some(header)
                .ok_or(HeaderError::Damaged)
        });
        match header {
            Ok(header) => Ok(Some((header, file))),
            // The process or the machine ended while it was made; there is no line in it.
            Err(_) if count == 0 => self.disk.remove(&name).map(|()| None),
            Err(error) => {
                *set_aside = true;
                let aside = format!("{name}{SET_ASIDE}");
                tracing::error!(
                    file = name,
                    "a file in the spool's folder is not read, because {error}; it is now `{aside}`"
                );
                self.disk.rename(&name, &aside)?;
                Ok(None)
            }
        }
    }

    /// Finds the end of the last segment, and so the next number.
    fn find_end(&mut self, position: &Position) -> io::Result<()> {
        if let Some(last) = self.segments.back_mut() {
            let first = last.first();
            last.end = u64::MAX;
            let mut reader = Reader::at(first);
            let mut end = first;
            while let Some(found) = reader.peek(self)? {
                end = found.seq + 1;
                reader.advance();
            }
            if let Some(last) = self.segments.back_mut() {
                last.end = end;
            }
        }
        let end = self.segments.back().map_or(1, |last| last.end);
        self.next = end.max(position.next).max(position.low);
        Ok(())
    }

    /// Removes a last segment without a line: its number is the next one's.
    fn drop_empty(&mut self) -> io::Result<()> {
        if let Some(empty) = self.segments.pop_back_if(|last| last.lines() == 0) {
            self.disk.remove(&empty.name())?;
        }
        Ok(())
    }

    /// Marks what the position says is done.
    fn restore(&mut self, position: &Position) {
        for segment in &mut self.segments {
            segment.stored = segment.lines();
            for seq in segment.first()..segment.end.min(position.low) {
                segment.mark_done(seq);
            }
            let words = position
                .segments
                .iter()
                .find(|(first, _)| *first == segment.first());
            if let Some((_, words)) = words {
                segment.restore(words);
            }
        }
        self.moved = self.segments.iter().any(Segment::is_complete);
    }
}

/// A position that cannot be read means that nothing is known to be done.
fn read_position<D: Disk>(disk: &D) -> Position {
    let read = || {
        let file = disk.open(POSITION).ok()?;
        let mut bytes = vec![0; usize::try_from(file.length().ok()?).ok()?];
        let count = file.read_at(&mut bytes, 0).ok()?;
        let position = Position::decode(bytes.get(..count)?);
        if position.is_none() {
            tracing::warn!("the spool's `{POSITION}` is damaged; lines in the spool are delivered once more");
        }
        position
    };
    read().unwrap_or_default()
}
