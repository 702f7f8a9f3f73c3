//! Tar archives made in memory (POSIX ustar, <https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html>):
//! the build contexts of images, and what `osqdemo bundle` writes. And read: what a daemon copies out of a container.
//! Knows nothing of these.

const BLOCK: usize = 512;

/// How long the last part of a name may be, in bytes.
const LONGEST_NAME: usize = 100;

/// An archive that grows. All files are root's.
#[derive(Debug, Default)]
pub struct TarArchive {
    bytes: Vec<u8>,
}

impl TarArchive {
    /// Appends a file that was modified this many seconds after the epoch. A name of more than 100 bytes must have a
    /// `/` that leaves no more than that after it.
    pub fn append(&mut self, name: &str, mode: u32, modified: u64, bytes: &[u8]) {
        let (prefix, name) = split(name);
        let mut header = [0_u8; BLOCK];
        let fields: [(usize, String); 10] = [
            (0, name.to_owned()),
            (100, format!("{mode:07o}")),
            (108, format!("{:07o}", 0)),
            (116, format!("{:07o}", 0)),
            (124, format!("{:011o}", bytes.len())),
            (136, format!("{modified:011o}")),
            // The checksum is computed over the header with blanks in its place.
            (148, " ".repeat(8)),
            (156, "0".to_owned()),
            (257, "ustar\u{0}00".to_owned()),
            (345, prefix.to_owned()),
        ];
        for (offset, text) in fields {
            place(&mut header, offset, &text);
        }
        let checksum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        place(&mut header, 148, &format!("{checksum:06o}\u{0} "));
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
    }

    /// The whole archive.
    pub fn finish(mut self) -> Vec<u8> {
        // Two empty blocks end an archive.
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
        self.bytes
    }
}

/// The plain files of an archive that another program wrote, with their names; what comes after a damage is left out.
pub fn files(mut archive: &[u8]) -> Vec<(String, &[u8])> {
    let mut files = Vec::new();
    while let Some((header, rest)) = archive.split_at_checked(BLOCK) {
        let text = |range: std::ops::Range<usize>| {
            let field = header.get(range).unwrap_or_default();
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
            String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned()
        };
        let Ok(size) = usize::from_str_radix(text(124..136).trim(), 8) else {
            break;
        };
        let Some(content) = rest.get(..size) else { break };
        if matches!(header.get(156), Some(b'0' | 0)) {
            let (name, prefix) = (text(0..100), text(345..500));
            let name = if prefix.is_empty() {
                name
            } else {
                format!("{prefix}/{name}")
            };
            files.push((name, content));
        }
        archive = rest.get(size.next_multiple_of(BLOCK)..).unwrap_or_default();
    }
    files
}

/// A name as the header's two fields have it: the folders that do not fit go before.
fn split(name: &str) -> (&str, &str) {
    let surplus = name.len().saturating_sub(LONGEST_NAME + 1);
    name.match_indices('/')
        .map(|(index, _)| index)
        .find(|index| name.len() > LONGEST_NAME && *index >= surplus)
        .map_or(("", name), |index| (&name[..index], &name[index + 1..]))
}

fn place(header: &mut [u8; BLOCK], offset: usize, text: &str) {
    for (place, byte) in header.iter_mut().skip(offset).zip(text.bytes()) {
        *place = byte;
    }
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
                ("etc/a".to_owned(), &b"short"[..]),
                (long, b"long"),
                ("etc/empty".to_owned(), b""),
            ]
        );
        let cut = output.stdout.get(..1600).expect("enough");
        assert_eq!(files(cut).len(), 1, "what comes after the damage is left out");
    }

    #[test]
    fn tar_reads_short_and_long_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let long = format!("bundle/{}/{}.txt", "service-".repeat(9), "f".repeat(60));
        let mut archive = TarArchive::default();
        archive.append("bundle/a.txt", 0o644, 1_700_000_000, b"short");
        archive.append(&long, 0o644, 0, b"long");
        let path = folder.path().join("archive.tar");
        fs::write(&path, archive.finish()).expect("a file");
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
