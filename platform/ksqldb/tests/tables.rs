//! Tables end to end: aggregates over topics, their state across restarts, pull and push queries.
//!
//! Long because every test binary links the whole server, and each test is a table's whole life: fed, restarted,
//! asked.

mod support;

use std::time::Instant;

use serde_json::{Value, json};
use support::gate::Gate;
use support::{Broker, DEADLINE, Server, next_record, produce_at, value_of};

const RECORDED: &str = include_str!("recorded/tables.jsonl");

/// The body of a pull query.
async fn pull(server: &Server, sql: &str) -> (u16, String) {
    let request = server
        .http
        .post(server.url("/query"))
        .header("accept", "application/vnd.ksql.v1+json")
        .body(json!({"ksql": sql}).to_string());
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.text().await.unwrap())
}

/// The rows of a pull query.
async fn rows(server: &Server, sql: &str) -> Vec<Value> {
    let (status, body) = pull(server, sql).await;
    assert_eq!(status, 200, "{sql}: {body}");
    let all: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{body}: {error}"));
    let rows = all.as_array().unwrap().iter().skip(1);
    rows.map(|row| row["row"]["columns"].clone()).collect()
}

/// Waits until a pull query has these rows.
async fn eventually(server: &Server, sql: &str, expected: &[Value]) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let found = rows(server, sql).await;
        if found == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{sql}: {found:?}, not {expected:?}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

async fn topics(server: &Server) -> Vec<String> {
    let answer = server.ksql("SHOW ALL TOPICS;").await;
    let topics = answer[0]["topics"].as_array().unwrap().iter();
    topics
        .map(|topic| topic["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aggregate_goes_on_where_it_stopped() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql(
            "CREATE STREAM s (k STRING KEY, g STRING, v INT) WITH (kafka_topic='s', value_format='JSON', partitions=2);
             CREATE TABLE o AS SELECT g, COUNT(*) AS n, SUM(v) AS t, MAX(v) AS m FROM s GROUP BY g;",
        )
        .await;
    let producer = broker.producer();
    for (time, (key, value)) in (1000..).zip([
        ("a", r#"{"G":"x","V":1}"#),
        ("b", r#"{"G":"y","V":2}"#),
        ("c", r#"{"G":"x","V":3}"#),
    ]) {
        produce_at(&producer, "s", Some(key), value, Some(time)).await;
    }
    let all = "SELECT * FROM o;";
    eventually(&server, all, &[json!(["x", 2, 4, 3]), json!(["y", 1, 2, 2])]).await;
    let changelog = "_confluent-ksql-default_query_CTAS_O_1-Aggregate-Aggregate-Materialize-changelog";
    assert!(topics(&server).await.iter().any(|topic| topic == changelog));
    server.stop().await;

    let server = Server::start(&broker).await;
    // Before anything new comes: what was there is there.
    assert_eq!(
        rows(&server, "SELECT * FROM o WHERE g = 'x';").await,
        [json!(["x", 2, 4, 3])]
    );
    produce_at(&producer, "s", Some("d"), r#"{"G":"x","V":5}"#, Some(1010)).await;
    eventually(&server, all, &[json!(["x", 3, 9, 5]), json!(["y", 1, 2, 2])]).await;
    assert_eq!(
        rows(&server, "SELECT g, n FROM o WHERE g IN ('y', 'nope', 'x');").await,
        [json!(["y", 1]), json!(["x", 3])]
    );
    assert_eq!(
        rows(&server, "SELECT g FROM o WHERE n > 1 LIMIT 1;").await,
        [json!(["x"])]
    );

    server.ksql("DROP TABLE o;").await;
    assert!(!topics(&server).await.iter().any(|topic| topic == changelog));
    let (status, _) = pull(&server, all).await;
    assert_eq!(status, 400);
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_whose_store_is_full_says_so_and_goes_on_where_there_is_more_room() {
    const KEYS: usize = 400;
    let broker = Broker::start().await;
    let server = Server::start_with(broker.address, |config| config.store_size = 32 * 1024).await;
    server.ready().await;
    server
        .ksql(
            "CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='s', value_format='JSON', partitions=1);
             CREATE TABLE o AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;
             CREATE STREAM c AS SELECT * FROM s;",
        )
        .await;
    let producer = broker.producer();
    for key in 0..KEYS {
        produce_at(&producer, "s", Some(&key.to_string()), r#"{"V":1}"#, Some(1000)).await;
    }
    let deadline = Instant::now() + DEADLINE;
    let reason = loop {
        let answers = server.ksql("EXPLAIN CTAS_O_1;").await;
        let query = &answers[0]["queryDescription"];
        if let Some(reason) = query["queryErrors"][0]["errorMessage"].as_str() {
            assert_eq!(query["state"], "ERROR");
            break reason.to_owned();
        }
        assert!(Instant::now() < deadline, "{query}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert!(reason.contains("take more than 0 MiB; hint:"), "{reason}");
    assert!(
        reason.ends_with("`serve ksqldb --store-size` allows more"),
        "{reason}"
    );
    // The other query goes on.
    let reader = broker.reader("C");
    for _ in 0..KEYS {
        next_record(&reader).await;
    }
    server.stop().await;

    let server = Server::start(&broker).await;
    let last = (KEYS - 1).to_string();
    let sql = format!("SELECT * FROM o WHERE k = '{last}';");
    eventually(&server, &sql, &[json!([last, 1])]).await;
    // Each once: what was counted before was kept.
    let all = rows(&server, "SELECT * FROM o;").await;
    assert_eq!(all.len(), KEYS);
    assert!(all.iter().all(|row| row[1] == 1), "{all:?}");
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_being_restored_are_waited_for_and_then_told_to_be_so() {
    let gate = Gate::before_topics("-changelog").await;
    let server = Server::start_for(gate.address).await;
    server.ready().await;
    server
        .ksql(
            "SET 'auto.offset.reset'='earliest';
             CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='s', value_format='JSON', partitions=1);
             CREATE TABLE o AS SELECT k, SUM(v) AS n FROM s GROUP BY k;",
        )
        .await;
    produce_at(&gate.broker.producer(), "s", Some("a"), r#"{"V": 7}"#, Some(1)).await;
    let (sql, expected) = ("SELECT * FROM o WHERE k = 'a';", [json!(["a", 7])]);
    eventually(&server, sql, &expected).await;
    server.stop().await;

    gate.close();
    let server = Server::start_for(gate.address).await;
    server.ready().await;
    // On a slow machine, the query has not come so far at first.
    let deadline = Instant::now() + DEADLINE;
    let told: Value = loop {
        let (status, body) = pull(&server, sql).await;
        if status == 503 {
            break serde_json::from_str(&body).unwrap();
        }
        assert!(status != 200 && Instant::now() < deadline, "{status}: {body}");
    };
    assert_eq!(told["error_code"], 50302);
    assert_eq!(
        told["message"],
        "The rows of `O` are being restored: 0 % are there. hint: try again later"
    );
    gate.open();
    let deadline = Instant::now() + DEADLINE;
    loop {
        let (status, body) = pull(&server, sql).await;
        if status == 200 && body.contains(r#"["a",7]"#) {
            break;
        }
        assert!(Instant::now() < deadline, "{status}: {body}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_table_answers_and_takes_nothing() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql("CREATE TABLE u (id STRING PRIMARY KEY, w STRING) WITH (kafka_topic='u', value_format='JSON', partitions=1);")
        .await;
    server
        .ksql("INSERT INTO u VALUES ('1', 'q'); INSERT INTO u VALUES ('2', 'r'); INSERT INTO u VALUES ('3', 's');")
        .await;
    server
        .ksql("CREATE SOURCE TABLE st (id STRING PRIMARY KEY, w STRING) WITH (kafka_topic='u', value_format='JSON');")
        .await;
    let rest = [json!(["2", "r"]), json!(["3", "s"])];
    eventually(&server, "SELECT * FROM st WHERE id > '1';", &rest).await;
    eventually(
        &server,
        "SELECT * FROM st WHERE id > '1' AND id < '3';",
        &rest[..1],
    )
    .await;
    let (status, error) = server.refused("TERMINATE CST_ST_1;").await;
    assert_eq!(status, 400);
    assert_eq!(
        error["message"],
        "Cannot terminate query 'CST_ST_1' because it is linked to a source table."
    );
    let (status, body) = pull(&server, "SELECT * FROM u;").await;
    assert_eq!(status, 400);
    assert!(body.contains("The `U` table isn't queryable. To derive a queryable table, you can do 'CREATE TABLE QUERYABLE_U AS SELECT * FROM U'."), "{body}");
    server.ksql("DROP TABLE st;").await;
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_learns_that_a_row_is_gone() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql("CREATE TABLE t (id STRING PRIMARY KEY, v INT) WITH (kafka_topic='t', value_format='JSON', partitions=1);")
        .await;
    let mut push = server
        .push(
            "SELECT id, v FROM t WHERE v > 3 EMIT CHANGES;",
            json!({"auto.offset.reset": "earliest"}),
        )
        .await;
    server
        .ksql("INSERT INTO t VALUES ('a', 5); INSERT INTO t VALUES ('b', 1); INSERT INTO t VALUES ('a', 2);")
        .await;
    assert_eq!(push.row().await, json!(["a", 5]));
    let line = push.line().await.unwrap();
    assert_eq!(line, "{\"row\":{\"columns\":[\"a\",null],\"tombstone\":true}},\n");
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pull_queries_answer_as_a_real_server_does() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    let producer = broker.producer();
    let mut asked = 0;
    for line in RECORDED.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let Some(queries) = entry["queries"].as_array() else {
            continue;
        };
        for statement in entry["sources"].as_array().unwrap() {
            let statement = statement.as_str().unwrap();
            server.ksql(&statement.replace(");", ", partitions=1);")).await;
        }
        for statement in entry["statements"].as_array().unwrap() {
            server.ksql(statement.as_str().unwrap()).await;
        }
        for record in entry["records"].as_array().unwrap() {
            produce_at(
                &producer,
                record["topic"].as_str().unwrap(),
                record["key"].as_str(),
                &record["value"].to_string(),
                record["timestamp"].as_i64(),
            )
            .await;
        }
        for query in queries {
            let sql = query["sql"].as_str().unwrap();
            let lines: Vec<&str> = query["lines"]
                .as_array()
                .unwrap()
                .iter()
                .map(|line| line.as_str().unwrap())
                .collect();
            let expected = lines.join("\n");
            let deadline = Instant::now() + DEADLINE;
            loop {
                let (status, body) = pull(&server, sql).await;
                assert_eq!(status, 200, "{sql}: {body}");
                let (before, rest) = body.split_once("\"queryId\":\"").unwrap();
                let (_, after) = rest.split_once('"').unwrap();
                let found = format!("{before}\"queryId\":\"…\"{after}");
                if found == expected {
                    break;
                }
                assert!(Instant::now() < deadline, "{sql}:\n{found}\nnot\n{expected}");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            asked += 1;
        }
        server
            .ksql("DROP TABLE o DELETE TOPIC; DROP STREAM s DELETE TOPIC;")
            .await;
    }
    assert_eq!(asked, 11);
    server.stop().await;
    broker.stop().await;
}

/// What is asked and refused about tables, statement by statement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_answer_clients_as_they_should() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql(
            "CREATE STREAM s (k STRING KEY, g STRING, v INT) WITH (kafka_topic='s', value_format='JSON', partitions=1);
             CREATE TABLE t (id STRING PRIMARY KEY, g STRING, v INT) WITH (kafka_topic='t', value_format='JSON', partitions=1);
             CREATE TABLE u (id INT PRIMARY KEY, w STRING) WITH (kafka_topic='u', value_format='JSON', partitions=1);
             CREATE TABLE o AS SELECT g, COUNT(*) AS n FROM s GROUP BY g;
             CREATE TABLE w AS SELECT g, COUNT(*) AS n FROM s
                 WINDOW TUMBLING (SIZE 10 MILLISECONDS, GRACE PERIOD 5 MILLISECONDS) GROUP BY g;
             CREATE TABLE d WITH (key_format='JSON') AS SELECT g, v, COUNT(*) AS n FROM s GROUP BY g, v;
             SET 'ksql.functions.collect_list.limit'='1';
             CREATE TABLE l AS SELECT g, COLLECT_LIST(v) AS l FROM s GROUP BY g;
             INSERT INTO u VALUES (1, 'q'); INSERT INTO u VALUES (2, 'r');",
        )
        .await;
    let refused = async |statement: &str| {
        let (status, error) = server.refused(statement).await;
        (status, error["message"].as_str().unwrap().to_owned())
    };

    // A table needs its key, under its name.
    let declared = |key: &str| {
        format!("CREATE TABLE x (a INT{key}, b INT) WITH (kafka_topic='t', value_format='JSON');")
    };
    assert_eq!(
        refused(&declared("")).await,
        (
            400,
            "Tables require a PRIMARY KEY. Please define the PRIMARY KEY.".to_owned()
        )
    );
    let (_, message) = refused(&declared(" KEY")).await;
    assert!(
        message.contains("Column `A` is a 'KEY' column: please use 'PRIMARY KEY' for tables."),
        "{message}"
    );
    // Columns stay.
    let (_, message) = refused(
        "CREATE OR REPLACE TABLE t (id STRING PRIMARY KEY, g STRING) WITH (kafka_topic='t', value_format='JSON');",
    )
    .await;
    assert!(
        message.starts_with("Cannot upgrade data source: DataSource '`T`' has schema = "),
        "{message}"
    );
    let end = "(The following columns are changed, missing or reordered: [`V` INTEGER])";
    assert!(message.ends_with(end), "{message}");

    // A source table has the rows of its topic and takes none.
    server
        .ksql("CREATE SOURCE TABLE st (id INT PRIMARY KEY, w STRING) WITH (kafka_topic='u', value_format='JSON');")
        .await;
    broker
        .producer()
        .send(
            rdkafka::producer::FutureRecord::<[u8], str>::to("u").key(&1_i32.to_be_bytes()[..]),
            DEADLINE,
        )
        .await
        .map_err(|(error, _)| error)
        .unwrap();
    eventually(&server, "SELECT * FROM st;", &[json!([2, "r"])]).await;
    assert_eq!(
        refused("INSERT INTO st VALUES (3, 'z');").await,
        (400, "Cannot insert values into read-only table: ST".to_owned())
    );
    assert_eq!(
        refused("DROP TABLE st DELETE TOPIC;").await,
        (400, "Cannot delete topic for read-only source: ST".to_owned())
    );

    let producer = broker.producer();
    for (group, time) in [("x", 3), ("y", 5), ("x", 15), ("x", 15)] {
        let value = json!({"G": group, "V": time}).to_string();
        produce_at(&producer, "s", Some("k"), &value, Some(time)).await;
    }
    // By key, in the order asked for, and by what is in the row.
    eventually(&server, "SELECT * FROM o WHERE g = 'x';", &[json!(["x", 3])]).await;
    let (_, body) = pull(&server, "SELECT * FROM o WHERE g = 'x';").await;
    assert!(
        body.contains(r#""schema":"`G` STRING KEY, `N` BIGINT""#) && !body.contains("finalMessage"),
        "{body}"
    );
    assert!(
        rows(&server, "SELECT * FROM o WHERE g = 'nope';")
            .await
            .is_empty()
    );
    assert_eq!(
        rows(&server, "SELECT * FROM o WHERE g IN ('y', 'x');").await,
        [json!(["y", 1]), json!(["x", 3])]
    );
    assert_eq!(
        rows(&server, "SELECT * FROM o WHERE n > 1;").await,
        [json!(["x", 3])]
    );
    // Columns without a name are numbered among themselves.
    let (_, body) = pull(&server, "SELECT g, n * 2, UCASE(g) FROM o WHERE g = 'x';").await;
    let schema = "`G` STRING KEY, `KSQL_COL_0` BIGINT, `KSQL_COL_1` STRING";
    assert!(body.contains(schema), "{body}");
    // Windows have their bounds after the key.
    let late = "SELECT * FROM w WHERE g='x' AND WINDOWSTART >= 10;";
    eventually(&server, late, &[json!(["x", 10, 20, 2])]).await;
    let (_, body) = pull(&server, late).await;
    let schema = "`G` STRING KEY, `WINDOWSTART` BIGINT KEY, `WINDOWEND` BIGINT KEY, `N` BIGINT";
    assert!(body.contains(&format!("\"schema\":\"{schema}\"")), "{body}");
    eventually(&server, "SELECT l FROM l WHERE g = 'x';", &[json!([[3]])]).await;
    for (sql, message) in [
        (
            "SELECT * FROM o LIMIT -1;",
            "Pull queries don't support negative integers in the LIMIT clause. See https://cnfl.io/queries for more \
             info.\\nAdd EMIT CHANGES if you intended to issue a push query.",
        ),
        (
            "SELECT * FROM o WHERE n LIKE 'a';",
            "The column type for Like condition must be VARCHAR. The column type is BIGINT",
        ),
    ] {
        let (status, body) = pull(&server, sql).await;
        assert!(status == 400 && body.contains(message), "{sql}: {body}");
    }
    let no_scans = json!({
        "ksql": "SELECT * FROM d WHERE g = 'x';",
        "streamsProperties": {"ksql.query.pull.table.scan.enabled": false},
    });
    let (status, body) = server.post("/query", &no_scans).await;
    let message = "Multi-column sources must specify every key in the WHERE clause. Specified: [`G`] Expected: [`G` STRING \
                   KEY, `V` INTEGER KEY].  See https://cnfl.io/queries for more info.";
    assert!(status == 400 && body.contains(message), "{body}");
    let (status, body) = pull(&server, "SELECT * FROM t;").await;
    assert_eq!(status, 400);
    assert!(
        body.contains(
            "The `T` table isn't queryable. To derive a queryable table, you can do 'CREATE TABLE QUERYABLE_T AS \
             SELECT * FROM T'. See https://cnfl.io/queries for more info.\\nAdd EMIT CHANGES if you intended to issue \
             a push query."
        ),
        "{body}"
    );
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_replaced_has_its_new_columns_for_all_rows() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql(
            "CREATE TABLE t (id STRING PRIMARY KEY, v INT, w INT) WITH (kafka_topic='t', value_format='JSON', partitions=1);
             CREATE TABLE o AS SELECT id, v FROM t;",
        )
        .await;
    server
        .ksql("INSERT INTO t VALUES ('a', 1, 2); INSERT INTO t VALUES ('b', 3, 4);")
        .await;
    eventually(&server, "SELECT * FROM o;", &[json!(["a", 1]), json!(["b", 3])]).await;
    server
        .ksql("CREATE OR REPLACE TABLE o AS SELECT id, v, w FROM t;")
        .await;
    let both = [json!(["a", 1, 2]), json!(["b", 3, 4])];
    eventually(&server, "SELECT * FROM o;", &both).await;
    server.stop().await;
    let server = Server::start(&broker).await;
    assert_eq!(rows(&server, "SELECT * FROM o;").await, both);
    let (status, error) = server
        .refused("CREATE OR REPLACE TABLE o AS SELECT id, v FROM t;")
        .await;
    assert_eq!(status, 400, "{error}");
    server.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_and_joins_go_on_after_a_restart() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql(
            "CREATE STREAM s (k STRING KEY, g STRING, v INT) WITH (kafka_topic='s', value_format='JSON', partitions=1);
             CREATE TABLE u (id STRING PRIMARY KEY, w INT) WITH (kafka_topic='u', value_format='JSON', partitions=1);
             CREATE TABLE c AS SELECT g, COUNT(*) AS n FROM s WINDOW SESSION (5 SECONDS) GROUP BY g;
             CREATE STREAM j AS SELECT s.g AS g, s.v AS v, u.w AS w FROM s JOIN u ON s.g = u.id;",
        )
        .await;
    server.ksql("INSERT INTO u VALUES ('x', 7);").await;
    let producer = broker.producer();
    let reader = broker.reader("J");
    // The table's row is there before the stream's.
    let group = "SELECT n FROM c WHERE g = 'x';";
    let joined = async |value: i64| loop {
        let message = next_record(&reader).await;
        let row: Value = value_of(&message);
        if row["V"] == value {
            return row;
        }
    };
    let mut value = 0;
    let row = loop {
        value += 1;
        let json = format!(r#"{{"G":"x","V":{value}}}"#);
        produce_at(&producer, "s", Some("k"), &json, Some(1000 + value)).await;
        eventually(&server, group, &[json!([value])]).await;
        if has_records(&broker, "J").await {
            break joined(value).await;
        }
    };
    assert_eq!(row["W"], 7);
    server.stop().await;
    let server = Server::start(&broker).await;
    assert_eq!(rows(&server, group).await, [json!([value])]);
    let json = format!(r#"{{"G":"x","V":{}}}"#, value + 1);
    produce_at(&producer, "s", Some("k"), &json, Some(4000)).await;
    eventually(&server, group, &[json!([value + 1])]).await;
    assert_eq!(joined(value + 1).await["W"], 7);
    server.stop().await;
    broker.stop().await;
}

/// A query that fails is tried again and again: what was before the record it fails at is counted once, and of that
/// record not even what could be done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cannot_be_processed_leaves_nothing_behind() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql("CREATE STREAM s (g STRING, v DECIMAL(1, 0)) WITH (kafka_topic='s', value_format='JSON', partitions=1);")
        .await;
    let producer = broker.producer();
    // The last of them overflows the window from 5, and is the first of that from 10.
    for (value, time) in [
        (r#"{"G":"y","V":1}"#, 1),
        (r#"{"G":"x","V":9}"#, 7),
        (r#"{"G":"x","V":9}"#, 12),
    ] {
        produce_at(&producer, "s", None, value, Some(time)).await;
    }
    let statement = "CREATE TABLE o AS SELECT g, COUNT(*) AS n, SUM(v) AS t FROM s
        WINDOW HOPPING (SIZE 10 MILLISECONDS, ADVANCE BY 5 MILLISECONDS) GROUP BY g;";
    let body = json!({"ksql": statement, "streamsProperties": {"auto.offset.reset": "earliest"}});
    let (status, answer) = server.post("/ksql", &body).await;
    assert_eq!(status, 200, "{answer}");
    let deadline = Instant::now() + DEADLINE;
    loop {
        let answer = server.ksql("EXPLAIN CTAS_O_1;").await;
        let errors = answer[0]["queryDescription"]["queryErrors"]
            .as_array()
            .unwrap()
            .clone();
        if errors.len() >= 4 {
            let message = errors[3]["errorMessage"].as_str().unwrap();
            assert!(message.contains("Numeric field overflow"), "{message}");
            break;
        }
        assert!(Instant::now() < deadline, "{answer}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let changelog = "_confluent-ksql-default_query_CTAS_O_1-Aggregate-Aggregate-Materialize-changelog";
    for topic in ["O", changelog] {
        assert_eq!(end(&broker, topic).await, 3, "{topic}");
    }
    server.stop().await;
    broker.stop().await;
}

/// Rows that another layout wrote are of no use: the changelog is made anew, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changelog_of_another_layout_is_made_anew() {
    let broker = Broker::start().await;
    let server = Server::start(&broker).await;
    server
        .ksql("CREATE STREAM s (g STRING) WITH (kafka_topic='s', value_format='JSON', partitions=1);")
        .await;
    let producer = broker.producer();
    for time in 1..4 {
        produce_at(&producer, "s", None, r#"{"G":"x"}"#, Some(time)).await;
    }
    let statement = "CREATE TABLE o AS SELECT g, COUNT(*) AS n FROM s GROUP BY g;";
    let body = json!({"ksql": statement, "streamsProperties": {"auto.offset.reset": "earliest"}});
    let (status, answer) = server.post("/ksql", &body).await;
    assert_eq!(status, 200, "{answer}");
    let all = "SELECT * FROM o;";
    eventually(&server, all, &[json!(["x", 3])]).await;
    server.stop().await;
    let changelog = "_confluent-ksql-default_query_CTAS_O_1-Aggregate-Aggregate-Materialize-changelog";
    assert_eq!(end(&broker, changelog).await, 3);
    produce_at(&producer, changelog, Some("other"), "of another layout", Some(9)).await;
    for _ in 0..2 {
        let server = Server::start(&broker).await;
        eventually(&server, all, &[json!(["x", 3])]).await;
        server.stop().await;
        assert_eq!(end(&broker, changelog).await, 3);
    }
    broker.stop().await;
}

/// Whether a topic with one partition has a record.
async fn has_records(broker: &Broker, topic: &str) -> bool {
    end(broker, topic).await > 0
}

/// The end of a topic with one partition.
async fn end(broker: &Broker, topic: &str) -> i64 {
    let (config, topic) = (broker.client(), topic.to_owned());
    let asking = move || {
        let client: rdkafka::consumer::BaseConsumer = config.create().unwrap();
        rdkafka::consumer::Consumer::fetch_watermarks(&client, &topic, 0, DEADLINE).unwrap()
    };
    tokio::task::spawn_blocking(asking).await.unwrap().1
}
