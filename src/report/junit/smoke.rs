//! The report of `osqdemo smoke` as JUnit XML: a test suite a phase, a test case for each step of it: every service,
//! statement and stage.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::events::{Ending, Event, Failed, Outcome, Step};
use crate::report::words;

/// One phase of a smoke test.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// Such as `up`.
    pub name: &'static str,
    /// How it ended.
    pub result: PhaseResult,
    /// What happened in it.
    pub events: Vec<Event>,
    /// How long it took.
    pub elapsed: Duration,
}

/// How a phase ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PhaseResult {
    /// Well.
    Passed,
    /// With an error.
    Failed(Failed),
    /// It did not run, because an earlier one failed.
    Skipped,
}

/// The report as XML.
///
/// # Errors
/// When it cannot be written as XML.
pub fn smoke_junit(phases: &[Phase]) -> Result<String, SerializeError> {
    let mut report = Report::new("osqdemo smoke");
    for phase in phases {
        let mut suite = TestSuite::new(phase.name);
        suite.add_test_case(whole(phase));
        suite.add_test_cases(phase.events.iter().filter_map(|event| step(phase, event)));
        report.add_test_suite(suite);
    }
    report.to_string()
}

/// The phase itself: what failed in no step of its own would otherwise be seen nowhere.
fn whole(phase: &Phase) -> TestCase {
    let status = match &phase.result {
        PhaseResult::Passed => TestCaseStatus::success(),
        PhaseResult::Failed(failed) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(failed.error.clone());
            let hints = failed.hints.iter().map(|hint| format!("hint: {hint}"));
            let lines: Vec<String> = failed.details.iter().cloned().chain(hints).collect();
            status.set_description(lines.join("\n"));
            status
        }
        PhaseResult::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message("an earlier phase failed");
            status
        }
    };
    let mut case = TestCase::new(phase.name, status);
    case.set_classname("osqdemo.smoke");
    if phase.result != PhaseResult::Skipped {
        case.set_time(phase.elapsed);
    }
    case
}

fn step(phase: &Phase, event: &Event) -> Option<TestCase> {
    let Event::StepFinished {
        step,
        outcome,
        ending,
        elapsed,
    } = event
    else {
        return None;
    };
    let status = match outcome {
        // What became of it nobody knows: something else failed.
        _ if *ending == Ending::GivenUp => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(words::ending(ending));
            status
        }
        Outcome::Done | Outcome::Unchanged => TestCaseStatus::success(),
        Outcome::Failed => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(words::ending(ending));
            status
        }
    };
    let kind = match step {
        Step::Service(_) => "service",
        Step::Image(_) => "image",
        Step::Archive(_) => "archive",
        Step::Statement(_) => "statement",
        Step::Stage(_) => "stage",
    };
    let mut case = TestCase::new(step.to_string(), status);
    case.set_classname(format!("osqdemo.smoke.{}.{kind}", phase.name));
    case.set_time(*elapsed);
    Some(case)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Note;
    use crate::stack::ServiceName;

    #[test]
    fn steps_are_test_cases() {
        let failed = Failed {
            exit_code: 14,
            error: "ksqldb-server was not healthy within 3.0 s".to_owned(),
            causes: Vec::new(),
            details: vec!["probe: GET /info".to_owned()],
            hints: vec!["look".to_owned()],
        };
        let finished = |service, outcome, ending| Event::StepFinished {
            step: Step::service(&ServiceName::new(service)),
            outcome,
            ending,
            elapsed: Duration::from_millis(120),
        };
        let phases = [
            Phase {
                name: "up",
                result: PhaseResult::Failed(failed.clone()),
                events: vec![
                    finished("broker", Outcome::Done, Ending::Healthy),
                    Event::Note(Note::TakingBack),
                    finished(
                        "ksqldb-server",
                        Outcome::Failed,
                        Ending::Failed { failure: failed },
                    ),
                ],
                elapsed: Duration::from_secs(4),
            },
            Phase {
                name: "scenario",
                result: PhaseResult::Skipped,
                events: Vec::new(),
                elapsed: Duration::ZERO,
            },
        ];
        insta::assert_snapshot!(smoke_junit(&phases).unwrap(), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="osqdemo smoke" tests="4" skipped="1" failures="2" errors="0">
            <testsuite name="up" tests="3" skipped="0" errors="0" failures="2">
                <testcase name="up" classname="osqdemo.smoke" time="4.000">
                    <failure message="ksqldb-server was not healthy within 3.0 s">probe: GET /info
        hint: look</failure>
                </testcase>
                <testcase name="broker" classname="osqdemo.smoke.up.service" time="0.120"/>
                <testcase name="ksqldb-server" classname="osqdemo.smoke.up.service" time="0.120">
                    <failure message="ksqldb-server was not healthy within 3.0 s"/>
                </testcase>
            </testsuite>
            <testsuite name="scenario" tests="1" skipped="1" errors="0" failures="0">
                <testcase name="scenario" classname="osqdemo.smoke">
                    <skipped message="an earlier phase failed"/>
                </testcase>
            </testsuite>
        </testsuites>
        "#);
    }
}
