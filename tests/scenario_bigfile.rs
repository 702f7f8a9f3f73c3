//! Scenario `bigfile` against the real broker and the real ksqlDB server, in this process. In place of the
//! hosts there is a folder where the commands run, and a poller that reads `/proc` and writes osquery's lines.

#[path = "scenario/poller.rs"]
mod poller;
#[path = "scenario/stack.rs"]
mod stack;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use osqdemo::events::{Event, Listener, Stage, Warning};
use osqdemo::exit_code::ExitCode;
use osqdemo::ksqldb::Client;
use osqdemo::ksqldb::session::Session;
use osqdemo::ksqldb::statement::Script;
use osqdemo::scenario::bigfile::{self, Bigfile, Finished};
use osqdemo::scenario::outcome::Verdict;
use osqdemo::shutdown::Shutdown;
use osqdemo::stack::{Endpoints, HttpService};
use poller::Poller;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use stack::{LocalHost, TestStack, quiet};

/// Far more than any of it takes.
const DEADLINE: Duration = Duration::from_secs(60);

async fn run(
    stack: &TestStack,
    host: &LocalHost,
    size: u64,
    timeout: Duration,
    shutdown: &Shutdown,
) -> Finished {
    let bigfile = Bigfile {
        host: osqdemo::stack::ServiceName::new("host2"),
        host_identifier: "host2".to_owned(),
        size,
        timeout,
    };
    Box::pin(bigfile::run(
        &bigfile,
        &stack.endpoints(),
        host,
        &quiet(),
        shutdown,
    ))
    .await
}

fn assert_passed(finished: &Finished, host: &LocalHost) {
    let report = &finished.report;
    assert_eq!(report.verdict, Verdict::Passed, "{report:#?}");
    assert!(finished.failure.is_none());
    for stage in &report.stages {
        assert!(stage.at.is_some() && stage.count > 0, "{stage:?}");
    }
    assert!(
        report
            .rows
            .iter()
            .any(|row| row.host == "host2" && row.proc.ends_with("/head") && row.file == report.file)
    );
    assert_eq!(host.files(), Vec::<String>::new(), "the file is removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_joined_rows_of_this_run_arrive_and_another_hosts_pid_does_not_mislead_the_precise_join() {
    let stack = TestStack::start().await;
    let host = LocalHost::new();
    // A process of host1 with the same pid: what the original's join cannot tell apart.
    let _poller = Poller::start(&stack, &host)
        .every(100)
        .with_a_twin_on("host1")
        .run();
    let finished = run(&stack, &host, 1 << 28, DEADLINE, &Shutdown::default()).await;
    assert_passed(&finished, &host);
    let report = finished.report;
    assert!(report.misattributed_rows > 0, "{report:#?}");
    assert_eq!(report.size_bytes, 1 << 28);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_too_short_lived_is_held_open() {
    let stack = TestStack::start().await;
    let host = LocalHost::new();
    let _poller = Poller::start(&stack, &host).every(1500).run();
    let finished = run(&stack, &host, 4096, DEADLINE, &Shutdown::default()).await;
    assert_passed(&finished, &host);
    assert_eq!(finished.report.attempts, 2);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ksqldb_and_the_broker_may_be_restarted_while_it_runs() {
    let mut stack = TestStack::start().await;
    let host = LocalHost::new();
    let poller = Poller::start(&stack, &host).every(100).paused().run();
    let shutdown = Shutdown::default();
    let endpoints = stack.endpoints();
    let bigfile = Bigfile {
        host: osqdemo::stack::ServiceName::new("host2"),
        host_identifier: "host2".to_owned(),
        size: 1 << 20,
        timeout: DEADLINE,
    };
    let reporter = quiet();
    let faults = async {
        // The write has begun once the file is there: from here on nothing may be missed.
        host.until_it_has_files().await;
        stack.restart_ksqldb().await;
        stack.restart_broker().await;
        poller.resume();
    };
    let running = Box::pin(bigfile::run(&bigfile, &endpoints, &host, &reporter, &shutdown));
    let (finished, ()) = tokio::join!(running, faults);
    assert_passed(&finished, &host);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_osquery_it_times_out_and_names_the_last_stage() {
    let stack = TestStack::start().await;
    let host = LocalHost::new();
    let timeout = Duration::from_secs(5);
    let finished = run(&stack, &host, 4096, timeout, &Shutdown::default()).await;
    let failure = finished.failure.expect("it cannot pass");
    assert_eq!(failure.diagnosis().exit_code(), ExitCode::ScenarioTimedOut);
    assert_eq!(finished.report.verdict, Verdict::TimedOut);
    assert_eq!(finished.report.failed_stage, Some(Stage::OsqueryLine));
    assert_eq!(
        failure.to_string(),
        "5.0 s passed before the joined rows arrived: the last stage that produced something is \
         `write started`; `osquery line` did not come"
    );
    assert_eq!(host.files(), Vec::<String>::new());
    stack.stop().await;
}

/// Keeps the warnings, and when they came.
struct Warnings(Instant, Mutex<Vec<(Duration, Warning)>>);

impl Listener for Warnings {
    fn hear(&self, event: Event) {
        if let Event::Warning(warning) = event {
            self.1.lock().unwrap().push((self.0.elapsed(), warning));
        }
    }
}

/// Told soon, and not waited for as long as the rows may take.
#[tokio::test(flavor = "multi_thread")]
async fn a_ksqldb_that_refuses_connections_is_told_and_given_up() {
    let stack = TestStack::start().await;
    let host = LocalHost::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", nobody.local_addr().expect("its address"));
    drop(nobody);
    let endpoints = Endpoints {
        ksqldb: HttpService::open(url.clone()),
        ..stack.endpoints()
    };
    let bigfile = Bigfile {
        host: osqdemo::stack::ServiceName::new("host2"),
        host_identifier: "host2".to_owned(),
        size: 4096,
        timeout: 10 * DEADLINE,
    };
    let warnings = Warnings(Instant::now(), Mutex::default());
    let shutdown = Shutdown::default();
    let running = bigfile::run(&bigfile, &endpoints, &host, &warnings, &shutdown);
    let finished = Box::pin(running).await;
    let failure = finished.failure.expect("it cannot pass");
    assert_eq!(failure.diagnosis().exit_code(), ExitCode::NotRunning);
    let told = failure.to_string();
    assert!(
        told.starts_with(&format!("ksqlDB at {url} has not answered for 4")) && told.contains("refused"),
        "{told}"
    );
    assert_eq!(finished.report.attempts, 0, "nothing was written");
    let warnings = warnings.1.into_inner().unwrap();
    let [(after, Warning::KsqldbAway { url: named, .. })] = &warnings[..] else {
        panic!("{warnings:?}");
    };
    assert_eq!(named, &url);
    // 2 s, on a machine that has other things to do.
    assert!(*after < Duration::from_secs(20), "{after:?}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interruption_ends_it_and_leaves_nothing_behind() {
    let stack = TestStack::start().await;
    let host = LocalHost::new();
    let shutdown = Shutdown::default();
    let interrupting = async {
        host.until_it_has_files().await;
        shutdown.token().cancel();
    };
    // Far more than is written before the interruption, and less than the disk holds.
    let size = host.free_bytes().min(1 << 34);
    let (finished, ()) = tokio::join!(run(&stack, &host, size, DEADLINE, &shutdown), interrupting);
    let failure = finished.failure.expect("it was interrupted");
    assert_eq!(failure.diagnosis().exit_code(), ExitCode::Interrupted);
    assert_eq!(finished.report.verdict, Verdict::Interrupted);
    assert_eq!(host.files(), Vec::<String>::new());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_does_not_fit_is_refused_before_it_is_written() {
    let stack = TestStack::start().await;
    let host = LocalHost::new();
    let finished = run(&stack, &host, 1 << 60, DEADLINE, &Shutdown::default()).await;
    let failure = finished.failure.expect("it cannot fit");
    assert_eq!(failure.diagnosis().exit_code(), ExitCode::Preflight);
    assert_eq!(finished.report.verdict, Verdict::Failed);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_deleted_under_its_stream_is_told_before_anything_is_written() {
    let stack = TestStack::start().await;
    let host = LocalHost::new();
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", stack.endpoints().kafka.bootstrap_servers)
        .create()
        .expect("a client");
    let deleted = admin.delete_topics(&["open_files"], &AdminOptions::new()).await;
    assert_eq!(deleted.expect("an answer"), [Ok("open_files".to_owned())]);
    let finished = run(&stack, &host, 4096, DEADLINE, &Shutdown::default()).await;
    let failure = finished.failure.expect("it cannot pass");
    assert_eq!(failure.diagnosis().exit_code(), ExitCode::NotRunning);
    assert_eq!(
        failure.to_string(),
        "the broker has no topic `open_files`, but ksqlDB has stream `OPEN_FILES` over it: the topic was deleted"
    );
    assert_eq!(finished.report.attempts, 0, "nothing was written");
    // What the hint says helps.
    let hint = failure.diagnosis().hints().concat();
    let again = hint.split('"').nth(1).expect("statements");
    let client = Client::of(&stack.endpoints().ksqldb).expect("a URL");
    for statement in Script::parse(again).statements {
        let done = client.execute(&statement, &Session::default()).await;
        done.expect("it is accepted");
    }
    let _poller = Poller::start(&stack, &host).every(100).run();
    let finished = run(&stack, &host, 1 << 20, DEADLINE, &Shutdown::default()).await;
    assert_passed(&finished, &host);
    stack.stop().await;
}
