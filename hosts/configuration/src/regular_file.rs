//! Reads files that somebody else may have put there. A pipe in their place would be waited for without an end, and a device
//! has no end; so what is no regular file is not read, and nothing is read beyond a bound.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// What is larger is no file of settings; osquery reads no more of a file either (`--read_max`).
pub const LARGEST: u64 = 50 << 20;

/// Opens a regular file.
///
/// # Errors
/// When it is none, or cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    // Without it, opening a pipe waits for who writes into it. Reading a regular file is the same with it.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is no regular file"))
    }
}

/// The content of a regular file; one that is too large is an error.
///
/// # Errors
/// When it is none, is larger than [`LARGEST`], or cannot be read.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    up_to_its_bound(open(path)?)
}

/// What is left to read of a file; one that is too large is an error.
///
/// # Errors
/// When more is left than [`LARGEST`], or it cannot be read.
pub fn up_to_its_bound(file: File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    // Files of `/proc` and `/sys` say that they are empty, so that what is read counts and not what they say.
    file.take(LARGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST {
        return Err(io::Error::other("it is larger than 50 MiB"));
    }
    Ok(content)
}

/// The same as text.
///
/// # Errors
/// As those of [`read`], and when it is no UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    as_text(read(path)?)
}

/// A content as text.
///
/// # Errors
/// When it is no UTF-8.
pub fn as_text(content: Vec<u8>) -> io::Result<String> {
    String::from_utf8(content).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn what_has_no_end_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
        for path in [&pipe, Path::new("/dev/zero"), folder.path()] {
            assert!(read(path).is_err(), "{}", path.display());
        }
    }

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "text").expect("a file");
        assert_eq!(read_to_string(&path).expect("its text"), "text");
        File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(LARGEST + 1))
            .expect("it grows");
        assert!(read(&path).is_err());
    }
}
