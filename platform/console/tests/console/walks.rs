//! What a person does with the console, in a real browser.

use serde_json::json;

use crate::browser::Browser;
use crate::world::{World, line, lines, streams};

#[tokio::test]
async fn the_pipeline_is_drawn_from_what_is_there_and_a_joined_row_appears() {
    let Some(browser) = Browser::start(1400).await else {
        return;
    };
    let world = World::start().await;
    lines(&world).await;
    streams(&world).await;
    browser.open(&world.url("/")).await;
    for part in [
        "host2",
        "open_files",
        "PROCESSES",
        "CSAS_PRECISE_PROC",
        "PRECISE_FILES",
        "up to date",
    ] {
        browser.sees(part).await;
    }
    browser
        .sees("rows of the precise join that come from now on")
        .await;
    browser.sees("LIVE QUERIES").await;
    // The file of a new process: its row comes by itself.
    let head = json!({"pid": "77", "name": "head", "path": "/usr/bin/head"});
    world
        .produce("processes", &[line("processes", "host2", "added", &head)])
        .await;
    let file = json!({"pid": "77", "fd": "1", "path": "/home/neha/myfile"});
    world
        .produce("open_files", &[line("open_files", "host2", "added", &file)])
        .await;
    browser.sees("/home/neha/myfile").await;
    assert_eq!(browser.complaints().await, json!([]));
    browser.click_beginning("host host2").await;
    browser.sees("processes, as it is now").await;
    browser.click("42").await;
    browser.sees("/usr/bin/head · head -c 1G").await;
    browser.sees("/home/jay/myfile").await;
    assert_eq!(browser.complaints().await, json!([]));
    browser.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn a_stream_is_added_by_hand_and_asked() {
    let Some(browser) = Browser::start(1400).await else {
        return;
    };
    let world = World::start().await;
    lines(&world).await;
    browser.open(&world.url("/#/topics")).await;
    browser.click("processes").await;
    browser.click("Add a stream…").await;
    browser.sees("columns MAP<VARCHAR, VARCHAR>").await;
    assert_eq!(browser.complaints().await, json!([]));
    browser.click("Add stream").await;
    browser
        .until(
            "the dialog closes",
            "return document.querySelector('dialog') === null",
        )
        .await;
    browser.open(&world.url("/#/ksql")).await;
    browser.sees("PROCESSES").await;
    browser
        .write(
            "SQL",
            "SELECT hostIdentifier AS host, columns['path'] AS path FROM processes EMIT CHANGES LIMIT 3;",
        )
        .await;
    browser
        .ask("document.querySelector('[aria-label=\"Queries begin\"]').value = 'earliest'")
        .await;
    browser.click("Run").await;
    browser.sees("/usr/bin/head").await;
    // What is wrong is marked where it is.
    browser
        .write("SQL", "SELECT nope FROM processes EMIT CHANGES;")
        .await;
    browser.click("Run").await;
    browser.sees("SELECT column 'NOPE' cannot be resolved.").await;
    browser
        .until(
            "the wrong word is marked",
            "return document.querySelector('.wrong')?.textContent === 'nope'",
        )
        .await;
    browser.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn a_message_is_found_and_whatever_it_holds_breaks_nothing() {
    let Some(browser) = Browser::start(360).await else {
        return;
    };
    let world = World::start().await;
    lines(&world).await;
    let hostile = [
        (
            "a",
            b"{\"x\":\"<img src=x onerror=document.title='hit'>\"}".to_vec(),
        ),
        ("b", vec![0xff, 0xfe, 0]),
        ("c", "\u{202e}txt.exe".as_bytes().to_vec()),
        ("d", "[".repeat(900_000).into_bytes()),
        (
            "e",
            format!("{{\"wide\":\"{}\"}}", "w".repeat(900_000)).into_bytes(),
        ),
    ];
    world.produce("odd", &hostile).await;
    let filter =
        "%5B%7B%22field%22%3A%22columns.pid%22%2C%22operator%22%3A%22equals%22%2C%22text%22%3A%2242%22%7D%5D";
    browser
        .open(&world.url(&format!("/#/topic/processes?filter={filter}")))
        .await;
    browser.sees("1 shown · 3 of 3 searched").await;
    browser.click("Remove filter 1").await;
    browser.sees("3 shown").await;
    browser
        .until(
            "the address forgets it",
            "return !location.hash.includes('filter')",
        )
        .await;
    assert_eq!(browser.complaints().await, json!([]));

    browser.open(&world.url("/#/topic/odd")).await;
    browser.sees("5 shown").await;
    browser.sees("\\u202etxt.exe").await;
    for offset in 0..hostile.len() {
        browser
            .ask(&format!("[...document.querySelectorAll('tbody tr')].find((row) => row.children[2].textContent === '{offset}').click()"))
            .await;
        browser
            .sees(&format!("odd · partition 0 · offset {offset}"))
            .await;
        assert_eq!(browser.complaints().await, json!([]));
        browser.click("Cancel").await;
    }
    assert_eq!(
        browser
            .ask("return document.querySelector('main img, main script')")
            .await,
        json!(null)
    );
    assert!(
        !browser
            .ask("return document.title")
            .await
            .as_str()
            .unwrap()
            .contains("hit")
    );
    let is_wider = browser
        .ask("return document.documentElement.scrollWidth > innerWidth")
        .await;
    assert_eq!(is_wider, json!(false), "the page is wider than a phone");
    browser.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn groups_are_followed_schemas_compared_and_settings_changed_with_care() {
    let Some(browser) = Browser::start(1400).await else {
        return;
    };
    let world = World::with_registry().await;
    lines(&world).await;
    streams(&world).await;
    browser.open(&world.url("/#/consumers")).await;
    browser.sees("CSAS_PRECISE_PROC").await;
    browser.sees("lag 0 steady").await;
    let is_open = "const group = [...document.querySelectorAll('details')].find((one) => \
                   one.textContent.includes('CSAS_PRECISE_PROC')); if (group) group.open = true; \
                   return group?.querySelector('tbody')?.textContent.includes('processes') ?? false";
    browser.until("its positions are listed", is_open).await;

    let field = |name: &str| json!({"name": name, "type": ["null", "string"], "default": null});
    for fields in [vec![field("host")], vec![field("host"), field("path")]] {
        let schema = json!({"type": "record", "name": "Line", "fields": fields});
        world.register("lines-value", &schema).await;
    }
    browser.click("Schemas").await;
    browser.sees("BACKWARD by default").await;
    browser.click("lines-value").await;
    browser.sees("\"path\"").await;
    browser.choose("Compared with", "version 1, id 1").await;
    browser
        .until(
            "what only the second version has is marked",
            "return [...document.querySelectorAll('.diff .plus')].some((one) => one.textContent.includes('path')) \
             && ![...document.querySelectorAll('.diff .minus')].some((one) => one.textContent.includes('host'))",
        )
        .await;
    assert_eq!(browser.complaints().await, json!([]));

    browser.click("Cluster").await;
    browser.sees("Broker 1").await;
    browser.open(&world.url("/#/topic/processes?tab=settings")).await;
    browser.click("Edit retention.ms").await;
    // What may be lost is said before it is.
    browser
        .sees("Records that the new value does not keep are deleted for good.")
        .await;
    browser.write("Value", "soon").await;
    browser.click("Set").await;
    browser.sees("retention.ms").await;
    browser
        .until(
            "the refusal stands in the dialog",
            "return (document.querySelector('dialog [role=alert]')?.textContent ?? '') !== ''",
        )
        .await;
    browser.write("Value", "7200000").await;
    browser.click("Set").await;
    browser
        .until(
            "the dialog closes",
            "return document.querySelector('dialog') === null",
        )
        .await;
    let settings = world.json("/api/topics/processes").await;
    let settings = settings["settings"].as_array().unwrap();
    let retention = settings.iter().find(|one| one["name"] == "retention.ms").unwrap();
    assert_eq!(retention["value"], "7200000", "{retention}");
    browser.click("Delete the topic…").await;
    browser
        .sees("The topic and its 3 records are lost for good.")
        .await;
    browser.click("Cancel").await;
    assert_eq!(browser.complaints().await, json!([]));
    browser.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn every_view_opens_and_a_console_that_goes_is_told() {
    let Some(browser) = Browser::start(1000).await else {
        return;
    };
    let world = World::start().await;
    lines(&world).await;
    streams(&world).await;
    for (view, text) in [
        ("", "Joined rows, live"),
        ("topics", "open_files"),
        ("topic/processes?tab=settings", "retention.ms"),
        ("ksql", "Streams and tables"),
        ("hosts", "2 scheduled queries"),
        ("consumers", "CSAS_PRECISE_PROC"),
        ("schemas", "without a Schema Registry"),
        ("brokers", "Broker 1"),
        ("runs", "No run yet"),
        ("nonsense", "There is no such view."),
    ] {
        browser.open(&world.url(&format!("/#/{view}"))).await;
        browser.sees(text).await;
        assert_eq!(browser.complaints().await, json!([]), "{view}");
    }
    // What a query does is a picture, from the topic it reads to the one it writes.
    browser.open(&world.url("/#/ksql")).await;
    browser
        .until(
            "a query is opened",
            "const query = [...document.querySelectorAll('button')].find((one) => \
             one.textContent.startsWith('CSAS_PRECISE_PROC')); query?.click(); return query !== undefined",
        )
        .await;
    browser
        .until(
            "its plan is drawn",
            "const boxes = [...document.querySelectorAll('dialog [aria-label^=\"The plan of\"] .node title')]; \
             const told = boxes.map((box) => box.textContent).join(); \
             return told.includes('processes') && told.includes('PRECISE_PROC')",
        )
        .await;
    assert_eq!(browser.complaints().await, json!([]), "the plan");
    world.stop().await;
    browser.sees("The console does not answer").await;
    browser.stop().await;
}
