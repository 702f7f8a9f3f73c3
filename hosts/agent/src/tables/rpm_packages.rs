//! `rpm_packages`: the packages in rpm's database, in the form of SQLite that rpm has had since 4.16.
//!
//! Each package is a header in rpm's own format: two counts, an index of tags, and the data that they point into
//! (<https://rpm-software-management.github.io/rpm/manual/format_header.html>).

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::mount_namespace::MountNamespace;
use super::{Machine, table};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    NAME "name" Text index,
    VERSION "version" Text index rhel_version,
    RELEASE "release" Text index,
    SOURCE "source" Text,
    SIZE "size" BigInt,
    SHA1 "sha1" Text ignore_case,
    ARCH "arch" Text index,
    EPOCH "epoch" Integer index,
    INSTALL_TIME "install_time" Integer,
    VENDOR "vendor" Text,
    PACKAGE_GROUP "package_group" Text,
    PID_WITH_NAMESPACE "pid_with_namespace" Integer additional hidden,
    MOUNT_NAMESPACE_ID "mount_namespace_id" Text hidden,
}

table! { RpmPackages "rpm_packages" fill }

const DATABASES: [&str; 2] = ["/var/lib/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite"];
/// Tags of text, and of numbers of 32 bits; a package of more than 4 GiB has a size of 64.
const TEXTS: [(usize, u32); 8] = [
    (NAME, 1000),
    (VERSION, 1001),
    (RELEASE, 1002),
    (SOURCE, 1044),
    (SHA1, 269),
    (ARCH, 1022),
    (VENDOR, 1011),
    (PACKAGE_GROUP, 1016),
];
const NUMBERS: [(usize, u32); 3] = [(EPOCH, 1003), (INSTALL_TIME, 1008), (SIZE, 1009)];
const LONG_SIZE: u32 = 5009;

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    for namespace in MountNamespace::of_scan(scan, PID_WITH_NAMESPACE, machine) {
        for database in DATABASES {
            let path = namespace.path(database);
            // `/var/lib/rpm` may be a link to the other one.
            if path.is_file() && fill_database(&path, &namespace, rows).is_ok() {
                break;
            }
        }
    }
    Ok(())
}

fn fill_database(
    path: &Path,
    namespace: &MountNamespace,
    rows: &mut RowBuffer,
) -> Result<(), rusqlite::Error> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = connection.prepare("select blob from Packages")?;
    let mut packages = statement.query([])?;
    while let Some(package) = packages.next()? {
        let bytes: Vec<u8> = package.get(0)?;
        let Some(header) = Header::new(&bytes) else {
            continue;
        };
        rows.start_row();
        for (column, tag) in TEXTS {
            if let Some(text) = header.text(tag) {
                rows.text(column, text);
            }
        }
        for (column, tag) in NUMBERS {
            if let Some(number) = header.number(tag) {
                rows.integer(column, number);
            }
        }
        if let Some(size) = header.number(LONG_SIZE) {
            rows.integer(SIZE, size);
        }
        namespace.fill(PID_WITH_NAMESPACE, Some(MOUNT_NAMESPACE_ID), rows);
    }
    Ok(())
}

/// A package's header.
#[derive(Debug)]
struct Header<'bytes> {
    /// Sixteen bytes an entry: tag, type, offset, count.
    index: &'bytes [u8],
    data: &'bytes [u8],
}

impl<'bytes> Header<'bytes> {
    const ENTRY: usize = 16;

    fn new(bytes: &'bytes [u8]) -> Option<Self> {
        let entries = usize::try_from(number_at(bytes, 0)?).ok()?;
        let length = usize::try_from(number_at(bytes, 4)?).ok()?;
        let rest = bytes.get(8..)?;
        let (index, data) = rest.split_at_checked(entries.checked_mul(Self::ENTRY)?)?;
        Some(Self {
            index,
            data: data.get(..length)?,
        })
    }

    /// The type of a tag's value, and where it begins.
    fn find(&self, tag: u32) -> Option<(u32, &'bytes [u8])> {
        let entries = self.index.chunks_exact(Self::ENTRY);
        let entry = entries
            .into_iter()
            .find(|entry| number_at(entry, 0) == Some(tag))?;
        let offset = usize::try_from(number_at(entry, 8)?).ok()?;
        Some((number_at(entry, 4)?, self.data.get(offset..)?))
    }

    /// A text, or the first of several, as those in many languages are.
    fn text(&self, tag: u32) -> Option<&'bytes [u8]> {
        let (6 | 8 | 9, data) = self.find(tag)? else {
            return None;
        };
        data.split(|&byte| byte == 0).next()
    }

    fn number(&self, tag: u32) -> Option<i64> {
        match self.find(tag)? {
            (4, data) => number_at(data, 0).map(i64::from),
            (5, data) => {
                let bytes = data.first_chunk::<8>()?;
                i64::try_from(u64::from_be_bytes(*bytes)).ok()
            }
            _ => None,
        }
    }
}

fn number_at(bytes: &[u8], place: usize) -> Option<u32> {
    let bytes = bytes.get(place..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tables::fixture::TestDatabase;

    enum Value {
        Text(&'static str),
        Number(u32),
        Long(u64),
    }

    /// A header as rpm writes it.
    fn header(values: &[(u32, Value)]) -> Vec<u8> {
        let (mut index, mut data) = (Vec::new(), Vec::new());
        for (tag, value) in values {
            let offset = data.len() as u32;
            let kind: u32 = match value {
                Value::Text(text) => {
                    data.extend(text.as_bytes());
                    data.push(0);
                    6
                }
                Value::Number(number) => {
                    data.extend(number.to_be_bytes());
                    4
                }
                Value::Long(number) => {
                    data.extend(number.to_be_bytes());
                    5
                }
            };
            index.extend([*tag, kind, offset, 1].map(u32::to_be_bytes).concat());
        }
        let counts = [values.len() as u32, data.len() as u32]
            .map(u32::to_be_bytes)
            .concat();
        [counts, index, data].concat()
    }

    #[test]
    fn packages_are_read_from_rpms_database() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(folder.path(), &[("/var/lib/rpm/x", "")]);
        let path = folder.path().join("var/lib/rpm/rpmdb.sqlite");
        let rpm = Connection::open(&path).unwrap();
        rpm.execute_batch("create table Packages (hnum integer primary key, blob blob not null)")
            .unwrap();
        let bash = header(&[
            (269, Value::Text("0a0b")),
            (1000, Value::Text("bash")),
            (1001, Value::Text("5.2.15")),
            (1002, Value::Text("3.fc39")),
            (1003, Value::Number(1)),
            (1008, Value::Number(1_700_000_000)),
            (1009, Value::Number(8_000_000)),
            (1011, Value::Text("Fedora Project")),
            (1016, Value::Text("Unspecified")),
            (1022, Value::Text("x86_64")),
            (1044, Value::Text("bash-5.2.15-3.fc39.src.rpm")),
        ]);
        let huge = header(&[(1000, Value::Text("huge")), (5009, Value::Long(1 << 33))]);
        for blob in [bash, huge, b"torn".to_vec()] {
            rpm.execute("insert into Packages (blob) values (?)", [blob])
                .unwrap();
        }
        assert_eq!(
            database.values(
                "name,version,release,source,size,sha1,arch,epoch,install_time,vendor,package_group",
                "rpm_packages"
            ),
            [
                "bash|5.2.15|3.fc39|bash-5.2.15-3.fc39.src.rpm|8000000|0a0b|x86_64|1|1700000000|Fedora Project|Unspecified",
                "huge||||8589934592||||||",
            ]
        );
    }

    proptest! {
        #[test]
        fn no_bytes_can_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), tag: u32) {
            if let Some(header) = Header::new(&bytes) {
                header.text(tag);
                header.number(tag);
            }
        }
    }
}
