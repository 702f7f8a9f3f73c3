//! What a page watches.

use serde_json::{Value, json};

use crate::world::{World, line};

fn offsets(body: &Value) -> Vec<i64> {
    let records = body["records"].as_array().unwrap();
    records
        .iter()
        .map(|record| record["offset"].as_i64().unwrap())
        .collect()
}

async fn numbered(world: &World, count: usize) {
    let records: Vec<(&str, Vec<u8>)> = (0..count)
        .map(|n| {
            (
                "k",
                json!({"n": n, "columns": {"pid": (n % 10).to_string()}})
                    .to_string()
                    .into_bytes(),
            )
        })
        .collect();
    world.produce("numbers", &records).await;
}

#[tokio::test]
async fn records_are_read_from_everywhere() {
    let world = World::start().await;
    numbered(&world, 500).await;
    let mut newest = world
        .watch(json!({"kind": "records", "topic": "numbers", "limit": 5}))
        .await;
    let body = newest.next("records").await;
    assert_eq!(offsets(&body), [499, 498, 497, 496, 495]);
    assert_eq!(
        (&body["before"], &body["has_more"]),
        (&json!([[0, 495]]), &json!(true))
    );
    let older = json!({"kind": "records", "topic": "numbers", "limit": 2, "before": body["before"]});
    let mut older = world.watch(older).await;
    assert_eq!(offsets(&older.next("records").await), [494, 493]);
    for (from, wanted) in [
        (json!("beginning"), vec![1, 0]),
        (json!({"offset": 100}), vec![101, 100]),
        (json!({"offset": 10_000}), vec![]),
        (json!({"time": 0}), vec![1, 0]),
        (json!({"time": 4_000_000_000_000_i64}), vec![]),
    ] {
        let wanted_records = json!({"kind": "records", "topic": "numbers", "limit": 2, "from": from});
        let mut events = world.watch(wanted_records).await;
        assert_eq!(offsets(&events.next("records").await), wanted, "{from}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_search_finds_what_is_asked_for_and_pages_without_losing_any() {
    let world = World::start().await;
    numbered(&world, 3000).await;
    let filter = json!([{"field": "columns.pid", "operator": "equals", "text": "7"}]);
    let mut found = Vec::new();
    let mut before = Value::Null;
    loop {
        let wanted =
            json!({"kind": "records", "topic": "numbers", "limit": 70, "filter": filter, "before": before});
        let mut events = world.watch(wanted).await;
        let mut more = false;
        loop {
            let event = events.next_of(&["records", "progress"]).await;
            if event.0 == "progress" {
                if event.1["done"] == true {
                    break;
                }
                continue;
            }
            found.extend(offsets(&event.1));
            before = event.1["before"].clone();
            more = event.1["has_more"] == true;
        }
        if !more {
            break;
        }
    }
    let wanted: Vec<i64> = (0..3000).rev().filter(|n| n % 10 == 7).collect();
    assert_eq!(found, wanted);
    let wrong = json!({"kind": "records", "topic": "numbers", "filter": [{"field": "key", "operator": "matches", "text": "("}]});
    let mut events = world.watch(wrong).await;
    let (_, end) = events.next_of(&["end"]).await;
    assert!(
        end["error"]["message"]
            .as_str()
            .unwrap()
            .contains("regular expression"),
        "{end}"
    );
    world.stop().await;
}

#[tokio::test]
async fn what_comes_shows_at_once_and_hostile_records_are_data() {
    let world = World::start().await;
    numbered(&world, 3).await;
    let mut live = world
        .watch(json!({"kind": "records", "topic": "numbers", "from": "end", "follow": true}))
        .await;
    assert_eq!(live.next("records").await["after"], json!([[0, 3]]));
    let nested = "[".repeat(1_000_000).into_bytes();
    let hostile = [
        ("a", b"<script>alert(1)</script>".to_vec()),
        ("b", vec![0xff, 0xfe, 0]),
        ("c", "\u{202e}gnp.exe".as_bytes().to_vec()),
        ("d", nested),
    ];
    world.produce("numbers", &hostile).await;
    let mut texts = Vec::new();
    while texts.len() < hostile.len() {
        let body = live.next("records").await;
        let mut batch: Vec<Value> = body["records"].as_array().unwrap().clone();
        batch.reverse();
        texts.extend(batch.into_iter().map(|record| record["value"].clone()));
    }
    assert_eq!(texts[0]["text"], "<script>alert(1)</script>");
    assert_eq!(
        (&texts[1]["text"], &texts[1]["is_binary"]),
        (&json!("\\xff\\xfe\u{0}"), &json!(true))
    );
    assert_eq!(texts[2]["text"], "\u{202e}gnp.exe");
    assert_eq!(
        (&texts[3]["size"], &texts[3]["is_cut"]),
        (&json!(1_000_000), &json!(true))
    );
    world.stop().await;
}

#[tokio::test]
async fn the_pipeline_its_hosts_and_its_rows() {
    let world = World::start().await;
    let process = |pid: &str| json!({"pid": pid, "name": "head", "path": "/usr/bin/head"});
    world
        .produce(
            "processes",
            &[
                line("processes", "host1", "added", &process("1")),
                line("processes", "host2", "added", &process("2")),
                line("processes", "host2", "added", &process("3")),
                line("processes", "host2", "removed", &process("2")),
            ],
        )
        .await;
    world
        .ksql(
            "CREATE STREAM processes (hostIdentifier VARCHAR, columns MAP<VARCHAR, VARCHAR>) \
             WITH (KAFKA_TOPIC='processes', VALUE_FORMAT='JSON'); \
             CREATE STREAM proc AS SELECT hostIdentifier AS host, columns['pid'] AS pid FROM processes;",
        )
        .await;
    let mut hosts = world
        .watch(json!({"kind": "hosts", "host": "host2", "query": "processes", "pid": "3"}))
        .await;
    loop {
        let body = hosts.next("hosts").await;
        if body["rows"].as_array().is_some_and(|rows| rows.len() == 1)
            && body["hosts"].as_array().unwrap().len() == 2
        {
            assert_eq!(body["rows"][0]["columns"]["pid"], "3");
            assert_eq!(body["process"]["history"].as_array().unwrap().len(), 1);
            break;
        }
    }
    let mut overview = world.watch(json!({"kind": "overview"})).await;
    loop {
        let body = overview.next("overview").await;
        let query = &body["queries"][0];
        if query["lag"]["records"] == 0 && body["services"]["ksqldb"]["is_up"] == true {
            assert_eq!(
                (&query["sources"], &query["sinks"]),
                (&json!(["PROCESSES"]), &json!(["PROC"]))
            );
            break;
        }
    }
    let sql = "SELECT host, pid FROM proc EMIT CHANGES;";
    let query = json!({"kind": "query", "sql": sql, "properties": {"auto.offset.reset": "earliest"}});
    let mut rows = world.watch(query).await;
    assert_eq!(rows.next("header").await["columnNames"], json!(["HOST", "PID"]));
    assert_eq!(rows.next("rows").await["rows"][0], json!(["host1", "1"]));
    world.stop().await;
}

#[tokio::test]
async fn a_page_that_goes_ends_what_it_watched() {
    let world = World::start().await;
    numbered(&world, 3).await;
    for _ in 0..100 {
        let live = world
            .watch(json!({"kind": "records", "topic": "numbers", "follow": true}))
            .await;
        drop(live);
    }
    // More than may be open at once came and went.
    let mut last = world.watch(json!({"kind": "records", "topic": "numbers"})).await;
    assert_eq!(offsets(&last.next("records").await), [2, 1, 0]);
    world.stop().await;
}
