//! Avro values of records, read by ksqlDB: the text up to a line's end is the schema that they were written with, the
//! rest are data. What is read is copied by a query, and reads the same again.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use osqdemo_avro::Schema;
use osqdemo_fuzz::ksql_rows::CopiedAvro;

static COPIED: LazyLock<CopiedAvro> = LazyLock::new(|| {
    CopiedAvro::new(
        "b BOOLEAN, i INT, l BIGINT, d DOUBLE, n DECIMAL(9, 3), t STRING, y BYTES, da DATE, ti TIME,
         ts TIMESTAMP, a ARRAY<INT>, m MAP<STRING, DOUBLE>, st STRUCT<f INT, g ARRAY<STRING>>",
    )
});

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (text, data) = input.split_at(end);
    if let Some(schema) = str::from_utf8(text).ok().and_then(|text| Schema::parse(text).ok()) {
        COPIED.check(schema, data.get(1..).unwrap_or_default());
    }
});
