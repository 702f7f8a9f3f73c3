//! The settings file.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use osqdemo::settings::{SettingsFile, StackOrigin};
use osqdemo::stack::Stack;
use osqdemo_fuzz as _;

fuzz_target!(|text: &str| {
    let Ok(stack) = Stack::confluent() else { return };
    match SettingsFile::parse(Path::new("osqdemo.toml"), text) {
        Ok(file) => {
            for origin in [StackOrigin::OfTheFile, StackOrigin::ChosenOtherwise] {
                let _ = (file.ports(&stack, origin), file.without(&stack, origin));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
