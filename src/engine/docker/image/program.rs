//! What an image needs to know of a program before it takes it in: that it is one for Linux, for which machine, which
//! C library it needs, and what tells it from another build. Read from the ELF file itself
//! (<https://refspecs.linuxfoundation.org/elf/elf.pdf>); only the small parts that tell are read, since programs
//! with debugging information are large.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::engine::docker::image::{SourceError, checksum};

/// The glibc of the base image, Debian 12.
pub(super) const BASE_GLIBC: GlibcVersion = GlibcVersion { major: 2, minor: 36 };

const NOTE: u32 = 7;
const STRING_TABLE: u32 = 3;
const ALLOCATED: u64 = 2;
const BUILD_ID: u32 = 3;

/// A version of the GNU C library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GlibcVersion {
    major: u32,
    minor: u32,
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

/// The machine that a program is for, in Debian's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Architecture {
    Amd64,
    Arm64,
}

impl Architecture {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

/// A program that can go into an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) architecture: Architecture,
    /// Different for every build.
    pub(super) identity: String,
}

/// Looks at a program.
pub(super) fn inspect(path: &Path) -> Result<Program, SourceError> {
    let read = |source| SourceError::Read {
        path: path.to_owned(),
        source,
    };
    let not_for_linux = |reason: &str| SourceError::NotForLinux {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let mut file = File::open(path).map_err(read)?;
    let size = file.metadata().map_err(read)?.len();
    let elf = match Elf::read(&mut file) {
        Ok(Some(elf)) => elf,
        Ok(None) => return Err(not_for_linux("it is not a 64-bit program for Linux")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(not_for_linux("it is cut off"));
        }
        Err(error) => return Err(read(error)),
    };
    let architecture = match elf.machine {
        62 => Architecture::Amd64,
        183 => Architecture::Arm64,
        _ => return Err(not_for_linux("it is neither for amd64 nor for arm64")),
    };
    if let Some(needed) = elf.glibc.filter(|needed| *needed > BASE_GLIBC) {
        return Err(SourceError::TooNew {
            path: path.to_owned(),
            needed,
        });
    }
    let identity = match elf.build_id {
        Some(build_id) => format!("build {build_id}, {size} bytes"),
        None => format!("sha256 {}", checksum(path)?),
    };
    Ok(Program {
        architecture,
        identity,
    })
}

/// What matters of an ELF file.
struct Elf {
    machine: u16,
    glibc: Option<GlibcVersion>,
    build_id: Option<String>,
}

impl Elf {
    /// Nothing when the file is not a little-endian 64-bit ELF file.
    fn read(file: &mut (impl Read + Seek)) -> io::Result<Option<Self>> {
        let mut header = [0; 64];
        file.read_exact(&mut header)?;
        if !header.starts_with(b"\x7fELF\x02\x01") {
            return Ok(None);
        }
        let mut elf = Self {
            machine: number(&header, 18, 2) as u16,
            glibc: None,
            build_id: None,
        };
        let (table, entry_size, count) = (
            number(&header, 40, 8),
            number(&header, 58, 2),
            number(&header, 60, 2),
        );
        for index in 0..count {
            let mut entry = [0; 64];
            file.seek(SeekFrom::Start(table.saturating_add(index * entry_size)))?;
            file.read_exact(&mut entry)?;
            let (kind, flags) = (number(&entry, 4, 4) as u32, number(&entry, 8, 8));
            let (offset, size) = (number(&entry, 24, 8), number(&entry, 32, 8));
            let is_wanted = kind == NOTE || (kind == STRING_TABLE && flags & ALLOCATED != 0);
            if !is_wanted {
                continue;
            }
            file.seek(SeekFrom::Start(offset))?;
            let mut section = Vec::new();
            file.by_ref().take(size).read_to_end(&mut section)?;
            if kind == NOTE {
                elf.build_id = elf.build_id.or_else(|| build_id(&section));
            } else {
                elf.glibc = glibc(&section).max(elf.glibc);
            }
        }
        Ok(Some(elf))
    }
}

/// A little-endian number of up to 8 bytes; 0 beyond the end.
fn number(bytes: &[u8], offset: usize, length: usize) -> u64 {
    bytes
        .get(offset..offset.saturating_add(length))
        .unwrap_or_default()
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The build id among the notes of a section.
fn build_id(notes: &[u8]) -> Option<String> {
    let mut rest = notes;
    while rest.len() >= 12 {
        let padded = |length: u64| usize::try_from(length).ok()?.checked_next_multiple_of(4);
        let name = padded(number(rest, 0, 4))?;
        let description = padded(number(rest, 4, 4))?;
        let kind = number(rest, 8, 4) as u32;
        let body = rest.get(12..)?;
        let end = name.checked_add(description)?;
        if kind == BUILD_ID && body.starts_with(b"GNU\0") {
            let id = body.get(name..end)?;
            return Some(id.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        rest = body.get(end..)?;
    }
    None
}

/// The newest version of glibc that a table of dynamic strings names: symbols carry the version they came with.
fn glibc(strings: &[u8]) -> Option<GlibcVersion> {
    strings
        .split(|byte| *byte == 0)
        .filter_map(|text| {
            let version = std::str::from_utf8(text).ok()?.strip_prefix("GLIBC_")?;
            let (major, rest) = version.split_once('.')?;
            Some(GlibcVersion {
                major: major.parse().ok()?,
                minor: rest.split('.').next()?.parse().ok()?,
            })
        })
        .max()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_program_of_this_machine_is_understood() {
        let own = std::env::current_exe().expect("a path");
        let program = inspect(&own).expect("a program that was built here");
        assert!(program.identity.len() > 20, "{program:?}");
        assert_eq!(program, inspect(&own).expect("the same"));
    }

    #[test]
    fn other_files_are_refused() {
        let error = inspect(Path::new("/etc/passwd")).expect_err("not a program");
        assert!(
            error
                .to_string()
                .starts_with("`/etc/passwd` cannot go into an image: it is"),
            "{error}"
        );
    }

    #[test]
    fn the_newest_version_of_glibc_counts() {
        let version = glibc(b"\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_PRIVATE\0GLIBC_2.9\0printf\0");
        assert_eq!(
            version.map(|version| version.to_string()).as_deref(),
            Some("2.34")
        );
        assert_eq!(glibc(b"\0printf\0"), None);
        assert!(GlibcVersion { major: 2, minor: 38 } > BASE_GLIBC);
    }

    proptest! {
        #[test]
        fn any_file_is_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..300), is_elf: bool) {
            if is_elf && bytes.len() >= 6 {
                bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
            }
            let _ = Elf::read(&mut Cursor::new(bytes));
        }

        #[test]
        fn any_notes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = build_id(&bytes);
        }
    }
}
