//! The report of a scenario as text: the rows, the timeline, the verdict.

use super::table::table;
use crate::scenario::outcome::{ScenarioReport, Verdict};

/// The report, several lines without the last line break. Nothing when nothing was written: the error that
/// follows says it all.
pub fn scenario_text(report: &ScenarioReport, width: Option<usize>) -> String {
    let mut parts = Vec::new();
    if report.attempts == 0 {
        return String::new();
    }
    if !report.rows.is_empty() {
        let rows: Vec<Vec<String>> = report
            .rows
            .iter()
            .map(|row| {
                vec![
                    row.host.clone(),
                    row.proc.clone(),
                    row.file.clone(),
                    row.join.to_string(),
                    row.count.to_string(),
                ]
            })
            .collect();
        parts.push(table(&["HOST", "PROC", "FILE", "JOIN", "TIMES"], &rows, width));
    }
    let stages: Vec<Vec<String>> = report
        .stages
        .iter()
        .map(|stage| {
            vec![
                stage.name.to_string(),
                stage
                    .at
                    .map_or_else(|| "-".to_owned(), |at| at.strftime("%H:%M:%S.%3f").to_string()),
                stage
                    .latency_ms
                    .map_or_else(|| "-".to_owned(), |latency| format!("{latency:+} ms")),
                stage.count.to_string(),
            ]
        })
        .collect();
    parts.push(table(&["STAGE", "AT (UTC)", "AFTER", "N"], &stages, width));
    if !report.restarts.is_empty() {
        let restarts = report.restarts.iter();
        let restarts = restarts.map(|restart| format!("meanwhile {} (UTC): {restart}", restart.service));
        parts.push(restarts.collect::<Vec<_>>().join("\n"));
    }
    if report.misattributed_rows > 0 {
        parts.push(format!(
            "{} of the original's rows name another host's process: it joins on the pid alone, and pids repeat \
             from host to host. The precise join does not.",
            report.misattributed_rows
        ));
    }
    parts.push(verdict_line(report));
    parts.join("\n\n")
}

fn verdict_line(report: &ScenarioReport) -> String {
    let attempts = match report.attempts {
        0 | 1 => "",
        _ => ", at the second attempt, with the process held open",
    };
    match (report.verdict, &report.error) {
        (Verdict::Passed, _) => format!(
            "passed: both joins name {}, the process and `{}`{attempts}",
            report.host, report.file
        ),
        // The error itself is shown by whoever ends the command.
        (verdict, _) => verdict.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::events::Stage;
    use crate::scenario::observation::Join;
    use crate::scenario::outcome::{ReportedRow, Restart, StageReport};

    pub(crate) fn passed() -> ScenarioReport {
        let row = |join, count, host: &str| ReportedRow {
            host: host.to_owned(),
            proc: "/usr/bin/head".to_owned(),
            file: "/home/jay/myfile-1a2b3c4d5e6f".to_owned(),
            join,
            count,
        };
        ScenarioReport {
            schema_version: 1,
            scenario: "bigfile",
            verdict: Verdict::Passed,
            host: "host2".to_owned(),
            file: "/home/jay/myfile-1a2b3c4d5e6f".to_owned(),
            size_bytes: 1 << 30,
            attempts: 1,
            rows: vec![
                row(Join::Original, 1, "host1"),
                row(Join::Original, 3, "host2"),
                row(Join::Precise, 3, "host2"),
            ],
            misattributed_rows: 1,
            stages: Stage::ALL
                .into_iter()
                .zip([0_i64, 700, 705, 709, 712, 713, 4100])
                .map(|(name, milliseconds)| StageReport {
                    name,
                    at: Timestamp::from_millisecond(1_795_495_590_000 + milliseconds).ok(),
                    count: 2,
                    latency_ms: (milliseconds > 0).then_some(milliseconds),
                })
                .collect(),
            restarts: Vec::new(),
            error: None,
            failed_stage: None,
        }
    }

    /// The broker was killed twice meanwhile, and the console once at the very end.
    pub(crate) fn with_restarts() -> ScenarioReport {
        let killed = |service: &str, at: Option<i64>, times| Restart {
            service: service.to_owned(),
            at: at.and_then(|at| Timestamp::from_millisecond(1_795_495_590_000 + at).ok()),
            times,
            cause: "killed by signal 9 (SIGKILL)".to_owned(),
        };
        let mut report = passed();
        report.restarts = vec![killed("broker", Some(640), 2), killed("console", None, 0)];
        report
    }

    pub(crate) fn timed_out() -> ScenarioReport {
        let mut report = passed();
        report.verdict = Verdict::TimedOut;
        report.rows.clear();
        report.misattributed_rows = 0;
        for stage in &mut report.stages[3..] {
            stage.at = None;
            stage.latency_ms = None;
            stage.count = 0;
        }
        report.error = Some("1 min 0 s passed before the joined rows arrived: the last stage that produced something is `topic`; `stream` did not come".to_owned());
        report.failed_stage = Some(Stage::Stream);
        report
    }

    #[test]
    fn a_run_that_passed() {
        insta::assert_snapshot!(scenario_text(&passed(), Some(80)), @r"
        HOST   PROC           FILE                           JOIN      TIMES
        ─────  ─────────────  ─────────────────────────────  ────────  ─────
        host1  /usr/bin/head  /home/jay/myfile-1a2b3c4d5e6f  original  1
        host2  /usr/bin/head  /home/jay/myfile-1a2b3c4d5e6f  original  3
        host2  /usr/bin/head  /home/jay/myfile-1a2b3c4d5e6f  precise   3

        STAGE          AT (UTC)      AFTER     N
        ─────────────  ────────────  ────────  ─
        write started  04:46:30.000  -         2
        osquery line   04:46:30.700  +700 ms   2
        topic          04:46:30.705  +705 ms   2
        stream         04:46:30.709  +709 ms   2
        joined row     04:46:30.712  +712 ms   2
        precise row    04:46:30.713  +713 ms   2
        file size      04:46:34.100  +4100 ms  2

        1 of the original's rows name another host's process: it joins on the pid alone, and pids repeat from host to host. The precise join does not.

        passed: both joins name host2, the process and `/home/jay/myfile-1a2b3c4d5e6f`
        ");
    }

    #[test]
    fn what_was_started_again_meanwhile_is_told() {
        let text = scenario_text(&with_restarts(), Some(80));
        let told: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("meanwhile"))
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        meanwhile broker (UTC): started again at 04:46:30.640, 2 times in all: killed by signal 9 (SIGKILL)
        meanwhile console (UTC): ended, and did not run at the end: killed by signal 9 (SIGKILL)
        ");
        let report = serde_json::to_value(with_restarts()).unwrap();
        insta::assert_snapshot!(report["restarts"], @r#"[{"service":"broker","at":"2026-11-24T04:46:30.640Z","times":2,"cause":"killed by signal 9 (SIGKILL)"},{"service":"console","at":null,"times":0,"cause":"killed by signal 9 (SIGKILL)"}]"#);
    }

    #[test]
    fn a_run_that_timed_out_on_forty_columns() {
        insta::assert_snapshot!(scenario_text(&timed_out(), Some(40)), @r"
        STAGE          AT (UTC)      AFTER    N
        ─────────────  ────────────  ───────  ─
        write started  04:46:30.000  -        2
        osquery line   04:46:30.700  +700 ms  2
        topic          04:46:30.705  +705 ms  2
        stream         -             -        0
        joined row     -             -        0
        precise row    -             -        0
        file size      -             -        0

        timed out
        ");
    }

    #[test]
    fn the_json_shape() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&timed_out()).unwrap(), @r#"
        {
          "schema_version": 1,
          "scenario": "bigfile",
          "verdict": "timed_out",
          "host": "host2",
          "file": "/home/jay/myfile-1a2b3c4d5e6f",
          "size_bytes": 1073741824,
          "attempts": 1,
          "rows": [],
          "misattributed_rows": 0,
          "stages": [
            {
              "name": "write_started",
              "at": "2026-11-24T04:46:30.000Z",
              "count": 2,
              "latency_ms": null
            },
            {
              "name": "osquery_line",
              "at": "2026-11-24T04:46:30.700Z",
              "count": 2,
              "latency_ms": 700
            },
            {
              "name": "topic",
              "at": "2026-11-24T04:46:30.705Z",
              "count": 2,
              "latency_ms": 705
            },
            {
              "name": "stream",
              "at": null,
              "count": 0,
              "latency_ms": null
            },
            {
              "name": "joined_row",
              "at": null,
              "count": 0,
              "latency_ms": null
            },
            {
              "name": "precise_row",
              "at": null,
              "count": 0,
              "latency_ms": null
            },
            {
              "name": "file_size",
              "at": null,
              "count": 0,
              "latency_ms": null
            }
          ],
          "restarts": [],
          "error": "1 min 0 s passed before the joined rows arrived: the last stage that produced something is `topic`; `stream` did not come"
        }
        "#);
    }
}
