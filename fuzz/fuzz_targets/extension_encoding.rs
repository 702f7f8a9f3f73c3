//! Result lines as records of Avro and JSON Schema: refused, or readable with the schema that is registered for them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;

fuzz_target!(|line: &[u8]| osquery_confluent::fuzzing::encoding(line));
