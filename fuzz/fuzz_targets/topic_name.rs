//! The name of a query becomes the name of a topic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;

fuzz_target!(|query: &str| osquery_protocol::fuzzing::topic_name(query));
