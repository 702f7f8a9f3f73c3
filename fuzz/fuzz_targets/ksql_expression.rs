//! Expressions of ksqlDB: types, functions, patterns, formats, over a row with a column of each type.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz::ksql_rows::{declare, plan, run};
use osqdemo_ksqldb::metastore::Metastore;

static STREAM: LazyLock<Metastore> = LazyLock::new(|| {
    declare(
        "CREATE STREAM s (b BOOLEAN, i INT, l BIGINT, d DOUBLE, n DECIMAL(9, 3), t STRING, y BYTES,
         da DATE, ti TIME, ts TIMESTAMP, a ARRAY<INT>, m MAP<STRING, STRING>, st STRUCT<f INT, g STRING>)
         WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);",
    )
});

const ROW: &str = r#"{"b":true,"i":7,"l":-9223372036854775808,"d":1.5,"n":12.345,"t":"a,b %ż","y":"AAEC","da":19000,
    "ti":1000,"ts":1700000000000,"a":[1,null,3],"m":{"k":"v"},"st":{"f":1,"g":"x"}}"#;

fuzz_target!(|expression: &str| {
    if let Some(plan) = plan(&STREAM, &format!("SELECT {expression} AS x FROM s EMIT CHANGES;")) {
        run(&plan, "s", ROW.as_bytes());
    }
});
