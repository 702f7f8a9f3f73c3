//! A file that describes a stack.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo::stack::Stack;
use osqdemo_fuzz as _;

fuzz_target!(|text: &str| {
    if let Err(error) = Stack::parse("fuzz.yaml", text) {
        assert!(!error.to_string().is_empty());
    }
});
