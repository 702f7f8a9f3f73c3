//! Each sort of damage, done to sound evidence, is found, named and counted, and nothing else is. Long because each
//! sort of damage wants its own.

use proptest::prelude::*;

use super::rows::sides;
use super::*;
use crate::chaos::history::Stamp;
use crate::chaos::join;
use crate::chaos::model::{OPEN_FILES, PROCESSES};

const MARKER: &str = "chaos-0a1b-";

/// A host that has written `lines` lines: processes and open files by turns, each with a row where it becomes one.
fn sound(lines: u64) -> Evidence {
    let mut evidence = Evidence {
        marker: MARKER.to_owned(),
        ..Evidence::default()
    };
    for seq in 1..=lines {
        let topic = if seq % 2 == 1 { PROCESSES } else { OPEN_FILES };
        let all = evidence.lines.entry(topic.to_owned()).or_default();
        all.push(line(topic, i64::try_from(all.len()).unwrap(), seq));
    }
    for stream in Stream::ALL {
        let lines = evidence.lines.get(stream.source()).into_iter().flatten();
        let rows = lines.filter_map(|line| Some((line, stream.row(line)?)));
        let rows = rows.zip(0..).map(|((line, values), offset)| Row {
            place: place(stream.sink(), offset),
            time_ms: line.time_ms,
            stamp: line.print.stamp.clone(),
            values,
        });
        let rows = rows.collect();
        evidence.rows.insert(stream, rows);
    }
    for (topic, lines) in &evidence.lines {
        let last = i64::try_from(lines.len()).unwrap() - 1;
        evidence.due.insert((topic.clone(), 0), last);
        evidence
            .seen
            .extend(lines.iter().map(|line| (line.place.clone(), line.print.clone())));
    }
    if lines > 0 {
        evidence.last.insert("aa".to_owned(), lines);
    }
    let expected = join::expected(
        &sides(&evidence, PROCESSES).0,
        &sides(&evidence, OPEN_FILES).0,
        MARKER,
    );
    evidence.joined = expected
        .into_keys()
        .zip(0..)
        .map(|(values, offset)| Row {
            place: place("joined", offset),
            time_ms: 2_000,
            stamp: None,
            values,
        })
        .collect();
    evidence
}

fn place(topic: &str, offset: i64) -> Place {
    Place {
        topic: topic.to_owned(),
        partition: 0,
        offset,
    }
}

fn line(topic: &str, offset: i64, seq: u64) -> Line {
    // A process and the file that it holds have one pid.
    let pid = seq.div_ceil(2);
    let is_process = topic == PROCESSES;
    Line {
        place: place(topic, offset),
        time_ms: 1_000 + i64::try_from(seq).unwrap(),
        print: Print {
            stamp: Some(Stamp {
                spool: "aa".to_owned(),
                seq,
            }),
            digest: seq,
            time_ms: 1_000 + i64::try_from(seq).unwrap(),
        },
        size: 400,
        host: Some("host1".to_owned()),
        query: Some(topic.to_owned()),
        action: Some("added".to_owned()),
        pid: Some(pid.to_string()),
        name: is_process.then(|| "sleep".to_owned()),
        path: Some(if is_process {
            "/bin/sleep".to_owned()
        } else {
            format!("/home/{MARKER}{pid}")
        }),
    }
}

fn seq_of(line: &Line) -> u64 {
    line.print.stamp.as_ref().unwrap().seq
}

/// A line is in no topic, and so is nothing that comes of it.
fn lose(evidence: &mut Evidence, seq: u64) {
    for topic in [PROCESSES, OPEN_FILES] {
        lines(evidence, topic).retain(|line| seq_of(line) != seq);
    }
    evidence
        .seen
        .retain(|(_, print)| print.stamp.as_ref().unwrap().seq != seq);
    for rows in evidence.rows.values_mut() {
        rows.retain(|row| row.stamp.as_ref().unwrap().seq != seq);
    }
    let pid = seq.div_ceil(2).to_string();
    evidence.joined.retain(|row| row.values[1].as_ref() != Some(&pid));
}

fn found(evidence: &Evidence) -> Vec<(FindingKind, String)> {
    let findings = check(evidence).findings.into_iter();
    findings.map(|finding| (finding.kind, finding.what)).collect()
}

/// What is found, sort by sort.
fn kinds(evidence: &Evidence) -> Vec<FindingKind> {
    let mut kinds: Vec<FindingKind> = check(evidence)
        .findings
        .iter()
        .map(|finding| finding.kind)
        .collect();
    kinds.sort_unstable();
    kinds
}

fn lines<'a>(evidence: &'a mut Evidence, topic: &str) -> &'a mut Vec<Line> {
    evidence.lines.get_mut(topic).unwrap()
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let evidence = sound(20);
    let checked = check(&evidence);
    assert_eq!(checked.findings, []);
    assert_eq!(
        checked.hosts,
        [HostTally {
            host: "host1".to_owned(),
            lines: 20,
            ..HostTally::default()
        }]
    );
    let rows: Vec<(&str, u64)> = checked
        .streams
        .iter()
        .map(|stream| (stream.stream.as_str(), stream.rows))
        .collect();
    assert_eq!(
        rows,
        [
            ("proc", 10),
            ("files", 10),
            ("precise_proc", 10),
            ("precise_files", 10),
            ("precise join", 10)
        ]
    );
}

#[test]
fn a_lost_line_is_a_gap_in_the_numbers() {
    let mut evidence = sound(20);
    lose(&mut evidence, 8);
    let lost = "lines 8 to 8 of host1 (spool aa) are in no topic".to_owned();
    assert_eq!(found(&evidence), [(FindingKind::LineLost, lost)]);
    assert_eq!(check(&evidence).hosts[0].lost, 1);

    // What the extension gave up for good is named, not lost.
    let mut dead = line(OPEN_FILES, 3, 8);
    dead.place = place(DEAD_LETTERS, 0);
    evidence.lines.insert(DEAD_LETTERS.to_owned(), vec![dead]);
    let checked = check(&evidence);
    assert_eq!(checked.findings, []);
    assert_eq!((checked.hosts[0].lost, checked.hosts[0].dead_letters), (0, 1));
}

#[test]
fn a_lost_end_is_found_and_an_older_gap_is_not_ours() {
    let mut evidence = sound(20);
    evidence.last.insert("aa".to_owned(), 23);
    assert_eq!(kinds(&evidence), [FindingKind::LineLost]);
    let mut evidence = sound(20);
    lose(&mut evidence, 8);
    began_at(&mut evidence, 5);
    assert_eq!(found(&evidence), [], "it is from before the run");
}

/// The run began when each topic had so many records.
fn began_at(evidence: &mut Evidence, offset: i64) {
    for topic in [PROCESSES, OPEN_FILES]
        .into_iter()
        .chain(Stream::ALL.map(Stream::sink))
    {
        evidence.starts.insert((topic.to_owned(), 0), offset);
    }
    evidence.seen.retain(|(place, _)| place.offset >= offset);
}

#[test]
fn a_lost_beginning_is_found_by_what_was_read() {
    let mut evidence = sound(20);
    let seen = evidence.seen.clone();
    lose(&mut evidence, 1);
    assert_eq!(kinds(&evidence), [], "nobody has seen it");
    evidence.seen = seen;
    assert_eq!(kinds(&evidence), [FindingKind::LineLost, FindingKind::Vanished]);
}

#[test]
fn a_broker_that_lost_everything_is_found() {
    let mut evidence = sound(20);
    (1..=20).for_each(|seq| lose(&mut evidence, seq));
    let checked = check(&evidence);
    assert_eq!(checked.findings[0].kind, FindingKind::LineLost, "{checked:?}");
    assert_eq!(checked.hosts[0].lost, 1, "the last line, which was told of");
    evidence.seen = sound(20).seen;
    let checked = check(&evidence);
    assert_eq!(checked.hosts[0].lost, 20);
    assert_eq!(checked.findings.len(), 1 + 20, "each of them had been read");
}

#[test]
fn a_spool_that_was_left_behind_has_lost_its_end() {
    let mut evidence = sound(20);
    evidence.last = BTreeMap::from([("bb".to_owned(), 3)]);
    for (offset, seq) in (10..).zip(1..=3) {
        let mut line = line("users", offset, seq);
        line.print.stamp.as_mut().unwrap().spool = "bb".to_owned();
        evidence.lines.entry("users".to_owned()).or_default().push(line);
    }
    let what =
        "host1 went on with another spool after line 20 of spool aa: what that had accepted besides is lost";
    assert_eq!(found(&evidence), [(FindingKind::LineLost, what.to_owned())]);
}

#[test]
fn a_line_that_was_changed_is_found() {
    let damaged = |damage: &dyn Fn(&mut Line)| {
        let mut evidence = sound(20);
        damage(&mut lines(&mut evidence, OPEN_FILES)[4]);
        kinds(&evidence)
    };
    let digest = damaged(&|line| line.print.digest = 99);
    assert_eq!(digest, [FindingKind::Vanished], "after it was read");
    let time = damaged(&|line| line.print.time_ms += 1);
    assert_eq!(time, [FindingKind::Vanished]);
    assert_eq!(
        damaged(&|line| line.query = Some(PROCESSES.to_owned())),
        [FindingKind::WrongRow],
        "it is in the wrong topic"
    );
    let host = damaged(&|line| line.host = Some("host2".to_owned()));
    assert!(
        host.contains(&FindingKind::WrongRow) && host.contains(&FindingKind::RowMissing),
        "{host:?}"
    );

    // The same line once more, with something else in it.
    let again = |size: usize| {
        let mut evidence = sound(20);
        evidence.repeats.lines = true;
        let mut again = lines(&mut evidence, PROCESSES)[9].clone();
        (again.place.offset, again.print.digest, again.size) = (10, 77, size);
        again.pid = Some("77".to_owned());
        lines(&mut evidence, PROCESSES).push(again);
        lines(&mut evidence, PROCESSES)[9].size = size;
        kinds(&evidence)
    };
    assert_eq!(again(400), [FindingKind::WrongRow]);
    assert_eq!(again(200_000), [], "a line that was too large comes row by row");
}

#[test]
fn what_came_twice_is_counted_and_wants_a_reason() {
    let mut evidence = sound(20);
    let mut again = lines(&mut evidence, PROCESSES)[9].clone();
    again.place.offset = 10;
    lines(&mut evidence, PROCESSES).push(again);
    let rows = evidence.rows.get_mut(&Stream::Proc).unwrap();
    rows.push(rows[9].clone());
    evidence.joined.push(evidence.joined[0].clone());
    let what = "line 19 of host1, at offset 10 of `processes`, was there before";
    assert_eq!(
        found(&evidence),
        [(FindingKind::Repeated, what.to_owned())],
        "and the line is why its rows are repeated"
    );
    evidence.repeats.hosts.insert("host2".to_owned());
    assert_eq!(
        kinds(&evidence),
        [FindingKind::Repeated],
        "not what was done to another host"
    );
    evidence.repeats.hosts.insert("host1".to_owned());
    let checked = check(&evidence);
    assert_eq!(checked.findings, []);
    assert_eq!(checked.hosts[0].repeated, 1);
    let repeated: Vec<u64> = checked.streams.iter().map(|stream| stream.repeated).collect();
    assert_eq!(repeated, [1, 0, 0, 0, 1]);
}

#[test]
fn a_row_that_came_twice_wants_a_reason() {
    for stream in Stream::ALL {
        let mut evidence = sound(20);
        let rows = evidence.rows.get_mut(&stream).unwrap();
        rows.push(rows[3].clone());
        assert_eq!(kinds(&evidence), [FindingKind::Repeated], "{stream:?}");
        evidence.repeats.rows = true;
        assert_eq!(kinds(&evidence), [], "{stream:?}");
    }
    let mut evidence = sound(20);
    evidence.joined.push(evidence.joined[0].clone());
    assert_eq!(kinds(&evidence), [FindingKind::Repeated]);
    evidence.repeats.rows = true;
    assert_eq!(kinds(&evidence), []);
}

#[test]
fn a_row_that_was_there_twice_before_the_run_explains_the_rows_of_the_join() {
    for stream in [Stream::PreciseProc, Stream::PreciseFiles] {
        let mut evidence = sound(20);
        let rows = evidence.rows.get_mut(&stream).unwrap();
        let again = rows[3].clone();
        rows.insert(4, again);
        evidence.joined.push(evidence.joined[3].clone());
        assert_eq!(kinds(&evidence), [FindingKind::Repeated; 2], "{stream:?}");
        began_at(&mut evidence, 6);
        assert_eq!(kinds(&evidence), [], "{stream:?}");
    }
}

#[test]
fn a_line_behind_a_later_one_is_out_of_order() {
    let mut evidence = sound(20);
    let all = lines(&mut evidence, PROCESSES);
    all.swap(3, 4);
    (all[3].place.offset, all[4].place.offset) = (3, 4);
    evidence.seen.clear();
    assert_eq!(
        found(&evidence),
        [(
            FindingKind::OutOfOrder,
            "line 7 of host1, at offset 4 of `processes`, is behind line 9".to_owned()
        )]
    );
}

#[test]
fn a_record_that_was_read_must_still_be_there() {
    let mut evidence = sound(20);
    evidence.seen[4].1.stamp.as_mut().unwrap().seq = 19;
    assert_eq!(kinds(&evidence), [FindingKind::Vanished]);
    let mut evidence = sound(20);
    let last = lines(&mut evidence, PROCESSES)[9].place.clone();
    evidence.seen.push((
        Place {
            offset: 10,
            ..last.clone()
        },
        evidence.seen[4].1.clone(),
    ));
    let what = "the record at offset 10 of `processes` is not there any more".to_owned();
    assert_eq!(found(&evidence), [(FindingKind::Vanished, what)]);
}

#[test]
fn what_is_older_than_the_run_explains_and_is_not_judged() {
    let mut evidence = sound(20);
    evidence.rows.get_mut(&Stream::Proc).unwrap().remove(2);
    evidence.rows.get_mut(&Stream::Files).unwrap()[2].values[1] = Some("77".to_owned());
    assert_eq!(kinds(&evidence).len(), 3);
    began_at(&mut evidence, 5);
    assert_eq!(found(&evidence), []);
    // It may say that it is old, but it came since.
    let rows = evidence.rows.get_mut(&Stream::Files).unwrap();
    let mut row = rows[2].clone();
    (row.place.offset, row.time_ms) = (10, 1);
    rows.push(row);
    assert_eq!(kinds(&evidence), [FindingKind::WrongRow]);
}

#[test]
fn each_damage_of_a_stream_is_named() {
    for stream in Stream::ALL {
        let damaged = |damage: &dyn Fn(&mut Vec<Row>)| {
            let mut evidence = sound(20);
            damage(evidence.rows.get_mut(&stream).unwrap());
            kinds(&evidence)
        };
        let last = |rows: &mut Vec<Row>| rows.len() - 1;
        assert_eq!(damaged(&|rows| drop(rows.remove(5))), [FindingKind::RowMissing]);
        assert_eq!(
            damaged(&|rows| {
                let mut row = rows[5].clone();
                row.stamp.as_mut().unwrap().seq = 77;
                rows.push(row);
            }),
            [FindingKind::RowInvented]
        );
        assert_eq!(
            damaged(&|rows| {
                let at = last(rows);
                let host = rows[at]
                    .values
                    .iter_mut()
                    .find(|value| value.as_deref() == Some("host1"));
                *host.unwrap() = Some("host2".to_owned());
            }),
            [FindingKind::RowMissing, FindingKind::WrongRow],
            "{stream:?}"
        );
    }
}

#[test]
fn what_is_not_due_may_be_on_its_way() {
    let mut evidence = sound(20);
    evidence.due.insert((PROCESSES.to_owned(), 0), 8);
    evidence.rows.get_mut(&Stream::Proc).unwrap().pop();
    evidence.joined.pop();
    let checked = check(&evidence);
    let missing: Vec<&Finding> = checked.findings.iter().collect();
    // The join's rows are in the order of their values: the last one is that of process 9.
    assert_eq!(missing.len(), 1, "{missing:?}");
    evidence.due.insert((PROCESSES.to_owned(), 0), 7);
    assert_eq!(found(&evidence), []);
}

#[test]
fn each_damage_of_the_join_is_named() {
    let damaged = |damage: &dyn Fn(&mut Vec<Row>)| {
        let mut evidence = sound(20);
        damage(&mut evidence.joined);
        kinds(&evidence)
    };
    assert_eq!(damaged(&|rows| drop(rows.remove(5))), [FindingKind::RowMissing]);
    let other = |at: usize, value: &str| {
        let value = value.to_owned();
        move |rows: &mut Vec<Row>| rows[5].values[at] = Some(value.clone())
    };
    let wrong = [FindingKind::RowMissing, FindingKind::WrongRow];
    assert_eq!(damaged(&other(0, "host2")), wrong);
    assert_eq!(damaged(&other(1, "77")), wrong);
    assert_eq!(damaged(&other(2, "/bin/sh")), wrong);
    let invented = [FindingKind::RowMissing, FindingKind::RowInvented];
    assert_eq!(damaged(&other(3, "/home/chaos-0a1b-77")), invented);
    let unseen = damaged(&other(3, "/home/of-somebody-else"));
    assert_eq!(
        unseen,
        [FindingKind::RowMissing],
        "rows of others are none of ours"
    );
}

#[test]
fn a_row_of_a_line_that_came_too_late_is_counted_as_late() {
    let mut evidence = sound(20);
    // A line that was taken long before: those before it in its topic make it late.
    let late = 2_000 + join::GRACE_MS;
    let all = lines(&mut evidence, PROCESSES);
    all[0].time_ms = late;
    all[0].name = Some("osqueryd".to_owned());
    for stream in [Stream::Proc, Stream::PreciseProc] {
        evidence.rows.get_mut(&stream).unwrap().remove(0);
    }
    evidence.joined.clear();
    let checked = check(&evidence);
    assert_eq!(checked.findings, []);
    assert_eq!((checked.streams[4].late, checked.streams[4].missing), (9, 0));
}

proptest! {
    #[test]
    fn a_row_that_is_taken_away_is_missed_wherever_it_was(lines in 2_u64..40, at in any::<prop::sample::Index>()) {
        let mut evidence = sound(lines);
        let rows = evidence.rows.get_mut(&Stream::PreciseProc).expect("rows");
        rows.remove(at.index(rows.len()));
        prop_assert_eq!(kinds(&evidence), vec![FindingKind::RowMissing]);
    }

    #[test]
    fn any_interleaving_of_topics_is_sound(lines in 0_u64..40) {
        prop_assert_eq!(kinds(&sound(lines)), vec![]);
    }
}
