//! The verbs that read data, through the real binary, where no stack runs: every mistake has its message and
//! its exit code.

use assert_cmd::Command;

/// Exit code and standard error of a command; nothing may be on standard output.
fn failure(arguments: &[&str]) -> String {
    let home = tempfile::tempdir().expect("a state folder");
    let output = Command::cargo_bin("osqdemo")
        .expect("the binary")
        .args(arguments)
        .env("OSQDEMO_HOME", home.path())
        .env_remove("OSQDEMO_PROJECT")
        .output()
        .expect("the binary runs");
    assert!(output.stdout.is_empty(), "{output:?}");
    format!(
        "exit {}\n{}",
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn without_a_stack_the_verbs_say_so() {
    for arguments in [
        ["ksql", "LIST STREAMS"].as_slice(),
        &["topics"],
        &["tail", "processes"],
        &["scenario", "bigfile"],
    ] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(failure(arguments), @r"
            exit 16
            error: project `osqdemo` is not running
            hint: start it with `osqdemo up`
            ");
        }
    }
}

#[test]
fn what_cannot_be_read_is_told_before_anything_else() {
    insta::assert_snapshot!(failure(&["ksql", "-f", "/nowhere.sql"]), @r"
    exit 2
    error: failed to read the statements from `/nowhere.sql`: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(failure(&["ksql", "SELECT 'open"]), @r"
    exit 2
    error: the statement at <argument>:1:1 is not ended by `;`
    ");
    insta::assert_snapshot!(failure(&["ksql", " "]), @r"
    exit 2
    error: there is no statement in <argument>
    ");
}

#[test]
fn the_arguments_of_a_scenario_are_checked_before_anything_runs() {
    insta::assert_snapshot!(failure(&["scenario", "bigfile", "--host", "host3"]), @r"
    exit 2
    error: there is no host `host3`
    hint: the hosts are `host1`, `host2`
    ");
    insta::assert_snapshot!(failure(&["scenario", "bigfile", "--size", "0"]), @r"
    exit 2
    error: the size of the file must be at least 1 byte
    ");
    insta::assert_snapshot!(failure(&["scenario", "bigfile", "--size", "big"]), @r"
    exit 2
    error: `big` is not a size such as `4096`, `64M` or `1G`
    ");
    insta::assert_snapshot!(failure(&["scenario", "bigfile", "--timeout", "soon"]), @r"
    exit 2
    error: `soon` is not a duration such as `500ms`, `30s`, `2m` or `1m30s`
    ");
    insta::assert_snapshot!(failure(&["scenario", "bigfile", "--report", "xml=x"]), @r"
    exit 2
    error: `xml=x` is not a report such as `json=FILE` or `junit=FILE`
    ");
    insta::assert_snapshot!(failure(&["scenario", "bigfile", "--report", "junit=/nowhere/x"]), @r"
    exit 2
    error: failed to write the report `/nowhere/x`: No such file or directory (os error 2)
    ");
}
