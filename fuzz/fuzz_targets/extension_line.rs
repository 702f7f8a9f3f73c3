//! Key expressions, and the lines they are looked up in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;

fuzz_target!(|bytes: &[u8]| osquery_confluent::fuzzing::line(bytes));
