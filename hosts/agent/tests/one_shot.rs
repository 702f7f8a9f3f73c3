//! The real binary without an extension: one-shot queries, flags, and what is said about each mistake.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// Exit code, stdout, stderr.
fn agent(arguments: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_osqdemo-agent"))
        .args(arguments)
        .output()
        .unwrap();
    (
        status.code().unwrap(),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

#[test]
fn rows_are_printed_as_osqueryi_prints_them() {
    let (code, stdout, stderr) = agent(&[
        "--query",
        "select 1 as b, 'x' as a union select 2, null",
        "--json",
    ]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(
        stdout,
        "[\n  {\"a\":\"x\",\"b\":\"1\"},\n  {\"a\":\"\",\"b\":\"2\"}\n]\n"
    );
    let (_, stdout, _) = agent(&["--query=select 1 as b, 0.5 as c", "--logger_numerics"]);
    assert_eq!(stdout, "[\n  {\"b\":1,\"c\":0.5}\n]\n");
    assert_eq!(agent(&["--query", "select 1 where 0"]).1, "[\n\n]\n");
}

#[test]
fn the_agent_sees_itself() {
    let (code, stdout, _) = agent(&[
        "--query",
        "select p.name from osquery_info i join processes p using (pid)",
    ]);
    assert_eq!(
        (code, stdout.as_str()),
        (0, "[\n  {\"name\":\"osqdemo-agent\"}\n]\n")
    );
}

#[test]
fn a_scope_shows_this_hosts_processes_only() {
    let variable = format!("OSQDEMO_HOST=test-{}", std::process::id());
    let (name, value) = variable.split_once('=').unwrap();
    let rows = |sql: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_osqdemo-agent"))
            .args([&format!("--process_scope_env={variable}"), "--query", sql])
            .env(name, value)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        rows("select name from processes"),
        "[\n  {\"name\":\"osqdemo-agent\"}\n]\n"
    );
    assert_eq!(rows("select name from processes where pid = 1"), "[\n\n]\n");
    assert_eq!(
        rows("select distinct pid = -1 as unheld from process_open_sockets where unheld"),
        "[\n\n]\n"
    );
}

#[test]
fn each_mistake_has_its_text_and_its_code() {
    let said = |arguments: &[&str]| {
        let (code, stdout, stderr) = agent(arguments);
        assert_eq!(stdout, "");
        (code, stderr)
    };
    let expect = |code, text: &str| (code, text.to_owned());
    assert_eq!(
        said(&["--query", "select * from nothing_here"]),
        expect(1, "error: no such table: nothing_here\n")
    );
    let (code, text) = said(&["--query", "select * from yara"]);
    let why = "error: no such table: yara (this agent has no YARA rules";
    assert!(code == 1 && text.starts_with(why), "{text}");
    assert_eq!(
        said(&["--query", "select"]),
        expect(1, "error: incomplete input\n")
    );
    assert_eq!(
        said(&["--query", "select 1; select 2"]),
        expect(1, "error: Multiple statements provided\n")
    );
    assert_eq!(
        said(&["--query", "create table x (y)"]),
        expect(
            1,
            "error: the statement changes data; osquery's tables are read-only\n"
        )
    );
    assert_eq!(
        said(&["--query", "attach database '/tmp/x' as x"]).0,
        1,
        "no other database can be reached from a query"
    );
    assert_eq!(
        said(&["--databse_path=/tmp"]),
        expect(
            2,
            "error: unknown flag `--databse_path=/tmp`\nhint: did you mean `--database_path`?\n"
        )
    );
    assert_eq!(
        said(&["--flagfile=/nowhere"]),
        expect(
            2,
            "error: cannot read the flag file `/nowhere`: No such file or directory (os error 2)\n"
        )
    );
    assert_eq!(
        said(&["--pidfile=/nowhere/pid"]),
        expect(
            1,
            "error: cannot write the pid file `/nowhere/pid`: No such file or directory (os error 2)\n\
             hint: `--pidfile` names another file, `--ephemeral` uses none\n"
        )
    );
    let long = format!("--extensions_socket=/tmp/{}", "x".repeat(100));
    let (code, stderr) = said(&["--ephemeral", &long]);
    assert!(
        code == 1 && stderr.contains(" is longer than 97 bytes"),
        "{stderr}"
    );
}

#[test]
fn help_and_version() {
    let (code, stdout, _) = agent(&["--help"]);
    assert_eq!(code, 0);
    for flag in [
        "--config_plugin=TEXT",
        "--schedule_splay_percent=N",
        "--verbose",
        "--process_scope_env=TEXT",
    ] {
        assert!(stdout.contains(flag), "{flag}");
    }
    assert!(
        agent(&["--version"])
            .1
            .starts_with("osqdemo-agent 0.1.0 (stands in for osqueryd 5.")
    );
}

#[test]
fn a_configuration_can_be_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let config = path("osquery.conf");
    fs::write(
        &config,
        "{\n  \"schedule\": {\n    \"a\": {\"query\": \"select 1\" \"interval\": 5}\n  }\n}\n",
    )
    .unwrap();
    let check = |more: &str| {
        agent(&[
            // A look at the configuration needs neither.
            "--pidfile=/nowhere/pid",
            "--database_path=/nowhere/db",
            &format!("--config_path={config}"),
            &format!("--extensions_socket={}", path("em")),
            more,
        ])
    };
    let (code, _, stderr) = check("--config_check");
    assert_eq!(code, 1);
    assert!(
        stderr.contains(&format!(
            "`{config}` is not JSON: expected `,` or `}}` at line 3 column 31"
        )),
        "{stderr}"
    );
    fs::write(&config, "{\"schedule\": {}}").unwrap();
    assert_eq!(check("--config_check").0, 0);
    assert_eq!(
        check("--config_dump").1,
        format!("{{\"{config}\": {{\"schedule\": {{}}}}}}\n")
    );
}

#[test]
fn a_configuration_is_checked_against_the_tables_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("osquery.conf");
    let text = r#"{
        "schedule": { "up": { "query": "select * from uptime;" }, "odd": { "query": "selec", "interval": 5 } },
        "packs": { "ir": { "queries": {
            "pe": { "query": "select * from process_events;", "interval": 5 },
            "no": { "query": "select * from uptime;", "interval": 0 } } } },
        "views": {} }"#;
    fs::write(&path, text).unwrap();
    let path = format!("--config_path={}", path.display());
    // Nobody can listen there, and nobody needs to.
    let nowhere = format!("--extensions_socket={}", folder.path().join("no/such").display());
    let (code, stdout, _) = agent(&["--config_check", "--json", &nowhere, &path]);
    assert_eq!(code, 0);
    let told: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let places = |key: &str| -> Vec<String> {
        let findings = told[key].as_array().unwrap();
        findings
            .iter()
            .map(|finding| finding["place"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(places("findings"), ["packs.ir.queries.no.interval", "views"]);
    assert_eq!(places("not_runnable"), ["odd", "pack_ir_pe"]);
    let message = told["not_runnable"][1]["message"].as_str().unwrap();
    assert!(
        message.starts_with("no such table: process_events (it holds events of the kernel's audit"),
        "{message}"
    );
}

/// Who checks a configuration that may hold a secret hands it over where nobody can read it along.
#[test]
fn a_configuration_can_come_through_a_pipe() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_osqdemo-agent"))
        .args([
            "--config_check",
            "--json",
            "--config_path=/dev/stdin",
            "--disable_extensions",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = r#"{ "schedule": { "odd": { "query": "selec", "interval": 5 } } }"#;
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["not_runnable"][0]["place"], "odd");
}
