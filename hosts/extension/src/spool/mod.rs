//! The spool: lines on disk until Kafka has them.
//!
//! A folder of segments, each with some lines in the order they came, and a file that says which lines are done. What
//! is appended is in the file when [`Spool::append`] returns, so it survives the process; it survives the machine
//! once it is synced, and when that happens is the caller's choice. Every line has a number, `seq`, that together with
//! the spool's name names it for ever; a spool that was open when the machine ended goes on under another
//! name, because what the disk lost may have reached Kafka.
//!
//! The bytes are bounded. A segment goes when all of its lines are done; one with a few lines that are not is written
//! anew without the others.
//!
//! It is given its disk. It must not know Kafka, time, or what is in a line.
//!
//! Long because all that changes the segments stands together: their order on disk is one argument.

use std::collections::VecDeque;
use std::io;

use disk::{Disk, DiskFile};
use frame::{HEADER_LENGTH, Header, Id, Record};
use position::Position;
use reader::Reader;
use segment::{Segment, segment_name};

pub(crate) mod disk;
pub(crate) mod folder_lock;
pub(crate) mod frame;
mod opening;
pub(crate) mod position;
pub(crate) mod reader;
mod segment;
#[cfg(test)]
pub(crate) mod simulated_disk;
#[cfg(test)]
mod tests;

/// The file that says what is done.
const POSITION: &str = "position";
/// What is written before it gets that name.
const POSITION_DRAFT: &str = "position.new";
/// Bytes that are given back to a disk that is full, so that what is done can be written down and then make room.
const RESERVE: &str = "reserve";
const RESERVE_BYTES: usize = 16 * 1024;
/// A segment that is written anew.
const SEGMENT_DRAFT: &str = "segment.new";
/// Added to the name of a file that is not understood.
const SET_ASIDE: &str = ".set-aside";

/// How large a spool may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// All segments together.
    pub(crate) max_bytes: u64,
    /// One segment, unless a single line is larger.
    pub(crate) segment_bytes: u64,
}

impl Limits {
    /// Segments small enough that giving one back matters, and large enough that there are few.
    pub(crate) fn new(max_bytes: u64) -> Self {
        const SMALLEST: u64 = 64 * 1024;
        const LARGEST: u64 = 8 * 1024 * 1024;
        Self {
            max_bytes,
            segment_bytes: (max_bytes / 32).clamp(SMALLEST, LARGEST),
        }
    }
}

/// What names a spool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    /// The machine's current boot.
    pub(crate) boot: Id,
    /// The name of a spool that begins now.
    pub(crate) fresh: Id,
}

/// Lines on disk.
pub(crate) struct Spool<D: Disk> {
    disk: D,
    limits: Limits,
    /// What segments that are begun now are called by.
    spool: Id,
    boot: Id,
    /// In the order of their lines. The last one is appended to if `has_active`.
    segments: VecDeque<Segment<D::File>>,
    has_active: bool,
    next: u64,
    bytes: u64,
    undone: u64,
    /// The position's file is behind.
    moved: bool,
    /// The reserve's file is there.
    has_reserve: bool,
    unsynced: Unsynced<D::File>,
    frame: Vec<u8>,
}

/// What is to be synced.
pub(crate) struct Unsynced<F> {
    /// Closed segments.
    files: Vec<F>,
    /// The segment that is appended to.
    active: bool,
    folder: bool,
}

impl<F> Default for Unsynced<F> {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            active: false,
            folder: false,
        }
    }
}

/// A line that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) seq: u64,
    /// What it takes on disk.
    pub(crate) bytes: u64,
}

/// Why a line was not.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// It would exceed the spool's size.
    Full,
    /// The disk does not take it.
    Disk(io::Error),
}

impl From<io::Error> for AppendError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl<D: Disk> Spool<D> {
    /// Writes a line to the end of the spool.
    pub(crate) fn append(&mut self, record: &Record<'_>) -> Result<Appended, AppendError> {
        let length = record.frame_length().ok_or(AppendError::Full)? as u64;
        self.make_room(length)?;
        if !self.has_active {
            self.begin_segment()?;
        }
        let active = self.segments.back_mut().ok_or(AppendError::Full)?;
        let seq = active.end;
        record.encode(seq, active.header.seed(), &mut self.frame);
        // A write that fails half-way leaves nothing behind: the next one begins at the same place.
        if let Err(error) = active.file.write_at(&self.frame, active.length) {
            // On a disk that is full, nothing else gives back what a segment takes from which nothing is to be delivered.
            if active.is_complete() && active.lines() > 0 {
                self.close_active();
            }
            return Err(error.into());
        }
        active.length += length;
        active.end += 1;
        active.stored += 1;
        self.next = active.end;
        self.bytes += length;
        self.undone += 1;
        self.unsynced.active = true;
        if self.frame.capacity() > self.limits.segment_bytes as usize {
            self.frame = Vec::new();
        }
        Ok(Appended { seq, bytes: length })
    }

    /// A line is delivered or given up, and will not be read again.
    pub(crate) fn mark_done(&mut self, seq: u64) {
        if let Some(index) = self.index_of(seq)
            && self.segments[index].mark_done(seq)
        {
            self.undone -= 1;
            self.moved = true;
        }
    }

    /// Whether the line is done, or was never there.
    pub(crate) fn is_done(&self, seq: u64) -> bool {
        self.index_of(seq)
            .is_none_or(|index| self.segments[index].is_done(seq))
    }

    /// Gives up the oldest segment; the lines in it that were not done.
    pub(crate) fn give_up_oldest(&mut self) -> Result<u64, AppendError> {
        let oldest = self.segments.pop_front().ok_or(AppendError::Full)?;
        if self.segments.is_empty() {
            self.has_active = false;
        }
        let undone = oldest.undone();
        self.undone -= undone;
        self.bytes -= oldest.length;
        self.moved = true;
        self.save()?;
        self.disk.remove(&oldest.name())?;
        Ok(undone)
    }

    /// Writes down what is done, and gives back what only holds such lines.
    pub(crate) fn tidy(&mut self) -> io::Result<()> {
        if !self.moved {
            return Ok(());
        }
        // First this: a number must not be used twice because its segment is gone. On a disk that is full it fails, and
        // then everything but the last segment, which has the highest number, may go all the same.
        let saved = self.save();
        let closed = self.segments.len() - usize::from(self.has_active);
        let goes = match saved {
            Ok(()) => closed,
            Err(_) => closed.min(self.segments.len().saturating_sub(1)),
        };
        for index in (0..goes).rev() {
            if self.segments[index].is_complete() {
                self.disk.remove(&self.segments[index].name())?;
                self.bytes -= self.segments[index].length;
                self.segments.remove(index);
            }
        }
        if saved.is_ok() {
            self.keep_reserve();
        }
        saved
    }

    /// Writes one segment anew without its lines that are done, if that gives back half of it. Only segments with
    /// lines before `read` are looked at: everything in them was read once.
    pub(crate) fn compact(&mut self, read: u64) -> io::Result<bool> {
        let closed = self.segments.len() - usize::from(self.has_active);
        let worth = |segment: &Segment<D::File>| segment.end <= read && segment.undone() * 2 < segment.stored;
        let Some(index) = (0..closed).find(|index| worth(&self.segments[*index])) else {
            return Ok(false);
        };
        let segment = &self.segments[index];
        let mut kept = segment.header.encode().to_vec();
        let mut reader = Reader::at(segment.low());
        let mut frame = Vec::new();
        while let Some(found) = reader.peek(self)?.filter(|found| segment.contains(found.seq)) {
            if !segment.is_done(found.seq) {
                found.record.encode(found.seq, segment.header.seed(), &mut frame);
                kept.extend_from_slice(&frame);
            }
            reader.advance();
        }
        let name = segment.name();
        let draft = self.disk.create(SEGMENT_DRAFT)?;
        draft.write_at(&kept, 0)?;
        draft.sync()?;
        // What the new file does not have must be known to be done.
        self.save()?;
        self.disk.rename(SEGMENT_DRAFT, &name)?;
        self.unsynced.folder = true;
        let segment = &mut self.segments[index];
        self.bytes = self.bytes - segment.length + kept.len() as u64;
        segment.length = kept.len() as u64;
        segment.file = draft;
        segment.stored = segment.undone();
        segment.generation += 1;
        Ok(true)
    }

    /// What is to be synced so that everything appended so far is durable. It is no longer owed then.
    pub(crate) fn take_unsynced(&mut self) -> Unsynced<D::File> {
        let mut taken = std::mem::take(&mut self.unsynced);
        if std::mem::take(&mut taken.active)
            && let Some(active) = self.segments.back()
        {
            taken.files.push(active.file.clone());
        }
        taken
    }

    /// What was taken did not sync. The names are owed again: without them what is in the files is nowhere. What a closed
    /// file lost, no second sync brings back.
    pub(crate) fn owe_again(&mut self) {
        self.unsynced.active = self.has_active;
        self.unsynced.folder = true;
    }

    /// The disk, for what [`Spool::take_unsynced`] gave.
    pub(crate) fn disk(&self) -> &D {
        &self.disk
    }

    /// What names the lines of a number, together with it.
    pub(crate) fn name_of(&self, seq: u64) -> Id {
        self.index_of(seq)
            .map_or(self.spool, |index| self.segments[index].header.spool)
    }

    /// The first number that no line has.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The first line that is not done; the next number when all are.
    pub(crate) fn low(&self) -> u64 {
        let undone = self.segments.iter().find(|segment| !segment.is_complete());
        undone.map_or(self.next, Segment::low)
    }

    /// The lines that are not done.
    pub(crate) fn undone(&self) -> u64 {
        self.undone
    }

    /// What it takes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What it may take.
    pub(crate) fn max_bytes(&self) -> u64 {
        self.limits.max_bytes
    }

    /// Whether more is done than is written down.
    pub(crate) fn has_moved(&self) -> bool {
        self.moved
    }

    fn index_of(&self, seq: u64) -> Option<usize> {
        let after = self.segments.partition_point(|segment| segment.first() <= seq);
        let index = after.checked_sub(1)?;
        self.segments[index].contains(seq).then_some(index)
    }

    /// The segment that begins with `first`.
    fn segment(&self, first: u64) -> Option<&Segment<D::File>> {
        let index = self.segments.partition_point(|segment| segment.first() < first);
        self.segments
            .get(index)
            .filter(|segment| segment.first() == first)
    }

    /// The first segment that has the line `seq` or a later one; of an empty one that is appended to, the next line
    /// is meant.
    fn segment_with(&self, seq: u64) -> Option<&Segment<D::File>> {
        let index = self.segments.partition_point(|segment| segment.end <= seq);
        self.segments.get(index).or_else(|| self.active())
    }

    fn active(&self) -> Option<&Segment<D::File>> {
        self.segments.back().filter(|_| self.has_active)
    }

    fn is_active(&self, segment: &Segment<D::File>) -> bool {
        self.active()
            .is_some_and(|active| active.first() == segment.first())
    }

    /// Closes the active segment when it is full, and sees to it that `length` bytes may be added.
    fn make_room(&mut self, length: u64) -> Result<(), AppendError> {
        let full = |active: &Segment<D::File>| {
            active.length + length > self.limits.segment_bytes && active.lines() > 0
        };
        if self.active().is_some_and(full) {
            self.close_active();
        }
        if self.has_room(length) {
            return Ok(());
        }
        self.tidy()?;
        match self.has_room(length) {
            true => Ok(()),
            false => Err(AppendError::Full),
        }
    }

    fn close_active(&mut self) {
        let closed = self.segments.back().map(|active| active.file.clone());
        self.unsynced
            .files
            .extend(closed.filter(|_| std::mem::take(&mut self.unsynced.active)));
        self.has_active = false;
        self.moved = true;
    }

    fn has_room(&self, length: u64) -> bool {
        let header = if self.has_active { 0 } else { HEADER_LENGTH as u64 };
        self.bytes + length + header <= self.limits.max_bytes
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let header = Header {
            spool: self.spool,
            boot: self.boot,
            first: self.next,
        };
        let name = segment_name(header.first);
        let file = self.disk.create(&name)?;
        if let Err(error) = file.write_at(&header.encode(), 0) {
            // Best effort: a file without a header is found to be one.
            let _ = self.disk.remove(&name);
            return Err(error);
        }
        self.bytes += HEADER_LENGTH as u64;
        self.has_active = true;
        self.unsynced.folder = true;
        self.segments
            .push_back(Segment::new(header, file, header.first, HEADER_LENGTH as u64));
        Ok(())
    }

    /// Writes the position.
    fn save(&mut self) -> io::Result<()> {
        let gaps = self.segments.iter().filter(|segment| segment.has_gaps());
        let position = Position {
            spool: self.spool,
            boot: self.boot,
            next: self.next,
            low: self.low(),
            segments: gaps
                .map(|segment| (segment.first(), segment.done_words().to_vec()))
                .collect(),
        };
        let position = position.encode();
        let mut written = write_file(&self.disk, POSITION_DRAFT, &position);
        if written.is_err() && std::mem::take(&mut self.has_reserve) {
            written = self
                .disk
                .remove(RESERVE)
                .and_then(|()| write_file(&self.disk, POSITION_DRAFT, &position));
        }
        written?;
        self.disk.rename(POSITION_DRAFT, POSITION)?;
        self.moved = false;
        Ok(())
    }

    /// Sees to it that there is a reserve, if the disk has room for one.
    fn keep_reserve(&mut self) {
        if !self.has_reserve {
            // Not of zeros: a disk that compresses would make nothing of them.
            let bytes: Vec<u8> = (0..RESERVE_BYTES as u32)
                .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
                .collect();
            self.has_reserve = write_file(&self.disk, RESERVE, &bytes).is_ok();
            if !self.has_reserve {
                // A part of one would only be in the way.
                let _ = self.disk.remove(RESERVE);
            }
        }
    }
}

impl<F: DiskFile> Unsynced<F> {
    /// Makes it durable, as much of it as can be. It may take long, and needs no spool.
    pub(crate) fn sync<D: Disk<File = F>>(self, disk: &D) -> io::Result<()> {
        let mut outcome = Ok(());
        for file in &self.files {
            outcome = outcome.and(file.sync());
        }
        if self.folder {
            outcome = outcome.and(disk.sync_folder());
        }
        outcome
    }
}

fn write_file<D: Disk>(disk: &D, name: &str, bytes: &[u8]) -> io::Result<()> {
    disk.create(name)?.write_at(bytes, 0)
}
