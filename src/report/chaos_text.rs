//! The report of a run of faults, as people read it.

use std::time::Duration;

use crate::chaos::report::{ChaosReport, Verdict};
use crate::report::duration;
use crate::report::table::table;

/// How many findings are shown; the report as JSON has more.
const SHOWN: usize = 20;

/// The tables, what must not be, and a sentence.
pub fn chaos_text(report: &ChaosReport, width: Option<usize>) -> String {
    let mut parts = vec![
        work_and_lines(report, width),
        rows(report, width),
        recoveries(report, width),
    ];
    if !report.findings.is_empty() {
        parts.push(findings(report, width));
    }
    parts.retain(|part| !part.is_empty());
    parts.push(conclusion(report));
    parts.join("\n\n") + "\n"
}

fn work_and_lines(report: &ChaosReport, width: Option<usize>) -> String {
    let rows: Vec<Vec<String>> = report
        .hosts
        .iter()
        .map(|host| {
            let work = report.work.iter().find(|work| work.host == host.host);
            let of_work = |count: fn(&crate::chaos::work::Work) -> u64| work.map_or(0, count);
            vec![
                host.host.clone(),
                of_work(|work| work.held).to_string(),
                of_work(|work| work.cut_short).to_string(),
                of_work(|work| work.short).to_string(),
                host.lines.to_string(),
                host.lost.to_string(),
                host.out_of_order.to_string(),
                host.repeated.to_string(),
                host.dead_letters.to_string(),
            ]
        })
        .collect();
    filled(
        &[
            "HOST",
            "HELD",
            "CUT SHORT",
            "SHORT",
            "LINES",
            "LOST",
            "DISORDERED",
            "REPEATED",
            "DEAD LETTERS",
        ],
        &rows,
        width,
    )
}

fn rows(report: &ChaosReport, width: Option<usize>) -> String {
    let rows: Vec<Vec<String>> = report
        .streams
        .iter()
        .map(|stream| {
            let numbers = [
                stream.rows,
                stream.missing,
                stream.invented,
                stream.wrong,
                stream.repeated,
                stream.late,
            ];
            [stream.stream.clone()]
                .into_iter()
                .chain(numbers.map(|number| number.to_string()))
                .collect()
        })
        .collect();
    filled(
        &[
            "STREAM", "ROWS", "MISSING", "INVENTED", "WRONG", "REPEATED", "LATE",
        ],
        &rows,
        width,
    )
}

fn recoveries(report: &ChaosReport, width: Option<usize>) -> String {
    let rows: Vec<Vec<String>> = report
        .recoveries
        .iter()
        .map(|part| {
            vec![
                part.part.clone(),
                part.kind.to_string(),
                part.faults.to_string(),
                format!("{} ms", part.p50_ms),
                format!("{} ms", part.p99_ms),
                format!("{} ms", part.longest_ms),
            ]
        })
        .collect();
    filled(
        &["PART", "FAULT", "TIMES", "WELL AGAIN: P50", "P99", "LONGEST"],
        &rows,
        width,
    )
}

fn findings(report: &ChaosReport, width: Option<usize>) -> String {
    let rows: Vec<Vec<String>> = report
        .findings
        .iter()
        .take(SHOWN)
        .map(|finding| {
            let after = finding
                .round
                .map_or_else(|| "-".to_owned(), |round| round.to_string());
            vec![after, finding.kind.words().to_owned(), finding.what.clone()]
        })
        .collect();
    let shown = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let mut text = filled(&["FAULT", "FINDING", "WHAT"], &rows, width);
    if report.findings_in_all > shown {
        text.push_str(&format!("\nand {} more", report.findings_in_all - shown));
    }
    text
}

fn filled(headers: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    if rows.is_empty() {
        String::new()
    } else {
        table(headers, rows, width)
    }
}

fn conclusion(report: &ChaosReport) -> String {
    let faults = match report.rounds.len() {
        1 => "1 fault".to_owned(),
        many => format!("{many} faults"),
    };
    let took = duration(Duration::from_millis(report.elapsed_ms));
    let seed = report.seed;
    match report.verdict {
        Verdict::Passed => format!(
            "passed: after {faults} in {took} (seed {seed}), every accepted line and every row is there; no committed \
             position went back"
        ),
        Verdict::Failed => format!("failed: {faults} in {took} (seed {seed})"),
        Verdict::Interrupted => format!("interrupted: {faults} in {took} (seed {seed}); nothing is proved"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::chaos::check::{Finding, FindingKind, HostTally, StreamTally};
    use crate::chaos::fault::{FaultKind, Round, Target};
    use crate::chaos::recovery::Recoveries;
    use crate::chaos::work::Work;
    use crate::stack::ServiceName;

    pub(crate) fn passed() -> ChaosReport {
        ChaosReport {
            schema_version: 1,
            verdict: Verdict::Passed,
            seed: 7,
            faults: vec![FaultKind::Kill],
            rounds: vec![Round {
                number: 1,
                after_ms: 40,
                kind: FaultKind::Kill,
                target: Target::whole(&ServiceName::new("broker")),
                hold_ms: 0,
                way: None,
                step_ms: None,
            }],
            elapsed_ms: 61_000,
            work: vec![Work {
                host: "host1".to_owned(),
                held: 30,
                cut_short: 1,
                short: 31,
                findings: Vec::new(),
            }],
            hosts: vec![HostTally {
                host: "host1".to_owned(),
                lines: 812,
                repeated: 3,
                ..HostTally::default()
            }],
            streams: vec![StreamTally {
                stream: "precise join".to_owned(),
                rows: 60,
                repeated: 2,
                ..StreamTally::default()
            }],
            recoveries: vec![Recoveries {
                part: "broker".to_owned(),
                kind: FaultKind::Kill,
                faults: 1,
                p50_ms: 240,
                p99_ms: 240,
                longest_ms: 240,
            }],
            positions_compared: 12,
            findings: Vec::new(),
            findings_in_all: 0,
            smallest_prefix: None,
        }
    }

    pub(crate) fn failed() -> ChaosReport {
        let mut report = passed();
        report.verdict = Verdict::Failed;
        report.hosts[0].lost = 2;
        report.findings = vec![Finding {
            kind: FindingKind::LineLost,
            what: "lines 7 to 8 of host1 (spool 0a) are in no topic".to_owned(),
            time_ms: 1_795_495_590_000,
            round: Some(1),
        }];
        report.findings_in_all = 3;
        report.smallest_prefix = Some(1);
        report
    }

    #[test]
    fn a_run_that_passed() {
        insta::assert_snapshot!(chaos_text(&passed(), Some(100)), @r"
        HOST   HELD  CUT SHORT  SHORT  LINES  LOST  DISORDERED  REPEATED  DEAD LETTERS
        ─────  ────  ─────────  ─────  ─────  ────  ──────────  ────────  ────────────
        host1  30    1          31     812    0     0           3         0

        STREAM        ROWS  MISSING  INVENTED  WRONG  REPEATED  LATE
        ────────────  ────  ───────  ────────  ─────  ────────  ────
        precise join  60    0        0         0      2         0

        PART    FAULT  TIMES  WELL AGAIN: P50  P99     LONGEST
        ──────  ─────  ─────  ───────────────  ──────  ───────
        broker  kill   1      240 ms           240 ms  240 ms

        passed: after 1 fault in 1 min 1 s (seed 7), every accepted line and every row is there; no committed position went back
        ");
    }

    #[test]
    fn a_run_that_failed() {
        insta::assert_snapshot!(chaos_text(&failed(), Some(100)), @r"
        HOST   HELD  CUT SHORT  SHORT  LINES  LOST  DISORDERED  REPEATED  DEAD LETTERS
        ─────  ────  ─────────  ─────  ─────  ────  ──────────  ────────  ────────────
        host1  30    1          31     812    2     0           3         0

        STREAM        ROWS  MISSING  INVENTED  WRONG  REPEATED  LATE
        ────────────  ────  ───────  ────────  ─────  ────────  ────
        precise join  60    0        0         0      2         0

        PART    FAULT  TIMES  WELL AGAIN: P50  P99     LONGEST
        ──────  ─────  ─────  ───────────────  ──────  ───────
        broker  kill   1      240 ms           240 ms  240 ms

        FAULT  FINDING    WHAT
        ─────  ─────────  ────────────────────────────────────────────────
        1      line lost  lines 7 to 8 of host1 (spool 0a) are in no topic
        and 2 more

        failed: 1 fault in 1 min 1 s (seed 7)
        ");
    }

    #[test]
    fn the_json_shape() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&failed()).unwrap(), @r#"
        {
          "schema_version": 1,
          "verdict": "failed",
          "seed": 7,
          "faults": [
            "kill"
          ],
          "rounds": [
            {
              "number": 1,
              "after_ms": 40,
              "kind": "kill",
              "target": "broker",
              "hold_ms": 0
            }
          ],
          "elapsed_ms": 61000,
          "work": [
            {
              "host": "host1",
              "held": 30,
              "cut_short": 1,
              "short": 31
            }
          ],
          "hosts": [
            {
              "host": "host1",
              "lines": 812,
              "lost": 2,
              "repeated": 3,
              "out_of_order": 0,
              "dead_letters": 0
            }
          ],
          "streams": [
            {
              "stream": "precise join",
              "rows": 60,
              "missing": 0,
              "invented": 0,
              "wrong": 0,
              "repeated": 2,
              "late": 0
            }
          ],
          "recoveries": [
            {
              "part": "broker",
              "kind": "kill",
              "faults": 1,
              "p50_ms": 240,
              "p99_ms": 240,
              "longest_ms": 240
            }
          ],
          "positions_compared": 12,
          "findings": [
            {
              "kind": "line_lost",
              "what": "lines 7 to 8 of host1 (spool 0a) are in no topic",
              "time_ms": 1795495590000,
              "round": 1
            }
          ],
          "findings_in_all": 3,
          "smallest_prefix": 1
        }
        "#);
    }
}
