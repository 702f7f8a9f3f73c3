//! One file of a spool: its lines, and which of them are done.

use super::frame::Header;

/// A file of lines with consecutive numbers.
pub(super) struct Segment<F> {
    pub(super) header: Header,
    pub(super) file: F,
    /// The first number after its lines.
    pub(super) end: u64,
    /// Its bytes; what the file has behind them is of no account.
    pub(super) length: u64,
    /// How many lines the file has, or may have.
    pub(super) stored: u64,
    /// Changes when the file is written anew.
    pub(super) generation: u32,
    /// A bit for each line that is done.
    done: Vec<u64>,
    done_count: u64,
    /// The first line that is not done.
    low: u64,
}

impl<F> Segment<F> {
    pub(super) fn new(header: Header, file: F, end: u64, length: u64) -> Self {
        Self {
            header,
            file,
            end,
            length,
            stored: end - header.first,
            generation: 0,
            done: Vec::new(),
            done_count: 0,
            low: header.first,
        }
    }

    pub(super) fn name(&self) -> String {
        segment_name(self.header.first)
    }

    pub(super) fn first(&self) -> u64 {
        self.header.first
    }

    /// Whether the number is one of its lines'.
    pub(super) fn contains(&self, seq: u64) -> bool {
        (self.first()..self.end).contains(&seq)
    }

    pub(super) fn is_done(&self, seq: u64) -> bool {
        let (word, bit) = self.place(seq);
        self.done.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Whether the line was not done before.
    pub(super) fn mark_done(&mut self, seq: u64) -> bool {
        let (word, bit) = self.place(seq);
        if self.done.len() <= word {
            self.done.resize(word + 1, 0);
        }
        if self.done[word] & bit != 0 {
            return false;
        }
        self.done[word] |= bit;
        self.done_count += 1;
        while self.low < self.end && self.is_done(self.low) {
            self.low += 1;
        }
        true
    }

    /// The first line that is not done.
    pub(super) fn low(&self) -> u64 {
        self.low
    }

    pub(super) fn lines(&self) -> u64 {
        self.end - self.first()
    }

    pub(super) fn undone(&self) -> u64 {
        self.lines() - self.done_count
    }

    pub(super) fn is_complete(&self) -> bool {
        self.undone() == 0
    }

    /// Lines that are done although an earlier one is not.
    pub(super) fn has_gaps(&self) -> bool {
        self.done_count > self.low - self.first()
    }

    pub(super) fn done_words(&self) -> &[u64] {
        &self.done
    }

    /// Marks what `words` marks, as far as there are lines for it.
    pub(super) fn restore(&mut self, words: &[u64]) {
        for seq in self.first()..self.end {
            let (word, bit) = self.place(seq);
            if words.get(word).is_some_and(|word| word & bit != 0) {
                self.mark_done(seq);
            }
        }
    }

    fn place(&self, seq: u64) -> (usize, u64) {
        let index = seq - self.first();
        ((index / 64) as usize, 1 << (index % 64))
    }
}

/// The name of the segment that begins with the line `first`.
pub(super) fn segment_name(first: u64) -> String {
    format!("{first:020}.log")
}

/// The other way round; `None` for a name that no segment has.
pub(super) fn first_of_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}
