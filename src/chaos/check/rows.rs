//! The rows: of the streams, each of one line, and of the join, each of a pair of lines.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::lines::{Content, content};
use super::{Evidence, Finding, FindingKind, StreamTally, shown};
use crate::chaos::history::{Place, Row, Stamp, Values};
use crate::chaos::join::{self, Side};
use crate::chaos::model::{OPEN_FILES, PROCESSES, Stream};

/// What one row is told from another by.
type Key<'a> = (Option<&'a Stamp>, i64, Values);

/// A row that must be there.
struct Due<'a> {
    is_due: bool,
    is_judged: bool,
    /// The first line that makes it.
    place: &'a Place,
    /// How many records make it.
    lines: u64,
}

/// Compares the rows of a stream with the lines of its source.
pub(super) fn of_stream(evidence: &Evidence, stream: Stream, findings: &mut Vec<Finding>) -> StreamTally {
    let mut tally = StreamTally {
        stream: stream.sink().to_lowercase(),
        ..StreamTally::default()
    };
    let sink = stream.sink();
    let mut find = |kind, time_ms, what| {
        findings.push(Finding {
            kind,
            what,
            time_ms,
            round: None,
        });
    };
    let expected = due_rows(evidence, stream);
    let stamps: HashSet<&Stamp> = expected.keys().filter_map(|key| key.0).collect();
    for row in evidence.rows.get(&stream).into_iter().flatten() {
        let key = key_of(row);
        if evidence.is_judged(&row.place) && !expected.contains_key(&key) {
            let is_wrong = row.stamp.as_ref().is_some_and(|stamp| stamps.contains(stamp));
            let (kind, count) = if is_wrong {
                (FindingKind::WrongRow, &mut tally.wrong)
            } else {
                (FindingKind::RowInvented, &mut tally.invented)
            };
            *count += 1;
            let values = shown(&row.values);
            let what = format!("`{sink}` has at offset {}: {values}", row.place.offset);
            find(kind, row.time_ms, what);
        }
    }
    let got = counted(evidence, stream);
    for (key, due) in expected {
        if !due.is_judged {
            continue;
        }
        let count = got.get(&key).copied().unwrap_or_default();
        if count > 0 || due.is_due {
            tally.rows += 1;
        }
        tally.repeated += count.saturating_sub(1);
        let of = format!(
            "`{}` at offset {}: {}",
            due.place.topic,
            due.place.offset,
            shown(&key.2)
        );
        if count == 0 && due.is_due {
            tally.missing += 1;
            find(
                FindingKind::RowMissing,
                key.1,
                format!("`{sink}` lacks the row of {of}"),
            );
        } else if count > due.lines && !evidence.repeats.rows {
            find(
                FindingKind::Repeated,
                key.1,
                format!("`{sink}` has {count} times the row of {of}"),
            );
        }
    }
    tally
}

/// What the lines of its source make of a stream.
fn due_rows(evidence: &Evidence, stream: Stream) -> HashMap<Key<'_>, Due<'_>> {
    let mut expected: HashMap<Key<'_>, Due<'_>> = HashMap::new();
    for line in evidence.lines.get(stream.source()).into_iter().flatten() {
        if let Some(values) = stream.row(line) {
            let key = (line.print.stamp.as_ref(), line.time_ms, values);
            let due = expected.entry(key).or_insert(Due {
                is_due: false,
                is_judged: evidence.is_judged(&line.place),
                place: &line.place,
                lines: 0,
            });
            due.is_due |= evidence.is_due(&line.place);
            due.lines += 1;
        }
    }
    expected
}

fn key_of(row: &Row) -> Key<'_> {
    (row.stamp.as_ref(), row.time_ms, row.values.clone())
}

/// How often each row is in a stream.
fn counted(evidence: &Evidence, stream: Stream) -> HashMap<Key<'_>, u64> {
    let mut got: HashMap<Key<'_>, u64> = HashMap::new();
    for row in evidence.rows.get(&stream).into_iter().flatten() {
        *got.entry(key_of(row)).or_default() += 1;
    }
    got
}

/// Whether a line from before the run has its row more than once: the run did not do it, and its join has a row of each.
fn was_repeated(evidence: &Evidence, stream: Stream) -> bool {
    let got = counted(evidence, stream);
    due_rows(evidence, stream)
        .iter()
        .any(|(key, due)| !due.is_judged && got.get(key).is_some_and(|count| *count > due.lines))
}

/// The lines of a topic that count for the join, with whether they came late; and whether any was there twice.
pub(super) fn sides<'a>(evidence: &'a Evidence, topic: &str) -> (Vec<Side<'a>>, bool) {
    let mut newest: HashMap<i32, i64> = HashMap::new();
    let mut known: BTreeSet<Content<'a>> = BTreeSet::new();
    let mut is_any_repeated = false;
    let mut sides = Vec::new();
    for line in evidence.lines.get(topic).into_iter().flatten() {
        let newest = newest.entry(line.place.partition).or_insert(line.time_ms);
        *newest = line.time_ms.max(*newest);
        if content(line).is_some_and(|content| !known.insert(content)) {
            is_any_repeated = true;
            continue;
        }
        sides.push(Side {
            line,
            is_due: evidence.is_due(&line.place),
            is_late: *newest - line.time_ms > join::GRACE_MS,
        });
    }
    (sides, is_any_repeated)
}

/// Compares the rows of the join with the pairs of lines.
pub(super) fn of_join(evidence: &Evidence, findings: &mut Vec<Finding>) -> StreamTally {
    let mut tally = StreamTally {
        stream: "precise join".to_owned(),
        ..StreamTally::default()
    };
    let mut find = |kind, time_ms, what| {
        findings.push(Finding {
            kind,
            what,
            time_ms,
            round: None,
        });
    };
    let (processes, is_process_repeated) = sides(evidence, PROCESSES);
    let (files, is_file_repeated) = sides(evidence, OPEN_FILES);
    let may_repeat = evidence.repeats.rows
        || is_process_repeated
        || is_file_repeated
        || was_repeated(evidence, Stream::PreciseProc)
        || was_repeated(evidence, Stream::PreciseFiles);
    let expected = join::expected(&processes, &files, &evidence.marker);
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
        let what = format!(
            "the join has at offset {}: {}",
            row.place.offset,
            shown(&row.values)
        );
        find(kind, row.time_ms, what);
    }
    for (values, row) in &expected {
        let count = got.get(values).copied().unwrap_or_default();
        if count > 0 || row.is_due {
            tally.rows += row.pairs;
        }
        tally.repeated += count.saturating_sub(row.pairs);
        if count > row.pairs && !may_repeat {
            let what = format!("the join has {count} times: {}", shown(values));
            find(FindingKind::Repeated, row.time_ms, what);
        }
        if count >= row.pairs || !row.is_due {
            continue;
        }
        let missing = row.pairs - count;
        if row.is_late {
            tally.late += missing;
            continue;
        }
        tally.missing += missing;
        find(
            FindingKind::RowMissing,
            row.time_ms,
            format!("the join lacks: {}", shown(values)),
        );
    }
    tally
}
