//! A spool's files: a segment, and behind a mark the position.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    osquery_confluent::fuzzing::spool(folder.path(), bytes);
});
