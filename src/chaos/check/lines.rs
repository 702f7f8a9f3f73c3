//! The lines: lost, repeated, out of order, changed. By the stamps that the extension gives them.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Checked, DEAD_LETTERS, Evidence, Finding, FindingKind, HostTally};
use crate::chaos::history::{Line, Place, Print, Stamp};
use crate::chaos::model::{OPEN_FILES, PROCESSES};

/// Lines of fewer bytes are not split: the extension does it to those that the broker finds too large, which takes
/// records of a megabyte.
const SMALLEST_SPLIT: usize = 100_000;

/// What tells one record of a line from another of the same line, where a line was too large and went row by row.
pub(super) type Content<'a> = (&'a Stamp, Option<&'a str>, Option<&'a str>, Option<&'a str>);

/// What a record says, if it has a name.
pub(super) fn content(line: &Line) -> Option<Content<'_>> {
    Some((
        line.print.stamp.as_ref()?,
        line.pid.as_deref(),
        line.name.as_deref(),
        line.path.as_deref(),
    ))
}

/// The lines of one spool.
#[derive(Default)]
struct Spool<'a> {
    host: Option<&'a str>,
    /// Each with the time at which it was taken.
    lines: BTreeMap<u64, i64>,
    /// Those that were there before the run.
    older: HashSet<u64>,
    /// The first one of the run.
    first: Option<u64>,
}

impl Spool<'_> {
    fn begins_by(&mut self, seq: u64) {
        if !self.older.contains(&seq) {
            self.first = Some(self.first.map_or(seq, |first| first.min(seq)));
        }
    }

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

/// Counts the lines of each host, and finds what is not as it must be.
pub(super) fn hosts(evidence: &Evidence, checked: &mut Checked) {
    let mut tallies: BTreeMap<&str, HostTally> = BTreeMap::new();
    let mut spools: BTreeMap<&str, Spool<'_>> = BTreeMap::new();
    for (topic, lines) in &evidence.lines {
        topic_of(
            evidence,
            topic,
            lines,
            &mut tallies,
            &mut spools,
            &mut checked.findings,
        );
    }
    // What was there during the run and is not any more.
    for (_, print) in &evidence.seen {
        if let Some(stamp) = &print.stamp {
            spools.entry(&stamp.spool).or_default().begins_by(stamp.seq);
        }
    }
    for name in evidence.last.keys() {
        spools.entry(name).or_default();
    }
    for (name, spool) in &spools {
        let host = spool.host.unwrap_or("?");
        let tally = tallies.entry(host).or_default();
        let last = evidence.last.get(*name).copied();
        let Some(first) = spool.first.or(last) else {
            continue;
        };
        tally.lines += u64::try_from(spool.lines.range(first..).count()).unwrap_or(u64::MAX);
        let known = spool.lines.keys().next_back().copied();
        let Some(last) = last.or(known) else { continue };
        for (from, to, time_ms) in spool.gaps(first, last) {
            tally.lost += to - from + 1;
            checked.findings.push(Finding {
                kind: FindingKind::LineLost,
                what: format!("lines {from} to {to} of {host} (spool {name}) are in no topic"),
                time_ms,
                round: None,
            });
        }
        // What comes after it, and was accepted, cannot be told from what never was.
        if !evidence.last.contains_key(*name) {
            checked.findings.push(Finding {
                kind: FindingKind::LineLost,
                what: format!(
                    "{host} went on with another spool after line {last} of spool {name}: what that had accepted \
                     besides is lost"
                ),
                time_ms: spool.lines.get(&last).copied().unwrap_or_default(),
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
        .filter(|tally| tally.lines > 0 || tally.lost > 0)
        .collect();
}

fn topic_of<'a>(
    evidence: &Evidence,
    topic: &str,
    lines: &'a [Line],
    tallies: &mut BTreeMap<&'a str, HostTally>,
    spools: &mut BTreeMap<&'a str, Spool<'a>>,
    findings: &mut Vec<Finding>,
) {
    let mut seen: HashSet<Content<'_>> = HashSet::new();
    let mut stamps: HashMap<&Stamp, &Line> = HashMap::new();
    let mut furthest: HashMap<(i32, &str), u64> = HashMap::new();
    for line in lines {
        let (Some(stamp), Some(content)) = (&line.print.stamp, content(line)) else {
            continue;
        };
        let is_judged = evidence.is_judged(&line.place);
        let spool = spools.entry(&stamp.spool).or_default();
        let owner = *spool
            .host
            .get_or_insert_with(|| line.host.as_deref().unwrap_or("?"));
        spool.lines.entry(stamp.seq).or_insert(line.time_ms);
        let is_first = seen.insert(content);
        let earlier = *stamps.entry(stamp).or_insert(line);
        let furthest = furthest.entry((line.place.partition, &stamp.spool)).or_default();
        let is_behind = stamp.seq < *furthest;
        *furthest = stamp.seq.max(*furthest);
        if !is_judged {
            spool.older.insert(stamp.seq);
            continue;
        }
        spool.begins_by(stamp.seq);
        let host = line.host.as_deref().unwrap_or(owner);
        let tally = tallies.entry(host).or_default();
        let mut find = |kind, what: String| {
            findings.push(Finding {
                kind,
                what: format!(
                    "line {} of {owner}, at offset {} of `{topic}`, {what}",
                    stamp.seq, line.place.offset
                ),
                time_ms: line.time_ms,
                round: None,
            });
        };
        if host != owner {
            find(FindingKind::WrongRow, format!("says that it is of {host}"));
        }
        if let Some(query) = &line.query
            && is_astray(query, topic)
        {
            find(FindingKind::WrongRow, format!("is of the query `{query}`"));
        }
        if !is_first {
            tally.repeated += 1;
            if !evidence.repeats.explain(host) {
                find(FindingKind::Repeated, "was there before".to_owned());
            }
        } else if topic == DEAD_LETTERS {
            tally.dead_letters += 1;
        } else if is_behind {
            tally.out_of_order += 1;
            find(FindingKind::OutOfOrder, format!("is behind line {furthest}"));
        } else if earlier.print.digest != line.print.digest
            && earlier.size < SMALLEST_SPLIT
            && line.size < SMALLEST_SPLIT
        {
            find(
                FindingKind::WrongRow,
                format!("says something else than at offset {}", earlier.place.offset),
            );
        }
    }
}

/// Whether a line of this query has nothing to do in the topic.
fn is_astray(query: &str, topic: &str) -> bool {
    let has_its_own = |name: &str| [PROCESSES, OPEN_FILES].contains(&name);
    topic != DEAD_LETTERS && query != topic && (has_its_own(query) || has_its_own(topic))
}

/// What was acknowledged and read must still be there, as it was.
pub(super) fn vanished(evidence: &Evidence, findings: &mut Vec<Finding>) {
    let now: HashMap<&Place, &Print> = evidence
        .lines
        .values()
        .flatten()
        .map(|line| (&line.place, &line.print))
        .collect();
    for (place, print) in &evidence.seen {
        let what = match now.get(place) {
            Some(now) if *now == print => continue,
            Some(_) => format!(
                "offset {} of `{}` held another record before",
                place.offset, place.topic
            ),
            None => format!(
                "the record at offset {} of `{}` is not there any more",
                place.offset, place.topic
            ),
        };
        findings.push(Finding {
            kind: FindingKind::Vanished,
            what,
            time_ms: print.time_ms,
            round: None,
        });
    }
}
