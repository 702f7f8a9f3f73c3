//! Kafka, as the outbox sees it: something that takes messages and later says what became of each.

use std::borrow::Cow;

use crate::spool::frame::Record;

/// Takes messages and waits for nothing.
pub(crate) trait Kafka {
    /// Takes a message under way. What becomes of it is told to the outbox later, under its `id`.
    fn send(&mut self, id: LineId, message: &Message<'_>) -> Result<(), SendError>;
}

/// Names a line of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum LineId {
    /// In the spool; its `seq` there.
    Spooled(u64),
    /// Only in memory; counted from 1.
    Memory(u64),
}

impl LineId {
    const MEMORY: u64 = 1 << 63;

    /// As one number, for whoever can carry nothing else.
    pub(crate) fn to_number(self) -> u64 {
        match self {
            Self::Spooled(seq) => seq,
            Self::Memory(number) => number | Self::MEMORY,
        }
    }

    /// The other way round.
    pub(crate) fn from_number(number: u64) -> Self {
        match number & Self::MEMORY {
            0 => Self::Spooled(number),
            _ => Self::Memory(number & !Self::MEMORY),
        }
    }

    /// The number in what has the line.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Spooled(number) | Self::Memory(number) => number,
        }
    }
}

/// What Kafka gets.
#[derive(Debug)]
pub(crate) struct Message<'m> {
    pub(crate) record: Record<'m>,
    pub(crate) headers: &'m [Header<'m>],
}

/// A name and a value.
pub(crate) type Header<'m> = (&'static str, Cow<'m, [u8]>);

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SendError {
    /// There is no room now.
    Full,
    /// What it takes to send it is not known yet; that was said, and it will be soon.
    NotYet,
    /// It cannot be sent to this topic, and that was said.
    Unfit(String),
    Failed(Failure),
}

/// Why a message did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may arrive when it is sent again.
    Passing(String),
    /// It, or the batch it was in, is larger than Kafka takes.
    TooLarge(String),
    /// It never will.
    Final(String),
}

/// What became of a message.
pub(crate) type Outcome = Result<(), Failure>;
