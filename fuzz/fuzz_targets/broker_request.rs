//! Frames that a client sends: the walk over them, then the decoder.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;

fuzz_target!(|frame: &[u8]| osqdemo_broker::fuzzing::request(frame));
