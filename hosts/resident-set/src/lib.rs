//! The resident set of a process that runs for months beside what a host is really there for.
//!
//! Two things make it larger than it need be: the pages of the program's own files that only starting took, and memory that
//! is free but that the allocator keeps. Both are given back once the start is over, and again whenever the process has
//! grown and is at rest; what is needed after all comes back from the page cache.
//!
//! It must not know what the process does.

mod mappings;
mod system;

use std::ops::Range;

pub use system::limit_arenas;

/// How much the process may grow before memory is given back again, in KiB.
const GROWTH_KIB: u64 = 1024;

/// Keeps this process's resident set small.
#[derive(Debug)]
pub struct ResidentSet {
    /// Where the program's own files are mapped, and those of its libraries. They stay there until its end, unlike what is
    /// loaded later.
    program: Vec<Range<usize>>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was given back so far.
    Starting,
    /// It was; what the process needs comes back now.
    Trimmed,
    /// So much it needs, in KiB; 0 as long as nobody knows.
    Settled(u64),
}

impl ResidentSet {
    /// Looks at what is mapped. Belongs to the very beginning, before there is a second thread.
    pub fn of_this_process() -> Self {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        Self {
            program: mappings::read_only_files(&maps),
            state: State::Starting,
        }
    }

    /// Called every few seconds; `at_rest` says whether there is nothing to do just now. Whether memory was given back.
    pub fn tend(&mut self, at_rest: bool) -> bool {
        let (state, trim) = self.state.next(resident_kib(), at_rest);
        self.state = state;
        if trim {
            self.trim();
        }
        trim
    }

    fn trim(&self) {
        system::return_free_memory();
        let Ok(smaps) = std::fs::read_to_string("/proc/self/smaps") else {
            return;
        };
        let unwritten = mappings::unwritten_files(&smaps);
        for range in self.program.iter().filter(|range| unwritten.contains(range)) {
            system::forget_pages(range);
        }
    }
}

impl State {
    /// What comes next, and whether memory is given back.
    fn next(self, resident_kib: u64, at_rest: bool) -> (Self, bool) {
        match self {
            Self::Starting => (Self::Trimmed, true),
            Self::Trimmed if at_rest => (Self::Settled(resident_kib), false),
            // In the midst of work it has more than it needs: it gives back again as soon as it rests.
            Self::Trimmed => (Self::Settled(0), false),
            Self::Settled(needed) if at_rest && resident_kib > needed + GROWTH_KIB => (Self::Trimmed, true),
            settled => (settled, false),
        }
    }
}

/// What the process has resident, in KiB; 0 when that cannot be read, which is never too much.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_after_the_start_and_when_the_process_has_grown_and_rests() {
        let (state, trim) = State::Starting.next(9000, false);
        assert_eq!((state, trim), (State::Trimmed, true));
        let (state, trim) = state.next(7000, true);
        assert_eq!((state, trim), (State::Settled(7000), false));
        assert_eq!(state.next(7000 + GROWTH_KIB, true), (state, false));
        assert_eq!(state.next(7001 + GROWTH_KIB, false), (state, false));
        assert_eq!(state.next(7001 + GROWTH_KIB, true), (State::Trimmed, true));
        // What work takes is not what is needed.
        let (state, trim) = State::Trimmed.next(20_000, false);
        assert!(!trim);
        assert_eq!(state.next(20_000, true), (State::Trimmed, true));
        // What is needed by then is no growth the next time.
        let (state, _) = State::Trimmed.next(20_000, true);
        assert_eq!(state.next(20_000, true), (state, false));
    }

    #[test]
    fn the_process_goes_on_with_less_than_before() {
        let mut set = ResidentSet::of_this_process();
        let before = resident_kib();
        assert!(set.tend(false));
        let after = resident_kib();
        assert!(after < before, "{after} KiB, and {before} KiB before");
        // What it goes on with is read from its files again.
        assert!(!set.tend(false));
        assert_eq!("1.5".parse::<f64>(), Ok(1.5));
    }
}
