//! Reads files that the user has named: whole, and not without an end. A pipe is as good as a file there.

use std::fs::File;
use std::io;
use std::path::Path;

use osquery_configuration::regular_file::{as_text, up_to_its_bound};

/// What a file holds; one above 50 MiB is an error.
///
/// # Errors
/// When it cannot be read, or is too large.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    up_to_its_bound(File::open(path)?)
}

/// The same as text.
///
/// # Errors
/// As those of [`read`], and when it is no UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    as_text(read(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_an_error() {
        let error = read(Path::new("/dev/zero")).expect_err("no end");
        assert_eq!(error.to_string(), "it is larger than 50 MiB");
    }
}
