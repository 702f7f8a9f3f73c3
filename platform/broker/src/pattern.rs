//! Regular expressions that clients send: bounded, and matched against whole names, as Kafka does it.

use regex::{Regex, RegexBuilder};

/// The longest that is taken, and the memory it may take when it is compiled.
const MAX_LEN: usize = 4 * 1024;
const MAX_BYTES: usize = 1024 * 1024;

/// What whole names match; what is wrong with it where it is none.
pub(crate) fn whole(text: &str) -> Result<Regex, String> {
    if text.len() > MAX_LEN {
        return Err(format!("it is longer than {MAX_LEN} bytes"));
    }
    RegexBuilder::new(&format!("^(?:{text})$"))
        .size_limit(MAX_BYTES)
        .dfa_size_limit(MAX_BYTES)
        .build()
        .map_err(|error| error.to_string())
}
