use std::sync::Mutex;

use serde_json::{Value, json};

use super::super::canned_server::{Answer, CannedServer};
use super::*;
use crate::error::Failure;
use crate::host_config::LineFormat;
use crate::ksqldb::shipped;
use crate::report::Reporter;
use crate::settings::{Colour, Format, OutputSettings, Verbosity};

fn quiet() -> Reporter {
    Reporter::new(OutputSettings {
        format: Format::Text,
        verbosity: Verbosity::Quiet,
        colour: Colour::Never,
        data_colour: Colour::Never,
        progress_on_terminal: false,
    })
}

fn files(sources: &[(&str, &str)]) -> Vec<StatementFile> {
    sources
        .iter()
        .map(|(name, source)| StatementFile {
            name: (*name).to_owned(),
            source: (*source).to_owned(),
        })
        .collect()
}

fn created() -> Answer {
    Answer::ok(
        r#"[{"@type":"currentStatus","commandStatus":{"status":"SUCCESS","message":"Stream created"},"warnings":[]}]"#,
    )
}

fn refused(message: &str) -> Answer {
    Answer::status(
        400,
        json!({"@type": "statement_error", "error_code": 40001, "message": message, "statementText": "", "entities": []})
            .to_string(),
    )
}

async fn submit_to(server: &CannedServer, files: &[StatementFile]) -> Result<Submission, DdlError> {
    let client = Client::new(&server.url).unwrap();
    let mut submitted = Submitted::default();
    submit(
        &client,
        files,
        &mut submitted,
        &quiet(),
        &CancellationToken::new(),
    )
    .await
}

/// The whole report of an error, as the user sees it.
fn report(error: DdlError) -> String {
    let mut text = format!("{error}\n");
    for detail in error.details() {
        text.push_str(&format!("  {detail}\n"));
    }
    for hint in error.hints() {
        text.push_str(&format!("hint: {hint}\n"));
    }
    text.push_str(&format!("exit {}", error.exit_code() as u8));
    let _: Failure = error.into();
    text
}

#[tokio::test]
async fn the_shipped_statements_are_submitted_in_order_from_the_beginning_of_the_topics() {
    let server = CannedServer::start(|_, _| created()).await;
    let submission = submit_to(&server, &shipped::files(LineFormat::Json))
        .await
        .unwrap();
    assert_eq!(submission.created.len(), 8);
    let requests = server.requests();
    let (last, requests) = requests.split_last().unwrap();
    let asked = last.1["ksql"].as_str().unwrap();
    assert!(
        asked.starts_with("DESCRIBE processes;DESCRIBE open_files;"),
        "{asked}"
    );
    let sent: Vec<(&str, bool)> = requests
        .iter()
        .map(|(_, body)| {
            let words = body["ksql"].as_str().unwrap();
            let name = words.split_whitespace().nth(2).unwrap();
            (
                name,
                body["streamsProperties"] == json!({"auto.offset.reset": "earliest"}),
            )
        })
        .collect();
    assert_eq!(
        sent,
        [
            ("processes", false),
            ("open_files", false),
            ("logged_in_users", false),
            ("listening_ports", false),
            ("proc", true),
            ("files", true),
            ("precise_proc", true),
            ("precise_files", true),
        ]
    );
}

#[tokio::test]
async fn what_is_there_already_is_left_as_it_is() {
    let server = CannedServer::start(|_, body: &Value| {
        match body["ksql"].as_str().unwrap().split_whitespace().nth(2).unwrap_or_default() {
            "" => refused("no DESCRIBE here"),
            "a;" => refused("Cannot add stream 'A': A stream with the same name already exists"),
            "b;" => Answer::ok(r#"[{"@type":"warning_entity","message":"Cannot add stream `B`: A stream with the same name already exists."}]"#),
            _ => created(),
        }
    })
    .await;
    let files = files(&[("x.sql", "CREATE STREAM a; CREATE STREAM b; CREATE STREAM c;")]);
    assert_eq!(
        submit_to(&server, &files).await.unwrap(),
        Submission {
            created: vec!["CREATE STREAM c".to_owned()],
            already_there: vec!["CREATE STREAM a".to_owned(), "CREATE STREAM b".to_owned()],
        }
    );
}

/// Keeps what is doubtful.
#[derive(Default)]
struct Doubts(Mutex<Vec<String>>);

impl Listener for Doubts {
    fn hear(&self, event: Event) {
        if let Event::Warning(Warning::StatementDoubtful { found, .. }) = event {
            let doubt = format!("{}: {}", found.name, found.doubt);
            self.0.lock().unwrap().push(doubt);
        }
    }
}

/// A server that writes statements down in a way that nobody else reads.
#[tokio::test]
async fn what_was_made_before_is_known_again_by_what_the_server_said_of_it() {
    let made = Mutex::new(false);
    let server = CannedServer::start(move |_, body: &Value| {
        let ksql = body["ksql"].as_str().unwrap();
        if ksql.starts_with("DESCRIBE") {
            let described = ksql.matches("DESCRIBE").map(|_| {
                json!({"@type": "sourceDescription", "sourceDescription": {
                    "type": "STREAM", "statement": "CREATE STREAM A FROM WHAT IT TAKES;", "writeQueries": []}})
            });
            return Answer::ok(json!(described.collect::<Vec<_>>()).to_string());
        }
        match std::mem::replace(&mut *made.lock().unwrap(), true) {
            false => created(),
            true => refused("Cannot add stream 'A': A stream with the same name already exists"),
        }
    })
    .await;
    let client = Client::new(&server.url).unwrap();
    let files = files(&[(
        "a.sql",
        "CREATE STREAM a (x INT) WITH (KAFKA_TOPIC='x', VALUE_FORMAT='JSON');",
    )]);
    let mut submitted = Submitted::default();
    let again = async |submitted: &mut Submitted| {
        let doubts = Doubts::default();
        let submission = submit(&client, &files, submitted, &doubts, &CancellationToken::new()).await;
        (submission.unwrap(), doubts.0.into_inner().unwrap())
    };
    let (first, doubts) = again(&mut submitted).await;
    assert_eq!((first.created.len(), doubts), (1, vec![]));
    let (second, doubts) = again(&mut submitted).await;
    assert_eq!((second.already_there.len(), doubts), (1, vec![]));
    let (_, doubts) = again(&mut Submitted::default()).await;
    assert_eq!(doubts, ["a: it has another definition"], "nothing is on record");
}

/// What ksqlDB of Confluent Platform 7.9.8 answers when the demo's statements are submitted to it again.
#[tokio::test]
async fn a_real_servers_refusals_are_what_is_there_already() {
    let recorded = include_str!("../../tests/fixtures/ksqldb-7.9.8/there_already.json");
    let recorded: Vec<Value> = serde_json::from_str(recorded).unwrap();
    let server = CannedServer::start(move |_, body: &Value| {
        let submitted = body["ksql"].as_str().unwrap();
        let beginning = |text: &str| -> String {
            let words = text.split_whitespace().take(3);
            words.collect::<Vec<_>>().join(" ").to_uppercase()
        };
        let mut recorded = recorded.iter();
        let answer =
            recorded.find(|answer| beginning(answer["ksql"].as_str().unwrap()) == beginning(submitted));
        let answer = answer.unwrap_or_else(|| panic!("nothing is recorded of {submitted}"));
        let status = u16::try_from(answer["status"].as_u64().unwrap()).unwrap();
        Answer::status(status, answer["body"].to_string())
    })
    .await;
    let client = Client::new(&server.url).unwrap();
    let shipped = shipped::files(LineFormat::Json);
    let of_both = |statement: &&Statement| {
        let names = ["processes", "proc"];
        statement.created_name().is_some_and(|name| names.contains(&name))
    };
    let statements: Vec<Statement> = shipped
        .iter()
        .flat_map(|file| Script::parse(&file.source).statements)
        .collect();
    let ours: Vec<&Statement> = statements.iter().filter(of_both).collect();
    assert_eq!(ours.len(), 2);
    let source: String = ours.iter().map(|statement| statement.text.as_str()).collect();
    for (source, doubts) in [
        (source.clone(), vec![]),
        (
            source.replace("COLUMNS['pid'] as pid", "COLUMNS['uid'] as pid"),
            vec!["proc: it has another definition".to_owned()],
        ),
    ] {
        let doubtful = Doubts::default();
        let files = files(&[("demo.sql", &source)]);
        let submitted = submit(
            &client,
            &files,
            &mut Submitted::default(),
            &doubtful,
            &CancellationToken::new(),
        )
        .await;
        let Submission {
            created,
            already_there,
        } = submitted.unwrap();
        assert_eq!((created.len(), already_there.len()), (0, 2));
        assert_eq!(doubtful.0.into_inner().unwrap(), doubts);
    }
}

#[tokio::test]
async fn a_refused_statement_is_shown_where_it_stands_with_what_became_of_the_others() {
    let server = CannedServer::start(|_, body: &Value| {
        let text = body["ksql"].as_str().unwrap();
        if text.contains("STREM") {
            refused("line 2:5: Syntax Error\nUnknown statement 'STREM'")
        } else if text.contains("STREAM old") {
            refused("Could not determine output schema for query due to error: Cannot add stream 'OLD': A stream with the same name already exists")
        } else {
            created()
        }
    })
    .await;
    let files = files(&[
        ("1.sql", "CREATE STREAM old;\nCREATE STREAM a (x INT);\n"),
        (
            "2.sql",
            "-- why\n\n  CREATE\n    STREM b;\nSET 'x'='y';\nCREATE STREAM c;",
        ),
        ("3.sql", "CREATE STREAM d;"),
    ]);
    insta::assert_snapshot!(report(submit_to(&server, &files).await.unwrap_err()), @r"
    ksqlDB rejected the statement at 2.sql:4:5: Syntax Error
      2.sql:4:5 (ksqlDB error code 40001)
      4 |     STREM b;
        |     ^
      Unknown statement 'STREM'
      done before it:
        CREATE STREAM a
      already there:
        CREATE STREAM old
      not submitted:
        CREATE STREAM c
        CREATE STREAM d
    hint: what was created stays; submitting again goes on from there
    exit 15
    ");
}

#[tokio::test]
async fn a_refusal_without_a_position_points_at_the_statement() {
    let server = CannedServer::start(|_, _| refused("NOWHERE does not exist.")).await;
    let files = files(&[("x.sql", "\n  CREATE STREAM s AS SELECT * FROM nowhere;")]);
    insta::assert_snapshot!(report(submit_to(&server, &files).await.unwrap_err()), @r"
    ksqlDB rejected the statement at x.sql:2:3: NOWHERE does not exist.
      x.sql:2:3 (ksqlDB error code 40001)
      2 |   CREATE STREAM s AS SELECT * FROM nowhere;
        |   ^
    exit 15
    ");
}

#[tokio::test]
async fn nothing_is_submitted_when_a_file_is_not_well_formed() {
    let server = CannedServer::start(|_, _| created()).await;
    let unfinished = files(&[("x.sql", "CREATE STREAM a;\nCREATE STREAM b")]);
    insta::assert_snapshot!(report(submit_to(&server, &unfinished).await.unwrap_err()), @r"
    the statement at x.sql:2:1 is not ended by `;`
    exit 2
    ");
    let directive = files(&[("x.sql", "CREATE STREAM a; SET x = y;")]);
    insta::assert_snapshot!(report(submit_to(&server, &directive).await.unwrap_err()), @r"
    wrong directive at x.sql:1:18: `SET` is written `SET 'property'='value';`
    exit 2
    ");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_server_that_goes_away_is_named_with_the_statement() {
    let server = CannedServer::start(|_, _| Answer::cut("[")).await;
    let error = submit_to(&server, &files(&[("x.sql", "CREATE STREAM a;")]))
        .await
        .unwrap_err();
    assert!(matches!(error, DdlError::NoAnswer { .. }), "{error}");
    assert_eq!(error.exit_code(), ExitCode::NotRunning);
}

#[tokio::test]
async fn an_interruption_ends_the_submission() {
    let server = CannedServer::start(|_, _| created()).await;
    let client = Client::new(&server.url).unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let error = submit(
        &client,
        &shipped::files(LineFormat::Json),
        &mut Submitted::default(),
        &quiet(),
        &cancel,
    )
    .await
    .unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Interrupted);
    assert!(server.requests().is_empty());
}
