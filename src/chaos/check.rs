//! Compares what is in the topics with what must be there. Pure: the same evidence gives the same findings.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::history::{Line, Place, Row, Stamp, Values};
use super::join::{self, Side};
use super::model::{OPEN_FILES, PROCESSES, Stream};

/// The topic of what could never be delivered.
pub const DEAD_LETTERS: &str = "osqdemo-dead-letters";

/// Everything that was read once the hosts had come to rest.
#[derive(Debug, Default)]
pub struct Evidence {
    /// When the run began, in milliseconds since 1970: what is older is not judged.
    pub since_ms: i64,
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
    /// What was read while the run was going on: where, and which line.
    pub seen: Vec<(Place, Option<Stamp>)>,
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
    /// A row or a line that names another host, process or file than it must.
    WrongRow,
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
    pub const ALL: [Self; 10] = [
        Self::LineLost,
        Self::OutOfOrder,
        Self::Vanished,
        Self::RowMissing,
        Self::RowInvented,
        Self::WrongRow,
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
            Self::WrongRow => "wrong row",
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
    hosts(evidence, &mut checked);
    for stream in Stream::ALL {
        let tally = stream_of(evidence, stream, &mut checked.findings);
        checked.streams.push(tally);
    }
    let tally = joined(evidence, &mut checked.findings);
    checked.streams.push(tally);
    vanished(evidence, &mut checked.findings);
    checked
}

/// What tells one record of a line from another of the same line, where a line was too large and went row by row.
type Content<'a> = (&'a Stamp, Option<&'a str>, Option<&'a str>, Option<&'a str>);

fn content(line: &Line) -> Option<Content<'_>> {
    Some((
        line.stamp.as_ref()?,
        line.pid.as_deref(),
        line.name.as_deref(),
        line.path.as_deref(),
    ))
}

/// Lost, repeated, out of order: by the stamps.
fn hosts(evidence: &Evidence, checked: &mut Checked) {
    let mut tallies: BTreeMap<&str, HostTally> = BTreeMap::new();
    let mut spools: BTreeMap<&str, Spool<'_>> = BTreeMap::new();
    for (topic, lines) in &evidence.lines {
        let mut seen: HashSet<Content<'_>> = HashSet::new();
        let mut furthest: HashMap<(i32, &str), u64> = HashMap::new();
        for line in lines {
            let (Some(stamp), Some(content)) = (&line.stamp, content(line)) else {
                continue;
            };
            let is_judged = line.time_ms >= evidence.since_ms;
            let spool = spools.entry(&stamp.spool).or_default();
            spool.host = spool.host.or(line.host.as_deref());
            spool.lines.entry(stamp.seq).or_insert(line.time_ms);
            if is_judged {
                spool.first = Some(spool.first.map_or(stamp.seq, |first| first.min(stamp.seq)));
            }
            let host = line.host.as_deref().unwrap_or("?");
            let tally = tallies.entry(host).or_default();
            let is_first = seen.insert(content);
            let furthest = furthest.entry((line.place.partition, &stamp.spool)).or_default();
            let is_behind = stamp.seq < *furthest;
            *furthest = stamp.seq.max(*furthest);
            if !is_judged {
                continue;
            }
            if !is_first {
                tally.repeated += 1;
            } else if topic == DEAD_LETTERS {
                tally.dead_letters += 1;
            } else if is_behind {
                tally.out_of_order += 1;
                checked.findings.push(Finding {
                    kind: FindingKind::OutOfOrder,
                    what: format!(
                        "line {} of {host} is behind line {furthest} in `{topic}`, at offset {}",
                        stamp.seq, line.place.offset
                    ),
                    time_ms: line.time_ms,
                    round: None,
                });
            }
        }
    }
    for (name, spool) in &spools {
        let host = spool.host.unwrap_or("?");
        let tally = tallies.entry(host).or_default();
        let Some(first) = spool.first else { continue };
        tally.lines += u64::try_from(spool.lines.range(first..).count()).unwrap_or(u64::MAX);
        let Some(&last) = evidence.last.get(*name) else {
            continue;
        };
        for (from, to, time_ms) in spool.gaps(first, last) {
            tally.lost += to - from + 1;
            checked.findings.push(Finding {
                kind: FindingKind::LineLost,
                what: format!("lines {from} to {to} of {host} (spool {name}) are in no topic"),
                time_ms,
                round: None,
            });
        }
    }
    checked.hosts = tallies
        .into_iter()
        .map(|(host, tally)| HostTally {
            host: host.to_owned(),
            ..tally
        })
        .filter(|tally| tally.lines > 0)
        .collect();
}

/// The lines of one spool, with the times at which they were taken.
#[derive(Default)]
struct Spool<'a> {
    host: Option<&'a str>,
    lines: BTreeMap<u64, i64>,
    /// The first one of the run.
    first: Option<u64>,
}

impl Spool<'_> {
    /// What is missing between two lines: from, to, and when the line after it was taken.
    fn gaps(&self, first: u64, last: u64) -> Vec<(u64, u64, i64)> {
        let mut gaps = Vec::new();
        let mut next = first;
        for (&seq, &time_ms) in self.lines.range(first..=last.max(first)) {
            if seq > next {
                gaps.push((next, seq - 1, time_ms));
            }
            next = seq + 1;
        }
        if next <= last {
            let time_ms = self.lines.values().next_back().copied().unwrap_or_default();
            gaps.push((next, last, time_ms));
        }
        gaps
    }
}

impl Evidence {
    fn is_due(&self, place: &Place) -> bool {
        let last = self.due.get(&(place.topic.clone(), place.partition));
        last.is_some_and(|last| place.offset <= *last)
    }
}

fn stream_of(evidence: &Evidence, stream: Stream, findings: &mut Vec<Finding>) -> StreamTally {
    let mut tally = StreamTally {
        stream: stream.sink().to_lowercase(),
        ..StreamTally::default()
    };
    type Key<'a> = (Option<&'a Stamp>, i64, Values);
    let mut expected: HashMap<Key<'_>, (bool, &Place)> = HashMap::new();
    let mut stamps: HashSet<&Stamp> = HashSet::new();
    for line in evidence.lines.get(stream.source()).into_iter().flatten() {
        if let Some(values) = stream.row(line) {
            stamps.extend(&line.stamp);
            let key = (line.stamp.as_ref(), line.time_ms, values);
            let (is_due, _) = expected.entry(key).or_insert((false, &line.place));
            *is_due |= evidence.is_due(&line.place);
        }
    }
    let mut got: HashMap<Key<'_>, u64> = HashMap::new();
    for row in evidence.rows.get(&stream).into_iter().flatten() {
        let key = (row.stamp.as_ref(), row.time_ms, row.values.clone());
        if row.time_ms >= evidence.since_ms && !expected.contains_key(&key) {
            let is_wrong = row.stamp.as_ref().is_some_and(|stamp| stamps.contains(stamp));
            let (kind, count) = if is_wrong {
                (FindingKind::WrongRow, &mut tally.wrong)
            } else {
                (FindingKind::RowInvented, &mut tally.invented)
            };
            *count += 1;
            findings.push(Finding {
                kind,
                what: format!(
                    "`{}` has at offset {}: {}",
                    stream.sink(),
                    row.place.offset,
                    shown(&row.values)
                ),
                time_ms: row.time_ms,
                round: None,
            });
        }
        *got.entry(key).or_default() += 1;
    }
    for (key, (is_due, place)) in expected {
        if key.1 < evidence.since_ms {
            continue;
        }
        let count = got.get(&key).copied().unwrap_or_default();
        if count > 0 || is_due {
            tally.rows += 1;
        }
        tally.repeated += count.saturating_sub(1);
        if count == 0 && is_due {
            tally.missing += 1;
            findings.push(Finding {
                kind: FindingKind::RowMissing,
                what: format!(
                    "`{}` lacks the row of `{}` at offset {}: {}",
                    stream.sink(),
                    place.topic,
                    place.offset,
                    shown(&key.2)
                ),
                time_ms: key.1,
                round: None,
            });
        }
    }
    tally
}

/// The lines of a topic that count for the join, with whether they came late.
fn sides<'a>(evidence: &'a Evidence, topic: &str) -> Vec<Side<'a>> {
    let mut newest: HashMap<i32, i64> = HashMap::new();
    let mut known: BTreeSet<Content<'a>> = BTreeSet::new();
    let mut sides = Vec::new();
    for line in evidence.lines.get(topic).into_iter().flatten() {
        let newest = newest.entry(line.place.partition).or_insert(line.time_ms);
        *newest = line.time_ms.max(*newest);
        if content(line).is_some_and(|content| !known.insert(content)) {
            continue;
        }
        sides.push(Side {
            line,
            is_due: evidence.is_due(&line.place),
            is_late: *newest - line.time_ms > join::GRACE_MS,
        });
    }
    sides
}

fn joined(evidence: &Evidence, findings: &mut Vec<Finding>) -> StreamTally {
    let mut tally = StreamTally {
        stream: "precise join".to_owned(),
        ..StreamTally::default()
    };
    let expected = join::expected(
        &sides(evidence, PROCESSES),
        &sides(evidence, OPEN_FILES),
        &evidence.marker,
    );
    let mut got: BTreeMap<&Values, u64> = BTreeMap::new();
    for row in &evidence.joined {
        let file = row.values.get(3).and_then(Option::as_deref).unwrap_or_default();
        if !file.contains(&evidence.marker) {
            continue;
        }
        *got.entry(&row.values).or_default() += 1;
        if expected.contains_key(&row.values) {
            continue;
        }
        // The file is there, with another host or process.
        let is_wrong = expected.keys().any(|values| values.get(3) == row.values.get(3));
        let (kind, count) = if is_wrong {
            (FindingKind::WrongRow, &mut tally.wrong)
        } else {
            (FindingKind::RowInvented, &mut tally.invented)
        };
        *count += 1;
        findings.push(Finding {
            kind,
            what: format!(
                "the join has at offset {}: {}",
                row.place.offset,
                shown(&row.values)
            ),
            time_ms: row.time_ms,
            round: None,
        });
    }
    for (values, row) in &expected {
        let count = got.get(values).copied().unwrap_or_default();
        if count > 0 || row.is_due {
            tally.rows += row.pairs;
        }
        tally.repeated += count.saturating_sub(row.pairs);
        if count >= row.pairs || !row.is_due {
            continue;
        }
        let missing = row.pairs - count;
        if row.is_late {
            tally.late += missing;
            continue;
        }
        tally.missing += missing;
        findings.push(Finding {
            kind: FindingKind::RowMissing,
            what: format!("the join lacks: {}", shown(values)),
            time_ms: row.time_ms,
            round: None,
        });
    }
    tally
}

/// What was acknowledged and read must still be there.
fn vanished(evidence: &Evidence, findings: &mut Vec<Finding>) {
    let mut now: HashMap<&Place, Option<&Stamp>> = HashMap::new();
    let mut begins: HashMap<(&str, i32), i64> = HashMap::new();
    for line in evidence.lines.values().flatten() {
        now.insert(&line.place, line.stamp.as_ref());
        let begins = begins
            .entry((&line.place.topic, line.place.partition))
            .or_insert(line.place.offset);
        *begins = line.place.offset.min(*begins);
    }
    for (place, stamp) in &evidence.seen {
        let begins = begins.get(&(place.topic.as_str(), place.partition));
        // What is older than the topic is now was removed for its age.
        if begins.is_none_or(|begins| place.offset < *begins) || now.get(place) == Some(&stamp.as_ref()) {
            continue;
        }
        findings.push(Finding {
            kind: FindingKind::Vanished,
            what: format!(
                "offset {} of `{}` held another record before",
                place.offset, place.topic
            ),
            time_ms: evidence.since_ms,
            round: None,
        });
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
#[path = "check_tests.rs"]
mod tests;
