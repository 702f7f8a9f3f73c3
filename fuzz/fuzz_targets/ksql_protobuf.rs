//! Protobuf messages of records: read, copied by a query, read again.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz::ksql_rows::Copied;

static COPIED: LazyLock<Copied> = LazyLock::new(|| {
    Copied::new(
        "b BOOLEAN, i INT, l BIGINT, d DOUBLE, n DECIMAL(9, 3), t STRING, y BYTES, da DATE, ti TIME,
         ts TIMESTAMP, a ARRAY<INT>, m MAP<STRING, DOUBLE>, st STRUCT<f INT, g ARRAY<STRING>>",
        "PROTOBUF_NOSR",
    )
});

fuzz_target!(|value: &[u8]| COPIED.check(value));
