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

/// The content of a file that whoever starts the program names: a regular one, or an open one of any kind that is handed
/// over, such as a pipe. Nothing is waited for that nobody has handed over.
///
/// # Errors
/// As those of [`read`].
pub fn read_given(path: &Path) -> io::Result<Vec<u8>> {
    if is_handed_over(path) || path == Path::new("/dev/null") {
        up_to_its_bound(File::open(path)?)
    } else {
        read(path)
    }
}

/// Whether a path names an open file of this process, which may be there to be read only once.
pub fn is_handed_over(path: &Path) -> bool {
    path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd")
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
    fn what_is_handed_over_may_be_a_pipe() {
        use std::io::Write as _;
        use std::os::fd::AsRawFd as _;

        let (reader, mut writer) = io::pipe().expect("a pipe");
        writer.write_all(b"{}").expect("it takes that");
        drop(writer);
        for folder in ["/dev/fd", "/proc/self/fd"] {
            let path = Path::new(folder).join(reader.as_raw_fd().to_string());
            assert!(is_handed_over(&path));
            // The second one finds what the first one left.
            let expected: &[u8] = if folder == "/dev/fd" { b"{}" } else { b"" };
            assert_eq!(read_given(&path).expect("its content"), expected);
        }
        assert_eq!(read_given(Path::new("/dev/null")).expect("nothing"), b"");
        assert!(read_given(Path::new("/dev/zero")).is_err());
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
