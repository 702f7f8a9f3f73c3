//! The schema in the header of a row, and the positions in the messages of the server.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo::ksqldb::{schema, statement};
use osqdemo_fuzz as _;

fuzz_target!(|text: &str| {
    let _ = schema::parse(text);
    let _ = statement::position_in_message(text);
    let _ = statement::without_position(text);
});
