//! Two schemas, a line each: comparing them ends, within bounds; every schema reads its own data.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_avro::Schema;
use osqdemo_avro::compatibility::{Level, check_against, incompatibilities};
use osqdemo_fuzz as _;

fuzz_target!(|text: &str| {
    let Some((one, other)) = text.split_once('\n') else { return };
    let (Ok(one), Ok(other)) = (Schema::parse(one), Schema::parse(other)) else { return };
    let (forward, backward) = check_against(Level::Full, &one, &other);
    assert_eq!(forward.len(), incompatibilities(&other, &one).len());
    assert_eq!(backward.len(), incompatibilities(&one, &other).len());
});
