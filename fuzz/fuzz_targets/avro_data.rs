//! Bytes by a schema: the text up to a line's end is the schema, the rest are data. What can be read can be written,
//! and then reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_avro::{Schema, decode, encode};
use osqdemo_fuzz as _;

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (text, data) = input.split_at(end);
    let Some(schema) = str::from_utf8(text).ok().and_then(|text| Schema::parse(text).ok()) else {
        return;
    };
    let Ok(value) = decode(&schema, data.get(1..).unwrap_or_default()) else { return };
    let mut bytes = Vec::new();
    encode(&schema, &value, &mut bytes).expect("a value of the schema");
    let mut again = Vec::new();
    let read = decode(&schema, &bytes).expect("what was written");
    encode(&schema, &read, &mut again).expect("a value of the schema");
    // Compared as bytes: a number that is none does not equal itself.
    assert_eq!(bytes, again);
});
