//! Tar archives made in memory: the build contexts of images, and what `osqdemo bundle` writes. And read: what a daemon
//! copies out of a container. Knows nothing of these.

use std::io::{self, Read};

use tar::{Archive, Builder, EntryType, Header};

/// An archive that grows. All files are root's unless they are said to be another user's, and nothing in it depends on who makes it or when.
pub struct TarArchive {
    builder: Builder<Vec<u8>>,
    /// The first name that cannot be one.
    refused: Option<io::Error>,
}

impl Default for TarArchive {
    fn default() -> Self {
        Self {
            builder: Builder::new(Vec::new()),
            refused: None,
        }
    }
}

impl TarArchive {
    /// Appends a file that was modified this many seconds after the epoch.
    pub fn append(&mut self, name: &str, mode: u32, modified: u64, bytes: &[u8]) {
        self.append_of(0, name, mode, modified, bytes);
    }

    /// The same of a file that is this user's.
    pub fn append_of(&mut self, user: u64, name: &str, mode: u32, modified: u64, bytes: &[u8]) {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_mode(mode);
        header.set_mtime(modified);
        header.set_uid(user);
        header.set_gid(0);
        if let Err(error) = self.builder.append_data(&mut header, name, bytes) {
            self.refused.get_or_insert(error);
        }
    }

    /// Appends a folder that is this user's.
    pub fn append_folder_of(&mut self, user: u64, name: &str, mode: u32) {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_size(0);
        header.set_mode(mode);
        header.set_uid(user);
        header.set_gid(0);
        if let Err(error) = self.builder.append_data(&mut header, name, io::empty()) {
            self.refused.get_or_insert(error);
        }
    }

    /// The whole archive.
    ///
    /// # Errors
    /// When the name of a file cannot be one in an archive: it is absolute, or leads out of it.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        match self.refused {
            Some(error) => Err(error),
            None => self.builder.into_inner(),
        }
    }
}

/// The plain files of an archive that another program wrote, with their names; what comes after a damage is left out.
pub fn files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = Archive::new(archive);
    let Ok(entries) = archive.entries() else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for entry in entries.map_while(Result::ok) {
        let mut entry = entry;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut content = Vec::new();
        if entry.header().entry_type() != EntryType::Regular {
            continue;
        }
        let whole = entry.size();
        match entry.read_to_end(&mut content) {
            Ok(length) if length as u64 == whole => files.push((name, content)),
            _ => break,
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_archive_is_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..2000),
            size in "[0-7 ]{0,12}",
        ) {
            let mut bytes = bytes;
            for (place, byte) in bytes.iter_mut().skip(124).zip(size.bytes()) {
                *place = byte;
            }
            files(&bytes);
        }
    }

    #[test]
    fn another_programs_archive_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let long = format!("{}/{}", "d".repeat(90), "f".repeat(90));
        for (name, text) in [("a", "short"), (&long, "long"), ("empty", "")] {
            let path = folder.path().join("etc").join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        let output = Command::new("tar")
            .arg("-C")
            .arg(folder.path())
            .args(["--format=ustar", "--sort=name", "-cf", "-", "etc"])
            .output()
            .expect("tar");
        assert!(output.status.success());
        let long = format!("etc/{long}");
        assert_eq!(
            files(&output.stdout),
            [
                ("etc/a".to_owned(), b"short".to_vec()),
                (long, b"long".to_vec()),
                ("etc/empty".to_owned(), Vec::new()),
            ]
        );
        let cut = output.stdout.get(..1600).expect("enough");
        assert_eq!(files(cut).len(), 1, "what comes after the damage is left out");
    }

    #[test]
    fn no_name_leads_out_of_an_archive() {
        let mut archive = TarArchive::default();
        archive.append("../out", 0o644, 0, b"");
        archive.append("in", 0o644, 0, b"");
        assert!(archive.finish().is_err());
    }

    #[test]
    fn a_folder_has_its_user() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut archive = TarArchive::default();
        archive.append_folder_of(1000, "config", 0o751);
        let path = folder.path().join("archive.tar");
        fs::write(&path, archive.finish().expect("an archive")).expect("a file");
        let output = Command::new("tar")
            .arg("--numeric-owner")
            .arg("-tvf")
            .arg(&path)
            .output()
            .expect("tar");
        let listing = String::from_utf8(output.stdout).expect("a text");
        assert!(listing.starts_with("drwxr-x--x 1000/0 "), "{listing}");
        assert!(listing.ends_with(" config\n"), "{listing}");
    }

    #[test]
    fn tar_reads_short_and_long_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let long = format!("bundle/{}/{}.txt", "service-".repeat(9), "f".repeat(60));
        let mut archive = TarArchive::default();
        archive.append("bundle/a.txt", 0o644, 1_700_000_000, b"short");
        archive.append(&long, 0o644, 0, b"long");
        let path = folder.path().join("archive.tar");
        fs::write(&path, archive.finish().expect("an archive")).expect("a file");
        let status = Command::new("tar")
            .arg("-C")
            .arg(folder.path())
            .arg("-xf")
            .arg(&path)
            .status()
            .expect("tar");
        assert!(status.success());
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("a file");
        assert_eq!(read("bundle/a.txt"), "short");
        assert_eq!(read(&long), "long");
    }
}
