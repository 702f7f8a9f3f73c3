//! The report of a run of faults as JUnit XML: one test case a sort of finding.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::chaos::check::FindingKind;
use crate::chaos::report::ChaosReport;

/// The report as XML.
///
/// # Errors
/// When it cannot be written as XML.
pub(in crate::report) fn chaos_junit(report: &ChaosReport) -> Result<String, SerializeError> {
    let mut suite = TestSuite::new("chaos");
    suite.set_time(Duration::from_millis(report.elapsed_ms));
    suite.add_property(("verdict", report.verdict.to_string().as_str()));
    suite.add_property(("seed", report.seed.to_string().as_str()));
    suite.add_property(("faults", report.rounds.len().to_string().as_str()));
    for kind in FindingKind::ALL {
        let found: Vec<&str> = report
            .findings
            .iter()
            .filter(|finding| finding.kind == kind)
            .map(|finding| finding.what.as_str())
            .collect();
        let status = if let Some(first) = found.first() {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(*first);
            status.set_type(kind.words());
            status.set_description(found.join("\n"));
            status
        } else {
            TestCaseStatus::success()
        };
        let mut case = TestCase::new(format!("no {}", kind.words()), status);
        case.set_classname("osqdemo.chaos");
        suite.add_test_case(case);
    }
    let mut junit = Report::new("osqdemo");
    junit.add_test_suite(suite);
    junit.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chaos_text::tests::failed;

    #[test]
    fn a_run_that_failed() {
        let text = chaos_junit(&failed()).unwrap();
        assert!(
            text.contains(r#"<testsuite name="chaos" tests="11" skipped="0" errors="0" failures="1""#),
            "{text}"
        );
        assert!(
            text.contains(
                r#"<failure message="lines 7 to 8 of host1 (spool 0a) are in no topic" type="line lost">"#
            ),
            "{text}"
        );
    }
}
