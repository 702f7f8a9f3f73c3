//! The configuration file of the extension.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;

fuzz_target!(|bytes: &[u8]| osquery_confluent::fuzzing::configuration(bytes));
