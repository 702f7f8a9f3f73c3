use proptest::prelude::*;

use super::*;

const FILE: &str = "/home/jay/myfile-1a2b";

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

fn progress() -> Progress {
    Progress::new(Expectation {
        host: "host2".to_owned(),
        file: FILE.to_owned(),
        size: 64,
    })
}

fn sighting(source: Source, host: &str, pid: &str, path: &str, made: i64, seen: i64) -> Sighting {
    Sighting {
        source,
        host: host.to_owned(),
        pid: pid.to_owned(),
        path: path.to_owned(),
        made_at: at(made),
        seen_at: at(seen),
    }
}

fn row(host: &str, proc: &str) -> JoinedRow {
    JoinedRow {
        host: host.to_owned(),
        proc: proc.to_owned(),
        file: FILE.to_owned(),
    }
}

/// A step of the usual run.
#[derive(Debug, Clone)]
enum Step {
    Saw(Sighting),
    Row(Join, JoinedRow, i64),
    Written(i64, u64),
}

fn usual_run() -> Vec<Step> {
    let head = "/usr/bin/head";
    vec![
        Step::Saw(sighting(Source::ProcessLine, "host2", "7", head, 1400, 1410)),
        Step::Saw(sighting(Source::FileLine, "host2", "7", FILE, 1500, 1505)),
        Step::Saw(sighting(Source::ProcRow, "host2", "7", head, 1400, 1415)),
        Step::Saw(sighting(Source::FilesRow, "host2", "7", FILE, 1500, 1509)),
        Step::Row(Join::Original, row("host2", head), 1512),
        Step::Row(Join::Precise, row("host2", head), 1513),
        Step::Written(3000, 64),
    ]
}

fn take(progress: &mut Progress, step: Step) {
    match step {
        Step::Saw(sighting) => progress.saw(sighting),
        Step::Row(join, row, time) => progress.saw_row(join, row, at(time)),
        Step::Written(time, bytes) => progress.written(at(time), bytes),
    }
}

fn after(steps: impl IntoIterator<Item = Step>) -> Progress {
    let mut progress = progress();
    progress.write_started(at(1000));
    for step in steps {
        take(&mut progress, step);
    }
    progress
}

fn timeline(progress: &Progress) -> String {
    progress
        .stages()
        .iter()
        .map(|stage| format!("{}: {:?} ms, count {}", stage.name, stage.latency_ms, stage.count))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_usual_run_passes_with_its_timeline() {
    let progress = after(usual_run());
    assert_eq!(progress.standing(), Standing::Passed);
    insta::assert_snapshot!(timeline(&progress), @r"
    write started: None ms, count 1
    osquery line: Some(500) ms, count 2
    topic: Some(5) ms, count 2
    stream: Some(4) ms, count 2
    joined row: Some(3) ms, count 1
    precise row: Some(4) ms, count 1
    file size: Some(2000) ms, count 1
    ");
}

#[test]
fn a_stage_was_complete_by_the_time_of_what_came_of_it() {
    let mut steps = usual_run();
    steps[4] = Step::Row(Join::Original, row("host2", "/usr/bin/head"), 1503);
    steps[5] = Step::Row(Join::Precise, row("host2", "/usr/bin/head"), 1502);
    insta::assert_snapshot!(timeline(&after(steps)), @r"
        write started: None ms, count 1
        osquery line: Some(500) ms, count 2
        topic: Some(2) ms, count 2
        stream: Some(0) ms, count 2
        joined row: Some(1) ms, count 1
        precise row: Some(0) ms, count 1
        file size: Some(2000) ms, count 1
        ");
}

#[test]
fn without_any_one_of_its_steps_it_stays_pending() {
    for left_out in 0..7 {
        let mut steps = usual_run();
        steps.remove(left_out);
        assert_eq!(after(steps).standing(), Standing::Pending);
    }
}

#[test]
fn rows_that_are_not_of_this_run_do_not_count() {
    let mut steps = usual_run();
    steps.truncate(4);
    let mut progress = after(steps);
    progress.written(at(3000), 64);
    let other_file = JoinedRow {
        file: "/home/jay/myfile-0000".to_owned(),
        ..row("host2", "/usr/bin/head")
    };
    progress.saw_row(Join::Original, other_file.clone(), at(1));
    progress.saw_row(Join::Precise, other_file, at(1));
    progress.saw_row(Join::Original, row("host2", "/usr/bin/dash"), at(1));
    progress.saw_row(Join::Precise, row("host2", "/usr/bin/dash"), at(1));
    assert_eq!(progress.standing(), Standing::Pending);
    assert_eq!(progress.rows().len(), 2);
}

#[test]
fn the_original_may_blame_another_host_and_the_precise_join_may_not() {
    let mut progress = after(usual_run());
    progress.saw_row(Join::Original, row("host1", "/usr/sbin/sshd"), at(1600));
    progress.saw_row(Join::Original, row("host1", "/usr/sbin/sshd"), at(1601));
    assert_eq!(progress.standing(), Standing::Passed);
    assert_eq!(progress.misattributed_rows(), 2);
    progress.saw_row(Join::Precise, row("host1", "/usr/sbin/sshd"), at(1600));
    let Standing::Failed(problem) = progress.standing() else {
        panic!("a wrong host passed");
    };
    assert_eq!(problem.stage, Stage::PreciseRow);
    insta::assert_snapshot!(problem.reason, @"the precise join blames `/usr/sbin/sshd` on host1 for `/home/jay/myfile-1a2b`, which host2 wrote");
}

#[test]
fn a_file_of_the_wrong_size_fails() {
    let mut steps = usual_run();
    steps[6] = Step::Written(3000, 63);
    let Standing::Failed(problem) = after(steps).standing() else {
        panic!("a wrong size passed");
    };
    insta::assert_snapshot!(problem.reason, @"`/home/jay/myfile-1a2b` has 63 bytes instead of 64");
}

#[test]
fn the_last_productive_stage_is_named_with_what_is_missing() {
    let stuck_after = |steps: usize| {
        let mut run = usual_run();
        run.truncate(steps);
        after(run).stuck_at()
    };
    insta::assert_snapshot!(progress().stuck_at(), @"nothing was produced: the write did not start");
    insta::assert_snapshot!(stuck_after(0), @"the last stage that produced something is `write started`; `osquery line` did not come");
    insta::assert_snapshot!(stuck_after(1), @"the last stage that produced something is `topic`, and there is nothing in open_files");
    insta::assert_snapshot!(stuck_after(2), @"the last stage that produced something is `topic`; `stream` did not come");
    insta::assert_snapshot!(stuck_after(3), @"the last stage that produced something is `stream`, and there is nothing in FILES");
    insta::assert_snapshot!(stuck_after(4), @"the last stage that produced something is `stream`; `joined row` did not come");
    insta::assert_snapshot!(stuck_after(5), @"the last stage that produced something is `joined row`; `precise row` did not come");
    insta::assert_snapshot!(stuck_after(6), @"the last stage that produced something is `precise row`; `file size` did not come");
}

#[test]
fn another_process_of_the_same_program_is_not_the_one() {
    let mut progress = progress();
    progress.write_started(at(0));
    progress.saw(sighting(Source::ProcessLine, "host2", "9", "/usr/bin/head", 1, 1));
    progress.saw(sighting(Source::FileLine, "host2", "7", FILE, 2, 2));
    assert!(!progress.was_seen_by_osquery());
    progress.saw(sighting(Source::ProcessLine, "host1", "7", "/usr/bin/head", 3, 3));
    assert!(!progress.was_seen_by_osquery());
    progress.saw(sighting(Source::ProcessLine, "host2", "7", "/usr/bin/head", 4, 4));
    assert!(progress.was_seen_by_osquery());
}

proptest! {
    #[test]
    fn order_and_repetition_do_not_matter(order in Just(usual_run()).prop_shuffle(), again in 0_usize..6) {
        let mut steps = order.clone();
        // The file is measured once; everything else may come again when a query is opened again.
        if !matches!(order[again], Step::Written(..)) {
            steps.push(order[again].clone());
        }
        let progress = after(steps);
        prop_assert_eq!(progress.standing(), Standing::Passed);
        prop_assert_eq!(progress.rows().len(), 2);
    }

    #[test]
    fn a_run_with_a_wrong_host_never_passes(order in Just({
        let mut steps = usual_run();
        steps.push(Step::Row(Join::Precise, row("host1", "/usr/bin/head"), 1500));
        steps
    }).prop_shuffle()) {
        prop_assert!(matches!(after(order).standing(), Standing::Failed(_)));
    }
}
