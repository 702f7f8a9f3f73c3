//! Record batches that a producer sends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;

fuzz_target!(|bytes: &[u8]| osqdemo_broker::fuzzing::produced_batch(bytes));
