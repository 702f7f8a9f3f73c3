//! DELIMITED values of records: read, copied by a query, read again.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz::ksql_rows::Copied;

static COPIED: LazyLock<[Copied; 2]> = LazyLock::new(|| {
    [
        Copied::new("t STRING, u STRING, i INT", "DELIMITED"),
        Copied::new(
            "b BOOLEAN, l BIGINT, d DOUBLE, n DECIMAL(9, 3), y BYTES, da DATE, ti TIME, ts TIMESTAMP",
            "DELIMITED",
        ),
    ]
});

fuzz_target!(|value: &[u8]| COPIED.iter().for_each(|copied| copied.check(value)));
