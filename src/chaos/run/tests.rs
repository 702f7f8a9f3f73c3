use std::sync::PoisonError;

use super::*;
use crate::events::SCHEMA_VERSION;

#[derive(Default)]
struct Heard(Mutex<Vec<Event>>);

impl Listener for Heard {
    fn hear(&self, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

fn passed() -> ChaosReport {
    ChaosReport {
        schema_version: SCHEMA_VERSION,
        verdict: Verdict::Passed,
        seed: 1,
        faults: Vec::new(),
        rounds: Vec::new(),
        elapsed_ms: 0,
        work: Vec::new(),
        hosts: Vec::new(),
        streams: Vec::new(),
        recoveries: Vec::new(),
        positions_compared: 0,
        findings: Vec::new(),
        findings_in_all: 0,
        smallest_prefix: None,
    }
}

fn left() -> Vec<String> {
    vec!["the stream of the run".to_owned(), "process 7".to_owned()]
}

#[test]
fn what_a_run_leaves_behind_is_in_its_report() {
    let heard = Heard::default();
    let report = with_left(Ok(passed()), left(), &heard).expect("a report");
    let findings = report.findings.iter();
    let what: Vec<&String> = findings.map(|finding| &finding.what).collect();
    assert_eq!(what, [&left()[0], &left()[1]]);
    assert_eq!(report.findings_in_all, 2);
    assert!(heard.0.lock().expect("events").is_empty());
}

#[test]
fn a_run_that_fails_and_leaves_something_behind_tells_both() {
    let heard = Heard::default();
    let failed = || Err(ChaosError::NoOtherBuild.into());
    let failure = with_left(failed(), Vec::new(), &heard).expect_err("it failed");
    assert!(heard.0.lock().expect("events").is_empty());
    let again = with_left(failed(), left(), &heard).expect_err("it failed");
    assert_eq!(again.to_string(), failure.to_string());
    let heard = heard.0.into_inner().expect("events");
    let [Event::Warning(Warning::Trouble { failure })] = heard.as_slice() else {
        panic!("{heard:?}");
    };
    assert_eq!(failure.error, "left behind: the stream of the run; process 7");
    assert!(!failure.hints.is_empty());
}
