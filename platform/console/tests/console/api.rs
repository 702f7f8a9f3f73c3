//! What the page asks once.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::world::{World, line};

#[tokio::test]
async fn topics_are_made_described_set_and_deleted() {
    let world = World::start().await;
    let made = world
        .post("/api/topics", &json!({"name": "things", "partitions": 3}))
        .await;
    assert!(made.status().is_success());
    let again = world.post("/api/topics", &json!({"name": "things"})).await;
    assert_eq!(again.status(), 400);
    let body: Value = again.json().await.unwrap();
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .contains("`things` was not made"),
        "{body}"
    );

    let set = json!({"name": "retention.ms", "value": "60000"});
    let set: Value = world
        .post("/api/topics/things/settings", &set)
        .await
        .json()
        .await
        .unwrap();
    let own = |settings: &Value, name: &str| {
        let settings = settings["settings"].as_array().unwrap();
        let found = settings.iter().find(|setting| setting["name"] == name).unwrap();
        (found["value"].clone(), found["is_own"].clone())
    };
    assert_eq!(own(&set, "retention.ms"), (json!("60000"), json!(true)));
    // A second setting leaves the first one alone.
    let set = json!({"name": "max.message.bytes", "value": "2000000"});
    let set: Value = world
        .post("/api/topics/things/settings", &set)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(own(&set, "retention.ms"), (json!("60000"), json!(true)));
    let reset = json!({"name": "retention.ms", "value": null});
    let reset: Value = world
        .post("/api/topics/things/settings", &reset)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(own(&reset, "retention.ms").1, json!(false));
    assert_eq!(own(&reset, "max.message.bytes"), (json!("2000000"), json!(true)));

    let described = world.json("/api/topics/things").await;
    assert_eq!(described["partitions"].as_array().unwrap().len(), 3);
    let deleted = world.post("/api/topics/things/delete", &json!({})).await;
    assert!(deleted.status().is_success());
    assert_eq!(world.get("/api/topics/things").await.status(), 404);
    world.stop().await;
}

#[tokio::test]
async fn a_record_is_produced_opened_and_taken_as_bytes() {
    let world = World::start().await;
    let nowhere = world
        .post("/api/topics/nowhere/records", &json!({"value": "x"}))
        .await;
    assert_eq!(nowhere.status(), 404);
    world.post("/api/topics", &json!({"name": "things"})).await;
    let record = json!({"key": "k", "value": "<script>alert(1)</script>", "headers": [["a", "b"]]});
    let produced: Value = world
        .post("/api/topics/things/records", &record)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(produced, json!({"partition": 0, "offset": 0}));
    let tombstone = json!({"key": "k", "value": null});
    world.post("/api/topics/things/records", &tombstone).await;

    let one = world.json("/api/topics/things/records/0/0").await;
    assert_eq!(one["key"]["text"], "k");
    assert_eq!(one["value"]["text"], "<script>alert(1)</script>");
    assert_eq!(one["headers"], json!([["a", {"text": "b", "size": 1}]]));
    assert_eq!(
        world.json("/api/topics/things/records/0/1").await["value"],
        Value::Null
    );
    let raw = world.get("/api/topics/things/records/0/0?raw=value").await;
    assert_eq!(raw.headers()["content-type"], "application/octet-stream");
    assert!(
        raw.headers()["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("attachment")
    );
    assert_eq!(raw.bytes().await.unwrap(), "<script>alert(1)</script>");
    let missing = world.get("/api/topics/things/records/0/2").await;
    assert_eq!(missing.status(), 404);
    world.stop().await;
}

#[tokio::test]
async fn columns_are_proposed_and_ksqldb_is_asked() {
    let world = World::start().await;
    let records = [line("processes", "host1", "added", &json!({"pid": "1"}))];
    world.produce("processes", &records).await;
    let proposal = world.json("/api/topics/processes/proposal").await;
    let columns = proposal["columns"].as_array().unwrap();
    assert!(columns.contains(&json!({"name": "unixTime", "type": "BIGINT"})));
    assert_eq!((&proposal["records"], &proposal["json"]), (&json!(1), &json!(1)));

    world
        .ksql("CREATE STREAM p (name VARCHAR, columns MAP<VARCHAR, VARCHAR>) WITH (KAFKA_TOPIC='processes', VALUE_FORMAT='JSON');")
        .await;
    let catalog = world.json("/api/ksql/catalog").await;
    assert_eq!(catalog["sources"][0]["name"], "P");
    assert_eq!(catalog["sources"][0]["fields"][0]["name"], "NAME");
    assert!(catalog["functions"].as_array().unwrap().len() > 50);
    let wrong = world.post("/api/ksql", &json!({"ksql": "CREATE STREAM;"})).await;
    assert_eq!(wrong.status(), 400);
    let wrong: Value = wrong.json().await.unwrap();
    assert_eq!(wrong["details"]["error_code"], 40001, "{wrong}");
    world.stop().await;
}

#[tokio::test]
async fn groups_and_brokers_are_told() {
    let world = World::start().await;
    let records = [line("processes", "host1", "added", &json!({"pid": "1"}))];
    world.produce("processes", &records).await;
    world.ksql("CREATE STREAM p (name VARCHAR) WITH (KAFKA_TOPIC='processes', VALUE_FORMAT='JSON'); CREATE STREAM q AS SELECT * FROM p;").await;
    world
        .until("the query's group has read everything", async || {
            let groups = world.json("/api/groups").await;
            let groups = groups["groups"].as_array().unwrap().clone();
            groups.iter().any(|group| {
                let name = group["group"]["name"].as_str().unwrap();
                name.contains("CSAS_Q")
                    && group["positions"][0]["offset"] == 1
                    && group["positions"][0]["lag"] == 0
            })
        })
        .await;
    let brokers = world.json("/api/brokers").await;
    assert_eq!(brokers["brokers"][0]["error"], Value::Null);
    assert!(!brokers["brokers"][0]["settings"].as_array().unwrap().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn strangers_are_refused_and_the_page_is_closed_to_what_is_foreign() {
    let world = World::start().await;
    let ask = |name: &'static str, value: &'static str| {
        let request = world.http.get(world.url("/api/topics")).header(name, value);
        async { request.send().await.unwrap().status() }
    };
    assert_eq!(ask("host", "evil.example").await, 403);
    assert_eq!(ask("origin", "http://evil.example").await, 403);
    let request = world
        .http
        .post(world.url("/api/ksql"))
        .json(&json!({"ksql": "SHOW STREAMS;"}));
    assert_eq!(request.send().await.unwrap().status(), 403);
    let guessed = world
        .http
        .post(world.url("/api/topics"))
        .header("x-osqdemo-token", "guess");
    assert_eq!(
        guessed.json(&json!({"name": "t"})).send().await.unwrap().status(),
        403
    );

    let page = world.get("/").await;
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("script-src 'self'"),
        "{policy}"
    );
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    let tag = page.headers()["etag"].clone();
    let request = world.http.get(world.url("/")).header("if-none-match", tag);
    assert_eq!(request.send().await.unwrap().status(), 304);
    assert_eq!(world.get("/views/../../Cargo.toml").await.status(), 404);
    assert_eq!(world.get("/api/schemas").await.status(), 404);
    world.stop().await;
}

#[tokio::test]
async fn bodies_that_never_end_hold_so_much_and_keep_no_console_from_ending() {
    let world = World::start().await;
    let whole = "x".repeat((2 << 20) - 1000);
    let head = format!(
        "POST /api/ksql HTTP/1.1\r\nHost: localhost\r\nx-osqdemo-token: {}\r\nContent-Length: {}\r\n\r\n",
        world.token(),
        whole.len() + 1
    );
    let address = world.url("").trim_start_matches("http://").to_owned();
    let ask = json!({"ksql": whole});
    let mut stalled = Vec::new();
    world
        .until("there is no room for another one", async || {
            // While all of them come at the same time, any of them may be the one too many.
            for _ in 0..16 {
                let mut client = TcpStream::connect(&address).await.unwrap();
                client.write_all(head.as_bytes()).await.unwrap();
                client.write_all(whole.as_bytes()).await.unwrap();
                stalled.push(client);
            }
            world.post("/api/ksql", &ask).await.status() == 503
        })
        .await;
    assert!(world.get("/api/topics").await.status().is_success());
    world.stop().await;
}
