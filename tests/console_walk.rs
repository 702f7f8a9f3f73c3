//! The article's walk through the console, click by click, in a real browser: on stacks that are really up, with a file
//! that is really written on host2.

#[expect(dead_code, reason = "the console's own tests use the rest")]
#[path = "../platform/console/tests/console/browser.rs"]
mod browser;
#[path = "support/docker.rs"]
mod docker;
mod support;

use std::fs;
use std::path::Path;
use std::process::Output;

use browser::Browser;
use docker::DockerStack;
use serde_json::{Value, json};
use support::{NativeStack, UP};
use tokio::runtime::{Builder, Runtime};

/// From the sources to the join, as the article has them: two streams, and what is asked of them.
const STREAMS: &str = include_str!("../ksql/02-streams.sql");
const JOIN: &str = include_str!("../ksql/queries/original.sql");

/// What a browser is driven on, from its start to its end.
fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime")
}

/// A statement on one line: what is typed into an editor that indents by itself is what was meant.
fn typed(sql: &str) -> String {
    let lines = sql.lines().filter(|line| !line.trim_start().starts_with("--"));
    lines.collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// From the topics to a joined row. `write` has host2 write the file, whose name is given.
async fn walk(browser: &Browser, console: &str, write: impl FnOnce(&str)) {
    browser.open(console).await;
    browser.click("Topics").await;
    browser.click("processes").await;
    // Its messages, live: a host's own line.
    browser.sees("hostIdentifier").await;
    browser.sees("host2").await;
    browser.click("ksqlDB").await;
    browser.sees("Streams and tables").await;
    for topic in ["processes", "open_files"] {
        browser.click("Add a stream…").await;
        browser.choose("Topic", topic).await;
        browser.click("Next…").await;
        // A map, so that COLUMNS['pid'] works.
        browser.sees("columns MAP<VARCHAR, VARCHAR>").await;
        browser.click("Add stream").await;
        let is_listed = format!(
            "return document.querySelector('dialog') === null && \
             [...document.querySelectorAll('summary b')].some((one) => one.textContent === '{}')",
            topic.to_uppercase()
        );
        browser.until("the stream is listed", &is_listed).await;
    }
    browser.write("SQL", &typed(STREAMS)).await;
    browser.click("Run").await;
    browser.sees("CSAS_PROC").await;
    browser.sees("CSAS_FILES").await;
    browser.write("SQL", &typed(JOIN)).await;
    browser.click("Run").await;
    browser.sees("running, no row yet").await;
    write("myfile");
    browser
        .until(
            "the joined row appears by itself",
            "return [...document.querySelectorAll('table[aria-label=\"Rows\"] tr')].some((row) => \
             ['host2', '/usr/bin/head', 'myfile'].every((part) => row.textContent.includes(part)))",
        )
        .await;
    assert_eq!(browser.complaints().await, json!([]));
}

/// What host2's shell runs: `head` writes, and holds the file for as long as osquery needs to look.
fn script(file: &str) -> String {
    format!("{{ head -c 64M /dev/urandom; sleep 3; }} | head -c 1G >{file}; rm {file}")
}

fn assert_done(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_article_is_walked_and_its_run_is_shown() {
    let stack = NativeStack::new();
    let runtime = runtime();
    let Some(browser) = runtime.block_on(Browser::start(1400)) else {
        return;
    };
    stack.succeed(&[&UP[..], &["--no-statements"]].concat());
    let console = stack.service("console", "address");
    let console = console.as_str().expect("an address");
    let write = |file: &str| {
        assert_done(
            &stack
                .world
                .output(&["exec", "host2", "--", "sh", "-c", &script(file)]),
        );
    };
    runtime.block_on(walk(&browser, console, write));
    // What is missing comes, a run's rows appear on the pipeline by themselves, and the run is drawn when it has passed.
    stack.succeed(&["up", "--statements", "demo"]);
    runtime.block_on(async {
        browser.click("Pipeline").await;
        browser.sees("LIVE QUERIES").await;
    });
    let report = stack.succeed(&["--json", "scenario", "bigfile", "--size", "1M"]);
    let report: Value = serde_json::from_str(&report).expect("a report");
    runtime.block_on(async {
        browser.sees("/usr/bin/head").await;
        keep_picture(&browser, "pipeline").await;
        browser.click("Runs").await;
        browser.sees("passed").await;
        browser.sees(report["file"].as_str().expect("a file")).await;
        browser
            .until(
                "its stages are on the line",
                "const told = document.querySelector('svg.timeline')?.getAttribute('aria-label') ?? ''; \
                 return ['write started', 'osquery line', 'topic', 'stream', 'joined row', 'precise row'] \
                 .every((stage) => told.includes(stage))",
            )
            .await;
        assert_eq!(browser.complaints().await, json!([]));
        keep_picture(&browser, "runs").await;
        browser.stop().await;
    });
}

/// With `OSQDEMO_KEEP_PICTURES`, the page as it is now becomes the documentation's picture of it.
async fn keep_picture(browser: &Browser, name: &str) {
    if std::env::var_os("OSQDEMO_KEEP_PICTURES").is_none() {
        return;
    }
    browser.resize(1400, 760).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/console");
    let picture = browser.page.screenshot().await.expect("a picture");
    fs::write(folder.join(format!("{name}.png")), picture).expect("it can be written");
}

#[test]
fn the_article_is_walked_with_containers() {
    let Some(stack) = DockerStack::new() else {
        return;
    };
    let runtime = runtime();
    let Some(browser) = runtime.block_on(Browser::start(1400)) else {
        return;
    };
    let up = stack.up_arguments();
    stack.succeed(&[&up[..], &["--no-statements"]].concat());
    let console = stack.service("console", "address");
    let console = console.as_str().expect("an address");
    let write = |file: &str| assert_done(&stack.output(&["exec", "host2", "--", "sh", "-c", &script(file)]));
    runtime.block_on(async {
        walk(&browser, console, write).await;
        browser.stop().await;
    });
}
