//! What must hold of the configuration's parser for any text, as a function that panics where it does not.
//!
//! For the fuzz targets in `fuzz/`; nothing of this is in a product build.

use std::collections::BTreeMap;

use osquery_configuration::{Config, Findings, MachineFacts, PackText};

/// Every pack kept elsewhere has the same text.
struct Elsewhere<'t>(&'t str);

impl PackText for Elsewhere<'_> {
    fn pack_text(&self, _name: &str, _value: &str, _: &mut Findings) -> Result<String, String> {
        Ok(self.0.to_owned())
    }
}

/// A configuration and, after a zero byte, the text of its packs: understood, or refused with a place in it.
/// Read twice it is the same.
pub fn configuration(text: &str) {
    let (text, pack) = text.split_once('\0').unwrap_or((text, "{}"));
    let sources = BTreeMap::from([("main".to_owned(), text.to_owned())]);
    let read = || Config::parse(&sources, &MachineFacts::of_host("host1"), &Elsewhere(pack));
    match read() {
        Ok(config) => {
            let intervals = config.packs.iter().flat_map(|pack| &pack.queries);
            assert!(intervals.clone().all(|query| query.interval > 0));
            assert_eq!(Ok(config), read());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_holds_for_random_text(text in r#"(\{|\}|"|\[|:|,|//|/\*|\\|schedule|packs|[^a]){0,24}"#) {
            configuration(&text);
        }
    }
}
