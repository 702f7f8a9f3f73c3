//! Reads files that the user has named, and standard input: whole, and not without an end. A pipe is as good as a file
//! there; who has to wait for one is not held up by it when a signal comes ([`is_awaited`]).

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use osquery_configuration::regular_file::{as_text, up_to_its_bound};

/// How many reads wait for somebody to write.
static AWAITED: AtomicUsize = AtomicUsize::new(0);

/// A read that may wait without an end.
struct Awaiting;

impl Awaiting {
    fn begin() -> Self {
        AWAITED.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        AWAITED.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Whether this process waits for what the user is to write into a pipe or at a terminal: then nothing else is at work
/// that a signal would have to let come to its end.
pub fn is_awaited() -> bool {
    AWAITED.load(Ordering::SeqCst) > 0
}

/// What standard input holds as text, up to its end; more than 50 MiB are an error.
///
/// # Errors
/// When it cannot be read, is too large, or is no UTF-8.
pub fn standard_input() -> io::Result<String> {
    let _awaiting = Awaiting::begin();
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    as_text(up_to_its_bound(File::from(input))?)
}

/// What standard input holds as text; not more than `most` bytes of it.
///
/// # Errors
/// When it cannot be read, or is no UTF-8.
pub fn beginning_of_standard_input(most: u64) -> io::Result<String> {
    let _awaiting = Awaiting::begin();
    beginning(io::stdin().lock(), most)
}

/// What a file holds as text; not more than `most` bytes of it.
///
/// # Errors
/// As those of [`beginning_of_standard_input`].
pub fn beginning_of(path: &Path, most: u64) -> io::Result<String> {
    let _awaiting = Awaiting::begin();
    beginning(File::open(path)?, most)
}

fn beginning(input: impl Read, most: u64) -> io::Result<String> {
    let mut text = String::new();
    input.take(most).read_to_string(&mut text)?;
    Ok(text)
}

/// What a file holds; one above 50 MiB is an error.
///
/// # Errors
/// When it cannot be read, or is too large.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let _awaiting = Awaiting::begin();
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
