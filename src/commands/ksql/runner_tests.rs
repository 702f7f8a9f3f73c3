use std::fs;

use super::*;
use crate::commands::ksql::pieces_of;
use crate::exit_code::ExitCode;
use crate::ksqldb::canned_server::{Answer, CannedServer};
use crate::settings::{Colour, OutputSettings, Verbosity};

fn quiet() -> Reporter {
    Reporter::new(OutputSettings {
        format: Format::Text,
        verbosity: Verbosity::Quiet,
        colour: Colour::Never,
        data_colour: Colour::Never,
        progress_on_terminal: false,
    })
}

async fn run(source: &str, server: &CannedServer) -> Result<()> {
    run_flow(source, server).await.map(drop)
}

async fn run_flow(source: &str, server: &CannedServer) -> Result<Flow> {
    let file = StatementFile {
        name: "x.sql".to_owned(),
        source: source.to_owned(),
    };
    let mut runner = Runner::new(Client::new(&server.url).unwrap(), quiet());
    let pieces = pieces_of(&file).expect("a script");
    runner.run_all(&file, &pieces, &CancellationToken::new()).await
}

#[tokio::test]
async fn a_script_for_ksqldbs_own_command_line_runs() {
    let server = CannedServer::start(|_, _| Answer::ok("[]")).await;
    let folder = tempfile::tempdir().unwrap();
    let (other, spool) = (folder.path().join("other.sql"), folder.path().join("spool"));
    fs::write(&other, "LIST TABLES;\nexit\nLIST TYPES;").unwrap();
    let script = format!(
        "SET CLI COLUMN-WIDTH 10\nSPOOL '{}'\nOUTPUT JSON;\nRUN SCRIPT '{}'\nSPOOL OFF\nLIST STREAMS;\nexit\nLIST TOPICS;",
        spool.display(),
        other.display()
    );
    assert_eq!(run_flow(&script, &server).await.unwrap(), Flow::Leaves);
    let asked: Vec<String> = server
        .requests()
        .into_iter()
        .map(|(_, body)| body["ksql"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(asked, ["LIST TABLES;", "LIST STREAMS;"]);
    assert_eq!(
        fs::read_to_string(spool).unwrap(),
        "what is shown goes into `".to_owned()
            + &folder.path().join("spool").display().to_string()
            + "` as well, until `SPOOL OFF`\noutput is JSON\n"
    );
}

#[tokio::test]
async fn what_is_wrong_for_the_command_line_has_its_place() {
    let server = CannedServer::start(|_, _| Answer::ok("[]")).await;
    let folder = tempfile::tempdir().unwrap();
    let itself = folder.path().join("itself.sql");
    fs::write(&itself, format!("RUN SCRIPT '{}'", itself.display())).unwrap();
    let told = async |source: String| {
        let failure = run(&source, &server).await.unwrap_err();
        assert_eq!(failure.diagnosis().exit_code(), ExitCode::Usage);
        failure
            .to_string()
            .replace(&folder.path().display().to_string(), "[FOLDER]")
    };
    let told = [
        told("\nset cli colour on".to_owned()).await,
        told("SET CLI COLUMN-WIDTH -1;".to_owned()).await,
        told("OUTPUT XML;".to_owned()).await,
        told("SPOOL /no/such/folder/file".to_owned()).await,
        told(format!("RUN SCRIPT '{}'", itself.display())).await,
    ];
    insta::assert_snapshot!(told.join("\n"), @r"
    at x.sql:2:1: there is no setting `COLOUR`: `COLUMN-WIDTH` and `WRAP` are
    at x.sql:1:1: `-1` is not a width from 0 to 10000
    at x.sql:1:1: `XML` is not an output: `JSON` or `TABULAR`
    failed to write the spool file `/no/such/folder/file`: No such file or directory (os error 2)
    at [FOLDER]/itself.sql:1:1: scripts run each other more than 8 deep
    ");
}

#[tokio::test]
async fn what_is_set_goes_with_the_statements_after_it_and_queries_to_their_own_endpoint() {
    let server = CannedServer::start(|path, _| match path {
        "/query" => Answer::ok("[{\"header\":{\"queryId\":\"q\",\"schema\":\"`A` STRING\"}},\n{\"finalMessage\":\"Limit Reached\"}]"),
        "/ksql" => Answer::ok("[]"),
        _ => Answer::ok("true"),
    })
    .await;
    run(
        "SET 'auto.offset.reset'='earliest'; DEFINE x='1'; SELECT * FROM a EMIT CHANGES LIMIT 1; UNSET 'auto.offset.reset'; LIST TOPICS;",
        &server,
    )
    .await
    .unwrap();
    let requests: Vec<String> = server
        .requests()
        .into_iter()
        .map(|(path, body)| format!("{path} {body}"))
        .collect();
    insta::assert_snapshot!(requests.join("\n"), @r#"
    /is_valid_property/auto.offset.reset null
    /query {"ksql":"SELECT * FROM a EMIT CHANGES LIMIT 1;","streamsProperties":{"auto.offset.reset":"earliest"},"sessionVariables":{"x":"1"}}
    /ksql {"ksql":"LIST TOPICS;","streamsProperties":{},"sessionVariables":{"x":"1"}}
    "#);
}

/// What was chosen is seen in the rows, not only acknowledged.
#[tokio::test]
async fn rows_are_shown_as_they_were_asked_for() {
    let server = CannedServer::start(|path, _| match path {
        "/query" => Answer::ok(
            "[{\"header\":{\"queryId\":\"q\",\"schema\":\"`A` STRING, `B` BIGINT\"}},\n\
             {\"row\":{\"columns\":[\"a long text\",7]}},\n{\"finalMessage\":\"Limit Reached\"}]",
        ),
        "/info" => Answer::ok(r#"{"KsqlServerInfo":{"version":"7.9.8","kafkaClusterId":"k","ksqlServiceId":"s","serverStatus":"RUNNING"}}"#),
        _ => Answer::ok("true"),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let query = "SELECT * FROM a EMIT CHANGES LIMIT 1;";
    let script = format!(
        "SET CLI COLUMN-WIDTH 6\nSPOOL '{}'\n{query}\nSET CLI WRAP OFF\n{query}\nOUTPUT JSON\n{query}\nOUTPUT\n\
         VERSION\nSERVER\nSERVER {}/\nSPOOL OFF",
        spool.display(),
        server.url,
    );
    run(&script, &server).await.unwrap();
    let shown = fs::read_to_string(&spool).unwrap();
    let (_, shown) = shown.split_once('\n').unwrap();
    let shown = shown
        .replace(&server.url, "[URL]")
        .replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
    insta::assert_snapshot!(shown, @r#"
    A       B
    ──────  ──────
    a long  7
    text
    what is too wide is cut
    A       B
    ──────  ──────
    a lon…  7
    output is JSON
    {"A":"a long text","B":7}
    output is JSON
    osqdemo [VERSION], ksqlDB 7.9.8
    [URL]
    ksqlDB 7.9.8 at [URL]
    "#);
}

#[tokio::test]
async fn a_refused_statement_ends_the_script_with_its_place() {
    let server = CannedServer::start(|_, _| {
        Answer::status(
            400,
            r#"{"@type":"statement_error","error_code":40001,"message":"line 1:1: what?","statementText":"","entities":[]}"#,
        )
    })
    .await;
    let failure = run("\nFOO;\nLIST TOPICS;", &server).await.unwrap_err();
    let diagnosis = failure.diagnosis();
    assert_eq!(diagnosis.exit_code(), ExitCode::StatementRejected);
    insta::assert_snapshot!(format!("{diagnosis}\n{}", diagnosis.details().join("\n")), @r"
    ksqlDB rejected the statement at x.sql:2:1: what?
    x.sql:2:1 (ksqlDB error code 40001)
    2 | FOO;
      | ^
    not submitted:
      LIST TOPICS
    ");
}

#[tokio::test]
async fn a_property_that_may_not_be_set_ends_the_script() {
    let server = CannedServer::start(|_, _| {
        Answer::status(
            400,
            r#"{"@type":"generic_error","error_code":40000,"message":"Not recognizable as ksql, streams, consumer, or producer property: 'x'"}"#,
        )
    })
    .await;
    let failure = run("SET 'x'='1';", &server).await.unwrap_err();
    assert_eq!(failure.diagnosis().exit_code(), ExitCode::StatementRejected);
}

#[test]
fn a_row_in_json_keeps_every_digit() {
    let header = Header {
        query_id: String::new(),
        columns: crate::ksqldb::schema::parse("`A\"` DECIMAL(4, 2), `B` STRING").unwrap(),
    };
    let mut decoder = crate::ksqldb::rows::Decoder::rows();
    decoder.feed(b"[{\"row\":{\"columns\":[1.10,\"x\"]}}").unwrap();
    let Some(Item::Row(row)) = decoder.next_item() else {
        panic!("a row was fed");
    };
    assert_eq!(
        ShownColumns::new(&header, &Output::new(quiet())).object(&row),
        r#"{"A\"":1.10,"B":"x"}"#
    );
}

#[test]
fn types_tell_how_wide_their_values_are() {
    let widths = [
        "BOOLEAN",
        "DECIMAL(30, 10)",
        "DECIMAL",
        "MAP<STRING, DECIMAL(4, 2)>",
        "STRING",
    ]
    .map(usual_width);
    assert_eq!(widths, [5, 32, 20, 60, 32]);
}
