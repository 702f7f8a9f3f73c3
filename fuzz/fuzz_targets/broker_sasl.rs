//! What a connection's client may do until the broker knows who it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;

fuzz_target!(|bytes: &[u8]| osqdemo_broker::fuzzing::sasl_exchange(bytes));
