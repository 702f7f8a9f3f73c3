//! A file that the user names for something to be written into it: whole, or not at all. What is no ordinary file, such
//! as a pipe or a device, is written into, and is never replaced; of a symbolic link, the file that it leads to is.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where such a file is written.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    /// Where it stands until it is whole; nothing for what cannot be replaced.
    unfinished: Option<PathBuf>,
}

impl OutputFile {
    /// Looks what is at the path.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn at(path: &Path) -> io::Result<Self> {
        let path = match fs::metadata(path) {
            // `/dev/stdout` may be an ordinary file that somebody has open.
            Ok(there) if !(there.is_file() || there.is_dir()) || is_of_the_system(path) => {
                return Ok(Self {
                    path: path.to_owned(),
                    unfinished: None,
                });
            }
            Ok(_) => fs::canonicalize(path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(error),
        };
        let mut unfinished = OsString::from(&path);
        unfinished.push(".unfinished");
        Ok(Self {
            path,
            unfinished: Some(unfinished.into()),
        })
    }

    /// The file to open and write.
    pub fn writing(&self) -> &Path {
        self.unfinished.as_deref().unwrap_or(&self.path)
    }

    /// Ends the writing: what was written gets its name, or goes where it failed.
    ///
    /// # Errors
    /// The failure, or that the file cannot get its name; the old one is as it was.
    pub fn finish<T, E>(&self, written: Result<T, E>, failed: impl FnOnce(io::Error) -> E) -> Result<T, E> {
        let Some(unfinished) = &self.unfinished else {
            return written;
        };
        let named = written.and_then(|value| {
            fs::rename(unfinished, &self.path).map_err(failed)?;
            Ok(value)
        });
        if named.is_err() {
            // A part of it helps nobody; that it may not even be there is no second error.
            let _ = fs::remove_file(unfinished);
        }
        named
    }
}

fn is_of_the_system(path: &Path) -> bool {
    ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::os::unix::fs::{FileTypeExt, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    fn write(path: &Path, text: &str) -> io::Result<()> {
        let file = OutputFile::at(path)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let written = options
            .open(file.writing())
            .and_then(|mut open| open.write_all(text.as_bytes()));
        file.finish(written, |error| error)
    }

    #[test]
    fn a_file_is_whole_or_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("images.tar");
        for text in ["a longer first text", "short"] {
            write(&path, text).expect("it can be written");
            assert_eq!(fs::read_to_string(&path).expect("the file"), text);
        }
        let file = OutputFile::at(&path).expect("it is there");
        fs::write(file.writing(), "half").expect("a part");
        let failed: Result<(), &str> = file.finish(Err("the disk is full"), |_| "it has no name");
        assert_eq!(failed, Err("the disk is full"));
        assert_eq!(fs::read_to_string(&path).expect("the file"), "short");
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1);
    }

    #[test]
    fn a_link_leads_to_what_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&path, "old").expect("a file");
        symlink(&path, &link).expect("a link");
        write(&link, "new").expect("it can be written");
        assert_eq!(fs::read_to_string(&path).expect("the file"), "new");
        assert!(link.is_symlink());
    }

    #[test]
    fn what_is_no_ordinary_file_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let _listener = UnixListener::bind(&path).expect("a socket");
        assert!(write(&path, "text").is_err(), "a socket cannot be opened");
        let kind = fs::metadata(&path).expect("it is still there").file_type();
        assert!(kind.is_socket());
        write(Path::new("/dev/null"), "text").expect("it takes everything");
        let full = write(Path::new("/dev/full"), "text").expect_err("it takes nothing");
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    }
}
