//! The verbs that read data, through the real binary, where no stack runs: every mistake has its message and
//! its exit code.

mod support;

use std::io::{BufRead, BufReader, Lines};
use std::process::{ChildStdout, Stdio};

use rustix::process::Signal;
use support::{NativeStack, World, signal};

fn run(arguments: &[&str]) -> String {
    World::new().run(arguments)
}

#[test]
fn without_a_stack_the_verbs_say_so() {
    for arguments in [
        ["ksql", "LIST STREAMS"].as_slice(),
        &["topics"],
        &["groups"],
        &["attach"],
        &["fault"],
        &["schemas"],
        &["schemas", "show", "processes-value", "--version", "1"],
        &["schemas", "check", "/dev/null", "--subject", "s"],
        &["tail", "processes"],
        &["scenario", "bigfile"],
    ] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(run(arguments), @r"
        exit code: 16
        ----- stdout -----
        ----- stderr -----
        error: project `osqdemo` is not running
        hint: start it with `osqdemo up`
        ");
        }
    }
}

#[test]
fn what_cannot_be_read_is_told_before_anything_else() {
    insta::assert_snapshot!(run(&["ksql", "-f", "/nowhere.sql"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: failed to read the statements from `/nowhere.sql`: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(run(&["schemas", "check", "/nowhere.avsc", "--subject", "s"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: failed to read the schema from `/nowhere.avsc`: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(run(&["ksql", "SELECT 'open"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: the statement at <argument>:1:1 is not ended by `;`
    ");
    insta::assert_snapshot!(run(&["ksql", " "]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: there is no statement in <argument>
    ");
}

#[test]
fn the_arguments_of_a_scenario_are_checked_before_anything_runs() {
    insta::assert_snapshot!(run(&["scenario", "bigfile", "--host", "host3"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: there is no host `host3`
    hint: the hosts are `host1`, `host2`
    ");
    insta::assert_snapshot!(run(&["scenario", "bigfile", "--size", "0"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: the size of the file must be at least 1 byte
    ");
    insta::assert_snapshot!(run(&["scenario", "bigfile", "--size", "big"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `big` is not a size such as `4096`, `64M` or `1G`
    ");
    insta::assert_snapshot!(run(&["scenario", "bigfile", "--timeout", "soon"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `soon` is not a duration such as `500ms`, `30s`, `2m` or `1m30s`
    ");
    insta::assert_snapshot!(run(&["scenario", "bigfile", "--report", "xml=x"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `xml=x` is not a report such as `json=FILE` or `junit=FILE`
    ");
    insta::assert_snapshot!(run(&["scenario", "bigfile", "--report", "junit=/nowhere/x"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: failed to write the report `/nowhere/x`: No such file or directory (os error 2)
    ");
}

#[test]
fn a_ksqldb_that_hangs_is_waited_for_aloud() {
    let stack = NativeStack::up();
    // A server that is paused is named at once; this one runs, and waits for a broker that does not answer.
    let broker = stack.pid("broker");
    signal(broker, Signal::STOP);
    let statement =
        "CREATE STREAM slow (a INT) WITH (KAFKA_TOPIC='slow', PARTITIONS=1, VALUE_FORMAT='JSON');";
    let mut verb = stack
        .world
        .command(&["ksql", statement])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(verb.stderr.take().expect("its standard error")).lines();
    let line = lines.next().expect("a line").expect("text");
    signal(broker, Signal::CONT);
    let address = stack.service("ksqldb-server", "address");
    let address = address.as_str().expect("an address");
    assert_eq!(
        line,
        format!("CREATE STREAM slow: ksqlDB at {address} works on it")
    );
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert!(verb.wait().expect("it ends").success(), "{rest:?}");
    assert!(
        rest.iter()
            .any(|line| line.starts_with("CREATE STREAM slow: answered (")),
        "{rest:?}"
    );
}

#[test]
fn a_query_whose_server_goes_away_ends_with_what_became_of_it() {
    let stack = NativeStack::up();
    let follow = || {
        let mut verb = stack
            .world
            .command(&[
                "ksql",
                "SET 'auto.offset.reset'='earliest'; SELECT host FROM proc EMIT CHANGES;",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut rows = BufReader::new(verb.stdout.take().expect("its output")).lines();
        let row = rows
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.starts_with("host"));
        assert!(row.is_some(), "a row comes");
        // The reader stays: without one the verb would end by that.
        (verb, rows)
    };
    let told = |(verb, _rows): (std::process::Child, Lines<BufReader<ChildStdout>>)| {
        let output = verb.wait_with_output().expect("it ends");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines = text
            .lines()
            .filter(|line| line.starts_with("error: ") || line.starts_with("hint: "));
        (output.status.code(), lines.collect::<Vec<_>>().join("\n"))
    };
    let killed = follow();
    signal(stack.pid("ksqldb-server"), Signal::KILL);
    let (code, text) = told(killed);
    assert_eq!(code, Some(16), "{text}");
    assert!(text.starts_with("error: ksqldb-server ended"), "{text}");
    assert!(
        text.ends_with("hint: it is there again: run the same once more"),
        "{text}"
    );
    stack.succeed(&["wait"]);

    let stopped = follow();
    stack.succeed(&["down"]);
    assert_eq!(
        told(stopped),
        (
            Some(16),
            "error: ksqldb-server was stopped by `osqdemo down`, and with it what ran on it\n\
             hint: `osqdemo up` starts it again"
                .to_owned()
        )
    );
}

#[test]
fn a_query_without_rows_says_what_it_waits_for() {
    let stack = NativeStack::up();
    let mut verb = stack
        .world
        .command(&["ksql", "SELECT * FROM files WHERE path = 'x' EMIT CHANGES;"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let line = BufReader::new(verb.stderr.take().expect("its standard error"))
        .lines()
        .next();
    signal(verb.id(), Signal::INT);
    assert_eq!(
        line.expect("a line").expect("text"),
        "waiting for new rows of `files`, from now on (`SET 'auto.offset.reset'='earliest';` begins with the oldest); \
         Ctrl-C ends it"
    );
    assert_eq!(verb.wait().expect("it ends").code(), Some(130));
}
