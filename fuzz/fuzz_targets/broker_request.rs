//! Frames that a client sends, decoded without believing the lengths in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;

fuzz_target!(|frame: &[u8]| {
    osqdemo_broker::fuzzing::request(frame);
});
