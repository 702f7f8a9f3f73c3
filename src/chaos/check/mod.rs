//! Compares what is in the topics with what must be there. Pure: the same evidence gives the same findings.

mod lines;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::history::{Line, Place, Print, Row};
use super::model::Stream;

/// The topic of what could never be delivered.
pub const DEAD_LETTERS: &str = "osqdemo-dead-letters";

/// Everything that was read once the hosts had come to rest.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Where each partition ended when the run began: what is before that is not judged, but explains what came later.
    pub starts: BTreeMap<(String, i32), i64>,
    /// The lines of each topic that hosts write to, oldest first.
    pub lines: BTreeMap<String, Vec<Line>>,
    /// The rows of each stream.
    pub rows: BTreeMap<Stream, Vec<Row>>,
    /// The rows of the run's own join.
    pub joined: Vec<Row>,
    /// The last record of a partition that must have been processed.
    pub due: BTreeMap<(String, i32), i64>,
    /// The last line of each spool up to which every line must be there.
    pub last: BTreeMap<String, u64>,
    /// What the paths of the run's files have in them.
    pub marker: String,
    /// What was read while the run was going on: where, and what.
    pub seen: Vec<(Place, Print)>,
    /// What may be there more than once.
    pub repeats: Repeats,
}

/// What the faults explain the repetition of: a line is sent again, and a record processed again, after its answer or
/// its position was lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repeats {
    /// The lines of these hosts.
    pub hosts: BTreeSet<String>,
    /// The lines of every host.
    pub lines: bool,
    /// The rows.
    pub rows: bool,
}

impl Repeats {
    fn explain(&self, host: &str) -> bool {
        self.lines || self.hosts.contains(host)
    }
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What sort.
    pub kind: FindingKind,
    /// What exactly, as a sentence.
    pub what: String,
    /// When the line or row concerned was made, in milliseconds since 1970; else when it was found.
    pub time_ms: i64,
    /// The fault that was the last one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
}

/// A sort of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A line that was accepted is in no topic.
    LineLost,
    /// A line is behind one that was accepted after it.
    OutOfOrder,
    /// A record that was read is not there any more.
    Vanished,
    /// A row is missing.
    RowMissing,
    /// A row that no line explains.
    RowInvented,
    /// A row or a line that names another host, process or file than it must, or is in another topic.
    WrongRow,
    /// A line or a row is there more than once, and no fault that was done explains it.
    Repeated,
    /// A committed position went back.
    PositionWentBack,
    /// A part was not healthy again in time.
    NotRecovered,
    /// Nothing was logged of what a host did.
    WorkUnseen,
    /// Something was left behind.
    LeftBehind,
}

impl FindingKind {
    /// Every sort.
    pub const ALL: [Self; 11] = [
        Self::LineLost,
        Self::OutOfOrder,
        Self::Vanished,
        Self::RowMissing,
        Self::RowInvented,
        Self::WrongRow,
        Self::Repeated,
        Self::PositionWentBack,
        Self::NotRecovered,
        Self::WorkUnseen,
        Self::LeftBehind,
    ];

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::LineLost => "line lost",
            Self::OutOfOrder => "line out of order",
            Self::Vanished => "record vanished",
            Self::RowMissing => "row missing",
            Self::RowInvented => "row invented",
            Self::WrongRow => "wrong line or row",
            Self::Repeated => "repetition without a reason",
            Self::PositionWentBack => "position went back",
            Self::NotRecovered => "not recovered",
            Self::WorkUnseen => "work not seen",
            Self::LeftBehind => "left behind",
        }
    }

    /// Whether it is only that something did not come in time.
    pub fn is_late(self) -> bool {
        matches!(self, Self::NotRecovered | Self::WorkUnseen)
    }

    /// Whether more time could mend it: what is on its way is missing as well.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::LineLost | Self::RowMissing)
    }
}

/// What came of the lines of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostTally {
    /// The host.
    pub host: String,
    /// Its lines since the run began, each once.
    pub lines: u64,
    /// Lines that are in no topic.
    pub lost: u64,
    /// Records of lines that were there before.
    pub repeated: u64,
    /// Lines behind later ones of their topic.
    pub out_of_order: u64,
    /// Lines that could never be delivered, and are named in the topic for those.
    pub dead_letters: u64,
}

/// What came of the rows of a stream or of the join.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamTally {
    /// Its name.
    pub stream: String,
    /// The rows that must be there, each once.
    pub rows: u64,
    /// Those that are not.
    pub missing: u64,
    /// Rows that no line explains.
    pub invented: u64,
    /// Rows that name another host, process or file than their line.
    pub wrong: u64,
    /// Rows that were there before: what was processed again after a crash.
    pub repeated: u64,
    /// Rows that may be missing, because a line of theirs came later than the join waits.
    pub late: u64,
}

/// What the comparison showed.
#[derive(Debug, Default)]
pub struct Checked {
    /// Of each host.
    pub hosts: Vec<HostTally>,
    /// Of each stream, and of the join last.
    pub streams: Vec<StreamTally>,
    /// What must not be.
    pub findings: Vec<Finding>,
}

/// Compares.
pub fn check(evidence: &Evidence) -> Checked {
    let mut checked = Checked::default();
    lines::hosts(evidence, &mut checked);
    for stream in Stream::ALL {
        let tally = rows::of_stream(evidence, stream, &mut checked.findings);
        checked.streams.push(tally);
    }
    let tally = rows::of_join(evidence, &mut checked.findings);
    checked.streams.push(tally);
    lines::vanished(evidence, &mut checked.findings);
    checked
}

impl Evidence {
    /// Everything that is there by now must have been processed.
    pub fn require_all(&mut self) {
        for line in self.lines.values().flatten() {
            let key = (line.place.topic.clone(), line.place.partition);
            let due = self.due.entry(key).or_insert(line.place.offset);
            *due = line.place.offset.max(*due);
        }
    }

    fn is_due(&self, place: &Place) -> bool {
        let last = self.due.get(&(place.topic.clone(), place.partition));
        last.is_some_and(|last| place.offset <= *last)
    }

    /// Whether it came since the run began.
    fn is_judged(&self, place: &Place) -> bool {
        let start = self.starts.get(&(place.topic.clone(), place.partition));
        start.is_none_or(|start| place.offset >= *start)
    }
}

fn shown(values: &[Option<String>]) -> String {
    let values: Vec<&str> = values
        .iter()
        .map(|value| value.as_deref().unwrap_or("NULL"))
        .collect();
    values.join(", ")
}

#[cfg(test)]
mod tests;
