//! Any two documents, a line each, are compared as schemas and come to an end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;
use osqdemo_json_schema::differences;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let Some((old, new)) = text.split_once('\n') else { return };
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    if let (Some(old), Some(new)) = (read(old), read(new)) {
        let _ = differences(&old, &new);
    }
});
