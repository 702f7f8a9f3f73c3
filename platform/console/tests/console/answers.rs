//! What a query answers and what a topic holds, worked with in a real browser: charted, paused, sorted, saved, searched.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::Browser;
use crate::world::World;

const ENTER: char = '\u{e007}';
/// How many records are searched.
const MANY: usize = 20_000;

/// Waits until the table of answers has these values of its second column, from the top down.
async fn answers(browser: &Browser, what: &str, values: &[&str]) {
    let script = format!(
        "const rows = [...document.querySelectorAll('table[aria-label=\"Rows\"] tbody tr')]; \
         return JSON.stringify(rows.map((row) => row.children[1]?.textContent)) === {}",
        json!(json!(values).to_string())
    );
    browser.until(what, &script).await;
}

/// Waits until the chart is drawn and says this of itself.
async fn chart(browser: &Browser, told: &str) {
    let script = format!(
        "const chart = document.querySelector('canvas.chart'); \
         if (chart?.getAttribute('aria-label') !== {}) return false; \
         return chart.getContext('2d').getImageData(0, 0, chart.width, chart.height).data.some((one) => one !== 0)",
        json!(told)
    );
    browser.until(told, &script).await;
}

#[tokio::test]
async fn answers_are_charted_paused_and_sorted() {
    let Some(browser) = Browser::start(1400).await else {
        return;
    };
    let world = World::start().await;
    world
        .ksql("CREATE STREAM load (host VARCHAR, busy BIGINT) WITH (KAFKA_TOPIC='load', VALUE_FORMAT='JSON', PARTITIONS=1);")
        .await;
    let produce = async |host: &str, busy: u32| {
        let value = json!({"host": host, "busy": busy}).to_string().into_bytes();
        world.produce("load", &[("", value)]).await;
    };
    for (host, busy) in [("host2", 10), ("host1", 7), ("host2", 40), ("host2", 20)] {
        produce(host, busy).await;
    }
    browser.open(&world.url("/#/ksql")).await;
    browser
        .write("SQL", "SELECT host, busy FROM load EMIT CHANGES;")
        .await;
    browser.choose("Queries begin", "with the oldest records").await;
    browser.click("Run").await;
    browser.sees("4 rows").await;
    answers(&browser, "the newest is at the top", &["20", "40", "7", "10"]).await;
    browser.choose("Chart", "rows for each HOST").await;
    chart(&browser, "Rows for each HOST: host2 3, host1 1").await;
    browser.choose("Chart", "BUSY over time").await;
    chart(&browser, "BUSY over time: 4 points, from 0 to 40, last 20").await;

    // Rows go on to be counted, and nothing moves under the eyes.
    browser.click("Pause").await;
    produce("host1", 50).await;
    browser.sees("5 rows").await;
    browser.until("two frames are drawn", "return await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn(true))))").await;
    answers(&browser, "the table stands still", &["20", "40", "7", "10"]).await;
    chart(&browser, "BUSY over time: 4 points, from 0 to 40, last 20").await;
    browser.click("Pause").await;
    answers(
        &browser,
        "what came meanwhile is there",
        &["50", "20", "40", "7", "10"],
    )
    .await;
    chart(&browser, "BUSY over time: 5 points, from 0 to 50, last 50").await;

    browser.click("BUSY").await;
    answers(
        &browser,
        "the least is at the top",
        &["7", "10", "20", "40", "50"],
    )
    .await;
    browser.click("BUSY ↑").await;
    answers(&browser, "the most is at the top", &["50", "40", "20", "10", "7"]).await;
    assert_eq!(browser.complaints().await, json!([]));
    browser.click("Stop").await;
    browser
        .until(
            "the query has ended, and there is nothing to stop",
            "return ![...document.querySelectorAll('button')].some((one) => one.textContent === 'Stop' && !one.hidden)",
        )
        .await;
    browser.stop().await;
    world.stop().await;
}

/// Clicks what saves, and takes what came of it out of the folder.
async fn saved(browser: &Browser, world: &World, folder: &Path, button: &str, file: &str) -> String {
    browser.click(button).await;
    let path = folder.join(file);
    let has_come = async || {
        let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        path.exists() && files.all(|other| other == path)
    };
    world.until(&format!("`{file}` is saved"), has_come).await;
    let text = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    text
}

#[tokio::test]
async fn what_is_shown_is_saved() {
    let Some(browser) = Browser::start(1400).await else {
        return;
    };
    let world = World::start().await;
    let folder = TempDir::new().unwrap();
    browser.saves_to(folder.path()).await;
    // The second would be a formula to a spreadsheet.
    let records = [("k", r#"{"a":"x"}"#), ("+k", "=1+1"), ("q", "say \"hi\",\nthere")];
    world
        .produce(
            "odd",
            &records.map(|(key, value)| (key, value.as_bytes().to_vec())),
        )
        .await;
    browser
        .open(&world.url("/#/topic/odd?from=beginning&live=no"))
        .await;
    browser.sees("3 shown · 3 of 3 searched").await;

    let lines = saved(&browser, &world, folder.path(), "Save as JSON lines", "odd.jsonl").await;
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), records.len(), "{lines:?}");
    // As it is shown: the newest first.
    for (line, (offset, (key, value))) in lines.iter().zip(records.iter().enumerate().rev()) {
        assert_eq!(
            [
                &line["topic"],
                &line["partition"],
                &line["offset"],
                &line["key"],
                &line["value"]
            ],
            [
                &json!("odd"),
                &json!(0),
                &json!(offset),
                &json!(key),
                &json!(value)
            ]
        );
        assert!(line["timestamp"].is_u64(), "{line}");
    }
    let table = saved(&browser, &world, folder.path(), "Save as CSV", "odd.csv").await;
    let at = |row: usize| &lines[row]["timestamp"];
    assert_eq!(
        table,
        format!(
            "partition,offset,timestamp,key,value\r\n\
             \"0\",\"2\",\"{}\",\"q\",\"say \"\"hi\"\",\nthere\"\r\n\
             \"0\",\"1\",\"{}\",\"'+k\",\"'=1+1\"\r\n\
             \"0\",\"0\",\"{}\",\"k\",\"{{\"\"a\"\":\"\"x\"\"}}\"",
            at(0),
            at(1),
            at(2)
        )
    );
    // What a filter leaves out is not in it.
    browser.click("Add a filter").await;
    browser.write("Text of filter 1", "hi").await;
    browser.press(ENTER).await;
    browser.sees("1 shown · 3 of 3 searched").await;
    let lines = saved(&browser, &world, folder.path(), "Save as JSON lines", "odd.jsonl").await;
    let only: Value = serde_json::from_str(&lines).unwrap();
    assert_eq!(only["offset"], 2);
    browser.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn a_topic_is_searched_to_its_end_and_followed_until_that_is_stopped() {
    let Some(browser) = Browser::start(1400).await else {
        return;
    };
    let world = World::start().await;
    let record = |pid: usize| {
        let key = if pid.is_multiple_of(2) { "host1" } else { "host2" };
        (
            key,
            json!({"columns": {"pid": pid.to_string()}})
                .to_string()
                .into_bytes(),
        )
    };
    let records: Vec<_> = (0..MANY).map(record).collect();
    world.produce("many", &records).await;
    browser.open(&world.url("/#/topic/many")).await;
    browser.sees("50 shown · 100 kept").await;
    browser.click("Add a filter").await;
    browser.write("Field of filter 1", "columns.pid").await;
    browser.choose("How filter 1 compares", "below").await;
    browser.write("Text of filter 1", "10").await;
    browser.press(ENTER).await;
    // The oldest of all are found, and it is told how much was read for that.
    browser.sees("10 shown · 20,000 of 20,000 searched · live").await;
    browser.click("Add a filter").await;
    browser.choose("How filter 2 compares", "is").await;
    browser.write("Field of filter 2", "key").await;
    browser.write("Text of filter 2", "host2").await;
    browser.press(ENTER).await;
    browser.sees("5 shown · 20,000 of 20,000 searched · live").await;
    // The search stands in the address bar, so it is there again after a reload.
    browser.page.refresh().await.unwrap();
    browser.sees("5 shown · 20,000 of 20,000 searched · live").await;
    assert_eq!(browser.complaints().await, json!([]));

    world.produce("many", &[record(7)]).await;
    browser.sees("6 shown").await;
    browser.click("Stop").await;
    browser
        .sees("6 shown · 20,000 of 20,000 searched · stopped")
        .await;
    world.produce("many", &[record(9)]).await;
    let is_written = async || world.json("/api/topics/many").await["partitions"][0]["high"] == MANY + 2;
    world.until("the record is in the topic", is_written).await;
    browser.sees("6 shown").await;
    // Looked for once more, and not followed.
    browser.click("Live").await;
    browser
        .sees("7 shown · 20,002 of 20,002 searched · stopped")
        .await;
    browser.stop().await;
    world.stop().await;
}
