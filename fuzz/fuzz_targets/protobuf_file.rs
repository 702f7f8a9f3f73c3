//! Any text is a Protobuf file, one whose names mean something, or an error; what it says does not depend on its blanks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;
use osqdemo_protobuf::File;

fuzz_target!(|text: &str| {
    let Ok(file) = File::parse(text) else { return };
    assert!(file.says_the_same(&file));
    if let Ok(linked) = file.link(&[])
        && let Some((path, message)) = linked.message(None)
    {
        assert_eq!(linked.message_at(&path), Some(message));
    }
});
