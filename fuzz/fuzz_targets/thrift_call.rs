//! Calls of the osquery extension API: written again they are the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;

fuzz_target!(|bytes: &[u8]| osquery_protocol::fuzzing::call(bytes));
