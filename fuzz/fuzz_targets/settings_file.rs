//! The settings file.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use osqdemo::settings::{SettingsFile, StackOrigin};
use osqdemo::stack::Stack;
use osqdemo_fuzz as _;

/// Read once: it takes longer than a settings file.
static STACK: LazyLock<Stack> = LazyLock::new(|| Stack::confluent().expect("the embedded stack"));

fuzz_target!(|text: &str| {
    match SettingsFile::parse(Path::new("osqdemo.toml"), text) {
        Ok(file) => {
            for origin in [StackOrigin::OfTheFile, StackOrigin::ChosenOtherwise] {
                let _ = (file.ports(&STACK, origin), file.without(&STACK, origin));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
