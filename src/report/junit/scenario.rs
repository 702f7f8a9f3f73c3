//! The report of a scenario as JUnit XML: one test case a stage.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::scenario::outcome::{ScenarioReport, StageReport};

/// The report as XML.
///
/// # Errors
/// When it cannot be written as XML.
pub(in crate::report) fn scenario_junit(report: &ScenarioReport) -> Result<String, SerializeError> {
    let mut suite = TestSuite::new(report.scenario);
    suite.add_property(("verdict", report.verdict.to_string().as_str()));
    suite.add_property(("host", report.host.as_str()));
    suite.add_property(("file", report.file.as_str()));
    suite.add_property(("size_bytes", report.size_bytes.to_string().as_str()));
    suite.add_property(("attempts", report.attempts.to_string().as_str()));
    for restart in &report.restarts {
        let name = format!("restart of {}", restart.service);
        suite.add_property((name.as_str(), restart.to_string().as_str()));
    }
    for stage in &report.stages {
        suite.add_test_case(test_case(report, stage));
    }
    let mut junit = Report::new("osqdemo");
    junit.add_test_suite(suite);
    junit.to_string()
}

fn test_case(report: &ScenarioReport, stage: &StageReport) -> TestCase {
    let status = if report.failed_stage == Some(stage.name) {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(report.error.as_deref().unwrap_or_default());
        status.set_type(report.verdict.to_string());
        status
    } else if stage.at.is_some() {
        TestCaseStatus::success()
    } else {
        let mut status = TestCaseStatus::skipped();
        status.set_message("an earlier stage was not completed");
        status
    };
    let mut case = TestCase::new(stage.name.to_string(), status);
    case.set_classname(format!("osqdemo.scenario.{}", report.scenario));
    if let Some(latency) = stage.latency_ms {
        case.set_time(Duration::from_millis(latency.max(0).unsigned_abs()));
    }
    case
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::scenario_text::tests::{passed, timed_out, with_restarts};

    #[test]
    fn a_run_that_passed() {
        insta::assert_snapshot!(scenario_junit(&passed()).unwrap(), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="osqdemo" tests="7" skipped="0" failures="0" errors="0">
            <testsuite name="bigfile" tests="7" skipped="0" errors="0" failures="0">
                <properties>
                    <property name="verdict" value="passed"/>
                    <property name="host" value="host2"/>
                    <property name="file" value="/home/jay/myfile-1a2b3c4d5e6f"/>
                    <property name="size_bytes" value="1073741824"/>
                    <property name="attempts" value="1"/>
                </properties>
                <testcase name="write started" classname="osqdemo.scenario.bigfile"/>
                <testcase name="osquery line" classname="osqdemo.scenario.bigfile" time="0.700"/>
                <testcase name="topic" classname="osqdemo.scenario.bigfile" time="0.705"/>
                <testcase name="stream" classname="osqdemo.scenario.bigfile" time="0.709"/>
                <testcase name="joined row" classname="osqdemo.scenario.bigfile" time="0.712"/>
                <testcase name="precise row" classname="osqdemo.scenario.bigfile" time="0.713"/>
                <testcase name="file size" classname="osqdemo.scenario.bigfile" time="4.100"/>
            </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn what_was_started_again_meanwhile_is_a_property() {
        let junit = scenario_junit(&with_restarts()).unwrap();
        let told = junit
            .lines()
            .map(str::trim)
            .filter(|line| line.contains("restart of"));
        insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @r#"
        <property name="restart of broker" value="started again at 04:46:30.640, 2 times in all: killed by signal 9 (SIGKILL)"/>
        <property name="restart of console" value="ended, and did not run at the end: killed by signal 9 (SIGKILL)"/>
        "#);
    }

    #[test]
    fn a_run_that_timed_out() {
        insta::assert_snapshot!(scenario_junit(&timed_out()).unwrap(), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="osqdemo" tests="7" skipped="3" failures="1" errors="0">
            <testsuite name="bigfile" tests="7" skipped="3" errors="0" failures="1">
                <properties>
                    <property name="verdict" value="timed out"/>
                    <property name="host" value="host2"/>
                    <property name="file" value="/home/jay/myfile-1a2b3c4d5e6f"/>
                    <property name="size_bytes" value="1073741824"/>
                    <property name="attempts" value="1"/>
                </properties>
                <testcase name="write started" classname="osqdemo.scenario.bigfile"/>
                <testcase name="osquery line" classname="osqdemo.scenario.bigfile" time="0.700"/>
                <testcase name="topic" classname="osqdemo.scenario.bigfile" time="0.705"/>
                <testcase name="stream" classname="osqdemo.scenario.bigfile">
                    <failure message="1 min 0 s passed before the joined rows arrived: the last stage that produced something is `topic`; `stream` did not come" type="timed out"/>
                </testcase>
                <testcase name="joined row" classname="osqdemo.scenario.bigfile">
                    <skipped message="an earlier stage was not completed"/>
                </testcase>
                <testcase name="precise row" classname="osqdemo.scenario.bigfile">
                    <skipped message="an earlier stage was not completed"/>
                </testcase>
                <testcase name="file size" classname="osqdemo.scenario.bigfile">
                    <skipped message="an earlier stage was not completed"/>
                </testcase>
            </testsuite>
        </testsuites>
        "#);
    }
}
