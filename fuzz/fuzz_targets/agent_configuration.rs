//! The configuration and the packs of osquery, as the agent reads them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;

fuzz_target!(|text: &str| osquery_agent::fuzzing::configuration(text));
