//! What lies in the folder of a partition after a crash.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a folder in memory can be made");
    osqdemo_broker::fuzzing::recovered_log(folder.path(), bytes);
});
